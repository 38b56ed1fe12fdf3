"""The network."""

import numpy as np
import pytest
import torch
from scipy.signal import welch

from skeegformer._covariance import CovarianceTokenizer
from skeegformer.nn import (
    EEGTransformer,
    SpectralTokenizer,
    Standardizer,
    Votes,
    random_crop,
    shuffle,
    tokens_to_channels,
)


def _embed(network, x):
    return network.embed_features(network.extract_features(x))


def _network(**params):
    """Make a network whose votes, where there are any, are no longer zero."""
    torch.manual_seed(0)
    options = {"n_chans": 5, "n_outputs": 3, "n_times": 160, "sfreq": 160.0, "embed_dim": 16}
    network = EEGTransformer(**(options | params))
    if network.votes is not None:
        torch.nn.init.normal_(network.votes.weight, std=0.05)
    return network


@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
@pytest.mark.parametrize("n_time_tokens", [1, 3])
def test_shapes_with_and_without_batch(tokenizer, n_time_tokens):
    network = _network(tokenizer=tokenizer, n_time_tokens=n_time_tokens).eval()
    x = torch.randn(4, 5, 160)
    assert network(x).shape == (4, 3)
    assert _embed(network, x).shape == (4, 1 + 5 * n_time_tokens, 16)
    torch.testing.assert_close(network(x[2]), network(x)[2])


@pytest.mark.parametrize("tokenizer", ["spectral", "linear"])
@pytest.mark.parametrize("n_time_tokens", [1, 4])
def test_token_order_is_channel_major(tokenizer, n_time_tokens):
    """A change in one segment of one channel changes that token, and no other."""
    network = _network(tokenizer=tokenizer, n_time_tokens=n_time_tokens).eval()
    x = torch.randn(1, 5, 160)
    channel, segment = 3, n_time_tokens - 1
    changed = x.clone()
    length = 160 // n_time_tokens
    changed[0, channel, segment * length : (segment + 1) * length] *= 3
    difference = (_embed(network, x) - _embed(network, changed))[0].abs().sum(dim=-1)
    by_channel = tokens_to_channels(difference, 5, n_time_tokens)
    assert difference[0] == 0  # the class token
    assert torch.nonzero(by_channel).tolist() == [[channel, segment]]


def test_tokens_of_covariance_know_other_channels_of_their_own_segment_alone():
    """Half of a channel's epoch changes: so do all channels' tokens of that half."""
    network = _network(n_time_tokens=2, n_times=320).eval()
    x = torch.randn(1, 5, 320)
    changed = x.clone()
    changed[0, 3, 160:] *= 3
    difference = (_embed(network, x) - _embed(network, changed))[0].abs().sum(dim=-1)
    by_channel = tokens_to_channels(difference, 5, 2)
    assert difference[0] == 0  # the class token
    assert not by_channel[:, 0].any()
    assert (by_channel[:, 1] > 0.1).all()
    assert by_channel[:, 1].argmax() == 3


def test_defaults():
    """Tokens of covariance and votes; the class token alone without them."""
    network = EEGTransformer(5, 3, 160, 160.0)
    assert isinstance(network.tokenizer, CovarianceTokenizer)
    assert isinstance(network.votes, Votes)
    assert not network.votes.weight.any()
    assert len(network.blocks) == 1
    assert network.embed.out_features == 32
    assert {part.p for part in network.modules() if isinstance(part, torch.nn.Dropout)} == {0.5}


def test_tokens_to_channels_refuses_other_counts():
    with pytest.raises(ValueError, match="7 tokens.*2 channels with 2 .* make 4, or 5 with"):
        tokens_to_channels(np.zeros(7), 2, 2)


def test_linear_tokens_are_the_raw_samples():
    network = _network(tokenizer="linear", n_time_tokens=3)
    x = torch.randn(2, 5, 160)
    tokens = network.tokenizer(x)
    assert tokens.shape == (2, 5, 3, 53)  # 159 of 160 samples
    np.testing.assert_array_equal(tokens[1, 4, 2], x[1, 4, 106:159])


