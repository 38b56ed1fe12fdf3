"""How much a score falls when channels are permuted across epochs, for any classifier."""

import mne
import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state

from skeegformer._validation import (
    as_epochs,
    check_count,
    check_one_of,
    eeg_picks,
    in_memory,
    is_epochs,
    validate_groups,
)
from skeegformer.explain._electrodes import neighborhoods
from skeegformer.explain._perturbation import importance_bunch, shuffled_orders


def channel_permutation_importance(
    estimator,
    X,
    y,
    *,
    scoring=None,
    n_repeats=5,
    channel_groups=None,
    groups=None,
    random_state=None,
):
    """Measure how much a score falls when a channel is permuted across epochs.

    Breiman [1]_; what `sklearn.inspection.permutation_importance` does for tables, for
    epochs. Works for any fitted classifier or Pipeline on epochs, baselines as well.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
        Epochs, best ones that it was not fitted on.
    y : array-like of shape (n_epochs,)
        True labels.
    scoring : str, callable or None, default=None
        As everywhere in scikit-learn; None for the estimator's own score.
    n_repeats : int, default=5
        How often each channel is permuted.
    channel_groups : dict of str to list, "neighbors" or None, default=None
        Channels that are permuted together, as they hide each other's importance: regions, by name
        or by place among the EEG channels, from 0 on; each channel with its neighbours in the
        montage (Epochs only); or None for each channel by itself.
    groups : array-like of shape (n_epochs,) or None, default=None
        Subjects, within which epochs are permuted.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Returns
    -------
    sklearn.utils.Bunch
        ``importances`` of shape (n_sets, n_repeats), ``importances_mean``,
        ``importances_std``, as scikit-learn has them, and ``names``, a list with the name
        of each channel or group.

    Raises
    ------
    ValueError
        If a channel of `channel_groups` does not exist, or X, y and groups do not fit.

    References
    ----------
    .. [1] Breiman (2001), Random forests. Machine Learning 45. doi:10.1023/A:1010933404324

    Examples
    --------
    >>> from skeegformer import channel_permutation_importance, make_baseline
    >>> from skeegformer import make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> baseline = make_baseline("csp+lda").fit(X, y)
    >>> areas = {"left": ["C3", "C5", "CP3"], "front": ["Fpz"]}
    >>> channel_permutation_importance(baseline, X, y, channel_groups=areas).importances.shape
    (2, 5)
    """
    check_count("n_repeats", n_repeats, 1)
    X = in_memory(X)
    epochs = as_epochs(X) if is_epochs(X) else None
    data = np.asarray(X, dtype=float) if epochs is None else epochs.get_data()
    if data.ndim != 3:
        raise ValueError(f"X has shape {data.shape}, but epochs are (n_epochs, n_chans, n_times).")
    groups = validate_groups(groups, len(data))
    names, sets = _channel_sets(channel_groups, data.shape[1], epochs)
    scorer = check_scoring(estimator, scoring=scoring)

    def score(changed):
        if epochs is None:
            return scorer(estimator, changed, y)
        copy = epochs.copy()
        copy.get_data(copy=False)[:] = changed
        return scorer(estimator, copy, y)

    intact = score(data)
    # One seed for all channels, as scikit-learn has it, so that they see equal permutations.
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max + 1)
    importances = np.empty((len(sets), n_repeats))
    changed = data.copy()
    for s, channels in enumerate(sets):
        for repeat, order in enumerate(shuffled_orders(len(data), groups, seed, n_repeats)):
            changed[:, channels] = data[order][:, channels]
            importances[s, repeat] = intact - score(changed)
        changed[:, channels] = data[:, channels]
    return importance_bunch(importances, names)


def _channel_sets(channel_groups, n_chans, epochs):
    """Name the sets of channels that are permuted together, and list their indices."""
    ch_names, picks = None, list(range(n_chans))
    if epochs is not None:
        ch_names, picks = list(epochs.ch_names), eeg_picks(epochs).tolist()
    own = [ch_names[pick] if ch_names else str(pick) for pick in picks]
    if channel_groups is None:
        return own, [[pick] for pick in picks]
    if isinstance(channel_groups, str):
        check_one_of("channel_groups", channel_groups, ("neighbors",))
        sets = neighborhoods(None if epochs is None else mne.pick_info(epochs.info, picks))
        return own, [[picks[channel] for channel in members] for members in sets]
    # Numbers count EEG channels, as those of ChannelDropper do; a name may be any channel's.
    index = dict(enumerate(picks)) | {name: k for k, name in enumerate(ch_names or ())}
    sets = []
    if not isinstance(channel_groups, dict):
        raise ValueError(
            f"channel_groups={channel_groups!r} is no dict of lists, such as {{'left': ['C3']}}."
        )
    for name, members in channel_groups.items():
        members = [members] if isinstance(members, str) else members
        unknown = [member for member in members if member not in index]
        if unknown or not len(members):
            what = f"the channel {unknown[0]!r}, which X does not have" if unknown else "no channel"
            raise ValueError(f"channel_groups[{name!r}] names {what}.")
        sets.append([index[member] for member in members])
    return [str(name) for name in channel_groups], sets
