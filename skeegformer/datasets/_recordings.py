"""The recordings as MOABB datasets: read, checked, named and labelled."""

import warnings

import mne
import numpy as np
from moabb.datasets import PhysionetMI
from moabb.datasets.base import BaseDataset

from skeegformer._utils.info import electrode_montage
from skeegformer.datasets._channels import SFREQ
from skeegformer.datasets._files import data_root, fetch, recording_path
from skeegformer.datasets._tasks import N_SUBJECTS, TASKS, event_id


class _Recordings:
    """Reading of recordings.

    MOABB's own reader asks its mirror over the network even for files that are present, and
    writes the folder into MNE's configuration.
    """

    nemar_id = None

    def data_path(self, subject, path=None, force_update=False, update_path=None, verbose=None):
        """Return the EDF files of one subject, one per run, downloading those that are missing."""
        if subject not in self.subject_list:
            raise ValueError(f"Subject {subject!r} is not among {self.subject_list}.")
        root = data_root(self.path if path is None else path)
        fetch(root, [(subject, run) for run in self.runs], force=force_update)
        return [str(recording_path(root, subject, run)) for run in self.runs]

    def _get_single_subject_data(self, subject):
        """Return the runs of one subject as MOABB wants them: session, run, recording."""
        root = data_root(self.path)
        fetch(root, [(subject, run) for run in self.runs])
        raws = {str(run): self._read(root, subject, run) for run in self.runs}
        raws = {run: raw for run, raw in raws.items() if len(raw.annotations)}
        if not raws:
            raise ValueError(f"No recording of subject {subject} holds a trial; leave it out.")
        return {"0": raws}

    def _read(self, root, subject, run):
        """Read and label one recording."""
        file = recording_path(root, subject, run)
        raw = _read_edf(file)
        mne.datasets.eegbci.standardize(raw)
        raw.set_montage(electrode_montage())
        raw.info["line_freq"] = 60.0
        _crop_padding(raw)
        self._label(raw, run)
        if not len(raw.annotations):
            warnings.warn(f"{file.name} holds no trial of the task and is skipped.", stacklevel=2)
        # Subjects 88, 92 and 100 were recorded at 128 Hz; MOABB cannot join two frequencies.
        if raw.info["sfreq"] != SFREQ:
            raw.resample(SFREQ)
        return raw


class PhysionetEyes(_Recordings, BaseDataset):
    """Resting recordings with open and with closed eyes, as a MOABB dataset.

    The first two runs of the EEG Motor Movement/Imagery Dataset (see `load_eegmmi`), "1" and "2":
    one minute at rest with open eyes, and one with closed eyes.

    Parameters
    ----------
    subjects : iterable of int or None
        Subjects, 1 to 109; None for all.
    sessions : iterable of int or None
        As in every MOABB dataset; there is a single session, 0.
    path : path-like or None
        Folder that contains ``MNE-eegbci-data``, as for `load_eegmmi`.

    See Also
    --------
    EyesParadigm : Cuts these recordings into epochs.
    load_eegmmi : Epochs, labels and metadata in one call.

    Examples
    --------
    >>> from skeegformer.datasets import PhysionetEyes
    >>> dataset = PhysionetEyes(subjects=[1, 2])
    >>> dataset.event_id
    {'eyes-open': 1, 'eyes-closed': 2}
    """

    def __init__(self, subjects=None, sessions=None, *, path=None):
        task = TASKS["baseline-eyes"]
        super().__init__(
            subjects=list(range(1, N_SUBJECTS + 1)),
            sessions_per_subject=1,
            events=event_id(task),
            code="PhysionetEyes",
            interval=[0, 60],
            paradigm="rstate",
            doi="10.1109/TBME.2004.827072",
            selected_subjects=subjects,
            selected_sessions=sessions,
        )
        self.path = path
        self.runs = list(task.runs)
        self._label_of_run = dict(zip(task.runs, task.labels, strict=True))

    def _label(self, raw, run):
        """Give the whole recording the label of its run, whatever its annotations say."""
        label = self._label_of_run[run]
        duration = raw.n_times / raw.info["sfreq"]
        raw.set_annotations(mne.Annotations(0.0, duration, label, orig_time=raw.info["meas_date"]))


class PhysioMI(_Recordings, PhysionetMI):
    """MOABB's ``PhysionetMI``, narrowed to the runs of one motor task and to our labels."""

    def __init__(self, task, subjects=None, *, path=None):
        imagined = task.name.endswith("-imagination")
        super().__init__(imagined=imagined, executed=not imagined, subjects=subjects)
        self.path = path
        self.runs = list(task.runs)
        self.event_id = self.events = event_id(task)
        self._label_of_cue = dict(zip(("T1", "T2"), task.labels, strict=True))

    def _label(self, raw, run):
        """Rename the two cues and drop everything else, rest and stray marks alike."""
        cues = raw.annotations[np.isin(raw.annotations.description, list(self._label_of_cue))]
        cues.description = np.array([self._label_of_cue[cue] for cue in cues.description], str)
        raw.set_annotations(cues)


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
