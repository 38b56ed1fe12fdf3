"""Measurement info as text: what JSON can hold of a `mne.Info`, and a montage needs."""

import math
from functools import lru_cache

import numpy as np

_PROJECTIONS = "skeegformer: projections that were applied"
_LANDMARKS = ("nasion", "lpa", "rpa")


@lru_cache(maxsize=1)
def electrode_montage():
    """Return the positions of the 10-05 system, under whichever name this MNE knows them."""
    import mne

    # MNE 1.13 renamed the montage and deprecates the name that earlier versions need.
    renamed = "colin27_1005" in mne.channels.get_builtin_montages()
    return mne.channels.make_standard_montage("colin27_1005" if renamed else "standard_1005")


def info_of_names(ch_names, sfreq):
    """Make an Info of EEG channels, with positions if all are of the 10-05 system."""
    import mne

    info = mne.create_info(ch_names, sfreq, "eeg", verbose="ERROR")
    montage = electrode_montage()
    return info.set_montage(montage) if set(ch_names) <= set(montage.ch_names) else info


def describe_info(info):
    """List what is kept of a `mne.Info`, in plain types."""
    montage = info.get_montage()
    landmarks = {} if montage is None else montage.get_positions()
    described = {
        "ch_names": list(info["ch_names"]),
        "sfreq": float(info["sfreq"]),
        "bads": list(info["bads"]),
        "filters": pass_band(info),
        "reference": int(info["custom_ref_applied"]),
        "projections": applied_projections(info),
        "positions": [_plain(channel["loc"][:3]) for channel in info["chs"]],
        "landmarks": {
            name: _plain(landmarks[name]) for name in _LANDMARKS if landmarks.get(name) is not None
        },
    }
    types = info.get_channel_types()
    if set(types) != {"eeg"}:
        described["ch_types"] = types
    points = [point for point in info["dig"] or [] if np.isfinite(point["r"]).all()]
    # Points of channels that were dropped and of the head's shape say where its middle is; sums
    # depend in the last bit on their order and on their type.
    described["dig"] = [
        [int(point["kind"]), int(point["ident"]), int(point["coord_frame"]), _plain(point["r"])]
        for point in points
    ]
    described["single"] = all(point["r"].dtype.itemsize == 4 for point in points)
    return described


def applied_projections(info):
    """List the projections that a recording went through, by name."""
    known = restored_projections(info) or ()
    return sorted({*known, *(proj["desc"] for proj in info["projs"] if proj["active"])})


def restored_projections(info):
    """List the projections that `make_info` was told; None for an Info that it did not make."""
    temp = info.get("temp")  # in which others keep what they like
    return temp.get(_PROJECTIONS) if isinstance(temp, dict) else None


def pass_band(info):
    """List the limits of the filters that a recording went through, in Hz."""
    return [float(info["highpass"] or 0.0), float(info["lowpass"] or info["sfreq"] / 2)]


def make_info(described):
    """Make an Info of what `describe_info` has listed, with a montage where there are positions."""
    import mne

    types = described.get("ch_types", "eeg")
    info = mne.create_info(described["ch_names"], described["sfreq"], types, verbose="ERROR")
    info["bads"] = list(described["bads"])
    low, high = described.get("filters", (0.0, math.inf))
    with info._unlock():
        info["highpass"], info["lowpass"] = float(low), min(float(high), info["sfreq"] / 2)
        info["custom_ref_applied"] = int(described.get("reference", 0))
        info["temp"] = {_PROJECTIONS: list(map(str, described.get("projections", [])))}
    positions = {
        name: np.array(position)
        for name, position in zip(described["ch_names"], described["positions"], strict=True)
        if np.isfinite(position).all()
    }
    if positions:
        landmarks = {name: np.array(value) for name, value in described["landmarks"].items()}
        montage = mne.channels.make_dig_montage(positions, coord_frame="head", **landmarks)
        info.set_montage(montage, on_missing="ignore", verbose="ERROR")
    if positions and described.get("dig"):
        # In place of those that the montage of the channels has made.
        kind, point = np.float32 if described["single"] else np.float64, type(info["dig"][0])
        with info._unlock():
            info["dig"] = [
                point(kind=what, ident=number, coord_frame=frame, r=np.array(place, dtype=kind))
                for what, number, frame, place in described["dig"]
            ]
    return info


def _plain(values):
    return np.asarray(values, dtype=float).tolist()
