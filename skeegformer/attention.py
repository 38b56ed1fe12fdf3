"""Recording of attention, attention rollout and related quantities."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_one_of
from skeegformer.nn import EEGTransformer
from skeegformer.nn._recording import recording
from skeegformer.nn.original import _Attention

HEAD_FUSIONS = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}
CONVENTIONS = ("abnar-zuidema", "eeg-transformer")


@contextmanager
def record_attention(estimator):
    """Record the attention of every forward pass inside a with block.

    The network is in evaluation mode until the block ends; its output does not change.

    Parameters
    ----------
    estimator : EEGTransformerClassifier, Pipeline or torch.nn.Module
        A fitted classifier, a Pipeline that ends with one, a search over either, or a network.

    Yields
    ------
    object
        Its ``values()`` are detached, on the CPU, and in the order in which the epochs were
        processed: `SignedAttentionValues` for an `EEGTransformer`; for an `OriginalTransformer`, a
        Tensor of shape (n_epochs, n_layers, n_heads, n_tokens, n_tokens), with rows for queries,
        columns for keys, and the class token first: several megabytes per epoch.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        If `estimator` contains no network with attention, or is not fitted.
    RuntimeError
        If the network is already being recorded, or ``values()`` is called before a forward pass.

    Examples
    --------
    >>> import torch
    >>> from skeegformer import EEGTransformer, record_attention
    >>> network = EEGTransformer(n_chans=3, n_outputs=2, n_times=100, n_groups=1).eval()
    >>> with record_attention(network) as attention:
    ...     logits = network(torch.randn(5, 3, 100))
    >>> attention.values().signed.shape
    torch.Size([1, 20, 4, 3])
    >>> torch.allclose(attention.values().logits, logits, atol=1e-5)
    True
    """
    network = _find_network(estimator)
    record = _AttentionRecord(network)
    with _listening(network, record.take):
        yield record


class _AttentionRecord:
    """What `record_attention` collects, batch by batch."""

    def __init__(self, network):
        self._network, self._batches, self._layers = network, [], []
        self._n_layers = len(_attention_layers(network))

    def take(self, layer, recorded):
        """Keep what a layer computed, until every one has."""
        if layer == 0:
            self._layers = []  # a pass that failed half-way leaves nothing behind
        self._layers.append(recorded.detach().cpu())
        if len(self._layers) == self._n_layers:
            self._batches.append(torch.stack(self._layers, dim=1))

    def values(self):
        """Join the batches, in the order in which the epochs were seen."""
        if not self._batches:
            raise RuntimeError(
                "No attention was recorded: call predict, predict_proba or the module inside the "
                "with block."
            )
        # A single batch is not copied.
        found = self._batches[0] if len(self._batches) == 1 else torch.cat(self._batches)
        is_signed = isinstance(self._network, EEGTransformer)
        return self._signed_values(found[:, 0]) if is_signed else found

    def _signed_values(self, tokens):
        network = self._network
        images = [(slice(None), slice(None))]
        if network.pairs is not None:
            images.append((network.pairs, network.swapped))
        weight = torch.stack([network.class_weight[classes] for _, classes in images])
        bias = torch.stack([network.class_bias[classes] for _, classes in images])
        softmaxes = network.attention.softmaxes()
        values = SignedAttentionValues(
            *torch.stack([softmaxes[..., channels] for channels, _ in images], dim=1),
            torch.stack([network.channel_shares[:, channels] for channels, _ in images]),
            tokens,
            network.usual_tokens,
            weight / (len(images) * network.n_groups),
            bias.mean(dim=(0, 2)),
        )
        return SignedAttentionValues(*(one.detach().cpu() for one in vars(values).values()))


@dataclass(frozen=True, eq=False)
class SignedAttentionValues:
    """The quantities from which an `EEGTransformer` computes the logits of epochs.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_images, n_sources, n_filters, n_chans)
        Both softmaxes of the attention over channels, for each head and its mirror image, if any.
    channel_shares : Tensor of shape (n_images, n_sources, n_chans)
        Shares of the channels in what each source contributed to the logits of training epochs.
    tokens : Tensor of shape (n_epochs, n_images, 2, n_sources, n_windows)
        Log powers and means of the sources, as the class token attends to them.
    usual_tokens : Tensor of shape (n_images, 2, n_sources, n_windows) or (n_epochs, ...)
        Their averages over the training epochs, or over those of the same subject.
    class_weight : Tensor of shape (n_images, n_outputs, 2, n_sources, n_windows)
        Attention of the class token to the tokens, for each class.
    class_bias : Tensor of shape (n_outputs,)
        Bias of each class.
    """

    positive: torch.Tensor
    negative: torch.Tensor
    channel_shares: torch.Tensor
    tokens: torch.Tensor
    usual_tokens: torch.Tensor
    class_weight: torch.Tensor
    class_bias: torch.Tensor

    @property
    def signed(self):
        """The attention over channels: the difference of both softmaxes."""
        return self.positive - self.negative

    @property
    def logits(self):
        """The logits of the network, from what was recorded: (n_epochs, n_outputs)."""
        weighted = torch.einsum("eikhw,iokhw->eo", self.tokens, self.class_weight)
        return weighted + self.class_bias

    def within_subjects(self, subjects):
        """Compare epochs with the average of their subject, to remove differences between subjects.

        Parameters
        ----------
        subjects : array-like of shape (n_epochs,)
            The subject of each epoch. A subject's only epoch is compared with the training average.

        Returns
        -------
        SignedAttentionValues
            The same values, with `usual_tokens` for each epoch.
        """
        names, whose, counts = np.unique(subjects, return_inverse=True, return_counts=True)
        sums = self.tokens.new_zeros(len(names), *self.tokens.shape[1:], dtype=torch.float64)
        sums.index_add_(0, torch.as_tensor(whose), self.tokens.double())
        counts = torch.as_tensor(counts).view(-1, *[1] * (sums.ndim - 1))
        usual = torch.where(counts > 1, (sums / counts).to(self.tokens.dtype), self.usual_tokens)
        return replace(self, usual_tokens=usual[whose])

    @property
    def contributions(self):
        """Contributions of sources to the logits: (n_epochs, n_images, n_sources, n_outputs)."""
        unusual = self.tokens - self.usual_tokens
        added = torch.einsum("eikhw,iokhw->eiho", unusual, self.class_weight)
        return added - added.mean(dim=-1, keepdim=True)

    @property
    def source_shares(self):
        """Shares of contributions that agree with their sum: (n_epochs, n_images, n_sources)."""
        parts = self.contributions
        agreement = (parts * parts.sum(dim=(1, 2), keepdim=True)).sum(dim=-1)
        agreement = agreement.clamp_min(torch.finfo(agreement.dtype).tiny)  # even where all are 0
        return agreement / agreement.sum(dim=(1, 2), keepdim=True)

    @property
    def connections(self):
        """Shares of pairs of channels through the same sources: (n_epochs, n_chans, n_chans)."""
        shares = self.channel_shares
        return torch.einsum("eih,ihc,ihd->ecd", self.source_shares, shares, shares)


def attention_rollout(attn, head_fusion="mean", convention="abnar-zuidema", output="tokens"):
    r"""Compute attention rollout: how much each token takes from each input token.

    For an `EEGTransformer`, whose weights are signed, attention is measured by what it passes on
    [2]_. The class token takes from source h the share :math:`\rho_h` of the contributions to the
    logits, relative to the average epoch (see `SignedAttentionValues.within_subjects`), that agree
    with their sum. The source takes from channel c the share :math:`\varepsilon_{hc}` of what
    channels added to its contributions in training. The rollout of channel c is
    :math:`\sum_h \rho_h \varepsilon_{hc}`; the other parameters have no effect.

    For an `OriginalTransformer`, it follows Abnar and Zuidema [1]_: heads are fused, the residual
    connection enters as half an identity, rows are normalised, and layers are multiplied in order.

    Parameters
    ----------
    attn : SignedAttentionValues or Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        Recorded attention, from `record_attention`.
    head_fusion : {"mean", "max", "min"}, default="mean"
        How heads are fused.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        "eeg-transformer" reproduces the values of eeg-transformer, whose own default was
        ``head_fusion="max"``: layers in reverse order (``A_1 A_2 ... A_L``), no residual, rows not
        normalised after fusing, and the class row divided by the maximum over the batch.
    output : {"tokens", "class"}, default="tokens"
        All pairs of tokens, or only what the class token takes from the other tokens.

    Returns
    -------
    Tensor
        Shape (batch, n_tokens, n_tokens), with rows that sum to 1 (except with "eeg-transformer"),
        or (batch, n_tokens - 1), without what the class token takes from itself. For an
        `EEGTransformer`, always (n_epochs, n_chans), with rows that sum to 1.

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
    """
    if isinstance(attn, SignedAttentionValues):
        return torch.einsum("eih,ihc->ec", attn.source_shares, attn.channel_shares)
    check_one_of("head_fusion", head_fusion, tuple(HEAD_FUSIONS))
    check_one_of("convention", convention, CONVENTIONS)
    check_one_of("output", output, ("tokens", "class"))
    layers = HEAD_FUSIONS[head_fusion](_check_attention("attn", attn), dim=2)
    is_original = convention == "eeg-transformer"
    if not is_original:
        if head_fusion != "mean":  # a mean of rows that sum to 1 sums to 1
            layers = layers / layers.sum(dim=-1, keepdim=True)
        layers = layers / 2
        layers.diagonal(dim1=-2, dim2=-1).add_(0.5)
        layers = layers.flip(1)
    first, *others = layers.unbind(dim=1)
    # The class token's row of a product follows from its row of the first factor.
    product = first[:, :1] if output == "class" else first
    for layer in others:
        product = product @ layer
    if output == "tokens":
        return product
    row = product[:, 0, 1:]
    return row / row.max() if is_original else row


def gradient_rollout(attn, gradients):
    """Relevance of each token for a class, from attention and its gradient.

    Follows Chefer, Gur and Wolf [1]_: starting from the identity, every layer adds
    ``mean_h((gradient * A)+) R`` to the relevance R of an `OriginalTransformer`.

    Parameters
    ----------
    attn, gradients : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        What `attention_gradients` returns.

    Returns
    -------
    Tensor of shape (batch, n_tokens, n_tokens)
        Non-negative relevance; the first row, without its first entry, is that of the class token.

    References
    ----------
    .. [1] Chefer, Gur and Wolf (2021), Generic attention-model explainability for
       interpreting bi-modal and encoder-decoder transformers. ICCV. arXiv:2103.15679
    """
    attn = _check_attention("attn", attn)
    gradients = _check_attention("gradients", gradients)
    if attn.shape != gradients.shape:
        raise ValueError(
            f"attn has shape {tuple(attn.shape)}, but gradients {tuple(gradients.shape)}; there "
            "has to be a gradient for every weight."
        )
    relevance = torch.eye(attn.shape[-1], dtype=attn.dtype, device=attn.device)
    for layer, gradient in zip(attn.unbind(dim=1), gradients.unbind(dim=1), strict=True):
        relevance = relevance + (gradient * layer).clamp_min(0).mean(dim=1) @ relevance
    return relevance


def attention_gradients(network, x, score):
    """Compute attention weights of an `OriginalTransformer`, and the gradient of a score.

    Parameters
    ----------
    network : OriginalTransformer
        The network; its state is not changed, and dropout is not used.
    x : Tensor of shape (batch, n_chans, n_times)
        Epochs.
    score : callable
        Takes the logits, of shape (batch, n_outputs), and returns a score per epoch.

    Returns
    -------
    weights, gradients : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        The attention, and the gradient of each epoch's score.
    """
    layers = []

    def take(layer, weights):
        if not weights.requires_grad:  # the parameters may be frozen
            weights.requires_grad_()
        layers.append(weights)

    with torch.inference_mode(False), torch.enable_grad(), _listening(network, take):
        gradients = torch.autograd.grad(score(network(x)).sum(), layers)
    return torch.stack(layers, dim=1).detach(), torch.stack(gradients, dim=1)


def _find_network(estimator):
    """Find the network in a search, a Pipeline, a fitted classifier, a skorch net or itself."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    estimator = estimator[-1] if hasattr(estimator, "steps") else estimator
    if isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    module = getattr(estimator, "net_", estimator)
    module = getattr(module, "module_", module)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"There is no network in {type(estimator).__name__}; pass a fitted "
            "EEGTransformerClassifier, a Pipeline that ends with one, or a torch module."
        )
    return module


