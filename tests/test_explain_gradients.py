"""Gradient rollout and integrated gradients against independent computations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skeegformer import AttentionExplainer, EEGTransformer, EEGTransformerClassifier
from skeegformer.attention import attention_gradients, gradient_rollout
from skeegformer.explain._gradients import integrated_gradients, source_contributions
from skeegformer.explain._model import log_odds
from skeegformer.explain._rollout import explain_gradient_rollout, signed_gradient_rollout
from skeegformer.nn import OriginalTransformer
from skeegformer.nn.transformer import POWER_GAIN

PAIRS, SWAPPED = [1, 0, 2], [1, 0, 2, 3]
LEVEL = torch.tensor([1.0, -2.0, 0.5])


def _original(n_outputs=3, **params):
    torch.manual_seed(1)
    options = {"embed_dim": 8, "n_layers": 2, "n_heads": 2, "n_time_tokens": 1} | params
    network = OriginalTransformer(3, n_outputs, 80, **options).double().eval()
    network.norm.running_mean.normal_()
    return network


def _network(n_outputs=2, n_times=80, mirrored=False, drifts=False, **params):
    """Make a tiny network whose heads attend and whose tokens are about what they usually are."""
    torch.manual_seed(1)
    options = {"n_groups": 2, "n_heads": 2, "n_filters": 2} | params
    if mirrored:
        options |= {"pairs": PAIRS, "swapped": SWAPPED[:n_outputs]}
    network = EEGTransformer(3, n_outputs, n_times, 80.0, **options).double().eval()
    drift = torch.full((3,), 100.0 if drifts else 0.0)
    network.learn_statistics(LEVEL, torch.ones(3), drift)
    with torch.no_grad():
        for parameter in (network.attention.positive, network.attention.negative):
            parameter.normal_()
        network.class_bias.normal_()
        network.gains.copy_(torch.tensor([0.4, 0.8]))
        sources = network.gather(network.prepare(_epochs(n_times=n_times)))
        network.source_power.copy_(sources[:, 0].square().mean(dim=(0, 2)))
        network.usual_tokens.copy_(network.tokens(sources).mean(dim=0))
    return network


def _epochs(n_epochs=20, n_times=80):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n_epochs, 3, n_times, generator=generator, dtype=torch.float64)
    return LEVEL[:, None] + noise


def _means(network):
    """Draw means of log powers to centre on, in each epoch others."""
    torch.manual_seed(2)
    return torch.randn(20, *network.usual_tokens[:, 0].shape, dtype=torch.float64).numpy()


def _attend(network, tokens, index, weights=None):
    """One block by hand, with given attention weights or its own: tokens, weights."""
    block = network.encoder.encoder_layers[index]
    size, n_heads = tokens.shape[-1], block.mha.n_heads
    x = F.layer_norm(tokens, (size,), block.norm1.weight, block.norm1.bias)
    projected = x @ block.mha.qkv.weight.T + block.mha.qkv.bias
    q, k, v = projected.split(size, dim=-1)
    heads = []
    found = []
    for h in range(n_heads):
        part = slice(h * size // n_heads, (h + 1) * size // n_heads)
        scores = q[:, part] @ k[:, part].T / (size / n_heads) ** 0.5
        w = torch.softmax(scores, dim=-1) if weights is None else weights[h]
        found.append(w)
        heads.append(w @ v[:, part])
    tokens = tokens + torch.cat(heads, dim=-1) @ block.mha.out.weight.T + block.mha.out.bias
    x = F.layer_norm(tokens, (size,), block.norm2.weight, block.norm2.bias)
    return tokens + block.ff(x), torch.stack(found)


def test_gradient_rollout_against_jacobians_by_hand():
    """Chefer's rule from finite differences of the score in every single attention weight."""
    network = _original()
    x = torch.randn(1, 3, 80, dtype=torch.float64)
    code = torch.tensor([2])
    encoder = network.encoder
    with torch.no_grad():
        start = encoder.in_proj(network.norm(x)[0]) + encoder.pe.encodings.weight[:3]
        start = torch.cat([encoder.class_token[None], start])
        weights, tokens = [], start
        for index in range(2):
            tokens, found = _attend(network, tokens, index)
            weights.append(found)

        def score(weights_first, weights_last):
            # What is upstream of a layer's weights is not changed by them; what is downstream
            # follows them, with the attention of later layers computed anew.
            tokens, _ = _attend(network, start, 0, weights_first)
            tokens, _ = _attend(network, tokens, 1, weights_last)
            logits = network.outnet(encoder.norm(tokens[:1]))
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

    attn, grads = attention_gradients(network, x, lambda logits: log_odds(logits, code))
    torch.testing.assert_close(attn[0], torch.stack(weights))
    torch.testing.assert_close(grads[0], torch.stack(gradients), rtol=1e-5, atol=1e-8)
    relevance = gradient_rollout(attn, grads)[0]
    torch.testing.assert_close(relevance, expected, rtol=1e-6, atol=1e-9)
    found = explain_gradient_rollout(network, x.numpy(), code.numpy(), None, connections=True)
    shares = expected[0, 1:] / expected[0, 1:].sum()
    np.testing.assert_allclose(found["token_values"][0, :, 0], shares, rtol=1e-6)
    np.testing.assert_allclose(found["connections"][0], expected[1:, 1:], rtol=1e-6)


