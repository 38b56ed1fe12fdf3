"""Gradient rollout and integrated gradients against independent computations."""

import numpy as np
import pytest
import torch

from skeegformer import AttentionExplainer, EEGTransformer, EEGTransformerClassifier
from skeegformer.attention import attention_gradients, gradient_rollout, log_odds
from skeegformer.explain.gradients import explain_gradient_rollout, integrated_gradients


def _network(n_outputs=3, **params):
    torch.manual_seed(1)
    options = {"tokenizer": "spectral", "votes": False, "embed_dim": 8, "n_layers": 2, "n_heads": 2}
    options |= params
    return EEGTransformer(3, n_outputs, 80, 80.0, **options).double().eval()


def _attend(network, tokens, index, weights=None):
    """One block by hand, with given attention weights or its own: tokens, weights."""
    block = network.blocks[index]
    attention = block.attention
    size, n_heads = tokens.shape[-1], attention.n_heads
    x = torch.nn.functional.layer_norm(
        tokens, (size,), block.norm_attention.weight, block.norm_attention.bias
    )
    projected = x @ attention.query_key_value.weight.T + attention.query_key_value.bias
    q, k, v = projected.split(size, dim=-1)
    heads = []
    found = []
    for h in range(n_heads):
        part = slice(h * size // n_heads, (h + 1) * size // n_heads)
        scores = q[:, part] @ k[:, part].T / (size / n_heads) ** 0.5
        w = torch.softmax(scores, dim=-1) if weights is None else weights[h]
        found.append(w)
        heads.append(w @ v[:, part])
    tokens = tokens + torch.cat(heads, dim=-1) @ attention.out.weight.T + attention.out.bias
    x = torch.nn.functional.layer_norm(
        tokens, (size,), block.norm_feedforward.weight, block.norm_feedforward.bias
    )
    return tokens + block.feedforward(x), torch.stack(found)


def test_gradient_rollout_against_jacobians_by_hand():
    """Chefer's rule from finite differences of the score in every single attention weight."""
    network = _network()
    x = torch.randn(1, 3, 80, dtype=torch.float64)
    code = torch.tensor([2])
    with torch.no_grad():
        start = network.embed_features(network.extract_features(x))[0]
        weights, tokens = [], start
        for index in range(2):
            tokens, found = _attend(network, tokens, index)
            weights.append(found)

        def score(weights_first, weights_last):
            # What is upstream of a layer's weights is not changed by them; what is downstream
            # follows them, with the attention of later layers computed anew.
            tokens, _ = _attend(network, start, 0, weights_first)
            tokens, _ = _attend(network, tokens, 1, weights_last)
            logits = network.head(network.norm(tokens[:1]))
            return log_odds(logits, code)[0]

        gradients, step = [], 1e-6
        for index in range(2):
            gradient = torch.zeros_like(weights[index])
            for where in np.ndindex(*gradient.shape):
                ends = []
                for sign in (1, -1):
                    moved = weights[index].clone()
                    moved[where] += sign * step
                    ends.append(score(moved, None) if index == 0 else score(weights[0], moved))
                gradient[where] = (ends[0] - ends[1]) / (2 * step)
            gradients.append(gradient)

        expected = torch.eye(4, dtype=torch.float64)
        for layer, gradient in zip(weights, gradients, strict=True):
            expected = expected + (gradient * layer).clamp(min=0).mean(dim=0) @ expected

    attn, grads, _ = attention_gradients(network, x, lambda logits: log_odds(logits, code))
    torch.testing.assert_close(attn[0], torch.stack(weights))
    torch.testing.assert_close(grads[0], torch.stack(gradients), rtol=1e-5, atol=1e-8)
    relevance = gradient_rollout(attn, grads)[0]
    torch.testing.assert_close(relevance, expected, rtol=1e-6, atol=1e-9)
    rows, matrices = explain_gradient_rollout(network, x.numpy(), code.numpy())
    np.testing.assert_allclose(rows[0, -1], expected[0, 1:], rtol=1e-6)
    np.testing.assert_allclose(matrices[0], expected, rtol=1e-6)
    first = torch.eye(4).double() + (gradients[0] * weights[0]).clamp(min=0).mean(dim=0)
    np.testing.assert_allclose(rows[0, 0], first[0, 1:], atol=1e-9)


def test_frozen_parameters_and_modes_stay_as_they_are():
    network = _network().train()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(2, 3, 80, dtype=torch.float64)
    with torch.no_grad():
        attention_gradients(network, x, lambda logits: logits[:, 0])
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(block.attention.recorder is None for block in network.blocks)


@pytest.mark.parametrize("n_outputs", [2, 4])
@pytest.mark.parametrize("tokenizer", ["spectral", "linear", "covariance"])
def test_integrated_gradients_are_complete(n_outputs, tokenizer):
    torch.manual_seed(0)
    votes = tokenizer == "covariance"
    network = EEGTransformer(
        5, n_outputs, 160, 160.0, embed_dim=16, tokenizer=tokenizer, votes=votes
    ).eval()
    if votes:
        network.votes.weight.data.normal_(0, 0.05)
    data = np.random.default_rng(0).normal(size=(40, 5, 160)).astype(np.float32)
    network.learn_statistics(torch.from_numpy(data))
    network.head.weight.data *= 20  # as sure of itself as after training
    codes = np.arange(40) % n_outputs
    attributions, errors = integrated_gradients(network, data, codes)
    with torch.no_grad():
        features = network.extract_features(torch.from_numpy(data))
        there = log_odds(network.classify_features(features), torch.as_tensor(codes))
        start = network.classify_features(torch.zeros_like(features))
        change = (there - log_odds(start, torch.as_tensor(codes))).numpy()
    total = attributions.reshape(40, -1).sum(axis=1, dtype=float)
    large = abs(change) > 0.05
    assert large.sum() > 30
    assert (abs(total - change)[large] / abs(change)[large]).max() < 1e-3
    assert errors.max() < 1e-3


def test_integrated_gradients_of_a_linear_model_are_weights_times_features():
    """Without blocks and norms the class token knows no channel; so take the readout linear."""

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(12, 2))

        def extract_features(self, x):
            return x[:, :, None, :]

        def classify_features(self, features):
            return features.flatten(1) @ self.weight

    torch.manual_seed(0)
    model = Linear()
    data = np.random.default_rng(0).normal(size=(6, 3, 4)).astype(np.float32)
    attributions, errors = integrated_gradients(model, data, np.zeros(6, dtype=int))
    slope = (model.weight[:, 0] - model.weight[:, 1]).detach().numpy().reshape(3, 1, 4)
    np.testing.assert_allclose(attributions, data[:, :, None] * slope, rtol=1e-4, atol=1e-5)
    assert errors.max() < 1e-3


