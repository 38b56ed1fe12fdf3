"""The network of eeg-transformer: its tokens, and what its training draws at random.

What it computes is compared with a computation by hand in test_io_checkpoints.py.
"""

import numpy as np
import pytest
import torch

from skeegformer.nn import OriginalTransformer, tokens_to_channels
from skeegformer.nn.original import _shuffle


def _network(**params):
    torch.manual_seed(0)
    options = {"n_chans": 5, "n_outputs": 3, "n_times": 160, "embed_dim": 16, "n_layers": 2}
    return OriginalTransformer(**(options | params))


def _projected(network, x, part=None):
    """Give the samples that are projected, or what reaches another part."""
    seen = []
    hook = (part or network.encoder.in_proj).register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].detach())
    )
    network(x)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("n_time_tokens", [1, 4])
def test_token_order_is_channel_major(n_time_tokens):
    """A change in one segment of one channel changes that token, and no other."""
    network = _network(n_time_tokens=n_time_tokens).eval()
    x = torch.randn(1, 5, 160)
    channel, segment = 3, n_time_tokens - 1
    changed = x.clone()
    length = 160 // n_time_tokens
    changed[0, channel, segment * length : (segment + 1) * length] *= 3
    first = network.encoder.encoder_layers[0]
    difference = _projected(network, x, first) - _projected(network, changed, first)
    difference = difference[0].abs().sum(dim=-1)
    by_channel = tokens_to_channels(difference, 5, n_time_tokens)
    assert by_channel.shape == (5, n_time_tokens)
    assert difference[0] == 0  # the class token
    assert torch.nonzero(by_channel).tolist() == [[channel, segment]]


def test_tokens_to_channels_refuses_other_counts():
    with pytest.raises(ValueError, match="7 tokens.*2 channels with 2 .* make 4, or 5 with"):
        tokens_to_channels(np.zeros(7), 2, 2)


def test_parameters_all_learn():
    network = _network(n_time_tokens=2)
    network(torch.randn(8, 5, 160)).square().sum().backward()
    idle = [name for name, value in network.named_parameters() if not value.grad.abs().sum()]
    assert idle == []


def test_statistics_are_averages_over_batches():
    x = 1e4 + 50 * torch.randn(300, 5, 160)
    network = _network()
    network.learn_statistics(x)
    parts = x[:256].double(), x[256:].double()
    np.testing.assert_allclose(network.mean, np.mean([part.mean() for part in parts]), rtol=1e-5)
    np.testing.assert_allclose(network.std, np.mean([part.std() for part in parts]), rtol=1e-4)
    network.learn_statistics(torch.full((4, 5, 160), 7.0))
    assert (network.mean, network.std) == (7, 1)  # nothing is divided by zero


def test_the_average_epoch_is_what_normalisation_takes_for_zero():
    network = _network(drop_prob=0.0)
    x = 40 + torch.arange(5.0)[:, None] * torch.randn(64, 5, 160)
    network.learn_statistics(x)
    for _ in range(100):
        network(x)
    network.eval()
    torch.testing.assert_close(
        network.average_epoch(), x.mean(dim=(0, 2))[:, None], rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        _projected(network, network.average_epoch().expand(1, 5, 160)),
        torch.zeros(1, network.n_tokens - 1, network.token_length),
        rtol=0.0,
        atol=1e-4,
    )


def test_shuffle_moves_what_it_says():
    features = torch.arange(6 * 4 * 3.0).reshape(6, 4, 3, 1)
    torch.manual_seed(0)
    channels = _shuffle(features, "channels")
    temporal = _shuffle(features, "temporal")
    both = _shuffle(features, "all")
    for original, ch, ti, al in zip(features, channels, temporal, both, strict=True):
        rows = {tuple(row.flatten().tolist()) for row in original}
        assert {tuple(row.flatten().tolist()) for row in ch} == rows  # channels stay whole
        columns = {tuple(column.flatten().tolist()) for column in original.transpose(0, 1)}
        assert {tuple(c.flatten().tolist()) for c in ti.transpose(0, 1)} == columns
        assert sorted(al.flatten().tolist()) == sorted(original.flatten().tolist())
    assert not torch.equal(channels, features)
    assert not torch.equal(temporal, features)
    assert len({tuple(epoch.flatten().tolist()) for epoch in channels - features}) > 1


def test_noise_is_as_strong_as_it_says():
    network = _network(noise=0.5, token_drop_prob=0.0, n_time_tokens=1)
    x = 100 * torch.randn(64, 5, 160)
    network.learn_statistics(x)
    quiet = _network(token_drop_prob=0.0, n_time_tokens=1)
    quiet.learn_statistics(x)
    added = _projected(network, x) - _projected(quiet, x)
    assert added.std() == pytest.approx(0.5, rel=0.02)
    assert added.mean() == pytest.approx(0.0, abs=0.01)


def test_crop():
    """In training any beginning, the same for all channels; in evaluation the first sample."""
    options = {"n_time_tokens": 2, "drop_prob": 0.0, "token_drop_prob": 0.0}
    network = _network(crop=100, **options)
    short = _network(n_times=100, **options)
    short.load_state_dict(network.state_dict())
    assert network.token_length == short.token_length == 50
    x = torch.randn(6, 5, 160)
    for one, part in ((network, x), (short, x[..., :100])):
        one.learn_statistics(part)
    short.mean, short.std = network.mean, network.std
    torch.testing.assert_close(network.eval()(x), short.eval()(x[..., :100]))
    assert not torch.equal(network.train()(x), network(x))
    network.norm = torch.nn.Identity()
    network.learn_statistics(torch.full((1, 5, 160), 0.0))
    ramp = torch.arange(160.0) + 1000 * torch.arange(5)[:, None]
    starts = set()
    for _ in range(500):
        cut = _projected(network, ramp.expand(2, 5, 160)).unflatten(1, (5, 2)).flatten(2)
        starts.add(start := int(cut[0, 0, 0]))
        assert torch.equal(cut, ramp[:, start : start + 100].expand(2, 5, 100))
    assert starts == set(range(60))  # the original leaves the very last one out


def test_token_dropout_keeps_the_mean():
    network = _network(drop_prob=0.0, token_drop_prob=0.4, n_time_tokens=2)
    network.norm.eval()
    x = torch.randn(1, 5, 160)
    dropped = _projected(network, x.expand(4000, 5, 160))
    kept = _projected(network.eval(), x)
    share = (dropped.abs().sum(-1) < 1e-5).float().mean()
    assert abs(share - 0.4) < 0.02
    torch.testing.assert_close(dropped.mean(0), kept[0], rtol=0.1, atol=0.06)


def test_more_tokens_than_it_knows_places():
    with pytest.raises(ValueError, match="there may be 5000 of them"):
        _network(n_chans=2501, n_time_tokens=2)
