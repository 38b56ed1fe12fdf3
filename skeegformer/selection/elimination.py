"""Choice of channels by taking the least important ones away, again and again."""

from copy import deepcopy
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length

from skeegformer._validation import remember_input, validate_groups
from skeegformer.selection._base import (
    ChannelSelection,
    as_given,
    count_channels,
    fit_with_groups,
    given_or_default,
    keep_channels,
)
from skeegformer.selection._importances import channel_importances, check_getter


def _estimator_has(method):
    def check(self):
        getattr(given_or_default(self.estimator), method)  # names itself where it is missing
        return True

    return check


class RecursiveChannelElimination(ChannelSelection, auto_wrap_output_keys=None):
    """Take the least important channels away, fit again, and so on.

    Recursive feature elimination [1]_ for channels of Epochs and 3-D arrays, like
    :class:`~sklearn.feature_selection.RFE`, and with `cv` like
    :class:`~sklearn.feature_selection.RFECV`. It is a transformer, and predicts with the
    estimator fitted on the channels that are left.

    Parameters
    ----------
    estimator : estimator or None, default=None
        Says which channels matter, and predicts; None is
        ``EEGTransformerClassifier(random_state=0)``. It gets what comes in: Epochs, or an
        array.
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
    importance_getter : str or callable, default="auto"
        Where importances come from; see `ChannelSelector`.

    Attributes
    ----------
    support_ : ndarray of bool of shape (n_chans,)
        Which channels are kept.
    ranking_ : ndarray of int of shape (n_chans,)
        1 for channels that are kept, 2 for those that went last, and so on.
    n_channels_ : int
        How many are kept.
    kept_ch_names_ : list of str or None
        Names of the EEG channels that are kept; None where names are not known.
    cv_results_ : dict of ndarray
        Only with `cv`; an entry per number of channels, fewest first, as a DataFrame takes
        it: ``n_channels``, ``mean_test_score``, ``std_test_score``, and for each split k
        ``split{k}_test_score`` and ``split{k}_ch_names``, a tuple of those left in it (x0,
        x1, ... where names are not known).
    estimator_ : estimator
        Fitted on the channels that are kept.
    classes_ : ndarray of shape (n_classes,)
        The labels, where the estimator is a classifier.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None for arrays.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    ChannelSelector : Fits once and takes the best.

    Notes
    -----
    With 64 channels and a step of 0.1, keeping half takes 7 fits; `cv` takes 12 for each
    split and up to 12 more. A classifier trained for few passes, as in the example, is quick but
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
    >>> elimination.predict(X).shape
    (80,)
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

    @property
    def classes_(self):
        """The labels."""
        return self.estimator_.classes_

    def fit(self, X, y, groups=None):
        """Eliminate channels and fit the estimator on those that are left.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or
            (n_epochs, n_times) for a single channel, which stays.
        y : array-like of shape (n_epochs,)
            What the estimator learns to predict.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, for splitters such as `GroupKFold` and for the estimator.

        Returns
        -------
        RecursiveChannelElimination
            Itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, `n_channels` and `cv` are both given, the
            estimator has no importances, or not one for each channel of X, a score is not
            finite, or the estimator refuses X and y.
        """
        vars(self).pop("support_", None)  # a fit that fails is no fit, also where there was one
        vars(self).pop("cv_results_", None)
        check_getter(self.importance_getter)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        eeg = self._open(X, reset=True)
        remember_input(self, eeg)
        n_left, n_step = self._count()
        X, y = as_given(eeg), column_or_1d(y, warn=True)
        check_consistent_length(eeg.data, y)
        groups = validate_groups(groups, len(y))
        if self.cv is not None:
            splits = self._split(X, y, groups, eeg.subjects)
            self.cv_results_ = self._cross_validate(X, y, groups, splits, n_left, n_step)
            # The fewest channels come first, and of equal scores argmax takes the first.
            best = self.cv_results_["mean_test_score"].argmax()
            n_left = self.cv_results_["n_channels"][best]

        for state in self._eliminate(X, y, groups, n_left, n_step):
            support, self.ranking_, self.estimator_ = state
        self.n_channels_ = int(support.sum())
        self._keep(support, eeg)
        return self

    @available_if(_estimator_has("predict"))
    def predict(self, X):
        """Predict from the channels that are left.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            What the estimator predicts.
        """
        X = self.transform(X)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X):
        """Compute the probability of each class from the channels that are left.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        X = self.transform(X)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X):
        """Compute the estimator's decision function from the channels that are left.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs,) or (n_epochs, n_classes)
            As the estimator computes it.
        """
        X = self.transform(X)
        return self.estimator_.decision_function(X)

    @available_if(_estimator_has("score"))
    def score(self, X, y):
        """Score the estimator on the channels that are left.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.
        y : array-like of shape (n_epochs,)
            What is true.

        Returns
        -------
        float
            The estimator's own score; `scoring` is for `cv` alone.
        """
        X = self.transform(X)
        return self.estimator_.score(X, y)

    def _count(self):
        """Return how many channels to end with, and how many go at a time."""
        n_chans, step = self.n_chans_, self.step
        is_bool = isinstance(step, bool)
        if isinstance(step, Integral) and not is_bool and step >= 1:
            n_step = int(step)
        elif isinstance(step, Real) and not is_bool and 0 < step < 1:
            n_step = max(1, int(step * n_chans))
        else:
            raise ValueError(
                f"step={step!r} has to be a whole number of at least 1, or a share above 0 and "
                "below 1."
            )
        if self.cv is None:
            n_channels = 0.5 if self.n_channels is None else self.n_channels
            return count_channels("n_channels", n_channels, n_chans), n_step
        if self.n_channels is not None:
            raise ValueError(
                f"n_channels={self.n_channels!r} and cv are both given, but with cv the score "
                "decides on the number of channels. Set one of them to None; min_channels is the "
                "fewest that cv tries."
            )
        return count_channels("min_channels", self.min_channels, n_chans), n_step

    def _eliminate(self, X, y, groups, n_left, n_step):
        """Yield (support, ranking, fitted estimator) with all channels, then with ever fewer."""
        base = given_or_default(self.estimator)
        support = np.ones(self.n_chans_, dtype=bool)
        ranking = np.ones(self.n_chans_, dtype=int)
        while True:
            X_left = keep_channels(X, self.ch_names_, support)
            estimator = fit_with_groups(clone(base), X_left, y, groups)
            yield support.copy(), ranking.copy(), estimator
            left = np.flatnonzero(support)
            if len(left) <= n_left:
                return
            importances = channel_importances(
                estimator,
                self.importance_getter,
                X_left,
                y,
                n_chans=len(left),
                ch_names=self.ch_names_ and [self.ch_names_[index] for index in left],
                norm_order=2,
            )
            worst = np.argsort(importances, kind="stable")[: min(n_step, len(left) - n_left)]
            support[left[worst]] = False
            ranking[~support] += 1

    def _split(self, X, y, groups, subjects):
        splitter = check_cv(self.cv, y, classifier=is_classifier(given_or_default(self.estimator)))
        # Others than GroupKFold and its like would warn of groups that nobody has passed.
        if groups is None and get_routing_for_object(splitter).consumes("split", ["groups"]):
            groups = validate_groups(subjects, len(y))
        return list(splitter.split(X, y, groups))

    def _cross_validate(self, X, y, groups, splits, n_left, n_step):
        """Score every number of channels on every split."""
        scorer = check_scoring(given_or_default(self.estimator), scoring=self.scoring)
        names = self.ch_names_ or [f"x{index}" for index in range(self.n_chans_)]
        results, all_scores = {}, []
        for k, (train, test) in enumerate(splits):
            train_groups = None if groups is None else groups[train]
            X_test = X[test]
            supports, scores = [], []
            for support, _, estimator in self._eliminate(
                X[train], y[train], train_groups, n_left, n_step
            ):
                score = scorer(estimator, keep_channels(X_test, self.ch_names_, support), y[test])
                if not np.isfinite(score):
                    raise ValueError(
                        f"The score of split {k} with {support.sum()} channels is {score}; take "
                        "another scoring, or a cv whose splits hold every class."
                    )
                supports.append(support)
                scores.append(score)
            kept = np.empty(len(supports), dtype=object)
            for row, support in enumerate(reversed(supports)):
                kept[row] = tuple(names[index] for index in np.flatnonzero(support))
            all_scores.append(scores[::-1])
            results[f"split{k}_test_score"] = np.array(scores[::-1])
            results[f"split{k}_ch_names"] = kept
        return {
            "n_channels": np.array([len(row) for row in kept]),
            "mean_test_score": np.mean(all_scores, axis=0),
            "std_test_score": np.std(all_scores, axis=0),
            **results,
        }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(given_or_default(self.estimator))
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = deepcopy(inner.classifier_tags)
        tags.regressor_tags = deepcopy(inner.regressor_tags)
        tags.target_tags.required = True
        return tags
