"""Recording the attention of a network, and what follows from it channel by channel.

`record_attention` records; `attention_rollout` and `gradient_rollout` are pure functions of what
was recorded.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_one_of
from skeegformer.nn import EEGTransformer
from skeegformer.nn.original import Attention

HEAD_FUSIONS = ("mean", "max", "min")
CONVENTIONS = ("abnar-zuidema", "eeg-transformer")
OUTPUTS = ("tokens", "class", "layers")


@dataclass(frozen=True, eq=False)
class SignedAttentionValues:
    """What an `EEGTransformer` computed the logits of some epochs with.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_images, n_sources, n_filters, n_chans)
        Both softmaxes of the attention over channels, of each head and its mirror image where
        there is one; the same for all epochs.
    amounts : Tensor of shape (n_epochs, n_images, n_sources, n_chans)
        Root mean square of what each channel adds to a source, in units of the source's over the
        training epochs.
    tokens : Tensor of shape (n_epochs, n_images, 2, n_sources, n_windows)
        Log powers and means of the sources, as the class token attends to them.
    usual_tokens : Tensor of shape (n_images, 2, n_sources, n_windows) or (n_epochs, ...)
        Their averages over the training epochs; of `within_subjects`, for each epoch, over those of
        the same subject.
    class_weight : Tensor of shape (n_images, n_outputs, 2, n_sources, n_windows)
        Attention of the class token to the tokens, for each class.
    class_bias : Tensor of shape (n_outputs,)
        What is added.
    """

    positive: torch.Tensor
    negative: torch.Tensor
    amounts: torch.Tensor
    tokens: torch.Tensor
    usual_tokens: torch.Tensor
    class_weight: torch.Tensor
    class_bias: torch.Tensor

    @property
    def signed(self):
        """The attention over channels: the difference of both softmaxes."""
        return self.positive - self.negative

    def logits(self):
        """Compute the logits from what was recorded.

        Returns
        -------
        Tensor of shape (n_epochs, n_outputs)
            Those of the network.
        """
        weighted = torch.einsum("eikhw,iokhw->eo", self.tokens, self.class_weight)
        return weighted + self.class_bias

    def within_subjects(self, subjects):
        """Compare epochs with those of the same subject instead of the training epochs.

        What differs between people, such as the strength of their alpha rhythm, and does not
        change from epoch to epoch, is then no reason for a decision.

        Parameters
        ----------
        subjects : array-like of shape (n_epochs,)
            Whose epochs they are. A single epoch of somebody stays compared with the training
            epochs.

        Returns
        -------
        SignedAttentionValues
            The same, with `usual_tokens` of shape (n_epochs, n_images, 2, n_sources, n_windows).
        """
        names, whose, counts = np.unique(subjects, return_inverse=True, return_counts=True)
        sums = self.tokens.new_zeros(len(names), *self.tokens.shape[1:], dtype=torch.float64)
        sums.index_add_(0, torch.as_tensor(whose), self.tokens.double())
        counts = torch.as_tensor(counts).view(-1, *[1] * (sums.ndim - 1))
        usual = torch.where(counts > 1, (sums / counts).to(self.tokens.dtype), self.usual_tokens)
        return replace(self, usual_tokens=usual[whose])

    def contributions(self):
        """Compute what each source adds to the logits, compared with the usual epoch.

        Returns
        -------
        Tensor of shape (n_epochs, n_images, n_sources, n_outputs)
            Contributions, without what is the same for all classes.
        """
        unusual = self.tokens - self.usual_tokens
        added = torch.einsum("eikhw,iokhw->eiho", unusual, self.class_weight)
        return added - added.mean(dim=-1, keepdim=True)

    def source_shares(self):
        """Compute how much of what the class token gathers comes from each source.

        Returns
        -------
        Tensor of shape (n_epochs, n_images, n_sources)
            Norms of the contributions over classes, as shares that sum to 1.
        """
        return _shares(self.contributions().norm(dim=-1), dims=(1, 2))

    def channel_shares(self):
        """Compute how much of what a head gathers comes from each channel.

        Returns
        -------
        Tensor of shape (n_epochs, n_images, n_sources, n_chans)
            Amounts as shares that sum to 1 over channels.
        """
        return _shares(self.amounts, dims=(3,))


class AttentionRecord:
    """What `record_attention` collects, batch by batch.

    Parameters
    ----------
    n_layers : int
        Number of attention layers of the network.
    reduce : RolloutFold, callable or None, default=None
        See `record_attention`.

    Attributes
    ----------
    batches : list of Tensor
        The weights, or what `reduce` made of them, of each completed forward pass.
    """

    def __init__(self, n_layers, reduce=None):
        self.batches = []
        self._n_layers = n_layers
        self._reduce = reduce if hasattr(reduce, "step") else _Stack(reduce)
        self._state = None

    def values(self):
        """Join the batches.

        Returns
        -------
        Tensor of shape (n_epochs, n_layers, n_heads, n_tokens, n_tokens)
            The weights in the order in which the epochs were seen, or the joined results
            of `reduce`.

        Raises
        ------
        RuntimeError
            If no forward pass was recorded.
        """
        if not self.batches:
            raise RuntimeError(_NOTHING)
        return torch.cat(self.batches)

    def _take(self, layer, weights):
        if layer == 0:
            self._state = None  # a pass that failed half-way leaves nothing behind
        self._state = self._reduce.step(self._state, weights.detach())
        if layer == self._n_layers - 1:
            self.batches.append(self._reduce.finish(self._state).cpu())
            self._state = None


class _Stack:
    """Keep every layer's weights of a batch, and hand them on together."""

    def __init__(self, reduce=None):
        self._reduce = reduce

    def step(self, state, weights):
        return [*(state or []), weights]

    def finish(self, state):
        weights = torch.stack(state, dim=1)
        return weights if self._reduce is None else self._reduce(weights)


