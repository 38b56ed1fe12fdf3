"""One fold: fit on some subjects, score each of the others."""

import copy
import time
import warnings
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

import numpy as np
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from skeegformer._utils.routing import SEARCHES, groups_for_fit, routed_groups
from skeegformer._validation import MappedEpochs, is_epochs
from skeegformer.evaluation._splitting import has_one_class_each

_ONE_AT_A_TIME = Lock()


def score_fold(pipeline, X, y, groups, train, test, *, seed, information=None):
    """Fit on one fold and score each of its test subjects: a row for each."""
    # What each kind of `information` is, `run_benchmark` says; None predicts all epochs at once,
    # and hands their groups to those steps that ask for it.
    pipeline = clone(pipeline)
    pipeline.set_params(**dict.fromkeys(seed_names(pipeline), seed))  # None of what is frozen
    pipeline, fit_seconds = fit_on(pipeline, X, y, groups, train)

    own = [test[groups[test] == subject] for subject in np.unique(groups[test])]
    blocks = own if information in ("transductive", "calibrated") else [test]
    has_proba = hasattr(pipeline, "predict_proba")
    predicted, predict_seconds = np.empty_like(y), 0.0
    proba = np.full((len(y), len(pipeline.classes_)), np.nan) if has_proba else None
    for block in blocks:
        X_test, block_groups = take(X, block), groups[block]
        if information == "strict":
            X_test, block_groups = without_metadata(X_test), None
        routed = routed_groups(pipeline, "predict", block_groups)
        start = time.perf_counter()
        predicted[block] = pipeline.predict(X_test, **routed)
        predict_seconds += time.perf_counter() - start
        if has_proba:
            routed = routed_groups(pipeline, "predict_proba", block_groups)
            proba[block] = pipeline.predict_proba(X_test, **routed)

    score = _score_people if has_one_class_each(y, groups) else _score_epochs
    scores = score(own, y, predicted, proba, pipeline.classes_)
    return [
        {
            "subject": groups[rows[0]].item(),
            "n_epochs": len(rows),
            "n_train_subjects": len(np.unique(groups[train])),
            "n_train_epochs": len(train),
            **found,
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
        }
        for rows, found in zip(own, scores, strict=True)
    ]


def _score_epochs(own, y, predicted, proba, classes):
    """Score each subject over its epochs; NaN for what it or its classifier does not give."""
    for rows in own:
        truth, auc, brier = y[rows], np.nan, np.nan
        # A class that was not trained on has no column, and no subject can be blamed for it.
        if proba is not None and np.isin(truth, classes).all():
            brier = _brier(truth, proba[rows], classes)
            if len(np.unique(truth)) == len(classes) > 1:
                # Each class against the others; of two, both areas are the same.
                columns = range(len(classes)) if len(classes) > 2 else [1]
                auc = np.mean([roc_auc_score(truth == classes[k], proba[rows, k]) for k in columns])
        yield {
            "balanced_accuracy": float(balanced_accuracy_score(truth, predicted[rows])),
            "roc_auc": float(auc),
            "brier_score": brier,
        }


def _score_people(own, y, predicted, proba, classes):
    """Score each subject as one case, by its mean probabilities or its most frequent prediction."""
    labels = np.array([y[rows[0]] for rows in own])
    if proba is None:
        found = [np.unique(predicted[rows], return_counts=True) for rows in own]
        decided = [values[counts.argmax()] for values, counts in found]
    else:
        means = np.stack([proba[rows].mean(axis=0) for rows in own])
        decided = classes[means.argmax(axis=1)]
    for case, label in enumerate(labels):
        auc = brier = np.nan
        if proba is not None and label in classes:
            brier = _brier(labels[[case]], means[[case]], classes)
            column = means[:, np.flatnonzero(classes == label)[0]]
            others = column[labels != label]
            if len(others):
                auc = np.mean((column[case] > others) + 0.5 * (column[case] == others))
        yield {
            "label": label.item(),
            "balanced_accuracy": float(decided[case] == label),
            "roc_auc": float(auc),
            "brier_score": brier,
        }


def _brier(truth, proba, classes):
    """Compute the Brier score of probabilities whose sum float32 has rounded."""
    if len(classes) < 2:
        return np.nan
    proba = proba / proba.sum(axis=1, keepdims=True)
    return float(brier_score_loss(truth, proba, labels=classes))


def fit_on(pipeline, X, y, groups, rows):
    """Fit on some epochs; also return how many seconds that took."""
    if not isinstance(pipeline, (Pipeline, *SEARCHES)):
        pipeline = make_pipeline(pipeline)  # knows by which name its step wants the groups
    X_train = take(X, rows)
    start = time.perf_counter()
    pipeline.fit(X_train, y[rows], **groups_for_fit(pipeline, groups[rows]))
    return pipeline, time.perf_counter() - start


def run_all(function, calls, *, n_jobs, then, bar):
    """Call a function with each of some arguments, and `then` with results as they are ready."""
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    with bar, warnings.catch_warnings():
        # joblib replaces a process that has grown by what torch keeps for itself.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        for result in parallel(delayed(function)(*arguments) for arguments in calls):
            then(*result)
            bar.update()


def seed_names(pipeline):
    """Name every ``random_state`` of a pipeline, of its steps as well."""
    return [name for name in pipeline.get_params() if name.rpartition("__")[2] == "random_state"]


def take(X, rows):
    """Index epochs; Epochs by themselves, since scikit-learn would take them apart one by one."""
    if not is_epochs(X) or isinstance(X, list):
        return _safe_indexing(X, rows)
    with _ONE_AT_A_TIME:  # for a moment MNE empties the Epochs that it indexes
        return X[rows]


def without_metadata(X):
    """Hide from all steps which subject an epoch belongs to."""
    if isinstance(X, MappedEpochs):
        hidden = copy.copy(X)
        hidden.subjects = None
        return hidden
    if not is_epochs(X):
        return X
    hidden = [epochs.copy() for epochs in X] if isinstance(X, list) else [X.copy()]
    for epochs in hidden:
        epochs.metadata = None
    return hidden if isinstance(X, list) else hidden[0]


@cache
def versions():
    """Name the versions that scores depend on: "skeegformer 0.1.0, torch 2.13.0, ..."."""
    found = []
    packages = ("skeegformer", "torch", "scikit-learn", "mne", "moabb", "pyriemann", "braindecode")
    for name in packages:
        with suppress(PackageNotFoundError):  # of an extra
            found.append(f"{name} {version(name).partition('+')[0]}")
    return ", ".join(found)


def limit_threads():
    """Limit torch and the linear algebra libraries to one thread; return what frees the latter."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    return threadpool_limits(1)


@contextmanager
def one_thread():
    """Limit torch and the linear algebra libraries, then lift the limit."""
    import torch

    before = torch.get_num_threads()
    try:
        with limit_threads():
            yield
    finally:
        torch.set_num_threads(before)
