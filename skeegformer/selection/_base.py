"""What both selections share: the estimator, its groups, and taking channels away."""

from numbers import Integral, Real

import numpy as np
import sklearn
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, has_fit_parameter

from skeegformer._validation import as_epochs, in_memory, is_epochs
from skeegformer.preprocessing._base import SignalTransformer


# `set_output` is for tables, which 3-D arrays and Epochs are not: hence no wrapping.
class ChannelSelection(SignalTransformer, auto_wrap_output_keys=None):
    """A transformer that keeps the channels of ``support_``, which `fit` of a subclass sets."""

    def fit_transform(self, X, y=None, groups=None):
        """Fit, then keep the chosen channels of X.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            As in `fit`.
        y : array-like of shape (n_epochs,) or None, default=None
            As in `fit`.
        groups : array-like of shape (n_epochs,) or None, default=None
            As in `fit`.

        Returns
        -------
        mne.Epochs or ndarray
            As in `transform`.
        """
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

    def _keep(self, support, eeg):
        self.support_ = support
        self.kept_ch_names_ = None if eeg.ch_names is None else _named(eeg.ch_names, support)


def given_or_default(estimator):
    """Check the estimator; None is the package's own, seeded so that a choice can be repeated."""
    if estimator is None:
        from skeegformer.classifier import EEGTransformerClassifier  # loads torch

        return EEGTransformerClassifier(random_state=0)
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            f"estimator={estimator!r} cannot be fitted; pass an estimator such as "
            "EEGTransformerClassifier(), or None for that."
        )
    return estimator


def fit_with_groups(estimator, X, y, groups):
    """Fit, with groups where they were given and the estimator has a use for them."""
    takes_groups = has_fit_parameter(estimator, "groups") or (
        sklearn.get_config()["enable_metadata_routing"]
        and "groups" in get_routing_for_object(estimator).consumes("fit", ["groups"])
    )
    if groups is None or not takes_groups:
        return estimator.fit(X, y)
    return estimator.fit(X, y, groups=groups)


def as_given(eeg):
    """Make Epochs of Epochs, and a checked array of as many dimensions of an array."""
    if eeg.epochs is not None:
        return eeg.epochs
    return eeg.data[:, 0] if eeg.is_flat else eeg.data


def keep_channels(X, ch_names, support):
    """Copy Epochs or an array with only those of its EEG channels that `support` marks."""
    if isinstance(X, np.ndarray):
        return X.copy() if X.ndim == 2 else X[:, support]
    dropped = set(_named(ch_names, ~support))
    return X.copy().reorder_channels([name for name in X.ch_names if name not in dropped])


def _named(ch_names, support):
    return [name for name, is_kept in zip(ch_names, support, strict=True) if is_kept]


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