class RolloutFold:
    """Attention rollout, folded layer by layer while a forward pass runs.

    Memory holds one matrix of (batch, n_tokens, n_tokens), however many layers and heads
    there are. Give one to `record_attention` as `reduce`; see `attention_rollout`
    for the parameters and the paper.

    Parameters
    ----------
    head_fusion : {"mean", "max", "min"}, default="mean"
        How heads are fused.
    residual : bool, default=True
        Whether the residual connection is taken into account.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        See `attention_rollout`.
    output : {"tokens", "class", "layers"}, default="tokens"
        See `attention_rollout`.

    Attributes
    ----------
    needs_all : bool
        Whether the rows of all tokens are needed in the last layer.

    Examples
    --------
    >>> import torch
    >>> from skeegformer import record_attention
    >>> from skeegformer.attention import RolloutFold
    >>> from skeegformer.nn import OriginalTransformer
    >>> network = OriginalTransformer(3, 2, 100, n_layers=2, n_time_tokens=1)
    >>> with record_attention(network, reduce=RolloutFold(output="class")) as attention:
    ...     logits = network(torch.randn(5, 3, 100))
    >>> attention.values().shape
    torch.Size([5, 3])
    """

    def __init__(
        self, head_fusion="mean", residual=True, convention="abnar-zuidema", output="tokens"
    ):
        check_one_of("head_fusion", head_fusion, HEAD_FUSIONS)
        check_one_of("convention", convention, CONVENTIONS)
        check_one_of("output", output, OUTPUTS)
        self.head_fusion = head_fusion
        self.original = convention == "eeg-transformer"
        self.residual = residual and not self.original
        self.output = output
        # The class token's row of A_L ... A_1 starts with its row of A_L.
        self.needs_all = output == "tokens" or self.original

    def step(self, state, weights):
        """Multiply one more layer on.

        Parameters
        ----------
        state : list of Tensor or None
            From the layer below; None for the first.
        weights : Tensor of shape (batch, n_heads, n_tokens, n_tokens)
            The layer's attention; of the last one, the class token's row is enough where
            no more is asked for.

        Returns
        -------
        list of Tensor
            The product so far, and the class token's row of it after each layer where
            they are asked for.
        """
        layer = _fuse(weights, self.head_fusion, self.residual, normalize=not self.original)
        if state is None:
            product, rows = layer, []
        else:
            product, *rows = state
            product = product @ layer if self.original else layer @ product
        if self.output == "layers":
            rows.append(product[:, 0, 1:])
        return [product, *rows]

    def finish(self, state):
        """Take from the product what is asked for.

        Parameters
        ----------
        state : list of Tensor
            From the last layer.

        Returns
        -------
        Tensor
            The `output` of `attention_rollout`.
        """
        product, *rows = state
        if self.output == "tokens":
            return product
        result = torch.stack(rows, dim=1) if rows else product[:, 0, 1:]
        return result / result.max() if self.original else result


