"""Our network: every step of it computed again in NumPy, and what must not change its logits."""

import inspect
import re

import numpy as np
import pytest
import torch
from scipy.signal import firwin
from scipy.special import softmax

from skeegformer import EEGTransformerClassifier
from skeegformer.nn import EEGTransformer
from skeegformer.training._shares import channel_shares

PAIRS = [1, 0, 2, 4, 3]  # two pairs, and a channel on the midline
SWAPPED = [1, 0, 2]


def _network(n_times=160, sfreq=80.0, *, n_chans=5, n_outputs=3, drifts=False, seed=0, **params):
    """Make a network whose attention, biases and statistics are no longer as at the start."""
    options = {"n_groups": 2, "n_heads": 3, "n_filters": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EEGTransformer(n_chans, n_outputs, n_times, sfreq, **(options | params))
        with torch.no_grad():
            for weight in network.attention.parameters():
                weight.normal_(std=0.4)
            network.class_weight.normal_()
            network.class_bias.normal_()
            network.source_power.uniform_(0.5, 2.0)
            network.gains.uniform_(0.5, 2.0)
            mean, std = 3 * torch.randn(n_chans), 0.5 + torch.rand(n_chans)
            if network.pairs is not None:  # as the classifier does
                mean, std = ((one + one[network.pairs]) / 2 for one in (mean, std))
            network.learn_statistics(mean, std, 2 * std if drifts else None)
    return network.eval()


def _double(network):
    return network.double().requires_grad_(False)


def _noise(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _attention_by_hand(network):
    positive, negative = (
        softmax(np.concatenate([3 * one.numpy(), np.zeros((*one.shape[:2], 1))], axis=2), axis=2)
        for one in (network.attention.positive, network.attention.negative)
    )
    return (positive - negative)[..., :-1]


def _signal_by_hand(network, x, sfreq):
    """Centre, scale, filter and keep every so many samples; gives the new rate too."""
    n_times = x.shape[-1]
    mean = x.mean(axis=-1, keepdims=True) if network.drifts else network.mean.numpy()
    x = (x - mean) * network.scale.numpy()
    step = max(1, int(sfreq // 80))
    if step > 1:
        low_pass = firwin(8 * step + 1, 0.9 * sfreq / step / 2, fs=sfreq)
        middle = slice(4 * step, 4 * step + n_times)
        x = np.apply_along_axis(lambda one: np.convolve(one, low_pass)[middle], -1, x)
    return x[..., ::step], sfreq / step


def _filtered_by_hand(signal, filters):
    """Correlate (..., n_filters, n_samples) with (..., n_filters, n_taps), silent at both ends."""
    half = filters.shape[-1] // 2
    padded = np.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(half, half)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, filters.shape[-1], axis=-1)
    return np.einsum("...ftk,...fk->...ft", windows, filters)


def _sources_by_hand(network, signal):
    """Let each filter of each head add the channels up, and only then filter in time."""
    images = [signal] if network.pairs is None else [signal, signal[:, network.pairs.numpy()]]
    attention, filters = _attention_by_hand(network), network.temporal.numpy()
    sources = []
    for image in images:
        spatial = np.einsum("hfc,ect->ehft", attention, image)
        sources.append(_filtered_by_hand(spatial, filters).sum(axis=2))
    return np.stack(sources, axis=1)


def _tokens_by_hand(network, sources, rate):
    """Log powers and means in windows of 0.3 s every 0.0625 s."""
    n_samples = sources.shape[-1]
    length = max(1, min(round(0.3 * rate), n_samples // 4))
    hop = min(max(1, round(0.0625 * rate)), length)
    power, gains = network.source_power.numpy(), network.gains.numpy()[:, None]
    tokens = []
    for start in range(0, n_samples - length + 1, hop):
        window = sources[..., start : start + length]
        powers = 0.3 * np.log(np.maximum((window**2).mean(axis=-1) / power, 1e-6))
        kinds = [powers, window.mean(axis=-1) / np.sqrt(power)]
        tokens.append(np.stack(kinds, axis=2) * gains)
    return np.stack(tokens, axis=-1)


def _logits_by_hand(network, tokens):
    """Weigh the tokens of each image, and take the mean of groups and images."""
    images = []
    for image in range(tokens.shape[1]):
        weighted = tokens[:, image, None] * network.class_weight.numpy()
        total = weighted.sum(axis=(2, 3, 4)) + network.class_bias.numpy().sum(axis=1)
        images.append(total / network.n_groups)
    if len(images) == 2:
        images[1] = images[1][:, network.swapped.numpy()]
    return np.mean(images, axis=0)


@pytest.mark.parametrize("pairs", [None, PAIRS])
@pytest.mark.parametrize("drifts", [False, True])
@pytest.mark.parametrize(
    "n_times, sfreq, n_windows",
    [
        (160, 80.0, 28),  # windows of 24 samples every 5
        (160, None, 28),
        (320, 160.0, 28),  # every other sample
        (501, 250.0, 29),  # one of three, at 83.3 Hz
        (200, 100.0, 29),  # windows of 30 samples every 6
        (30, 80.0, 5),  # less than half a second, in windows of a quarter
        (100, 256.0, 6),
        (3, 80.0, 3),
    ],
)
def test_every_step_is_what_it_says(n_times, sfreq, n_windows, drifts, pairs):
    options = {"drifts": drifts, "pairs": pairs, "swapped": pairs and SWAPPED}
    network = _double(_network(n_times, sfreq, **options))
    x = 2 + 3 * _noise(12, 5, n_times, dtype=torch.double)
    signal, rate = _signal_by_hand(network, x.numpy(), sfreq or 80.0)
    assert network.rate == pytest.approx(rate)
    found = network.prepare(x)
    np.testing.assert_allclose(found, signal, rtol=1e-4, atol=1e-6)
    sources = _sources_by_hand(network, signal)
    found = network.gather(found)
    assert sources.std() > 0.01
    np.testing.assert_allclose(found, sources, rtol=1e-4, atol=1e-6)
    tokens = _tokens_by_hand(network, sources, rate)
    assert tokens.shape == (12, 1 if pairs is None else 2, 2, 6, n_windows)
    assert network.n_windows == n_windows
    np.testing.assert_allclose(network.tokens(found), tokens, rtol=1e-3, atol=1e-4)
    expected = _logits_by_hand(network, tokens)
    assert np.ptp(expected, axis=0).min() > 0.1  # or else anything would agree
    np.testing.assert_allclose(network.read_out(torch.from_numpy(tokens)), expected, rtol=1e-6)
    np.testing.assert_allclose(network(x), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(network(x[2]), expected[2], rtol=1e-3, atol=1e-3)
    softmaxes = network.attention.softmaxes()  # a part of each is the empty token's
    np.testing.assert_allclose(softmaxes[0] - softmaxes[1], _attention_by_hand(network), atol=1e-6)
    assert (softmaxes.sum(dim=-1) < 1).all()


def test_defaults_are_those_of_the_classifier():
    defaults = inspect.signature(EEGTransformer).parameters
    params = EEGTransformerClassifier().get_params()
    for name in ("n_groups", "n_heads", "n_filters", "drop_prob"):
        assert defaults[name].default == params[name]
    assert EEGTransformer(5, 3, 160).rate == 80.0


def test_temporal_filters_begin_as_strong_as_a_convolution():
    """Those of torch are the reference; and the attention begins as hardly anything."""
    network = EEGTransformer(8, 2, 160, n_groups=1, n_heads=200).requires_grad_(False)
    strength = network.temporal.square().sum(dim=(1, 2))
    torch.testing.assert_close(strength, strength[0].expand(200))
    convolution = torch.nn.Conv1d(4, 200, network.temporal.shape[-1]).requires_grad_(False)
    assert float(strength[0]) == pytest.approx(
        float(convolution.weight.square().sum(dim=(1, 2)).mean()), rel=0.1
    )
    assert network.attention().abs().max() < 0.2
    assert network.attention().abs().min() > 0


@pytest.mark.parametrize("shape", [(2, 6, 160), (2, 5, 161), (1, 2, 5, 160), (160,)])
def test_bad_shape(shape):
    text = re.escape(f"x has shape {shape}, but this network takes (batch, 5, 160) or (5, 160)")
    with pytest.raises(ValueError, match=text):
        _network()(torch.randn(shape))


@pytest.mark.parametrize("n_times", [1, 2, 3, 4, 5, 20, 160])
@pytest.mark.parametrize("sfreq", [None, 160.0, 1000.0])
@pytest.mark.parametrize("n_chans", [1, 5])
def test_short_and_flat_epochs(n_times, sfreq, n_chans):
    network = _network(n_times, sfreq, n_chans=n_chans)
    x = 3 * _noise(6, n_chans, n_times)
    for epochs in (x, torch.full_like(x, 7.0)):
        logits = network.eval()(epochs)
        assert logits.isfinite().all()
        assert (np.ptp(logits.detach().numpy(), axis=0).min() > 1e-3) == (epochs is x)
        network.zero_grad()
        network.train()(epochs).square().sum().backward()
        for parameter in network.parameters():
            assert parameter.grad.isfinite().all()
            assert parameter.grad.any() or epochs is not x
    network.learn_powers([x])
    shares = channel_shares(network, x, np.arange(6), _noise(6, 1, network.n_sources, 3))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(network.n_sources))


@pytest.mark.parametrize("sfreq", [160.0, 250.0, 512.0])
def test_fast_signals_are_brought_down_without_aliases(sfreq):
    """What EEG has stays where it is in time; what is too fast for the new rate goes."""
    network = EEGTransformer(1, 2, int(4 * sfreq), sfreq)
    assert 80 <= network.rate < 160
    times = np.arange(int(4 * sfreq)) / sfreq
    for frequency in (4.0, 10.0, 20.0):
        tone = np.sin(2 * np.pi * frequency * times + 1)
        signal = network.prepare(torch.from_numpy(tone).float()[None, None])[0, 0].numpy()
        assert len(signal) == -(-len(tone) // network.decimation)
        kept = np.sin(2 * np.pi * frequency * np.arange(len(signal)) / network.rate + 1)
        np.testing.assert_allclose(signal[10:-10], kept[10:-10], atol=0.03)
    for frequency in (network.rate - 20, network.rate):
        tone = np.sin(2 * np.pi * frequency * times + 1)
        signal = network.prepare(torch.from_numpy(tone).float()[None, None])[0, 0].numpy()
        assert np.abs(signal[10:-10]).max() < 0.01


def test_statistics():
    """One number for all channels; what is too loud is brought down, what is flat is nothing."""
    network = EEGTransformer(6, 2, 160)
    std = torch.tensor([1.0, 2.0, 3.0, 100.0, 0.0, 4.0])
    network.learn_statistics(torch.arange(6.0), std)
    # Of the five that vary, the middle one has 3; 4 is less than twice that.
    np.testing.assert_allclose(network.scale[:, 0], [1 / 3, 1 / 3, 1 / 3, 1 / 50, 0, 1 / 3])
    np.testing.assert_array_equal(network.mean[:, 0], np.arange(6))
    isolation = torch.tensor([1.0, 5.0, 1.0, 5.0, 1.0, 1.0])  # 2 * 5 is more than twice 3
    network.learn_statistics(torch.zeros(6), std, isolation=isolation)
    np.testing.assert_allclose(network.scale[:, 0], [1 / 3, 1 / 5, 1 / 3, 1 / 250, 0, 1 / 3])
    network.learn_statistics(torch.zeros(6), torch.tensor([1.0, 1e-10, 1.0, 1.0, 1.0, 1.0]))
    assert network.scale[:, 0].tolist() == [1, 0, 1, 1, 1, 1]  # 1e-10 is what a filter rounds to


@pytest.mark.parametrize("n_samples", [3, 160])
def test_splitting_weighs_what_each_channel_adds(n_samples):
    """Against a convolution of each channel, and the sources that they add up to."""
    network = _double(_network(n_samples, pairs=PAIRS, swapped=SWAPPED))
    signal = _noise(4, 5, n_samples, dtype=torch.double)
    weights = _noise(4, 2, 6, n_samples, seed=2, dtype=torch.double)
    found = network.split(weights, signal)
    assert found.shape == (4, 2, 6, 5)
    attention = _attention_by_hand(network)
    for image, order in enumerate((range(5), PAIRS)):
        kernels = np.einsum("hfc,hft->hct", attention[..., list(order)], network.temporal.numpy())
        added = _filtered_by_hand(signal.numpy()[:, None], kernels)
        expected = np.einsum("ehct,eht->ehc", added, weights[:, image].numpy())
        np.testing.assert_allclose(found[:, image], expected, rtol=1e-6, atol=1e-9)
    total = (weights * network.gather(signal)).sum(dim=-1)
    torch.testing.assert_close(found.sum(dim=-1), total)


def test_in_training_there_are_no_mirror_images():
    network = _network(drop_prob=0.0, pairs=PAIRS, swapped=SWAPPED).train()
    without = _network(drop_prob=0.0).train()
    state = network.state_dict()
    del state["usual_tokens"]  # there are those of an image, too
    without.load_state_dict(state, strict=False)
    x = _noise(6, 5, 160)
    logits = []
    for one in (network, without):
        torch.manual_seed(0)
        logits.append(one(x))
    assert logits[0].shape == (6, 3, 2)
    assert torch.equal(*logits)


def test_each_group_decides_by_itself_in_training_and_their_mean_in_prediction():
    network = _double(_network(n_groups=3, drop_prob=0.0))
    tokens = network.tokens(network.gather(network.prepare(_noise(4, 5, 160, dtype=torch.double))))
    by_group = network.train().read_out(tokens)
    assert by_group.shape == (4, 3, 3)
    for group in range(3):
        heads = slice(3 * group, 3 * group + 3)
        weights = network.class_weight[:, :, heads]
        expected = torch.einsum("ekhw,okhw->eo", tokens[:, 0, :, heads], weights)
        torch.testing.assert_close(by_group[..., group], expected + network.class_bias[:, group])
    torch.testing.assert_close(network.eval().read_out(tokens), by_group.mean(dim=-1))


def test_powers_of_sources_are_learnt_while_training():
    """Their running mean; in training itself what counts is the batch."""
    network = _double(_network(drop_prob=0.0)).train()
    sources = network.gather(network.prepare(_noise(8, 5, 160, dtype=torch.double)))
    before = network.source_power.clone()
    found = network.tokens(sources)
    power = sources[:, 0].square().mean(dim=(0, 2))
    torch.testing.assert_close(network.source_power, 0.9 * before + 0.1 * power)
    network.eval().source_power.copy_(power)
    torch.testing.assert_close(found[:, :, 1], network.tokens(sources)[:, :, 1])


def test_log_powers_are_shifted_in_training_and_means_are_not():
    """By at most 0.2 s, all alike in a batch; what leaves on one side comes in on the other."""
    network = _double(_network(drop_prob=0.0))
    sources = network.gather(network.prepare(_noise(8, 5, 160, dtype=torch.double)))
    network.source_power.copy_(sources[:, 0].square().mean(dim=(0, 2)))
    expected = {s: network.tokens(sources.roll(s, dims=-1)) for s in range(-18, 19)}
    seen = set()
    network.train()
    for _ in range(400):
        found = network.tokens(sources)
        torch.testing.assert_close(found[:, :, 1], expected[0][:, :, 1])
        shifts = [s for s in expected if torch.allclose(found[:, :, 0], expected[s][:, :, 0])]
        assert len(shifts) == 1
        seen.update(shifts)
    assert seen == set(range(-16, 17))


@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_subjects_are_centred_on_their_own_means(pairs):
    """Given by name or as means, and computed here epoch by epoch."""
    network = _double(_network(pairs=pairs, swapped=pairs and SWAPPED))
    x = _noise(7, 5, 160, dtype=torch.double)
    subject = torch.tensor([0, 2, 0, 2, 2, 0, 1])
    x[subject == 2] *= 3
    tokens = network.tokens(network.gather(network.prepare(x))).numpy()
    centred, means = tokens.copy(), {}
    for one in (0, 1, 2):
        means[one] = np.mean([tokens[i, :, 0] for i in np.flatnonzero(subject == one)], axis=0)
        for i in np.flatnonzero(subject == one):
            centred[i, :, 0] -= means[one]
    expected = _logits_by_hand(network, centred)
    np.testing.assert_allclose(network(x, subject), expected, rtol=1e-6)
    of_each = torch.from_numpy(np.stack([means[one] for one in subject.tolist()]))
    np.testing.assert_allclose(network(x, means=of_each), expected, rtol=1e-6)
    for i in range(7):
        known = torch.from_numpy(means[int(subject[i])])
        np.testing.assert_allclose(network(x[i], means=known), expected[i], rtol=1e-6)
        np.testing.assert_allclose(network(x[i : i + 1], means=known)[0], expected[i], rtol=1e-6)
    assert not np.allclose(network(x), expected, atol=0.1)
