"""The five tasks: which runs hold them, what their annotations mean, and who took part."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real

N_SUBJECTS = 109


@dataclass(frozen=True)
class Task:
    """One task of the EEG Motor Movement/Imagery Dataset."""

    name: str
    runs: tuple  # PhysioNet's numbers
    labels: tuple  # of the first and the second run at rest, of T1 and T2 otherwise

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

_LABELS = [label for task in TASKS.values() for label in task.labels]
_CODES = {label: code for code, label in enumerate(_LABELS, 1)}


def event_id(task):
    """Return label to event code of a task; no two share one, so that tasks can be joined."""
    return {label: _CODES[label] for label in task.labels}


def check_tasks(task):
    """Return the tasks that were asked for, once each."""
    several = isinstance(task, Iterable) and not isinstance(task, str)
    names = list(task) if several else [task]
    if names == ["all"]:
        names = list(TASKS)
    unknown = [name for name in names if not isinstance(name, str) or name not in TASKS]
    if unknown or not names:
        problem = f"Unknown task {unknown[0]!r}" if unknown else "No task was given"
        raise ValueError(f"{problem}; the tasks are {', '.join(TASKS)}, or 'all' on its own.")
    return [TASKS[name] for name in dict.fromkeys(names)]


def check_subjects(subjects):
    """Return the subjects that were asked for, once each, as plain integers."""
    if subjects is None:
        return list(range(1, N_SUBJECTS + 1))
    several = isinstance(subjects, Iterable) and not isinstance(subjects, str)
    subjects = list(subjects) if several else [subjects]
    if not subjects:
        raise ValueError(f"No subject was given; name some of 1 to {N_SUBJECTS}, or None for all.")
    for subject in subjects:
        is_whole = isinstance(subject, Integral) and not isinstance(subject, bool)
        if not is_whole or not 1 <= subject <= N_SUBJECTS:
            raise ValueError(f"Subject {subject!r} does not exist; they are 1 to {N_SUBJECTS}.")
    return list(dict.fromkeys(int(subject) for subject in subjects))


def check_times(tmin, tmax, window, at_rest=False):
    """Refuse a time range or a window without any length, or a recording before its start."""
    times = {"tmin": tmin, "tmax": tmin if tmax is None else tmax, "window": window}
    for name, value in times.items():
        if not isinstance(value, Real) or not abs(value) < math.inf:
            raise ValueError(f"{name}={value!r} is not a number of seconds.")
    if not window > 0:
        raise ValueError(f"window={window} s is not a length; give a positive number of seconds.")
    if tmax is not None and not tmax > tmin:
        raise ValueError(f"tmax={tmax} s is not after tmin={tmin} s; give a later tmax.")
    if at_rest and tmin < 0:
        raise ValueError(f"tmin={tmin} s lies before the recording; it must be 0 or later.")