class SignedAttentionRecord:
    """What `record_attention` collects of an `EEGTransformer`.

    Parameters
    ----------
    network : EEGTransformer
        The network, in evaluation mode.
    """

    def __init__(self, network):
        self._network = network
        self._amounts, self._tokens = [], []

    def values(self):
        """Join the batches.

        Returns
        -------
        SignedAttentionValues
            Of the epochs in the order in which they were seen; detached, on the CPU.

        Raises
        ------
        RuntimeError
            If no forward pass was recorded.
        """
        if not self._tokens:
            raise RuntimeError(_NOTHING)
        network = self._network
        images = [(slice(None), slice(None))]
        if network.pairs is not None:
            images.append((network.pairs, network.swapped))
        weight = torch.stack([network.class_weight[classes] for _, classes in images])
        bias = torch.stack([network.class_bias[classes] for _, classes in images])
        softmaxes = network.attention.softmaxes()
        values = SignedAttentionValues(
            *torch.stack([softmaxes[..., channels] for channels, _ in images], dim=1),
            torch.cat(self._amounts),
            torch.cat(self._tokens),
            network.usual_tokens,
            weight / (len(images) * network.n_groups),
            bias.mean(dim=(0, 2)),
        )
        return SignedAttentionValues(*(one.detach().cpu() for one in vars(values).values()))

    @torch.no_grad()
    def _take(self, what, value):
        if what == "signal":
            what, value = "amounts", self._network.amounts(value)
        (self._amounts if what == "amounts" else self._tokens).append(value.cpu())


_NOTHING = (
    "No attention was recorded: call predict, predict_proba or the module inside the with block."
)


@contextmanager
def record_attention(estimator, reduce=None):
    """Record the attention of every forward pass inside a with block.

    Puts the network into evaluation mode until the block ends, also on an exception; what it
    computes stays the same.

    Parameters
    ----------
    estimator : EEGTransformerClassifier, Pipeline or torch.nn.Module
        A fitted classifier, a fitted Pipeline that ends with one, a fitted search over one
        of them, or a network.
    reduce : RolloutFold, callable or None, default=None
        For an `OriginalTransformer`: a `RolloutFold` is applied layer by layer, so that memory
        never holds the weights of all layers and heads. A callable is applied to each batch's
        weights, of shape (batch, n_layers, n_heads, n_tokens, n_tokens), when its pass is
        complete. None keeps all weights.

    Yields
    ------
    SignedAttentionRecord or AttentionRecord
        Its ``values()`` are detached, on the CPU, and in the order in which the epochs
        were seen. Of an `EEGTransformer` they are `SignedAttentionValues`; of an
        `OriginalTransformer` a Tensor of shape (n_epochs, n_layers, n_heads, n_tokens, n_tokens),
        rows query and columns key, token 0 the class token, or what `reduce` made of it.

    Raises
    ------
    TypeError
        If there is no network with attention in `estimator`.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.
    RuntimeError
        If the network is being recorded already.

    Examples
    --------
    >>> import torch
    >>> from skeegformer import EEGTransformer, record_attention
    >>> network = EEGTransformer(n_chans=3, n_outputs=2, n_times=100, n_groups=1).eval()
    >>> with record_attention(network) as attention:
    ...     logits = network(torch.randn(5, 3, 100))
    >>> attention.values().signed.shape
    torch.Size([1, 20, 4, 3])
    >>> torch.allclose(attention.values().logits(), logits, atol=1e-5)
    True
    """
    module = find_network(estimator)
    if isinstance(module, EEGTransformer):
        if reduce is not None:
            raise TypeError("reduce is for the layers of an OriginalTransformer; leave it out.")
        with _in_eval_mode(module), _recording([module]):
            record = SignedAttentionRecord(module)
            module.recorder = record._take
            yield record
        return
    record = AttentionRecord(len(_attention_layers(module)), reduce)
    with _listening(module, record._take, getattr(reduce, "needs_all", True)):
        yield record


