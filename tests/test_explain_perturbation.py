"""Occlusion and permutation against scikit-learn, MNE and brute force."""

import mne
import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression

from skeegformer import (
    AttentionExplainer,
    EEGTransformer,
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    channel_permutation_importance,
    make_baseline,
)
from skeegformer.explain._perturbation import (
    BANDS,
    derangements,
    make_parts,
    part_names,
    predict_changed,
    shuffled_orders,
)
from skeegformer.nn import OriginalTransformer

CHANNELS = [
    *("FC3", "FC1", "FCz", "FC2", "FC4"),
    *("C5", "C3", "C1", "Cz", "C2", "C4", "C6"),
    *("CP3", "CPz", "CP4", "Oz"),
]


@pytest.fixture(scope="module")
def simulated(simulated):
    """Keep a quarter of the electrodes: every one is a forward pass more."""
    X, y, metadata, truth = simulated
    return X.copy().pick(CHANNELS), y, metadata, truth


SMALL = {"n_groups": 1, "n_heads": 4, "random_state": 0}


@pytest.fixture(scope="module")
def fitted(simulated):
    X, y, _, _ = simulated
    return EEGTransformerClassifier(**SMALL, max_epochs=8).fit(X, y)


class Flattened(ClassifierMixin, BaseEstimator):
    """Logistic regression on epochs of a single sample per channel, 2-D or 3-D."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(np.reshape(X, (len(X), -1)), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(np.reshape(X, (len(X), -1)))


def test_permutation_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6, 1))
    y = (X[:, 2, 0] + 0.5 * X[:, 4, 0] + 0.1 * rng.normal(size=80) > 0).astype(int)
    model = Flattened().fit(X, y)
    options = {"scoring": "balanced_accuracy", "n_repeats": 7, "random_state": 3}
    expected = permutation_importance(model, X[:, :, 0], y, **options)
    found = channel_permutation_importance(model, X, y, **options)
    for name in ("importances", "importances_mean", "importances_std"):
        np.testing.assert_allclose(found[name], expected[name])


def test_permuting_within_subjects():
    """A channel that tells subjects apart, and nothing else, is worth nothing within them."""
    rng = np.random.default_rng(0)
    subjects = np.repeat([0, 1], 40)
    X = 0.1 * rng.normal(size=(80, 2, 1))
    X[:, 0, 0] += subjects
    y = subjects
    model = Flattened().fit(X, y)
    across = channel_permutation_importance(model, X, y, random_state=0)
    within = channel_permutation_importance(model, X, y, groups=subjects, random_state=0)
    assert across.importances_mean[0] > 0.3
    np.testing.assert_allclose(within.importances[0], 0)
    for order in shuffled_orders(80, subjects, 0, 3):
        np.testing.assert_array_equal(np.sort(order), np.arange(80))
        np.testing.assert_array_equal(subjects[order], subjects)


def test_permutation_of_a_baseline_on_epochs_finds_the_sources(simulated):
    """An eye channel that comes first is no part of X."""
    X, y, metadata, _ = simulated
    info = mne.create_info(["EOG"], X.info["sfreq"], "eog")
    noise = np.random.default_rng(0).normal(0, 1e-4, size=(len(X), 1, len(X.times)))
    eog = mne.EpochsArray(noise, info, events=X.events, tmin=X.tmin, verbose="ERROR")
    X = X.copy().add_channels([eog]).reorder_channels(["EOG", *X.ch_names])
    baseline = make_baseline("csp+lda").fit(X, y)
    before = X.get_data().copy()
    options = {"groups": metadata["subject"], "random_state": 0}
    result = channel_permutation_importance(baseline, X, y, **options)
    np.testing.assert_array_equal(X.get_data(), before)
    assert result.names == X.ch_names[1:]
    found = dict(zip(result.names, result.importances_mean, strict=True))
    assert min(found["C3"], found["C4"]) > found["Oz"] + 0.2
    adapting = EEGTransformerClassifier(n_heads=2, max_epochs=1, adapt=True, random_state=0)
    adapting.fit(few := X.pick(["C3", "Cz", "C4"]), y)
    nameless, array = few.copy(), few.get_data(units="uV")
    nameless.metadata = None  # groups tell the classifier, too, whom it knows
    one, *others = (
        channel_permutation_importance(adapting, given, y, n_repeats=1, **options).importances
        for given in (few, nameless, array)
    )
    for other in others:
        np.testing.assert_array_equal(other, one)
    with pytest.raises(ValueError, match="X has shape"):
        channel_permutation_importance(baseline, X.get_data()[0], y)


def _drop(classifier, data, changed, explanation):
    """How much the log odds of the explained class fall when data are changed."""
    sign = np.where(explanation.targets == classifier.classes_[1], 1, -1)
    return sign * (classifier.decision_function(data) - classifier.decision_function(changed))


@pytest.mark.parametrize(
    "replacement, neighbors",
    [("zero", False), ("zero", True), ("mean", False), ("interpolate", False)],
)
def test_occlusion_by_brute_force(fitted, simulated, replacement, neighbors):
    few = simulated[0][:16]
    explainer = AttentionExplainer("occlusion", replacement=replacement, neighbors=neighbors)
    explanation, data = explainer.explain(fitted, few), few.get_data(units="uV")
    adjacency, names = mne.channels.find_ch_adjacency(few.info, "eeg")
    for name in ("C3", "Oz"):
        channel, gone = few.ch_names.index(name), [name]
        if neighbors:
            near = adjacency.toarray()[names.index(name)].nonzero()[0]
            gone = {name, *(names[k] for k in near)}
            assert name == "Oz" or {"C1", "C5", "FC3", "CP3"} <= gone
        rows, changed = [few.ch_names.index(one) for one in gone], data.copy()
        changed[:, rows] = data[:, rows].mean(axis=0) if replacement == "mean" else 0
        if replacement == "interpolate":
            broken = few.copy()
            broken.info["bads"] = [name]
            changed = broken.interpolate_bads(verbose="ERROR").get_data(units="uV")
        drop = _drop(fitted, data, changed, explanation)
        np.testing.assert_allclose(explanation.values[:, channel], drop, atol=2e-4)


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    "n_times, sfreq, drifts", [(320, 160.0, True), (320, 160.0, False), (30, 80.0, False)]
)
def test_a_change_of_channels_is_predicted_as_the_changed_epochs_are(
    n_times, sfreq, drifts, mirrored, adapted
):
    """Whether or not the signal is decimated or centred; in more than one batch."""
    torch.manual_seed(0)
    images = {"pairs": [1, 0, 2, 4, 3], "swapped": [1, 0, 2]} if mirrored else {}
    network = EEGTransformer(5, 3, n_times, sfreq, n_groups=2, n_heads=3, **images).eval()
    network.attention.positive.data.normal_()
    rng = np.random.default_rng(0)
    data = rng.normal(3, 20, size=(70, 5, n_times)).astype(np.float32)
    drift = torch.full((5,), 100.0 if drifts else 0.0)
    network.learn_statistics(torch.full((5,), 3.0), torch.tensor([20.0, 20, 0, 20, 90]), drift)
    with torch.no_grad():
        sources = network.gather(network.prepare(torch.from_numpy(data)))
        network.source_power.copy_(sources[:, 0].square().mean(dim=(0, 2)))
        shape = network.tokens(sources[:1])[0, :, 0].shape
    means = rng.normal(size=(70, *shape)).astype(np.float32) if adapted else None
    predict = predict_changed(network, data, means)
    known = {} if means is None else {"means": torch.from_numpy(means)}
    seen = []
    for channels in ([0], [4], [1, 3, 2], [0, 1, 2, 3, 4]):
        change = rng.normal(2, 30, size=(70, len(channels), n_times)).astype(np.float32)
        changed = data.copy()
        changed[:, channels] += change
        with torch.no_grad():
            expected = network(torch.from_numpy(changed), **known).numpy()
        np.testing.assert_allclose(predict(channels, change), expected, atol=1e-4)
        seen.append(expected)
    assert np.ptp(seen, axis=0).max() > 0.1


@pytest.mark.parametrize("case", ["plain", "known", "unknown"])
@pytest.mark.parametrize("method", ["occlusion", "permutation"])
def test_swaps_and_permutations_by_brute_force(simulated, method, case):
    """A channel is taken from the epochs, and not from what is known of their subject."""
    X, y, metadata, _ = simulated
    subjects = metadata["subject"].to_numpy()
    train = subjects <= 2
    classifier = EEGTransformerClassifier(**SMALL, adapt=case != "plain", max_epochs=8)
    classifier.fit(X[train], y[train])
    explained = ~train if case == "unknown" else train
    few, labels, groups = X[explained], y[explained], subjects[explained]
    explainer = AttentionExplainer(method, n_repeats=2, target="right", random_state=0)
    explanation = explainer.explain(classifier, few, labels)

    # What is known of somebody stays, so that the changed epochs can be predicted by name.
    data = few.get_data(units="uV")
    if case == "unknown":
        raw = classifier._raw_tokens(data.astype(np.float32))[:, :, 0].numpy()
        classifier.subject_means_ |= {s: raw[groups == s].mean(axis=0) for s in np.unique(groups)}
    intact = classifier.decision_function(data, groups=groups)
    np.testing.assert_allclose(explanation.probabilities[:, 1], expit(intact), atol=1e-5)
    if method == "permutation":
        seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
        orders = shuffled_orders(len(groups), groups, seed, 2)
    else:
        orders = derangements(len(groups), groups, 2, random_state=0)
    for channel in (few.ch_names.index("C3"), few.ch_names.index("Oz")):
        drops = []
        for order in orders:
            changed = data.copy()
            changed[:, channel] = data[order][:, channel]
            drops.append(intact - classifier.decision_function(changed, groups=groups))
        expected = np.mean(drops, axis=0)
        np.testing.assert_allclose(explanation.values[:, channel], expected, atol=1e-4)
    assert np.abs(explanation.values).max() > 0.05


def test_swaps_stay_within_subjects_and_move_every_epoch():
    """Who has a single epoch takes anybody's, and leaves the others among themselves."""
    subjects = np.repeat([1, 2, 3], [5, 5, 1])
    orders = derangements(11, subjects, 30, random_state=0)
    for order in orders:
        assert (order != np.arange(11)).all()
        np.testing.assert_array_equal(np.sort(order[:10]), np.arange(10))
        np.testing.assert_array_equal(subjects[order[:10]], subjects[:10])
    assert len({order[10] for order in orders}) > 5
    np.testing.assert_array_equal(derangements(11, subjects, 30, random_state=0), orders)


