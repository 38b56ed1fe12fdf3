"""The one door through which epochs enter the package.

Whatever a user or scikit-learn hands over (`mne.Epochs`, the list of Epochs that
scikit-learn makes when it indexes them, 3-D or 2-D arrays, DataFrames, `MappedEpochs`) leaves it
as an `EEGData`, checked, in the channel order of `fit`. Classifiers ask for float32
microvolts (`validate_eeg`), transformers for the signal in its own unit and
type (`validate_signal`).
"""

import sys
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skeegformer._memmap import BATCH, VOLTS_TO_MICROVOLTS, MappedEpochs, batches_of


@dataclass(frozen=True)
class EEGData:
    """Checked epochs and what is known about their channels.

    Attributes
    ----------
    data : ndarray or MappedEpochs of shape (n_epochs, n_chans, n_times)
        The signal.
    ch_names : list of str or None
        Names of the channels in `data`; None where neither X nor the estimator tells.
    sfreq : float or None
        Sampling rate in Hz; None where neither X nor the estimator tells.
    info : mne.Info or None
        Measurement info of the channels in `data`; None for arrays.
    epochs : mne.Epochs or None
        The Epochs behind `data`, in volts and with their non-EEG channels. They may be the
        user's own object.
    is_flat : bool
        Whether X was 2-D, so that the samples are scikit-learn's features.
    subjects : ndarray of shape (n_epochs,) or None
        The subject of each epoch, where the metadata of Epochs or an export tell.
    """

    data: np.ndarray | MappedEpochs
    ch_names: list[str] | None = None
    sfreq: float | None = None
    info: Any = None
    epochs: Any = None
    is_flat: bool = False
    subjects: np.ndarray | None = None


def is_epochs(X):
    """Tell whether X is Epochs or a list of Epochs, without importing MNE.

    Parameters
    ----------
    X : object
        Anything.

    Returns
    -------
    bool
        Whether X is a `mne.Epochs` or a non-empty list or tuple that starts with one.
    """
    mne = sys.modules.get("mne")
    if mne is None:
        return False
    if isinstance(X, list | tuple) and len(X):
        X = X[0]
    return isinstance(X, mne.BaseEpochs)


def as_epochs(X):
    """Make one loaded Epochs object of Epochs or of a list of Epochs.

    Parameters
    ----------
    X : mne.Epochs or list of mne.Epochs
        The epochs; never changed.

    Returns
    -------
    mne.Epochs
        X itself where it is loaded already, else a loaded copy.
    """
    import mne

    if isinstance(X, mne.BaseEpochs):
        return X if X.preload else X.copy().load_data()
    if not all(isinstance(epochs, mne.BaseEpochs) for epochs in X):
        _refuse_mixture({type(epochs) for epochs in X})
    return _concatenate([as_epochs(epochs) for epochs in X])


def in_memory(X):
    """Load epochs that stay in a file.

    Parameters
    ----------
    X : object
        What a transformer was given.

    Returns
    -------
    object
        For `MappedEpochs` Epochs, or an array in microvolts where the names of the channels or
        the rate are not known; everything else as it is.
    """
    if not isinstance(X, MappedEpochs):
        return X
    return X.load() if X.ch_names is None or X.sfreq is None else X.to_epochs()


