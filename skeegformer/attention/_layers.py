"""Listening to the attention layers of a network."""

from contextlib import contextmanager

import torch

from skeegformer.nn import EEGTransformer
from skeegformer.nn.original import Attention


def attention_layers(network):
    """List modules with a recorder: an `EEGTransformer` itself, or the attention of each block."""
    if isinstance(network, EEGTransformer):
        return [network]
    layers = [layer for layer in network.modules() if isinstance(layer, Attention)]
    if not layers:
        raise TypeError(f"{type(network).__name__} has no attention layers to record.")
    return layers


@contextmanager
def listening(network, take):
    """Hand what every layer computes to ``take(layer, *what)``, in evaluation mode."""
    layers = attention_layers(network)
    if any(layer.recorder is not None for layer in layers):
        raise RuntimeError("This network's attention is being recorded already.")
    modes = {part: part.training for part in network.modules()}
    try:
        network.eval()
        for index, layer in enumerate(layers):
            layer.recorder = lambda *what, index=index: take(index, *what)
        yield
    finally:
        for layer in layers:
            layer.recorder = None
        for part, training in modes.items():
            part.training = training


def check_attention(name, attn):
    """Check the shape of attention weights, or of their gradients."""
    attn = torch.as_tensor(attn)
    if attn.ndim != 5 or attn.shape[-1] != attn.shape[-2]:
        raise ValueError(
            f"{name} has shape {tuple(attn.shape)}, but has to be (batch, n_layers, n_heads, "
            "n_tokens, n_tokens)."
        )
    return attn
