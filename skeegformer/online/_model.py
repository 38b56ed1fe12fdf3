"""What a frozen model and a model of a stream need to know of an estimator."""

import copy

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skeegformer.calibration import TemperatureScaledClassifier
from skeegformer.classifier import EEGTransformerClassifier


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
    while not isinstance(model, EEGTransformerClassifier):
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
    """Look up by what mean the features of the one subject are centred.

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
    Tensor of shape (n_chans, n_time_tokens, n_features) or None
        The mean; None where nothing is centred.

    Raises
    ------
    ValueError
        If a mean is needed and not known, or a subject is named where none is needed.
    """
    if not classifier.adapt:
        if subject is not None:
            raise ValueError(
                f"subject={subject!r} says whose mean the features are centred on, but this "
                "classifier centres nothing (adapt=False); leave it out."
            )
        return None
    means = classifier.subject_means_
    if subject is None or subject not in means:
        known = ", ".join(repr(name) for name in means if name is not None)
        what = "" if subject is None else f", and that of subject={subject!r} is not known"
        raise ValueError(
            f"{purpose} sees one epoch at a time, but a classifier with adapt=True centres "
            f"features on the mean of all epochs of a subject{what}. Name a subject whose mean "
            f"is known (subject={known or '..., after a fit with groups'}), have it learn "
            "somebody's with fine_tune, or fit with adapt=False."
        )
    return torch.as_tensor(means[subject], dtype=torch.float32)


def copy_network(classifier, device=None):
    """Copy a classifier's network for prediction; what is trained later leaves it as it is.

    Parameters
    ----------
    classifier : EEGTransformerClassifier
        Fitted.
    device : str or None, default=None
        Where to; None for where it is.

    Returns
    -------
    EEGTransformer
        In eval mode, without gradients.
    """
    network = copy.deepcopy(classifier.net_.module_).eval().requires_grad_(False)
    return network if device is None else network.to(device)
