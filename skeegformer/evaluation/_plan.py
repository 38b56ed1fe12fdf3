"""Which fits a benchmark is made of."""

from dataclasses import dataclass

import joblib
import numpy as np

from skeegformer import __version__
from skeegformer.evaluation._fold import seed_names
from skeegformer.evaluation._splitting import (
    check_epochs,
    has_one_class_each,
    refuse_alignment,
    refuse_centring,
    split_subjects,
)
from skeegformer.evaluation._store import describe


@dataclass(frozen=True, eq=False)
class Fit:
    """One pipeline to be fitted once."""

    labels: dict  # task, protocol, information, pipeline, seed, fold
    settings: dict  # all that decides on the scores
    estimator: object
    split: tuple  # positions of the epochs to train on and to test


def load_data(load, task):
    """Load a task, and check that epochs, labels and subjects belong together."""
    loaded = load(task) if callable(load) else None
    if not isinstance(loaded, tuple) or len(loaded) != 3:
        raise TypeError("load has to be a function of a task that returns X, y and subjects.")
    X, y, groups = loaded
    return check_epochs(X, y, groups, f" of {task!r}")


def plan_fits(labels, y, groups, content, cv, pipelines, seeds, n_calibration):
    """List the fits of one task and kind of information, and subjects that have to be left out."""
    kind = labels["information"]
    if not pipelines:
        raise ValueError(f"There are no pipelines for {kind!r} on {labels['task']!r}.")
    if kind == "calibrated" and has_one_class_each(y, groups):
        raise ValueError(
            "Every subject has epochs of one class only, so there is nothing to calibrate with."
        )
    refuse_centring(pipelines, y, groups)
    if kind == "strict":
        refuse_alignment(pipelines, "so it is not 'strict'; pass it as 'transductive'.")
    settings = {
        "n_calibration": n_calibration if kind == "calibrated" else 0,
        "data": content,
        "version": __version__,
    }
    splits = [(train, test, {}) for train, test in split_subjects(cv, y, groups)]
    if kind == "calibrated":
        splits = [_move_calibration(*split[:2], y, groups, n_calibration) for split in splits]
    fits, failures = [], []
    for name, estimator in pipelines.items():
        settings["parameters"] = describe(estimator)
        for seed in seeds if seed_names(estimator) else seeds[:1]:
            for fold, (train, test, short) in enumerate(splits):
                own = labels | {"pipeline": name, "seed": seed, "fold": fold}
                failures += [own | {"subject": who, "error": why} for who, why in short.items()]
                if not len(test):
                    continue
                sides = {
                    "train": np.unique(groups[train]).tolist(),
                    "test": np.unique(groups[test]).tolist(),
                    "epochs": joblib.hash([train.tolist(), test.tolist()]),
                }
                fits.append(Fit(own, own | settings | sides, estimator, (train, test)))
    return fits, failures


def _move_calibration(train, test, y, groups, n_calibration):
    """Train on the first epochs of each class of test subjects; name those who have too few."""
    moved, tested, short = [], [], {}
    for subject in np.unique(groups[test]).tolist():
        own = test[groups[test] == subject]
        by_class = {label: own[y[own] == label] for label in np.unique(y).tolist()}
        label, fewest = min(by_class.items(), key=lambda item: len(item[1]))
        if len(fewest) <= n_calibration:
            short[subject] = (
                f"Subject {subject} has {len(fewest)} epochs of class {label!r}, too few to "
                f"calibrate with {n_calibration} and to test others."
            )
            continue
        first = np.concatenate([rows[:n_calibration] for rows in by_class.values()])
        moved.append(first)
        tested.append(np.setdiff1d(own, first))
    if not tested:
        return train, test[:0], short
    return np.union1d(train, np.concatenate(moved)), np.sort(np.concatenate(tested)), short
