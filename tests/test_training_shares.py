"""What channels add to the contributions of sources, against computations by hand."""

import numpy as np
import pytest
import torch
from test_attention import _record, _signed
from test_nn import PAIRS, SWAPPED, _attention_by_hand, _double, _filtered_by_hand, _network, _noise

from skeegformer.training._shares import channel_shares


def _added_by_hand(network, signal, image):
    """Compute what channels add to first order: (epochs, sources, classes, channels)."""
    order, classes = (range(5), [0, 1, 2]) if image == 0 else (PAIRS, SWAPPED)
    kernels = np.einsum(
        "hfc,hft->hct", _attention_by_hand(network)[..., list(order)], network.temporal.numpy()
    )
    added = _filtered_by_hand(signal.numpy()[:, None], kernels)
    sources, total = added.sum(axis=2), 0
    weight = network.class_weight.numpy()[classes]
    weight = weight - weight.mean(axis=0)
    power, gains = network.source_power.numpy()[:, None], network.gains.numpy()
    for window in range(network.n_windows):
        inside = slice(window * network.stride, window * network.stride + network.window)
        x, s = added[..., inside], sources[:, :, None, inside]
        kinds = 0.3 * (x * s).mean(axis=-1) / power, x.mean(axis=-1) / np.sqrt(power)
        for kind in (0, 1):
            by_class = gains[kind] * weight[:, kind, :, window].T[None, :, :, None]
            total = total + by_class * kinds[kind][:, :, None]
    return total


@pytest.mark.parametrize("subjects", [None, [1, 0, 0, 1, 0, 2, 1, 0, 1]])
@pytest.mark.parametrize("n_samples", [5, 160])
@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_channel_shares_are_of_what_channels_add_to_contributions(n_samples, pairs, subjects):
    network = _double(_network(n_samples, pairs=pairs, swapped=pairs and SWAPPED))
    x = _noise(9, 5, n_samples, dtype=torch.double) * torch.arange(1.0, 6.0)[:, None]
    n_images = 1 if pairs is None else 2
    contributions = _noise(9, n_images, 6, 3, seed=2, dtype=torch.double)
    contributions -= contributions.mean(dim=-1, keepdim=True)
    whose, products, squares = np.array(subjects or [0] * 9), 0, 0
    known = whose if subjects else None
    found = channel_shares(network, x, np.arange(9), contributions, known)
    for image in range(n_images):
        added = _added_by_hand(network, network.prepare(x), image)
        for rows in (whose == one for one in set(whose)):
            ordered, quarter = np.sort(added[rows], axis=0), rows.sum() // 4
            added[rows] -= (ordered[quarter] + ordered[::-1][quarter]) / 2
        most = 3 * np.median(np.abs(added), axis=0)
        added = np.clip(added, -most, most)
        added -= added.mean(axis=0)
        order = [range(5), PAIRS][image]
        said = contributions[:, image].numpy()
        products = products + np.einsum("ehkc,ehk->hc", added, said)[:, list(order)]
        squares = squares + (added**2).sum(axis=(0, 2))[:, list(order)]
    sizes = np.sqrt(np.sqrt(squares) * np.abs(products))
    assert sizes.min() > 0
    expected = sizes / sizes.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_of_two_classes_one_says_all():
    """As three outputs would, of which the third is always in the middle of both."""
    two, three = (_double(_network(n_outputs=n)) for n in (2, 3))
    x, said = _noise(9, 5, 160, dtype=torch.double), _noise(9, 1, 6, 1, seed=2, dtype=torch.double)
    weight = _noise(*two.class_weight[0].shape, seed=3, dtype=torch.double)
    two.class_weight.copy_(torch.stack([weight, -weight]))
    weights = {"class_weight": torch.stack([weight, -weight, 0 * weight])}
    three.load_state_dict(two.state_dict() | weights | {"class_bias": torch.zeros(3, 2)})
    rows, found = np.arange(9), []
    for network, signs in ((two, [1, -1]), (three, [1, -1, 0])):
        found.append(channel_shares(network, x, rows, said * torch.tensor(signs)))
    torch.testing.assert_close(*found)
    assert found[0].std(dim=1).min() > 0.01


def test_a_loud_epoch_counts_little_in_channel_shares():
    network, x = _signed(), _noise(60, 5, 160)
    said, rows, found = _record(network, x).contributions, np.arange(60), []
    for factor in (1.0, 1e4, 1e5):
        loud = x.clone()
        loud[4, 2] *= factor
        found.append(channel_shares(network, loud, rows, said))
    torch.testing.assert_close(found[1], found[2], rtol=0.02, atol=1e-4)
    assert (found[1] - found[0]).abs().max() < 0.1
    x[:40, 3] = network.mean[3]  # silent in most epochs
    assert (channel_shares(network, x, rows, said)[:, 3] > 0.2 * found[0][:, 3]).all()
    silent = channel_shares(network, torch.zeros_like(x), rows, said)
    torch.testing.assert_close(silent, torch.full((6, 5), 0.2))
