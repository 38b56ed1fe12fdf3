"""The tasks of the benchmark on the EEG Motor Movement/Imagery Dataset."""

from skeegformer._validation import check_one_of
from skeegformer.datasets._tasks import BENCHMARK_TASKS, STANDARD_TASKS

__all__ = ["BENCHMARK_TASKS", "STANDARD_TASKS", "load_benchmark_task"]


def load_benchmark_task(task, subjects=None):
    """Load one task of the benchmark with the defaults of `load_eegmmi`.

    Parameters
    ----------
    task : str
        One of `BENCHMARK_TASKS`; "four-class-imagination" combines the imagery of the left and
        right fist with that of both fists and both feet.
    subjects : iterable of int or None, default=None
        Subjects, 1 to 109; None for all.

    Returns
    -------
    X : mne.Epochs
        Unfiltered epochs at 160 Hz; those of a class and subject are in chronological order.
    y : ndarray of str of shape (n_epochs,)
        Labels.
    metadata : pandas.DataFrame of shape (n_epochs, 4)
        With the column ``subject``.

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
