"""What is recorded of an `EEGTransformer`, whose attention has signs."""

from dataclasses import dataclass, replace

import numpy as np
import torch


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

    def connections(self):
        r"""Compute how much the class token takes of two channels from the same sources.

        Returns
        -------
        Tensor of shape (n_epochs, n_chans, n_chans)
            :math:`\sum_h \rho_h \varepsilon_{hc} \varepsilon_{hd}` with the shares of
            `attention_rollout`, whose values are the sums over d.
        """
        shares = self.channel_shares()
        return torch.einsum("eih,eihc,eihd->ecd", self.source_shares(), shares, shares)


def _shares(values, dims):
    """Divide values by their sum over some axes; where all are 0, each has the same share."""
    total = values.sum(dim=dims, keepdim=True)
    n = torch.ones_like(values).sum(dim=dims, keepdim=True)
    return torch.where(total > 0, values / total.clamp_min(torch.finfo(values.dtype).tiny), 1 / n)
