"""Attention rollout, of what was recorded."""

import torch

from skeegformer._validation import check_one_of
from skeegformer.attention._layers import check_attention
from skeegformer.attention.signed import SignedAttentionValues

HEAD_FUSIONS = ("mean", "max", "min")
CONVENTIONS = ("abnar-zuidema", "eeg-transformer")


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
    output : {"tokens", "class"}, default="tokens"
        Token to token, or only what the class token takes from the other tokens.

    Returns
    -------
    Tensor
        Of shape (batch, n_tokens, n_tokens) or (batch, n_tokens - 1), as `output` says.
        Rows sum to 1 in the token-to-token matrix (not with "eeg-transformer"). The class
        row leaves out what the class token takes from itself. Of an `EEGTransformer` always
        (n_epochs, n_chans); rows sum to 1.

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
    check_one_of("head_fusion", head_fusion, HEAD_FUSIONS)
    check_one_of("convention", convention, CONVENTIONS)
    check_one_of("output", output, ("tokens", "class"))
    layers = _fuse(check_attention("attn", attn), head_fusion)
    is_original = convention == "eeg-transformer"
    if not is_original:
        if head_fusion != "mean":  # a mean of rows that sum to 1 sums to 1
            layers = layers / layers.sum(dim=-1, keepdim=True)
        if residual:
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


def _fuse(attn, head_fusion):
    """Make one matrix of a layer's heads: (batch, n_layers, n, n)."""
    return {"mean": torch.mean, "max": torch.amax, "min": torch.amin}[head_fusion](attn, dim=2)
