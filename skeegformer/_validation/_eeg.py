"""Epochs of every kind, checked, and in the form that an estimator was fitted with."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import mne
import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skeegformer._validation._epochs import (
    as_epochs,
    eeg_picks,
    in_memory,
    is_epochs,
    refuse_channels,
    refuse_mixture,
)
from skeegformer._validation._memmap import BATCH, VOLTS_TO_MICROVOLTS, MappedEpochs, batches_of
from skeegformer._validation._parameters import validate_ch_names
from skeegformer._validation._processing import (
    other_projections,
    processing_of,
    warn_of_other_processing,
)
from skeegformer._validation._scale import refuse_other_unit, remember_scale


@dataclass(frozen=True)
class EEGData:
    """Checked epochs and what is known about their channels."""

    # Names, rate (in Hz) and info are None where neither X nor the estimator tells.
    data: np.ndarray | MappedEpochs  # (n_epochs, n_chans, n_times)
    ch_names: list[str] | None = None
    sfreq: float | None = None
    info: Any = None
    epochs: Any = None  # perhaps the user's own, in volts and with non-EEG channels
    is_flat: bool = False  # whether X was 2-D, so that samples are scikit-learn's features
    subjects: np.ndarray | None = None
    feature_names: np.ndarray | None = None  # of the columns of a table
    baseline: tuple | None = ()  # see `processing_of`

    def take(self, rows):
        """Take some of the epochs, but for those in ``epochs``."""
        subjects = None if self.subjects is None else self.subjects[rows]
        return replace(self, data=self.data[rows], subjects=subjects)


def validate_eeg(estimator, X, *, reset, lazy=False):
    """Check epochs for a classifier and bring them into the form it was fitted with."""
    # Epochs become microvolts, without channels other than EEG; arrays are taken as they are, at
    # the rate that the parameter ``sfreq`` gives. Its method ``_complete`` makes the channels of
    # `fit` of others. Unless this is `fit` (`reset`), X has to agree with what was remembered.
    sfreq = getattr(estimator, "sfreq", None)
    if is_epochs(X):
        eeg = _open_epochs(X)
        _refuse_other_rate(estimator, eeg, sfreq)
        with np.errstate(over="ignore"):  # what gets infinite is refused in the next line
            data = (eeg.data * VOLTS_TO_MICROVOLTS).astype(np.float32, order="C")
        eeg = replace(eeg, data=_refuse_bad_values(data, eeg.ch_names), epochs=None)
    elif isinstance(X, MappedEpochs):
        rate = sfreq if X.sfreq is None else X.sfreq
        eeg = EEGData(X, X.ch_names, rate, X.info, subjects=X.subjects)
        _refuse_other_rate(estimator, eeg, sfreq)
        _refuse_bad_values(X, X.ch_names)
        if not lazy:
            eeg = replace(eeg, data=X.load())
    else:
        eeg = _open_array(estimator, X, reset=reset, dtype=np.float32)
        if not eeg.data.flags.writeable:  # torch warns of joblib's memory maps
            eeg = replace(eeg, data=eeg.data.copy())
    if reset:
        return eeg
    info, now = eeg.info, processing_of(eeg.info, eeg.baseline)  # before channels are completed
    if hasattr(estimator, "_complete"):
        eeg = estimator._complete(eeg)
    eeg = _agree(estimator, eeg, same_times=True)
    warn_of_other_processing(estimator, now, info=info)
    refuse_other_unit(estimator, eeg)
    return eeg


def validate_signal(estimator, X, *, reset, ch_names=None, sfreq=None, same_sfreq=True):
    """Check epochs for a transformer and keep their kind, unit and precision."""
    # As `validate_eeg`, but another number of samples than in `fit` is no error, and another rate
    # is none unless `same_sfreq`. `ch_names` and `sfreq` are those of arrays; Epochs have to agree.
    # Of Epochs, `epochs` and their EEG in volts, neither may be written to: both may be the user's.
    name = type(estimator).__name__
    X = in_memory(X)
    if ch_names is not None:
        ch_names = validate_ch_names(ch_names, f"The list of channel names given to {name}")
    if is_epochs(X):
        eeg = _open_epochs(X)
        _refuse_bad_values(eeg.data, eeg.ch_names)
        _refuse_other_rate(estimator, eeg, sfreq)
        if ch_names is not None and set(ch_names) != set(eeg.ch_names):
            refuse_channels(eeg.ch_names, ch_names, f"{name} was told the names of")
    else:
        eeg = _open_array(estimator, X, reset=reset, dtype=(np.float64, np.float32))
        if ch_names is not None and len(ch_names) != eeg.data.shape[1]:
            raise ValueError(
                f"X has {eeg.data.shape[1]} channels, but {name} was told the names of "
                f"{len(ch_names)}."
            )
        eeg = replace(eeg, ch_names=ch_names, sfreq=sfreq)
    if reset:
        return eeg
    warn_of_other_processing(estimator, processing_of(eeg.info), other_projections)
    return _agree(estimator, eeg, same_times=False, same_sfreq=same_sfreq)


def remember_input(estimator, eeg, *, scale=False):
    """Have an estimator remember in `fit` what later input has to look like."""
    # With `scale` also the size of the signal, by which `validate_eeg` tells volts from microvolts.
    estimator.n_chans_, estimator.n_times_ = eeg.data.shape[1:]
    estimator.sfreq_, estimator.ch_names_, estimator.info_ = eeg.sfreq, eeg.ch_names, eeg.info
    estimator._processing = processing_of(eeg.info, eeg.baseline)
    estimator._fitted_flat = eeg.is_flat
    estimator.n_features_in_ = estimator.n_times_ if eeg.is_flat else estimator.n_chans_
    vars(estimator).pop("feature_names_in_", None)
    if eeg.feature_names is not None:
        estimator.feature_names_in_ = eeg.feature_names
    elif eeg.ch_names is not None and not eeg.is_flat:
        estimator.feature_names_in_ = np.asarray(eeg.ch_names, dtype=object)
    if scale:
        remember_scale(estimator, eeg)


def _open_epochs(X):
    """Take the EEG channels of Epochs, in volts and not yet checked for bad values."""
    epochs = as_epochs(X)
    picks = eeg_picks(epochs)
    every = len(picks) == len(epochs.ch_names)
    data = epochs.get_data(copy=False) if every else epochs.get_data(picks=picks, copy=False)
    _refuse_complex(data)
    ch_names = [epochs.ch_names[pick] for pick in picks]
    # A copy, since what MNE does to an Info for a moment, other threads would see.
    info = mne.pick_info(epochs.info.copy(), picks, copy=False)
    known = epochs.metadata is not None and "subject" in epochs.metadata
    subjects = epochs.metadata["subject"].to_numpy() if known else None
    about = {"subjects": subjects, "baseline": epochs.baseline}
    return EEGData(data, ch_names, float(info["sfreq"]), info, epochs, **about)


def _open_array(estimator, X, *, reset, dtype):
    """Check an array and give it three dimensions."""
    name = type(estimator).__name__
    refuse_other_objects(name, X)
    n_dims = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if n_dims == 0:
        raise ValueError(
            f"X is {'None' if X is None else 'a ' + type(X).__name__}, but {name} takes epochs: "
            "mne.Epochs, or an array of shape (n_epochs, n_chans, n_times). Reshape your data."
        )
    if getattr(X, "requires_grad", False):
        X = X.detach()
    sfreq = getattr(estimator, "sfreq", None)
    if n_dims < 3 or sparse.issparse(X):
        return _open_table(estimator, X, n_dims, sfreq, reset=reset, dtype=dtype)
    try:
        X = np.asarray(X)
    except (TypeError, RuntimeError) as error:  # a tensor that is sparse, or elsewhere
        raise TypeError(f"X cannot become an array of NumPy ({error}); pass one.") from error
    if n_dims > 3:
        raise ValueError(
            f"X has shape {X.shape}, but epochs are (n_epochs, n_chans, n_times), or "
            "(n_epochs, n_times) for a single channel."
        )
    _refuse_complex(X)
    if X.dtype.kind in "fiub":  # scikit-learn's check would take as long as a prediction
        kinds = dtype if isinstance(dtype, tuple) else (dtype,)
        with np.errstate(over="ignore"):  # what gets infinite is refused below
            X = X.astype(X.dtype if X.dtype in kinds else kinds[0], order="C", copy=False)
    elif X.size:
        with _only_numbers(X):
            X = check_array(X, dtype=dtype, order="C", allow_nd=True, ensure_all_finite=False)
    return EEGData(_refuse_bad_values(X, None), sfreq=sfreq)


def _open_table(estimator, X, n_dims, sfreq, *, reset, dtype):
    """Check what is 2-D, epochs of one channel, by scikit-learn's own door and its messages."""
    if n_dims == 2 and not reset and not getattr(estimator, "_fitted_flat", True):
        raise ValueError(
            f"X has shape {np.shape(X)}, but this {type(estimator).__name__} was fitted with "
            f"epochs of {estimator.n_chans_} channels; pass an array of shape (n_epochs, n_chans, "
            "n_times)."
        )
    names = None
    if reset:
        columns = list(getattr(X, "columns", []))
        if columns and all(isinstance(column, str) for column in columns):
            names = np.asarray(columns, dtype=object)
        if len(set(columns)) < len(columns):
            raise ValueError("X is a table in which columns have the same name; name each anew.")
        with _only_numbers(X):
            X = check_array(X, dtype=dtype, order="C", estimator=estimator, input_name="X")
    else:
        X = validate_data(estimator, X, dtype=dtype, reset=False, order="C")
    return EEGData(X[:, np.newaxis, :], sfreq=sfreq, is_flat=True, feature_names=names)


