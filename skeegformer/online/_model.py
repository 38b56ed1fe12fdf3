"""What a frozen model and a model of a stream need to know of an estimator."""

import copy

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skeegformer.calibration import TemperatureScaledClassifier
from skeegformer.classifier import EEGTransformerClassifier
from skeegformer.original import OriginalTransformerClassifier

_CLASSIFIERS = EEGTransformerClassifier, OriginalTransformerClassifier


class FrozenNetwork(torch.nn.Module):
    """Epochs to probabilities, with a copy of the weights of a fitted classifier.

    Parameters
    ----------
    classifier : EEGTransformerClassifier or OriginalTransformerClassifier
        Fitted; what it learns later does not matter here.
    temperature : float, default=1.0
        By what logits are divided.
    means : Tensor of shape (n_images, n_sources, n_windows) or None, default=None
        What log powers are centred on.
    device : str or None, default=None
        Where to compute; None for where the classifier does.
    """

    def __init__(self, classifier, temperature=1.0, means=None, device=None):
        super().__init__()
        self.network = copy.deepcopy(classifier.net_.module_).requires_grad_(False)
        self.temperature = temperature
        self.register_buffer("means", means)
        self.to(next(self.network.parameters()).device if device is None else device).eval()

    def forward(self, epochs):
        """Compute the probability of each class.

        Parameters
        ----------
        epochs : Tensor of shape (batch, n_chans, n_times)
            Epochs.

        Returns
        -------
        Tensor of shape (batch, n_classes)
            Probabilities.
        """
        known = {} if self.means is None else {"means": self.means}
        return torch.softmax(self.network(epochs, **known) / self.temperature, dim=1)


def take_apart(model, purpose):
    """Find the classifier at the end of a model, and what stands around it.

    Parameters
    ----------
    model : estimator
        An `EEGTransformerClassifier`, a Pipeline that ends in one, or a
        `TemperatureScaledClassifier` around either.
    purpose : str
        Who wants to know, for the message.

    Returns
    -------
    steps : list of (str, transformer)
        Those in front of the classifier that do something.
    classifier : EEGTransformerClassifier
        Fitted.
    temperature : float
        By what its logits are divided.

    Raises
    ------
    TypeError
        If the model ends in something else.
    NotFittedError
        If it is not fitted.
    """
    steps, temperature = [], 1.0
    while not isinstance(model, _CLASSIFIERS):
        if isinstance(model, TemperatureScaledClassifier):
            check_is_fitted(model, "classifier_")
            temperature *= model.temperature_
            model = model.classifier_
        elif isinstance(model, Pipeline):
            steps += [(n, s) for n, s in model.steps[:-1] if s is not None and s != "passthrough"]
            model = model.steps[-1][1]
        else:
            raise TypeError(
                f"{purpose} takes an EEGTransformerClassifier, alone, at the end of a Pipeline or "
                f"inside a TemperatureScaledClassifier, but there is a {type(model).__name__}."
            )
    check_is_fitted(model, "net_")
    return steps, model, temperature


def known_mean(classifier, subject, purpose):
    """Look up on what means the log powers of the one subject are centred.

    Parameters
    ----------
    classifier : EEGTransformerClassifier
        Fitted.
    subject : object or None
        Whom the epochs will come from; None for anybody.
    purpose : str
        Who wants to know, for the message.

    Returns
    -------
    Tensor of shape (n_images, n_sources, n_windows) or None
        Means of log powers; None where nothing is centred.

    Raises
    ------
    ValueError
        If a mean is needed and not known, or a subject is named where none is needed.
    """
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