def test_frozen_parameters_stay_as_they_are():
    network = _original().train().requires_grad_(False)
    x = torch.randn(2, 3, 80, dtype=torch.float64)
    with torch.no_grad():
        attention_gradients(network, x, lambda logits: logits[:, 0])
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    with pytest.raises(ValueError, match="gradients .*; there has to be a gradient"):
        gradient_rollout(torch.ones(1, 1, 1, 3, 3), torch.ones(1, 1, 1, 2, 2))


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_gradient_rollout_through_signed_attention(mirrored, adapted):
    """Chefer's rule for signed weights, with the gradient of every single one of them."""
    network = _network(4, mirrored=mirrored)
    x, codes = _epochs(), np.arange(20) % 4
    means = _means(network) if adapted else None
    expected = []
    for epoch, code in enumerate(codes):
        signal, signed = network.prepare(x[epoch : epoch + 1]), network.attention().detach()
        images = [signed[..., order] for order in ([0, 1, 2], PAIRS)[: 1 + mirrored]]
        weights = torch.stack(images).requires_grad_()
        kernel = torch.einsum("ihfc,hft->ihct", weights, network.temporal.detach()).flatten(0, 1)
        sources = F.conv1d(signal, kernel, padding=kernel.shape[-1] // 2)
        tokens = network.tokens(sources.reshape(1, len(images), 4, -1))
        if adapted:
            tokens = network.centre(tokens, torch.from_numpy(means[epoch]))
        score = log_odds(network.read_out(tokens), torch.tensor([code]))
        (gradient,) = torch.autograd.grad(score, weights)
        relevance = (weights * gradient).sum(dim=2).clamp(min=0)
        expected.append(relevance.mean(dim=(0, 1)).detach().numpy())
    found = signed_gradient_rollout(network, x.numpy(), codes, means, batch_size=7)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)
    assert (found > 0).any()
    assert network.attention.positive.grad is None


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("n_times, drifts", [(30, False), (80, True)], ids=["level", "drift"])
def test_contributions_of_two_classes_against_a_computation_by_hand(n_times, drifts, adapted):
    """Of two classes, log odds are linear in the tokens, whose gradient is their weight.

    A log power is divided as the power is: by the product of what a channel adds and the source.
    """
    network = _network(mirrored=True, n_times=n_times, drifts=drifts)
    x, codes = _epochs(n_times=n_times), np.arange(20) % 2
    means = _means(network) if adapted else None
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    signed = network.attention().detach().numpy()
    usual = state["usual_tokens"]
    weight = state["class_weight"][1] - state["class_weight"][0]
    weight = weight / network.n_groups / 2  # a mean over groups, and over images
    expected = np.zeros((20, 3))
    for epoch in range(20):
        signal = x[epoch].numpy()
        offset = signal.mean(axis=1, keepdims=True) if drifts else LEVEL[:, None].numpy()
        signal = signal - offset
        for image, order in enumerate(([0, 1, 2], PAIRS)):
            sign = 1 if image == 0 else -1  # classes are exchanged in the mirror image
            kernels = np.einsum("hfc,hft->hct", signed[..., order], state["temporal"])
            for head in range(4):
                parts = [
                    np.convolve(signal[c], kernels[head, c, ::-1], mode="full") for c in range(3)
                ]
                margin = kernels.shape[-1] // 2
                parts = np.array(parts)[:, margin:-margin]
                parts /= np.sqrt(state["source_power"][head])
                source = parts.sum(axis=0)
                for window in range(network.n_windows):
                    start = window * network.stride
                    inside = slice(start, start + network.window)
                    products = (parts[:, inside] * source[inside]).mean(axis=1)
                    power = POWER_GAIN * state["gains"][0] * np.log(products.sum())
                    if adapted:
                        power -= means[epoch, image, head, window]
                    power -= usual[image, 0, head, window]
                    share = products / products.sum()
                    expected[epoch] += sign * weight[0, head, window] * power * share
                    mean = state["gains"][1] * parts[:, inside].mean(axis=1)
                    expected[epoch] += sign * weight[1, head, window] * mean
    expected *= np.where(codes == 1, 1, -1)[:, None]
    found, errors = source_contributions(network, x.numpy(), codes, means, batch_size=6)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert errors.max() < 1e-6
    assert np.abs(expected).mean() > 0.01


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("n_outputs", [2, 4])
def test_contributions_are_complete(n_outputs, mirrored, adapted):
    """In single precision, as the networks of classifiers compute."""
    network = _network(n_outputs, mirrored=mirrored).float()
    network.class_weight.data *= 24  # as sure of itself as after training
    x, codes = _epochs().float(), np.arange(20) % n_outputs
    means = _means(network).astype(np.float32) if adapted else None
    found, errors = source_contributions(network, x.numpy(), codes, means)
    with torch.no_grad():
        tokens = network.tokens(network.gather(network.prepare(x)))
        if adapted:
            tokens = network.centre(tokens, torch.from_numpy(means))
        usual = network.usual_tokens.clone()
        usual[:, 1] = 0
        there, start = (
            log_odds(network.read_out(one), torch.as_tensor(codes)).double().numpy()
            for one in (tokens, usual.expand_as(tokens))
        )
    change = there - start
    large = abs(change) > 0.05
    assert large.sum() > 15
    assert (abs(found.sum(axis=1) - change)[large] / abs(change)[large]).max() < 1e-4
    assert errors.max() < 1e-4
    assert np.ptp(there) > 2


