"""Recording the attention of every forward pass inside a with block."""

from contextlib import contextmanager

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skeegformer.attention._layers import attention_layers, listening
from skeegformer.attention.signed import SignedAttentionValues
from skeegformer.nn import EEGTransformer


class AttentionRecord:
    """What `record_attention` collects, batch by batch.

    Parameters
    ----------
    network : EEGTransformer or torch.nn.Module
        The network, in evaluation mode.
    """

    def __init__(self, network):
        self._network = network
        self._amounts, self._tokens = [], []
        self._layers, self._weights = [], []
        self._n_layers = len(attention_layers(network))

    def values(self):
        """Join the batches, in the order in which the epochs were seen.

        Returns
        -------
        SignedAttentionValues or Tensor of shape (n_epochs, n_layers, n_heads, n_tokens, n_tokens)
            See `record_attention`; detached, on the CPU.

        Raises
        ------
        RuntimeError
            If no forward pass was recorded.
        """
        if not (self._tokens or self._weights):
            raise RuntimeError(
                "No attention was recorded: call predict, predict_proba or the module inside the "
                "with block."
            )
        if not self._weights:
            return self._signed_values()
        # A single batch is not copied.
        return self._weights[0] if len(self._weights) == 1 else torch.cat(self._weights)

    def _signed_values(self):
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
    def _take_signed(self, _, what, value):
        if what == "signal":
            what, value = "amounts", self._network.amounts(value)
        (self._amounts if what == "amounts" else self._tokens).append(value.cpu())

    def _take_weights(self, layer, weights):
        if layer == 0:
            self._layers = []  # a pass that failed half-way leaves nothing behind
        self._layers.append(weights.detach().cpu())
        if len(self._layers) == self._n_layers:
            self._weights.append(torch.stack(self._layers, dim=1))


@contextmanager
def record_attention(estimator):
    """Record the attention of every forward pass inside a with block.

    Puts the network into evaluation mode until the block ends, also on an exception; what it
    computes stays the same.

    Parameters
    ----------
    estimator : EEGTransformerClassifier, Pipeline or torch.nn.Module
        A fitted classifier, a fitted Pipeline that ends with one, a fitted search over one
        of them, or a network.

    Yields
    ------
    AttentionRecord
        Its ``values()`` are detached, on the CPU, and in the order in which the epochs
        were seen. Of an `EEGTransformer` they are `SignedAttentionValues`; of an
        `OriginalTransformer` a Tensor of shape (n_epochs, n_layers, n_heads, n_tokens, n_tokens),
        rows query and columns key, token 0 the class token. That takes some megabytes for each
        epoch: record a batch at a time where there are many.

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
    network = find_network(estimator)
    record = AttentionRecord(network)
    is_signed = isinstance(network, EEGTransformer)
    with listening(network, record._take_signed if is_signed else record._take_weights):
        yield record


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
