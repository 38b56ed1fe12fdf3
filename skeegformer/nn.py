"""The network: a transformer whose tokens are EEG channels.

The data go through five steps, which are the five parts of this file::

    standardise -> augment -> tokenize -> blocks of attention -> class token -> logits

Token order, everywhere in the package: token 0 is the class token, then all temporal
tokens of the first channel, then those of the second, and so on (channel-major).
`tokens_to_channels` undoes it.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from skeegformer._covariance import CONSTANT, CovarianceTokenizer
from skeegformer._memmap import batches_of
from skeegformer._validation import check_one_of

TOKENIZERS = ("covariance", "spectral", "linear")
# What votes and class token say at first, beside each other: votes are linear in the features
# and learn fast, the class token finds what is left for it.
_VOTE_GAIN = 0.3
_CLASS_GAIN = 0.1
# Heads of votes for each head of attention: as the gains are, until it is known what both say.
_VOTE_HEADS, _MOST_VOTE_HEADS = 3, 9
# With fewer features than a cap of 64 electrodes has, each of them has to say more.
_MANY_FEATURES = 36000
SHUFFLES = ("none", "channels", "temporal", "all")
ACTIVATIONS = ("gelu", "relu")


def tokens_to_channels(values, n_chans, n_time_tokens=1):
    """Turn one value per token into one value per channel and temporal token.

    Parameters
    ----------
    values : Tensor or ndarray of shape (..., n_tokens)
        A value for each token, with the class token (``1 + n_chans * n_time_tokens``
        values; the first is left out) or without (``n_chans * n_time_tokens``).
    n_chans : int
        Number of channels.
    n_time_tokens : int, default=1
        Number of temporal tokens of each channel.

    Returns
    -------
    Tensor or ndarray of shape (..., n_chans, n_time_tokens)
        The values, channel by channel.

    Raises
    ------
    ValueError
        If the number of tokens fits neither way.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.nn import tokens_to_channels
    >>> tokens_to_channels(np.array([9, 0, 1, 10, 11]), n_chans=2, n_time_tokens=2)
    array([[ 0,  1],
           [10, 11]])
    """
    n_tokens = n_chans * n_time_tokens
    if values.shape[-1] == n_tokens + 1:
        values = values[..., 1:]
    if values.shape[-1] != n_tokens:
        raise ValueError(
            f"values has {values.shape[-1]} tokens, but {n_chans} channels with {n_time_tokens} "
            f"temporal tokens each make {n_tokens}, or {n_tokens + 1} with the class token."
        )
    return values.reshape(*values.shape[:-1], n_chans, n_time_tokens)


class Standardizer(nn.Module):
    """Subtract a mean and divide by a standard deviation that are learnt once, not trained.

    Parameters
    ----------
    *shape : int
        Shape of the statistics; it has to broadcast against the input.
    """

    def __init__(self, *shape):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    @torch.no_grad()
    def learn(self, mean, std):
        """Set the statistics; what does not vary is zero from now on, whatever comes.

        Rounding, such as that of a filter, makes constants vary by less than a billionth of
        what others do.

        Parameters
        ----------
        mean, std : Tensor
            The statistics.
        """
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(std > CONSTANT * std.max(), 1 / std, 0.0))

    def forward(self, x):
        """Standardise.

        Parameters
        ----------
        x : Tensor
            The input.

        Returns
        -------
        Tensor
            The input in units of its standard deviation.
        """
        return (x - self.mean) * self.scale


class _ChannelTokenizer(nn.Module):
    """A tokenizer whose tokens hold features of their own channel alone."""

    def scale(self, std):
        """Choose by what features are divided: each by its own standard deviation.

        Parameters
        ----------
        std : Tensor of shape (n_chans, 1, n_features)
            Standard deviations over the training epochs.

        Returns
        -------
        Tensor of shape (n_chans, 1, n_features)
            The scale of every feature.
        """
        return std

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
        return features[..., pairs, :, :]


class LinearTokenizer(_ChannelTokenizer):
    """The raw samples of a channel's segment are its token, as in eeg-transformer [1]_.

    Parameters
    ----------
    n_chans, n_times : int
        Shape of an epoch.
    n_time_tokens : int
        In how many segments a channel is cut; samples left over at the end are not used.

    Attributes
    ----------
    frequencies : list of None
        A sample has no frequency.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
    """

    def __init__(self, n_chans, n_times, n_time_tokens):
        super().__init__()
        self.n_time_tokens = n_time_tokens
        self.n_features = n_times // n_time_tokens
        self.frequencies = [None] * self.n_features

    def forward(self, x):
        """Cut channels into segments.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times)
            Standardised epochs.

        Returns
        -------
        Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            The samples of every segment.
        """
        return _segment(x, self.n_time_tokens)


class SpectralTokenizer(_ChannelTokenizer):
    """Log power spectrum of a channel's segment, and its waveform in outline.

    Oscillations differ in power and hardly ever in phase between epochs, so that power,
    averaged over short windows (Welch [1]_), is what cross-subject decoding lives on; the
    logarithm makes a channel's gain an offset. Potentials that follow an event are slow
    and phase-locked: a coarse waveform keeps them and their sign.

    Parameters
    ----------
    n_chans, n_times : int
        Shape of an epoch.
    n_time_tokens : int
        In how many segments a channel is cut.
    sfreq : float or None
        Sampling rate in Hz. None: windows are a third of the segment.
    window : float
        Length of the (Hann) windows in seconds; they overlap by half.
    f_max : float
        Frequencies above are left out, in Hz; muscles rule there.
    n_points : int
        Number of points of the waveform: means of as many equal parts of the segment.

    Attributes
    ----------
    frequencies : list of float or None
        Frequency of each feature in Hz; None for the waveform's.

    References
    ----------
    .. [1] Welch (1967), The use of fast Fourier transform for the estimation of power
       spectra. IEEE Trans. Audio Electroacoust. 15(2). doi:10.1109/TAU.1967.1161901
    """

    def __init__(
        self, n_chans, n_times, n_time_tokens, sfreq=None, window=0.8, f_max=45.0, n_points=16
    ):
        super().__init__()
        self.n_time_tokens = n_time_tokens
        segment = n_times // n_time_tokens
        length = round(window * sfreq) if sfreq else segment // 3
        self.window_length = max(1, min(length, segment))
        self.hop = max(1, self.window_length // 2)
        n_freqs = self.window_length // 2 + 1
        if sfreq:
            n_freqs = max(1, min(n_freqs, int(f_max * self.window_length / sfreq) + 1))
        # The mean of a window says nothing about oscillations: amplifiers drift.
        self.freqs = slice(1 if n_freqs > 1 else 0, n_freqs)
        self.n_points = min(n_points, segment)
        self.n_features = self.freqs.stop - self.freqs.start + self.n_points
        self.frequencies = [None] * self.n_features
        if sfreq:
            bins = range(self.freqs.start, self.freqs.stop)
            self.frequencies[: len(bins)] = [k * sfreq / self.window_length for k in bins]
        # Without the zeros at both ends, which would leave nothing of very short windows.
        window = torch.hann_window(self.window_length + 2, periodic=False)[1:-1]
        spectrum = torch.fft.rfft(torch.diag(window / window.norm()))[:, self.freqs]
        # A product with the few frequencies that are kept is faster than an FFT of all.
        basis = torch.cat([spectrum.real, spectrum.imag], dim=1)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x):
        """Compute log spectra and waveforms.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times)
            Standardised epochs.

        Returns
        -------
        Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            Logarithm of the power at every frequency, then the points of the waveform.
        """
        segments = _segment(x, self.n_time_tokens)
        windows = segments.unfold(-1, self.window_length, self.hop)
        parts = windows.reshape(-1, self.window_length) @ self.basis
        power = (parts * parts).unflatten(0, windows.shape[:-1]).mean(dim=-2)
        real, imaginary = power.chunk(2, dim=-1)
        waveform = F.adaptive_avg_pool1d(segments.flatten(1, 2), self.n_points)
        return torch.cat(
            [torch.log(real + imaginary + 1e-6), waveform.unflatten(1, segments.shape[1:3])],
            dim=-1,
        )


def _segment(x, n_segments):
    """Cut the last axis into equal segments: (..., n_times) to (..., n_segments, length)."""
    length = x.shape[-1] // n_segments
    return x[..., : n_segments * length].unflatten(-1, (n_segments, length))


class Attention(nn.Module):
    """Multi-head self-attention [1]_.

    The weights exist as a tensor only while something records them: `recorder` is None,
    or a function that takes the weights, of shape (batch, n_heads, n_queries, n_tokens).
    `records_all` says whether it wants to see all tokens' queries, or, of the last block,
    only the class token's.

    Parameters
    ----------
    embed_dim : int
        Size of a token.
    n_heads : int
        Number of heads.
    drop_prob : float
        Dropout probability of the output.

    References
    ----------
    .. [1] Vaswani et al. (2017), Attention is all you need. NeurIPS. arXiv:1706.03762
    """

    def __init__(self, embed_dim, n_heads, drop_prob):
        super().__init__()
        self.n_heads = n_heads
        self.query_key_value = nn.Linear(embed_dim, 3 * embed_dim)
        self.out = nn.Linear(embed_dim, embed_dim)
        self.drop = nn.Dropout(drop_prob)
        self.recorder = None
        self.records_all = False

    def forward(self, x, n_queries=None, more_heads=None):
        """Let tokens gather from all tokens.

        Parameters
        ----------
        x : Tensor of shape (batch, n_tokens, embed_dim)
            The tokens.
        n_queries : int or None, default=None
            How many tokens, from the first, gather; None for all.
        more_heads : callable or None, default=None
            Used only while something records: takes the weights and returns those of further
            heads, to be recorded after these.

        Returns
        -------
        gathered : Tensor of shape (batch, n_queries, embed_dim)
            What each token gathered.
        more : Tensor of shape (batch, n_more, n_queries, n_tokens) or None
            The further heads' weights, as part of what was recorded.
        """
        if n_queries is None:
            parts = self.query_key_value(x).chunk(3, dim=-1)
        else:
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            size = x.shape[-1]
            query = F.linear(x[:, :n_queries], weight[:size], bias[:size])
            parts = query, *F.linear(x, weight[size:], bias[size:]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        more = None
        if self.recorder is None:
            gathered = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = (q / q.shape[-1] ** 0.5) @ k.transpose(-2, -1)
            # In place, unless gradients are needed: to allocate it takes longer than to fill it.
            weights = torch.softmax(scores, dim=-1, out=None if scores.requires_grad else scores)
            if more_heads is not None:
                weights = torch.cat([weights, more_heads(weights)], dim=1)
            self.recorder(weights)
            if more_heads is not None:
                weights, more = weights[:, : self.n_heads], weights[:, self.n_heads :]
            gathered = weights @ v
        return self.drop(self.out(gathered.transpose(1, 2).flatten(2))), more


class Block(nn.Module):
    """Pre-norm transformer block: attention between tokens, then a network within each.

    Parameters
    ----------
    embed_dim, n_heads : int
        Size of a token and number of heads.
    ff_dim : int
        Size of the hidden layer.
    drop_prob : float
        Dropout probability of both branches.
    activation : {"gelu", "relu"}, default="gelu"
        Of the hidden layer; "relu" is that of eeg-transformer, whose branch ends with one too.
    """

    def __init__(self, embed_dim, n_heads, ff_dim, drop_prob, activation="gelu"):
        super().__init__()
        self.norm_attention = nn.LayerNorm(embed_dim)
        self.attention = Attention(embed_dim, n_heads, drop_prob)
        self.norm_feedforward = nn.LayerNorm(embed_dim)
        is_relu = activation == "relu"
        self.feedforward = nn.Sequential(
            nn.Linear(embed_dim, ff_dim),
            nn.ReLU() if is_relu else nn.GELU(),
            nn.Linear(ff_dim, embed_dim),
            *([nn.ReLU()] if is_relu else []),
            nn.Dropout(drop_prob),
        )

    def forward(self, x, n_queries=None, more_heads=None):
        """Transform tokens.

        Parameters
        ----------
        x : Tensor of shape (batch, n_tokens, embed_dim)
            The tokens.
        n_queries : int or None, default=None
            How many tokens, from the first, are wanted; None for all.
        more_heads : callable or None, default=None
            See `Attention`.

        Returns
        -------
        x : Tensor of shape (batch, n_queries, embed_dim)
            The tokens after both branches.
        more : Tensor of shape (batch, n_more, n_queries, n_tokens) or None
            See `Attention`.
        """
        gathered, more = self.attention(self.norm_attention(x), n_queries, more_heads)
        x = x[:, :n_queries] + gathered
        return x + self.feedforward(self.norm_feedforward(x)), more


class Votes(nn.Module):
    """Every token votes for the classes by a linear rule of its own, and the votes are added.

    What a token says can be read off its features, and its rule off the weights: this is the
    part of the network that a few subjects suffice to train. As attention, a token has its share
    in what all tokens say of an epoch, by the norm of each one's vote [1]_.

    Parameters
    ----------
    n_tokens : int
        Number of tokens without the class token.
    n_features : int
        Number of features of a token.
    n_outputs : int
        Number of classes.

    Attributes
    ----------
    gain : float
        By what the network multiplies the sum.
    heads : Tensor of int
        How many heads of recorded attention are the votes', for each of the others.

    References
    ----------
    .. [1] Kobayashi et al. (2020), Attention is not only a weight: analyzing transformers with
       vector norms. EMNLP. arXiv:2004.10102
    """

    def __init__(self, n_tokens, n_features, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_tokens, n_features, n_outputs))
        self.gain = _VOTE_GAIN * max(1.0, _MANY_FEATURES / (n_tokens * n_features)) ** 0.5
        self.register_buffer("heads", torch.tensor(_VOTE_HEADS))

    def forward(self, features, say=None):
        """Add the votes.

        Parameters
        ----------
        features : Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            Features of the tokens.
        say : Tensor of shape (batch, 1, n_queries, 1 + n_tokens) or None, default=None
            What `attention` gave, to have the sum depend on it as a weighted mean does.

        Returns
        -------
        Tensor of shape (batch, n_outputs)
            The sum.
        """
        if say is None:
            # One product, where nobody asks which token said what. With few outputs it is several
            # times faster, and the more so backwards, if the weights of each lie side by side.
            return F.linear(features.flatten(1), self.weight.flatten(0, 1).t().contiguous())
        votes = self._each(features)
        share = self.share(votes).clamp_min(1e-30)[..., None]
        return (say[:, :, 0, 1:].mean(dim=1)[..., None] * (votes / share)).sum(dim=1)

    def _each(self, features):
        """Compute every token's vote: (batch, n_tokens, n_outputs)."""
        return torch.einsum("btf,tfo->bto", features.flatten(1, 2), self.weight)

    @staticmethod
    @torch.no_grad()
    def share(votes):
        """Compute how much of what is said each token says.

        Parameters
        ----------
        votes : Tensor of shape (batch, n_tokens, n_outputs)
            What every token says.

        Returns
        -------
        Tensor of shape (batch, n_tokens)
            Non-negative, sums to 1.
        """
        # What is said for all classes alike decides nothing.
        norms = (votes - votes.mean(dim=-1, keepdim=True)).norm(dim=-1) + 1e-12
        return norms / norms.sum(dim=-1, keepdim=True)

    def attention(self, weights, features):
        """Give the tokens' shares as the attention of further heads, the same for every query.

        Parameters
        ----------
        weights : Tensor of shape (batch, n_heads, n_queries, n_tokens)
            Attention of the others.
        features : Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            Features of the tokens.

        Returns
        -------
        Tensor of shape (batch, heads * n_heads, n_queries, n_tokens)
            Of the votes: as many heads as these count for beside the class token.
        """
        row = F.pad(self.share(self._each(features)), (1, 0)).to(weights.dtype)[:, None, None]
        return row.expand(-1, int(self.heads) * weights.shape[1], *weights.shape[2:])

    def mean_heads(self, weights):
        """Stand in for further heads in layers that have none, without moving the mean.

        Parameters
        ----------
        weights : Tensor of shape (batch, n_heads, n_queries, n_tokens)
            Attention of the layer.

        Returns
        -------
        Tensor of shape (batch, heads * n_heads, n_queries, n_tokens)
            As many heads as `attention` gives.
        """
        n_heads = int(self.heads) * weights.shape[1]
        return weights.mean(dim=1, keepdim=True).expand(-1, n_heads, -1, -1)


