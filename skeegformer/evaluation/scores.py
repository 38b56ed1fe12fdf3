"""Scores and explanations of subjects that a model has not been trained on."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm.auto import tqdm

from skeegformer.evaluation._fold import fit_on, run_all, score_fold, seed_names, take
from skeegformer.evaluation._splitting import check_epochs, refuse_centring, split_subjects
from skeegformer.explain import AttentionExplainer


def cross_subject_scores(pipelines, X, y, groups, *, cv=4, seeds=(0,), n_jobs=1, verbose=0):
    """Score pipelines in cross-validation over subjects.

    Parameters
    ----------
    pipelines : dict of str to estimator
        Pipelines to compare, by name; each is cloned for every fold.
    X : mne.Epochs or ndarray of shape (n_epochs, n_chans, n_times)
        Epochs of all subjects.
    y : array-like of shape (n_epochs,)
        Labels.
    groups : array-like of shape (n_epochs,) or pandas.DataFrame
        Subjects, or metadata with a column ``subject``; if metadata routing is enabled, they are
        passed to pipelines that request ``groups`` or ``subjects``.
    cv : int, splitter or iterable of splits, default=4
        Number of folds, each of which holds out whole subjects, or a scikit-learn splitter that
        respects groups, such as ``LeaveOneGroupOut()``.
    seeds : sequence of int, default=(0,)
        The comparison is repeated with each seed as ``random_state``; pipelines without this
        parameter are run once, with the first seed in their rows.
    n_jobs : int, default=1
        Number of processes; -1 for one per core.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    pandas.DataFrame
        One row per pipeline, seed and test subject:

        ===================== =======================================================
        column                contents
        ===================== =======================================================
        ``pipeline``          Name.
        ``seed``              Element of `seeds`.
        ``fold``              Fold, from 0.
        ``subject``           Test subject.
        ``n_epochs``          Number of test epochs of the subject.
        ``n_train_subjects``  Number of training subjects.
        ``n_train_epochs``    Number of training epochs.
        ``balanced_accuracy`` Mean recall over classes.
        ``roc_auc``           Area under the ROC curve of the second class; for more than
                              two classes, the mean of one versus rest. NaN if the subject
                              lacks a class.
        ``brier_score``       Mean squared error of the probabilities (Brier score).
        ``fit_seconds``       Duration of `fit`.
        ``predict_seconds``   Duration of prediction, for all subjects of the fold.
        ===================== =======================================================

        For classifiers without ``predict_proba``, ``roc_auc`` and ``brier_score`` are NaN.

    Raises
    ------
    ValueError
        If X, y and groups are inconsistent, there are fewer subjects than folds, no pipelines or no
        seeds, a splitter has epochs of a subject on both sides, or every subject has one class only
        and a pipeline centres each subject.

    Notes
    -----
    If every subject has epochs of one class only, such as patients and controls, subjects are
    classified, by the mean probabilities of their epochs (or the most frequent prediction), and
    folds are stratified over them. ``balanced_accuracy`` is 1 or 0, ``roc_auc`` the share of the
    fold's subjects of other classes with a lower probability of the subject's class, ``label``.

    Examples
    --------
    >>> from skeegformer import cross_subject_scores, make_baseline, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=4, random_state=0)
    >>> pipelines = {"CSP+LDA": make_baseline("csp+lda")}
    >>> scores = cross_subject_scores(pipelines, X, y, metadata)
    >>> scores["subject"].tolist()
    [1, 2, 3, 4]
    """
    seeds = tuple(np.ravel(seeds).tolist())
    if not isinstance(pipelines, dict) or not pipelines or not 0 < len(seeds) == len({*seeds}):
        raise ValueError(
            f"pipelines={pipelines!r} and seeds={seeds!r}: give a dict of names and pipelines with "
            "at least one, and at least one seed, each of them once."
        )
    for name, pipeline in pipelines.items():
        if isinstance(pipeline, type) or not hasattr(pipeline, "predict"):
            raise TypeError(f"The pipeline {name!r} is {pipeline!r}, which cannot predict.")
    X, y, groups = check_epochs(X, y, groups)
    splits = split_subjects(cv, y, groups)
    refuse_centring(pipelines, y, groups)
    calls = [
        ({"pipeline": name, "seed": seed, "fold": fold}, pipeline, X, y, groups, *split)
        for fold, split in enumerate(splits)
        for name, pipeline in pipelines.items()
        for seed in (seeds if seed_names(pipeline) else seeds[:1])
    ]
    rows = []
    bar = tqdm(total=len(calls), desc="cross-validation", unit="fit", disable=not verbose)
    run_all(_score_fold, calls, n_jobs=n_jobs, then=lambda *found: rows.extend(found), bar=bar)
    scores = pd.DataFrame(rows)
    order = pd.Categorical(scores["pipeline"], categories=list(pipelines), ordered=True)
    scores = scores.assign(pipeline=order).sort_values(["pipeline", "seed", "subject"])
    return scores.astype({"pipeline": str}).reset_index(drop=True)


def cross_subject_explanations(
    pipeline, X, y, groups, *, explainer=None, cv=4, n_jobs=1, verbose=0
):
    """Explain every subject with a model that was trained on others.

    Parameters
    ----------
    pipeline : estimator
        An EEGTransformerClassifier or a Pipeline that ends with one; cloned for every fold.
    X, y, groups : object
        As in `cross_subject_scores`.
    explainer : AttentionExplainer or None, default=None
        The explainer; None for ``AttentionExplainer()``, attention rollout.
    cv, n_jobs, verbose : object
        As in `cross_subject_scores`.

    Returns
    -------
    list of Explanation
        One explanation of the test subjects of each fold, with its model, so that it can be
        evaluated. `concatenate_explanations` joins them for statistics across subjects.

    Examples
    --------
    >>> from skeegformer import EEGTransformerClassifier, concatenate_explanations
    >>> from skeegformer import cross_subject_explanations, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=4, n_epochs=10, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=2, random_state=0)
    >>> folds = cross_subject_explanations(classifier, X, y, metadata["subject"], cv=2)
    >>> concatenate_explanations(folds).values.shape
    (40, 64)
    """
    if explainer is None:
        explainer = AttentionExplainer()
    X, y, groups = check_epochs(X, y, groups)
    splits = split_subjects(cv, y, groups)
    refuse_centring({"pipeline": pipeline}, y, groups)
    calls = [(fold, pipeline, explainer, X, y, groups, *split) for fold, split in enumerate(splits)]
    found = {}
    bar = tqdm(total=len(calls), desc="explanation", unit="fold", disable=not verbose)
    run_all(_explain_fold, calls, n_jobs=n_jobs, then=found.__setitem__, bar=bar)
    return [found[fold] for fold in range(len(calls))]


def _score_fold(labels, pipeline, X, y, groups, train, test):
    """Score one fold, and say which one it was."""
    rows = score_fold(pipeline, X, y, groups, train, test, seed=labels["seed"])
    return [labels | row for row in rows]


def _explain_fold(fold, pipeline, explainer, X, y, groups, train, test):
    """Fit on one fold and explain its test subjects."""
    pipeline, _ = fit_on(clone(pipeline), X, y, groups, train)
    found = clone(explainer).explain(pipeline, take(X, test), y[test], groups=groups[test])
    return fold, found
