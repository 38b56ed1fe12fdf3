"""What both selections share: the estimator, its importances, and taking channels away."""

from numbers import Integral, Real

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, has_fit_parameter

from skeegformer._validation import as_epochs, in_memory, is_epochs, validate_groups
from skeegformer.preprocessing._base import SignalTransformer


# `set_output` is for tables, which 3-D arrays and Epochs are not: hence no wrapping.
class ChannelSelection(SignalTransformer, auto_wrap_output_keys=None):
    """A transformer that keeps the channels that `_choose` of a subclass marks.

    A subclass has the parameters `estimator` and `importance_getter`.
    """

    def fit(self, X, y=None, groups=None):
        """Fit the estimator and choose the channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or
            (n_epochs, n_times) for a single channel, which stays.
        y : array-like of shape (n_epochs,) or None, default=None
            What the estimator learns to predict.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, for the estimator, and for splitters such as `GroupKFold`.

        Returns
        -------
        self
            The selection.

        Raises
        ------
        ValueError
            If a parameter is out of its range or contradicts another, no channel or more than
            there are would stay, the estimator has no importances, or not one for each channel of
            X, a score is not finite, or the estimator refuses X and y.
        """
        # An earlier fit is forgotten, so that one that fails is no fit.
        for name in ("support_", "cv_results_"):
            vars(self).pop(name, None)
        if self.importance_getter != "auto" and not callable(self.importance_getter):
            raise ValueError(
                f"importance_getter={self.importance_getter!r} is neither 'auto' nor a function of "
                "the fitted estimator, X and y."
            )
        eeg = self._open(X, reset=True)
        groups = validate_groups(groups, len(eeg.data))
        support = self._choose(eeg, as_given(eeg), y, groups)
        self.support_, self.n_channels_ = support, int(support.sum())
        self.kept_ch_names_ = None
        if eeg.ch_names is not None:
            self.kept_ch_names_ = np.array(eeg.ch_names)[support].tolist()
        return self

    def fit_transform(self, X, y=None, groups=None):
        """Fit, then keep the chosen channels of X; all parameters are those of `fit`."""
        X = as_epochs(X) if is_epochs(X) else in_memory(X)  # once, not for each of the two
        return self.fit(X, y, groups=groups).transform(X)

    def transform(self, X):
        """Keep the chosen channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`, of any length where X is not 2-D;
            never changed.

        Returns
        -------
        mne.Epochs or ndarray
            New Epochs for Epochs, with channels that are not EEG left in; for an array an array
            of as many dimensions. The channels are in the order of `fit`.

        Raises
        ------
        ValueError
            If X does not agree with what was fitted.
        """
        check_is_fitted(self, "support_")
        eeg = self._open(X, reset=False)
        return keep_channels(as_given(eeg), eeg.ch_names, self.support_)

    def get_support(self, indices=False):
        """Tell which channels are kept.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return their positions instead of a mask.

        Returns
        -------
        ndarray
            A mask of shape (n_chans,), or the positions of the kept channels.
        """
        check_is_fitted(self, "support_")
        return np.flatnonzero(self.support_) if indices else self.support_

    def get_feature_names_out(self, input_features=None):
        """Name the channels that are kept.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the channels of X; None takes those of `fit`, or x0, x1, ... for arrays.

        Returns
        -------
        ndarray of str
            Names of the kept channels; for 2-D X, one channel that stays, of its samples.
        """
        check_is_fitted(self, "support_")
        names = _check_feature_names_in(self, input_features)
        return names if self._fitted_flat else names[self.support_]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = get_tags(self._given_or_default()).target_tags.required
        return tags

    def _given_or_default(self):
        """Check the estimator; None is the package's own, seeded so that it can be repeated."""
        estimator = self.estimator
        if estimator is None:
            from skeegformer.classifier import EEGTransformerClassifier  # loads torch

            return EEGTransformerClassifier(random_state=0)
        if isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise TypeError(
                f"estimator={estimator!r} cannot be fitted; pass an estimator such as "
                "EEGTransformerClassifier(), or None for that."
            )
        return estimator

    def _fit_clone(self, X, y, groups):
        """Fit a clone, with groups where they were given and the estimator has a use for them."""
        estimator = clone(self._given_or_default())
        takes_groups = has_fit_parameter(estimator, "groups") or (
            sklearn.get_config()["enable_metadata_routing"]
            and "groups" in get_routing_for_object(estimator).consumes("fit", ["groups"])
        )
        if groups is None or not takes_groups:
            return estimator.fit(X, y)
        return estimator.fit(X, y, groups=groups)

    def _importances(self, fitted, X, y, ch_names, n_chans, *, norm_order):
        """Read the importance of each channel of X from an estimator fitted on X."""
        if callable(self.importance_getter):
            what, values = "importance_getter", self.importance_getter(fitted, X, y)
        else:
            what, values = _of_estimator(fitted, ch_names, n_chans, norm_order)
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (n_chans,):
            raise ValueError(
                f"{what} has shape {values.shape}, but X has {n_chans} channel"
                f"{'s' * (n_chans > 1)} (2-D X is epochs of one). There has to be one number for "
                "each: fit with the same channels, move steps that change the channels in front "
                "of the selection, or pass a function as importance_getter."
            )
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ValueError(
                f"{what} is {values[bad[0]]} for {len(bad)} of {n_chans} channels, the first of "
                f"them {ch_names[bad[0]] if ch_names else bad[0]}; channels cannot be ranked by "
                "that."
            )
        return values


