"""Attention over channels whose weights have signs."""

import torch
import torch.nn.functional as F
from torch import nn

# Attention starts near zero, so that every head begins as hardly anything, and its logits are
# multiplied, so that they move fast.
START, SPEED = 0.05, 3.0


class SignedAttention(nn.Module):
    r"""Signed attention of heads over channels.

    The weights of a head are the difference of two softmaxes [1]_,

    .. math:: a = \mathrm{softmax}(p) - \mathrm{softmax}(n),

    over the channels and an empty token, so that a head need not attend to any channel. p and n are
    learnt for each filter and channel. The absolute weights sum to at most 2.

    Parameters
    ----------
    n_heads : int
        Number of heads.
    n_filters : int
        Number of spatial filters of each head; each is such a difference.
    n_chans : int
        Number of channels.

    References
    ----------
    .. [1] Ye et al. (2024), Differential transformer. arXiv:2410.05258
    """

    def __init__(self, n_heads, n_filters, n_chans):
        super().__init__()
        self.positive = nn.Parameter(START * torch.randn(n_heads, n_filters, n_chans))
        self.negative = nn.Parameter(START * torch.randn(n_heads, n_filters, n_chans))

    def softmaxes(self):
        """Compute both softmaxes.

        Returns
        -------
        Tensor of shape (2, n_heads, n_filters, n_chans)
            The added and the subtracted weights; each sums to less than 1 over channels, and the
            rest is the weight of the empty token.
        """
        logits = SPEED * torch.stack([self.positive, self.negative])
        return F.pad(logits, (0, 1)).softmax(dim=-1)[..., :-1]

    def forward(self):
        """Compute the weights.

        Returns
        -------
        Tensor of shape (n_heads, n_filters, n_chans)
            The difference between the softmaxes.
        """
        positive, negative = self.softmaxes()
        return positive - negative
