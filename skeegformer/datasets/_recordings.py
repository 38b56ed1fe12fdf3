"""Recordings of EEGMMI: read, checked, named and labelled, filtered, and cut into epochs."""

import warnings
from dataclasses import dataclass

import mne
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skeegformer._utils.info import electrode_montage
from skeegformer.datasets._channels import SFREQ
from skeegformer.datasets._files import recording_path


def read_runs(root, task, subject):
    """Yield name and recording of each run of a subject that holds something of the task."""
    found = False
    for number, run in enumerate(task.runs):
        file = recording_path(root, subject, run)
        raw = _read_edf(file)
        mne.datasets.eegbci.standardize(raw)
        raw.set_montage(electrode_montage())
        raw.info["line_freq"] = 60.0
        _crop_padding(raw)
        raw.set_annotations(_label(raw, task, number))
        # Subjects 88, 92 and 100 were recorded at 128 Hz; epochs of two rates cannot be joined.
        if raw.info["sfreq"] != SFREQ:
            raw.resample(SFREQ)
        if len(raw.annotations):
            found = True
            yield str(run), raw
        else:
            warnings.warn(f"{file.name} holds no trial of the task and is skipped.", stacklevel=2)
    if not found:
        raise ValueError(f"No recording of subject {subject} holds a trial; leave it out.")


def _label(raw, task, number):
    """Name the cues, without rest and stray marks; at rest label the whole run."""
    if task.is_rest:
        duration, label = raw.n_times / raw.info["sfreq"], task.labels[number]
        return mne.Annotations(0.0, duration, label, orig_time=raw.info["meas_date"])
    labels = dict(zip(("T1", "T2"), task.labels, strict=True))
    cues = raw.annotations[np.isin(raw.annotations.description, list(labels))]
    cues.description = np.array([labels[cue] for cue in cues.description], str)
    return cues


def _read_edf(file):
    """Read an EDF file; one that is damaged, or shorter or longer than its header says, is not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*records from the header")
            return mne.io.read_raw_edf(file, preload=True, verbose="WARNING")
    except Exception as error:
        raise ValueError(
            f"{file} cannot be read as the recording that PhysioNet published "
            f"({type(error).__name__}: {error}). Delete the file to have it downloaded again."
        ) from error


def _crop_padding(raw):
    """Cut off the constant tail with which recordings were filled up to whole seconds."""
    data = raw.get_data()
    alive = np.flatnonzero((data != data[:, -1:]).any(axis=0))
    # The very last sample equals itself: a tail of one is no padding.
    if len(alive) and alive[-1] < raw.n_times - 2:
        raw.crop(tmax=alive[-1] / raw.info["sfreq"])


class _Step(TransformerMixin, BaseEstimator):
    """A step of MOABB without anything to learn; its parameters enter the keys of its cache."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True


@dataclass(eq=False, repr=False)
class PrepareRecording(_Step):
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
class CutWindows(_Step):
    """Cut a recording, which belongs to one condition, into windows that do not overlap."""

    event_id: dict
    window: float
    tmin: float = 0.0
    tmax: float | None = None

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
class CutCues(_Step):
    """Cut one epoch per cue from a recording."""

    event_id: dict
    tmin: float
    tmax: float
    closed: bool = True  # whether the sample at tmax belongs to an epoch, as in MNE and MOABB

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
    """Return the events of a recording that belong to the task."""
    wanted = {label: event_id[label] for label in set(raw.annotations.description)}
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
