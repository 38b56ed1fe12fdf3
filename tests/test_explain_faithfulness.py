"""The test of explanations, itself tested on explanations that are known to be right or wrong."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from skeegformer import AttentionExplainer, EEGTransformerClassifier
from skeegformer.explain import faithfulness
from skeegformer.explain.faithfulness import _judge, randomize_parameters

N_CHANS = 8
INFORMATIVE = 5


def _data(n_epochs, seed):
    """Equally loud channels of noise; one of them has a rhythm in the epochs of class 1."""
    rng = np.random.default_rng(seed)
    y = np.tile([0, 1], n_epochs // 2)
    X = rng.normal(size=(n_epochs, N_CHANS, 160))
    phase = rng.uniform(0, 2 * np.pi, (n_epochs, 1))
    X[:, INFORMATIVE] += 2 * y[:, None] * np.sin(2 * np.pi * 10 * np.arange(160) / 160 + phase)
    return X / X.std(axis=2, keepdims=True), y


@pytest.fixture(scope="module")
def explained():
    X, y = _data(200, 0)
    classifier = EEGTransformerClassifier(sfreq=160.0, random_state=0).fit(X, y)
    X, y = _data(60, 1)
    assert classifier.score(X, y) > 0.9
    importances = AttentionExplainer().explain(classifier, X).feature_importances_
    assert importances.argmax() == INFORMATIVE
    assert importances[INFORMATIVE] > 2 / N_CHANS
    return AttentionExplainer("occlusion", random_state=0).explain(classifier, X, y)


@pytest.fixture(scope="module")
def evaluated(explained):
    return explained.evaluate(n_randomizations=0, random_state=0)


def _with_map(explanation, importances):
    values = np.tile(importances, (len(explanation), 1))[:, :, None]
    return replace(explanation, token_values=values)


def test_the_right_channel_is_faithful(explained):
    truth = np.arange(N_CHANS) == INFORMATIVE
    right = _with_map(explained, truth)
    result = right.evaluate(n_randomizations=0, random_state=0)
    assert result.passed == {"deletion": True, "insertion": True, "sign": True}
    assert result.verdict.startswith("Removing channels in the map's order is better than random")
    assert result.figures["deletion_score"] > 0.8
    assert result.figures["insertion_score"] > 0.8
    assert result.figures["lerf_minus_morf"] > 0.1
    assert result.figures["balanced_accuracy"] > 0.9
    # Known truth becomes the oracle.
    figures = right.evaluate(truth=truth.tolist(), n_randomizations=0, random_state=0).figures
    assert figures["deletion_score"] == pytest.approx(1, abs=0.05)


def test_epochs_are_drawn_from_all_classes_by_their_frequency(explained):
    few = np.r_[np.flatnonzero(explained.y == 0), np.flatnonzero(explained.y == 1)[:5]]
    options = {"max_epochs": 14, "n_repeats": 1, "n_randomizations": 0}
    for random_state in range(5):
        result = explained.select(few).evaluate(**options, random_state=random_state)
        told = "Tested on 14 of 35 epochs (12 0, 2 1); 95 % intervals are over 14 epochs."
        assert result.verdict.endswith(told)
    people = replace(explained, subjects=np.arange(60) % 4)
    verdict = people.evaluate(n_repeats=1, n_randomizations=0, random_state=0).verdict
    assert verdict.endswith("60 epochs (30 0, 30 1); 95 % intervals are over 4 subjects.")


def test_the_wrong_channels_are_not_faithful_and_disagree(explained):
    wrong = _with_map(explained, (np.arange(N_CHANS) != INFORMATIVE) * np.linspace(1, 2, N_CHANS))
    with pytest.warns(UserWarning, match="Attributions differ by method"):
        result = wrong.evaluate(n_randomizations=0, random_state=0)
    assert not any(result.passed.values())
    assert "worse than random" in result.verdict
    assert "The sign is wrong" in result.verdict
    assert result.figures["permutation_correlation"] < 0.3


def test_ends_of_the_curves_do_not_depend_on_the_order(explained, evaluated):
    curves = evaluated.curves.set_index(["curve", "order", "n_channels"])["mean"].sort_index()
    target = np.searchsorted(explained.classes, explained.predictions)
    intact = explained.probabilities[np.arange(len(target)), target].mean()
    for order in ("explanation", "random", "oracle"):
        gone, there = curves["deletion", order, N_CHANS], curves["insertion", order, N_CHANS]
        assert curves["deletion", order, 0] == pytest.approx(intact, abs=1e-5)
        assert there == pytest.approx(intact, abs=1e-5)
        assert gone == pytest.approx(curves["insertion", order, 0], abs=1e-5)
    assert evaluated.curves.eval("low <= mean + 1e-9 and mean <= high + 1e-9").all()
    middle = curves.drop([0, N_CHANS], level="n_channels")
    assert (middle["deletion", "oracle"] <= middle["deletion", "random"] + 0.02).all()


def test_figures_follow_from_the_curves(evaluated):
    figures = evaluated.figures
    assert repr(evaluated).startswith(evaluated.verdict)
    assert f"{figures['deletion_area']:.3g}" in repr(evaluated)
    means = evaluated.curves.groupby(["curve", "order"])["mean"].mean()
    assert figures["deletion_area"] == pytest.approx(means["deletion", "explanation"])
    assert figures["oracle_insertion_area"] == pytest.approx(means["insertion", "oracle"])
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        own, random, best = (figures[f"{name}{curve}_area"] for name in ("", "random_", "oracle_"))
        gain, share = sign * (own - random), (own - random) / (best - random)
        for name, value in (("gain", gain), ("score", share)):
            assert figures[f"{curve}_{name}"] == pytest.approx(value)
            assert figures[f"{curve}_{name}_low"] <= value <= figures[f"{curve}_{name}_high"]


RANDOM = {"randomized_model": 0.1, "randomized_models": 0.0, "amplitude_correlation": 0.8}
BETTER = "Inserting channels in the map's order is {} random (by 0.05 in probability, 95 % {} to"


@pytest.mark.parametrize(
    "changes, test, passed, sentence",
    [
        # What random models agree on follows from the data, such as loud channels.
        ({}, "randomization", True, "The map differs from those of models that have learnt"),
        ({"randomized_model": 0.7, "randomized_models": 0.9}, "randomization", True,
         "Part of the map follows from the data alone"),
        ({"randomized_model": 0.9, "randomized_models": 0.8}, "randomization", False,
         "The map is about as much like those of models that have learnt nothing"),
        ({"randomized_model": 0.9, "randomized_models": 0.8}, "randomization", False,
         "parameters 0.90 (these with each other 0.80), with the channels' amplitudes 0.80"),
        # Put into another epoch one by one, channels that work together do nothing.
        ({"insertion_score": np.nan, "insertion_gain_low": 0.02}, "insertion", True,
         BETTER.format("better than", "0.02")),
        ({"insertion_score": np.nan, "insertion_gain_low": -0.01}, "insertion", False,
         BETTER.format("no better than", "-0.01")),
        ({"balanced_accuracy": 0.54}, "deletion", True,
         "The model is at chance on these epochs (balanced accuracy 0.54)"),
    ],
)  # fmt: skip
def test_the_verdict(explained, evaluated, changes, test, passed, sentence):
    gain = {"insertion_gain": 0.05, "insertion_gain_high": 0.09}
    found, verdict, _ = _judge(explained, evaluated.figures | RANDOM | gain | changes)
    assert found[test] == passed
    assert sentence in verdict


def test_every_parameter_is_really_randomized(explained):
    network = explained.source.classifier.net_.module_
    data = explained.source.data
    changed = randomize_parameters(network, data, 0)
    names = dict(network.named_parameters())
    assert {"attention.positive", "attention.negative", "class_weight"} <= set(names)
    for name, parameter in changed.named_parameters():
        assert (parameter != names[name]).float().mean() > 0.99, name
    for name, before in network.named_buffers():
        is_reset = name in ("channel_shares", "source_power", "usual_tokens")
        assert torch.equal(before, dict(changed.named_buffers())[name]) != is_reset, name
    with torch.no_grad():
        sources = changed.gather(changed.prepare(torch.from_numpy(data)))
        power = sources[:, 0].square().mean(dim=(0, 2))
        torch.testing.assert_close(changed.source_power, power, rtol=1e-3, atol=1e-6)
        tokens = changed.tokens(sources).mean(dim=0)
        torch.testing.assert_close(changed.usual_tokens, tokens, rtol=1e-3, atol=1e-4)


def test_a_map_of_loud_channels_is_that_of_models_that_learnt_nothing(explained):
    """Data alone decide on it, whatever a model has learnt."""
    loud = explained.source.data * np.geomspace(1, 100, N_CHANS)[:, None]
    classifier = EEGTransformerClassifier(sfreq=160.0, max_epochs=2, random_state=0)
    classifier.fit(loud, explained.y)
    explanation = AttentionExplainer().explain(classifier, loud, explained.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = explanation.evaluate(random_state=0)
    assert result.figures["amplitude_correlation"] > 0.8
    assert result.figures["randomized_models"] > 0.5
    assert "data" in result.verdict


@pytest.mark.parametrize("known", [True, False])
def test_adapting_classifiers_are_tested_with_the_means_of_their_subjects(known):
    X, y = _data(120, 0)
    subjects = np.repeat(["a", "b", "c", "d"], 30)
    train = np.isin(subjects, ["a", "b"])
    classifier = EEGTransformerClassifier(sfreq=160.0, adapt=True, random_state=0)
    classifier.fit(X[train], y[train], groups=subjects[train])
    test = train if known else ~train
    explainer = AttentionExplainer("occlusion", n_repeats=2, random_state=0)
    explanation = explainer.explain(classifier, X[test], y[test], groups=subjects[test])
    result = explanation.evaluate(max_epochs=20, n_randomizations=2, random_state=0)
    assert result.passed["deletion"]
    for name in ("randomized_model", "randomized_models"):
        assert -1 <= result.figures[name] < 0.9
    curves = result.curves.set_index(["curve", "order", "n_channels"])["mean"]
    chosen = faithfulness._draw(explanation, 20, np.random.RandomState(0))
    intact = explanation.confidences[chosen].mean()
    assert curves["deletion", "random", 0] == pytest.approx(intact, abs=1e-5)


def test_random_models_are_explained_for_the_same_class(explained):
    """Also where no true labels are known, and where the seed was a generator."""
    explainer = AttentionExplainer(
        "gradient-rollout", target=1, random_state=np.random.RandomState(0)
    )
    classifier, X = explained.source.classifier, _data(20, 2)[0]
    explanation = explainer.explain(classifier, X)
    found = faithfulness._map_by(explanation, classifier)
    np.testing.assert_allclose(found, explanation.values.mean(axis=0), rtol=1e-5)
    other = AttentionExplainer("gradient-rollout").explain(classifier, X)
    assert np.abs(found - other.values.mean(axis=0)).max() > 1e-3