def test_bands_take_their_rhythm_and_nothing_else():
    times = np.arange(320) / 160
    waves = {
        name: np.sin(2 * np.pi * f * times) for name, f in zip(BANDS, (2, 6, 10, 20), strict=True)
    }
    for name, take in make_parts("band", None, 160.0).items():
        taken = take(sum(waves.values())[None])[0]
        assert np.corrcoef(taken[80:240], waves[name][80:240])[0, 1] > 0.97
    with pytest.raises(ValueError, match="Bands need a sampling rate"):
        make_parts("band", None, None)


def test_the_band_that_carries_the_class(simulated):
    X, y, _, _ = simulated
    classifier = EEGTransformerClassifier(max_epochs=40, random_state=0).fit(X, y)
    options = {"parts": "band", "n_repeats": 1, "target": "true", "random_state": 0}
    explanation = AttentionExplainer("occlusion", **options).explain(classifier, X, y)
    assert explanation.parts == ("delta", "theta", "alpha", "beta")
    by_band = explanation.token_values.mean(axis=0)
    channel, band = np.unravel_index(by_band.argmax(), by_band.shape)
    assert explanation.ch_names[channel] in ("C3", "C4")
    assert explanation.parts[band] == "alpha"


ALL = {}, ("0.00-1.00 s", "1.00-2.00 s")
CROPPED = {"crop": 240}, ("0.00-0.75 s", "0.75-1.50 s")