def attention_rollout(
    attn, head_fusion="mean", residual=True, convention="abnar-zuidema", output="tokens"
):
    r"""Multiply attention through the layers: how much each token takes from each input token.

    Of an `EEGTransformer`, whose weights have signs, attention is measured by what is moved [2]_:
    the class token takes from a source h the share :math:`\rho_h` of the norms of all sources'
    contributions to the logits, compared with the usual epoch (see
    `SignedAttentionValues.within_subjects`); the source takes from channel c the share
    :math:`\varepsilon_{hc}` of the root mean squares of what channels add. The rollout of channel
    c is :math:`\sum_h \rho_h \varepsilon_{hc}`. The other parameters do not matter then.

    Of an `OriginalTransformer` it follows Abnar and Zuidema [1]_: heads are fused, the residual
    connection enters as half an identity, rows are normalised, and layers are multiplied from the
    first to the last, ``A_L ... A_2 A_1``.

    Parameters
    ----------
    attn : SignedAttentionValues or Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        Attention, as `record_attention` gives it.
    head_fusion : {"mean", "max", "min"}, default="mean"
        How heads are fused.
    residual : bool, default=True
        Whether the residual connection is taken into account.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        The second reproduces the numbers of eeg-transformer, for comparison: layers
        multiplied in reverse order (``A_1 A_2 ... A_L``), no residual whatever `residual`
        says, rows not normalised after fusing, and the class row divided by the maximum
        over the whole batch. Its own default was ``head_fusion="max"``.
    output : {"tokens", "class", "layers"}, default="tokens"
        Token to token; only what the class token takes from the other tokens; or that
        after each layer.

    Returns
    -------
    Tensor
        Of shape (batch, n_tokens, n_tokens), (batch, n_tokens - 1) or (batch, n_layers,
        n_tokens - 1), as `output` says.
        Rows sum to 1 in the token-to-token matrix (not with "eeg-transformer"). The class
        row leaves out what the class token takes from itself. Of an `EEGTransformer` always
        (n_epochs, n_chans); rows sum to 1.

    See Also
    --------
    RolloutFold : The same while recording, without the full tensor.

    References
    ----------
    .. [1] Abnar and Zuidema (2020), Quantifying attention flow in transformers. ACL.
       arXiv:2005.00928
    .. [2] Kobayashi et al. (2020), Attention is not only a weight: analyzing transformers with
       vector norms. EMNLP. arXiv:2004.10102

    Examples
    --------
    >>> import torch
    >>> from skeegformer import attention_rollout
    >>> attn = torch.softmax(torch.randn(8, 2, 4, 65, 65), dim=-1)
    >>> attention_rollout(attn).shape
    torch.Size([8, 65, 65])
    >>> attention_rollout(attn, output="class").shape
    torch.Size([8, 64])
    """
    if isinstance(attn, SignedAttentionValues):
        return torch.einsum("eih,eihc->ec", attn.source_shares(), attn.channel_shares())
    attn = _check_attention("attn", attn)
    fold = RolloutFold(head_fusion, residual, convention, output)
    state = None
    for layer in attn.unbind(dim=1):
        state = fold.step(state, layer)
    return fold.finish(state)


