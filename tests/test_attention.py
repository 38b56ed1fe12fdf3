"""Recording attention, and rollout against independent computations."""

import itertools

import networkx
import numpy as np
import pytest
import torch

from skeegformer import EEGTransformer, attention_rollout, record_attention
from skeegformer.attention import RolloutFold, _fuse, _maximum_flow, attention_flow
from skeegformer.nn import Attention


def _weights(batch=3, n_layers=3, n_heads=2, n_tokens=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, n_layers, n_heads, n_tokens, n_tokens)
    return torch.softmax(2 * torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)


def _sum_over_paths(attn, residual):
    """Rollout from its meaning: the weight of every path through the layers, added up."""
    fused = attn.mean(1).numpy()
    n_layers, n_tokens = fused.shape[:2]
    total = np.zeros((n_tokens, n_tokens))
    for path in itertools.product(range(n_tokens), repeat=n_layers + 1):
        weight = 1.0
        for layer in range(n_layers):  # from the input, path[0], up to the output, path[-1]
            source, target = path[layer], path[layer + 1]
            step = fused[layer, target, source]
            weight *= 0.5 * step + 0.5 * (source == target) if residual else step
        total[path[-1], path[0]] += weight
    return total


@pytest.mark.parametrize("residual", [True, False])
def test_rollout_is_the_sum_over_paths(residual):
    attn = _weights()
    rollout = attention_rollout(attn, residual=residual)
    for i in range(len(attn)):
        np.testing.assert_allclose(rollout[i], _sum_over_paths(attn[i], residual), rtol=1e-10)


@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
def test_rollout_rows_sum_to_one(head_fusion):
    rollout = attention_rollout(_weights(), head_fusion=head_fusion)
    np.testing.assert_allclose(rollout.sum(-1), 1.0)
    assert (rollout >= 0).all()


@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
def test_rollout_batched_is_rollout_one_by_one(head_fusion):
    attn = _weights()
    batched = attention_rollout(attn, head_fusion=head_fusion)
    single = [attention_rollout(one[None], head_fusion=head_fusion)[0] for one in attn]
    torch.testing.assert_close(batched, torch.stack(single))


def test_rollout_follows_a_permutation_of_the_tokens():
    attn = _weights()
    order = torch.tensor([0, 3, 1, 2])
    permuted = attn[..., order, :][..., order]
    expected = attention_rollout(attn)[:, order][..., order]
    torch.testing.assert_close(attention_rollout(permuted), expected)


def test_class_row():
    attn = _weights()
    row = attention_rollout(attn, output="class")
    torch.testing.assert_close(row, attention_rollout(attn)[:, 0, 1:])


def test_rollout_of_numpy_weights():
    attn = _weights()
    torch.testing.assert_close(attention_rollout(attn.numpy()), attention_rollout(attn))


def test_convention_of_the_original():
    """Layers in reverse, no residual, no normalisation, divided by the batch's maximum."""
    attn = _weights()
    fused = attn.numpy().max(axis=2)
    expected = np.stack([one[0] @ one[1] @ one[2] for one in fused])
    options = {"head_fusion": "max", "convention": "eeg-transformer"}
    np.testing.assert_allclose(attention_rollout(attn, **options), expected)
    row = expected[:, 0, 1:]
    np.testing.assert_allclose(attention_rollout(attn, output="class", **options), row / row.max())


@pytest.mark.parametrize(
    "params, message",
    [
        ({"head_fusion": "median"}, "head_fusion='median' is not one of 'mean', 'max', 'min'"),
        ({"convention": "mine"}, "convention='mine' is not one of"),
        ({"output": "all"}, "output='all' is not one of 'tokens', 'class'"),
    ],
)
def test_bad_options(params, message):
    with pytest.raises(ValueError, match=message):
        attention_rollout(_weights(), **params)


def test_bad_shape():
    with pytest.raises(ValueError, match=r"shape \(3, 4, 4\), but has to be \(batch, n_layers"):
        attention_rollout(_weights()[:, 0, 0])


def _network(**params):
    """Without votes, and with tokens that know nothing of other channels."""
    torch.manual_seed(0)
    options = {"tokenizer": "spectral", "votes": False, "embed_dim": 16, "n_layers": 3}
    return EEGTransformer(4, 2, 80, 80.0, **options | params)


def test_recording_changes_no_logits_and_gives_softmax_rows():
    network = _network().eval()
    x = torch.randn(6, 4, 80)
    plain = network(x)
    with record_attention(network) as attention:
        recorded = network(x)
    torch.testing.assert_close(plain, recorded)
    weights = attention.values()
    assert weights.shape == (6, 3, 4, 5, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, 3, 4, 5))
    assert not weights.requires_grad


def test_recorded_weights_are_those_of_torchs_attention():
    """nn.MultiheadAttention with the same parameters is the independent reference."""
    torch.manual_seed(0)
    ours = Attention(16, 4, 0.0)
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.in_proj_weight.data = ours.query_key_value.weight.data
    theirs.in_proj_bias.data = ours.query_key_value.bias.data
    theirs.out_proj.weight.data = ours.out.weight.data
    theirs.out_proj.bias.data = ours.out.bias.data
    x = torch.randn(3, 7, 16)
    expected, expected_weights = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(ours(x)[0], expected)
    with record_attention(ours) as attention:
        torch.testing.assert_close(ours(x)[0], expected)
    torch.testing.assert_close(attention.values()[:, 0], expected_weights.detach())


