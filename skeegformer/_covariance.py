"""Tokens that say how a channel's rhythms vary together with those of all channels."""

import math
import warnings
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal.windows import tukey
from torch import nn

from skeegformer._memmap import BATCH, batches_of

CONSTANT = 1e-9  # of the largest standard deviation, what counts as none
# Limits of delta, theta, low and high alpha, and beta in three; rhythms are compared within them.
BAND_EDGES = (4.0, 8.0, 10.0, 13.0, 17.0, 22.0, 30.0)
F_LIMITS = (1.0, 45.0)  # below, amplifiers drift; above, muscles rule
# Of power times frequency, relative to its maximum: what a filter has removed has less.
_PASSED = 1e-2
_FILTERED = 1e-4  # what a filter has taken out for good has still less
_LEAST_RATIO = 1.28  # of a band's limits; narrower ones are joined to their neighbours
# Fewer electrodes than this do not see enough of the head for their mean to be a reference.
_REFERENCE_CHANNELS = 16
# Of many features of a channel most say what it shares with others, and would drown its own power
# and its waveform: these get louder with the number of channels, up to twice and ten times for a
# cap of 64.
_MANY_CHANNELS = 64
_OWN_GAIN = 2.0
_WAVEFORM_SCALE = 0.1
# Windows in which all frequencies together are looked at once more: what follows a cue at once
# and what comes later are not the same. In seconds, in samples where the rate is not known, and
# how many at most.
_WINDOW_SECONDS = 1.0
_WINDOW_SAMPLES = 80
_MOST_WINDOWS = 4
# Of longer segments than this allows, an FFT makes the spectrum: the table would grow with the
# square of their length.
_LARGEST_BASIS = 2**20
_ROWS = 256  # of the table that are made at once


