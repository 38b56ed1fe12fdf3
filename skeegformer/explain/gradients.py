"""Explanations from gradients: gradient rollout, and integrated gradients."""

import numpy as np
import torch

from skeegformer.attention import attention_gradients, gradient_rollout, log_odds
from skeegformer.explain._model import batches

# Below this change of the log odds, the error of completeness is not measured relative to it.
_SMALL_CHANGE = 0.05
_STEPS = (16, 32, 64, 128, 256, 512)


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

    Sundararajan, Taly and Yan [1]_. The way leads through the network's standardised
    features, where the average epoch is 0: log covariance and waveform of each channel
    (``tokenizer="covariance"``), log power and waveform ("spectral"), or samples ("linear").
    Attributions add up to the difference between the log odds at both ends (completeness), as
    exactly as `tolerance` says.

    Parameters
    ----------
    network : EEGTransformer
        The network; evaluated without dropout and left as it was.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs, or their features, of four axes.
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
    attributions : ndarray of shape (n_epochs, n_chans, n_time_tokens, n_features)
        Contribution of every feature to the log odds of the class.
    errors : ndarray of shape (n_epochs,)
        The error of completeness that is left.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks. ICML.
       arXiv:1703.01365

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import EEGTransformer
    >>> from skeegformer.explain.gradients import integrated_gradients
    >>> network = EEGTransformer(n_chans=3, n_outputs=2, n_times=160, sfreq=160.0)
    >>> data = np.random.default_rng(0).normal(size=(4, 3, 160)).astype("float32")
    >>> attributions, errors = integrated_gradients(network, data, np.array([0, 1, 0, 1]))
    >>> attributions.shape
    (4, 3, 1, 43)
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
    attributions, errors = zip(*found, strict=True)
    return np.concatenate(attributions), np.concatenate(errors)


def _integrate(network, x, codes, tolerance):
    """Double the number of steps until every epoch of the batch is complete."""
    with torch.no_grad():
        features = x if x.ndim == 4 else network.extract_features(x)
        at_epoch = network.classify_features(features)
        at_average = network.classify_features(torch.zeros_like(features[:1])).expand_as(at_epoch)
        change = log_odds(at_epoch, codes) - log_odds(at_average, codes)
    attributions = torch.zeros_like(features)
    errors = torch.full_like(change, torch.inf)
    for n_steps in _STEPS:
        left = errors >= tolerance
        if not left.any():
            break
        attributions[left] = _quadrature(network, features[left], codes[left], n_steps)
        total = attributions.flatten(1).double().sum(dim=1)
        errors = ((total - change).abs() / change.abs().clamp_min(_SMALL_CHANGE)).float()
    return attributions.cpu().numpy(), errors.cpu().numpy()


def _quadrature(network, features, codes, n_steps):
    """Integrate by Gauss-Legendre: features times the mean gradient on the way from 0."""
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    total = torch.zeros_like(features)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (float(node) * features).requires_grad_()
        with torch.enable_grad():
            score = log_odds(network.classify_features(point), codes).sum()
        total += float(weight) * torch.autograd.grad(score, point)[0]
    return features * total