@contextmanager
def _only_numbers(X):
    """Refuse text and dates, of which scikit-learn would make numbers."""
    dtype = getattr(X, "dtype", None)
    if getattr(dtype, "kind", "f") in "USMm":
        raise ValueError(f"X holds values of type {dtype}, but a signal is of numbers.")
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("could not convert"):
            raise
        raise ValueError(f"X holds what is no number ({error}), but a signal is.") from error


def refuse_other_objects(name, X):
    """Refuse what NumPy would take apart: masks, ragged lists, Raw, Evoked and their like."""
    is_list = isinstance(X, list | tuple)
    n_masked = sum(np.ma.count_masked(x) for x in (X if is_list else [X]) if np.ma.is_masked(x))
    if n_masked:
        raise ValueError(
            f"X is a masked array, and {n_masked} of its values are masked, which {name} would "
            "use all the same; leave those epochs out, or pass X.filled()."
        )
    kinds = {type(x) for x in X} if is_list else {type(X)}
    if any(base.__module__.startswith("mne.") for kind in kinds for base in kind.__mro__):
        if len(kinds) > 1:
            refuse_mixture(kinds)
        raise TypeError(
            f"X is a {'list of ' * is_list}{kinds.pop().__name__}, but {name} works on epochs: cut "
            "recordings with mne.Epochs or mne.make_fixed_length_epochs; of averages, spectra and "
            "their like pass the epochs that they were made of."
        )
    try:
        if not hasattr(X, "ndim"):
            np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"{name} takes an array, but X is a list whose elements have different shapes; every "
            "epoch, or channel, needs the same number of samples."
        ) from error