def test_batches_are_kept_apart_and_in_order():
    network = _network().eval()
    x = torch.randn(7, 4, 80)
    with record_attention(network) as attention:
        network(x)
    whole = attention.values()
    with record_attention(network) as attention:
        for batch in x.split(3):
            network(batch)
    assert [len(batch) for batch in attention.batches] == [3, 3, 1]
    torch.testing.assert_close(attention.values(), whole)


def test_reduce_sees_each_batch():
    network = _network().eval()
    x = torch.randn(7, 4, 80)
    with record_attention(network) as attention:
        network(x)
    expected = attention_rollout(attention.values())
    with record_attention(network, reduce=attention_rollout) as attention:
        for batch in x.split(4):
            network(batch)
    torch.testing.assert_close(attention.values(), expected)


@pytest.mark.parametrize("output", ["tokens", "class", "layers"])
@pytest.mark.parametrize(
    "options",
    [{}, {"head_fusion": "max"}, {"residual": False}, {"convention": "eeg-transformer"}],
)
def test_folding_is_rollout_of_the_full_tensor(output, options):
    network = _network().eval()
    x = torch.randn(5, 4, 80)
    with record_attention(network) as attention:
        logits = network(x)
    expected = attention_rollout(attention.values(), output=output, **options)
    with record_attention(network, reduce=RolloutFold(output=output, **options)) as attention:
        torch.testing.assert_close(network(x), logits)
    torch.testing.assert_close(attention.values(), expected)


def test_rows_of_each_layer_are_those_of_shorter_networks():
    attn = _weights()
    layers = attention_rollout(attn, output="layers")
    assert layers.shape == (3, 3, 3)
    for n in range(3):
        expected = attention_rollout(attn[:, : n + 1], output="class")
        torch.testing.assert_close(layers[:, n], expected)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("residual", [True, False])
def test_flow_is_networkx_maximum_flow(n_layers, residual):
    attn = _weights(batch=2, n_layers=n_layers, n_tokens=5)
    flow = attention_flow(attn, residual=residual)
    for epoch in range(2):
        graph = networkx.DiGraph()
        for level in range(n_layers):
            layer = attn[epoch, level].mean(dim=0)
            for query in range(5):
                for key in range(5):
                    weight = layer[query, key].item()
                    if residual:
                        weight = weight / 2 + (query == key) / 2
                    graph.add_edge((level + 1, query), (level, key), capacity=weight)
        for token in range(1, 5):
            value = networkx.maximum_flow_value(graph, (n_layers, 0), (0, token))
            assert flow[epoch, token - 1].item() == pytest.approx(value, abs=1e-7)


def test_flow_of_two_layers_is_that_of_the_general_way():
    attn = _weights(n_layers=2, n_tokens=6)
    layers = torch.stack([_fuse(layer, "mean", True) for layer in attn.unbind(1)], dim=1)
    expected = torch.stack([_maximum_flow(epoch) for epoch in layers])
    torch.testing.assert_close(attention_flow(attn), expected, rtol=0, atol=1e-7)


def test_recording_forces_eval_mode_and_puts_everything_back():
    network = _network(drop_prob=0.5, noise=1.0).train()
    network.blocks[1].eval()
    modes = [part.training for part in network.modules()]
    x = torch.randn(2, 4, 80)
    with record_attention(network):
        torch.testing.assert_close(network(x), network(x))
    assert [part.training for part in network.modules()] == modes
    assert all(block.attention.recorder is None for block in network.blocks)


def test_an_exception_puts_everything_back_and_leaves_no_half_batch():
    network = _network().train()
    x = torch.randn(2, 4, 80)
    hook = network.blocks[1].register_forward_hook(_break)
    with pytest.raises(RuntimeError, match="broken"):
        with record_attention(network) as record:
            network(x)
    assert record.batches == []
    assert network.training
    assert all(block.attention.recorder is None for block in network.blocks)
    hook.remove()
    with record_attention(network) as record:
        with pytest.raises(ValueError, match="shape"):
            network(x[:, :2])
        network(x)
    assert record.values().shape[0] == 2


def _break(module, inputs, output):
    raise RuntimeError("broken")


def test_recording_twice_is_refused():
    network = _network()
    with record_attention(network), pytest.raises(RuntimeError, match="being recorded already"):
        with record_attention(network):
            pass
    with record_attention(network):
        pass


def test_nothing_recorded():
    with record_attention(_network()) as attention:
        pass
    with pytest.raises(RuntimeError, match="No attention was recorded"):
        attention.values()


@pytest.mark.parametrize("thing", [object(), torch.nn.Linear(2, 2)])
def test_what_has_no_attention(thing):
    with pytest.raises(TypeError, match="no network|no attention layers"), record_attention(thing):
        pass


def test_rollout_follows_a_permutation_of_the_channels():
    """Channels and positions permuted together: the same explanation, permuted."""
    network, permuted = _network().eval(), _network().eval()
    order = [2, 0, 3, 1]
    permuted.positions.data = network.positions.data[order]
    x = torch.randn(3, 4, 80)
    rows = []
    for model, data in ((network, x), (permuted, x[:, order])):
        with record_attention(model) as attention:
            model(data)
        rows.append(attention_rollout(attention.values(), output="class"))
    torch.testing.assert_close(rows[0][:, order], rows[1])
