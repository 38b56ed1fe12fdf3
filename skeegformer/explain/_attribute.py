"""From a classifier and epochs to attributions, by any of the methods."""

import numpy as np
import torch
from sklearn.utils import check_random_state

from skeegformer.explain._electrodes import neighborhoods
from skeegformer.explain._gradients import explain_integrated_gradients
from skeegformer.explain._inputs import target_codes
from skeegformer.explain._model import predict
from skeegformer.explain._perturbation import (
    derangements,
    make_parts,
    make_substitute,
    occlude,
    part_names,
    shuffled_orders,
)
from skeegformer.explain._rollout import (
    check_connections,
    explain_gradient_rollout,
    explain_rollout,
)
from skeegformer.explain.methods import METHODS


def attribute(explainer, classifier, data, y, subjects, channels):
    """Compute what an `Explanation` holds, and what log powers are centred on, if anything."""
    method, network, info = explainer.method, classifier.net_.module_, channels["info"]
    if explainer.connections:
        check_connections(network, method, explainer.convention)
    if method == "rollout":
        logits, means, found = explain_rollout(explainer, classifier, data, subjects)
    else:
        logits, means = predict(classifier, data, subjects)
    predicted = logits.argmax(dim=1).numpy()
    codes = target_codes(explainer.target, classifier, predicted, y)
    task = (network, data, codes, means)
    sets = [[channel] for channel in range(network.n_chans)]
    if explainer.neighbors and method in ("occlusion", "permutation"):
        sets = neighborhoods(info)
    if method == "gradient-rollout":
        found = explain_gradient_rollout(*task, explainer.connections)
    elif method == "integrated-gradients":
        found = explain_integrated_gradients(*task)
    elif method == "occlusion":
        parts = make_parts(explainer.parts, network, classifier.sfreq_, explainer.bands)
        orders, kind = [None], explainer.replacement
        if kind == "swap":
            orders = derangements(len(data), subjects, explainer.n_repeats, explainer.random_state)
        substitute = make_substitute(kind, data, orders=orders, info=info)
        drops = occlude(*task, substitute, sets, parts, n_repeats=len(orders))
        found = {"token_values": drops.mean(axis=0), "parts": tuple(parts)}
    elif method == "permutation":
        seed = check_random_state(explainer.random_state).randint(np.iinfo(np.int32).max)
        orders = shuffled_orders(len(data), subjects, seed, explainer.n_repeats)
        substitute = make_substitute("swap", data, orders=orders)
        drops = occlude(*task, substitute, sets, n_repeats=len(orders))
        found = {"token_values": drops.mean(axis=0), "parts": ("epoch",)}
    fields = {
        "probabilities": torch.softmax(logits, dim=1).numpy(),
        "parts": part_names(network, classifier.sfreq_),
        "targets": classifier.classes_[codes] if METHODS[method].class_specific else None,
    }
    return fields | found, means
