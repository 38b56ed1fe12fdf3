"""The networks: `EEGTransformer`, and that of eeg-transformer."""

from skeegformer.nn.original import OriginalTransformer, tokens_to_channels
from skeegformer.nn.signed_attention import SignedAttention
from skeegformer.nn.transformer import EEGTransformer

__all__ = ["EEGTransformer", "OriginalTransformer", "SignedAttention", "tokens_to_channels"]
