"""Explanations from gradients: gradient rollout, and integrated gradients."""

import numpy as np
import torch

from skeegformer.attention import attention_gradients, gradient_rollout, log_odds
from skeegformer.explain._model import batches
from skeegformer.nn.transformer import POWER_GAIN

# Below this change of the log odds, the error of completeness is not measured relative to it.
_SMALL_CHANGE = 0.05
_STEPS = (16, 32, 64, 128, 256, 512)


def signed_gradient_rollout(network, data, codes, means=None, *, batch_size=64):
    r"""Compute gradient rollout through signed attention.

    Chefer, Gur and Wolf [1]_ with a layer of signed attention: the relevance of a channel is the
    mean over heads of what is positive in the product of its attention weights and their gradient.

    Parameters
    ----------
    network : EEGTransformer
        The network.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    codes : ndarray of shape (n_epochs,)
        Index of the class to explain, epoch by epoch.
    means : ndarray of shape (n_epochs, n_images, n_sources, n_windows) or None, default=None
        What log powers are centred on.
    batch_size : int, default=64
        How many epochs are worked on at once.

    Returns
    -------
    ndarray of shape (n_epochs, n_chans)
        Non-negative relevance.

    References
    ----------
    .. [1] Chefer, Gur and Wolf (2021), Generic attention-model explainability for
       interpreting bi-modal and encoder-decoder transformers. ICCV. arXiv:2103.15679
    """
    rows = []
    for x, code, known in _batches_with(network, data, codes, means, batch_size):
        signal = network.prepare(x)
        with torch.enable_grad():
            sources = network.gather(signal).requires_grad_()
            score = log_odds(network.read_out(_tokens(network, sources, known)), code)
            gradients = torch.autograd.grad(score.sum(), sources)[0]
        with torch.no_grad():
            relevance = network.split(gradients, signal).clamp_min(0)
        rows.append(relevance.mean(dim=(1, 2)).cpu())
    return torch.cat(rows).double().numpy()


def source_contributions(network, data, codes, means=None, *, batch_size=64):
    """Divide the log odds of a class among the channels.

    Integrated gradients [1]_ on the way of the tokens from usual log powers, and from flat
    signals, to those of the epoch. What a token contributes is divided among the channels as they
    add to the source: a power is the sum over channels of the product of what the channel adds and
    the source, so that contributions add up to the difference of the log odds.

    Parameters
    ----------
    network : EEGTransformer
        The network.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    codes : ndarray of shape (n_epochs,)
        Index of the class to explain, epoch by epoch.
    means : ndarray of shape (n_epochs, n_images, n_sources, n_windows) or None, default=None
        What log powers are centred on.
    batch_size : int, default=64
        How many epochs are worked on at once.

    Returns
    -------
    attributions : ndarray of shape (n_epochs, n_chans)
        Contribution of every channel to the log odds of the class.
    errors : ndarray of shape (n_epochs,)
        What is missing from the sum, relative to the difference, or to 0.05 where that is smaller.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks. ICML.
       arXiv:1703.01365
    """
    found, errors = [], []
    for x, code, known in _batches_with(network, data, codes, means, batch_size):
        signal = network.prepare(x)
        with torch.no_grad():
            tokens = _tokens(network, network.gather(signal), known)
            start = network.usual_tokens.expand_as(tokens).clone()
            start[:, :, 1] = 0
            change = log_odds(network.read_out(tokens), code) - log_odds(
                network.read_out(start), code
            )
        added = (tokens - start) * _mean_gradient(network.read_out, start, tokens, code, 16)
        with torch.enable_grad():
            sources = network.gather(signal).requires_grad_()
            now = network.tokens(sources)
            # A log power changes by twice the share of its power that a channel adds.
            share = added[:, :, 0] / (2 * POWER_GAIN) * now[:, :, 0]
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


def _tokens(network, sources, means):
    tokens = network.tokens(sources)
    return tokens if means is None else network.centre(tokens, means)


def _batches_with(network, data, codes, means, batch_size):
    """Go through epochs, their classes, and their means where there are some."""
    network.eval()
    arrays = (data, codes) if means is None else (data, codes, means)
    for x, code, *known in batches(network, *arrays, batch_size=batch_size):
        yield x, code, known[0] if known else None


