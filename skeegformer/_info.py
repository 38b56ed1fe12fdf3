"""Measurement info in a form that JSON can hold."""

import numpy as np

_LANDMARKS = ("nasion", "lpa", "rpa")


def describe_info(info):
    """List of an Info what JSON can hold and a montage needs.

    Parameters
    ----------
    info : mne.Info
        Of EEG channels.

    Returns
    -------
    dict
        Names, rate, bad channels, positions (in metres, in the head frame; NaN where there is
        none) and fiducials.
    """
    montage = info.get_montage()
    landmarks = {} if montage is None else montage.get_positions()
    return {
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


def make_info(described):
    """Make an Info of what `describe_info` has listed.

    Parameters
    ----------
    described : dict
        From `describe_info`.

    Returns
    -------
    mne.Info
        Of EEG channels.
    """
    import mne

    info = mne.create_info(described["ch_names"], described["sfreq"], "eeg", verbose="ERROR")
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