def validate_eeg(estimator, X, *, reset, lazy=False):
    """Check epochs for a classifier and bring them into the form it was fitted with.

    With ``reset=True`` the estimator learns ``n_features_in_``,
    ``feature_names_in_`` (where names are known), ``n_chans_``, ``n_times_``,
    ``ch_names_``, ``sfreq_`` and ``info_``; otherwise X has to agree with them.

    Parameters
    ----------
    estimator : estimator
        What X is for; a parameter ``sfreq`` of its own gives the rate of arrays. A method
        ``_complete`` of its own makes the channels of `fit` of others, and ``_way_out`` gives a
        sentence for those that are refused.
    X : mne.Epochs, list of mne.Epochs, MappedEpochs or array-like
        Epochs in volts, or an array of shape (n_epochs, n_chans, n_times) or
        (n_epochs, n_times), which is taken as it is.
    reset : bool
        Whether this is `fit`.
    lazy : bool, default=False
        Whether `MappedEpochs` stay in their file; they are loaded otherwise.

    Returns
    -------
    EEGData
        With float32 data of shape (n_epochs, n_chans, n_times), Epochs in microvolts and
        without their non-EEG channels.

    Raises
    ------
    TypeError
        If X is no epochs, for example a `mne.io.Raw`, or a list that mixes kinds.
    ValueError
        If X is empty, complex or ragged, has NaN or infinity, or does not agree with `fit`.
    """
    if is_epochs(X):
        eeg = _open_epochs(X)
        _refuse_other_rate(estimator, eeg, getattr(estimator, "sfreq", None))
        with np.errstate(over="ignore"):  # what gets infinite is refused in the next line
            data = (eeg.data * VOLTS_TO_MICROVOLTS).astype(np.float32, order="C")
        eeg = replace(eeg, data=_refuse_bad_values(data, eeg.ch_names), epochs=None)
    elif isinstance(X, MappedEpochs):
        eeg = _open_mapped(estimator, X)
        if not lazy:
            eeg = replace(eeg, data=eeg.data.load())
    else:
        eeg = _open_array(estimator, X, reset=reset, dtype=np.float32)
        # torch warns of arrays that may only be read, such as joblib's memory maps.
        eeg = replace(eeg, data=np.require(eeg.data, requirements="W"))
    if reset:
        estimator._input_scale = _scale(eeg)
        return _learn(estimator, eeg)
    if hasattr(estimator, "_complete"):
        eeg = estimator._complete(eeg)
    eeg = _agree(estimator, eeg, same_times=True)
    _refuse_other_unit(estimator, eeg)
    return eeg


def validate_signal(estimator, X, *, reset, ch_names=None, sfreq=None, same_sfreq=True):
    """Check epochs for a transformer and keep their kind, unit and precision.

    Parameters
    ----------
    estimator : estimator
        What X is for.
    X : mne.Epochs, list of mne.Epochs or array-like
        As in `validate_eeg`.
    reset : bool
        Whether this is `fit`.
    ch_names : sequence of str or None
        Channel names of an array; those of Epochs have to be the same.
    sfreq : float or None
        Sampling rate of an array in Hz; that of Epochs has to be the same.
    same_sfreq : bool
        Whether later input must have the rate of `fit`.

    Returns
    -------
    EEGData
        For Epochs with ``epochs`` set, and the data of their EEG channels in volts as MNE has
        them. Neither may be written to: both may be the user's own.

    Raises
    ------
    TypeError, ValueError
        As in `validate_eeg`; another number of samples than in `fit` is no error.
    """
    name = type(estimator).__name__
    X = in_memory(X)
    if ch_names is not None:
        ch_names = validate_ch_names(ch_names, f"The list of channel names given to {name}")
    if is_epochs(X):
        eeg = _open_epochs(X)
        _refuse_bad_values(eeg.data, eeg.ch_names)
        _refuse_other_rate(estimator, eeg, sfreq)
        if ch_names is not None and set(ch_names) != set(eeg.ch_names):
            _refuse_channels(eeg.ch_names, ch_names, f"{name} was told the names of")
    else:
        eeg = _open_array(estimator, X, reset=reset, dtype=(np.float64, np.float32))
        if ch_names is not None and len(ch_names) != eeg.data.shape[1]:
            raise ValueError(
                f"X has {eeg.data.shape[1]} channels, but {name} was told the names of "
                f"{len(ch_names)}."
            )
        eeg = replace(eeg, ch_names=ch_names, sfreq=sfreq)
    if reset:
        return _learn(estimator, eeg)
    return _agree(estimator, eeg, same_times=False, same_sfreq=same_sfreq)


