"""Estimators of pyriemann, which takes any values for labels, and only arrays of them."""

from pyriemann import classification, estimation

from skeegformer._validation import validate_labels


class MDM(classification.MDM):
    """Minimum distance to the mean of each class, whose labels are checked."""

    def fit(self, X, y, sample_weight=None):
        classes, codes = validate_labels(self, y, len(X))
        return super().fit(X, classes[codes], sample_weight)


class XdawnCovariances(estimation.XdawnCovariances):
    """Covariances of epochs with the averages of the classes, whose labels are checked."""

    def fit(self, X, y):
        classes, codes = validate_labels(self, y, len(X))
        return super().fit(X, classes[codes])
