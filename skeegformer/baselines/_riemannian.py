"""Estimators of pyriemann, which takes labels for an array, and any values for labels."""

from pyriemann import classification, estimation

from skeegformer._validation import validate_labels


class MDM(classification.MDM):
    """Minimum distance to the Riemannian mean of each class."""

    def fit(self, X, y, sample_weight=None):
        """Fit to covariances of shape (n_epochs, n_chans, n_chans)."""
        return super().fit(X, _as_array(self, X, y), sample_weight)


class XdawnCovariances(estimation.XdawnCovariances):
    """Covariances of epochs with the averages of the classes."""

    def fit(self, X, y):
        """Fit to epochs of shape (n_epochs, n_chans, n_times)."""
        return super().fit(X, _as_array(self, X, y))


def _as_array(estimator, X, y):
    classes, codes = validate_labels(estimator, y, len(X))
    return classes[codes]
