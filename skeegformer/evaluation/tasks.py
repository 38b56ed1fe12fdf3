"""The tasks of the benchmark on the EEG Motor Movement/Imagery Dataset."""

from skeegformer._validation import check_one_of
from skeegformer.datasets._tasks import TASKS

# The four that "all" stands for come first: nobody moves in them.
BENCHMARK_TASKS = {
    "baseline-eyes": ("baseline-eyes",),
    "fist-imagination": ("fist-imagination",),
    "fist_feet-imagination": ("fist_feet-imagination",),
    "four-class-imagination": ("fist-imagination", "fist_feet-imagination"),
    "fist-motion": ("fist-motion",),
    "fist_feet-motion": ("fist_feet-motion",),
}
STANDARD_TASKS = tuple(BENCHMARK_TASKS)[:4]


def load_benchmark_task(task, subjects=None):
    """Load one task of the benchmark, as `load_eegmmi` with its defaults.

    Parameters
    ----------
    task : str
        One of `BENCHMARK_TASKS`; "four-class-imagination" joins the imagery of the left and
        right fist with that of both fists and both feet.
    subjects : iterable of int or None, default=None
        Subjects, 1 to 109; None for all.

    Returns
    -------
    X : mne.Epochs
        Epochs at 160 Hz, unfiltered; those of a class and subject in the order of time.
    y : ndarray of str of shape (n_epochs,)
        Labels.
    metadata : pandas.DataFrame of shape (n_epochs, 4)
        With the column ``subject``.

    Raises
    ------
    ValueError, FileNotFoundError
        As in `load_eegmmi`.

    Examples
    --------
    >>> from skeegformer.evaluation import load_benchmark_task
    >>> X, y, metadata = load_benchmark_task("four-class-imagination", [1, 2])  # doctest: +SKIP
    >>> sorted(set(y))  # doctest: +SKIP
    ['feet-imag', 'fists-imag', 'left-fist-imag', 'right-fist-imag']
    """
    from skeegformer.datasets import load_eegmmi

    check_one_of("task", task, tuple(BENCHMARK_TASKS))
    return load_eegmmi(list(BENCHMARK_TASKS[task]), subjects)


def recorded_subjects(task):
    """List the subjects whose recordings of a task are on this machine.

    Parameters
    ----------
    task : str
        One of `BENCHMARK_TASKS`.

    Returns
    -------
    list of int
        Those who need no download.
    """
    from skeegformer.datasets._files import data_root, recording_path
    from skeegformer.datasets._tasks import N_SUBJECTS

    check_one_of("task", task, tuple(BENCHMARK_TASKS))
    root = data_root()
    runs = [run for name in BENCHMARK_TASKS[task] for run in TASKS[name].runs]
    return [
        subject
        for subject in range(1, N_SUBJECTS + 1)
        if all(recording_path(root, subject, run).is_file() for run in runs)
    ]
