"""A fitted model as its steps and a network that never changes, for export and for streams."""

import copy

import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skeegformer.baselines.original import OriginalTransformerClassifier
from skeegformer.classifier import EEGTransformerClassifier

_CLASSIFIERS = EEGTransformerClassifier, OriginalTransformerClassifier


class FrozenNetwork(torch.nn.Module):
    """A copy of a classifier's weights, from epochs (batch, n_chans, n_times) to probabilities."""

    # Log powers are centred on ``means`` if not None.

    def __init__(self, classifier, temperature, means, device):
        super().__init__()
        self.network = copy.deepcopy(classifier.net_.module_).requires_grad_(False)
        self.temperature = temperature
        self.register_buffer("means", means)
        self.to(next(self.network.parameters()).device if device is None else device).eval()

    def forward(self, epochs):
        """Compute the probability of each class."""
        known = {} if self.means is None else {"means": self.means}
        return torch.softmax(self.network(epochs, **known) / self.temperature, dim=1)


def freeze(model, subject, purpose, device=None):
    """Give the steps before a model's classifier, the classifier, and a FrozenNetwork of it."""
    # `subject` says whose means log powers are centred on, `purpose` who wants to know.
    steps, temperature = [], 1.0
    while not isinstance(model, _CLASSIFIERS):
        if isinstance(model, CalibratedClassifierCV):
            check_is_fitted(model)
            calibrated, *others = model.calibrated_classifiers_
            if others or calibrated.method != "temperature":
                raise ValueError(
                    f"{purpose} takes a CalibratedClassifierCV with one network and one "
                    "temperature: fit it with method='temperature' and ensemble=False."
                )
            temperature /= float(calibrated.calibrators[0].beta_)
            model = calibrated.estimator
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, Pipeline):
            steps += [(n, s) for n, s in model.steps[:-1] if s is not None and s != "passthrough"]
            model = model.steps[-1][1]
        else:
            raise TypeError(
                f"{purpose} takes an EEGTransformerClassifier, alone, at the end of a Pipeline or "
                f"inside a CalibratedClassifierCV, but there is a {type(model).__name__}."
            )
    check_is_fitted(model, "net_")
    means = _known_means(model, subject, purpose)
    return steps, model, FrozenNetwork(model, temperature, means, device)


def _known_means(classifier, subject, purpose):
    """Look up on what log powers of one subject are centred, (n_images, n_sources, n_windows)."""
    if not getattr(classifier, "adapt", False):
        if subject is not None:
            raise ValueError(
                f"subject={subject!r} says whose mean log powers are centred on, but this "
                "classifier centres nothing (adapt=False); leave it out."
            )
        return None
    means = classifier.subject_means_
    if subject is None or subject not in means:
        known = ", ".join(repr(name) for name in means if name is not None)
        what = "" if subject is None else f", and that of subject={subject!r} is not known"
        raise ValueError(
            f"{purpose} sees one epoch at a time, but a classifier with adapt=True centres "
            f"log powers on the mean of all epochs of a subject{what}. Name a subject whose mean "
            f"is known (subject={known or '..., after a fit with groups'}), have it learn "
            "somebody's with fine_tune, or fit with adapt=False."
        )
    return torch.as_tensor(means[subject], dtype=torch.float32)
