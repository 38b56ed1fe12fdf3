"""Explanations by integrated gradients (Sundararajan, Taly and Yan 2017)."""

import numpy as np
import torch

from skeegformer.explain._model import BATCH_SIZE, batches, log_odds, tokens_of
from skeegformer.nn import EEGTransformer
from skeegformer.nn.transformer import POWER_GAIN

# Below this change of the log odds, the error of completeness is not measured relative to it.
_SMALL_CHANGE = 0.05
_STEPS = (16, 32, 64, 128, 256, 512)
_TOLERANCE = 1e-3  # of the error of completeness


def explain_integrated_gradients(network, data, codes, means):
    """Divide the log odds of a class among channels."""
    if isinstance(network, EEGTransformer):
        values, errors = source_contributions(network, data, codes, means)
        values = values[:, :, None]
    else:
        values, errors = integrated_gradients(network, data, codes)
    return {"token_values": values, "settings": {"completeness_error": float(errors.max())}}


def source_contributions(network, data, codes, means=None, *, batch_size=BATCH_SIZE):
    """Divide the log odds of a class among the channels of an `EEGTransformer`."""
    # The way is from usual log powers, and from flat signals, to the tokens of the epoch. Also
    # returns what their sum lacks, relative to the difference of the log odds (of 0.05 or more).
    found, errors = [], []
    network.eval()
    for x, code, known in batches(network, data, codes, means, batch_size=batch_size):
        signal = network.prepare(x)
        with torch.no_grad():
            tokens = tokens_of(network, network.gather(signal), known)
            start = network.usual_tokens.expand_as(tokens).clone()
            start[:, :, 1] = 0
            change = log_odds(network.read_out(tokens), code)
            change = change - log_odds(network.read_out(start), code)
        added = (tokens - start) * _mean_gradient(network.read_out, start, tokens, code, 16)
        with torch.enable_grad():
            sources = network.gather(signal).requires_grad_()
            now = network.tokens(sources)
            # A log power changes by twice the share of its power that a channel adds.
            share = added[:, :, 0] / (2 * POWER_GAIN * network.gains[0]) * now[:, :, 0]
            mean = added[:, :, 1] / torch.where(now[:, :, 1] == 0, 1.0, now[:, :, 1]).detach()
            total = share.sum() + (mean * now[:, :, 1]).sum()
            weights = torch.autograd.grad(total, sources)[0]
        with torch.no_grad():
            attributions = network.split(weights, signal).sum(dim=(1, 2))
        found.append(attributions.cpu())
        missing = (attributions.double().sum(dim=1) - change).abs()
        errors.append((missing / change.abs().clamp_min(_SMALL_CHANGE)).cpu())
    return torch.cat(found).double().numpy(), torch.cat(errors).numpy()


def _mean_gradient(forward, start, stop, codes, n_steps):
    """Average the gradient of the log odds on the straight way, by Gauss-Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    total = torch.zeros_like(stop)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = torch.lerp(start, stop, float(node)).requires_grad_()
        with torch.enable_grad():
            score = log_odds(forward(point), codes).sum()
        total += float(weight) * torch.autograd.grad(score, point)[0]
    return total


def integrated_gradients(network, data, codes):
    """Integrate from the average training epoch to each epoch, for an `OriginalTransformer`."""
    # Returns attributions of shape (n_epochs, n_chans, n_time_tokens), and errors as above.
    network.eval()
    both = batches(network, data, codes, batch_size=32)
    found = [_integrate(network, x, code) for x, code in both]
    attributions, errors = map(np.concatenate, zip(*found, strict=True))
    used = network.n_time_tokens * network.token_length
    tokens = attributions[..., :used].reshape(*attributions.shape[:2], network.n_time_tokens, -1)
    return tokens.sum(axis=-1, dtype=float), errors


def _integrate(network, x, codes):
    """Double the number of steps until every epoch of the batch is complete."""
    start = network.average_epoch().expand_as(x)
    with torch.no_grad():
        change = log_odds(network(x), codes) - log_odds(network(start), codes)
    attributions = torch.zeros_like(x)
    errors = torch.full_like(change, torch.inf)
    for n_steps in _STEPS:
        left = errors >= _TOLERANCE
        if not left.any():
            break
        ends = start[left], x[left]
        mean = _mean_gradient(network, *ends, codes[left], n_steps)
        attributions[left] = (ends[1] - ends[0]) * mean
        total = attributions.flatten(1).double().sum(dim=1)
        errors = ((total - change).abs() / change.abs().clamp_min(_SMALL_CHANGE)).float()
    return attributions.cpu().numpy(), errors.cpu().numpy()
