"""The five tasks: which runs hold them, and what their annotations mean."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One task of the EEG Motor Movement/Imagery Dataset.

    Parameters
    ----------
    name : str
        Name of the task.
    runs : tuple of int
        PhysioNet's numbers of the runs that hold it.
    labels : tuple of str
        The two classes: of the first and the second run at rest, of T1 and T2 otherwise.
    """

    name: str
    runs: tuple
    labels: tuple

    @property
    def is_rest(self):
        """Whether whole runs, and not single trials, belong to a class."""
        return self.name == "baseline-eyes"


TASKS = {
    task.name: task
    for task in (
        Task("baseline-eyes", (1, 2), ("eyes-open", "eyes-closed")),
        Task("fist-motion", (3, 7, 11), ("left-fist-move", "right-fist-move")),
        Task("fist-imagination", (4, 8, 12), ("left-fist-imag", "right-fist-imag")),
        Task("fist_feet-motion", (5, 9, 13), ("fists-move", "feet-move")),
        Task("fist_feet-imagination", (6, 10, 14), ("fists-imag", "feet-imag")),
    )
}

_CODES = {
    label: code
    for code, label in enumerate((label for task in TASKS.values() for label in task.labels), 1)
}


def event_id(task):
    """Return the event codes of a task; no two tasks share one, so that tasks can be joined.

    Parameters
    ----------
    task : Task
        The task.

    Returns
    -------
    dict of str to int
        Code of each of the two labels.
    """
    return {label: _CODES[label] for label in task.labels}