def channel_connections(values):
    r"""Compute how much the class token takes of two channels from the same sources.

    Parameters
    ----------
    values : SignedAttentionValues
        What was recorded of an `EEGTransformer`.

    Returns
    -------
    Tensor of shape (n_epochs, n_chans, n_chans)
        :math:`\sum_h \rho_h \varepsilon_{hc} \varepsilon_{hd}` with the shares of
        `attention_rollout`, whose values are the sums over d.
    """
    shares = values.channel_shares()
    return torch.einsum("eih,eihc,eihd->ecd", values.source_shares(), shares, shares)


def gradient_rollout(attn, gradients):
    """Relevance of each token for a class, from attention and its gradient.

    Follows Chefer, Gur and Wolf [1]_: starting from the identity, every layer adds
    ``mean_h((gradient * A)+) R`` to the relevance R.

    Parameters
    ----------
    attn : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        Attention weights.
    gradients : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        Gradient of what is to be explained with respect to them; see
        `attention_gradients`.

    Returns
    -------
    Tensor of shape (batch, n_tokens, n_tokens)
        Non-negative relevance; the first row without its first entry is the class token's.

    References
    ----------
    .. [1] Chefer, Gur and Wolf (2021), Generic attention-model explainability for
       interpreting bi-modal and encoder-decoder transformers. ICCV. arXiv:2103.15679

    Examples
    --------
    >>> import torch
    >>> from skeegformer.attention import gradient_rollout
    >>> attn = torch.softmax(torch.randn(8, 2, 4, 65, 65), dim=-1)
    >>> gradient_rollout(attn, torch.randn_like(attn)).shape
    torch.Size([8, 65, 65])
    """
    attn = _check_attention("attn", attn)
    gradients = _check_attention("gradients", gradients)
    if attn.shape != gradients.shape:
        raise ValueError(
            f"attn has shape {tuple(attn.shape)}, but gradients {tuple(gradients.shape)}; there "
            "has to be a gradient for every weight."
        )
    n_tokens = attn.shape[-1]
    relevance = torch.eye(n_tokens, dtype=attn.dtype, device=attn.device)
    relevance = relevance.expand(len(attn), n_tokens, n_tokens)
    for layer, gradient in zip(attn.unbind(dim=1), gradients.unbind(dim=1), strict=True):
        relevance = relevance + (gradient * layer).clamp_min(0).mean(dim=1) @ relevance
    return relevance


def attention_gradients(network, x, score):
    """Compute attention weights and the gradient of a score with respect to them.

    Parameters
    ----------
    network : OriginalTransformer
        The network; evaluated without dropout and left as it was.
    x : Tensor of shape (batch, n_chans, n_times)
        Epochs.
    score : callable
        Takes the logits, of shape (batch, n_outputs), and returns a score per epoch.

    Returns
    -------
    weights : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        The attention.
    gradients : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        The gradient of each epoch's score.
    logits : Tensor of shape (batch, n_outputs)
        What the network says.

    Examples
    --------
    >>> import torch
    >>> from skeegformer.attention import attention_gradients
    >>> from skeegformer.nn import OriginalTransformer
    >>> network = OriginalTransformer(3, 2, 100, n_layers=2, n_time_tokens=1)
    >>> x = torch.randn(5, 3, 100)
    >>> weights, gradients, logits = attention_gradients(network, x, lambda z: z[:, 0])
    >>> gradients.shape
    torch.Size([5, 2, 8, 4, 4])
    """
    layers = []

    def take(layer, weights):
        if not weights.requires_grad:  # the parameters may be frozen
            weights.requires_grad_()
        layers.append(weights)

    with torch.enable_grad(), _listening(network, take):
        logits = network(x)
        gradients = torch.autograd.grad(score(logits).sum(), layers)
    weights = torch.stack(layers, dim=1).detach()
    return weights, torch.stack(gradients, dim=1), logits.detach()


