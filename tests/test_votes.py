"""Votes of tokens: the same logits however they are computed, and what they show as attention."""

import pytest
import torch

from skeegformer import EEGTransformer, record_attention
from skeegformer.attention import (
    RolloutFold,
    attention_flow,
    attention_gradients,
    attention_rollout,
    gradient_rollout,
    log_odds,
)
from skeegformer.nn import _CLASS_GAIN, _VOTE_GAIN, _VOTE_HEADS, Votes

N_CHANS, N_OUTPUTS, N_HEADS = 5, 3, 4


def _network(n_layers=2, *, seed=0, **params):
    """Make a network whose votes are no longer zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        options = {"tokenizer": "covariance", "votes": True, "embed_dim": 16, "n_time_tokens": 2}
        network = EEGTransformer(
            N_CHANS, N_OUTPUTS, 160, 160.0, n_layers=n_layers, n_heads=N_HEADS, **options | params
        )
        torch.nn.init.normal_(network.votes.weight, std=0.1)
        network.learn_statistics(torch.randn(50, N_CHANS, 160))
    return network.eval()


@pytest.fixture(scope="module")
def x():
    return torch.randn(6, N_CHANS, 160, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
@pytest.mark.parametrize("output", [None, "class", "layers", "tokens"])
def test_recording_changes_no_logit(n_layers, tokenizer, output, x):
    network = _network(n_layers, tokenizer=tokenizer)
    expected = network(x)
    with record_attention(network, reduce=output and RolloutFold(output=output)):
        found = network(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_votes_are_further_heads(n_layers, x):
    network = _network(n_layers)
    n_tokens = 1 + 2 * N_CHANS
    with record_attention(network) as attention:
        network(x)
    weights = attention.values()
    assert pytest.approx(_VOTE_GAIN / _CLASS_GAIN) == _VOTE_HEADS
    assert weights.shape == (len(x), n_layers, (1 + _VOTE_HEADS) * N_HEADS, n_tokens, n_tokens)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
    assert weights.min() >= 0
    features = network.extract_features(x).flatten(1, 2)
    for epoch, said in enumerate(features):
        votes = torch.stack(
            [token @ rule for token, rule in zip(said, network.votes.weight.detach(), strict=True)]
        )
        norms = (votes - votes.mean(dim=1, keepdim=True)).norm(dim=1)
        expected = torch.cat([torch.zeros(1), norms / norms.sum()]).expand(n_tokens, -1)
        for head in range(N_HEADS, weights.shape[2]):
            torch.testing.assert_close(weights[epoch, -1, head], expected, rtol=1e-4, atol=1e-5)


def test_votes_count_in_attention_as_in_the_logits(x):
    network = _network(1)
    with torch.no_grad():
        features = network.extract_features(x)
        votes = network.votes.gain * network.votes(features)
        others = network(x) - votes
        parts = [part - part.mean(dim=1, keepdim=True) for part in (votes, others)]
        wanted, now = 4, float(parts[0].std(dim=0).norm() / parts[1].std(dim=0).norm())
        network.votes.weight *= wanted / now
    network.weigh_votes(x.split(4))
    assert network.votes.heads == wanted
    with record_attention(network) as attention:
        network(x)
    assert attention.values().shape[2] == N_HEADS * (1 + wanted)
    again = _network(1, seed=1)
    again.load_state_dict(network.state_dict())
    assert again.votes.heads == wanted
    with torch.no_grad():
        network.votes.weight.zero_()
    network.weigh_votes([x])
    assert network.votes.heads == 1
    with torch.no_grad():
        network.votes.weight.fill_(1.0)[..., 0] = -1.0
        network.head.weight.zero_()
        network.head.bias.zero_()
    network.weigh_votes([features])
    assert network.votes.heads == 9


def test_layers_without_votes_keep_their_mean(x):
    """The further heads of the first layer are the mean of the others, in every epoch."""
    network = _network(2)
    with record_attention(network) as attention:
        network(x)
    first = attention.values()[:, 0]
    torch.testing.assert_close(first.mean(dim=1), first[:, :N_HEADS].mean(dim=1))


@pytest.mark.parametrize("n_layers", [1, 2])
def test_attention_times_its_gradient_is_the_vote(n_layers, x):
    network = _network(n_layers)
    features = network.extract_features(x).flatten(1, 2)
    for output in range(N_OUTPUTS):
        weights, gradients, logits = attention_gradients(
            network, x, lambda logits, output=output: logits[:, output]
        )
        found = (weights * gradients)[:, -1, N_HEADS:, 0].sum(dim=1)
        votes = network.votes.gain * (features * network.votes.weight.detach()[..., output]).sum(
            dim=-1
        )
        torch.testing.assert_close(found[:, 1:], votes, rtol=1e-4, atol=1e-4)
        assert not found[:, 0].any()
        others = network.head(network.norm(_class_token(network, x)))[:, output]
        torch.testing.assert_close(
            logits[:, output],
            votes.sum(dim=1) + _CLASS_GAIN * others.detach(),
            rtol=1e-4,
            atol=1e-4,
        )


def _class_token(network, x):
    tokens = network.embed_features(network.extract_features(x))
    for block in network.blocks:
        tokens, _ = block(tokens)
    return tokens[:, 0]


def test_new_votes_are_silent(x):
    """Before training, a network with votes says what the class token says."""
    network = EEGTransformer(N_CHANS, N_OUTPUTS, 160, 160.0).eval()
    expected = _CLASS_GAIN * network.head(network.norm(_class_token(network, x)))
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-6)
    with record_attention(network) as attention:
        network(x)
    share = attention.values()[:, -1, -1, :, 1:]
    torch.testing.assert_close(share, torch.full_like(share, 1 / N_CHANS))


def test_tokens_without_weight_are_no_division_by_zero(x):
    votes = Votes(N_CHANS, 7, 2)
    with torch.no_grad():
        votes.weight[2] = 1.0
    features = torch.randn(4, N_CHANS, 1, 7)
    say = votes.attention(torch.zeros(4, N_HEADS, 1, 1 + N_CHANS), features)
    torch.testing.assert_close(votes(features, say), votes(features), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_gradient_rollout_points_at_the_channel_that_votes(n_layers, x):
    network = _network(n_layers)
    with torch.no_grad():
        votes = network.votes.weight.unflatten(0, (N_CHANS, 2))
        votes[[0, 1, 2, 4]] = 0
        network.head.weight.zero_()
    codes = network(x).argmax(dim=1)
    weights, gradients, _ = attention_gradients(network, x, lambda out: log_odds(out, codes))
    relevance = network.tokens_to_channels(gradient_rollout(weights, gradients)[:, 0]).sum(dim=-1)
    relevance = relevance / relevance.sum(dim=1, keepdim=True)
    assert relevance.argmax(dim=1).tolist() == [3] * len(x)
    if n_layers == 1:
        torch.testing.assert_close(relevance[:, 3], torch.ones(len(x)))
    else:
        assert relevance[:, 3].min() > 0.8


@pytest.mark.parametrize("output", ["class", "layers", "tokens"])
@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("convention", ["abnar-zuidema", "eeg-transformer"])
def test_rollout_while_recording_is_rollout_afterwards(output, head_fusion, convention, x):
    network = _network(2)
    options = {"head_fusion": head_fusion, "convention": convention, "output": output}
    with record_attention(network) as attention:
        network(x)
    with record_attention(network, reduce=RolloutFold(**options)) as folded:
        network(x)
    torch.testing.assert_close(folded.values(), attention_rollout(attention.values(), **options))


def test_attention_flow_takes_the_further_head(x):
    network = _network(2)
    with record_attention(network, reduce=attention_flow) as attention:
        network(x)
    assert attention.values().shape == (len(x), 2 * N_CHANS)
    assert torch.isfinite(attention.values()).all()


def test_all_parameters_learn_with_and_without_recording(x):
    """After one step, as votes that are zero say nothing about what they are made of."""
    network = _network(2).train()
    network(x).square().sum().backward()
    idle = [name for name, value in network.named_parameters() if not value.grad.abs().sum()]
    assert idle == []


def test_features_in_the_place_of_epochs(x):
    network = _network(2)
    features = network.extract_features(x)
    torch.testing.assert_close(network(features), network(x))
    torch.testing.assert_close(network(x[0]), network(x)[0], rtol=1e-4, atol=1e-5)
    with record_attention(network) as from_features:
        network(features)
    with record_attention(network) as from_epochs:
        network(x)
    torch.testing.assert_close(from_features.values(), from_epochs.values())


def test_without_votes_there_is_no_further_head(x):
    network = EEGTransformer(N_CHANS, N_OUTPUTS, 160, n_heads=N_HEADS, votes=False)
    assert network.votes is None
    with record_attention(network) as attention:
        network(x)
    assert attention.values().shape[2] == N_HEADS
