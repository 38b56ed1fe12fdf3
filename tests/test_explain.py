"""Explanations against the attention they are made of, and against known truth."""

from dataclasses import replace

import mne
import numpy as np
import pytest
import torch
from scipy.signal import correlate
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skeegformer import (
    AttentionExplainer,
    BandPassFilter,
    ChannelDropper,
    EEGTransformerClassifier,
    EuclideanAlignment,
    OriginalTransformerClassifier,
    attention_rollout,
    concatenate_explanations,
    make_simulated_eeg,
    record_attention,
)
from skeegformer.attention import attention_gradients, gradient_rollout
from skeegformer.evaluation._fold import without_metadata
from skeegformer.explain._model import log_odds

SMALL = {"n_groups": 1, "n_heads": 4, "random_state": 0}
RIM = ("T9", "T10", "Iz")


def _original(**params):
    options = {"embed_dim": 16, "n_heads": 4, "n_layers": 2, "max_epochs": 5, "random_state": 0}
    return OriginalTransformerClassifier(**options | {"early_stopping": False} | params)


@pytest.fixture(scope="module")
def fitted(simulated):
    X, y, _, _ = simulated
    classifier = EEGTransformerClassifier(**SMALL, max_epochs=5)
    return make_pipeline(ChannelDropper(RIM), BandPassFilter(None, 30.0), classifier).fit(X, y)


@pytest.fixture(scope="module")
def original(simulated):
    """Two blocks, and two temporal tokens of each channel."""
    X, y, _, _ = simulated
    steps = ChannelDropper(RIM), BandPassFilter(None, 30.0), _original(n_time_tokens=2)
    return make_pipeline(*steps).fit(X, y)


@pytest.fixture(scope="module")
def explanation(fitted, simulated):
    X, y, _, _ = simulated
    return AttentionExplainer(connections=True).explain(fitted, X, y)


