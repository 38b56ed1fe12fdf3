"""Who is trained on and tested, and what is refused since its scores would mean something else."""

import warnings
from numbers import Integral

import mne
import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)

from skeegformer._validation import as_epochs, is_epochs, plain_labels, validate_groups
from skeegformer.evaluation._subjects import name_subjects
from skeegformer.preprocessing import EuclideanAlignment


def check_epochs(X, y, groups, of_task=""):
    """Check that epochs, joined if they are a list, labels and subjects belong together."""
    if hasattr(groups, "columns"):
        if "subject" not in groups:
            raise ValueError(
                "groups is a table without the column 'subject', which says whom epochs are from; "
                "rename that column, or pass it."
            )
        groups = groups["subject"]
    if groups is None:
        raise ValueError("groups=None: say which subject each epoch is from.")
    X = as_epochs(X) if is_epochs(X) and not isinstance(X, mne.BaseEpochs) else X
    y = plain_labels("y", y)
    if len(y) != len(X):
        raise ValueError(f"X{of_task} has {len(X)} epochs, but y has {len(y)} labels.")
    return X, y, validate_groups(groups, len(X))


def refuse_alignment(pipelines, reason):
    """Refuse pipelines that align or centre each subject, by a step or in a search."""
    for name, estimator in pipelines.items():
        for parameter, value in parts(estimator):
            adapts = parameter.rpartition("__")[2] == "adapt" and isinstance(value, bool | np.bool_)
            if (adapts and value) or isinstance(value, EuclideanAlignment):
                how = "adapt=True" if adapts else "EuclideanAlignment"
                raise ValueError(
                    f"The pipeline {name!r} aligns test subjects with their own unlabelled epochs "
                    f"({how}), {reason}"
                )


def refuse_centring(pipelines, y, groups):
    """Refuse pipelines that align each subject, where every subject has one class only."""
    if has_one_class_each(y, groups):
        refuse_alignment(
            pipelines,
            "but every subject has epochs of one class only: what distinguishes subjects, and so "
            "the classes, would be taken away. Leave that step out.",
        )


def parts(value, parameter=""):
    """List an estimator, its parameters and, for searches, the values that they may take."""
    yield parameter, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from parts(inner, str(name))
    elif isinstance(value, list | tuple) or getattr(value, "dtype", None) in (bool, object):
        for inner in np.ravel(value) if isinstance(value, np.ndarray) else value:
            yield from parts(inner, parameter)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        for name, inner in value.get_params(deep=False).items():
            yield from parts(inner, name)


def split_subjects(cv, y, groups):
    """Split epochs such that nobody is on both sides, stratified where subjects have one class."""
    subjects, first = np.unique(groups, return_index=True)
    one_class = has_one_class_each(y, groups)
    if len(subjects) < 2:
        raise ValueError(
            "Testing on other subjects needs at least 2 of them, but there is only "
            f"{name_subjects(subjects.tolist())}."
        )
    if isinstance(cv, Integral):
        counts = np.unique(y[first], return_counts=True)[1] if one_class else [len(subjects)]
        if not 2 <= cv <= min(counts):
            raise ValueError(
                f"cv={cv}: there have to be at least 2 folds, and as many subjects"
                f"{' of each class' * one_class} as folds, but there are {min(counts)}."
            )
        n_folds, cv = int(cv), GroupKFold(int(cv))
        if one_class:  # every fold tests the same share of every class
            folds = StratifiedKFold(n_folds).split(subjects, y[first])
            cv = [[np.flatnonzero(np.isin(groups, subjects[k])) for k in sides] for sides in folds]
    rows = np.arange(len(y))  # of which a splitter may give masks
    splits = [(rows[a], rows[b]) for a, b in check_cv(cv).split(rows, y, groups)]
    if not splits:
        raise ValueError(f"cv={cv!r} has no splits; give at least one, or a number of folds.")
    for train, test in splits:
        both = np.intersect1d(groups[train], groups[test])
        if len(both):
            raise ValueError(f"The splitter puts epochs of subject {both[0]} on both sides.")
    tested = [y[test] for _, test in splits if len(np.unique(groups[test])) > 1]
    if one_class and any(len(np.unique(labels)) < 2 for labels in tested):
        warnings.warn(
            "Every subject has epochs of one class only, and a fold tests subjects of one class: "
            "pass a number of folds or StratifiedGroupKFold as cv.",
            stacklevel=3,
        )
    return splits


def has_one_class_each(y, groups):
    """Tell whether there are several classes, but each subject has epochs of one only."""
    pairs = set(zip(groups.tolist(), y.tolist(), strict=True))
    return len(pairs) == len(np.unique(groups)) and len(np.unique(y)) > 1


def cv_name(cv):
    """Name a splitter in a table of scores: "4-fold", "leave-one-subject-out", "fixed-split"."""
    if isinstance(cv, Integral):
        return f"{cv}-fold"
    if isinstance(cv, LeaveOneGroupOut):
        return "leave-one-subject-out"
    if isinstance(cv, GroupKFold | StratifiedGroupKFold) and not cv.shuffle:
        return f"{cv.n_splits}-fold" + ", stratified" * isinstance(cv, StratifiedGroupKFold)
    return str(cv) if hasattr(cv, "split") else "splits as given"
