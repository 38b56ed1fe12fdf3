"""Training of networks as scikit-learn classifiers, whichever the network; skorch does the work."""

from skeegformer.training._parameters import network_estimator
from skeegformer.training.classifier import NetworkClassifier

__all__ = ["NetworkClassifier", "network_estimator"]
