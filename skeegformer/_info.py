"""Measurement info as text: what JSON can hold of a `mne.Info`, and a montage needs."""

import numpy as np

_LANDMARKS = ("nasion", "lpa", "rpa")


def describe_info(info):
    """List what is kept of an Info.

    Parameters
    ----------
    info : mne.Info
        What is known of the channels.

    Returns
    -------
    dict
        Names, rate, bad channels, positions and fiducials, in plain types; the types of channels
        where not all of them are EEG.
    """
    montage = info.get_montage()
    landmarks = {} if montage is None else montage.get_positions()
    described = {
        "ch_names": list(info["ch_names"]),
        "sfreq": float(info["sfreq"]),
        "bads": list(info["bads"]),
        "positions": [channel["loc"][:3].astype(float).tolist() for channel in info["chs"]],
        "landmarks": {
            name: np.asarray(landmarks[name], dtype=float).tolist()
            for name in _LANDMARKS
            if landmarks.get(name) is not None
        },
    }
    types = info.get_channel_types()
    if set(types) != {"eeg"}:
        described["ch_types"] = types
    return described


def make_info(described):
    """Make an Info of what `describe_info` has listed.

    Parameters
    ----------
    described : dict
        What is known of the channels.

    Returns
    -------
    mne.Info
        With a montage where there are positions.
    """
    import mne

    types = described.get("ch_types", "eeg")
    info = mne.create_info(described["ch_names"], described["sfreq"], types, verbose="ERROR")
    info["bads"] = list(described["bads"])
    positions = {
        name: np.array(position)
        for name, position in zip(described["ch_names"], described["positions"], strict=True)
        if np.isfinite(position).all()
    }
    if positions:
        landmarks = {name: np.array(value) for name, value in described["landmarks"].items()}
        montage = mne.channels.make_dig_montage(positions, coord_frame="head", **landmarks)
        info.set_montage(montage, on_missing="ignore", verbose="ERROR")
    return info