def log_odds(logits, codes):
    """Compute how much a class is favoured over all others.

    Parameters
    ----------
    logits : Tensor of shape (batch, n_outputs)
        What the network says.
    codes : Tensor of shape (batch,)
        Index of the class, epoch by epoch.

    Returns
    -------
    Tensor of shape (batch,)
        ``log(p / (1 - p))`` of the class; the difference of the logits where there are two.

    Examples
    --------
    >>> import torch
    >>> from skeegformer.attention import log_odds
    >>> log_odds(torch.tensor([[1.0, 3.0]]), torch.tensor([1]))
    tensor([2.])
    """
    own = torch.nn.functional.one_hot(codes, logits.shape[1]).bool()
    others = logits.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return logits.gather(1, codes[:, None])[:, 0] - others


def find_network(estimator):
    """Find the network in a search, a Pipeline, a fitted classifier, a skorch net or itself.

    Parameters
    ----------
    estimator : estimator or torch.nn.Module
        Where to look.

    Returns
    -------
    torch.nn.Module
        The network.

    Raises
    ------
    TypeError
        If there is none.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    if isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    net = getattr(estimator, "net_", estimator)
    module = getattr(net, "module_", net)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"There is no network in {type(estimator).__name__}; pass a fitted "
            "EEGTransformerClassifier, a Pipeline that ends with one, or a torch module."
        )
    return module


def _attention_layers(module):
    layers = [layer for layer in module.modules() if isinstance(layer, Attention)]
    if not layers:
        raise TypeError(f"{type(module).__name__} has no attention layers to record.")
    return layers


@contextmanager
def _listening(module, take, needs_all=True):
    """Hand every layer's weights to ``take(index, weights)``, in evaluation mode.

    `needs_all`: the last layer's rows of all tokens, not of the class token alone.
    """
    layers = _attention_layers(module)
    with _in_eval_mode(module), _recording(layers):
        for index, layer in enumerate(layers):
            layer.recorder = lambda weights, index=index: take(index, weights)
            layer.records_all = needs_all
        try:
            yield
        finally:
            for layer in layers:
                layer.records_all = False


@contextmanager
def _recording(layers):
    """Refuse layers that are recorded already, and take their recorders away in the end."""
    if any(layer.recorder is not None for layer in layers):
        raise RuntimeError("This network's attention is being recorded already.")
    try:
        yield
    finally:
        for layer in layers:
            layer.recorder = None


@contextmanager
def _in_eval_mode(module):
    """Put a module into evaluation mode inside a with block."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _shares(values, dims):
    """Divide values by their sum over some axes; where all are 0, each has the same share."""
    total = values.sum(dim=dims, keepdim=True)
    n = torch.ones_like(values).sum(dim=dims, keepdim=True)
    return torch.where(total > 0, values / total.clamp_min(torch.finfo(values.dtype).tiny), 1 / n)


def _check_attention(name, attn):
    attn = torch.as_tensor(attn)
    if attn.ndim != 5 or attn.shape[-1] != attn.shape[-2]:
        raise ValueError(
            f"{name} has shape {tuple(attn.shape)}, but has to be (batch, n_layers, n_heads, "
            "n_tokens, n_tokens)."
        )
    return attn


def _fuse(weights, head_fusion, residual, normalize=True):
    """Make one matrix of a layer's heads: (batch, n_heads, n, n) to (batch, n, n)."""
    layer = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}[head_fusion](weights, dim=1)
    if normalize and head_fusion != "mean":  # a mean of rows that sum to 1 sums to 1
        layer = layer / layer.sum(dim=-1, keepdim=True)
    if residual:
        layer = layer / 2
        layer.diagonal(dim1=-2, dim2=-1).add_(0.5)
    return layer
