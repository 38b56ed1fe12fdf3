"""One fold: fit on some subjects, score each of the others."""

import threading
import time
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import _safe_indexing

from skeegformer._memmap import MappedEpochs
from skeegformer._routing import routed_groups
from skeegformer._validation import is_epochs
from skeegformer.evaluation.metrics import expected_calibration_error


def score_fold(pipeline, X, y, groups, train, test, *, seed, information=None):
    """Fit on one fold and score each of its test subjects.

    Parameters
    ----------
    pipeline : estimator
        What to fit; cloned first.
    X : mne.Epochs or ndarray of shape (n_epochs, n_chans, n_times)
        Epochs of all subjects.
    y : ndarray of shape (n_epochs,)
        Labels.
    groups : ndarray of shape (n_epochs,)
        Subjects.
    train, test : ndarray of int
        Rows.
    seed : int
        Becomes every ``random_state``.
    information : {"strict", "transductive", "calibrated"} or None, default=None
        What the prediction may know. "strict" hides from all steps which subject a test epoch
        belongs to; the others predict each test subject apart, and its group goes to those steps
        that ask for it; None does that with all test subjects together.

    Returns
    -------
    list of dict
        A row for each test subject.
    """
    pipeline = with_seed(pipeline, seed)
    if not isinstance(pipeline, Pipeline):
        pipeline = make_pipeline(pipeline)  # knows by which name its step wants the groups
    X_train = take(X, train)
    start = time.perf_counter()
    pipeline.fit(X_train, y[train], **routed_groups(pipeline, "fit", groups[train]))
    fit_seconds = time.perf_counter() - start
    subjects = np.unique(groups[test])
    parts = [test[groups[test] == subject] for subject in subjects]
    blocks = parts if information in ("transductive", "calibrated") else [test]
    predicted, proba, predict_seconds = {}, {}, 0.0
    for block in blocks:
        X_test, block_groups = take(X, block), groups[block]
        if information == "strict":
            X_test, block_groups = _without_metadata(X_test), None
        start = time.perf_counter()
        labels = pipeline.predict(X_test, **routed_groups(pipeline, "predict", block_groups))
        predict_seconds += time.perf_counter() - start
        predicted.update(zip(block, labels, strict=True))
        if hasattr(pipeline, "predict_proba"):
            routed = routed_groups(pipeline, "predict_proba", block_groups)
            proba.update(zip(block, pipeline.predict_proba(X_test, **routed), strict=True))
    return [
        {
            "subject": subject.item() if isinstance(subject, np.generic) else subject,
            "n_epochs": len(rows),
            "n_train_subjects": len(np.unique(groups[train])),
            "n_train_epochs": len(train),
            "balanced_accuracy": balanced_accuracy_score(y[rows], [predicted[row] for row in rows]),
            **_from_probabilities(y[rows], [proba[row] for row in rows if proba], pipeline),
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
        }
        for subject, rows in zip(subjects, parts, strict=True)
    ]


def _from_probabilities(y, proba, pipeline):
    """Compute what needs probabilities; NaN for classifiers that have none."""
    found = {"roc_auc": np.nan, "calibration_error": np.nan}
    # A class that was not trained on has no column, and no subject can be blamed for it.
    if not len(proba) or not np.isin(y, pipeline.classes_).all():
        return found
    classes, proba = pipeline.classes_, np.asarray(proba)
    found["calibration_error"] = expected_calibration_error(y, proba, classes=classes)
    if len(np.unique(y)) == len(classes) > 1:
        if len(classes) == 2:
            found["roc_auc"] = roc_auc_score(y == classes[1], proba[:, 1])
        else:
            found["roc_auc"] = _one_vs_rest(y, proba, classes)
    return {name: float(value) for name, value in found.items()}


def _one_vs_rest(y, proba, classes):
    """Average the area under the ROC curve over classes, each against the others.

    scikit-learn's own average insists on sums of exactly 1, which float32 probabilities miss.
    """
    areas = [roc_auc_score(y == label, proba[:, i]) for i, label in enumerate(classes)]
    return np.mean(areas)


def with_seed(pipeline, seed):
    """Clone a pipeline and give it a seed wherever it takes one.

    Parameters
    ----------
    pipeline : estimator
        Never changed.
    seed : int
        The seed.

    Returns
    -------
    estimator
        Unfitted.
    """
    return clone(pipeline).set_params(**dict.fromkeys(seed_names(pipeline), seed))


def seed_names(pipeline):
    """Name the parameters that decide on a pipeline's randomness.

    Parameters
    ----------
    pipeline : estimator
        Whom to ask.

    Returns
    -------
    list of str
        Every ``random_state``, of steps as well.
    """
    return [
        name
        for name in pipeline.get_params()
        if name == "random_state" or name.endswith("__random_state")
    ]


def take(X, rows):
    """Index epochs; Epochs by themselves, since scikit-learn would take them apart one by one.

    Parameters
    ----------
    X : mne.Epochs, list of mne.Epochs or ndarray
        Epochs.
    rows : ndarray of int
        Which.

    Returns
    -------
    mne.Epochs, list of mne.Epochs or ndarray
        Those.
    """
    return X[rows] if is_epochs(X) and not isinstance(X, list) else _safe_indexing(X, rows)


def _without_metadata(X):
    """Hide from all steps which subject an epoch belongs to."""
    if isinstance(X, MappedEpochs):
        return X.without_subjects()
    if not is_epochs(X):
        return X
    hidden = [epochs.copy() for epochs in X] if isinstance(X, list) else [X.copy()]
    for epochs in hidden:
        epochs.metadata = None
    return hidden if isinstance(X, list) else hidden[0]


@cache
def versions():
    """Name the versions that scores depend on.

    Returns
    -------
    str
        Such as "skeegformer 0.1.0, torch 2.13.0, scikit-learn 1.9.1, ...".
    """
    found = []
    for name in (
        "skeegformer",
        "torch",
        "scikit-learn",
        "mne",
        "moabb",
        "pyriemann",
        "braindecode",
    ):
        try:
            found.append(f"{name} {version(name).partition('+')[0]}")
        except PackageNotFoundError:  # an extra
            continue
    return ", ".join(found)


_one_thread = threading.Lock()
_inside = 0
_before = None


@contextmanager
def one_thread():
    """Limit torch and the linear algebra libraries to one thread, then give the others back.

    Several threads of a process may be inside at the same time, as on Dask's workers: the
    last one to leave gives back what the first one found. Linear algebra takes that only from
    the thread that limited it, so whoever runs fits in threads of its own has to be inside
    itself meanwhile.
    """
    import torch
    from threadpoolctl import threadpool_limits

    global _inside, _before
    with _one_thread:
        if _inside == 0:
            _before = torch.get_num_threads(), threadpool_limits(1)
        _inside += 1
        torch.set_num_threads(1)  # counted in each thread apart
    try:
        yield
    finally:
        with _one_thread:
            _inside -= 1
            if _inside == 0:
                n_threads, limits = _before
                limits.restore_original_limits()
                torch.set_num_threads(n_threads)
