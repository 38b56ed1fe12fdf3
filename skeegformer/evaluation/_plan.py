"""Which fits a benchmark is made of."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import skeegformer
from skeegformer.evaluation._fold import seed_names, with_seed
from skeegformer.evaluation._settings import describe, digest_package, digest_subjects
from skeegformer.evaluation._subjects import INFORMATION

KINDS = tuple(INFORMATION)


@dataclass(frozen=True, eq=False)
class Fit:
    """One pipeline to be fitted once.

    Attributes
    ----------
    task, protocol, information, pipeline : str
        As in the table of scores.
    seed, fold : int
        As in the table of scores.
    estimator : estimator
        Unfitted, before it gets the seed.
    train, test : ndarray of int
        Rows of the epochs.
    settings : dict
        All that decides on the scores.
    n_calibration : int
        How many epochs of each class of each test subject move from the test to the training.
    subject : int, str or None
        Who cannot be calibrated, and so is apart from the others of the fold.
    """

    task: str
    protocol: str
    information: str
    pipeline: str
    seed: int
    fold: int
    estimator: Any = field(repr=False)
    train: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)
    settings: dict = field(repr=False)
    n_calibration: int = 0
    subject: Any = None

    @property
    def labels(self):
        """What the rows of the table say about the fit."""
        names = ("task", "protocol", "information", "pipeline", "seed", "fold")
        return {name: getattr(self, name) for name in names}

    def rows(self, data):
        """Tell the rows to train on and to test, after those for calibration have moved.

        Parameters
        ----------
        data : object
            With the labels ``y`` and the subjects ``groups``.

        Returns
        -------
        train, test : ndarray of int
            Rows.

        Raises
        ------
        ValueError
            If a class of a subject has no epoch left to be tested.
        """
        if not self.n_calibration:
            return self.train, self.test
        moved = [
            self._first_of_each_class(self.test[data.groups[self.test] == subject], data, subject)
            for subject in np.unique(data.groups[self.test]).tolist()
        ]
        moved = np.concatenate(moved)
        return np.union1d(self.train, moved), np.setdiff1d(self.test, moved)

    def _first_of_each_class(self, rows, data, subject):
        """Pick the calibration epochs of one subject."""
        moved = []
        for label in np.unique(data.y).tolist():
            of_class = rows[data.y[rows] == label]
            if len(of_class) <= self.n_calibration:
                raise ValueError(
                    f"Subject {subject} has {len(of_class)} epochs of class "
                    f"{label!r}, too few to calibrate with {self.n_calibration} and to "
                    "test others."
                )
            moved.append(of_class[: self.n_calibration])
        return np.concatenate(moved)


def plan_task(task, data, protocol, pipelines, seeds, n_calibration):
    """List the fits of one task, in the order of its table.

    Parameters
    ----------
    task : str
        Its name.
    data : object
        With ``X``, ``y`` and ``groups``.
    protocol : LeaveOneSubjectOut, SubjectFolds or FixedSplit
        Makes the folds.
    pipelines : dict of {str: dict of {str: estimator}}
        By kind of information and by name.
    seeds : list of int
        For pipelines that take one; others are run with the first alone.
    n_calibration : int
        For "calibrated".

    Returns
    -------
    list of Fit
        All of them, finished or not.

    Raises
    ------
    ValueError
        If a part of the protocol is empty, or a strict pipeline is not.
    """
    folds = protocol.folds(data.groups)
    short = _too_short(data, n_calibration) if "calibrated" in pipelines else []
    shape, digests = digest_subjects(data.X, data.y, data.groups)
    fits = []
    for kind, named in pipelines.items():
        for name, estimator in named.items():
            if kind == "strict":
                _refuse_alignment(name, estimator)
            for seed in seeds if seed_names(estimator) else seeds[:1]:
                text = describe(with_seed(estimator, seed))
                for fold in folds:
                    for subject, test in _tests(fold, data.groups, short, kind):
                        labels = {
                            "task": task,
                            "protocol": protocol.name,
                            "information": kind,
                            "pipeline": name,
                            "seed": seed,
                        }
                        settings = labels | {
                            "parameters": text,
                            "n_calibration": n_calibration if kind == "calibrated" else 0,
                            **_whose(data.groups[fold.train], data.groups[test], digests),
                            "epochs": [len(fold.train), len(test), *shape],
                            "version": skeegformer.__version__,
                            "code": digest_package(),
                        }
                        fits.append(
                            Fit(
                                **labels,
                                fold=fold.number,
                                estimator=estimator,
                                train=fold.train,
                                test=test,
                                settings=settings,
                                n_calibration=settings["n_calibration"],
                                subject=subject,
                            )
                        )
    return fits


def _too_short(data, n_calibration):
    """Name the subjects that have no epoch of some class left after those for calibration."""
    labels = np.unique(data.y)
    return [
        subject
        for subject in np.unique(data.groups).tolist()
        if min((data.y[data.groups == subject] == label).sum() for label in labels) <= n_calibration
    ]


def _tests(fold, groups, short, kind):
    """List what is tested by one model: the fold, but for those that cannot be calibrated.

    Each of them has a fit of its own, which will fail, so that the others have theirs.
    """
    if kind != "calibrated":
        return [(None, fold.test)]
    who = groups[fold.test]
    alone = [subject for subject in short if subject in who]
    parts = [(None, fold.test[~np.isin(who, alone)])]
    parts += [(subject, fold.test[who == subject]) for subject in alone]
    return [(subject, test) for subject, test in parts if len(test)]


def _whose(train, test, digests):
    """Name the subjects of both sides, and sum up what their epochs and labels are."""
    named = {side: np.unique(groups) for side, groups in (("train", train), ("test", test))}
    content = hashlib.sha256()
    for subject in (subject for subjects in named.values() for subject in subjects):
        content.update(digests[subject])
    return {side: subjects.tolist() for side, subjects in named.items()} | {
        "data": content.hexdigest()[:32]
    }


def _refuse_alignment(name, estimator):
    """Refuse a step that uses unlabelled epochs of whom it predicts."""
    from skeegformer.preprocessing import EuclideanAlignment

    for parameter, part in _parts(estimator):
        adapts = parameter.rpartition("__")[2] == "adapt" and isinstance(part, bool | np.bool_)
        if (adapts and part) or isinstance(part, EuclideanAlignment):
            how = "adapt=True" if adapts else "EuclideanAlignment"
            raise ValueError(
                f"The pipeline {name!r} aligns test subjects with their own unlabelled epochs "
                f"({how}), so it is not 'strict'; pass it as 'transductive'."
            )


def _parts(value, parameter=""):
    """List an estimator, its parameters and, for searches, the values that they may take."""
    yield parameter, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _parts(inner, str(name))
    elif isinstance(value, np.ndarray) and value.dtype in (bool, object):
        yield from _parts(list(value.ravel()), parameter)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _parts(inner, parameter)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        for name, inner in value.get_params(deep=False).items():
            yield from _parts(inner, name)
