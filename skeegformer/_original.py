"""The network of eeg-transformer as it was published, to compare with.

Written anew from its description and its public code, with parameters of the same names and
shapes, so that ``load_state_dict`` takes the weights of its checkpoints, apart from their
``class_weights``, which are part of the loss here.
"""

from functools import partial
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn import functional as F

from skeegformer._memmap import batches_of
from skeegformer._training import NetworkClassifier, check_number, warm_up_and_decay

_MAX_TOKENS = 5000
_OUTPUT_HIDDEN = 64


class OriginalClassifier(NetworkClassifier):
    """The network of eeg-transformer, trained as by its own script.

    Parameters have the names of `EEGTransformerClassifier`, which describes them, and the
    default values of the original's training script.

    Parameters
    ----------
    n_time_tokens, embed_dim, n_layers, n_heads : int, default=4, 64, 3 and 8
        Of the network.
    drop_prob, token_drop_prob : float, default=0.3 and 0.1
        Of the network.
    max_epochs : int or "auto", default=300
        Passes over the training data.
    batch_size : int, default=32
        Epochs of EEG in a training step.
    lr, weight_decay : float, default=5e-3 and 0.1
        Of AdamW.
    warmup_steps : int, default=500
        Training steps in which the learning rate rises from 0.
    lr_decay : float, default=0.995
        What the learning rate is multiplied by at every pass after the warm-up.
    class_weight : dict, "balanced" or None, default="balanced"
        Weights of the classes in the loss.
    early_stopping : bool, default=True
        Hold out subjects, stop when their loss no longer falls, and return to the best weights.
    validation_fraction : float, default=0.15
        Share of the subjects that `early_stopping` holds out.
    n_iter_no_change : int, default=100
        After how many passes without a lower loss `early_stopping` ends the training.
    callbacks, sfreq, device, random_state, verbose
        As of `EEGTransformerClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is the `OriginalEEGTransformer`.
    """

    def __init__(
        self,
        *,
        n_time_tokens=4,
        embed_dim=64,
        n_layers=3,
        n_heads=8,
        drop_prob=0.3,
        token_drop_prob=0.1,
        max_epochs=300,
        batch_size=32,
        lr=5e-3,
        weight_decay=0.1,
        warmup_steps=500,
        lr_decay=0.995,
        class_weight="balanced",
        early_stopping=True,
        validation_fraction=0.15,
        n_iter_no_change=100,
        callbacks=None,
        sfreq=None,
        device="cpu",
        random_state=None,
        verbose=0,
    ):
        self.n_time_tokens = n_time_tokens
        self.embed_dim = embed_dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.drop_prob = drop_prob
        self.token_drop_prob = token_drop_prob
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.lr_decay = lr_decay
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.sfreq = sfreq
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("n_time_tokens", "embed_dim", "n_layers", "n_heads"):
            check_number(self, name, Integral, 1)
        for name in ("drop_prob", "token_drop_prob"):
            check_number(self, name, Real, 0, below=1)
        if self.embed_dim % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads} does not divide embed_dim={self.embed_dim}.")

    def _check_schedule(self):
        check_number(self, "warmup_steps", Integral, 0)
        check_number(self, "lr_decay", Real, 0)

    def _lr_factor(self, max_epochs, steps_per_pass):
        return partial(
            warm_up_and_decay,
            n_warmup=self.warmup_steps,
            decay=self.lr_decay,
            steps_per_pass=steps_per_pass,
        )

    def _make_network(self, data):
        return OriginalEEGTransformer, {
            "n_chans": self.n_chans_,
            "n_outputs": len(self.classes_),
            "n_times": self.n_times_,
            "num_tokens": self.n_time_tokens,
            "embedding_dim": self.embed_dim,
            "num_layers": self.n_layers,
            "num_heads": self.n_heads,
            "dropout": self.drop_prob,
            "token_dropout": self.token_drop_prob,
        }