def test_values_are_the_rollout_of_signed_attention(fitted, simulated, explanation):
    X, _, metadata, _ = simulated
    with record_attention(fitted) as attention:
        probabilities = fitted.predict_proba(X)
    values = attention.values().within_subjects(metadata["subject"])
    expected = attention_rollout(values).numpy()
    assert expected.shape == (120, 61)
    np.testing.assert_allclose(explanation.values, expected, rtol=1e-5)
    np.testing.assert_array_equal(explanation.token_values, explanation.values[..., None])
    np.testing.assert_allclose(explanation.values.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(explanation.probabilities, probabilities, atol=1e-5)
    np.testing.assert_array_equal(explanation.predictions, fitted.predict(X))


@pytest.mark.parametrize(
    "options", [{}, {"head_fusion": "max", "convention": "eeg-transformer"}], ids=["", "original"]
)
def test_values_of_the_original_are_the_normalised_class_row(original, simulated, options):
    X, y, _, _ = simulated
    explanation = AttentionExplainer(**options).explain(original, X, y)
    with record_attention(original) as attention:
        probabilities = original.predict_proba(X)
    row = attention_rollout(attention.values(), output="class", **options).double().numpy()
    row /= row.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(explanation.token_values, row.reshape(len(y), 61, 2), rtol=1e-4)
    np.testing.assert_allclose(explanation.probabilities, probabilities, atol=1e-5)
    assert explanation.parts == ("0.00-1.00 s", "1.00-2.00 s")
    top = explanation.ch_names[explanation.feature_importances_.argmax()]
    assert f"120 epochs, 61 channels x 2 temporal tokens, most on {top}" in repr(explanation)
    means = explanation.part_means()
    np.testing.assert_allclose(means["1.00-2.00 s"], explanation.token_values[:, :, 1].mean(axis=0))


def test_channels_are_those_that_reach_the_classifier(fitted, simulated, explanation):
    X, y, _, _ = simulated
    kept = [name for name in X.ch_names if name not in RIM]
    expected = [X.info["chs"][X.ch_names.index(name)]["loc"][:3] for name in kept]
    shuffled = X.copy().reorder_channels(X.ch_names[::-1])
    by_name = AttentionExplainer().explain(fitted, shuffled, y, info=shuffled.info)
    for found in (explanation, by_name):
        assert found.ch_names == kept
        np.testing.assert_array_equal(found.positions, expected)
        np.testing.assert_allclose(found.values, explanation.values)


def test_class_means_and_importances(explanation):
    importances = explanation.feature_importances_
    np.testing.assert_allclose(importances, explanation.values.mean(axis=0))
    assert importances.sum() == pytest.approx(1.0)
    unknown = replace(explanation, y=None)
    for one, labels in ((explanation, explanation.y), (unknown, explanation.predictions)):
        found = one.class_means()
        assert set(found) == set(labels)
        assert {type(label) for label in found} == {str}  # and not np.str_, which shows
        for label, mean in found.items():
            np.testing.assert_allclose(mean, explanation.values[labels == label].mean(axis=0))
    with pytest.raises(ValueError, match="pass y to explain"):
        unknown.select(correct=True)
    # What speaks for a class in its epochs, and against it in the others, does not cancel.
    values = np.random.default_rng(0).normal(size=explanation.token_values.shape)
    values[:, 7, 0] = np.where(explanation.y == "left", 20.0, -20.0)
    signed = replace(explanation, method="integrated-gradients", token_values=values)
    expected = np.abs(signed.values).mean(axis=0)
    np.testing.assert_allclose(signed.feature_importances_, expected / expected.sum())
    assert f"most on {explanation.ch_names[7]}" in repr(signed)


def test_arrays_have_no_positions_until_they_are_given(simulated):
    X, y, _, _ = simulated
    data = X.get_data(units="uV")
    classifier = EEGTransformerClassifier(**SMALL, max_epochs=1, sfreq=160.0)
    classifier.fit(data, y)
    explanation = AttentionExplainer().explain(classifier, data, y)
    assert explanation.ch_names is explanation.positions is None
    with pytest.raises(ValueError, match="A head needs at least 3 electrodes"):
        explanation.plot_topomap()
    explanation = AttentionExplainer().explain(classifier, data, y, info=X.info)
    assert explanation.ch_names == X.ch_names
    explanation.plot_topomap()
    with pytest.raises(ValueError, match="info has 63 channels, but 64 reach the classifier"):
        AttentionExplainer().explain(classifier, data, info=X.copy().drop_channels(["Iz"]).info)


def test_the_best_of_a_search_and_a_frozen_classifier_are_explained(fitted, simulated):
    X, explain = simulated[0], AttentionExplainer().explain
    search = GridSearchCV(fitted, {"eegtransformerclassifier__max_epochs": [5]}, cv=2)
    found = explain(search.fit(X, simulated[1]), X)
    np.testing.assert_allclose(found.values, explain(fitted, X).values, rtol=1e-5)
    with pytest.raises(NotFittedError):
        explain(EEGTransformerClassifier(), X)
    frozen = make_pipeline(fitted[:-1], FrozenEstimator(fitted[-1]))
    nested = make_pipeline("passthrough", make_pipeline("passthrough", fitted))
    for estimator in (frozen, nested):
        np.testing.assert_array_equal(explain(estimator, X).values, explain(fitted, X).values)


def _by_channel(tokens):
    return tokens[:, 1:, 1:].numpy().reshape(len(tokens), 61, 2, 61, 2).sum(axis=4).mean(axis=2)


def test_connections_are_what_two_channels_give_to_the_same_sources(explanation, fitted, simulated):
    """A share of a source goes to each pair of channels, so that rows add up to the values."""
    with record_attention(fitted) as attention:
        fitted.predict(simulated[0])
    values = attention.values().within_subjects(simulated[2]["subject"])
    of_sources, of_channels = values.source_shares.numpy(), values.channel_shares.numpy()
    expected = np.zeros_like(explanation.connections)
    for image in range(of_sources.shape[1]):
        for source in range(of_sources.shape[2]):
            shares = of_channels[image, source]
            share = of_sources[:, image, source, None, None]
            expected += share * np.outer(shares, shares)
    np.testing.assert_allclose(explanation.connections, expected, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(explanation.connections.sum(axis=2), explanation.values, rtol=1e-4)
    assert not explanation.plot_connections().directed_
    assert AttentionExplainer().explain(fitted, *simulated[:2]).connections is None


def test_connections_of_the_original_come_from_the_rollout(original, simulated):
    explanation = AttentionExplainer(connections=True).explain(original, *simulated[:2])
    with record_attention(original) as attention:
        original.predict(simulated[0])
    weights = attention.values()
    # The rows of channels in the last block are read by nobody.
    before = _by_channel(attention_rollout(weights[:, :-1]))
    np.testing.assert_allclose(explanation.connections, before, rtol=1e-4)
    assert explanation.plot_connections().directed_
    explainer = AttentionExplainer(connections=True, convention="eeg-transformer")
    every = explainer.explain(original, *simulated[:2]).connections
    full = _by_channel(attention_rollout(weights, convention="eeg-transformer"))
    np.testing.assert_allclose(every, full, rtol=1e-4)
    plain = AttentionExplainer().explain(original, *simulated[:2])
    np.testing.assert_allclose(explanation.values, plain.values, rtol=1e-5)
    assert plain.connections is None


def test_what_no_channel_decides_by_is_no_connection(simulated):
    """With a single block whatever channels take from each other is read by nobody."""
    X, y, _, _ = simulated
    few = X[:20].copy().pick(["C3", "Cz", "C4", "Oz"])
    one = _original(n_layers=1, n_time_tokens=1, max_epochs=1).fit(few, y[:20])
    for method in ("rollout", "gradient-rollout"):
        with pytest.raises(ValueError, match="with a single block .* train with n_layers=2 or mo"):
            AttentionExplainer(method, connections=True).explain(one, few)
    options = {"connections": True, "convention": "eeg-transformer"}
    assert AttentionExplainer(**options).explain(one, few).connections.shape == (20, 4, 4)
    # Of two blocks, gradients as well say that the second one's channels are not read.
    deep = _original(n_layers=2, n_time_tokens=1, max_epochs=1).fit(few, y[:20])
    explainer = AttentionExplainer("gradient-rollout", connections=True)
    explanation = explainer.explain(deep, few, y[:20])
    codes = np.searchsorted(deep.classes_, explanation.targets)
    weights, gradients = attention_gradients(
        deep.net_.module_,
        torch.from_numpy(explanation.source.data),
        lambda logits: log_odds(logits, torch.from_numpy(codes)),
    )
    first = gradient_rollout(weights[:, :1], gradients[:, :1])[:, 1:, 1:]
    np.testing.assert_allclose(explanation.connections, first, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "method", ["rollout", "gradient-rollout", "integrated-gradients", "occlusion", "permutation"]
)
def test_adapted_classifiers_are_explained_as_they_predict(method, simulated):
    """Those of whom `fit` knows the mean, and those whose mean is that of the epochs given."""
    X, y, metadata, _ = simulated
    X = X.copy().pick(["C3", "Cz", "C4", "Oz"])
    subjects = metadata["subject"].to_numpy()
    known = subjects <= 2
    classifier = EEGTransformerClassifier(**SMALL, adapt=True, max_epochs=3)
    classifier.fit(X[known], y[known])
    explainer = AttentionExplainer(method, n_repeats=1, random_state=0)
    explanation = explainer.explain(classifier, X, y)
    np.testing.assert_allclose(explanation.probabilities, classifier.predict_proba(X), atol=1e-5)
    told = explainer.explain(classifier, without_metadata(X), y, groups=subjects)
    np.testing.assert_array_equal(told.values, explanation.values)
    # Of whom else there is an epoch does not matter; who somebody is does.
    alone = explainer.explain(classifier, X[subjects == 3], y[subjects == 3])
    if method not in ("occlusion", "permutation"):  # which draw other epochs
        np.testing.assert_allclose(
            alone.values, explanation.values[subjects == 3], rtol=1e-3, atol=1e-5
        )
    other = explainer.explain(classifier, X, y, groups=np.where(known, 3 - subjects, subjects))
    changed = np.abs(other.values - explanation.values)[known].max()
    # Rollout compares epochs with those of the same subject, so that its mean has no part in it.
    assert changed < 1e-6 if method == "rollout" else changed > 1e-4
    assert sorted(classifier.subject_means_) == [1, 2]


def test_groups_reach_alignment_by_routing(simulated):
    X, y, groups = without_metadata(simulated[0]), simulated[1], simulated[2]["subject"]
    with config_context(enable_metadata_routing=True):
        alignment = EuclideanAlignment().set_fit_request(groups=True)
        alignment.set_transform_request(groups=True)
        classifier = EEGTransformerClassifier(**SMALL, max_epochs=1).set_fit_request(groups=True)
        pipeline = make_pipeline(alignment, classifier).fit(X, y, groups=groups)
        explanation = AttentionExplainer().explain(pipeline, X, y, groups=groups)
        expected = pipeline.predict_proba(X, groups=groups)
    np.testing.assert_allclose(explanation.probabilities, expected, atol=1e-5)


def test_select_keeps_what_belongs_together(explanation):
    correct = explanation.predictions == explanation.y
    sure = explanation.confidences >= 0.52
    label = explanation.y[correct & sure][0]
    found = explanation.select(correct=True, min_confidence=0.52, label=label)
    mask = correct & sure & (explanation.y == label)
    assert 0 < mask.sum() < len(explanation)
    for name in ("token_values", "subjects", "connections"):
        np.testing.assert_array_equal(getattr(found, name), getattr(explanation, name)[mask])
    np.testing.assert_array_equal(found.source.data, explanation.source.data[mask])
    assert set(explanation.select(subject=2).subjects) == {2}
    order = [17, 3, 3, -1]
    for chosen in (explanation.select(order), explanation.select(range(18)).select(order[:3])):
        some = order[: len(chosen)]
        np.testing.assert_array_equal(chosen.values, explanation.values[some])
        np.testing.assert_array_equal(chosen.source.data, explanation.source.data[some])
    assert len(explanation.select(slice(2, 5))) == 3


def test_what_was_explained_stays_as_it_was(simulated):
    X, y, _, _ = simulated
    few = X[:30].copy().pick(["C3", "Cz", "C4", "Oz"])
    classifier = EEGTransformerClassifier(max_epochs=1, random_state=0).fit(few, y[:30])
    explained = AttentionExplainer().explain(classifier, few).source.classifier
    before, n_epochs = explained.predict_proba(few), len(classifier.history_)
    classifier.fine_tune(few, y[:30], lr=1e-2)
    assert np.abs(classifier.predict_proba(few) - before).max() > 1e-3
    assert len(explained.history_) == n_epochs < len(classifier.history_)
    classifier.fit(few[:20], y[:20])
    np.testing.assert_array_equal(explained.predict_proba(few), before)


def test_explanations_of_several_folds_are_joined(fitted, simulated, explanation):
    X, y, _, _ = simulated
    explainer = AttentionExplainer()
    parts = [explainer.explain(fitted, X[:60], y[:60]), explainer.explain(fitted, X[60:], y[60:])]
    joined = concatenate_explanations(parts)
    np.testing.assert_allclose(joined.values, explanation.values, rtol=1e-5)
    np.testing.assert_array_equal(joined.subjects, explanation.subjects)
    assert joined.source is None
    assert joined.settings["n_models"] == 1


def _fitted(case):
    X, y, metadata, truth = make_simulated_eeg(case=case, random_state=0)
    subjects = metadata["subject"].to_numpy()
    train = subjects <= 6
    classifier = EEGTransformerClassifier(max_epochs=20, random_state=0).fit(X[train], y[train])
    data = X[~train].get_data(units="uV").astype(np.float32)
    explanation = AttentionExplainer().explain(classifier, data, groups=subjects[~train])
    return classifier, explanation, truth


@pytest.fixture(scope="module")
def suppressed():
    return _fitted("suppressor")


def test_patterns_are_where_sources_are_seen_and_filters_where_heads_listen(suppressed):
    """The suppressors help to see the rhythms, which are not seen there."""
    _, explanation, truth = suppressed
    found, frequency = explanation.patterns(n_sources=4), truth.subjects["frequency"].mean()
    assert np.all(np.diff(found.shares) <= 0)
    for source in range(4):
        gain = truth.gain.loc[found.classes[source]]
        pattern = np.abs(found.patterns[source])
        assert np.corrcoef(pattern, gain)[0, 1] > 0.8
        assert found.tokens[source] == "log power"
        assert found.weights[source, 0].sum() > 0
        assert abs(found.frequencies[found.responses[source].argmax()] - frequency) < 5
        assert abs(found.frequencies[found.spectra[source].argmax()] - frequency) < 1
        assert found.patterns[source].max() == pattern.max()
        electrodes = truth.electrodes[found.classes[source]]
        helps = [truth.suppressed.get(name) in electrodes for name in truth.ch_names]
        weights = np.abs(found.filters[source])
        listens = weights[helps].max() / weights.max()
        assert listens > 2 * pattern[helps].max() / pattern.max()


def test_potentials_are_told_by_the_mean():
    _, explanation, truth = _fitted("phase-locked")
    found = explanation.patterns(n_sources=4)
    assert list(found.tokens) == 4 * ["mean"]
    gains = truth.gain.loc[found.classes].to_numpy()
    pairs = zip(np.abs(found.patterns), gains, strict=True)
    assert np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]) > 0.7