@pytest.mark.parametrize("params, parts", [ALL, CROPPED], ids=["all", "crop"])
def test_temporal_tokens_are_occluded_one_by_one(simulated, params, parts):
    X, y, _, _ = simulated
    classifier = OriginalTransformerClassifier(
        embed_dim=16, n_heads=4, n_layers=1, n_time_tokens=2, max_epochs=2, early_stopping=False,
        random_state=0, **params,
    ).fit(X, y)  # fmt: skip
    explanation = AttentionExplainer("occlusion", replacement="zero").explain(classifier, X[:6])
    assert explanation.parts == parts
    data = X[:6].get_data(units="uV")
    changed = data.copy()
    length = classifier.net_.module_.token_length
    changed[:, 10, length : 2 * length] = 0
    drop = _drop(classifier, data, changed, explanation)
    np.testing.assert_allclose(explanation.token_values[:, 10, 1], drop, atol=1e-4)


def test_short_temporal_tokens_have_names_of_their_own():
    network = OriginalTransformer(2, 2, 100, n_time_tokens=20)
    names = part_names(network, 1000.0)
    assert names[:2] == ("0.000-0.005 s", "0.005-0.010 s")
    assert len(set(names)) == 20
    assert part_names(network, None)[:2] == ("token 1", "token 2")