def validate_labels(estimator, y, n_epochs):
    """Check class labels and encode them.

    Parameters
    ----------
    estimator : estimator
        What y is for; its ``classes_`` are set.
    y : array-like of shape (n_epochs,)
        Labels of any type that can be sorted.
    n_epochs : int
        How many there must be.

    Returns
    -------
    ndarray of int64 of shape (n_epochs,)
        Indices into ``classes_``.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    y = column_or_1d(y, warn=True)
    _refuse_mixed("y", y)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    if len(y) != n_epochs:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_epochs} epochs, "
            f"y has {len(y)} labels. (Epochs that MNE dropped as bad take their labels with them: "
            "use epochs.events after epochs.drop_bad().)"
        )
    estimator.classes_, codes = np.unique(y, return_inverse=True)
    return codes.astype(np.int64)


def validate_groups(groups, n_epochs):
    """Check that there is one group, usually a subject, per epoch.

    Parameters
    ----------
    groups : array-like of shape (n_epochs,) or None
        Group labels.
    n_epochs : int
        How many there must be.

    Returns
    -------
    ndarray of shape (n_epochs,) or None
        The groups.

    Raises
    ------
    ValueError
        If there are more or fewer groups than epochs, or one of them is missing.
    """
    import pandas as pd

    if groups is None:
        return None
    groups = column_or_1d(groups)
    if len(groups) != n_epochs:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_epochs} epochs, "
            f"groups has {len(groups)} entries; pass one group, usually the subject, per epoch."
        )
    missing = np.flatnonzero(pd.isna(groups))
    if len(missing):
        raise ValueError(
            f"groups is missing (NaN or None) for {len(missing)} of {n_epochs} epochs, the first "
            f"of them epoch {missing[0]}; say which subject it belongs to, or drop it."
        )
    _refuse_mixed("groups", groups)
    return groups


def plain_labels(name, labels):
    """Turn labels or subjects, one per epoch, into an array of numbers or of text.

    Scores and files know no others: scikit-learn's metrics refuse numbers in an array of objects.

    Parameters
    ----------
    name : str
        What they are called in messages.
    labels : array-like of shape (n_epochs,)
        Labels.

    Returns
    -------
    ndarray of shape (n_epochs,)
        The same labels.

    Raises
    ------
    ValueError
        If they are of several types, or neither numbers nor text.
    """
    labels = np.asarray(labels)
    if labels.dtype == object and labels.ndim == 1:
        _refuse_mixed(name, labels)
        kinds = {isinstance(label, str) for label in labels}
        plain = np.array(labels.tolist()) if len(kinds) == 1 else labels
        labels = plain if plain.shape == labels.shape else labels
    if labels.dtype.kind not in "biufU":
        kind = type(labels.ravel()[0]).__name__ if labels.size else labels.dtype
        raise ValueError(
            f"{name} has labels of type {kind}; give numbers or text, such as {name}.astype(str)."
        )
    return labels


def check_one_of(name, value, allowed):
    """Refuse a parameter that is none of its allowed values.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        What it was given.
    allowed : sequence
        What it may be.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}.")