def test_log_odds():
    logits = torch.randn(5, 4, dtype=torch.float64)
    codes = torch.tensor([0, 1, 2, 3, 0])
    p = torch.softmax(logits, dim=1)[torch.arange(5), codes]
    torch.testing.assert_close(log_odds(logits, codes), torch.log(p / (1 - p)))


@pytest.fixture(scope="module")
def fitted(simulated):
    X, y, _, _ = simulated
    return EEGTransformerClassifier(embed_dim=16, max_epochs=8, random_state=0).fit(X, y)


def test_bands_and_tokens_of_integrated_gradients_add_up(fitted, simulated):
    X, y, _, _ = simulated
    whole = AttentionExplainer("integrated-gradients").explain(fitted, X[:12], y[:12])
    bands = AttentionExplainer("integrated-gradients", parts="band").explain(fitted, X[:12], y[:12])
    assert bands.parts == ("delta", "theta", "alpha", "beta", "other", "waveform")
    assert bands.part_kind == "band"
    np.testing.assert_allclose(bands.values, whole.values, rtol=1e-6, atol=1e-9)
    assert bands.settings["completeness_error"] < 1e-3
    np.testing.assert_array_equal(whole.targets, whole.predictions)


def test_target_decides_the_sign(fitted, simulated):
    """With two classes, what speaks for one speaks against the other."""
    X, y, _, _ = simulated
    left = AttentionExplainer("integrated-gradients", target="left").explain(fitted, X[:8])
    right = AttentionExplainer("integrated-gradients", target="right").explain(fitted, X[:8])
    np.testing.assert_allclose(left.values, -right.values, rtol=1e-4, atol=1e-6)
    true = AttentionExplainer("integrated-gradients", target="true").explain(fitted, X[:8], y[:8])
    expected = np.where((y[:8] == "left")[:, None], left.values, right.values)
    np.testing.assert_allclose(true.values, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(true.targets, y[:8])


def test_what_gradients_refuse(fitted, simulated):
    X, y, _, _ = simulated
    linear = EEGTransformerClassifier(embed_dim=16, max_epochs=1, tokenizer="linear")
    linear.fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="needs features that have frequencies"):
        AttentionExplainer("integrated-gradients", parts="band").explain(linear, X[:4])
    with pytest.raises(ValueError, match="target='true' needs the true labels"):
        AttentionExplainer("gradient-rollout", target="true").explain(fitted, X[:4])
    with pytest.raises(ValueError, match="target='up' is neither 'predicted' nor 'true'"):
        AttentionExplainer("gradient-rollout", target="up").explain(fitted, X[:4])
    with pytest.raises(ValueError, match="'rollout' cannot tell bands apart"):
        AttentionExplainer("rollout", parts="band").explain(fitted, X[:4])
    with pytest.raises(ValueError, match="gradients .*; there has to be a gradient"):
        gradient_rollout(torch.ones(1, 1, 1, 3, 3), torch.ones(1, 1, 1, 2, 2))
