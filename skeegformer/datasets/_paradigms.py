"""The MOABB paradigms that filter, resample and cut the recordings."""

from dataclasses import dataclass

import mne
import numpy as np
from moabb.paradigms.base import BaseParadigm
from sklearn.base import BaseEstimator, TransformerMixin

from skeegformer._validation import check_band, optional_positive
from skeegformer.datasets._recordings import PhysioMI, PhysionetEyes
from skeegformer.datasets._tasks import TASKS, check_times


class _EEGMMIParadigm(BaseParadigm):
    """What both paradigms share: what is done to a recording before it is cut."""

    def __init__(self, fmin, fmax, *, resample, **parameters):
        check_band(fmin, fmax)
        optional_positive("resample", resample, "no change")
        super().__init__(filters=[[fmin, fmax]], resample=resample, **parameters)

    @property
    def scoring(self):
        """Area under the ROC curve, as in MOABB's paradigms of two classes."""
        return "roc_auc" if self.scorer is None else self.scorer

    def used_events(self, dataset):
        """Return the codes of the classes that are cut from a dataset."""
        return dict(dataset.event_id)

    def _get_raw_pipelines(self):
        """Resample the recording, not the epochs: epochs have edges every few seconds."""
        return [_PrepareRecording(fmin, fmax, self.resample) for fmin, fmax in self.filters]

    def _get_epochs_pipeline(self, return_epochs, return_raws, dataset):
        """Return the step that cuts a recording into epochs."""
        return None if return_raws else self._cutter(dataset)


class EyesParadigm(_EEGMMIParadigm):
    """MOABB paradigm: open against closed eyes in windows that do not overlap.

    Each recording is filtered, resampled and cut as by `load_eegmmi`.

    Parameters
    ----------
    fmin, fmax : float or None
        Edges of the pass band in Hz; None for none.
    window : float
        Length of a window in seconds. At 160 Hz, 2 s are exactly 320 samples.
    tmin : float
        Where in the recording the first window starts, in seconds.
    tmax : float or None
        Where in the recording the last window ends at the latest, in seconds; None for the end
        of the recording.
    resample : float or None
        Sampling frequency in Hz to bring the recordings to before they are cut; None for
        160 Hz.
    scorer : str or callable or None
        As in every MOABB paradigm; None for the area under the ROC curve.

    Raises
    ------
    ValueError
        If `window` is not positive, `tmin` is negative, `tmax` is not after `tmin`, or the
        pass band is empty; when cutting, if no window fits between `tmin` and `tmax`.

    See Also
    --------
    PhysionetEyes : The dataset that this paradigm is for.

    Examples
    --------
    >>> from moabb.evaluations import CrossSubjectEvaluation
    >>> from skeegformer.datasets import EyesParadigm, PhysionetEyes
    >>> paradigm = EyesParadigm(1.0, 40.0, window=2.0)
    >>> paradigm.is_valid(PhysionetEyes())
    True
    >>> evaluation = CrossSubjectEvaluation(
    ...     paradigm=paradigm, datasets=[PhysionetEyes(subjects=range(1, 9))]
    ... )  # doctest: +SKIP
    """

    def __init__(
        self,
        fmin=None,
        fmax=None,
        *,
        window=2.0,
        tmin=0.0,
        tmax=None,
        resample=None,
        scorer=None,
    ):
        check_times(tmin, tmax, window)
        if tmin < 0:
            raise ValueError(f"tmin={tmin} s lies before the recording; it must be 0 or later.")
        super().__init__(fmin, fmax, tmin=tmin, tmax=tmax, resample=resample, scorer=scorer)
        self.window = window

    @property
    def datasets(self):
        """The compatible datasets."""
        return [PhysionetEyes()]

    def is_valid(self, dataset):
        """Return whether a dataset holds whole runs at rest with the classes asked for."""
        labels = TASKS["baseline-eyes"].labels
        return dataset.paradigm == "rstate" and set(labels) <= set(dataset.event_id)

    def _cutter(self, dataset):
        return _CutWindows(self.used_events(dataset), self.window, self.tmin, self.tmax)


