"""What channels add to what the sources of a trained network contribute, as shares."""

import torch

from skeegformer._validation import rows_by_subject
from skeegformer.nn.transformer import POWER_GAIN
from skeegformer.training._evidence import signals

# What is larger than so many times the median size counts as no larger.
_OUTLYING = 3.0


@torch.no_grad()
def channel_shares(network, data, rows, contributions, subjects=None):
    """Compute the shares of channels in sources, of some epochs: (n_sources, n_chans).

    A share is proportional to the geometric mean of the standard deviation, over epochs, of what
    the channel adds to a contribution (see `skeegformer.attention.SignedAttentionValues`) to first
    order, and its absolute covariance with the contribution, within subjects if these are known.
    Deviations also show channels that add noise, and covariances hardly those that cancel it.
    """
    added = torch.cat([_added(network, signal) for signal in signals(network, data, rows)])
    for own in rows_by_subject(subjects, len(rows)).values():
        # Midhinges: of two classes far apart, the median is in one.
        values, quarter = added[own].sort(dim=0).values, len(own) // 4
        added[own] -= (values[quarter] + values[-1 - quarter]) / 2
    sizes = added.abs()
    sizes[sizes == 0] = torch.nan  # a channel that is silent in most epochs counts in the others
    most = _OUTLYING * sizes.nanmedian(dim=0).values.nan_to_num()
    added = added.clamp(-most, most)
    added -= added.mean(dim=0)
    products = torch.einsum("eihoc,eiho->ihc", added, contributions[..., : added.shape[3]])
    squares = added.square().sum(dim=(0, 3))
    if network.pairs is not None:  # a mirror image of a head sees mirror images of epochs
        pairs = network.pairs.cpu()
        products = products[:1] + products[1:, :, pairs]
        squares = squares[:1] + squares[1:, :, pairs]
    sizes = (squares[0].sqrt() * products[0].abs()).sqrt()
    sizes += torch.finfo(sizes.dtype).tiny  # all the same where none adds anything
    return sizes / sizes.sum(dim=1, keepdim=True)


def _added(network, signal):
    """Compute what channels add: (n_epochs, n_images, n_sources, n_outputs, n_chans)."""
    sources, power = network.gather(signal), network.source_power[:, None]
    weight = network.class_weight - network.class_weight.mean(dim=0)
    images = [weight] if network.pairs is None else [weight, weight[network.swapped]]
    weight = torch.stack(images)
    if network.n_outputs == 2:  # those of the other class are the same, with another sign
        weight = weight[:, :1]
    of_powers, of_means = (weight @ network.windows.T).unbind(dim=2)
    of_powers = of_powers * network.gains[0] * POWER_GAIN / power
    of_means = of_means * network.gains[1] / power.sqrt()
    classes = zip(of_powers.unbind(dim=1), of_means.unbind(dim=1), strict=True)
    added = [network.split(sources * square + linear, signal) for square, linear in classes]
    return torch.stack(added, dim=3).cpu()
