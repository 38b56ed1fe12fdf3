"""Choice of channels by taking the least important ones away, again and again."""

from numbers import Integral, Real

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.feature_selection import RFE, RFECV
from sklearn.model_selection import check_cv
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length

from skeegformer._validation import validate_groups
from skeegformer.selection._base import (
    ChannelSelection,
    as_given,
    channel_importances,
    check_getter,
    count_channels,
    fit_clone,
    given_or_default,
    keep_channels,
)


def _estimator_has(method):
    def check(self):
        getattr(self.estimator, method)  # names itself where it is missing
        return True

    return check


class RecursiveChannelElimination(ChannelSelection, auto_wrap_output_keys=None):
    """Take the least important channels away, fit again, and so on.

    Recursive feature elimination [1]_ for channels of Epochs and 3-D arrays, done by
    :class:`~sklearn.feature_selection.RFE`, and with `cv` by
    :class:`~sklearn.feature_selection.RFECV`. To predict, put it in front
    of an estimator in a Pipeline.

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
    support_ : ndarray of bool of shape (n_chans,)
        Which channels are kept.
    ranking_ : ndarray of int of shape (n_chans,)
        1 for channels that are kept, 2 for those that went last, and so on.
    n_channels_ : int
        How many are kept.
    kept_ch_names_ : list of str or None
        Names of the EEG channels that are kept; None where names are not known.
    cv_results_ : dict of ndarray
        Only with `cv` and several channels; an entry per number of channels, fewest first, as a
        DataFrame takes it: ``n_channels``, ``mean_test_score``, ``std_test_score``, and for each
        split k ``split{k}_test_score`` and ``split{k}_ch_names``, a tuple of those left in it (x0,
        x1, ... where names are not known).
    estimator_ : estimator
        Fitted on the channels that are kept.
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
        n_left, step = self._count()
        X, y = as_given(eeg), column_or_1d(y, warn=True)
        check_consistent_length(eeg.data, y)
        groups = validate_groups(groups, len(y))
        estimator = _OfSomeChannels(
            given_or_default(self.estimator),
            self.importance_getter,
            (X, groups, eeg.ch_names, self.n_chans_),
        )
        # What RFE takes for features are the positions of epochs and channels in X.
        positions = np.arange(len(y) * self.n_chans_).reshape(len(y), self.n_chans_)
        if self.n_chans_ == 1:  # nothing to take away, which RFE refuses
            self.estimator_ = estimator.fit(positions, y).fitted_
            self.ranking_ = np.ones(1, dtype=int)
        else:
            options = {"step": step, "importance_getter": "ranks_"}
            if self.cv is None:
                search = RFE(estimator, n_features_to_select=n_left, **options)
            else:
                splits = self._split(X, y, groups, eeg.subjects)
                search = RFECV(
                    estimator,
                    min_features_to_select=n_left,
                    cv=splits,
                    scoring=self.scoring,
                    **options,
                )
            search.fit(positions, y)
            if self.cv is not None:
                self.cv_results_ = self._results(search.cv_results_, eeg.ch_names)
            self.estimator_, self.ranking_ = search.estimator_.fitted_, search.ranking_
        self._keep(self.ranking_ == 1, eeg)
        return self

    def _count(self):
        """Return how many channels to end with, and how many go at a time."""
        n_chans, step = self.n_chans_, self.step
        is_number = isinstance(step, Real) and not isinstance(step, bool)
        if not is_number or not (0 < step < 1 or (isinstance(step, Integral) and step >= 1)):
            raise ValueError(
                f"step={step!r} has to be a whole number of at least 1, or a share above 0 and "
                "below 1."
            )
        if self.cv is None:
            n_channels = 0.5 if self.n_channels is None else self.n_channels
            return count_channels("n_channels", n_channels, n_chans), step
        if self.n_channels is not None:
            raise ValueError(
                f"n_channels={self.n_channels!r} and cv are both given, but with cv the score "
                "decides on the number of channels. Set one of them to None; min_channels is the "
                "fewest that cv tries."
            )
        return count_channels("min_channels", self.min_channels, n_chans), step

    def _split(self, X, y, groups, subjects):
        splitter = check_cv(self.cv, y, classifier=is_classifier(given_or_default(self.estimator)))
        # Others than GroupKFold and its like would warn of groups that nobody has passed.
        if groups is None and get_routing_for_object(splitter).consumes("split", ["groups"]):
            groups = validate_groups(subjects, len(y))
        return list(splitter.split(X, y, groups))

    def _results(self, results, ch_names):
        """Name the channels of each split, and refuse scores that decide on nothing."""
        names = np.array(ch_names or [f"x{index}" for index in range(self.n_chans_)])
        found = {"n_channels": results["n_features"]}
        for key, values in results.items():
            if key.endswith("_test_score"):
                found[key] = values
                if not np.isfinite(values).all():
                    raise ValueError(
                        f"{key} is {values.tolist()} for {found['n_channels'].tolist()} channels; "
                        "take another scoring, or a cv whose splits hold every class."
                    )
            elif key.endswith("_support"):
                kept = np.empty(len(values), dtype=object)
                kept[:] = [tuple(names[mask].tolist()) for mask in values]
                found[key.replace("_support", "_ch_names")] = kept
        return found

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class _OfSomeChannels(BaseEstimator):
    """Fit an estimator on the epochs and channels at given positions.

    Lets scikit-learn, which knows 2-D tables alone, choose among the channels of 3-D arrays and
    Epochs: the table has the numbers 0, 1, 2, ..., a row for each epoch and a column for each
    channel, of which it takes rows and columns away.
    """

    def __init__(self, estimator, getter, data):
        self.estimator = estimator
        self.getter = getter
        self.data = data  # X, groups, names and number of channels: never copied

    def __sklearn_clone__(self):
        return _OfSomeChannels(clone(self.estimator), self.getter, self.data)

    def fit(self, positions, y):
        """Fit on these positions."""
        _, groups, _, n_chans = self.data
        groups = None if groups is None else groups[positions[:, 0] // n_chans]
        self.fitted_ = fit_clone(self.estimator, self._take(positions), y, groups)
        self.fitted_on_ = positions, y
        return self

    @property
    def ranks_(self):
        """Ranks of the channels, the least important first; RFE asks where it goes on."""
        (positions, y), names, n_chans = self.fitted_on_, *self.data[2:]
        channels = positions[0] % n_chans
        importances = channel_importances(
            *(self.fitted_, self.getter, self._take(positions), y),
            names and [names[channel] for channel in channels],
            len(channels),
            norm_order=2,
        )
        # RFE squares importances; ranks stay in order also where some are negative.
        return rankdata(importances, method="ordinal")

    def _take(self, positions):
        X, _, names, n_chans = self.data
        support = np.isin(np.arange(n_chans), positions[0] % n_chans)
        return keep_channels(X[positions[:, 0] // n_chans], names, support)

    @property
    def classes_(self):
        return self.fitted_.classes_

    @available_if(_estimator_has("predict"))
    def predict(self, positions):
        return self.fitted_.predict(self._take(positions))

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, positions):
        return self.fitted_.predict_proba(self._take(positions))

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, positions):
        return self.fitted_.decision_function(self._take(positions))

    @available_if(_estimator_has("score"))
    def score(self, positions, y):
        return self.fitted_.score(self._take(positions), y)

    def __sklearn_tags__(self):
        return get_tags(self.estimator)