def explain_gradient_rollout(network, data, codes, *, batch_size=16):
    """Compute gradient rollout of the class token, layer by layer.

    Parameters
    ----------
    network : EEGTransformer
        The network.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    codes : ndarray of shape (n_epochs,)
        Index of the class to explain, epoch by epoch.
    batch_size : int, default=16
        How many epochs are worked on at once.

    Returns
    -------
    rows : ndarray of shape (n_epochs, n_layers, n_tokens - 1)
        Relevance of each token for the class token after each layer.
    matrices : ndarray of shape (n_epochs, n_tokens, n_tokens)
        Relevance between tokens after the last layer.
    """
    rows, matrices = [], []
    for x, code in batches(network, data, codes, batch_size=batch_size):
        weights, gradients, _ = attention_gradients(
            network, x, lambda logits, code=code: log_odds(logits, code)
        )
        layers = [
            gradient_rollout(weights[:, : n + 1], gradients[:, : n + 1])
            for n in range(weights.shape[1])
        ]
        rows.append(torch.stack([layer[:, 0, 1:] for layer in layers], dim=1).cpu())
        matrices.append(layers[-1].cpu())
    return torch.cat(rows).double().numpy(), torch.cat(matrices).numpy()


def integrated_gradients(network, data, codes, *, tolerance=1e-3, batch_size=32):
    """Integrate the gradient on the way from the average training epoch to each epoch.

    Sundararajan, Taly and Yan [1]_, sample by sample. Attributions add up to the difference between
    the log odds at both ends (completeness), as exactly as `tolerance` says.

    Parameters
    ----------
    network : OriginalTransformer
        The network; evaluated without dropout and left as it was.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    codes : ndarray of shape (n_epochs,)
        Index of the class to explain, epoch by epoch.
    tolerance : float, default=1e-3
        Largest error of completeness, relative to the difference between both ends, or to
        0.05 where that is smaller. Gauss-Legendre quadrature takes 16 steps, and twice as
        many (at most 512) until the error is below.
    batch_size : int, default=32
        How many epochs are worked on at once.

    Returns
    -------
    attributions : ndarray of shape (n_epochs, n_chans, n_time_tokens)
        Contribution of every token to the log odds of the class.
    errors : ndarray of shape (n_epochs,)
        The error of completeness that is left.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks. ICML.
       arXiv:1703.01365

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.nn import OriginalTransformer
    >>> from skeegformer.explain.gradients import integrated_gradients
    >>> network = OriginalTransformer(n_chans=3, n_outputs=2, n_times=160, n_time_tokens=2)
    >>> data = np.random.default_rng(0).normal(size=(4, 3, 160)).astype("float32")
    >>> attributions, errors = integrated_gradients(network, data, np.array([0, 1, 0, 1]))
    >>> attributions.shape
    (4, 3, 2)
    >>> bool(errors.max() < 1e-3)
    True
    """
    training = network.training
    network.eval()
    try:
        found = [
            _integrate(network, x, code, tolerance)
            for x, code in batches(network, data, codes, batch_size=batch_size)
        ]
    finally:
        network.train(training)
    attributions, errors = map(np.concatenate, zip(*found, strict=True))
    used = network.n_time_tokens * network.token_length
    tokens = attributions[..., :used].reshape(*attributions.shape[:2], network.n_time_tokens, -1)
    return tokens.sum(axis=-1, dtype=float), errors


def _integrate(network, x, codes, tolerance):
    """Double the number of steps until every epoch of the batch is complete."""
    start = network.average_epoch().expand_as(x)
    with torch.no_grad():
        change = log_odds(network(x), codes) - log_odds(network(start), codes)
    attributions = torch.zeros_like(x)
    errors = torch.full_like(change, torch.inf)
    for n_steps in _STEPS:
        left = errors >= tolerance
        if not left.any():
            break
        ends = start[left], x[left]
        mean = _mean_gradient(network, *ends, codes[left], n_steps)
        attributions[left] = (ends[1] - ends[0]) * mean
        total = attributions.flatten(1).double().sum(dim=1)
        errors = ((total - change).abs() / change.abs().clamp_min(_SMALL_CHANGE)).float()
    return attributions.cpu().numpy(), errors.cpu().numpy()