class EEGTransformer(nn.Module):
    """Transformer for EEG epochs with channels as tokens and a class token.

    Follows eeg-transformer [1]_: each channel, or each of `n_time_tokens` segments of a
    channel, is one token; a learned class token gathers what the classes need. Token 0
    is the class token, the others are channel-major (see `tokens_to_channels`).

    Parameters
    ----------
    n_chans : int
        Number of channels.
    n_outputs : int
        Number of classes.
    n_times : int
        Number of samples in an epoch.
    sfreq : float or None, default=None
        Sampling rate in Hz; sets the windows and frequencies of the spectral tokenizer.
    tokenizer : {"covariance", "spectral", "linear"}, default="covariance"
        What a token is made of: the channel's rows of the logarithm of the covariance in each
        band and each second, and 16 points of its waveform (`CovarianceTokenizer`); the log
        power spectrum of its samples (Welch's windows of 0.8 s, up to 45 Hz) and the waveform;
        or the samples themselves as in the original.
    bands : list of tuple of (float, float) or None, default=None
        Bands in Hz of ``tokenizer="covariance"``; None for the usual ones.
    votes : bool, default=True
        Whether, beside the class token, every token votes for the classes by a linear rule
        of its own; good where few subjects are there to train on.
    n_time_tokens : int, default=1
        Number of segments, and so tokens, of a channel. Samples left over at the end of
        an epoch are not used.
    embed_dim : int, default=32
        Size of a token inside the network.
    n_layers : int, default=1
        Number of blocks.
    n_heads : int, default=4
        Number of attention heads; has to divide `embed_dim`.
    ff_dim : int or None, default=None
        Size of the hidden layer within a block; None means ``2 * embed_dim``.
    activation : {"gelu", "relu"}, default="gelu"
        Of the hidden layer within a block; with "relu", as in the original, another one ends the
        branch.
    head_dim : int or None, default=None
        Size of a hidden layer, with ReLU, between the class token and the logits, 64 in the
        original; None for no such layer.
    drop_prob : float, default=0.5
        Dropout probability.
    token_drop_prob : float, default=0.0
        Probability that a token is set to zero in training.
    crop : int or None, default=None
        How many samples of an epoch are used: in training from a random one on, drawn anew
        each time, otherwise the first. None uses all.
    noise : float, default=0.0
        Standard deviation of the white noise added in training, in units of the standard
        deviation of each channel.
    shuffle_tokens : {"none", "channels", "temporal", "all"}, default="none"
        What is shuffled in each epoch of a training batch before positions are added: the
        channels (all their temporal tokens together), the temporal tokens of all channels
        in one order, or both.

    Attributes
    ----------
    n_tokens : int
        Number of tokens, the class token included.
    token_length : int
        Number of samples that a token is made of.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0

    Examples
    --------
    >>> import torch
    >>> from skeegformer import EEGTransformer
    >>> network = EEGTransformer(n_chans=64, n_outputs=2, n_times=320, sfreq=160.0)
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
        tokenizer="covariance",
        bands=None,
        votes=True,
        n_time_tokens=1,
        embed_dim=32,
        n_layers=1,
        n_heads=4,
        ff_dim=None,
        activation="gelu",
        head_dim=None,
        drop_prob=0.5,
        token_drop_prob=0.0,
        crop=None,
        noise=0.0,
        shuffle_tokens="none",
    ):
        super().__init__()
        check_one_of("tokenizer", tokenizer, TOKENIZERS)
        check_one_of("activation", activation, ACTIVATIONS)
        check_one_of("shuffle_tokens", shuffle_tokens, SHUFFLES)
        if embed_dim % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide embed_dim={embed_dim}.")
        if crop is not None and not 1 <= crop <= n_times:
            raise ValueError(
                f"crop={crop} has to lie between 1 and the number of samples, {n_times}."
            )
        n_used = n_times if crop is None else crop
        if not 1 <= n_time_tokens <= n_used:
            raise ValueError(
                f"n_time_tokens={n_time_tokens} has to lie between 1 and the number of samples, "
                f"{n_used}."
            )
        self.n_chans, self.n_times, self.n_time_tokens = n_chans, n_times, n_time_tokens
        self.n_tokens = 1 + n_chans * n_time_tokens
        self.token_length = n_used // n_time_tokens
        self.crop, self.noise, self.token_drop_prob = crop, noise, token_drop_prob
        self.shuffle_tokens = shuffle_tokens

        if tokenizer == "linear":
            self.tokenizer = LinearTokenizer(n_chans, n_used, n_time_tokens)
        elif tokenizer == "covariance":
            self.tokenizer = CovarianceTokenizer(n_chans, n_used, n_time_tokens, sfreq, bands)
        else:
            self.tokenizer = SpectralTokenizer(n_chans, n_used, n_time_tokens, sfreq)
        self.standardize_input = Standardizer(n_chans, 1)
        self.standardize_features = Standardizer(n_chans, 1, self.tokenizer.n_features)
        self.embed = nn.Linear(self.tokenizer.n_features, embed_dim)
        # As large as the embedded features: attention finds a channel by its position, and
        # with the small values that are usual elsewhere it stays uniform on a few subjects.
        self.positions = nn.Parameter(torch.randn(self.n_tokens - 1, embed_dim))
        self.class_token = nn.Parameter(torch.randn(embed_dim))
        self.drop = nn.Dropout(drop_prob)
        self.blocks = nn.ModuleList(
            Block(embed_dim, n_heads, ff_dim or 2 * embed_dim, drop_prob, activation)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(embed_dim)
        if head_dim is None:
            self.head = nn.Linear(embed_dim, n_outputs)
        else:
            self.head = nn.Sequential(
                nn.Linear(embed_dim, head_dim), nn.ReLU(), nn.Linear(head_dim, n_outputs)
            )
        self.votes = None
        if votes:
            self.votes = Votes(self.n_tokens - 1, self.tokenizer.n_features, n_outputs)

    @torch.no_grad()
    def learn_statistics(self, x, batch_size=32, pairs=None, keep=False):
        """Learn the means and standard deviations that the network standardises with.

        Parameters
        ----------
        x : Tensor or MappedEpochs of shape (n_epochs, n_chans, n_times)
            Training epochs.
        batch_size : int, default=32
            How many epochs are worked on at once.
        pairs : Tensor of shape (n_chans,) or None, default=None
            Index of each channel's partner on the other side, to learn the statistics of the
            epochs and their mirror images together.
        keep : bool, default=False
            Whether to keep the features, which take long where they are of covariance.

        Returns
        -------
        list of Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            With `keep` the features of all epochs, batch by batch, in memory of the CPU;
            ``standardize_features`` turns them into those of `extract_features`. Else empty.
        """
        device = self.standardize_input.mean.device
        kept = []
        first = _Moments()
        for batch in batches_of(x, batch_size):
            first.add(torch.as_tensor(batch)[..., : self.crop].double(), dims=(0, 2))
        mean, std = (value[:, None] for value in first.mean_and_std())
        if pairs is not None:
            mean, std = _both_sides(mean, std, lambda values: values[pairs])
        self.standardize_input.learn(mean, std)
        second = _Moments()
        for batch in batches_of(x, batch_size):
            batch = torch.as_tensor(batch)[..., : self.crop].to(device)
            tokens = self.tokenizer(self.standardize_input(batch))
            second.add(tokens.double(), dims=(0, 2))
            if keep:
                kept.append(tokens.cpu())
        mean, std = (value[:, None] for value in second.mean_and_std())
        if pairs is not None:
            mean, std = _both_sides(mean, std, lambda values: self.mirror_features(values, pairs))
        self.standardize_features.learn(mean, self.tokenizer.scale(std))
        return kept

    @torch.no_grad()
    def start_from(self, log_odds):
        """Begin with how likely the classes are before anything is seen.

        Votes of features whose mean is zero cannot say it, and where the learning rate is low the
        bias would take long to learn it.

        Parameters
        ----------
        log_odds : array-like of shape (n_outputs,)
            Logarithms of probabilities; a constant does not matter.
        """
        log_odds = torch.as_tensor(log_odds, dtype=torch.float64)
        gain = 1.0 if self.votes is None else _CLASS_GAIN
        last = self.head if isinstance(self.head, nn.Linear) else self.head[-1]
        last.bias += ((log_odds - log_odds.mean()) / gain).to(last.bias)

    @torch.no_grad()
    def weigh_votes(self, batches):
        """Let votes count in recorded attention as they count in the logits.

        Parameters
        ----------
        batches : iterable of Tensor
            Training epochs, or their features, as `forward` takes them; in evaluation mode.
        """
        if self.votes is None:
            return
        said = []
        for x in batches:
            features = x if x.ndim == 4 else self.extract_features(x)
            votes = self.votes.gain * self.votes(features)
            said.append(torch.stack([votes, self.classify_features(features) - votes]))
        said = torch.cat(said, dim=1)
        said = said - said.mean(dim=-1, keepdim=True)  # the same for all classes decides nothing
        by_votes, by_class_token = said.std(dim=1).norm(dim=-1).tolist()
        ratio = by_votes / by_class_token if by_class_token > 0 else _MOST_VOTE_HEADS
        self.votes.heads.fill_(round(min(max(ratio, 1), _MOST_VOTE_HEADS)))

    def forward(self, x):
        """Classify epochs.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times) or (n_chans, n_times)
            Epochs, or a single one; or features from `extract_features`, which are known by
            their four axes.

        Returns
        -------
        Tensor of shape (batch, n_outputs) or (n_outputs,)
            Logits.
        """
        if x.ndim == 4:
            return self.classify_features(x)
        if x.shape[-2:] != (self.n_chans, self.n_times) or x.ndim not in (2, 3):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but this network takes (batch, {self.n_chans}, "
                f"{self.n_times}) or ({self.n_chans}, {self.n_times})."
            )
        if x.ndim == 2:
            return self.forward(x[None])[0]
        return self.classify_features(self.extract_features(x))

    def extract_features(self, x):
        """Turn epochs into the standardised features that become tokens.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times)
            Epochs.

        Returns
        -------
        Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            Features in units of their standard deviation over the training epochs; 0 is
            their mean.
        """
        if self.crop is not None:
            x = random_crop(x, self.crop) if self.training else x[..., : self.crop]
        x = self.standardize_input(x)
        if self.training and self.noise > 0:
            x = x + self.noise * torch.randn_like(x)
        return self.standardize_features(self.tokenizer(x))

    def classify_features(self, features):
        """Classify epochs by the features of their tokens.

        Parameters
        ----------
        features : Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            From `extract_features`.

        Returns
        -------
        Tensor of shape (batch, n_outputs)
            Logits.
        """
        tokens = self.embed_features(features)
        more_heads = say = None
        for index, block in enumerate(self.blocks):
            # The class token alone is read out, but who records may want to see all tokens.
            is_last = index == len(self.blocks) - 1
            only_class = is_last and not block.attention.records_all
            if self.votes is not None:
                more_heads = self.votes.mean_heads
                if is_last:
                    more_heads = partial(self.votes.attention, features=features)
            tokens, say = block(tokens, 1 if only_class else None, more_heads)
        logits = self.head(self.norm(tokens[:, 0]))
        if self.votes is None:
            return logits
        return _CLASS_GAIN * logits + self.votes.gain * self.votes(features, say)

    def mirror_features(self, features, pairs):
        """Compute the features of epochs whose channels have changed sides.

        Parameters
        ----------
        features : Tensor of shape (..., n_chans, n_time_tokens, n_features)
            From `extract_features`.
        pairs : Tensor of shape (n_chans,)
            Index of each channel's partner on the other side.

        Returns
        -------
        Tensor of shape (..., n_chans, n_time_tokens, n_features)
            Features of the mirrored epochs, if the statistics are those of both sides.
        """
        return self.tokenizer.mirror(features, pairs)

    def tokens_to_channels(self, values):
        """Turn one value per token of this network into one per channel and temporal token.

        Parameters
        ----------
        values : Tensor or ndarray of shape (..., n_tokens) or (..., n_tokens - 1)
            A value for each token, with the class token or without.

        Returns
        -------
        Tensor or ndarray of shape (..., n_chans, n_time_tokens)
            The values, channel by channel.
        """
        return tokens_to_channels(values, self.n_chans, self.n_time_tokens)

    def embed_features(self, features):
        """Turn features into the tokens that enter the first block.

        Parameters
        ----------
        features : Tensor of shape (batch, n_chans, n_time_tokens, n_features)
            From `extract_features`.

        Returns
        -------
        Tensor of shape (batch, n_tokens, embed_dim)
            The class token, then the channels' tokens.
        """
        if self.training and self.shuffle_tokens != "none":
            features = shuffle(features, self.shuffle_tokens)
        tokens = self.embed(features).flatten(1, 2)
        if self.training and self.token_drop_prob > 0:
            keep = torch.rand(tokens.shape[:2], device=tokens.device) >= self.token_drop_prob
            tokens = tokens * keep[..., None] / (1 - self.token_drop_prob)
        # Not `len`, which would fix the batch size of an exported network.
        class_token = self.class_token.expand(tokens.shape[0], 1, -1)
        return self.drop(torch.cat([class_token, tokens + self.positions], dim=1))


def shuffle(features, what):
    """Shuffle channels or temporal tokens, in each epoch in another order.

    Parameters
    ----------
    features : Tensor of shape (batch, n_chans, n_time_tokens, n_features)
        Tokens by channel and time.
    what : {"channels", "temporal", "all"}
        Which axis; "all" shuffles both.

    Returns
    -------
    Tensor of shape (batch, n_chans, n_time_tokens, n_features)
        The same tokens elsewhere.
    """
    batch = torch.arange(len(features), device=features.device)[:, None]
    if what in ("channels", "all"):
        features = features[batch, _random_orders(features, axis=1)]
    if what in ("temporal", "all"):
        features = features.transpose(1, 2)[batch, _random_orders(features, axis=2)]
        features = features.transpose(1, 2)
    return features


def random_crop(x, n_times):
    """Take some samples that follow each other, of each epoch others.

    Parameters
    ----------
    x : Tensor of shape (batch, n_chans, n_all_times)
        Epochs.
    n_times : int
        How many samples.

    Returns
    -------
    Tensor of shape (batch, n_chans, n_times)
        The samples; the same ones of all channels.
    """
    n_starts = x.shape[-1] - n_times + 1
    starts = torch.randint(n_starts, (len(x), 1, 1), device=x.device)
    index = starts + torch.arange(n_times, device=x.device)
    return x.gather(-1, index.expand(-1, x.shape[1], -1))


def _random_orders(features, axis):
    """Draw one order of an axis for each epoch, of shape (batch, n)."""
    draws = torch.rand(features.shape[0], features.shape[axis], device=features.device)
    return draws.argsort(dim=1)


def _both_sides(mean, std, mirror):
    """Turn statistics of epochs into those of the epochs and their mirror images together."""
    other_mean, other_std = mirror(mean), mirror(std)
    variance = (std.square() + other_std.square()) / 2 + (mean - other_mean).square() / 4
    return (mean + other_mean) / 2, variance.sqrt()


class _Moments:
    """Mean and standard deviation over many batches."""

    def __init__(self):
        self.count, self.sum, self.sum_of_squares, self.shift = 0, 0.0, 0.0, None

    def add(self, x, dims):
        if self.shift is None:
            # Sums of squares about a nearby value keep their precision far from zero.
            self.shift = x.mean(dims, keepdim=True)
        x = x - self.shift
        self.count += x.numel() // x.sum(dims).numel()
        self.sum = self.sum + x.sum(dims)
        self.sum_of_squares = self.sum_of_squares + x.square().sum(dims)

    def mean_and_std(self):
        mean = self.sum / self.count
        variance = (self.sum_of_squares / self.count - mean.square()).clamp_min(0)
        return mean + self.shift.reshape(mean.shape), variance.sqrt()