class CueParadigm(_EEGMMIParadigm):
    """MOABB paradigm: one epoch per cue of a motor task, times in seconds from the cue.

    The sample at `tmax` belongs to an epoch that is `closed`, as it does in MNE and MOABB.
    """

    def __init__(self, fmin=None, fmax=None, *, tmin=0.0, tmax=3.0, closed=True, resample=None):
        super().__init__(fmin, fmax, tmin=tmin, tmax=tmax, resample=resample)
        self.closed = closed

    @property
    def datasets(self):
        """The compatible datasets."""
        return [PhysioMI(task) for task in TASKS.values() if not task.is_rest]

    def is_valid(self, dataset):
        """Return whether a dataset has cues."""
        return dataset.paradigm == "imagery"

    def _cutter(self, dataset):
        return _CutCues(self.used_events(dataset), self.tmin, self.tmax, self.closed)


class _Step(TransformerMixin, BaseEstimator):
    """A step without anything to learn; its parameters enter MOABB's cache keys."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True


@dataclass(eq=False, repr=False)
class _PrepareRecording(_Step):
    """Filter and resample a continuous recording."""

    fmin: float | None
    fmax: float | None
    sfreq: float | None

    def transform(self, raw):
        """Return the recording, filtered and resampled in place."""
        raw.load_data()
        if self.fmin is not None or self.fmax is not None:
            raw.filter(self.fmin, self.fmax, picks="data", verbose="ERROR")
        if self.sfreq is not None and self.sfreq != raw.info["sfreq"]:
            raw.resample(self.sfreq)
        return raw


@dataclass(eq=False, repr=False)
class _CutWindows(_Step):
    """Cut a recording, which belongs to one condition, into windows that do not overlap."""

    event_id: dict
    window: float
    tmin: float
    tmax: float | None

    def transform(self, raw):
        """Return the windows."""
        cues, sfreq = _find_cues(raw, self.event_id), raw.info["sfreq"]
        length = round(self.window * sfreq)
        start = cues[0, 0] - raw.first_samp + round(self.tmin * sfreq)
        stop = raw.n_times if self.tmax is None else min(round(self.tmax * sfreq), raw.n_times)
        onsets = np.arange(start, stop - length + 1, length)
        if not len(onsets):
            raise ValueError(
                f"No window of {self.window} s fits between tmin={self.tmin} s and "
                f"{stop / sfreq:g} s, the end of the recording or tmax. Shorten `window` or "
                "widen tmin and tmax."
            )
        events = np.column_stack([onsets + raw.first_samp, np.tile(cues[0, 1:], (len(onsets), 1))])
        return _epochs(raw, events, self.event_id, 0.0, (length - 1) / sfreq)


@dataclass(eq=False, repr=False)
class _CutCues(_Step):
    """Cut one epoch per cue from a recording."""

    event_id: dict
    tmin: float
    tmax: float
    closed: bool

    def transform(self, raw):
        """Return the epochs of the cues."""
        sfreq = raw.info["sfreq"]
        tmin, tmax = self.tmin, self.tmax
        if not self.closed:
            # Both ends on samples: MNE would round each on its own, and lengths would vary.
            length = round((tmax - tmin) * sfreq)
            tmin = round(tmin * sfreq) / sfreq
            tmax = tmin + (length - 1) / sfreq
        return _epochs(raw, _find_cues(raw, self.event_id), self.event_id, tmin, tmax)


def _find_cues(raw, event_id):
    """Return the events of a recording; MOABB skips a run upon this very error message."""
    present = set(raw.annotations.description) & set(event_id)
    if not present:
        raise ValueError("No events found")
    wanted = {label: event_id[label] for label in present}
    return mne.events_from_annotations(raw, event_id=wanted, verbose="ERROR")[0]


def _epochs(raw, events, event_id, tmin, tmax):
    """Cut epochs of raw voltage: no baseline is subtracted."""
    epochs = mne.Epochs(
        raw,
        events,
        event_id=event_id,
        tmin=tmin,
        tmax=tmax,
        picks="eeg",
        baseline=None,
        preload=True,
        on_missing="ignore",
        event_repeated="drop",
        verbose="ERROR",
    )
    if not len(epochs):
        raise ValueError(
            f"No epoch from {tmin} s to {tmax} s lies within its recording of "
            f"{raw.n_times / raw.info['sfreq']:g} s; choose other values of tmin and tmax."
        )
    return epochs
