"""The EEG Motor Movement/Imagery Dataset of PhysioNet, as epochs, labels and metadata."""

import mne
import numpy as np
import pandas as pd

from skeegformer._validation import check_band, optional_positive
from skeegformer.datasets._channels import SFREQ
from skeegformer.datasets._files import fetch_tasks
from skeegformer.datasets._recordings import CutCues, CutWindows, PrepareRecording, read_runs
from skeegformer.datasets._tasks import check_subjects, check_tasks, check_times, event_id

_MOTOR_TMAX = 3.0  # seconds after the cue: the interval that MOABB gives this dataset


def load_eegmmi(
    task,
    subjects=None,
    *,
    tmin=0.0,
    tmax=None,
    window=2.0,
    l_freq=None,
    h_freq=None,
    resample=None,
    path=None,
):
    """Load epochs of the EEG Motor Movement/Imagery Dataset.

    The dataset has 109 subjects, recorded with 64 electrodes at 160 Hz [1]_, [2]_. Missing
    recordings are downloaded from PhysioNet and verified by its checksums; if none are missing, no
    network is used.

    Parameters
    ----------
    task : str or list of str
        One task, a list of tasks, or ``"all"`` for all five:

        ======================== ============ ======================================
        task                     runs         labels
        ======================== ============ ======================================
        "baseline-eyes"          1, 2         "eyes-open", "eyes-closed"
        "fist-motion"            3, 7, 11     "left-fist-move", "right-fist-move"
        "fist-imagination"       4, 8, 12     "left-fist-imag", "right-fist-imag"
        "fist_feet-motion"       5, 9, 13     "fists-move", "feet-move"
        "fist_feet-imagination"  6, 10, 14    "fists-imag", "feet-imag"
        ======================== ============ ======================================
    subjects : int or iterable of int or None
        Subjects, 1 to 109; None for all. Duplicates are ignored.
    tmin : float
        Motor tasks: start of an epoch relative to its cue, in seconds. ``"baseline-eyes"`` alone:
        start of the first window in the recording.
    tmax : float or None
        Motor tasks: end of an epoch relative to its cue, in seconds; None for 3 s.
        ``"baseline-eyes"`` alone: latest end of the last window in the recording; None for the end
        of the recording.
    window : float
        Length in seconds of the non-overlapping windows of ``"baseline-eyes"``; see the notes.
    l_freq, h_freq : float or None
        Edges of the pass band in Hz; None for none.
    resample : float or None
        Sampling frequency in Hz of the result; None for 160 Hz.
    path : path-like or None
        Folder that contains ``MNE-eegbci-data``, or to which it is downloaded. None for the one in
        ``MNE_DATASETS_EEGBCI_PATH`` or ``MNE_DATA``, else ``~/mne_data``. No setting is changed.

    Returns
    -------
    X : mne.Epochs of 64 channels
        The epochs, by task and, within tasks, by subject, in the order requested. Their event names
        are the labels in `y`, and they contain `metadata`.
    y : ndarray of str of shape (n_epochs,)
        The labels.
    metadata : pandas.DataFrame of shape (n_epochs, 4)
        ``subject`` (int), ``session`` (always "0"), ``run`` (PhysioNet's number of the run, a
        str such as "12") and ``task``.

    Raises
    ------
    ValueError
        If a task or subject is unknown or none is given, times or frequencies are invalid, or a
        file is damaged.
    FileNotFoundError
        If `path` does not exist, or recordings are missing and cannot be downloaded.

    See Also
    --------
    PhysionetEyes : The runs at rest, for MOABB's evaluations.
    make_simulated_eeg : Epochs with known sources, without any download.

    Notes
    -----
    *Length of an epoch.* Windows of ``"baseline-eyes"`` have exactly ``window * sfreq`` samples,
    320 by default. Epochs of motor tasks include the sample at `tmax`, as in MNE and MOABB: 481
    samples by default. If both are loaded together, all epochs have exactly the length `window`,
    and those of motor tasks start `tmin` after their cues.

    *Processing.* A recording is filtered (MNE's default FIR filter, zero phase), then resampled,
    then cut; no baseline is subtracted. Subjects 88, 92 and 100 were recorded at 128 Hz and are
    always resampled to 160 Hz. The constant samples that fill recordings up to whole seconds are
    removed. Incomplete trials at the end of a recording, and annotations other than cues, are left
    out. Incomplete files are never read.

    References
    ----------
    .. [1] Schalk et al. (2004), BCI2000: a general-purpose brain-computer interface (BCI) system.
       IEEE Transactions on Biomedical Engineering 51(6). doi:10.1109/TBME.2004.827072
    .. [2] Goldberger et al. (2000), PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23).
       doi:10.1161/01.CIR.101.23.e215

    Examples
    --------
    >>> from skeegformer import load_eegmmi
    >>> X, y, metadata = load_eegmmi("baseline-eyes", subjects=[1, 2])  # doctest: +SKIP
    >>> X.get_data().shape  # doctest: +SKIP
    (120, 64, 320)
    >>> metadata.groupby(["subject", "run"]).size().tolist()  # doctest: +SKIP
    [30, 30, 30, 30]
    """
    tasks, subjects = check_tasks(task), check_subjects(subjects)
    steps = make_steps(tasks, tmin, tmax, window, (l_freq, h_freq), resample)
    root = fetch_tasks(tasks, subjects, path)
    return load_subjects(tasks, subjects, steps, root, tmin=tmin)


