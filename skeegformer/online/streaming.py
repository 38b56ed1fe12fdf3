"""Predictions while the signal arrives."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch

from skeegformer._utils.settings import usual_torch
from skeegformer._validation import (
    VOLTS_TO_MICROVOLTS,
    check_positive,
    in_other_unit,
    optional_positive,
    refuse_other_objects,
    validate_ch_names,
    warn_of_odd_epochs,
    warn_of_unprocessed,
)
from skeegformer.io._frozen import freeze
from skeegformer.online._causal import follow_channels, make_stages

_UNITS = {"V": VOLTS_TO_MICROVOLTS, "uV": 1.0, None: None}
_BATCH = 64  # windows that are classified at once, where a chunk holds many


class StreamPrediction(NamedTuple):
    """The prediction of a `StreamPredictor` for one window.

    Parameters
    ----------
    time : float
        End of the window in seconds since the first sample.
    probabilities : ndarray of shape (n_classes,)
        Class probabilities in the order of ``classes_``.
    label : object
        The most probable of ``classes_``.
    """

    time: float
    probabilities: np.ndarray
    label: Any


class StreamPredictor:
    r"""Classify the most recent window of a stream at regular intervals.

    Samples are pushed in chunks of any length and pass through the filters of the Pipeline. The
    most recent samples, as many as in an epoch of `fit`, form a window, whose class probabilities
    are returned every `step` seconds. They do not depend on the chunk lengths.

    Parameters
    ----------
    model : estimator
        A fitted `EEGTransformerClassifier`, a Pipeline that ends with one, or a
        `CalibratedClassifierCV` of either, with ``method="temperature"`` and ``ensemble=False``.
        Earlier steps can be `BandPassFilter` with ``method="iir"``, `NotchFilter`, `Resampler` to a
        whole fraction of the rate, `ChannelDropper`, `ChannelPicker` and `ToMicrovolts`. Fitting
        the model again does not change the predictor.
    step : float, default=0.1
        Time between predictions in seconds; the time of each is rounded to a sample.
    sfreq : float or None, default=None
        Sampling rate of the stream in Hz; None for that of `fit`.
    ch_names : sequence of str or None, default=None
        Channel names of the rows of chunks, which are reordered; rows that the model does not need
        are ignored. None: the rows are the channels of `fit`, in the same order.
    unit : {"V", "uV"} or None, default=None
        Unit of the chunks. None: volts if the model was fitted on `mne.Epochs`, and the unit of
        `fit` if on arrays. "V" and "uV" assume that arrays in `fit` were in microvolts.
    subject : object or None, default=None
        With ``adapt=True``: the subject, a key of the classifier's ``subject_means_``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    sfreq : float
        Sampling rate of the stream in Hz.

    Raises
    ------
    TypeError, ValueError
        If the model has a step that cannot run on a stream, or a parameter is invalid for it.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Notes
    -----
    Filters run forwards and backwards in `fit`, but forwards only here: the attenuation at cutoff
    frequencies is 3 dB instead of 6 dB, and the signal is delayed, by 12 to 25 ms with
    ``BandPassFilter(None, 30.0)``. A resampler becomes a Chebyshev low-pass up to 0.4 times the new
    rate, followed by decimation. A high-pass takes about ``1 / l_freq`` seconds to settle; earlier
    predictions are unreliable.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import StreamPredictor, make_eeg_pipeline, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=20, random_state=0)
    >>> pipe = make_eeg_pipeline(max_epochs=2, random_state=0).fit(X, y)
    >>> predictor = StreamPredictor(pipe, step=0.5)
    >>> amplifier = np.split(np.hstack(X.get_data()[:2]), 40, axis=1)  # 40 chunks of 0.1 s
    >>> for chunk in amplifier:
    ...     for time, probabilities, label in predictor.push(chunk):
    ...         print(f"{time:.1f} s", probabilities.shape)
    2.0 s (2,)
    2.5 s (2,)
    3.0 s (2,)
    3.5 s (2,)
    4.0 s (2,)
    """

    def __init__(self, model, *, step=0.1, sfreq=None, ch_names=None, unit=None, subject=None):
        if unit not in _UNITS:
            raise ValueError(f"unit={unit!r} is not 'V', 'uV' or None.")
        check_positive("step", step)
        optional_positive("sfreq", sfreq, "that of fit")
        steps, classifier, self._network = freeze(model, subject, "StreamPredictor")
        estimators = [*(step for _, step in steps), classifier]
        rates = [getattr(estimator, "sfreq_", None) for estimator in estimators]
        rates = [rate for rate in (sfreq, *rates) if rate is not None]
        if not rates:
            raise ValueError(
                "The model was fitted with arrays, which tell no sampling rate; say with sfreq "
                "what the stream has, in Hz."
            )
        self.sfreq = float(rates[0])
        self._stages, rate = make_stages(steps, self.sfreq)
        if classifier.sfreq_ is not None and not np.isclose(rate, classifier.sfreq_):
            raise ValueError(
                f"The stream is sampled at {rate:g} Hz, but the model was fitted at "
                f"{classifier.sfreq_:g} Hz; fit it with Resampler({classifier.sfreq_:g}) in front, "
                "or resample the stream."
            )
        if step * rate < 1:
            raise ValueError(
                f"step={step} is less than a sample, {1 / rate:.4g} s; make it longer."
            )
        self._rate, self._step = rate, step * rate
        self._n_times = classifier.n_times_
        self._choose_rows(steps, classifier, ch_names)
        self._factor = _UNITS[unit]
        if unit is None:
            is_volts = any(estimator.info_ is not None for estimator in estimators)
            self._factor = VOLTS_TO_MICROVOLTS if is_volts else 1.0
        self._typical = getattr(classifier, "_input_scale", 0)
        self.classes_ = classifier.classes_
        warn_of_unprocessed(estimators)
        self._device = next(self._network.parameters()).device
        self.reset()

    def reset(self):
        """Start a new stream: the next sample is its first.

        Returns
        -------
        self
            The predictor, without samples.
        """
        for stage in self._stages:
            stage.reset()
        self._kept = np.empty((len(self._rows), 0))
        self._n_pushed = self._n_seen = self._n_predicted = 0
        self._is_known_unit = False
        return self

    @usual_torch()
    @torch.no_grad()
    def push(self, chunk):
        """Process the next samples.

        Parameters
        ----------
        chunk : array-like of shape (n_chans, n_samples)
            Samples that follow the previous ones; any number, including none.

        Returns
        -------
        list of StreamPrediction
            One prediction for each `step` completed by the samples.

        Raises
        ------
        ValueError
            If chunk has another shape, or contains NaN or infinity, in which case the state does
            not change, or if it is in another unit.
        """
        samples = self._open(chunk)
        self._n_pushed += samples.shape[1]
        for stage in self._stages:
            samples = stage(samples)
        start = self._n_seen - self._kept.shape[1]
        self._n_seen += samples.shape[1]
        signal = np.concatenate([self._kept, samples], axis=1)
        ends = []
        while (end := self._n_times + round(self._n_predicted * self._step)) <= self._n_seen:
            ends.append(end)
            self._n_predicted += 1
        self._kept = signal[:, max(0, signal.shape[1] - self._n_times) :].copy()
        if ends and not self._is_known_unit:
            self._check_unit(signal[:, ends[0] - start - self._n_times : ends[0] - start])
        predictions = []
        for i in range(0, len(ends), _BATCH):
            stops = [end - start for end in ends[i : i + _BATCH]]
            windows = np.stack([signal[:, stop - self._n_times : stop] for stop in stops])
            windows = torch.from_numpy(windows.astype(np.float32)).to(self._device)
            probabilities = self._network(windows).cpu().numpy()
            predictions += [
                StreamPrediction(end / self._rate, row, self.classes_[row.argmax()])
                for end, row in zip(ends[i : i + _BATCH], probabilities, strict=True)
            ]
        return predictions

    def _choose_rows(self, steps, classifier, ch_names):
        rows, n_rows, known = follow_channels(steps, classifier)
        self._names = None if known is None else [known[row] for row in rows]
        if ch_names is None:
            self._rows, self._n_rows, self._row_names = rows, n_rows, known
            return
        if known is None:
            raise ValueError(
                "ch_names cannot be put in order, because the model was fitted with arrays and "
                "knows no names; leave ch_names out and give the channels as in fit."
            )
        ch_names = validate_ch_names(ch_names, "ch_names")
        missing = [name for name in self._names if name not in ch_names]
        if missing:
            raise ValueError(
                f"ch_names has no {', '.join(missing)}, which the model was fitted with; a stream "
                "needs every channel of fit."
            )
        self._rows = [ch_names.index(name) for name in self._names]
        self._n_rows, self._row_names = len(ch_names), ch_names

    def _open(self, chunk):
        """Check a chunk, and give the model's channels in the unit of the model."""
        if hasattr(chunk, "get_data"):
            raise TypeError(
                f"chunk is a {type(chunk).__name__}, but has to be an array: pass "
                "raw.get_data(picks=...), with the names of its channels as ch_names."
            )
        refuse_other_objects(type(self).__name__, chunk)
        chunk = np.asarray(chunk)
        if chunk.ndim != 2 or len(chunk) != self._n_rows:
            raise ValueError(
                f"chunk has shape {chunk.shape}, but has to be (n_chans, n_samples) with "
                f"{self._n_rows} channels"
                + (f", from {self._row_names[0]} to {self._row_names[-1]}" if self._names else "")
                + "."
            )
        if not np.issubdtype(chunk.dtype, np.number) or np.iscomplexobj(chunk):
            raise ValueError(f"chunk holds {chunk.dtype}, but a signal is of real numbers.")
        if chunk.shape[1] == self._n_rows > 1 and not self._n_pushed:
            warnings.warn(
                f"The first chunk has {self._n_rows} samples of {self._n_rows} channels: whether "
                "it is (n_chans, n_samples), as it has to be, cannot be seen.",
                stacklevel=5,
            )
        samples = chunk[self._rows].astype(np.float64)
        bad = ~np.isfinite(samples)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            name = self._names[row] if self._names else self._rows[row]
            raise ValueError(
                f"chunk has NaN or infinity in {np.count_nonzero(bad.any(axis=1))} of "
                f"{len(samples)} channels, the first in channel {name} at "
                f"{(self._n_pushed + column) / self.sfreq:.3f} s. Fill the gap, for example with "
                "the last sample, or reset() and go on behind it."
            )
        return samples * self._factor

    def _check_unit(self, window):
        """Refuse a stream that is a million times as loud as the epochs in fit, or as silent."""
        sizes = window.std(axis=1)
        size = float(np.median(sizes))
        if in_other_unit(size, self._typical):
            raise ValueError(
                f"The stream fluctuates by {size:.2g}, but what the model was fitted with by "
                f"{self._typical:.2g}: one is in volts, the other in microvolts. Say with unit='V' "
                "or unit='uV' which the chunks are in."
            )
        warn_of_odd_epochs(self._typical, np.array([size]), sizes[np.newaxis], self._names)
        self._is_known_unit = size > 0  # amplifiers may begin with zeros
