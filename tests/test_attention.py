"""Recording attention, and rollout against independent computations."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from test_nn import PAIRS, SWAPPED, _network, _noise

from skeegformer import (
    BandPassFilter,
    EEGTransformerClassifier,
    attention_rollout,
    record_attention,
)
from skeegformer.attention import SignedAttentionValues
from skeegformer.nn import OriginalTransformer
from skeegformer.nn.original import _Attention
from skeegformer.training._shares import channel_shares


def _signed(pairs=None, **params):
    """Make a network that knows what is usual, too."""
    network = _network(pairs=pairs, swapped=pairs and SWAPPED, **params)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.usual_tokens.normal_(generator=generator)
        network.channel_shares.uniform_(0.1, 2.0, generator=generator)
        network.channel_shares /= network.channel_shares.sum(dim=1, keepdim=True)
    return network


def _record(network, x):
    with record_attention(network) as attention, torch.no_grad():
        network(x)
    return attention.values()


def _original(**params):
    torch.manual_seed(0)
    options = {"n_time_tokens": 1, "embed_dim": 16, "n_layers": 3, "n_heads": 4}
    return OriginalTransformer(4, 2, 80, **options | params)


@pytest.fixture(params=["signed", "mirrored", "original"])
def recorded(request):
    """Make a network with dropout, in training mode and partly not, and epochs."""
    if request.param == "original":
        network, x = _original(drop_prob=0.5, noise=1.0).train(), _noise(7, 4, 80)
        network.encoder.encoder_layers[1].eval()
    else:
        pairs = PAIRS if request.param == "mirrored" else None
        network, x = _signed(pairs=pairs, drop_prob=0.5).train(), 2 + 3 * _noise(7, 5, 160)
        network.drop.eval()
    return network, x


def _parts(values):
    return vars(values) if isinstance(values, SignedAttentionValues) else {"weights": values}


def _recorders(network):
    return [part.recorder for part in network.modules() if hasattr(part, "recorder")]


def test_recording_changes_no_logits_and_puts_everything_back(recorded):
    network, x = recorded
    modes = [part.training for part in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with record_attention(network) as attention:
        logits = network(x)
        assert torch.equal(logits, network(x))
        assert logits.requires_grad  # it can still be differentiated
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == modes
    assert set(_recorders(network)) == {None}
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not any(value.requires_grad for value in _parts(attention.values()).values())
    torch.testing.assert_close(network.eval()(x), logits)


def test_batches_are_kept_in_order(recorded):
    network, x = recorded
    whole = _parts(_record(network, x))
    with record_attention(network) as attention:
        for batch in x.split(3):
            network(batch)
    joined = _parts(attention.values())
    for name, value in whole.items():
        torch.testing.assert_close(joined[name], value)
    one = _parts(_record(network, x[4:5]))
    name = "tokens" if "tokens" in whole else "weights"
    assert len(whole[name]) == 7
    torch.testing.assert_close(joined[name][4:5], one[name])


def _break(*_):
    raise RuntimeError("broken")


def test_an_exception_puts_everything_back_and_leaves_no_half_batch(recorded):
    network, x = recorded
    hook = None
    if isinstance(network, OriginalTransformer):
        hook = network.encoder.encoder_layers[1].register_forward_hook(_break)
    with pytest.raises(RuntimeError, match="broken"):
        with record_attention(network) as record:
            network(x)
            _break()
    assert network.training
    assert set(_recorders(network)) == {None}
    if hook is not None:
        with pytest.raises(RuntimeError, match="No attention was recorded"):
            record.values()
        hook.remove()
    with record_attention(network) as record:
        with pytest.raises(RuntimeError, match="being recorded already"):
            with record_attention(network):
                pass
        with pytest.raises(ValueError, match="shape"):
            network(x[:, :2])
        network(x)
    assert len(_parts(record.values()).get("tokens", x)) == 7


@pytest.fixture(params=[None, PAIRS], ids=["plain", "mirrored"])
def signed(request):
    """Make a network, with mirror images or without, and epochs."""
    return _signed(pairs=request.param), 2 + 3 * _noise(7, 5, 160)


def test_logits_follow_from_what_is_recorded(signed):
    """By one sum over images, sources and windows, of which nothing is left out."""
    network, x = signed
    values = _record(network, x)
    expected = network(x).detach()
    by_hand = np.zeros((7, 3)) + values.class_bias.numpy()
    for image, source in itertools.product(range(values.tokens.shape[1]), range(6)):
        tokens = values.tokens[:, image, :, source].flatten(1).double().numpy()
        by_hand += tokens @ values.class_weight[image, :, :, source].flatten(1).double().numpy().T
    np.testing.assert_allclose(by_hand, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(by_hand, axis=0).min() > 1


@pytest.mark.parametrize("channel", [0, 2, 4])
def test_a_channel_without_attention_is_a_silent_one(signed, channel):
    """Zero in its column of the recorded attention, and all else computed again from there."""
    network, x = signed
    values = _record(network, x)
    attention = values.signed.clone()
    attention[..., channel] = 0
    kernels = torch.einsum("ihfc,hft->ihct", attention, network.temporal.detach())
    signal = network.prepare(x)
    sources = torch.nn.functional.conv1d(signal, kernels.flatten(0, 1), padding="same")
    tokens = network.tokens(sources.unflatten(1, (-1, 6)))
    masked = torch.einsum("eikhw,iokhw->eo", tokens, values.class_weight) + values.class_bias
    silent = x.clone()
    silent[:, channel] = network.mean[channel]
    torch.testing.assert_close(masked, network(silent).detach(), rtol=1e-4, atol=1e-4)
    assert (masked - values.logits).abs().max() > 0.1
    torch.testing.assert_close(values.signed[0], network.attention().detach())


def test_rollout_of_signed_attention_is_what_it_says(signed):
    """Shares of the sources times shares of the channels, number by number."""
    network, x = signed
    values = _record(network, x)
    rollout = attention_rollout(values)
    assert rollout.shape == (7, 5)
    assert rollout.min() >= 0
    np.testing.assert_allclose(rollout.sum(dim=1), 1.0, rtol=1e-5)
    weights = network.class_weight.detach().double().numpy()
    orders = [[0, 1, 2]] if network.pairs is None else [[0, 1, 2], SWAPPED]
    expected, tokens = np.zeros((7, 5)), (values.tokens - network.usual_tokens).numpy()
    for epoch in range(7):
        parts, shares = [], []
        for image, classes in enumerate(orders):
            for source in range(6):
                unusual = tokens[epoch, image, :, source]
                said = np.array([(unusual * weights[one, :, source]).sum() for one in classes])
                parts.append(said - said.mean())
                of_channels = network.channel_shares[source].double().numpy()
                shares.append(of_channels[PAIRS] if image else of_channels)
        agreement = np.maximum(np.array(parts) @ np.sum(parts, axis=0), 0)
        expected[epoch] = agreement / agreement.sum() @ np.array(shares)
    np.testing.assert_allclose(rollout, expected, rtol=1e-4)
    assert np.ptp(expected, axis=1).max() > 0.05


def test_contributions_of_sources_add_up_to_what_is_unusual(signed):
    """Apart from what is the same for all classes."""
    network, x = signed
    change = network(x).detach() - network.read_out(network.usual_tokens[None])[0].detach()
    found = _record(network, x).contributions
    expected = change - change.mean(dim=1, keepdim=True)
    torch.testing.assert_close(found.sum(dim=(1, 2)), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.sum(dim=-1), torch.zeros(found.shape[:-1]), atol=1e-4, rtol=0)


def test_within_subjects_epochs_are_compared_with_those_of_the_same_subject(signed):
    network, x = signed
    values = _record(network, x)
    subjects = np.array(["b", "a", "b", "a", "b", "c", "a"])
    within = values.within_subjects(subjects)
    for epoch, subject in enumerate(subjects):
        same = values.tokens[torch.as_tensor(subjects == subject)]
        # A single epoch cannot be compared with itself.
        usual = network.usual_tokens if len(same) == 1 else same.mean(dim=0)
        torch.testing.assert_close(within.usual_tokens[epoch], usual)
    added = within.contributions
    for subject in "ab":
        mean = added[torch.as_tensor(subjects == subject)].mean(dim=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
    torch.testing.assert_close(added[5], values.contributions[5])
    torch.testing.assert_close(within.logits, values.logits)


def test_rollout_of_signed_attention_follows_a_permutation_of_the_channels(signed):
    network, x = signed
    order = [2, 0, 3, 4, 1]
    pairs = network.pairs if network.pairs is None else [0, 4, 3, 2, 1]  # PAIRS in that order
    permuted, state = _signed(pairs=pairs), dict(network.state_dict())
    for name in ("attention.positive", "attention.negative"):
        state[name] = state[name][..., order]
    state |= {name: state[name][order] for name in ("mean", "scale")}
    state["channel_shares"] = state["channel_shares"][:, order]
    if pairs is not None:
        state["pairs"] = torch.tensor(pairs)
    permuted.load_state_dict(state)
    rows = attention_rollout(_record(network, x)), attention_rollout(_record(permuted, x[:, order]))
    torch.testing.assert_close(rows[0][:, order], rows[1])
    torch.testing.assert_close(network(x), permuted(x[:, order]), rtol=1e-4, atol=1e-4)
    if pairs is not None:  # of a mirror image it is the mirror image
        network.usual_tokens[1] = network.usual_tokens[0]  # as many epochs of both sides
        found = attention_rollout(_record(network, x[:, PAIRS]))
        torch.testing.assert_close(found, attention_rollout(_record(network, x))[:, PAIRS])


def test_rollout_of_what_is_usual_is_even_over_sources():
    network = _signed()
    network.usual_tokens.copy_(_record(network, _noise(3, 5, 160)).tokens[1])
    usual = _record(network, _noise(3, 5, 160))
    torch.testing.assert_close(usual.source_shares[1], torch.full((1, 6), 1 / 6))
    np.testing.assert_allclose(attention_rollout(usual).sum(dim=1), 1.0, rtol=1e-5)


def test_a_channel_that_no_head_attends_to_has_no_share():
    network, x = _signed(), _noise(9, 5, 160)
    network.attention.positive.data[..., 3] = network.attention.negative.data[..., 3] = -30.0
    said = _record(network, x).contributions
    network.channel_shares.copy_(channel_shares(network, x, np.arange(9), said))
    rollout = attention_rollout(_record(network, x))
    assert rollout[:, 3].max() < 1e-6
    assert rollout[:, [0, 1, 2, 4]].min() > 0.01


def test_attention_of_a_classifier_a_pipeline_and_a_search():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3, 160)), np.tile([0, 1], 10)
    classifier = EEGTransformerClassifier(n_groups=1, n_heads=2, max_epochs=1, random_state=0)
    pipeline = make_pipeline(BandPassFilter(None, 30.0, sfreq=80.0), clone(classifier))
    search = GridSearchCV(pipeline, {"eegtransformerclassifier__n_filters": [1]}, cv=2)
    for estimator in (classifier, pipeline, search):
        logits = estimator.fit(X, y).decision_function(X)
        with record_attention(estimator) as attention:
            np.testing.assert_array_equal(estimator.decision_function(X), logits)
        recorded = attention.values().logits
        np.testing.assert_allclose(recorded[:, 1] - recorded[:, 0], logits, atol=1e-5)
    with record_attention(classifier.net_) as attention:
        classifier.predict(X)
    rollout = attention_rollout(attention.values())
    np.testing.assert_allclose(
        rollout.mean(dim=0), classifier.feature_importances_, rtol=1e-4, atol=1e-5
    )


def _weights(batch=3, n_layers=3, n_heads=2, n_tokens=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, n_layers, n_heads, n_tokens, n_tokens)
    return torch.softmax(2 * torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)


def _sum_over_paths(fused):
    """Rollout from its meaning: the weight of every path through the layers, added up."""
    n_layers, n_tokens = fused.shape[:2]
    total = np.zeros((n_tokens, n_tokens))
    for path in itertools.product(range(n_tokens), repeat=n_layers + 1):
        weight = 1.0
        for layer in range(n_layers):  # from the input, path[0], up to the output, path[-1]
            source, target = path[layer], path[layer + 1]
            step = fused[layer, target, source]
            weight *= 0.5 * step + 0.5 * (source == target)
        total[path[-1], path[0]] += weight
    return total


@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
def test_rollout_is_the_sum_over_paths(head_fusion):
    attn = _weights()
    rollout = attention_rollout(attn.numpy(), head_fusion)
    fused = getattr(np, head_fusion)(attn.numpy(), axis=2)
    fused /= fused.sum(axis=-1, keepdims=True)
    expected = [_sum_over_paths(one) for one in fused]
    np.testing.assert_allclose(rollout, expected, rtol=1e-10)
    row = attention_rollout(attn, head_fusion, output="class")
    torch.testing.assert_close(row, rollout[:, 0, 1:])


def test_convention_of_the_original():
    """Layers in reverse, no residual, no normalisation, divided by the batch's maximum."""
    attn = _weights()
    fused = attn.numpy().max(axis=2)
    expected = np.stack([one[0] @ one[1] @ one[2] for one in fused])
    options = {"head_fusion": "max", "convention": "eeg-transformer"}
    np.testing.assert_allclose(attention_rollout(attn, **options), expected)
    row = expected[:, 0, 1:]
    np.testing.assert_allclose(attention_rollout(attn, output="class", **options), row / row.max())


def test_recorded_weights_are_those_of_torchs_attention():
    """nn.MultiheadAttention with the same parameters is the independent reference."""
    torch.manual_seed(0)
    ours = _Attention(16, 4, 0.0)
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    state = {"in_proj_weight": ours.qkv.weight, "in_proj_bias": ours.qkv.bias}
    state |= {f"out_proj.{name}": value for name, value in ours.out.state_dict().items()}
    theirs.load_state_dict(state)
    x = torch.randn(3, 7, 16)
    expected, expected_weights = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(ours(x), expected)
    torch.testing.assert_close(ours(x, n_queries=2), expected[:, :2])
    with record_attention(ours) as attention:
        torch.testing.assert_close(ours(x), expected)
    torch.testing.assert_close(attention.values()[:, 0], expected_weights.detach())
