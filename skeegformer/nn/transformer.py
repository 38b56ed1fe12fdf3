"""The network: signed attention over channels, sources in windows of time, and a class token.

An epoch goes through five steps, which are methods of `EEGTransformer`::

    epochs    (batch, n_chans, n_times)
    prepare   (batch, n_chans, n_samples)                       the signal
    gather    (batch, n_images, n_sources, n_samples)           the sources
    tokens    (batch, n_images, 2, n_sources, n_windows)
    centre    (batch, n_images, 2, n_sources, n_windows)        means: (n_sources, n_windows)
    read_out  (batch, n_outputs)                                the logits

Channels are the tokens of the first attention. Each of its heads attends over them with signs, so
that what it gathers is the signal of a source and the head is a spatial filter. A source's log
power and waveform in windows of time are the tokens of the second attention, by which the class
token reads out the logits. Nothing else reaches the logits.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import convolution_matrix
from scipy.signal import firwin
from torch import nn

from skeegformer.nn._recording import Recorded
from skeegformer.nn.signed_attention import SignedAttention

# Signals of twice this rate in Hz or more are brought down: it holds what EEG has below 40 Hz.
RATE = 80.0
# Samples of the lower rate that are computed at once.
BLOCK = 16
# Lengths in seconds: of a temporal filter, of a window, and from one window to the next.
FILTER, WINDOW, STRIDE = 0.16, 0.3, 0.0625
LEAST_WINDOWS = 4
# By at most how many seconds windows of log powers are shifted in training.
SHIFT = 0.2
# Epochs are centred one by one where their levels differ by more than this, in units of what
# varies within them: then they are offsets of an amplifier.
DRIFT = 1.0
# Temporal filters begin as short oscillations of frequencies in this range, in Hz.
FREQUENCIES = (4.0, 30.0)
# Log powers vary by some units and waveforms by less: so both begin with as much to say.
POWER_GAIN = 0.3
# Least power, in units of a source's variance, whose logarithm is told from that of silence.
SILENCE = 1e-6
# Of the running mean of sources' powers, what a batch counts; and the least power to divide by.
MOMENTUM, LEAST_POWER = 0.1, 1e-12
# Of the standard deviation of other channels: what varies less has been rounded by a filter.
CONSTANT = 1e-9


class EEGTransformer(Recorded, nn.Module):
    r"""Transformer for EEG epochs that computes its logits directly from attention.

    Channels are tokens, as in eeg-transformer [1]_; the sources that heads extract from them are
    the tokens of a second layer:

    1. *Sources.* Each head attends to the channels with signed weights (`SignedAttention`), its
       spatial filters. Their outputs, each after a temporal filter, sum to a source.
    2. *Tokens.* In overlapping windows of 0.3 s, a source has a log power, for rhythms, and a mean,
       for evoked potentials, relative to its power over all training epochs; the less informative
       kind is scaled down.
    3. *Class token.* The class token attends to sources and windows with learnt, signed weights for
       each class; the weighted sum of tokens is the logit.

    With `pairs`, each head has a mirror image, whose sources are read out with the classes
    exchanged, and logits are the mean over both. In training mode, heads are not mirrored; mirror
    the epochs instead.

    Parameters
    ----------
    n_chans : int
        Number of channels.
    n_outputs : int
        Number of classes.
    n_times : int
        Number of samples in an epoch.
    sfreq : float or None, default=None
        Sampling rate in Hz; signals of 160 Hz or more are first decimated to between 80 and 160 Hz.
        None sets lengths of filters and windows as for 80 Hz.
    n_groups : int, default=2
        Number of groups of heads. Each group is trained to classify on its own; their logits are
        averaged in prediction, as in an ensemble of networks.
    n_heads : int, default=20
        Number of heads, and therefore of sources, of each group.
    n_filters : int, default=4
        Number of spatial filters of each head.
    drop_prob : float, default=0.5
        Dropout probability of the tokens.
    pairs : sequence of int of length n_chans or None, default=None
        Index of each channel's partner on the other side; None for no mirror images.
    swapped : sequence of int of length n_outputs or None, default=None
        Index of the class that results for each class when left and right are exchanged.

    Attributes
    ----------
    attention : SignedAttention
        The attention of all heads, group by group.
    n_sources, n_windows : int
        Total number of heads in all groups, and number of windows.
    rate : float
        Sampling rate of sources in Hz.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0

    Examples
    --------
    >>> import torch
    >>> from skeegformer import EEGTransformer
    >>> network = EEGTransformer(n_chans=64, n_outputs=2, n_times=320, sfreq=160.0).eval()
    >>> network(torch.randn(8, 64, 320)).shape
    torch.Size([8, 2])
    >>> network(torch.randn(64, 320)).shape
    torch.Size([2])
    """

    def __init__(
        self,
        n_chans,
        n_outputs,
        n_times,
        sfreq=None,
        *,
        n_groups=2,
        n_heads=20,
        n_filters=4,
        drop_prob=0.5,
        pairs=None,
        swapped=None,
    ):
        super().__init__()
        self.n_chans, self.n_outputs, self.n_times = n_chans, n_outputs, n_times
        self.n_groups, self.n_sources = n_groups, n_groups * n_heads
        sfreq = RATE if sfreq is None else sfreq
        self.decimation = max(1, int(sfreq // RATE))
        self.rate = sfreq / self.decimation
        n_samples = -(-n_times // self.decimation)
        self.window = max(1, min(round(WINDOW * self.rate), n_samples // LEAST_WINDOWS))
        self.stride = min(max(1, round(STRIDE * self.rate)), self.window)
        self.n_windows = (n_samples - self.window) // self.stride + 1

        starts = self.stride * torch.arange(self.n_windows)
        since = torch.arange(n_samples)[:, None] - starts
        inside = ((since >= 0) & (since < self.window)) / self.window
        # Means in windows, as a product with this, take less time than pooling.
        self.register_buffer("windows", inside, persistent=False)
        self.register_buffer("drifts", torch.tensor(False))
        self.register_buffer("mean", torch.zeros(n_chans, 1))
        self.register_buffer("scale", torch.ones(n_chans, 1))
        if self.decimation > 1:
            low_pass = firwin(8 * self.decimation + 1, 0.9 / self.decimation)
            # Part of saved models; what is computed with are its blocks.
            self.register_buffer("low_pass", torch.from_numpy(low_pass).float()[None, None])
            blocks = convolution_matrix(low_pass, (BLOCK - 1) * self.decimation + 1)
            blocks = torch.from_numpy(blocks[:, :: self.decimation]).float().contiguous()
            self.register_buffer("blocks", blocks, persistent=False)
        self.attention = SignedAttention(self.n_sources, n_filters, n_chans)
        self.temporal = nn.Parameter(_wavelets(self.n_sources, n_filters, self.rate))
        # Of each source over the training epochs; its tokens are in units of it.
        self.register_buffer("source_power", torch.ones(self.n_sources))
        # Of log powers and means; see `token_gains`.
        self.register_buffer("gains", torch.ones(2))
        self.drop = nn.Dropout(drop_prob)
        # What the class token attends to: log powers, then means, of sources in windows.
        n_tokens = 2 * n_heads * self.n_windows
        weight = 2 * torch.rand(n_outputs, 2, self.n_sources, self.n_windows) - 1
        self.class_weight = nn.Parameter(weight / n_tokens**0.5)
        self.class_bias = nn.Parameter(torch.zeros(n_outputs, n_groups))
        n_images = 1 if pairs is None else 2
        usual = torch.zeros(n_images, 2, self.n_sources, self.n_windows)
        self.register_buffer("usual_tokens", usual)
        # Of channels in what a source contributes to the logits of the training epochs.
        shares = torch.full((self.n_sources, n_chans), 1 / n_chans)
        self.register_buffer("channel_shares", shares)
        self.register_buffer("pairs", None if pairs is None else torch.as_tensor(pairs))
        self.register_buffer("swapped", None if swapped is None else torch.as_tensor(swapped))

    @torch.no_grad()
    def learn_statistics(self, mean, std, drift=None, isolation=None):
        """Set the statistics with which epochs are standardised.

        All channels are divided by one number, since their relative amplitudes are informative, but
        channels of more than twice the median amplitude are scaled down to that. A constant
        channel is ignored from then on.

        Parameters
        ----------
        mean, std : Tensor of shape (n_chans,)
            Mean of each channel over the training epochs, and its standard deviation within epochs.
        drift : Tensor of shape (n_chans,) or None, default=None
            How much the mean differs between epochs; None for not at all.
        isolation : Tensor of shape (n_chans,) or None, default=None
            How many times as loud a channel counts, more than once without contact; None for 1.
        """
        self.drifts.fill_(drift is not None and bool((drift > DRIFT * std).any()))
        varies = std > CONSTANT * std.max()
        usual = std[varies].median() if varies.any() else torch.ones(())
        self.mean.copy_(mean[:, None])
        size = torch.maximum(usual, std / 2 if isolation is None else isolation * std / 2)
        self.scale.copy_(torch.where(varies, 1 / size, 0.0)[:, None])

    def forward(self, x, subject=None, means=None):
        """Classify epochs.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times) or (n_chans, n_times)
            Epochs, or a single one.
        subject : Tensor of int of shape (batch,) or None, default=None
            Subject of each epoch, from 0 on, to centre log powers on the mean over the subject's
            epochs in x; None for no centring.
        means : Tensor of shape (n_images, n_sources, n_windows) or None, default=None
            Means of log powers to centre on, if known.

        Returns
        -------
        Tensor of shape (batch, n_outputs) or (n_outputs,)
            Logits; in training mode (batch, n_outputs, n_groups), those of each group.
        """
        if x.shape[-2:] != (self.n_chans, self.n_times) or x.ndim not in (2, 3):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but this network takes (batch, {self.n_chans}, "
                f"{self.n_times}) or ({self.n_chans}, {self.n_times})."
            )
        if x.ndim == 2:
            return self.forward(x[None], means=means)[0]
        tokens = self.tokens(self.gather(self.prepare(x)))
        if subject is not None:
            means = _subject_means(tokens, subject)[subject]
        if means is not None:
            tokens = self.centre(tokens, means)
        return self.read_out(tokens)

    def prepare(self, x):
        """Standardise epochs, and bring them to the rate of the sources."""
        return self._prepare(x, self.mean, self.scale)

    def prepare_change(self, x, channels=slice(None)):
        """Prepare what is added to some channels, (batch, n_some_chans, n_times)."""
        return self._prepare(x, torch.zeros_like(self.mean[channels]), self.scale[channels])

    def _prepare(self, x, level, scale):
        # Not `if`, which an exported network would not have.
        x = x - torch.where(self.drifts, x.mean(dim=-1, keepdim=True), level)
        x = x if self.decimation == 1 else _decimate(x, self.decimation, self.blocks)
        return x * scale

    def kernel(self):
        """Compose attention and temporal filters: (n_images * n_sources, n_chans, n_taps)."""
        kernel = torch.einsum("hfc,hft->hct", self.attention(), self.temporal)
        if self.pairs is None or self.training:
            return kernel
        return torch.cat([kernel, kernel[:, self.pairs]])

    def gather(self, signal, channels=slice(None)):
        """Gather sources from the signal of all or some channels, a part of each from each."""
        kernel = self.kernel()[:, channels]
        sources = F.conv1d(signal, kernel, padding=kernel.shape[-1] // 2)
        return sources.unflatten(1, (-1, self.n_sources))

    def split(self, weights, signal):
        """Divide the sums of weights times sources among the channels.

        Weights have the shape of the sources, and the result (batch, n_images, n_sources, n_chans);
        its sum over channels is that of weights times source over samples.
        """
        kernel, n_samples = self.kernel(), signal.shape[-1]
        signal = F.pad(signal, (kernel.shape[-1] // 2,) * 2)
        flat, total = weights.flatten(1, 2), 0
        for lag in range(kernel.shape[-1]):
            total = total + kernel[..., lag] * (flat @ signal[..., lag : lag + n_samples].mT)
        return total.unflatten(1, weights.shape[1:3])

    @torch.no_grad()
    def learn_powers(self, batches):
        """Learn the powers of sources to begin with."""
        powers = []
        for x in batches:
            signal = self.prepare(torch.as_tensor(x).to(self.scale.device))
            powers.append(self.gather(signal)[:, 0].square().mean(dim=-1))
        self.source_power.copy_(torch.cat(powers).mean(dim=0).clamp_min(LEAST_POWER))

    def tokens(self, sources):
        """Describe sources in windows of time, by log powers and means, times a gain each."""
        flat = sources.flatten(0, 1)
        squares = flat.square()
        power = self.source_power
        if self.training:
            power = squares.mean(dim=(0, 2)).clamp_min(LEAST_POWER)
            self.source_power.lerp_(power.detach(), MOMENTUM)
            # The onset of a rhythm differs between epochs.
            most = min(round(SHIFT * self.rate), squares.shape[-1] - 1)
            squares = squares.roll(int(torch.randint(-most, most + 1, ())), dims=-1)
        tokens = self.in_windows(flat, squares, power) * self.gains[:, None, None]
        return tokens.unflatten(0, sources.shape[:2])

    def in_windows(self, signal, squares, power):
        """Compute log powers, times a constant, and means, both in units of the power."""
        powers = squares @ self.windows / power[:, None]
        means = signal @ self.windows / power[:, None].sqrt()
        return torch.stack([POWER_GAIN * powers.clamp_min(SILENCE).log(), means], dim=1)

    def centre(self, tokens, means):
        """Subtract means of log powers, of all epochs or of each; waveforms stay as they are."""
        return torch.stack([tokens[:, :, 0] - means, tokens[:, :, 1]], dim=2)

    def read_out(self, tokens):
        """Let the class token attend to the tokens, and give the logits as `forward` does."""
        if self.recorder is not None:
            self.recorder(tokens)
        tokens = self.drop(tokens).unflatten(3, (self.n_groups, -1))
        weight = self.class_weight.unflatten(2, (self.n_groups, -1))
        logits = torch.einsum("bikghw,okghw->biog", tokens, weight) + self.class_bias
        if logits.shape[1] == 2:
            logits = torch.stack([logits[:, 0], logits[:, 1, self.swapped]], dim=1)
        logits = logits.mean(dim=1)
        return logits if self.training else logits.mean(dim=-1)


def _decimate(x, decimation, blocks):
    """Low-pass filter and decimate the last axis, as products of its blocks with a matrix."""
    # A convolution of a single channel takes two to ten times as long.
    n_samples, step, start = -(-x.shape[-1] // decimation), BLOCK * decimation, 4 * decimation
    n_padded = (-(-n_samples // BLOCK) + 1) * step
    x = F.pad(x, (start, n_padded - x.shape[-1] - start)).unflatten(-1, (-1, step))
    own, following = blocks[:step], blocks[step:]
    signal = x[..., :-1, :] @ own + x[..., 1:, : len(following)] @ following
    return signal.flatten(-2)[..., :n_samples]


def _subject_means(tokens, subject):
    """Average log powers over subjects: (n_subjects, n_images, n_sources, n_windows)."""
    powers = tokens[:, :, 0]
    whose = F.one_hot(subject).to(powers.dtype)
    share = whose / whose.sum(dim=0).clamp_min(1)
    return torch.einsum("bs,bihw->sihw", share, powers)


def _wavelets(n_heads, n_filters, rate):
    """Draw temporal filters that begin as short oscillations: (n_heads, n_filters, n_taps)."""
    half = max(1, round(FILTER * rate / 2))
    time = torch.arange(-half, half + 1) / rate
    low, high = FREQUENCIES[0], min(FREQUENCIES[1], 0.4 * rate)
    frequency = low + (high - low) * torch.rand(n_heads, n_filters, 1)
    phase = 2 * np.pi * torch.rand(n_heads, n_filters, 1)
    taper = torch.hann_window(2 * half + 3, periodic=False)[1:-1]
    waves = taper * torch.cos(2 * np.pi * frequency * time + phase)
    # As long as the weights of a convolution of torch are at first.
    return waves / waves.norm(dim=-1, keepdim=True) / (3 * n_filters) ** 0.5