def check_count(name, value, least):
    """Refuse what is no whole number of at least `least`.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        What it was given.
    least : int
        The least that it may be.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} is not a whole number of at least {least}.")


def name_channels(ch_names, n_chans):
    """Name channels, by number where their names are not known.

    Parameters
    ----------
    ch_names : sequence of str or None
        The names.
    n_chans : int
        How many channels there are.

    Returns
    -------
    list of str
        The names, or "channel 0" and so on.

    Raises
    ------
    ValueError
        If there are more or fewer names than channels.
    """
    if ch_names is None:
        return [f"channel {i}" for i in range(n_chans)]
    names = [str(name) for name in ch_names]
    if len(names) != n_chans:
        raise ValueError(f"There are values of {n_chans} channels, but {len(names)} names.")
    return names


def validate_ch_names(ch_names, parameter):
    """Check a list of channel names that a parameter holds.

    Parameters
    ----------
    ch_names : str or sequence of str
        Channel names.
    parameter : str
        The name of the parameter, for the message.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    ValueError
        If a name is no string or occurs twice.
    """
    ch_names = [ch_names] if isinstance(ch_names, str) else list(ch_names)
    for ch_name in ch_names:
        if not isinstance(ch_name, str):
            raise ValueError(
                f"{parameter} has {ch_name!r}, but has to be a list of channel names such as "
                "['Cz', 'Pz']."
            )
    twice = sorted({ch_name for ch_name in ch_names if ch_names.count(ch_name) > 1})
    if twice:
        raise ValueError(
            f"{parameter} has channels that occur twice: {', '.join(twice)}; name each one once."
        )
    return ch_names


def _open_epochs(X):
    """Take the EEG channels of Epochs, in volts and not yet checked for bad values."""
    import mne

    epochs = as_epochs(X)
    picks = eeg_picks(epochs)
    every = len(picks) == len(epochs.ch_names)
    data = epochs.get_data(copy=False) if every else epochs.get_data(picks=picks, copy=False)
    if np.iscomplexobj(data):
        _refuse_complex()
    ch_names = [epochs.ch_names[pick] for pick in picks]
    info = mne.pick_info(epochs.info, picks)
    known = epochs.metadata is not None and "subject" in epochs.metadata
    subjects = epochs.metadata["subject"].to_numpy() if known else None
    return EEGData(data, ch_names, float(info["sfreq"]), info, epochs, subjects=subjects)


def _concatenate(parts):
    """Join loaded Epochs that belong together.

    MNE's own function takes most of a minute for the 2000 single epochs of a
    cross-validation split, because each of them carries the drop log of all; it
    also moves the events.
    """
    import mne
    import pandas as pd

    first = parts[0]
    event_id = {}
    for epochs in parts:
        if epochs.ch_names != first.ch_names:
            _refuse_channels(epochs.ch_names, first.ch_names, "its first element has")
        if (
            epochs.info["sfreq"] != first.info["sfreq"]
            or len(epochs.times) != len(first.times)
            or not np.allclose(epochs.times, first.times)
        ):
            raise ValueError(
                "X is a list of Epochs of different lengths or rates: "
                f"{_times(first)}, then {_times(epochs)}. Crop and resample them alike."
            )
        for name, code in epochs.event_id.items():
            if event_id.setdefault(name, code) != code:
                raise ValueError(
                    f"X is a list of Epochs in which the event {name!r} is {event_id[name]} in one "
                    f"element and {code} in another; give it the same number in all of them."
                )
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
    if all(epochs.baseline == first.baseline for epochs in parts):
        out.baseline = first.baseline  # a record of what was done, not a request to do it again
    return out


def _times(epochs):
    return f"{len(epochs.times)} samples from {epochs.tmin:g} s at {epochs.info['sfreq']:g} Hz"


def _open_array(estimator, X, *, reset, dtype):
    """Check an array and give it three dimensions."""
    name = type(estimator).__name__
    _refuse_other_mne_objects(name, X)
    is_mapping = isinstance(X, dict) and not sparse.issparse(X)  # some sparse arrays are dicts
    if X is None or is_mapping or np.isscalar(X):
        raise ValueError(
            f"X is {'None' if X is None else 'a ' + type(X).__name__}, but {name} takes epochs: "
            "mne.Epochs, or an array of shape (n_epochs, n_chans, n_times). Reshape your data."
        )
    if getattr(X, "requires_grad", False):
        X = X.detach()
    n_dims = _n_dims(X)
    sfreq = getattr(estimator, "sfreq", None)
    if n_dims == 2 and not reset and not getattr(estimator, "_fitted_flat", True):
        raise ValueError(
            f"X has shape {np.shape(X)}, but this {name} was fitted with epochs of "
            f"{estimator.n_chans_} channels; pass an array of shape (n_epochs, n_chans, n_times)."
        )
    if n_dims < 3 or sparse.issparse(X):
        # 2-D means epochs of one channel; scikit-learn's own door has the messages for it.
        X = validate_data(estimator, X, dtype=dtype, reset=reset, order="C")
        return EEGData(X[:, np.newaxis, :], sfreq=sfreq, is_flat=True)
    X = np.asarray(X)
    if n_dims > 3:
        raise ValueError(
            f"X has shape {X.shape}, but epochs are (n_epochs, n_chans, n_times), or "
            "(n_epochs, n_times) for a single channel."
        )
    if X.size == 0:
        raise ValueError(
            f"X is empty: its shape (n_epochs, n_chans, n_times) is {X.shape}. Each has to be at "
            "least 1."
        )
    if np.iscomplexobj(X):
        _refuse_complex()
    X = check_array(X, dtype=dtype, order="C", allow_nd=True, ensure_all_finite=False)
    return EEGData(_refuse_bad_values(X, None), sfreq=sfreq)


def _open_mapped(estimator, X):
    """Check epochs in a file, block by block."""
    sfreq = getattr(estimator, "sfreq", None)
    eeg = EEGData(X, X.ch_names, X.sfreq, X.info, subjects=X.subjects)
    if X.sfreq is None:
        eeg = replace(eeg, sfreq=sfreq)
    else:
        _refuse_other_rate(estimator, eeg, sfreq)
    _refuse_bad_values(X, X.ch_names)
    return eeg


def _refuse_other_mne_objects(name, X):
    """Raise on Raw, Evoked and their like, alone or in a list, before NumPy takes them apart."""
    is_list = isinstance(X, list | tuple)
    kinds = {type(x) for x in X} if is_list else {type(X)}
    if not any(base.__module__.startswith("mne.") for kind in kinds for base in kind.__mro__):
        return
    if len(kinds) > 1:
        _refuse_mixture(kinds)
    raise TypeError(
        f"X is a {'list of ' * is_list}{kinds.pop().__name__}, but {name} works on epochs: cut it "
        "with mne.Epochs or mne.make_fixed_length_epochs."
    )


def _refuse_mixture(kinds):
    names = sorted({kind.__name__ for kind in kinds})
    raise TypeError(
        f"X is a list that mixes {' and '.join(names)}; pass Epochs only, or one array."
    )


def _refuse_complex():
    raise ValueError(
        "Complex data not supported: X is complex. Pass the signal itself, or its magnitude."
    )


def _n_dims(X):
    """Count the dimensions of an array-like; ragged lists get a sentence."""
    if hasattr(X, "ndim"):
        return X.ndim
    try:
        return np.asarray(X).ndim
    except ValueError as error:
        raise ValueError(
            "X is a list whose elements have different shapes; every epoch needs the same number "
            "of channels and samples."
        ) from error


def _refuse_bad_values(data, ch_names):
    """Raise on NaN and infinity, and say where they are."""
    if 0 in data.shape:
        raise ValueError(f"X is empty: its shape (n_epochs, n_chans, n_times) is {data.shape}.")
    epochs, channels, has_nan, start = [], [], False, 0
    for block in batches_of(data, BATCH if isinstance(data, MappedEpochs) else len(data)):
        # A sum is one pass without a temporary of X's size; only a bad one is looked into.
        with np.errstate(over="ignore", invalid="ignore"):
            is_fine = np.isfinite(block.sum(dtype=np.float64))
        if not is_fine:
            bad = ~np.isfinite(block)
            broken = np.flatnonzero(bad.any(axis=(1, 2)))
            epochs += (start + broken).tolist()
            channels += bad[broken].any(axis=-1).argmax(axis=1).tolist()
            has_nan |= np.isnan(block).any()
        start += len(block)
    if not epochs:
        return data
    what = "NaN" if has_nan else "infinity or a value too large for float32"
    channel = channels[0]
    raise ValueError(
        f"X contains {what} in {len(epochs)} of {len(data)} epochs; the first is epoch "
        f"{epochs[0]}, channel {ch_names[channel] if ch_names else channel}. Drop or interpolate "
        "what is broken before this step."
    )


def eeg_picks(epochs):
    """Pick the electrodes; stimulus, eye and miscellaneous channels are no part of X.

    Parameters
    ----------
    epochs : mne.Epochs
        The epochs.

    Returns
    -------
    ndarray of int
        Indices of the EEG channels, intracranial ones included.

    Raises
    ------
    ValueError
        If there are none.
    """
    import mne

    picks = mne.pick_types(
        epochs.info, meg=False, eeg=True, seeg=True, ecog=True, dbs=True, exclude=()
    )
    if len(picks) == 0:
        kinds = sorted(set(epochs.get_channel_types()))
        raise ValueError(
            f"X has no EEG channels, only {', '.join(kinds)}; set their types with "
            "epochs.set_channel_types."
        )
    return picks


def _learn(estimator, eeg):
    """Remember in `fit` what later input has to look like."""
    estimator.n_chans_ = eeg.data.shape[1]
    estimator.n_times_ = eeg.data.shape[2]
    estimator.sfreq_ = eeg.sfreq
    estimator.ch_names_ = eeg.ch_names
    estimator.info_ = eeg.info
    estimator._fitted_flat = eeg.is_flat
    if eeg.is_flat:
        return eeg  # scikit-learn's own door has set n_features_in_ and feature_names_in_
    estimator.n_features_in_ = estimator.n_chans_
    if eeg.ch_names is not None:
        estimator.feature_names_in_ = np.asarray(eeg.ch_names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    return eeg


def _agree(estimator, eeg, *, same_times, same_sfreq=True):
    """Compare input with what `fit` saw, and put its channels in the order of `fit`.

    What an array does not tell, its channels' names and its rate, is taken to be as in `fit`.
    """
    name = type(estimator).__name__
    fitted = estimator.ch_names_
    if eeg.ch_names is not None and fitted is not None:
        if set(eeg.ch_names) != set(fitted):
            who = f"this {name} was fitted with"
            _refuse_channels(eeg.ch_names, fitted, who, _way_out(estimator, eeg))
        if eeg.ch_names != fitted:
            eeg = _reorder(eeg, fitted)
    elif eeg.data.shape[1] != estimator.n_chans_:
        raise ValueError(
            f"X has {eeg.data.shape[1]} channels, but this {name} was fitted with "
            f"{estimator.n_chans_}.{_way_out(estimator, eeg)}"
        )
    rates = eeg.sfreq, estimator.sfreq_
    if same_sfreq and None not in rates and not np.isclose(*rates):
        raise ValueError(
            f"X is sampled at {rates[0]:g} Hz, but this {name} was fitted at {rates[1]:g} Hz; "
            f"resample it, for example with Resampler({rates[1]:g})."
        )
    if same_times and eeg.data.shape[2] != estimator.n_times_:
        raise ValueError(
            f"X has {eeg.data.shape[2]} samples an epoch, but this {name} was fitted with "
            f"{estimator.n_times_}; crop the epochs (epochs.crop) or fit again."
            f"{_way_out(estimator, eeg)}"
        )
    return replace(
        eeg,
        ch_names=fitted if eeg.ch_names is None else eeg.ch_names,
        sfreq=estimator.sfreq_ if eeg.sfreq is None else eeg.sfreq,
    )


def _way_out(estimator, eeg):
    """Let an estimator add a sentence of its own, with a space before it."""
    sentence = estimator._way_out(eeg) if hasattr(estimator, "_way_out") else ""
    return f" {sentence}" if sentence else ""


def _reorder(eeg, ch_names):
    """Put the EEG channels in this order; others that Epochs have come after them."""
    order = [eeg.ch_names.index(name) for name in ch_names]
    info, epochs = eeg.info, eeg.epochs
    if info is not None:
        import mne

        info = mne.pick_info(info, order)
    if epochs is not None:
        others = [name for name in epochs.ch_names if name not in set(ch_names)]
        epochs = epochs.copy().reorder_channels([*ch_names, *others])
    return replace(eeg, data=eeg.data[:, order], ch_names=list(ch_names), info=info, epochs=epochs)


def _scale(eeg):
    """Measure the size of a typical channel's fluctuations."""
    # In parts for arrays as well: a standard deviation takes a temporary of the size of its input.
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large has no scale
        parts = [block.std(axis=2) for block in batches_of(eeg.data, BATCH)]
        return float(np.median(np.concatenate(parts)))


