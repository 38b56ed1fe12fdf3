"""Choice of channels by taking the least important ones away, again and again."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_consistent_length

from skeegformer._validation import validate_groups
from skeegformer.selection._base import ChannelSelection, count_channels, keep_channels


class RecursiveChannelElimination(ChannelSelection, auto_wrap_output_keys=None):
    """Take the least important channels away, fit again, and so on.

    Recursive feature elimination [1]_, what :class:`~sklearn.feature_selection.RFE`, and with `cv`
    :class:`~sklearn.feature_selection.RFECV`, are for columns of a table, for channels of Epochs
    and 3-D arrays. To predict, put it in front of an estimator in a Pipeline.

    Parameters
    ----------
    estimator : estimator or None, default=None
        Says which channels matter; None is ``EEGTransformerClassifier(random_state=0)``. It
        gets what comes in: Epochs, or an array.
    n_channels : int, float or None, default=None
        How many channels to keep, or which share of them, rounded down. None keeps half of
        them, or where `cv` is given as many as score best.
    step : int or float, default=0.1
        How many channels are taken away at a time; below 1, which share of all channels of X,
        rounded down to at least one.
    min_channels : int, default=1
        The fewest channels that `cv` tries.
    cv : int, splitter, iterable of splits or None, default=None
        Splits of the epochs in `fit`, on which numbers of channels are compared. In each,
        channels are eliminated with the training part alone, and scored with the other. The
        number with the best mean score is kept, the smallest of equally good ones.
    scoring : str, callable or None, default=None
        How `cv` scores; None takes the estimator's own score.
    importance_getter : "auto" or callable, default="auto"
        Where importances come from; see `ChannelSelector`.

    Attributes
    ----------
    ranking_ : ndarray of int of shape (n_chans,)
        1 for channels that are kept, 2 for those that went last, and so on.
    support_, n_channels_, kept_ch_names_ : see `ChannelSelector`
        Which channels are kept, and how many.
    cv_results_ : dict of ndarray
        Only with `cv`; an entry per number of channels, fewest first, as a
        DataFrame takes it: ``n_channels``, ``mean_test_score``, ``std_test_score``, and for each
        split k ``split{k}_test_score`` and ``split{k}_ch_names``, a tuple of those left in it (x0,
        x1, ... where names are not known).
    estimator_ : estimator
        Fitted on the channels that are kept.
    n_chans_, ch_names_, n_features_in_, feature_names_in_ : see `ChannelSelector`
        The channels of `fit`.

    See Also
    --------
    ChannelSelector : Fits once and takes the best.

    Notes
    -----
    With 64 channels and a step of 0.1, keeping half takes 7 fits; `cv` takes 12 for each
    split and up to 12 more. A classifier trained for few epochs, as in the example, is quick but
    ranks channels by little more than chance; see the notes on `ChannelSelector`.

    The best of the mean test scores is the maximum of several noisy numbers, hence too good an
    estimate of performance: score the whole selection on other epochs, for example with
    `cross_val_score`.

    Splitters get the `groups` given to `fit`. `GroupKFold` and its like otherwise take the column
    ``subject`` of the metadata of Epochs. An estimator gets `groups` as in `ChannelSelector`.

    References
    ----------
    .. [1] Guyon et al. (2002), Gene selection for cancer classification using support vector
       machines. Machine Learning 46, 389-422. doi:10.1023/A:1012487302797

    Examples
    --------
    >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
    >>> from skeegformer.selection import RecursiveChannelElimination
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=3, n_heads=4, random_state=0)
    >>> elimination = RecursiveChannelElimination(classifier, n_channels=8, step=28).fit(X, y)
    >>> len(elimination.transform(X).ch_names)
    8
    >>> elimination.ranking_.max()
    np.int64(3)
    """

    def __init__(
        self,
        estimator=None,
        *,
        n_channels=None,
        step=0.1,
        min_channels=1,
        cv=None,
        scoring=None,
        importance_getter="auto",
    ):
        self.estimator = estimator
        self.n_channels = n_channels
        self.step = step
        self.min_channels = min_channels
        self.cv = cv
        self.scoring = scoring
        self.importance_getter = importance_getter

    def _choose(self, eeg, X, y, groups):
        """Mark the channels that are left, and set what else `fit` tells."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        n_left = self._check_numbers()
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        if self.cv is not None:
            splits = self._split(X, y, groups, eeg.subjects)
            self.cv_results_ = self._cross_validate(X, y, groups, eeg.ch_names, n_left, splits)
            best = np.argmax(self.cv_results_["mean_test_score"])  # the fewest of the best
            n_left = self.cv_results_["n_channels"][best]
        self.ranking_ = np.ones(self.n_chans_, dtype=int)
        for support, fitted in self._eliminate(X, y, groups, eeg.ch_names, n_left):
            self.ranking_ += ~support
            self.estimator_ = fitted
        return support

    def _eliminate(self, X, y, groups, ch_names, n_left):
        """Yield which channels are left and what was fitted on them, down to `n_left`."""
        step = self.step if self.step >= 1 else int(max(1, self.step * self.n_chans_))
        support = np.ones(self.n_chans_, dtype=bool)
        while True:
            kept = keep_channels(X, ch_names, support)
            fitted = self._fit_clone(kept, y, groups)
            yield support.copy(), fitted
            there = np.flatnonzero(support)
            if len(there) == n_left:
                return
            names = ch_names and [ch_names[channel] for channel in there]
            importances = self._importances(fitted, kept, y, names, len(there), norm_order=2)
            n_gone = min(step, len(there) - n_left)
            support[there[np.argsort(importances, kind="stable")[:n_gone]]] = False

    def _cross_validate(self, X, y, groups, ch_names, n_left, splits):
        """Score each number of channels on the test part of each split, the fewest first."""
        names = np.array(ch_names or [f"x{index}" for index in range(self.n_chans_)])
        found, scores = {}, []
        for number, (train, test) in enumerate(splits):
            of_train = None if groups is None else groups[train]
            own, kept = [], []
            for support, fitted in self._eliminate(X[train], y[train], of_train, ch_names, n_left):
                score = check_scoring(fitted, scoring=self.scoring)
                own.append(score(fitted, keep_channels(X[test], ch_names, support), y[test]))
                kept.append(tuple(names[support].tolist()))
            scores.append(own[::-1])
            found[f"split{number}_test_score"] = np.array(own[::-1])
            found[f"split{number}_ch_names"] = np.empty(len(kept), dtype=object)
            found[f"split{number}_ch_names"][:] = kept[::-1]
        n_channels, mean = np.array([len(one) for one in kept[::-1]]), np.mean(scores, axis=0)
        if not np.isfinite(mean).all():
            raise ValueError(
                f"mean_test_score is {mean.tolist()} for {n_channels.tolist()} channels; take "
                "another scoring, or a cv whose splits hold every class."
            )
        std = np.std(scores, axis=0)
        return {"n_channels": n_channels, "mean_test_score": mean, "std_test_score": std, **found}

    def _check_numbers(self):
        """Return how many channels to end with."""
        n_chans, step = self.n_chans_, self.step
        is_number = isinstance(step, Real) and not isinstance(step, bool)
        if not is_number or not (0 < step < 1 or (isinstance(step, Integral) and step >= 1)):
            raise ValueError(
                f"step={step!r} has to be a whole number of at least 1, or a share above 0 and "
                "below 1."
            )
        if self.cv is None:
            n_channels = 0.5 if self.n_channels is None else self.n_channels
            return count_channels("n_channels", n_channels, n_chans)
        if self.n_channels is not None:
            raise ValueError(
                f"n_channels={self.n_channels!r} and cv are both given, but with cv the score "
                "decides on the number of channels. Set one of them to None; min_channels is the "
                "fewest that cv tries."
            )
        return count_channels("min_channels", self.min_channels, n_chans)

    def _split(self, X, y, groups, subjects):
        splitter = check_cv(self.cv, y, classifier=is_classifier(self._given_or_default()))
        # Others than GroupKFold and its like would warn of groups that nobody has passed.
        if groups is None and get_routing_for_object(splitter).consumes("split", ["groups"]):
            groups = validate_groups(subjects, len(y))
        return splitter.split(X, y, groups)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
