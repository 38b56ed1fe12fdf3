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
    importance_bunch,
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


def attribute(
    classifier,
    data,
    y,
    subjects,
    channels,
    *,
    method="rollout",
    target="predicted",
    parts="time",
    bands=None,
    replacement="swap",
    neighbors=False,
    n_repeats=5,
    head_fusion="mean",
    residual=True,
    convention="abnar-zuidema",
    connections=False,
    random_state=None,
):
    """Compute what an `Explanation` holds, and what log powers are centred on, if anything.

    Parameters are those of `AttentionExplainer`; `data` are epochs as they enter the network, and
    `channels` a dict of their names and info.
    """
    network, info = classifier.net_.module_, channels["info"]
    if connections:
        check_connections(network, method, convention)
    if method == "rollout":
        options = {"head_fusion": head_fusion, "residual": residual, "convention": convention}
        logits, means, found = explain_rollout(classifier, data, subjects, connections, **options)
    else:
        logits, means = predict(classifier, data, subjects)
    predicted = logits.argmax(dim=1).numpy()
    codes = target_codes(target, classifier, predicted, y)
    task = (network, data, codes, means)
    if method == "gradient-rollout":
        found = explain_gradient_rollout(*task, connections)
    elif method == "integrated-gradients":
        found = explain_integrated_gradients(*task)
    elif method == "occlusion":
        orders, taken = [None], make_parts(parts, network, classifier.sfreq_, bands)
        if replacement == "swap":
            orders = derangements(len(data), subjects, n_repeats, random_state)
        drops, _ = occlude(
            *task,
            substitute=make_substitute(replacement, data, orders=orders, info=info),
            sets=_channel_sets(network, info, neighbors),
            parts=taken,
            n_repeats=len(orders),
        )
        found = {"token_values": drops.mean(axis=0), "parts": tuple(taken)}
    elif method == "permutation":
        if y is None:
            raise ValueError("method='permutation' compares scores: pass y to explain.")
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        orders = shuffled_orders(len(data), subjects, seed, n_repeats)
        drops, changed = occlude(
            *task,
            substitute=make_substitute("swap", data, orders=orders),
            sets=_channel_sets(network, info, neighbors),
            n_repeats=n_repeats,
        )
        true, changed = np.searchsorted(classifier.classes_, y), changed[..., 0].transpose(2, 0, 1)
        losses = _balanced_accuracy(true, predicted) - _balanced_accuracy(true, changed)
        names = channels["ch_names"] or [str(channel) for channel in range(data.shape[1])]
        found = {
            "token_values": drops.mean(axis=0),
            "parts": ("epoch",),
            "permutation": importance_bunch(losses, list(names)),
        }
    fields = {
        "probabilities": torch.softmax(logits, dim=1).numpy(),
        "parts": part_names(network, classifier.sfreq_),
        "targets": classifier.classes_[codes] if METHODS[method].class_specific else None,
    }
    return fields | found, means


def _channel_sets(network, info, neighbors):
    """List channels that are taken away together."""
    return neighborhoods(info) if neighbors else [[k] for k in range(network.n_chans)]


def _balanced_accuracy(y, predictions):
    """Compute it for predictions of shape (..., n_epochs)."""
    correct = predictions == y
    return np.mean([correct[..., y == label].mean(axis=-1) for label in np.unique(y)], axis=0)