def _refuse_other_rate(estimator, eeg, sfreq):
    """Raise where Epochs have another rate than a parameter says."""
    if sfreq is not None and not np.isclose(sfreq, eeg.sfreq):
        raise ValueError(
            f"X is sampled at {eeg.sfreq:g} Hz, but {type(estimator).__name__} was told "
            f"{sfreq:g} Hz for arrays; leave that parameter at None for Epochs, or correct it."
        )


def _refuse_mixed(name, labels):
    """Raise on labels that have no order, such as text beside numbers."""
    if labels.dtype != object:
        return
    kinds = sorted({type(label).__name__ for label in labels})
    try:
        np.unique(labels)
    except TypeError as error:
        raise ValueError(
            f"{name} mixes {' and '.join(kinds)}; give labels of a single type, none missing."
        ) from error


def _refuse_other_unit(estimator, eeg):
    """Raise where volts meet microvolts, which would be classified without a word."""
    if estimator._input_scale == 0:
        return
    scale = _scale(eeg)
    ratio = scale / estimator._input_scale
    if not (1e-7 < ratio < 1e-5 or 1e5 < ratio < 1e7):
        return
    if (eeg.info is None) == (estimator.info_ is None):
        way_out = "Pass what is in the same unit; the data of Epochs are volts."
    elif ratio > 1 and estimator.info_ is None:
        way_out = "Epochs are scaled to microvolts, arrays are taken as they are; pass "
        way_out += "epochs.get_data()."
    else:
        way_out = "Epochs are scaled to microvolts, arrays are taken as they are; pass "
        way_out += "arrays as epochs.get_data(units='uV')."
    raise ValueError(
        f"X fluctuates by {scale:.2g}, but what this {type(estimator).__name__} was fitted with by "
        f"{estimator._input_scale:.2g}: one is in volts, the other in microvolts. {way_out}"
    )


def _refuse_channels(found, expected, who, way_out=""):
    """Say which channels are missing, too many, or out of order."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    parts = [f"X has {len(found)} channels, but {who} {len(expected)}"]
    if missing:
        parts.append("missing: " + ", ".join(map(str, missing)))
    if extra:
        parts.append("extra: " + ", ".join(map(str, extra)))
    if not missing and not extra:
        parts.append("the same channels in another order")
    raise ValueError("; ".join(parts) + "." + way_out)
