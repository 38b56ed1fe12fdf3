"""The network once more, of nothing but operations that every runtime has.

ONNX has no eigenvalues, no pooling to a number of points and no windows that overlap. Here are
equivalents of matrix products and fixed tables alone. Training and prediction do not come through
here.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from skeegformer._covariance import CovarianceTokenizer
from skeegformer.nn import SpectralTokenizer, _segment

# Of the logarithm's polynomial, everywhere between its limits; float32 rounds by more.
_TOLERANCE = 1e-7
# By how much float32 may round an eigenvalue past a limit that it cannot pass.
_MARGIN = 1e-5


class ExportableNetwork(nn.Module):
    """Epochs to probabilities, with the weights of a trained network.

    Parameters
    ----------
    network : EEGTransformer
        The network, on the CPU and in eval mode; left as it is.
    temperature : float, default=1.0
        By what logits are divided.
    subject_mean : Tensor of shape (n_chans, n_time_tokens, n_features) or None, default=None
        What is subtracted from the features.
    """

    def __init__(self, network, temperature=1.0, subject_mean=None):
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.register_buffer("subject_mean", subject_mean)
        self.tokenizer = _exportable_tokenizer(network.tokenizer, network.crop or network.n_times)

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
        network = self.network
        epochs = network.standardize_input(epochs[..., : network.crop])
        features = network.standardize_features(self.tokenizer(epochs))
        if self.subject_mean is not None:
            features = features - self.subject_mean
        return torch.softmax(network.classify_features(features) / self.temperature, dim=1)


def _exportable_tokenizer(tokenizer, n_times):
    if isinstance(tokenizer, CovarianceTokenizer):
        return _Covariance(tokenizer, n_times)
    if isinstance(tokenizer, SpectralTokenizer):
        return _Spectral(tokenizer, n_times)
    return tokenizer


class _Outline(nn.Module):
    """Means of equal parts of a segment, as a product with a fixed matrix."""

    def __init__(self, length, n_points):
        super().__init__()
        table = F.adaptive_avg_pool1d(torch.eye(length), n_points)
        self.register_buffer("table", table)

    def forward(self, segments):
        return segments @ self.table


class _Covariance(nn.Module):
    """`CovarianceTokenizer`, whose matrix logarithm is a polynomial.

    Bands and windows are shrunk all at once, which makes the exported graph far smaller.
    """

    def __init__(self, original, n_times):
        super().__init__()
        self.original = original
        self.length = n_times // original.n_time_tokens
        self.outline = _Outline(self.length, original.n_points)
        self.register_buffer("basis", original.spectrum.make_basis())
        if original.n_windows:
            self.register_buffer("window_basis", original.window_spectrum.make_basis())
        self.logarithm = ShrunkLogarithm(original.n_chans, original.shrinkage)

    def forward(self, x):
        original = self.original
        if original.many:
            x = x - x.mean(dim=1, keepdim=True)
        x = _segment(x, original.n_time_tokens)
        waveform = self.outline(x)
        x = x.transpose(1, 2)
        parts = _centre(x) @ self.basis
        pieces = [parts[..., band] for band in original.slices]
        for window in range(original.n_windows):
            start = window * original.window_length
            inside = x[..., start : start + original.window_length]
            pieces.append(_centre(inside) @ self.window_basis)
        scaled = [piece / (piece.shape[-1] // 2) ** 0.5 for piece in pieces]
        covariances = torch.stack([piece @ piece.mT for piece in scaled], dim=2)
        logs = self.logarithm(self._shrink(covariances))
        return torch.cat([logs.permute(0, 3, 1, 2, 4).flatten(3), waveform], dim=-1)

    def _shrink(self, covariances):
        identity, shrinkage = self.logarithm.identity, self.original.shrinkage
        power = _mean_diagonal(covariances, identity)
        if self.original.many:
            covariances, power = covariances / power.clamp_min(1e-12), 1.0
        return (1 - shrinkage) * covariances + (shrinkage * power + 1e-8) * identity


class _Spectral(nn.Module):
    """`SpectralTokenizer`, whose windows are picked from a table of their samples."""

    def __init__(self, original, n_times):
        super().__init__()
        self.original = original
        length = n_times // original.n_time_tokens
        self.outline = _Outline(length, original.n_points)
        samples = torch.arange(length).unfold(0, original.window_length, original.hop)
        self.register_buffer("samples", samples.contiguous())

    def forward(self, x):
        segments = _segment(x, self.original.n_time_tokens)
        parts = segments[..., self.samples] @ self.original.basis
        real, imaginary = (parts * parts).mean(dim=-2).chunk(2, dim=-1)
        return torch.cat([torch.log(real + imaginary + 1e-6), self.outline(segments)], dim=-1)


def _centre(x):
    return x - x.mean(dim=-1, keepdim=True)


def _mean_diagonal(matrices, identity):
    """Average the diagonal, without the operation that takes it."""
    return (matrices * identity).sum(dim=(-2, -1), keepdim=True) / len(identity)


class ShrunkLogarithm(nn.Module):
    r"""Logarithm of shrunk covariance matrices, from matrix products alone.

    Divided by the mean of its diagonal, a matrix :math:`(1 - \gamma) C + \gamma p I` with
    :math:`p = \operatorname{tr} C / n` has no eigenvalue outside of
    :math:`[\gamma, (1 - \gamma) n + \gamma]`, whatever the signal, and between these limits a
    Chebyshev series comes as near to the logarithm as one likes. Its coefficients are known in
    closed form. Some hundred terms take some twenty products [1]_: those of the first few
    Chebyshev polynomials, and the Clenshaw recurrence over blocks of them, since
    :math:`T_{jm}(x) = T_j(T_m(x))`.

    Parameters
    ----------
    n : int
        Number of rows.
    shrinkage : float
        :math:`\gamma`.

    References
    ----------
    .. [1] Paterson and Stockmeyer (1973), On the number of nonscalar multiplications necessary to
       evaluate polynomials. SIAM J. Comput. 2(1). doi:10.1137/0202007
    """

    def __init__(self, n, shrinkage):
        super().__init__()
        low, high = shrinkage * (1 - _MARGIN), (1 - shrinkage) * n + shrinkage
        high *= 1 + _MARGIN
        self.middle, self.half = (high + low) / 2, (high - low) / 2
        coefficients = _log_coefficients(low, high)
        self.size = max(2, round(len(coefficients) ** 0.5))
        self.n_rows = n
        blocks = torch.tensor(_in_blocks(coefficients, self.size), dtype=torch.float64)
        self.register_buffer("blocks", blocks)
        self.register_buffer("identity", torch.eye(n))

    def forward(self, matrices):
        """Compute the logarithm.

        Parameters
        ----------
        matrices : Tensor of shape (..., n, n)
            Shrunk covariances.

        Returns
        -------
        Tensor of shape (..., n, n)
            Their logarithms.
        """
        identity = self.identity.to(matrices.dtype)
        size = _mean_diagonal(matrices, identity)
        x = (matrices / size - self.middle * identity) / self.half
        powers = [identity.expand_as(x), x]  # Chebyshev polynomials of x
        while len(powers) <= self.size:
            a = len(powers) // 2
            b = len(powers) - a
            powers.append(2 * powers[a] @ powers[b] - powers[b - a])
        step = 2 * powers.pop()
        powers = torch.stack(powers, dim=-3).flatten(-2)
        sums = (self.blocks.to(powers.dtype) @ powers).unflatten(-1, (self.n_rows, self.n_rows))
        first, *middle, last = sums.unbind(-3)
        after, now = torch.zeros_like(last), last
        for block in reversed(middle):
            after, now = now, block + step @ now - after
        return first + step @ now / 2 - after + size.log() * identity


def _log_coefficients(low, high):
    """Compute the Chebyshev coefficients of the logarithm between two limits."""
    root = math.sqrt(high / low)
    ratio = (root - 1) / (root + 1)
    coefficients = [math.log((high + low) / 2 / (1 + ratio**2))]
    while 2 * ratio ** len(coefficients) / len(coefficients) / (1 - ratio) > _TOLERANCE:
        coefficients.append(-2 * (-ratio) ** len(coefficients) / len(coefficients))
    return coefficients


def _in_blocks(coefficients, size):
    """Write a Chebyshev series as one in the Chebyshev polynomial of degree `size`.

    Returns
    -------
    list of list of float
        Row j holds the coefficients of the first `size` polynomials in what is multiplied by
        ``T_j(T_size(x))``, since ``T_(j size + i) = 2 T_(j size) T_i - T_(j size - i)``.
    """
    n_blocks = max(2, -(-len(coefficients) // size))
    left = list(coefficients) + [0.0] * (n_blocks * size - len(coefficients))
    blocks = [left[:size]]
    for block in range(n_blocks - 1, 0, -1):
        start = block * size
        rest = [left[start]]
        for i in range(1, size):
            rest.append(2 * left[start + i])
            left[start - i] -= left[start + i]
        blocks.insert(1, rest)
    blocks[0] = left[:size]
    return blocks
