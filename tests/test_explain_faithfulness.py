"""The test of explanations, itself tested on explanations that are known to be right or wrong."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from skeegformer import AttentionExplainer, EEGTransformerClassifier, make_simulated_eeg
from skeegformer.explain import randomize_parameters
from skeegformer.explain.faithfulness import _judge

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
    return AttentionExplainer("occlusion", random_state=0).explain(classifier, X, y)


def _with_map(explanation, importances):
    values = np.tile(importances, (len(explanation), 1))[:, :, None]
    return replace(explanation, token_values=values)


def test_the_right_channel_is_faithful(explained):
    right = _with_map(explained, np.arange(N_CHANS) == INFORMATIVE)
    result = right.evaluate(n_randomizations=0, random_state=0)
    assert result.faithful
    assert result.verdict.startswith("Faithful. Removing")
    assert result.figures["deletion_score"] > 0.8
    assert result.figures["insertion_score"] > 0.8
    assert result.figures["polarity"] > 0.1
    assert result.figures["balanced_accuracy"] > 0.9
    assert result.figures["need_top5"] >= 0.2


def test_the_wrong_channels_are_not_faithful_and_disagree(explained):
    wrong = _with_map(explained, (np.arange(N_CHANS) != INFORMATIVE) * np.linspace(1, 2, N_CHANS))
    with pytest.warns(UserWarning, match="what the model needs disagree"):
        result = wrong.evaluate(n_randomizations=0, random_state=0)
    assert not result.faithful
    assert "worse than random" in result.verdict
    assert "The sign is wrong" in result.verdict
    assert result.figures["need_correlation"] < 0.3


def test_ends_of_the_curves_do_not_depend_on_the_order(explained):
    result = explained.evaluate(n_randomizations=0, random_state=0)
    curves = result.curves.set_index(["curve", "order", "n_channels"])["mean"].sort_index()
    target = np.searchsorted(explained.classes, explained.predictions)
    intact = explained.probabilities[np.arange(len(target)), target].mean()
    for order in ("explanation", "random", "oracle"):
        assert curves["deletion", order, 0] == pytest.approx(intact, abs=1e-5)
        assert curves["insertion", order, N_CHANS] == pytest.approx(intact, abs=1e-5)
        assert curves["deletion", order, N_CHANS] == pytest.approx(
            curves["insertion", order, 0], abs=1e-5
        )
    spread = result.curves.eval("low <= mean + 1e-9 and mean <= high + 1e-9")
    assert spread.all()
    middle = curves.drop([0, N_CHANS], level="n_channels")
    assert (middle["deletion", "oracle"] <= middle["deletion", "random"] + 0.02).all()


def test_areas_are_means_of_the_curves(explained):
    result = explained.evaluate(n_randomizations=0, random_state=0)
    means = result.curves.groupby(["curve", "order"])["mean"].mean()
    figures = result.figures
    assert figures["deletion_area"] == pytest.approx(means["deletion", "explanation"])
    assert figures["oracle_insertion_area"] == pytest.approx(means["insertion", "oracle"])
    share = (figures["random_deletion_area"] - figures["deletion_area"]) / (
        figures["random_deletion_area"] - figures["oracle_deletion_area"]
    )
    assert figures["deletion_score"] == pytest.approx(share)
    assert figures["deletion_score_low"] <= share <= figures["deletion_score_high"]


def test_gain_is_the_distance_from_the_random_order(explained):
    figures = explained.evaluate(n_randomizations=0, random_state=0).figures
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        gain = sign * (figures[f"{curve}_area"] - figures[f"random_{curve}_area"])
        assert figures[f"{curve}_gain"] == pytest.approx(gain)
        assert figures[f"{curve}_gain_low"] <= gain <= figures[f"{curve}_gain_high"]


@pytest.mark.parametrize(
    "low, faithful, sentence",
    [
        (0.02, True, "better than random (by 0.05 in probability), while the order of what each"),
        (-0.01, False, "no better than random, and the order of what each channel does alone is"),
    ],
)
def test_without_an_oracle_the_random_order_is_the_measure(explained, low, faithful, sentence):
    """Put into another epoch one by one, channels that work together do nothing."""
    figures = explained.evaluate(n_randomizations=0, random_state=0).figures
    figures |= dict.fromkeys(("insertion_score", "insertion_score_low"), np.nan)
    figures |= {"insertion_gain": 0.05, "insertion_gain_low": low, "insertion_gain_high": 0.09}
    found, verdict, _ = _judge(explained, figures)
    assert found == faithful
    assert f"Inserting channels in the map's order is {sentence}" in verdict


def test_known_truth_becomes_the_oracle(explained):
    truth = (np.arange(N_CHANS) == INFORMATIVE).astype(float)
    right = _with_map(explained, truth)
    figures = right.evaluate(truth=truth, n_randomizations=0, random_state=0).figures
    assert figures["deletion_score"] == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match=r"truth has shape \(3,\), but there are 8 channels"):
        right.evaluate(truth=[1, 0, 0])


def test_every_parameter_is_really_randomized(explained):
    network = explained.source.classifier.net_.module_
    changed = randomize_parameters(network, random_state=0)
    names = dict(network.named_parameters())
    assert {"attention.positive", "attention.negative", "class_weight"} <= set(names)
    for name, parameter in changed.named_parameters():
        assert (parameter != names[name]).float().mean() > 0.99, name
    for (name, before), (_, after) in zip(
        network.named_buffers(), changed.named_buffers(), strict=True
    ):
        assert torch.equal(before, after), name


def test_random_models_and_labels_give_another_map(explained):
    result = explained.evaluate(n_randomizations=2, label_randomization=True, random_state=0)
    figures = result.figures
    assert abs(figures["randomized_model"]) < 0.9
    assert -1 <= figures["randomized_labels"] <= 1
    faithful, verdict, _ = _judge(explained, figures | {"randomized_model": 0.7})
    assert not faithful
    assert "The map hardly depends on what the model learnt" in verdict


def test_random_models_are_explained_for_the_same_class(explained, monkeypatch):
    """Also where no true labels are known, and where the seed was a generator."""
    X, _ = _data(20, 2)
    targets = []
    explain = AttentionExplainer.explain

    def note(self, *args, **kwargs):
        targets.append(self.target)
        return explain(self, *args, **kwargs)

    monkeypatch.setattr(AttentionExplainer, "explain", note)
    explainer = AttentionExplainer(
        "occlusion", target=1, random_state=np.random.RandomState(0), replacement="swap"
    )
    explanation = explainer.explain(explained.source.classifier, X)
    explanation.evaluate(n_randomizations=2, random_state=0)
    assert targets == [1, 1, 1]


def test_labels_are_shuffled_for_a_classifier_of_the_same_kind(monkeypatch):
    """Mirroring and estimating electrodes need to know which channels there are."""
    X, y, _, _ = make_simulated_eeg(2, 10, sfreq=80.0, duration=1.0, random_state=0)
    X = X.pick(["FC3", "FC4", "C3", "Cz", "C4", "CP3", "CP4", "Oz"])
    classifier = EEGTransformerClassifier(
        mirror={"left": "right"}, positions="electrode", max_epochs=2, random_state=0
    ).fit(X, y)
    explanation = AttentionExplainer().explain(classifier, X, y)
    again = []
    fit = EEGTransformerClassifier.fit

    def note(self, *args, **kwargs):
        again.append(self)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(EEGTransformerClassifier, "fit", note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explanation.evaluate(n_randomizations=0, label_randomization=True, random_state=0)
    (again,) = again
    np.testing.assert_array_equal(again.mirror_pairs_, classifier.mirror_pairs_)
    assert again.mirrored_classes_ == {"left": "right", "right": "left"}
    networks = [model.net_.module_ for model in (again, classifier)]
    torch.testing.assert_close(networks[0].scale, networks[1].scale)
    assert [network.rate for network in networks] == [80.0, 80.0]


def test_a_model_at_chance_has_nothing_to_explain():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4, 80)), np.tile([0, 1], 30)
    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=2, random_state=0).fit(X, y)
    X, y = rng.normal(size=(60, 4, 80)), np.tile([0, 1], 30)
    explanation = AttentionExplainer("gradient-rollout").explain(classifier, X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flipped = replace(explanation, y=np.where(explanation.predictions == 1, 0, 1))
        result = flipped.evaluate(n_randomizations=0, random_state=0)
    assert "The model is at chance" in result.verdict
    assert not result.faithful


def test_equal_seeds_give_equal_figures(explained):
    few = explained.select(np.arange(20))
    figures = [few.evaluate(n_randomizations=1, random_state=3).figures for _ in range(2)]
    assert figures[0] == figures[1]
    state = explained.source.classifier.net_.module_.state_dict()
    assert explained.source.classifier.score(explained.source.data, explained.y) > 0.9
    assert all(torch.isfinite(value).all() for value in state.values())


def test_the_epochs_that_are_used_can_be_fewer(explained):
    figures = explained.evaluate(max_epochs=10, n_randomizations=0, random_state=0).figures
    assert 0 <= figures["deletion_area"] <= 1


def test_an_explanation_without_its_model(explained):
    bare = replace(explained, source=None)
    with pytest.raises(ValueError, match="does not know its model"):
        bare.evaluate()
    with pytest.raises(ValueError, match="X has 3 epochs, but the explanation 60"):
        bare.evaluate(explained.source.classifier, explained.source.data[:3])
    result = bare.evaluate(
        explained.source.classifier, explained.source.data, n_randomizations=0, random_state=0
    )
    expected = explained.evaluate(n_randomizations=0, random_state=0)
    assert result.figures == pytest.approx(expected.figures)
    with pytest.raises(ValueError, match="only one epoch"):
        explained.select([0]).evaluate()


def test_printing_gives_verdict_and_figures(explained):
    text = repr(explained.evaluate(n_randomizations=0, random_state=0))
    assert text.splitlines()[0].startswith("Faithful.")
    assert "deletion_area" in text


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_repeats": 0}, "n_repeats=0 is not a whole number of at least 1"),
        ({"n_randomizations": -1}, "n_randomizations=-1 is not a whole number of at least 0"),
        ({"max_epochs": 1}, "max_epochs=1 is not a whole number of at least 2"),
    ],
)
def test_counts_that_leave_nothing_to_average(explained, options, message):
    with pytest.raises(ValueError, match=message):
        explained.evaluate(**options)