def _of_estimator(fitted, ch_names, n_chans, norm_order):
    """Read ``feature_importances_``, or the size of ``coef_``, of the last step."""
    fitted = getattr(fitted, "best_estimator_", fitted)
    steps = [step for _, step in getattr(fitted, "steps", [("", fitted)])]
    *before, last = [step for step in steps if step is not None and step != "passthrough"]
    _refuse_other_channels(before, last, ch_names)
    name = type(last).__name__
    if hasattr(last, "feature_importances_"):
        return f"feature_importances_ of {name}", last.feature_importances_
    if not hasattr(last, "coef_"):
        if n_chans == 1:  # which stays in any case
            return name, [1.0]
        raise ValueError(
            f"{name} has neither feature_importances_ nor coef_, so it does not say which channels "
            "matter. Take another estimator, or pass a function of the fitted estimator, X and y "
            "as importance_getter."
        )
    values = np.abs(np.asarray(last.coef_, dtype=np.float64))  # signs are directions, not ranks
    if values.ndim == 2:
        values = np.linalg.norm(values, ord=norm_order, axis=0)
    return f"coef_ of {name}", values


def _refuse_other_channels(before, last, ch_names):
    """Raise where importances need not be of the channels of X, in their order."""
    for step in before:
        # Behind a spatial filter, six importances are of its components, not of six channels.
        if not isinstance(step, SignalTransformer):
            raise ValueError(
                f"What comes out of {type(step).__name__} need not be the channels of X, so the "
                f"importances of {type(last).__name__} behind it may be of something else. Pass a "
                "function as importance_getter that returns one number for each channel of X."
            )
    for step in (*before, last):
        entered = getattr(step, "ch_names_", None)
        if entered is None:
            continue
        # Arrays have no names that a later step could be known by. Epochs have more than EEG.
        left = getattr(step, "kept_ch_names_", None) or entered
        left = [name for name in left if name in entered]
        for names in (list(entered), left):
            if names != list(ch_names or entered):
                raise ValueError(
                    f"The importances are of the channels {', '.join(names)}, which are not those "
                    "of X in their order. Move the step that changes them in front of the "
                    "selection, pick the channels that a fitted estimator knows, or pass a "
                    "function as importance_getter that returns one number for each channel of X."
                )


def as_given(eeg):
    """Make Epochs of Epochs, and a checked array of as many dimensions of an array."""
    if eeg.epochs is not None:
        return eeg.epochs
    return eeg.data[:, 0] if eeg.is_flat else eeg.data


def keep_channels(X, ch_names, support):
    """Copy Epochs or an array with only those of its EEG channels that `support` marks."""
    if isinstance(X, np.ndarray):
        return X.copy() if X.ndim == 2 else X[:, support]
    dropped = {name for name, kept in zip(ch_names, support, strict=True) if not kept}
    return X.copy().reorder_channels([name for name in X.ch_names if name not in dropped])


def count_channels(parameter, value, n_chans):
    """Turn a number or share of channels into a number."""
    if isinstance(value, Integral) and not isinstance(value, bool) and value >= 1:
        if value > n_chans:
            raise ValueError(
                f"{parameter}={value} is more than the {n_chans} channel{'s' * (n_chans > 1)} of X."
            )
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Integral) and 0 < value <= 1:
        return max(1, int(value * n_chans))
    raise ValueError(
        f"{parameter}={value!r} has to be a whole number of at least 1, a share above 0 and of at "
        "most 1.0, or None."
    )
