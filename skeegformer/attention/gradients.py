"""Gradient rollout of an `OriginalTransformer`: attention, weighted by its gradient."""

import torch

from skeegformer.attention._layers import check_attention, listening


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
    attn = check_attention("attn", attn)
    gradients = check_attention("gradients", gradients)
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

    with torch.enable_grad(), listening(network, take):
        logits = network(x)
        gradients = torch.autograd.grad(score(logits).sum(), layers)
    weights = torch.stack(layers, dim=1).detach()
    return weights, torch.stack(gradients, dim=1), logits.detach()
