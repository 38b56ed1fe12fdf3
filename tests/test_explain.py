"""Explanations against the attention they are made of, and against known truth."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skeegformer import (
    AttentionExplainer,
    ChannelDropper,
    EEGTransformerClassifier,
    attention_rollout,
    make_eeg_pipeline,
    record_attention,
)


@pytest.fixture(scope="module")
def fitted(simulated):
    X, y, _, _ = simulated
    return make_eeg_pipeline(
        n_time_tokens=2, embed_dim=16, max_epochs=5, random_state=0, batch_size=32
    ).fit(X, y)


def test_values_are_the_normalised_class_row(fitted, simulated):
    X, y, _, _ = simulated
    explanation = AttentionExplainer().explain(fitted, X, y)
    with record_attention(fitted) as attention:
        probabilities = fitted.predict_proba(X)
    row = attention_rollout(attention.values(), output="class").double().numpy()
    row /= row.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(explanation.token_values, row.reshape(len(y), 61, 2), rtol=1e-5)
    np.testing.assert_allclose(explanation.values, row.reshape(len(y), 61, 2).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(explanation.values.sum(axis=1), 1.0)
    np.testing.assert_allclose(explanation.probabilities, probabilities, atol=1e-6)
    np.testing.assert_array_equal(explanation.predictions, fitted.predict(X))


def test_channels_are_those_that_reach_the_classifier(fitted, simulated):
    X, y, _, _ = simulated
    explanation = AttentionExplainer().explain(fitted, X, y)
    kept = [name for name in X.ch_names if name not in ("T9", "T10", "Iz")]
    assert explanation.ch_names == kept
    expected = [X.info["chs"][X.ch_names.index(name)]["loc"][:3] for name in kept]
    np.testing.assert_array_equal(explanation.positions, expected)


def test_class_means_and_importances(fitted, simulated):
    X, y, _, _ = simulated
    explanation = AttentionExplainer().explain(fitted, X, y)
    means = explanation.class_means()
    assert set(means) == set(y)
    for label, mean in means.items():
        np.testing.assert_allclose(mean, explanation.values[y == label].mean(axis=0))
    importances = explanation.feature_importances_
    np.testing.assert_allclose(importances, explanation.values.mean(axis=0))
    assert importances.sum() == pytest.approx(1.0)
    predicted = explanation.class_means(labels="predicted")
    mask = fitted.predict(X) == y[0]
    np.testing.assert_allclose(predicted[y[0]], explanation.values[mask].mean(axis=0))


def test_without_labels_predictions_stand_in(fitted, simulated):
    X, _, _, _ = simulated
    explanation = AttentionExplainer().explain(fitted, X)
    for label, mean in explanation.class_means().items():
        mask = explanation.predictions == label
        np.testing.assert_allclose(mean, explanation.values[mask].mean(axis=0))
    with pytest.raises(ValueError, match="pass y to explain"):
        explanation.class_means(labels="true")
    with pytest.raises(ValueError, match="labels='best' is not"):
        explanation.class_means(labels="best")


def test_attention_goes_to_the_channels_that_carry_the_class():
    """Independent channels, all equally loud; one of them has the rhythm of the class."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 150)
    X = rng.normal(size=(300, 8, 160))
    phase = rng.uniform(0, 2 * np.pi, (300, 1))
    X[:, 5] += 2 * y[:, None] * np.sin(2 * np.pi * 10 * np.arange(160) / 160 + phase)
    X /= X.std(axis=2, keepdims=True)
    classifier = EEGTransformerClassifier(max_epochs=20, sfreq=160.0, random_state=0)
    classifier.fit(X[:200], y[:200])
    assert classifier.score(X[200:], y[200:]) > 0.95
    explanation = AttentionExplainer().explain(classifier, X[200:])
    assert explanation.feature_importances_.argmax() == 5
    assert explanation.feature_importances_[5] > 1.3 / 8


def test_best_estimator_of_a_search(simulated):
    X, y, _, _ = simulated
    pipeline = make_pipeline(
        ChannelDropper(["Iz"]), EEGTransformerClassifier(max_epochs=1, random_state=0)
    )
    search = GridSearchCV(pipeline, {"channeldropper__ch_names": [["Iz"], ["Cz"]]}, cv=2).fit(X, y)
    explanation = AttentionExplainer().explain(search, X)
    assert len(explanation.ch_names) == 63


def test_arrays_have_no_positions_until_they_are_given(simulated):
    X, y, _, _ = simulated
    data = X.get_data(units="uV")
    classifier = EEGTransformerClassifier(max_epochs=1, embed_dim=16, sfreq=160.0, random_state=0)
    classifier.fit(data, y)
    explanation = AttentionExplainer().explain(classifier, data, y)
    assert explanation.ch_names is None
    assert explanation.positions is None
    with pytest.raises(ValueError, match="A topomap needs electrode positions"):
        explanation.plot_topomap()
    explanation = AttentionExplainer().explain(classifier, data, y, info=X.info)
    assert explanation.ch_names == X.ch_names
    explanation.plot_topomap()
    with pytest.raises(ValueError, match="info has 63 channels, but 64 reach the classifier"):
        AttentionExplainer().explain(classifier, data, info=X.copy().drop_channels(["Iz"]).info)


def test_convention_of_the_original(fitted, simulated):
    X, _, _, _ = simulated
    options = {"head_fusion": "max", "convention": "eeg-transformer"}
    explanation = AttentionExplainer(**options).explain(fitted, X)
    with record_attention(fitted) as attention:
        fitted.predict(X)
    row = attention_rollout(attention.values(), output="class", **options).double().numpy()
    np.testing.assert_allclose(
        explanation.values,
        (row / row.sum(axis=1, keepdims=True)).reshape(len(row), 61, 2).sum(-1),
        rtol=1e-4,
    )


def test_repr_names_the_top_channels(fitted, simulated):
    X, _, _, _ = simulated
    explanation = AttentionExplainer().explain(fitted, X)
    top = explanation.ch_names[explanation.feature_importances_.argmax()]
    assert f"120 epochs, 61 channels x 2 temporal tokens, most on {top}" in repr(explanation)


def test_info_is_matched_by_name(fitted, simulated):
    X, y, _, _ = simulated
    expected = AttentionExplainer().explain(fitted, X, y)
    shuffled = X.copy().reorder_channels(X.ch_names[::-1])
    found = AttentionExplainer().explain(fitted, shuffled, y, info=shuffled.info)
    assert found.ch_names == expected.ch_names
    np.testing.assert_array_equal(found.positions, expected.positions)
    np.testing.assert_allclose(found.values, expected.values)


def test_what_cannot_be_explained(fitted, simulated):
    X, y, _, _ = simulated
    with pytest.raises(NotFittedError):
        AttentionExplainer().explain(EEGTransformerClassifier(), X)
    with pytest.raises(TypeError, match="A EEGTransformer cannot be explained"):
        AttentionExplainer().explain(fitted[-1].net_.module_, X)
    with pytest.raises(ValueError, match="y holds 'up', which is none of the classes"):
        AttentionExplainer().explain(fitted, X, np.where(y == "left", "up", y))
    with pytest.raises(TypeError, match="info is a str"):
        AttentionExplainer().explain(fitted, X, info="C3")


def test_bad_input(fitted, simulated):
    X, y, _, _ = simulated
    with pytest.raises(ValueError, match="method='magic' is not one of 'rollout'"):
        AttentionExplainer(method="magic").explain(fitted, X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        AttentionExplainer().explain(fitted, X, y[:-1])