def test_filters_and_patterns_number_by_number(suppressed):
    """The kernel is spatial times temporal filter; patterns covary with what it gathers."""
    classifier, explanation, _ = suppressed
    few = explanation.select(range(6))
    data, found = few.source.data, few.patterns(n_sources=3)
    network = classifier.net_.module_
    assert np.all((found.fits > 0.5) & (found.fits <= 1))
    kernels = network.kernel()[: network.n_sources].detach().double().numpy()
    kernels /= np.sqrt(network.source_power.double().numpy())[:, None, None]
    scale = network.scale.double().numpy()[:, 0]
    for source in range(3):
        spatial = found.filters[source] / scale
        error = []
        for kernel in kernels:  # which one it is, is not told
            temporal = spatial @ kernel / (spatial @ spatial)
            rest = kernel - np.outer(spatial, temporal)
            error.append(((rest**2).sum() / (kernel**2).sum(), kernel, temporal))
        rest, kernel, temporal = min(error, key=lambda one: one[0])
        assert rest == pytest.approx(1 - found.fits[source], abs=1e-4)
        response = np.abs(np.fft.rfft(temporal, 256))
        np.testing.assert_allclose(found.responses[source], response, atol=1e-3)

        signal = network.prepare(torch.from_numpy(data)).double().numpy() / scale[:, None]
        same = [[correlate(x, temporal, "same") for x in epoch] for epoch in signal]
        gathered = [
            sum(correlate(x * s, k, "same") for x, s, k in zip(epoch, scale, kernel, strict=True))
            for epoch in signal
        ]
        gathered = np.array(gathered) - np.mean(gathered, axis=1, keepdims=True)
        pattern = np.einsum("ect,et->c", same, gathered) / gathered.size / gathered.std()
        sign = np.sign(pattern @ found.patterns[source])
        np.testing.assert_allclose(found.patterns[source], sign * pattern, rtol=1e-3, atol=1e-3)


