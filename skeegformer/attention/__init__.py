"""Recording the attention of a network, and what follows from it channel by channel."""

from skeegformer.attention.gradients import attention_gradients, gradient_rollout
from skeegformer.attention.recording import AttentionRecord, find_network, record_attention
from skeegformer.attention.rollout import CONVENTIONS, HEAD_FUSIONS, attention_rollout
from skeegformer.attention.signed import SignedAttentionValues

__all__ = [
    "CONVENTIONS",
    "HEAD_FUSIONS",
    "AttentionRecord",
    "SignedAttentionValues",
    "attention_gradients",
    "attention_rollout",
    "find_network",
    "gradient_rollout",
    "record_attention",
]