def _refuse_complex(X):
    if np.iscomplexobj(X):
        raise ValueError(
            "Complex data not supported: X is complex. Pass the signal itself, or its magnitude."
        )


def _refuse_bad_values(data, ch_names):
    """Raise on NaN and infinity, and say where they are."""
    if 0 in data.shape:
        raise ValueError(f"X is empty: its shape (n_epochs, n_chans, n_times) is {data.shape}.")
    epochs, channels, has_nan, start = [], [], False, 0
    for block in batches_of(data, BATCH if isinstance(data, MappedEpochs) else len(data)):
        # A sum is one pass without a temporary of X's size; only a bad one is looked into.
        with np.errstate(over="ignore", invalid="ignore"):
            is_fine = math.isfinite(block.sum())
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


def _agree(estimator, eeg, *, same_times, same_sfreq=True):
    """Compare input with what `fit` saw, and put its channels in the order of `fit`."""
    # What an array does not tell, its channels' names and its rate, is taken to be as in `fit`.
    name = type(estimator).__name__
    fitted = estimator.ch_names_
    if eeg.ch_names is not None and fitted is not None:
        if set(eeg.ch_names) != set(fitted):
            who = f"this {name} was fitted with"
            refuse_channels(eeg.ch_names, fitted, who, _way_out(estimator, eeg))
        if eeg.ch_names != fitted:
            eeg = _reorder(eeg, fitted)
    elif eeg.data.shape[1] != estimator.n_chans_:
        raise ValueError(
            f"X has {eeg.data.shape[1]} channels, but this {name} was fitted with "
            f"{estimator.n_chans_}.{_way_out(estimator, eeg)}"
        )
    rates = eeg.sfreq, estimator.sfreq_
    if same_sfreq and None not in rates and not math.isclose(*rates, rel_tol=1e-5):
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
        info = mne.pick_info(info, order)
    if epochs is not None:
        others = [name for name in epochs.ch_names if name not in set(ch_names)]
        epochs = epochs.copy().reorder_channels([*ch_names, *others])
    return replace(eeg, data=eeg.data[:, order], ch_names=list(ch_names), info=info, epochs=epochs)


def _refuse_other_rate(estimator, eeg, sfreq):
    """Raise where Epochs have another rate than a parameter says."""
    if sfreq is not None and not np.isclose(sfreq, eeg.sfreq):
        raise ValueError(
            f"X is sampled at {eeg.sfreq:g} Hz, but {type(estimator).__name__} was told "
            f"{sfreq:g} Hz for arrays; leave that parameter at None for Epochs, or correct it."
        )