def test_weights_are_those_of_the_class_token(suppressed):
    classifier, explanation, _ = suppressed
    found = explanation.patterns(n_sources=40)
    network = classifier.net_.module_
    weights = (network.class_weight[1] - network.class_weight[0]).detach().numpy()
    weights = weights.swapaxes(0, 1) / network.n_groups * network.gains.numpy()[:, None]
    sign = np.where(found.classes == "right", 1, -1)
    shown = np.abs(found.weights * sign[:, None, None])
    # As a set: sources come in another order.
    np.testing.assert_allclose(np.sort(shown.ravel()), np.sort(np.abs(weights).ravel()), rtol=1e-4)
    assert found.shares.sum() == pytest.approx(1, rel=1e-5)
    assert str(found).startswith("40 sources, with their shares of the attention:\n  ")
    assert len(found.times) == network.n_windows
    assert found.times[0] == pytest.approx((network.window - 1) / 2 / network.rate)


def test_times_are_those_of_the_epochs(suppressed):
    classifier, explanation, _ = suppressed
    data = 1e-6 * explanation.source.data[:2]
    X = mne.EpochsArray(data, classifier.info_, tmin=-0.2, verbose="ERROR")
    times = explanation.patterns(n_sources=1).times - 0.2
    for epochs in (X, [X[:1], X[1:]], (X[:1], X[1:])):  # as scikit-learn takes Epochs apart
        later = AttentionExplainer().explain(classifier, epochs).patterns(n_sources=1)
        np.testing.assert_allclose(later.times, times)


def test_figures_of_patterns_and_what_has_none(suppressed):
    _, explanation, _ = suppressed
    expected = explanation.patterns(n_sources=2)
    first, _ = explanation.plot_patterns(2)
    np.testing.assert_array_equal(first[2].lines[1].get_ydata(), expected.spectra[0])
    title = f"{100 * expected.shares[0]:.0f} %, log power\nfor {expected.classes[0]}"
    assert first[0].texts[-1].get_text() == title
    with pytest.raises(ValueError, match="Patterns are computed from the model and its epochs"):
        replace(explanation, source=None).patterns()
    X = explanation.source.data[:8, :3]
    original = OriginalTransformerClassifier(max_epochs=1, n_time_tokens=1, random_state=0)
    original.fit(X, [0, 1] * 4)
    with pytest.raises(TypeError, match="OriginalTransformer has no sources"):
        AttentionExplainer().explain(original, X).patterns()