class OriginalEEGTransformer(nn.Module):
    """The network of eeg-transformer [1]_.

    All samples are standardised with one mean and one standard deviation, then each channel by
    batch normalisation. A token is a linear projection of the raw samples of one segment of one
    channel, plus a learned position; the class token in front has none. Blocks are pre-norm, but
    end with a ReLU in the feed-forward branch and with dropout after the residual sum.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Number of channels, of classes, and of samples in an epoch.
    num_tokens : int, default=4
        Number of segments of a channel. Samples left over are cut off, in training at random
        from the beginning and the end.
    embedding_dim : int, default=64
        Size of a token.
    num_layers : int, default=3
        Number of blocks.
    num_heads : int, default=8
        Number of attention heads.
    dropout : float, default=0.3
        Dropout probability.
    token_dropout : float, default=0.1
        Probability that the samples of a token are set to zero in training.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
    """

    def __init__(
        self,
        n_chans,
        n_outputs,
        n_times,
        *,
        num_tokens=4,
        embedding_dim=64,
        num_layers=3,
        num_heads=8,
        dropout=0.3,
        token_dropout=0.1,
    ):
        super().__init__()
        if n_times < num_tokens or n_chans * num_tokens > _MAX_TOKENS:
            raise ValueError(
                f"Epochs of {n_chans} channels and {n_times} samples cannot be cut into "
                f"{num_tokens} tokens a channel: each needs a sample, and there may be "
                f"{_MAX_TOKENS} of them."
            )
        self.num_tokens, self.sample_length = num_tokens, n_times // num_tokens
        self.token_dropout = token_dropout
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(1.0))
        self.norm = nn.BatchNorm1d(n_chans)
        self.encoder = _Encoder(self.sample_length, embedding_dim, num_layers, num_heads, dropout)
        self.outnet = nn.Sequential(
            nn.Linear(embedding_dim, _OUTPUT_HIDDEN),
            nn.ReLU(),
            nn.Linear(_OUTPUT_HIDDEN, n_outputs),
        )

    @torch.no_grad()
    def learn_statistics(self, x, batch_size=256):
        """Learn the one mean and standard deviation, as averages over batches.

        Parameters
        ----------
        x : Tensor or LazyRows of shape (n_epochs, n_chans, n_times)
            Training epochs.
        batch_size : int, default=256
            Epochs in a batch.
        """
        batches = (torch.as_tensor(batch) for batch in batches_of(x, batch_size))
        means, stds = zip(*((batch.mean(), batch.std()) for batch in batches), strict=True)
        self.mean.fill_(torch.stack(means).mean())
        # A signal that is constant has no size to divide by.
        self.std.fill_(torch.stack(stds).mean() or 1.0)

    def forward(self, x):
        """Classify epochs.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times)
            Epochs.

        Returns
        -------
        Tensor of shape (batch, n_outputs)
            Logits.
        """
        used = self.num_tokens * self.sample_length
        spare = x.shape[-1] - used
        start = int(torch.randint(spare, ())) if self.training and spare else 0
        x = (x[..., start : start + used] - self.mean) / self.std
        tokens = self.norm(x).unflatten(-1, (self.num_tokens, self.sample_length)).flatten(1, 2)
        if self.training and self.token_dropout > 0:
            keep = torch.rand(tokens.shape[:2], device=x.device) >= self.token_dropout
            tokens = tokens * keep[..., None] / (1 - self.token_dropout)
        return self.outnet(self.encoder(tokens))


class _Encoder(nn.Module):
    """Projection, positions, class token and blocks; gives the class token at the end."""

    def __init__(self, sample_length, embedding_dim, num_layers, num_heads, dropout):
        super().__init__()
        self.in_proj = nn.Linear(sample_length, embedding_dim)
        self.pe = _Positions(embedding_dim)
        self.class_token = nn.Parameter(torch.randn(embedding_dim))
        self.encoder_layers = nn.Sequential(
            *(_Block(embedding_dim, num_heads, dropout) for _ in range(num_layers))
        )
        self.norm = nn.LayerNorm(embedding_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens):
        x = self.dropout(self.in_proj(tokens) + self.pe.encodings.weight[: tokens.shape[1]])
        x = torch.cat([self.class_token.expand(len(x), 1, -1), x], dim=1)
        *blocks, last = self.encoder_layers
        for block in blocks:
            x = block(x)
        # The output network reads the class token alone.
        return self.dropout(self.norm(last(x, n_queries=1)[:, 0]))


class _Positions(nn.Module):
    """A learned position for each token, by channel, then by segment."""

    def __init__(self, embedding_dim):
        super().__init__()
        self.encodings = nn.Embedding(_MAX_TOKENS, embedding_dim)


class _Block(nn.Module):
    """Attention to all tokens, then a network within each; of the first `n_queries`, or of all."""

    def __init__(self, embedding_dim, num_heads, dropout):
        super().__init__()
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.mha = _Attention(embedding_dim, num_heads, dropout)
        self.ff = nn.Sequential(
            nn.Linear(embedding_dim, 2 * embedding_dim),
            nn.ReLU(),
            nn.Linear(2 * embedding_dim, embedding_dim),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, n_queries=None):
        x = x[:, :n_queries] + self.mha(self.norm1(x), n_queries)
        return self.dropout(x + self.ff(self.norm2(x)))


class _Attention(nn.Module):
    """Multi-head attention of the first `n_queries` tokens, or of all, to all."""

    def __init__(self, embedding_dim, num_heads, dropout):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embedding_dim, 3 * embedding_dim)
        self.out = nn.Linear(embedding_dim, embedding_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, n_queries=None):
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        q = q[:, :, :n_queries]
        gathered = F.scaled_dot_product_attention(q, k, v)
        return self.dropout(self.out(gathered.transpose(1, 2).flatten(2)))
