"""Open and closed eyes for MOABB's evaluations: a dataset and a paradigm."""

from moabb.datasets.base import BaseDataset
from moabb.paradigms.base import BaseParadigm

from skeegformer._validation import check_band, optional_positive
from skeegformer.datasets._files import fetch_tasks, recording_path
from skeegformer.datasets._recordings import CutWindows, PrepareRecording, read_runs
from skeegformer.datasets._tasks import N_SUBJECTS, TASKS, check_times, event_id

_TASK = TASKS["baseline-eyes"]


class PhysionetEyes(BaseDataset):
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
        super().__init__(
            subjects=list(range(1, N_SUBJECTS + 1)),
            sessions_per_subject=1,
            events=event_id(_TASK),
            code="PhysionetEyes",
            interval=[0, 60],
            paradigm="rstate",
            doi="10.1109/TBME.2004.827072",
            selected_subjects=subjects,
            selected_sessions=sessions,
        )
        self.path = path
        self.runs = list(_TASK.runs)

    # MOABB's own reader asks its mirror over the network even for files that are present, and
    # writes the folder into MNE's configuration.

    def data_path(self, subject, path=None, force_update=False, update_path=None, verbose=None):
        """Return the EDF files of one subject, one per run, downloading those that are missing."""
        if subject not in self.subject_list:
            raise ValueError(f"Subject {subject!r} is not among {self.subject_list}.")
        root = fetch_tasks([_TASK], [subject], self.path if path is None else path)
        return [str(recording_path(root, subject, run)) for run in self.runs]

    def _get_single_subject_data(self, subject):
        """Return the runs of one subject as MOABB wants them: session, run, recording."""
        return {"0": dict(read_runs(fetch_tasks([_TASK], [subject], self.path), _TASK, subject))}


class EyesParadigm(BaseParadigm):
    """MOABB paradigm: open or closed eyes in non-overlapping windows.

    Each recording is filtered, resampled and cut as in `load_eegmmi`.

    Parameters
    ----------
    fmin, fmax : float or None
        Edges of the pass band in Hz; None for none.
    window, tmin, tmax, resample : float or None
        As for `load_eegmmi`.
    scorer : str or callable or None
        As in every MOABB paradigm; None for the area under the ROC curve.

    See Also
    --------
    PhysionetEyes : The dataset for this paradigm.

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
        self, fmin=None, fmax=None, *, window=2.0, tmin=0.0, tmax=None, resample=None, scorer=None
    ):
        check_times(tmin, tmax, window, at_rest=True)
        check_band(fmin, fmax)
        optional_positive("resample", resample, "no change")
        super().__init__(
            filters=[[fmin, fmax]], tmin=tmin, tmax=tmax, resample=resample, scorer=scorer
        )
        self.window = window

    @property
    def scoring(self):
        """Area under the ROC curve, as in MOABB's paradigms of two classes."""
        return "roc_auc" if self.scorer is None else self.scorer

    @property
    def datasets(self):
        """The compatible datasets."""
        return [PhysionetEyes()]

    def is_valid(self, dataset):
        """Return whether a dataset holds whole runs at rest with the classes asked for."""
        return dataset.paradigm == "rstate" and set(_TASK.labels) <= set(dataset.event_id)

    def used_events(self, dataset):
        """Return the codes of the classes that are cut from a dataset."""
        return dict(dataset.event_id)

    def _get_raw_pipelines(self):
        return [PrepareRecording(fmin, fmax, self.resample) for fmin, fmax in self.filters]

    def _get_epochs_pipeline(self, return_epochs, return_raws, dataset):
        """Return the step that cuts a recording into epochs."""
        if return_raws:
            return None
        return CutWindows(self.used_events(dataset), self.window, self.tmin, self.tmax)
