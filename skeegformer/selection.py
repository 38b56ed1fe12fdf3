"""Channel selection."""

import numpy as np
from sklearn.base import clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skeegformer._utils.routing import groups_for_fit
from skeegformer._validation import check_count, validate_groups
from skeegformer.preprocessing._base import SignalTransformer


# `set_output` is for tables, which 3-D arrays and Epochs are not: hence no wrapping.
class ChannelSelector(SignalTransformer, auto_wrap_output_keys=None):
    """Select channels by importance.

    The counterpart of :class:`~sklearn.feature_selection.SelectFromModel` for channels of Epochs
    and 3-D arrays. In a Pipeline, channels are selected with the training epochs of each fold only.

    Parameters
    ----------
    estimator : estimator or None, default=None
        Estimator that gives the importances; None for ``EEGTransformerClassifier(random_state=0)``.
        It is fitted on X, unless an estimator already fitted on the same channels in the same order
        is passed as a :class:`~sklearn.frozen.FrozenEstimator`.
    n_channels : int or None, default=None
        Number of channels to keep; None keeps those of at least mean importance.
    importance_getter : "auto" or callable, default="auto"
        "auto" uses ``feature_importances_`` or the absolute ``coef_`` (summed over classes). A
        callable receives the fitted estimator, X and y, and returns one number for each channel, in
        the order of X: for example permutation importance, or ``lambda pipe, X, y:
        pipe[-1].feature_importances_`` for a Pipeline.

    Attributes
    ----------
    importances_ : ndarray of shape (n_chans,)
        Importance of each channel, in the order of X.
    support_, n_channels_ : ndarray of bool of shape (n_chans,), int
        Mask and number of the selected channels.
    kept_ch_names_ : list of str or None
        Names of the selected EEG channels; None if names are unknown.
    estimator_ : estimator
        The fitted estimator.

    Notes
    -----
    The importances of an `EEGTransformerClassifier` show where it looks. After a few training
    epochs, as in the example, they reflect its initial weights, so use ``max_epochs="auto"`` to
    select channels. To select those that the model needs, pass a callable that measures the effect
    of removing a channel, at the cost of one prediction per channel.

    Importances other than ``coef_`` are used with their sign, so that a channel with a negative
    permutation importance ranks below one with zero.

    `groups` are passed to an estimator whose `fit` has that parameter, and to a Pipeline if
    metadata routing is enabled and one of its steps requests them.

    Examples
    --------
    >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
    >>> from skeegformer.selection import ChannelSelector
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=3, n_heads=4, random_state=0)
    >>> selector = ChannelSelector(classifier, n_channels=8).fit(X, y)
    >>> len(selector.transform(X).ch_names)
    8
    >>> int(selector.get_support().sum())
    8
    """

    def __init__(self, estimator=None, *, n_channels=None, importance_getter="auto"):
        self.estimator = estimator
        self.n_channels = n_channels
        self.importance_getter = importance_getter

    def fit(self, X, y=None, groups=None):
        """Fit the estimator and select the channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or (n_epochs, n_times) for a
            single channel, which is kept.
        y : array-like of shape (n_epochs,) or None, default=None
            Target of the estimator.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, for the estimator.

        Returns
        -------
        self
            The fitted selector.

        Raises
        ------
        ValueError
            If a parameter is out of range, `n_channels` exceeds the number of channels, the
            estimator has not one importance for each channel, or X and y are invalid for it.
        """
        self._fit(X, y, groups)
        return self

    def fit_transform(self, X, y=None, groups=None):
        """Fit, then return the selected channels of X, as `fit` and `transform` do."""
        return self._apply(self._fit(X, y, groups))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "support_")

    get_support = SelectorMixin.get_support

    def _get_support_mask(self):
        check_is_fitted(self, "support_")
        return self.support_

    def get_feature_names_out(self, input_features=None):
        """Return the names of the selected channels.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the channels of X; None for those of `fit`, or x0, x1, ... for arrays.

        Returns
        -------
        ndarray of str
            Names of the selected channels; for 2-D X (one channel), of its samples.
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

    def _fit(self, X, y, groups):
        """Check the parameters, fit a clone of the estimator and mark the channels that stay."""
        vars(self).pop("support_", None)  # an earlier fit is forgotten: one that fails is no fit
        if self.importance_getter != "auto" and not callable(self.importance_getter):
            raise ValueError(
                f"importance_getter={self.importance_getter!r} is neither 'auto' nor a function of "
                "the fitted estimator, X and y."
            )
        eeg = self._open(X, reset=True)
        if self.n_channels is not None:
            check_count("n_channels", self.n_channels, 1)
            if self.n_channels > self.n_chans_:
                raise ValueError(
                    f"n_channels={self.n_channels} is more than the {self.n_chans_} of X."
                )
        groups = validate_groups(groups, len(eeg.data))
        X = eeg.epochs
        if X is None:
            X = eeg.data[:, 0] if eeg.is_flat else eeg.data
        estimator = clone(self._given_or_default())
        self.estimator_ = estimator.fit(X, y, **groups_for_fit(estimator, groups))
        self.importances_ = values = self._importances(X, y, eeg.ch_names)
        if self.n_channels is None:
            # The mean of equal numbers can be rounded to more than any of them.
            self.support_ = values >= min(values.mean(), values.max())
        else:
            best = np.argsort(-values, kind="stable")[: self.n_channels]
            self.support_ = np.isin(np.arange(len(values)), best)
        self.n_channels_, self.kept_ch_names_ = int(self.support_.sum()), None
        if eeg.ch_names is not None:
            self.kept_ch_names_ = np.array(eeg.ch_names)[self.support_].tolist()
        return eeg

    def _transform_data(self, data, eeg):
        return data[:, self.support_]

    def _transform_epochs(self, eeg):
        dropped = np.array(eeg.ch_names)[~self.support_]
        names = [name for name in eeg.epochs.ch_names if name not in dropped]
        return eeg.epochs.copy().reorder_channels(names)

    def _importances(self, X, y, ch_names):
        """Read the importance of each channel of X from the estimator, which was fitted on X."""
        n_chans = self.n_chans_
        if callable(self.importance_getter):
            what, values = "importance_getter", self.importance_getter(self.estimator_, X, y)
        else:
            what, values = _of_estimator(self.estimator_, ch_names, n_chans)
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


def _of_estimator(fitted, ch_names, n_chans):
    """Read ``feature_importances_``, or the size of ``coef_``, which are of these channels."""
    known, name = getattr(fitted, "ch_names_", None), type(fitted).__name__
    if known is not None and ch_names is not None and list(known) != list(ch_names):
        raise ValueError(
            f"The importances are of the channels {', '.join(known)}, which are not those of X in "
            "their order: pick the channels that the fitted estimator knows."
        )
    if hasattr(fitted, "feature_importances_"):
        return f"feature_importances_ of {name}", fitted.feature_importances_
    if hasattr(fitted, "coef_"):
        values = np.abs(np.asarray(fitted.coef_, dtype=np.float64))  # signs are no ranks
        return f"coef_ of {name}", values.sum(axis=0) if values.ndim == 2 else values
    if n_chans == 1:  # which stays in any case
        return name, [1.0]
    raise ValueError(
        f"{name} has neither feature_importances_ nor coef_, so it does not say which channels "
        "matter. Take another estimator, or pass a function of the fitted estimator, X and y as "
        "importance_getter."
    )
