"""How much a score falls when channels are permuted across epochs, for any classifier."""

from inspect import signature

import numpy as np
import pandas as pd
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_random_state

from skeegformer._utils.routing import routed_groups
from skeegformer._validation import (
    as_epochs,
    check_count,
    eeg_picks,
    in_memory,
    is_epochs,
    refuse_other_objects,
    validate_groups,
)
from skeegformer.explain._perturbation import shuffled_orders


def channel_permutation_importance(
    estimator, X, y, *, scoring=None, n_repeats=5, groups=None, random_state=None
):
    """Measure how much a score decreases when a channel is permuted across epochs.

    Permutation importance [1]_, like `sklearn.inspection.permutation_importance`, but for channels
    of epochs. It works for any fitted classifier or Pipeline on epochs, including baselines.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
        Epochs, preferably not those of `fit`.
    y : array-like of shape (n_epochs,)
        True labels.
    scoring : str, callable or None, default=None
        As in scikit-learn; None for the score method of the estimator.
    n_repeats : int, default=5
        Number of permutations of each channel.
    groups : array-like of shape (n_epochs,) or None, default=None
        Subjects, within which epochs are permuted. The estimator is told them, too, but of arrays
        only if `scoring` is None.
    random_state : int, RandomState instance or None, default=None
        Seed for the permutations.

    Returns
    -------
    sklearn.utils.Bunch
        ``importances`` of shape (n_chans, n_repeats), ``importances_mean``, ``importances_std``, as
        in scikit-learn, and ``names``, a list of channel names.

    Raises
    ------
    ValueError
        If X, y and groups have inconsistent lengths.

    References
    ----------
    .. [1] Breiman (2001), Random forests. Machine Learning 45. doi:10.1023/A:1010933404324

    Examples
    --------
    >>> from skeegformer import channel_permutation_importance, make_baseline
    >>> from skeegformer import make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> baseline = make_baseline("csp+lda").fit(X, y)
    >>> channel_permutation_importance(baseline, X, y, n_repeats=1).importances.shape
    (64, 1)
    """
    check_count("n_repeats", n_repeats, 1)
    X = in_memory(X)
    epochs = as_epochs(X) if is_epochs(X) else None
    if epochs is None:
        refuse_other_objects("channel_permutation_importance", X)
    data = np.asarray(X, dtype=float) if epochs is None else epochs.get_data()
    if data.ndim != 3:
        raise ValueError(f"X has shape {data.shape}, but epochs are (n_epochs, n_chans, n_times).")
    scorer = check_scoring(estimator, scoring=scoring)
    groups, known = validate_groups(groups, len(data)), {}
    if groups is not None and epochs is not None:
        epochs = epochs.copy()  # in whose metadata classifiers look for subjects
        table = pd.DataFrame(index=range(len(data))) if epochs.metadata is None else epochs.metadata
        epochs.metadata = table.assign(subject=groups)
    elif groups is not None and scoring is None:
        takes_groups = "groups" in signature(estimator.score).parameters
        known = {"groups": groups} if takes_groups else routed_groups(estimator, "score", groups)
    picks = np.arange(data.shape[1]) if epochs is None else eeg_picks(epochs)
    names = [str(pick) if epochs is None else epochs.ch_names[pick] for pick in picks]

    def score(changed):
        if epochs is None:
            return scorer(estimator, changed, y, **known)
        copy = epochs.copy()
        copy.get_data(copy=False)[:] = changed
        return scorer(estimator, copy, y)

    intact = score(data)
    # One seed for all channels, as scikit-learn has it, so that they see equal permutations.
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max + 1)
    importances = np.empty((len(picks), n_repeats))
    changed = data.copy()
    for p, pick in enumerate(picks):
        for repeat, order in enumerate(shuffled_orders(len(data), groups, seed, n_repeats)):
            changed[:, pick] = data[order, pick]
            importances[p, repeat] = intact - score(changed)
        changed[:, pick] = data[:, pick]
    return Bunch(
        importances=importances,
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        names=names,
    )