def test_spectral_tokens_are_welch_spectra():
    """scipy's Welch estimate is the independent reference."""
    tokenizer = SpectralTokenizer(2, 320, 1, sfreq=160.0)
    x = torch.randn(3, 2, 320, dtype=torch.float64)
    window = np.hanning(130)[1:-1]
    freqs, power = welch(
        x.numpy(), 160.0, window=window, noverlap=64, detrend=False, scaling="spectrum"
    )
    kept = (freqs > 0) & (freqs <= 45)
    expected = np.log(power[..., kept] * window.sum() ** 2 / (window**2).sum() / 2 + 1e-6)
    tokens = tokenizer.double()(x)[:, :, 0]
    np.testing.assert_allclose(tokens[..., :-16], expected, rtol=1e-6, atol=1e-6)
    means = x.numpy().reshape(3, 2, 16, 20).mean(axis=-1)
    np.testing.assert_allclose(tokens[..., -16:], means, rtol=1e-6, atol=1e-6)


def test_spectral_tokens_show_the_rhythm():
    tokenizer = SpectralTokenizer(1, 320, 2, sfreq=160.0)
    times = torch.arange(320) / 160
    x = torch.where(times < 1, torch.sin(2 * torch.pi * 10 * times), 0.0)[None, None]
    first, second = tokenizer(x + 0.01 * torch.randn(1, 1, 320))[0, 0]
    spectrum = first[:-16]
    assert spectrum.argmax() == 10 * 0.8 - 1  # bins of 1.25 Hz, from 1.25 Hz on
    assert spectrum.max() - second[:-16].max() > 3