def find_bands(data, sfreq=None):
    """Divide the frequencies that a signal has into bands.

    Parameters
    ----------
    data : ndarray or MappedEpochs of shape (n_epochs, n_chans, n_times)
        Epochs, filtered or not.
    sfreq : float or None, default=None
        Sampling rate in Hz. None: limits are in cycles per sample, and bands octaves.

    Returns
    -------
    list of tuple of (float, float)
        Lower and upper limit of each band in Hz; the last one is all of them together where
        there are several.

    Warns
    -----
    UserWarning
        If one narrow peak is so much higher that nothing else is left, and no filter made it so.
    """
    n_times = data.shape[-1]
    every = max(1, len(data) // 200)  # a few epochs tell how the signal was filtered
    power, total, squares = 0, 0, 0  # of each channel
    for block in batches_of(data[::every], BATCH):
        block = block.astype(np.float64)
        block = (block - block.mean(-1, keepdims=True)) * tukey(n_times, 0.2)
        total = total + block.sum(axis=(0, 2))
        squares = squares + np.square(block).sum(axis=(0, 2))
        power = power + (np.abs(np.fft.rfft(block)) ** 2).sum(axis=0)
    n_values = len(data[::every]) * n_times
    variance = squares / n_values - (total / n_values) ** 2
    frequencies = np.fft.rfftfreq(n_times, 1 / (sfreq or 1.0))
    lives = variance > CONSTANT**2 * variance.max()  # the others have the spectrum of rounding
    weight = (power[lives] / variance[lives, np.newaxis]).sum(axis=0) * frequencies
    allowed = frequencies > 0
    if sfreq:
        allowed &= (frequencies >= F_LIMITS[0]) & (frequencies <= F_LIMITS[1])
    weight = np.where(allowed, weight, 0)
    passed = frequencies[(weight > _PASSED * weight.max())]
    if not len(passed):
        return default_bands(n_times, sfreq)
    step = frequencies[1] / 2
    low, high = max(passed[0] - step, step), passed[-1] + step
    rest = weight[allowed & ((frequencies < low) | (frequencies > high))]
    if high < _LEAST_RATIO * low and (rest > _FILTERED * weight.max()).any():
        unit = "Hz" if sfreq else "of the sampling rate"
        warnings.warn(
            f"Next to what X has at {low:.3g} to {high:.3g} {unit}, nearly nothing is left of "
            "other rhythms, which are not used: filter out hum of the mains or a flicker "
            "(NotchFilter)" + (", or give sfreq with an array." if not sfreq else "."),
            UserWarning,
            stacklevel=2,
        )
    return _cut(low, high, sfreq)


def default_bands(n_times, sfreq=None):
    """Divide all frequencies of a signal of a certain length into bands.

    Parameters
    ----------
    n_times : int
        Number of samples.
    sfreq : float or None, default=None
        Sampling rate in Hz; None for cycles per sample.

    Returns
    -------
    list of tuple of (float, float)
        As `find_bands` gives them.
    """
    low, high = F_LIMITS if sfreq else (0.5 / n_times, 0.5)
    if sfreq and high > sfreq / 2:
        high = sfreq / 2
    if low >= high:
        low = 0.5 * (sfreq or 1.0) / n_times
    return _cut(low, high + 0.5 * (sfreq or 1.0) / n_times, sfreq)


def _cut(low, high, sfreq):
    """Cut a range at the limits that leave no narrow band."""
    edges = BAND_EDGES if sfreq else (1 / 32, 1 / 16, 1 / 8, 1 / 4)
    inside = [e for e in edges if e >= _LEAST_RATIO * low and high >= _LEAST_RATIO * e]
    limits = [float(low), *inside, float(high)]
    bands = list(pairwise(limits))
    return bands if len(bands) == 1 else [*bands, (limits[0], limits[-1])]


class CovarianceTokenizer(nn.Module):
    r"""Rows of the logarithm of the covariance in each band, and the waveform in outline.

    A source in the brain reaches many electrodes, and what an electrode alone records is a
    mixture. How channels vary together says which mixture, and the matrix logarithm of the
    covariance makes it linear: projections of it are what spatial filters with log power
    find [1]_, [2]_. Token c holds row c of the logarithm of

    .. math:: (1 - \gamma) \frac{n_{chans}}{\operatorname{tr} C_b} C_b + \gamma I

    for each band :math:`b`: a channel's own power relative to the whole head, and what it
    shares with every other channel. Channels are referenced to their mean, and the trace
    removes how loud an epoch is, where there are at least 16 channels; with fewer,
    the mean would take away what is looked for. The same follows for all bands together in
    each second of the segment, because what a cue brings at once and what comes later differ.

    Parameters
    ----------
    n_chans, n_times : int
        Shape of an epoch.
    n_time_tokens : int
        In how many segments a channel is cut.
    sfreq : float or None, default=None
        Sampling rate in Hz; None measures frequencies in cycles per sample.
    bands : list of tuple of (float, float) or None, default=None
        Limits of the bands in Hz; None for delta to low gamma, and all together. Those
        between whose limits the segment has no frequency are left out.
    n_points : int, default=16
        Number of points of the waveform: means of as many equal parts of the segment.
    shrinkage : float or None, default=None
        :math:`\gamma`: fewer samples than channels leave directions without power. None makes
        it grow with the number of channels, 0.05 for 4 and 0.2 for 64.

    Attributes
    ----------
    n_windows : int
        In how many windows a segment is looked at once more; 0 for short ones.
    frequencies : list of float or None
        Middle of the band of each feature in Hz, infinite for the band of all frequencies;
        None for the waveform's.

    References
    ----------
    .. [1] Barachant et al. (2012), Multiclass brain-computer interface classification by
       Riemannian geometry. IEEE TBME 59(4). doi:10.1109/TBME.2011.2172210
    .. [2] Sabbagh et al. (2020), Predictive regression modeling with MEG/EEG: from source
       power to signals and cognitive states. NeuroImage 222.
       doi:10.1016/j.neuroimage.2020.116893
    """

    def __init__(
        self, n_chans, n_times, n_time_tokens, sfreq=None, bands=None, n_points=16, shrinkage=None
    ):
        super().__init__()
        self.n_chans, self.n_time_tokens = n_chans, n_time_tokens
        self.shrinkage = 0.25 * n_chans / (n_chans + 16) if shrinkage is None else shrinkage
        self.many = n_chans >= _REFERENCE_CHANNELS
        segment = n_times // n_time_tokens
        self.n_points = min(n_points, segment)
        self.bands, bins, self.slices = _find_bins(
            segment, sfreq, default_bands(segment, sfreq) if bands is None else bands
        )
        self.spectrum = TaperedSpectrum(segment, bins)
        self.n_windows = _count_windows(segment, sfreq)
        if self.n_windows:
            self.window_length = segment // self.n_windows
            whole = (self.bands[0][0], self.bands[-1][1])
            _, bins, _ = _find_bins(self.window_length, sfreq, [whole])
            self.window_spectrum = TaperedSpectrum(self.window_length, bins)

        frequencies = [self._middle(index, *band) for index, band in enumerate(self.bands)]
        frequencies += [math.inf] * self.n_windows
        self.n_rows = len(frequencies) * n_chans
        self.n_features = self.n_rows + self.n_points
        self.frequencies = [
            frequency if sfreq else None for frequency in frequencies for _ in range(n_chans)
        ] + [None] * self.n_points

    def _middle(self, index, low, high):
        is_all = index == len(self.bands) - 1 and index > 0
        return math.inf if is_all else (low + high) / 2

    def forward(self, x):
        """Compute the logarithms and waveforms.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times)
            Standardised epochs.

        Returns
        -------
        Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            The channel's row of every band, band by band, then of every window, then the points
            of the waveform.
        """
        if self.many:
            x = x - x.mean(dim=1, keepdim=True)
        length = x.shape[-1] // self.n_time_tokens
        x = x[..., : self.n_time_tokens * length].unflatten(-1, (self.n_time_tokens, length))
        waveform = F.adaptive_avg_pool1d(x.flatten(1, 2), self.n_points).unflatten(1, x.shape[1:3])
        x = x.transpose(1, 2)
        parts = self.spectrum(x)
        logs = [self._logarithm(parts[..., band]) for band in self.slices]
        if self.n_windows:
            inside = x[..., : self.n_windows * self.window_length]
            inside = inside.unflatten(-1, (self.n_windows, -1)).movedim(-2, 0)
            logs.extend(self._logarithm(self.window_spectrum(inside)))
        logs = torch.stack(logs, dim=2)
        rows = logs.permute(0, 3, 1, 2, 4).flatten(3)
        return torch.cat([rows, waveform], dim=-1)

    def _logarithm(self, parts):
        """Compute the logarithm of the shrunk covariance of a band.

        Parameters
        ----------
        parts : Tensor of shape (..., n_chans, 2 * n_frequencies)
            Real and imaginary parts of the spectrum.

        Returns
        -------
        Tensor of shape (..., n_chans, n_chans)
            The logarithm.
        """
        n_columns = parts.shape[-1]
        power = parts.square().sum(dim=(-2, -1), keepdim=True) / self.n_chans
        if self.many:
            weight = (1 - self.shrinkage) / power.clamp_min(1e-12 * (n_columns // 2))
            floor = torch.full_like(power, self.shrinkage + 1e-8)
        else:
            weight = torch.full_like(power, (1 - self.shrinkage) / (n_columns // 2))
            floor = power * (self.shrinkage / (n_columns // 2)) + 1e-8
        parts = parts * weight.sqrt()
        if n_columns >= self.n_chans:
            matrix = parts @ parts.mT
            matrix.diagonal(dim1=-2, dim2=-1).add_(floor.squeeze(-1))
            values, vectors = _eigh(matrix)
            return (vectors * values.clamp_min(1e-8).log().unsqueeze(-2)) @ vectors.mT
        # The few columns P of a narrow band have a smaller matrix P'P, with the eigenvalues of
        # PP', and log(PP' + cI) = log(c) I + P h(P'P) P', where h(z) = log(1 + z / c) / z.
        values, vectors = _eigh(parts.mT @ parts)
        ratios = (values.unsqueeze(-2) / floor).clamp_min(1e-12)
        projected = parts @ vectors
        logs = (projected * (ratios.log1p() / (ratios * floor))) @ projected.mT
        logs.diagonal(dim1=-2, dim2=-1).add_(floor.log().squeeze(-1))
        return logs

    def scale(self, std):
        """Choose by what features are divided.

        One number for all rows, and with many channels less of it for a channel's own power: what
        hardly varies, such as bands that a filter has taken away, must not become as loud as what
        does.

        Parameters
        ----------
        std : Tensor of shape (n_chans, 1, n_features)
            Standard deviations over the training epochs.

        Returns
        -------
        Tensor of shape (n_chans, 1, n_features)
            The scale of every feature; 0 for what does not vary at all.
        """
        rows, waveform = std.split([self.n_rows, self.n_points], dim=-1)
        live = rows > 0
        common = rows[live].square().mean().sqrt() if live.any() else torch.zeros(())
        rows = torch.where(live, common, 0.0).unflatten(-1, (-1, self.n_chans)).clone()
        own = torch.arange(self.n_chans, device=std.device)
        few = (_MANY_CHANNELS / self.n_chans) ** 0.5
        rows[own, ..., own] /= max(1.0, _OWN_GAIN / few)
        scale = min(0.5, _WAVEFORM_SCALE * few)
        return torch.cat([rows.flatten(-2), torch.where(waveform > 0, scale, 0.0)], dim=-1)

    def mirror(self, features, pairs):
        """Compute the features of epochs whose channels have changed sides.

        Parameters
        ----------
        features : Tensor of shape (..., n_chans, n_time_tokens, n_features)
            Features.
        pairs : Tensor of shape (n_chans,)
            Index of each channel's partner on the other side.

        Returns
        -------
        Tensor of shape (..., n_chans, n_time_tokens, n_features)
            Features of the mirrored epochs.
        """
        rows, waveform = features.split([self.n_rows, self.n_points], dim=-1)
        rows = rows.unflatten(-1, (-1, self.n_chans))[..., pairs].flatten(-2)
        return torch.cat([rows, waveform], dim=-1)[..., pairs, :, :]


def _count_windows(segment, sfreq):
    """Tell into how many windows of about a second a segment is cut; 0 if it is hardly longer."""
    seconds = segment / sfreq / _WINDOW_SECONDS if sfreq else segment / _WINDOW_SAMPLES
    n_windows = min(round(seconds), _MOST_WINDOWS)
    return n_windows if n_windows > 1 and segment // n_windows > 8 else 0


class TaperedSpectrum(nn.Module):
    """Some frequencies of a segment's spectrum, real and imaginary parts side by side.

    Parameters
    ----------
    length : int
        Number of samples.
    bins : slice
        Which frequencies.
    """

    def __init__(self, length, bins):
        super().__init__()
        self.length, self.bins = length, bins
        n_values = 2 * length * (bins.stop - bins.start)
        basis = self.make_basis() if n_values <= _LARGEST_BASIS else None
        self.register_buffer("basis", basis, persistent=False)
        if basis is None:
            self.register_buffer("taper", _taper(length), persistent=False)

    def make_basis(self):
        """Make the table whose product with a centred segment is its spectrum.

        Returns
        -------
        Tensor of shape (length, 2 * n_frequencies)
            Real and imaginary parts side by side, so that a band is a slice of the products.
        """
        taper, every = _taper(self.length), torch.arange(self.length)
        rows = [
            torch.fft.rfft((some[:, None] == every) * taper)[:, self.bins]
            for some in every.split(_ROWS)
        ]
        return torch.view_as_real(torch.cat(rows)).flatten(1) / self.length**0.5

    def forward(self, x):
        """Compute the spectrum.

        Parameters
        ----------
        x : Tensor of shape (..., length)
            Segments, centred here.

        Returns
        -------
        Tensor of shape (..., 2 * n_frequencies)
            The spectrum.
        """
        x = x - x.mean(dim=-1, keepdim=True)
        if self.basis is not None:
            # A product with the few frequencies that are kept is faster than an FFT of all.
            return x @ self.basis
        spectrum = torch.fft.rfft(x * self.taper)[..., self.bins]
        return torch.view_as_real(spectrum).flatten(-2) / self.length**0.5


def _taper(length):
    return torch.from_numpy(tukey(length, 0.2)).float() if length > 8 else torch.ones(length)


def _find_bins(length, sfreq, bands):
    """Find the bands, and the frequencies of them all, that a segment of this length has.

    Returns
    -------
    bands : list of tuple of (float, float)
        Those between whose limits there is a frequency; one of all frequencies if none has.
    bins : slice
        From the lowest to the highest frequency of any band.
    slices : list of slice
        Where each band is among real and imaginary parts of these frequencies side by side.
    """
    grid = torch.fft.rfftfreq(length, 1 / (sfreq or 1.0))
    inside = [(band, torch.nonzero((grid >= band[0]) & (grid < band[1]))[:, 0]) for band in bands]
    inside = [(band, bins) for band, bins in inside if len(bins)]
    if not inside:  # a few samples have hardly any frequencies
        everything = torch.arange(min(1, len(grid) - 1), len(grid))
        inside = [((0.0, float(grid[-1])), everything)]
    first = min(int(bins[0]) for _, bins in inside)
    last = max(int(bins[-1]) for _, bins in inside)
    slices = [
        slice(2 * (int(bins[0]) - first), 2 * (int(bins[-1]) - first + 1)) for _, bins in inside
    ]
    return [band for band, _ in inside], slice(first, last + 1), slices


def _eigh(matrices):
    """Decompose symmetric matrices; the eigenvalues are NaN where powers are beyond float32.

    LAPACK would raise there, for other epochs of the batch as well.
    """
    lost = ~matrices.isfinite().all(dim=-1).all(dim=-1)
    values, vectors = torch.linalg.eigh(matrices.masked_fill(lost[..., None, None], 0.0))
    return values.masked_fill(lost[..., None], torch.nan), vectors
