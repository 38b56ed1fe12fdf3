"""The network of eeg-transformer as it was published.

Written anew from its description and its public code, with parameters of the same names and
shapes, so that ``load_state_dict`` takes the weights of its checkpoints, apart from their
``class_weights``, which are part of the loss here.
"""

import torch
import torch.nn.functional as F
from torch import nn

from skeegformer._validation import batches_of, check_one_of
from skeegformer.nn._recording import Recorded

SHUFFLES = ("none", "channels", "temporal", "all")
_MAX_TOKENS = 5000
_OUTPUT_HIDDEN = 64
_BATCH = 256  # epochs whose mean and standard deviation are averaged


class OriginalTransformer(nn.Module):
    """The network of eeg-transformer [1]_.

    All samples are standardised with one mean and one standard deviation, then each channel by
    batch normalisation. A token is a linear projection of the samples of one segment of one
    channel, plus a learnt position embedding; the class token, which is token 0, has none. Tokens
    are ordered by channel: all segments of the first channel, then those of the second. Blocks are
    pre-norm, but with a ReLU at the end of the feed-forward branch and with dropout after the
    residual sum.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Number of channels, of classes, and of samples in an epoch.
    n_time_tokens : int, default=4
        Number of segments, and therefore tokens, per channel. Remaining samples are cut off, in
        training at random from the beginning and the end.
    embed_dim : int, default=64
        Size of a token.
    n_layers : int, default=3
        Number of blocks.
    n_heads : int, default=8
        Number of attention heads; `embed_dim` must be divisible by it.
    drop_prob : float, default=0.3
        Dropout probability.
    token_drop_prob : float, default=0.1
        Probability that the samples of a token are set to zero in training.
    crop : int or None, default=None
        Number of consecutive samples of an epoch to use, in training from a random start, otherwise
        the first ones. None uses all.
    noise : float, default=0.0
        Standard deviation of the white noise added in training; that of channels is 1.
    shuffle_tokens : {"none", "channels", "temporal", "all"}, default="none"
        What to shuffle in each epoch of a training batch before positions are added: the channels
        (with all their segments), the segments (in the same order for all channels), or both.

    Attributes
    ----------
    n_tokens : int
        Number of tokens, the class token included.
    token_length : int
        Number of samples in a token.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0

    Examples
    --------
    >>> import torch
    >>> from skeegformer.nn import OriginalTransformer
    >>> network = OriginalTransformer(n_chans=64, n_outputs=2, n_times=320).eval()
    >>> network(torch.randn(8, 64, 320)).shape
    torch.Size([8, 2])
    """

    def __init__(
        self,
        n_chans,
        n_outputs,
        n_times,
        *,
        n_time_tokens=4,
        embed_dim=64,
        n_layers=3,
        n_heads=8,
        drop_prob=0.3,
        token_drop_prob=0.1,
        crop=None,
        noise=0.0,
        shuffle_tokens="none",
    ):
        super().__init__()
        check_one_of("shuffle_tokens", shuffle_tokens, SHUFFLES)
        if embed_dim % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide embed_dim={embed_dim}.")
        if crop is not None and not 1 <= crop <= n_times:
            raise ValueError(
                f"crop={crop} has to lie between 1 and the number of samples, {n_times}."
            )
        n_used = n_times if crop is None else crop
        if n_used < n_time_tokens or n_chans * n_time_tokens > _MAX_TOKENS:
            raise ValueError(
                f"Epochs of {n_chans} channels and {n_used} samples cannot be cut into "
                f"n_time_tokens={n_time_tokens} tokens a channel: each needs a sample, and there "
                f"may be {_MAX_TOKENS} of them."
            )
        self.n_chans, self.n_times, self.n_time_tokens = n_chans, n_times, n_time_tokens
        self.n_tokens = 1 + n_chans * n_time_tokens
        self.token_length = n_used // n_time_tokens
        self.token_drop_prob, self.noise = token_drop_prob, noise
        self.shuffle_tokens = shuffle_tokens
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(1.0))
        self.norm = nn.BatchNorm1d(n_chans)
        self.encoder = _Encoder(self.token_length, embed_dim, n_layers, n_heads, drop_prob)
        self.outnet = nn.Sequential(
            nn.Linear(embed_dim, _OUTPUT_HIDDEN), nn.ReLU(), nn.Linear(_OUTPUT_HIDDEN, n_outputs)
        )

    @torch.no_grad()
    def learn_statistics(self, x):
        """Learn mean and standard deviation of training epochs, as averages over batches."""
        batches = (torch.as_tensor(batch) for batch in batches_of(x, _BATCH))
        means, stds = zip(*((batch.mean(), batch.std()) for batch in batches), strict=True)
        self.mean.fill_(torch.stack(means).mean())
        # A signal that is constant has no size to divide by.
        self.std.fill_(torch.stack(stds).mean() or 1.0)

    def forward(self, x):
        """Classify epochs.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times) or (n_chans, n_times)
            Epochs, or a single one.

        Returns
        -------
        Tensor of shape (batch, n_outputs) or (n_outputs,)
            Logits.
        """
        if x.shape[-2:] != (self.n_chans, self.n_times) or x.ndim not in (2, 3):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but this network takes (batch, {self.n_chans}, "
                f"{self.n_times}) or ({self.n_chans}, {self.n_times})."
            )
        if x.ndim == 2:
            return self.forward(x[None])[0]
        used = self.n_time_tokens * self.token_length
        spare = self.n_times - used
        start = int(torch.randint(spare, ())) if self.training and spare else 0
        x = self.norm((x[..., start : start + used] - self.mean) / self.std)
        if self.training and self.noise > 0:
            x = x + self.noise * torch.randn_like(x)
        tokens = x.unflatten(-1, (self.n_time_tokens, self.token_length))
        if self.training and self.shuffle_tokens != "none":
            tokens = _shuffle(tokens, self.shuffle_tokens)
        tokens = tokens.flatten(1, 2)
        if self.training and self.token_drop_prob > 0:
            keep = torch.rand(tokens.shape[:2], device=x.device) >= self.token_drop_prob
            tokens = tokens * keep[..., None] / (1 - self.token_drop_prob)
        return self.outnet(self.encoder(tokens))

    def average_epoch(self):
        """Return the mean of each channel over the training epochs, (n_chans, 1)."""
        return (self.mean + self.std * self.norm.running_mean)[:, None]


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


