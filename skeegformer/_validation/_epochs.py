"""Epochs of MNE: telling them, joining them, and picking their electrodes."""

import math
import warnings
from collections.abc import Sequence

import mne
import numpy as np
import pandas as pd

from skeegformer._validation._memmap import MappedEpochs
from skeegformer._validation._processing import other_processing, processing_of


def is_epochs(X):
    """Tell whether X is Epochs or a non-empty list of Epochs, or another sequence of them."""
    is_array = getattr(getattr(X, "dtype", None), "kind", None) == "O" and X.ndim == 1
    if isinstance(X, Sequence) or is_array:
        X = next(iter(X), None)
    return isinstance(X, mne.BaseEpochs)


def as_epochs(X):
    """Make one loaded Epochs object of Epochs or of a list of them, which stay as they are."""
    if isinstance(X, mne.BaseEpochs):
        return X if X.preload else X.copy().load_data()
    if not all(isinstance(epochs, mne.BaseEpochs) for epochs in X):
        refuse_mixture({type(epochs) for epochs in X})
    return _concatenate([as_epochs(epochs) for epochs in X])


def in_memory(X):
    """Load `MappedEpochs`, as Epochs where they know names and rate; leave all else as it is."""
    if not isinstance(X, MappedEpochs):
        return X
    return X.load() if X.ch_names is None or X.sfreq is None else X.to_epochs()


def eeg_picks(epochs):
    """Pick the electrodes, intracranial ones included; other channels are no part of X."""
    # Not by pick_types, which unlocks the Info for a moment, which other threads may read.
    kinds = [mne.channel_type(epochs.info, index) for index in range(len(epochs.ch_names))]
    picks = np.flatnonzero(np.isin(kinds, ("eeg", "seeg", "ecog", "dbs")))
    if len(picks) == 0:
        raise ValueError(
            f"X has no EEG channels, only {', '.join(sorted(set(kinds)))}; set their types with "
            "epochs.set_channel_types."
        )
    return picks


def _concatenate(parts):
    """Join loaded Epochs that belong together."""
    # MNE's own function takes most of a minute for 2000 single epochs, each of which carries the
    # drop log of all, and moves the events.
    first = parts[0]
    if not any(map(len, parts)):
        return first  # which is refused for being empty; MNE makes no Epochs of nothing
    event_id, differ = {}, {}
    known = processing_of(first.info)
    for epochs in parts:
        if epochs.ch_names != first.ch_names:
            refuse_channels(epochs.ch_names, first.ch_names, "its first element has")
        kinds = first.get_channel_types(), epochs.get_channel_types()
        kinds = zip(first.ch_names, *kinds, strict=True)
        other = [f"{name} is {a} and {b}" for name, a, b in kinds if a != b]
        if other:
            raise ValueError(
                f"X is a list of Epochs in which channels have different types: {other[0]}; set "
                "the same in all of them (epochs.set_channel_types)."
            )
        if (
            not math.isclose(epochs.info["sfreq"], first.info["sfreq"], rel_tol=1e-5)
            or len(epochs.times) != len(first.times)
            or not np.allclose(epochs.times, first.times)
        ):
            raise ValueError(
                "X is a list of Epochs of different lengths or rates: "
                f"{_times(first)}, then {_times(epochs)}. Crop and resample them alike."
            )
        now = processing_of(epochs.info)
        differ |= dict.fromkeys(other_processing(known, now, "of the first element of X"))
        if known["projections"] != now["projections"]:
            raise ValueError(
                "X is a list of Epochs of which some have projections applied that others have "
                "not; call apply_proj() or del_proj() for all alike."
            )
        if epochs.baseline != first.baseline:
            raise ValueError(
                "X is a list of Epochs with different baselines, "
                f"{first.baseline} and {epochs.baseline}; correct all alike "
                "(epochs.apply_baseline)."
            )
        for name, code in epochs.event_id.items():
            if event_id.setdefault(name, code) != code:
                raise ValueError(
                    f"X is a list of Epochs in which the event {name!r} is {event_id[name]} in one "
                    f"element and {code} in another; give it the same number in all of them."
                )
    for text in list(differ)[:1]:
        warnings.warn(text, UserWarning, stacklevel=5)
    events = np.concatenate([epochs.events for epochs in parts])
    if len(np.unique(events[:, 0])) < len(events):
        # Several recordings, or an epoch drawn twice: Epochs need unequal event times.
        events[:, 0] = np.arange(len(events))
    metadata = [epochs.metadata for epochs in parts]
    has_metadata = {frame is not None for frame in metadata}
    if len(has_metadata) == 2:
        raise ValueError(
            "X is a list of Epochs of which only some have metadata; set epochs.metadata for all "
            "of them or for none."
        )
    info = first.info.copy()
    bads = {name for epochs in parts for name in epochs.info["bads"]}
    info["bads"] = [name for name in first.ch_names if name in bads]
    out = mne.EpochsArray(
        np.concatenate([epochs.get_data(copy=False) for epochs in parts]),
        info,
        events=events,
        event_id=event_id,
        tmin=first.tmin,
        metadata=pd.concat(metadata, ignore_index=True) if True in has_metadata else None,
        on_missing="ignore",
        proj=False,
        verbose="ERROR",
    )
    out.baseline = first.baseline  # a record of what was done, not a request to do it again
    return out


def _times(epochs):
    return f"{len(epochs.times)} samples from {epochs.tmin:.9g} s at {epochs.info['sfreq']:g} Hz"


def refuse_mixture(kinds):
    """Raise on a list of several kinds of objects."""
    names = sorted({kind.__name__ for kind in kinds})
    raise TypeError(
        f"X is a list that mixes {' and '.join(names)}; pass Epochs only, or one array."
    )


def refuse_channels(found, expected, who, way_out=""):
    """Say which channels are missing, too many, or out of order."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    parts = [f"X has {len(found)} channels, but {who} {len(expected)}"]
    if missing:
        parts.append("missing: " + ", ".join(map(str, missing)))
    if extra:
        parts.append("extra: " + ", ".join(map(str, extra)))
    if not missing and not extra:
        parts.append("the same channels in another order (epochs.reorder_channels)")
    raise ValueError("; ".join(parts) + "." + way_out)