def _attention_layers(network):
    """List modules with a recorder: an `EEGTransformer` itself, or the attention of each block."""
    if isinstance(network, EEGTransformer):
        return [network]
    layers = [layer for layer in network.modules() if isinstance(layer, _Attention)]
    if not layers:
        raise TypeError(f"{type(network).__name__} has no attention layers to record.")
    return layers


@contextmanager
def _listening(network, take):
    """Hand what every layer computes to ``take(layer, *what)``, in evaluation mode."""
    layers = _attention_layers(network)
    if any(layer.recorder is not None for layer in layers):
        raise RuntimeError("This network's attention is being recorded already.")
    modes = {part: part.training for part in network.modules()}
    try:
        network.eval()
        with recording({layer: partial(take, index) for index, layer in enumerate(layers)}):
            yield
    finally:
        for part, training in modes.items():
            part.training = training


def _check_attention(name, attn):
    try:
        is_masked, attn = np.ma.is_masked(attn), torch.as_tensor(attn)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is no attention, but has to be a tensor: {error}.") from error
    if attn.ndim != 5 or attn.shape[-1] != attn.shape[-2]:
        raise ValueError(
            f"{name} has shape {tuple(attn.shape)}, but has to be (batch, n_layers, n_heads, "
            "n_tokens, n_tokens)."
        )
    if is_masked or not attn.isfinite().all():
        raise ValueError(f"{name} has values that are NaN, infinite or masked.")
    return attn