def make_steps(tasks, tmin, tmax, window, band, resample, *, exact=False):
    """Return how recordings are prepared, and how those of each task are cut."""
    # All epochs get the same length: that of a window for `exact` ones, or with windows at rest.
    at_rest = [task.is_rest for task in tasks]
    check_times(tmin, tmax, window, at_rest=at_rest == [True])
    check_band(*band, SFREQ, seconds=60)
    optional_positive("resample", resample, "no change")
    codes = [event_id(task) for task in tasks]
    if at_rest == [True]:
        cutters = [CutWindows(codes[0], window, tmin, tmax)]
    elif not exact and not any(at_rest):
        tmax = _MOTOR_TMAX if tmax is None else tmax
        check_times(tmin, tmax, window)
        cutters = [CutCues(code, tmin, tmax) for code in codes]
    elif tmax is not None and not np.isclose(tmax - tmin, window):
        raise ValueError(
            f"tmin={tmin} s and tmax={tmax} s make epochs of {tmax - tmin:g} s, but all epochs "
            f"must be equally long, and windows last window={window} s. Leave tmax out, change "
            "`window`, or load 'baseline-eyes' on its own."
        )
    else:
        cutters = [
            CutWindows(code, window) if rest else CutCues(code, tmin, tmin + window, closed=False)
            for code, rest in zip(codes, at_rest, strict=True)
        ]
    return PrepareRecording(*band, resample), cutters


def load_subjects(tasks, subjects, steps, root, *, tmin):
    """Load recordings that are there, task by task and subject by subject, and join them."""
    prepare, cutters = steps
    blocks, tables = [], []
    # Windows at rest have no cue to count from, but MNE joins only epochs whose times agree.
    start = 0.0 if [task.is_rest for task in tasks] == [True] else tmin
    with mne.use_log_level("WARNING"):  # else a dozen lines for every run
        for task, cutter in zip(tasks, cutters, strict=True):
            for subject in subjects:
                for run, raw in read_runs(root, task, subject):
                    block = cutter.transform(prepare.transform(raw)).set_annotations(None)
                    blocks.append(block.shift_time(start, relative=False))
                    names = {"subject": subject, "session": "0", "run": run, "task": task.name}
                    tables.append(pd.DataFrame(names, index=range(len(block))))
        X = mne.concatenate_epochs(blocks, verbose="ERROR")
    X.metadata = pd.concat(tables, ignore_index=True)
    labels = {code: label for label, code in X.event_id.items()}
    y = np.array([labels[code] for code in X.events[:, 2]])
    return X, y, X.metadata.copy()