def test_epochs_without_signal_have_finite_contributions():
    network = _network(drifts=True)
    x = _epochs()
    x[0] = 7.0
    x[1, 1] = 0.0
    codes = np.arange(20) % 2
    found, errors = source_contributions(network, x.numpy(), codes)
    assert np.isfinite(found).all()
    assert (found[0] == 0).all()
    assert errors[0] > 0.9  # nobody is there among whom the silence could be divided
    assert errors[1:].max() < 1e-6
    assert np.isfinite(signed_gradient_rollout(network, x.numpy(), codes)).all()


@pytest.mark.parametrize("n_outputs", [2, 4])
@pytest.mark.parametrize("n_time_tokens", [1, 3])
def test_integrated_gradients_of_the_original_are_complete(n_outputs, n_time_tokens):
    torch.manual_seed(0)
    network = OriginalTransformer(
        5, n_outputs, 160, embed_dim=16, n_heads=4, n_layers=2, n_time_tokens=n_time_tokens
    ).eval()
    network.norm.running_mean.normal_(std=0.3)
    data = np.random.default_rng(0).normal(3, 2, size=(20, 5, 160)).astype(np.float32)
    network.learn_statistics(torch.from_numpy(data))
    network.outnet[2].weight.data *= 20  # as sure of itself as after training
    codes = np.arange(20) % n_outputs
    attributions, errors = integrated_gradients(network, data, codes)
    assert attributions.shape == (20, 5, n_time_tokens)
    start = network.average_epoch()
    torch.testing.assert_close(start[:, 0], 3 + 2 * network.norm.running_mean, atol=0.1, rtol=0)
    with torch.no_grad():
        start = network(start.expand(1, 5, 160)).expand(20, -1)
        there = network(torch.from_numpy(data))
        change = log_odds(there, torch.as_tensor(codes)) - log_odds(start, torch.as_tensor(codes))
    total = attributions.reshape(20, -1).sum(axis=1, dtype=float)
    found = abs(total - change.numpy()) / abs(change.numpy()).clip(min=0.05)
    np.testing.assert_allclose(errors, found, atol=1e-4)
    # ReLUs have kinks, past which the quadrature goes on only as 1 / n.
    assert errors.max() < 5e-3
    assert (errors < 1e-3).mean() > 0.8


def test_integrated_gradients_of_a_linear_model_are_weights_times_samples():
    class Linear(torch.nn.Module):
        n_time_tokens, token_length = 2, 3

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(21, 2))
            self.average = torch.randn(3, 1)

        def average_epoch(self):
            return self.average

        def forward(self, x):
            return x.flatten(1) @ self.weight

    torch.manual_seed(0)
    model = Linear()
    data = np.random.default_rng(0).normal(size=(6, 3, 7)).astype(np.float32)
    model.weight.data.reshape(3, 7, 2)[:, 6] = 0  # the sample that is in no token
    attributions, errors = integrated_gradients(model, data, np.zeros(6, dtype=int))
    slope = (model.weight[:, 0] - model.weight[:, 1]).detach().numpy().reshape(3, 7)
    by_sample = (data - model.average.numpy()) * slope
    expected = np.stack([by_sample[..., :3].sum(axis=-1), by_sample[..., 3:6].sum(axis=-1)], -1)
    np.testing.assert_allclose(attributions, expected, rtol=1e-4, atol=1e-5)
    assert errors.max() < 1e-3


def test_contributions_add_up_to_what_the_classifier_says_of_the_target(simulated):
    """With two classes, what speaks for one speaks against the other."""
    X, y = simulated[0][:12], simulated[1][:12]
    classifier = EEGTransformerClassifier(n_groups=1, n_heads=4, max_epochs=8, random_state=0)
    classifier.fit(*simulated[:2])
    predicted, left, right, true = (
        AttentionExplainer("integrated-gradients", target=target).explain(classifier, X, y)
        for target in ("predicted", "left", "right", "true")
    )
    assert predicted.settings["completeness_error"] < 1e-4
    network = classifier.net_.module_
    usual = network.usual_tokens[None].clone()
    usual[:, :, 1] = 0
    start = network.read_out(usual).detach().numpy()[0]
    change = classifier.decision_function(X) - (start[1] - start[0])
    np.testing.assert_allclose(right.values.sum(axis=1), change, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(left.values, -right.values, rtol=1e-4, atol=1e-6)
    for found, labels in ((true, y), (predicted, predicted.predictions)):
        expected = np.where((labels == "left")[:, None], left.values, right.values)
        np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found.targets, labels)