class _Encoder(nn.Module):
    """Projection, positions, class token and blocks; gives the class token at the end."""

    def __init__(self, token_length, embed_dim, n_layers, n_heads, drop_prob):
        super().__init__()
        self.in_proj = nn.Linear(token_length, embed_dim)
        self.pe = _Positions(embed_dim)
        self.class_token = nn.Parameter(torch.randn(embed_dim))
        blocks = [_Block(embed_dim, n_heads, drop_prob) for _ in range(n_layers)]
        self.encoder_layers = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(embed_dim)
        self.dropout = nn.Dropout(drop_prob)

    def forward(self, tokens):
        x = self.dropout(self.in_proj(tokens) + self.pe.encodings.weight[: tokens.shape[1]])
        # Not `len`, which would fix the batch size of an exported network.
        x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)
        *blocks, last = self.encoder_layers
        for block in blocks:
            x = block(x)
        # The output network reads the class token alone, but who records wants all tokens.
        x = last(x, n_queries=1 if last.mha.recorder is None else None)
        return self.dropout(self.norm(x[:, 0]))


class _Positions(nn.Module):
    """A learnt position for each token, by channel, then by segment."""

    def __init__(self, embed_dim):
        super().__init__()
        self.encodings = nn.Embedding(_MAX_TOKENS, embed_dim)


class _Block(nn.Module):
    """Attention to all tokens, then a network within each; of the first `n_queries`, or of all."""

    def __init__(self, embed_dim, n_heads, drop_prob):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.mha = _Attention(embed_dim, n_heads, drop_prob)
        self.ff = nn.Sequential(
            nn.Linear(embed_dim, 2 * embed_dim),
            nn.ReLU(),
            nn.Linear(2 * embed_dim, embed_dim),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(drop_prob)

    def forward(self, x, n_queries=None):
        x = x[:, :n_queries] + self.mha(self.norm1(x), n_queries)
        return self.dropout(x + self.ff(self.norm2(x)))


class _Attention(Recorded, nn.Module):
    """Multi-head self-attention, whose weights exist as a tensor only while they are recorded."""

    def __init__(self, embed_dim, n_heads, drop_prob):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.out = nn.Linear(embed_dim, embed_dim)
        self.dropout = nn.Dropout(drop_prob)

    def forward(self, x, n_queries=None):
        """Let all tokens, or the first `n_queries`, gather from all: (batch, n_queries, size)."""
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        q = q[:, :, :n_queries]
        if self.recorder is None:
            gathered = F.scaled_dot_product_attention(q, k, v)
        else:
            weights = torch.softmax(q / q.shape[-1] ** 0.5 @ k.transpose(-2, -1), dim=-1)
            self.recorder(weights)  # (batch, n_heads, n_queries, n_tokens)
            gathered = weights @ v
        return self.dropout(self.out(gathered.transpose(1, 2).flatten(2)))


def _shuffle(tokens, what):
    """Shuffle tokens (batch, n_chans, n_time_tokens, token_length), in each epoch otherwise."""
    batch = torch.arange(len(tokens), device=tokens.device)[:, None]
    if what in ("channels", "all"):
        tokens = tokens[batch, _random_orders(tokens, axis=1)]
    if what in ("temporal", "all"):
        tokens = tokens.transpose(1, 2)[batch, _random_orders(tokens, axis=2)]
        tokens = tokens.transpose(1, 2)
    return tokens


def _random_orders(tokens, axis):
    """Draw one order of an axis for each epoch, of shape (batch, n)."""
    draws = torch.rand(tokens.shape[0], tokens.shape[axis], device=tokens.device)
    return draws.argsort(dim=1)
