"""Models that have learnt nothing, whose maps are compared with that of an explanation."""

import copy

import numpy as np
import torch
from sklearn.utils import check_random_state

from skeegformer.explain._model import batches
from skeegformer.explain._perturbation import rows_by_subject
from skeegformer.nn import EEGTransformer


def randomize_parameters(network, data=None, random_state=None):
    """Copy a network and draw every one of its parameters anew.

    Each tensor gets normal values with its own mean and standard deviation, so that the signal
    keeps its size on the way through the layers. How signals are standardised stays. What an
    `EEGTransformer` has learnt of its sources, their power and their usual tokens, is measured anew
    where there are epochs.
    """
    rng = check_random_state(random_state)
    network = copy.deepcopy(network).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
            # What is constant, such as biases that never moved, gets a little spread as well.
            values = rng.normal(float(parameter.mean()), max(spread, 0.02), parameter.shape)
            parameter.copy_(torch.as_tensor(values))
        if not isinstance(network, EEGTransformer):
            return network
        network.source_power.fill_(1)
        network.usual_tokens.zero_()
        if data is not None:
            network.learn_powers(batches(network, data))
            sources = (network.gather(network.prepare(x)) for x in batches(network, data))
            network.usual_tokens.copy_(torch.cat(list(map(network.tokens, sources))).mean(dim=0))
    return network


def randomized_classifier(explanation, random_state):
    """Copy the explained classifier with random parameters, which knows the same subjects."""
    source = explanation.source
    classifier = copy.copy(source.classifier)
    classifier.net_ = copy.copy(classifier.net_)
    network = randomize_parameters(classifier.net_.module_, source.data, random_state)
    classifier.net_.module_ = network
    if source.means is not None:
        powers = classifier._raw_tokens(source.data)[:, :, 0].double()
        rows = rows_by_subject(explanation.subjects, len(powers))
        names = [None] if explanation.subjects is None else np.unique(explanation.subjects).tolist()
        means = [powers[one].mean(dim=0).float().numpy() for one in rows]
        classifier.subject_means_ = dict(zip(names, means, strict=True))
    return classifier