@pytest.mark.parametrize("n_times", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("sfreq", [None, 160.0])
def test_very_short_epochs(n_times, sfreq):
    network = _network(n_times=n_times, sfreq=sfreq)
    assert torch.isfinite(network(torch.randn(2, 5, n_times))).all()


def test_parameters_all_learn():
    network = _network(n_time_tokens=2)
    network(torch.randn(8, 5, 160)).square().sum().backward()
    idle = [name for name, value in network.named_parameters() if not value.grad.abs().sum()]
    assert idle == []


def test_statistics_do_not_depend_on_batches():
    x = 1e4 + 50 * torch.randn(30, 5, 160)
    whole, parts = _network(), _network()
    whole.learn_statistics(x, batch_size=30)
    parts.learn_statistics(x, batch_size=7)
    for name, value in whole.named_buffers():
        torch.testing.assert_close(value, dict(parts.named_buffers())[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        1 / whole.standardize_input.scale[:, 0], x.numpy().std(axis=(0, 2)), rtol=1e-4
    )


@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
def test_logits_do_not_depend_on_the_unit(tokenizer):
    x = torch.randn(30, 5, 160)
    logits = []
    for unit in (1.0, 1e-6, 1e6):
        network = _network(tokenizer=tokenizer).eval()
        network.learn_statistics(x * unit)
        logits.append(network(x * unit))
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(logits[0], logits[2], rtol=1e-3, atol=1e-4)


def test_constant_input_is_zero():
    standardizer = Standardizer(2)
    standardizer.learn(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    assert standardizer(torch.tensor([1.5, 6.0])).tolist() == [0.0, 1.0]


def test_the_class_token_decides():
    """Without votes it alone is read: without blocks, no channel can change the logits."""
    network = _network(n_layers=0, votes=False).eval()
    torch.testing.assert_close(network(torch.randn(1, 5, 160)), network(torch.randn(1, 5, 160)))
    network = _network(votes=False).eval()
    assert not torch.equal(network(torch.randn(1, 5, 160)), network(torch.randn(1, 5, 160)))


def test_shuffle_moves_what_it_says():
    features = torch.arange(6 * 4 * 3.0).reshape(6, 4, 3, 1)
    torch.manual_seed(0)
    channels = shuffle(features, "channels")
    temporal = shuffle(features, "temporal")
    both = shuffle(features, "all")
    for original, ch, ti, al in zip(features, channels, temporal, both, strict=True):
        rows = {tuple(row.flatten().tolist()) for row in original}
        assert {tuple(row.flatten().tolist()) for row in ch} == rows  # channels stay whole
        columns = {tuple(column.flatten().tolist()) for column in original.transpose(0, 1)}
        assert {tuple(c.flatten().tolist()) for c in ti.transpose(0, 1)} == columns
        assert sorted(al.flatten().tolist()) == sorted(original.flatten().tolist())
    assert not torch.equal(channels, features)
    assert not torch.equal(temporal, features)
    assert len({tuple(epoch.flatten().tolist()) for epoch in channels - features}) > 1


@pytest.mark.parametrize(
    "params", [{"noise": 0.5}, {"token_drop_prob": 0.3}, {"shuffle_tokens": "all"}]
)
def test_augmentation_acts_in_training_only(params):
    network = _network(drop_prob=0.0, **params)
    x = torch.randn(4, 5, 160)
    assert not torch.equal(network(x), network(x))
    network.eval()
    torch.testing.assert_close(network(x), network(x))
    torch.testing.assert_close(network(x), _network(drop_prob=0.0).eval()(x))


@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
def test_crop(tokenizer):
    """In training any beginning, the same for all channels; in evaluation the first sample."""
    options = {"tokenizer": tokenizer, "n_time_tokens": 2, "drop_prob": 0.0}
    network = _network(crop=100, **options)
    short = _network(n_times=100, **options)
    short.load_state_dict(network.state_dict())
    assert network.token_length == short.token_length == 50
    x = torch.randn(6, 5, 160)
    for one, part in ((network, x), (short, x[..., :100])):
        one.learn_statistics(part)
    torch.testing.assert_close(network.eval()(x), short.eval()(x[..., :100]))
    assert not torch.equal(network.train()(x), network(x))
    ramp = torch.arange(160.0).expand(500, 5, 160) + 1000 * torch.arange(5)[:, None]
    cut = random_crop(ramp, 100)
    starts = cut[:, 0, 0]
    assert set(starts.tolist()) == set(range(61))
    expected = starts[:, None, None] + torch.arange(100) + 1000 * torch.arange(5)[:, None]
    assert torch.equal(cut, expected)


def test_token_dropout_keeps_the_mean():
    network = _network(drop_prob=0.0, token_drop_prob=0.4, embed_dim=8)
    x = torch.randn(1, 5, 160).expand(4000, 5, 160)
    dropped = _embed(network, x)[:, 1:] - network.positions
    kept = _embed(network.eval(), x[:1])[:, 1:] - network.positions
    share = (dropped.abs().sum(-1) < 1e-5).float().mean()
    assert abs(share - 0.4) < 0.02
    torch.testing.assert_close(dropped.mean(0), kept[0], rtol=0.1, atol=0.06)


@pytest.mark.parametrize(
    "params, message",
    [
        (
            {"tokenizer": "words"},
            "tokenizer='words' is not one of 'covariance', 'spectral'",
        ),
        ({"shuffle_tokens": True}, "shuffle_tokens=True is not one of 'none', 'channels'"),
        ({"n_heads": 3}, "n_heads=3 does not divide embed_dim=16"),
        ({"n_time_tokens": 200}, "n_time_tokens=200 has to lie between 1 and .*160"),
        ({"n_time_tokens": 60, "crop": 50}, "n_time_tokens=60 has to lie between 1 and .*50"),
        ({"crop": 161}, "crop=161 has to lie between 1 and the number of samples, 160"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        _network(**params)


def test_bad_shape():
    with pytest.raises(ValueError, match=r"shape \(2, 6, 160\), but .* \(batch, 5, 160\)"):
        _network()(torch.randn(2, 6, 160))
