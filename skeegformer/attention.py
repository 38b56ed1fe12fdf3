"""Recording the attention of a network, and rollout of what was recorded."""

from contextlib import contextmanager

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_one_of
from skeegformer.nn import Attention

HEAD_FUSIONS = ("mean", "max", "min")
CONVENTIONS = ("abnar-zuidema", "eeg-transformer")


class AttentionRecord:
    """What `record_attention` collects, batch by batch.

    Parameters
    ----------
    n_layers : int
        Number of attention layers of the network.
    reduce : callable or None
        Applied to each batch's weights, of shape (batch, n_layers, n_heads, n_tokens,
        n_tokens).

    Attributes
    ----------
    batches : list of Tensor
        The weights, or what `reduce` made of them, of each completed forward pass.
    """

    def __init__(self, n_layers, reduce=None):
        self.batches = []
        self._n_layers = n_layers
        self._reduce = reduce
        self._layers = []

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
            raise RuntimeError(
                "No attention was recorded: call predict, predict_proba or the module inside the "
                "with block."
            )
        return torch.cat(self.batches)

    def _take(self, layer, weights):
        if layer == 0:
            self._layers = []  # a pass that failed half-way leaves nothing behind
        self._layers.append(weights.detach())
        if len(self._layers) == self._n_layers:
            batch = torch.stack(self._layers, dim=1)
            self._layers = []
            self.batches.append((batch if self._reduce is None else self._reduce(batch)).cpu())


@contextmanager
def record_attention(estimator, reduce=None):
    """Record the attention weights of every forward pass inside a with block.

    Puts the network into evaluation mode and makes its attention layers compute their
    weights explicitly; both end with the block, also on an exception. Outside of it the
    network runs `torch.nn.functional.scaled_dot_product_attention` and never forms them.

    Parameters
    ----------
    estimator : EEGTransformerClassifier, Pipeline or torch.nn.Module
        A fitted classifier, a fitted Pipeline that ends with one, a fitted search over one
        of them, or a network.
    reduce : callable or None, default=None
        Applied to each batch's weights as soon as the pass is complete, so that memory
        holds one batch's weights and the results; for example `attention_rollout`.

    Yields
    ------
    AttentionRecord
        Its ``values()`` are detached, on the CPU, and in the order in which the epochs
        were seen: shape (n_epochs, n_layers, n_heads, n_tokens, n_tokens), rows query and
        columns key, token 0 the class token.

    Raises
    ------
    TypeError
        If there is no network with attention layers in `estimator`.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.
    RuntimeError
        If the network is being recorded already.

    Examples
    --------
    >>> import torch
    >>> from skeegformer import EEGTransformer, record_attention
    >>> network = EEGTransformer(n_chans=3, n_outputs=2, n_times=100)
    >>> with record_attention(network) as attention:
    ...     logits = network(torch.randn(5, 3, 100))
    >>> attention.values().shape
    torch.Size([5, 2, 4, 4, 4])
    """
    module = _find_module(estimator)
    layers = [layer for layer in module.modules() if isinstance(layer, Attention)]
    if not layers:
        raise TypeError(f"{type(module).__name__} has no attention layers to record.")
    if any(layer.recorder is not None for layer in layers):
        raise RuntimeError("This network's attention is being recorded already.")
    record = AttentionRecord(len(layers), reduce)
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        for index, layer in enumerate(layers):
            layer.recorder = lambda weights, index=index: record._take(index, weights)
        yield record
    finally:
        for layer in layers:
            layer.recorder = None
        for part, training in modes.items():
            part.training = training


def attention_rollout(
    attn, head_fusion="mean", residual=True, convention="abnar-zuidema", output="tokens"
):
    """Multiply attention through the layers: how much each token takes from each input token.

    Follows Abnar and Zuidema [1]_: heads are fused, the residual connection enters as half
    an identity, rows are normalised, and layers are multiplied from the first to the last,
    ``A_L ... A_2 A_1``.

    Parameters
    ----------
    attn : Tensor of shape (batch, n_layers, n_heads, n_tokens, n_tokens)
        Attention weights, as `record_attention` gives them.
    head_fusion : {"mean", "max", "min"}, default="mean"
        How heads are fused.
    residual : bool, default=True
        Whether the residual connection is taken into account.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        The second reproduces the numbers of eeg-transformer, for comparison: layers
        multiplied in reverse order (``A_1 A_2 ... A_L``), no residual whatever `residual`
        says, rows not normalised after fusing, and the class row divided by the maximum
        over the whole batch. Its own default was ``head_fusion="max"``.
    output : {"tokens", "class"}, default="tokens"
        Token to token, or only what the class token takes from the other tokens.

    Returns
    -------
    Tensor of shape (batch, n_tokens, n_tokens) or (batch, n_tokens - 1)
        Rows sum to 1 in the token-to-token matrix (not with "eeg-transformer"). The class
        row leaves out what the class token takes from itself.

    References
    ----------
    .. [1] Abnar and Zuidema (2020), Quantifying attention flow in transformers. ACL.
       arXiv:2005.00928

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
    attn = torch.as_tensor(attn)
    if attn.ndim != 5 or attn.shape[-1] != attn.shape[-2]:
        raise ValueError(
            f"attn has shape {tuple(attn.shape)}, but has to be (batch, n_layers, n_heads, "
            "n_tokens, n_tokens)."
        )
    check_one_of("head_fusion", head_fusion, HEAD_FUSIONS)
    check_one_of("convention", convention, CONVENTIONS)
    check_one_of("output", output, ("tokens", "class"))

    original = convention == "eeg-transformer"
    layers = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}[head_fusion](attn, dim=2)
    if not original:
        layers = layers / layers.sum(dim=-1, keepdim=True)
        if residual:
            layers = (layers + torch.eye(layers.shape[-1], device=layers.device)) / 2
    rollout = layers[:, 0]
    for layer in layers[:, 1:].unbind(dim=1):
        rollout = rollout @ layer if original else layer @ rollout
    if output == "tokens":
        return rollout
    row = rollout[:, 0, 1:]
    return row / row.max() if original else row


def _find_module(estimator):
    """Find the network in a search, a Pipeline, a fitted classifier, a skorch net or itself."""
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
