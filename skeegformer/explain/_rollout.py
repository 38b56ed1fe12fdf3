"""Attributions by attention: rollout, and rollout weighted by gradients."""

import numpy as np
import torch

from skeegformer.attention import (
    attention_gradients,
    attention_rollout,
    gradient_rollout,
    record_attention,
)
from skeegformer.explain._model import BATCH_SIZE, batches, log_odds, predict, tokens_of
from skeegformer.nn import EEGTransformer, tokens_to_channels

# All attention weights of an OriginalTransformer take some megabytes an epoch: few fit into caches.
_SMALL_BATCH = 4


def check_connections(network, method, convention):
    """Refuse to show what is computed and goes nowhere."""
    if isinstance(network, EEGTransformer):
        if method != "rollout":
            raise ValueError(
                "connections=True of an EEGTransformer are those of attention: take "
                "method='rollout'."
            )
        return
    every_block = method == "rollout" and convention == "eeg-transformer"
    if len(network.encoder.encoder_layers) == 1 and not every_block:
        raise ValueError(
            "connections=True shows what channels take from each other before the class token "
            "reads them, and with a single block it reads them as they are: train with "
            "n_layers=2 or more. method='rollout' with convention='eeg-transformer' shows "
            "what a single block computes and nobody reads."
        )


def explain_rollout(explainer, classifier, data, subjects):
    """Explain by attention alone: the logits, their means, and what was found, of one pass."""
    network = classifier.net_.module_
    if isinstance(network, EEGTransformer):
        with record_attention(network) as attention:
            logits, means = predict(classifier, data, subjects)
        values = attention.values()
        if subjects is not None:
            values = values.within_subjects(subjects)
        found = {"token_values": attention_rollout(values).double().numpy()[:, :, None]}
        if explainer.connections:
            found["connections"] = values.connections.numpy()
        return logits, means, found

    options = {"head_fusion": explainer.head_fusion, "convention": explainer.convention}
    logits, rows, matrices = [], [], []
    for x in batches(network, data, batch_size=_SMALL_BATCH):
        with torch.no_grad(), record_attention(network) as attention:
            logits.append(network(x).cpu())
        weights = attention.values()
        rows.append(attention_rollout(weights, output="class", **options))
        if explainer.connections:
            # The rows of channels in the last block are read by nobody.
            read = weights if options["convention"] == "eeg-transformer" else weights[:, :-1]
            matrices.append(attention_rollout(read, **options))
    rows, matrices = torch.cat(rows).double().numpy(), matrices and torch.cat(matrices).numpy()
    return torch.cat(logits), None, by_channel(network, rows, matrices)


def explain_gradient_rollout(network, data, codes, means, connections):
    """Explain by attention and its gradient."""
    if isinstance(network, EEGTransformer):
        relevance = signed_gradient_rollout(network, data, codes, means)
        return {"token_values": _shares(relevance)[:, :, None]}
    rows, matrices = [], []
    for x, code in batches(network, data, codes, batch_size=_SMALL_BATCH):
        found = attention_gradients(network, x, lambda logits, code=code: log_odds(logits, code))
        relevance = gradient_rollout(*found).cpu()
        rows.append(relevance[:, 0, 1:])
        if connections:
            matrices.append(relevance)
    matrices = matrices and torch.cat(matrices).numpy()
    return by_channel(network, torch.cat(rows).double().numpy(), matrices)


def signed_gradient_rollout(network, data, codes, means=None, *, batch_size=BATCH_SIZE):
    """Average the positive part of attention times gradient over heads, channel by channel."""
    rows = []
    network.eval()
    for x, code, known in batches(network, data, codes, means, batch_size=batch_size):
        signal = network.prepare(x)
        with torch.enable_grad():
            sources = network.gather(signal).requires_grad_()
            score = log_odds(network.read_out(tokens_of(network, sources, known)), code)
            gradients = torch.autograd.grad(score.sum(), sources)[0]
        with torch.no_grad():
            relevance = network.split(gradients, signal).clamp_min(0)
        rows.append(relevance.mean(dim=(1, 2)).cpu())
    return torch.cat(rows).double().numpy()


def by_channel(network, rows, matrices=()):
    """Turn the class token's rows into shares, and matrices of tokens into those of channels."""
    shape = network.n_chans, network.n_time_tokens
    found = {"token_values": tokens_to_channels(_shares(rows), *shape)}
    if len(matrices):
        # Rows are averaged over the temporal tokens of a channel, and columns summed.
        between = tokens_to_channels(matrices[:, 1:], *shape).sum(axis=-1)
        between = tokens_to_channels(between.swapaxes(1, 2), *shape).mean(axis=-1)
        found["connections"] = between.swapaxes(1, 2)
    return found


def _shares(rows):
    """Let values sum to 1 over tokens; where all are 0, each has the same share."""
    total = rows.sum(axis=-1, keepdims=True)
    return np.where(total > 0, rows / np.where(total > 0, total, 1), 1 / rows.shape[-1])
