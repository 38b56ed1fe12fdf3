"""The classifier: training, labels, groups, seeds, and what it refuses."""

import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from skorch.callbacks import EpochScoring

from skeegformer import EEGTransformerClassifier, attention_rollout, record_attention


def _make(**params):
    options = {"embed_dim": 16, "n_layers": 1, "max_epochs": 5, "random_state": 0, "sfreq": 160.0}
    return EEGTransformerClassifier(**(options | params))


@pytest.fixture(scope="module")
def toy():
    """Two channels; the first has a 10 Hz rhythm in class 1."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 60)
    X = rng.normal(size=(120, 2, 160))
    phase = rng.uniform(0, 2 * np.pi, (120, 1))
    X[:, 0] += 2 * y[:, None] * np.sin(2 * np.pi * 10 * np.arange(160) / 160 + phase)
    return X, y, np.repeat(np.arange(6), 20)


def test_learns_a_rhythm_on_unseen_epochs(toy):
    X, y, _ = toy
    classifier = _make(max_epochs="auto").fit(X[:80], y[:80])
    assert balanced_accuracy_score(y[80:], classifier.predict(X[80:])) > 0.95
    losses = classifier.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


def test_learns_a_waveform_on_unseen_epochs(toy):
    """The same power in both classes; only the sign of a slow wave tells them apart."""
    X, y, _ = toy
    rng = np.random.default_rng(1)
    X = rng.normal(size=X.shape)
    X[:, 1] += np.where(y, 1.0, -1.0)[:, None] * np.sin(2 * np.pi * np.arange(160) / 160)
    classifier = _make(max_epochs="auto").fit(X[:80], y[:80])
    assert balanced_accuracy_score(y[80:], classifier.predict(X[80:])) > 0.95


@pytest.mark.parametrize("n_epochs, passes", [(10, 200), (120, 150), (1000, 20)])
def test_automatic_number_of_passes(toy, n_epochs, passes):
    """600 training steps, but neither too few nor too many passes."""
    X, y, _ = toy
    rows = np.arange(n_epochs) % len(X)
    classifier = _make(max_epochs="auto", embed_dim=4, n_heads=1)
    assert len(classifier.fit(X[rows, :, :20], y[rows]).history_) == passes


@pytest.mark.parametrize(
    "labels",
    [np.array(["left", "right"]), np.array([7, -3]), np.array([True, False]), np.array([1.0, 2.0])],
)
def test_labels_of_any_type(toy, labels):
    X, y, _ = toy
    classifier = _make().fit(X, labels[y])
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    predicted = classifier.predict(X)
    assert predicted.dtype == labels.dtype
    assert set(predicted) <= set(labels)


def test_probabilities_decisions_and_predictions_agree(toy):
    X, y, _ = toy
    classifier = _make().fit(X, np.where(np.arange(120) < 20, 2, y))
    probabilities = classifier.predict_proba(X)
    logits = classifier.decision_function(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        probabilities, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-4
    )
    np.testing.assert_array_equal(
        classifier.predict(X), classifier.classes_[probabilities.argmax(axis=1)]
    )
    binary = _make().fit(X, y)
    odds = binary.predict_proba(X)
    np.testing.assert_allclose(
        binary.decision_function(X), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-3, atol=1e-4
    )


def test_equal_seeds_give_equal_weights_to_the_bit(toy):
    X, y, _ = toy
    options = {"noise": 0.1, "token_drop_prob": 0.1, "shuffle_tokens": "all"}
    first, second, other = (
        _make(random_state=seed, **options).fit(X, y).net_.module_.state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embed.weight"], other["embed.weight"])


def test_global_random_states_are_left_alone(toy):
    X, y, _ = toy
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    _make().fit(X, y).predict(X)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_scores_do_not_depend_on_the_unit(toy, unit):
    X, y, _ = toy
    expected = _make().fit(X, y).predict_proba(X)
    found = _make().fit(X * unit, y).predict_proba(X * unit)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_fit_changes_no_parameter_and_no_data(toy):
    X, y, groups = toy
    classifier = _make(callbacks=[EpochScoring("accuracy", name="acc")], early_stopping=True)
    before, X_before = {**classifier.get_params()}, X.copy()
    classifier.fit(X, y, groups=groups)
    assert before == classifier.get_params()
    np.testing.assert_array_equal(X, X_before)
    assert "acc" in classifier.history_[-1]


def test_epochs_give_the_same_as_their_microvolts(simulated):
    X, y, _, _ = simulated
    epochs = _make(sfreq=None).fit(X, y)
    array = _make(sfreq=X.info["sfreq"]).fit(X.get_data(units="uV"), y)
    np.testing.assert_array_equal(
        epochs.predict_proba(X), array.predict_proba(X.get_data("eeg", units="uV"))
    )
    assert list(epochs.feature_names_in_) == X.ch_names
    assert epochs.n_features_in_ == array.n_features_in_ == 64
    assert epochs.sfreq_ == 160.0


def test_channels_in_another_order_are_put_right(simulated):
    X, y, _, _ = simulated
    classifier = _make(sfreq=None).fit(X, y)
    shuffled = X.copy().reorder_channels(X.ch_names[::-1])
    np.testing.assert_array_equal(classifier.predict_proba(X), classifier.predict_proba(shuffled))


def test_feature_importances_are_the_mean_rollout(toy):
    X, y, _ = toy
    for n_time_tokens in (1, 3):
        classifier = _make(n_time_tokens=n_time_tokens).fit(X, y)
        importances = classifier.feature_importances_
        assert importances.shape == (2,)
        assert (importances >= 0).all()
        assert importances.sum() == pytest.approx(1.0)
        with record_attention(classifier) as attention:
            classifier.predict(X)
        row = attention_rollout(attention.values(), output="class").numpy().mean(axis=0)
        expected = row.reshape(2, n_time_tokens).sum(axis=1)
        np.testing.assert_allclose(importances, expected / expected.sum(), rtol=1e-5)


def test_early_stopping_holds_out_whole_groups(toy):
    X, y, groups = toy
    classifier = _make(early_stopping=True, validation_fraction=0.34).fit(X, y, groups=groups)
    held_out = classifier.net_.train_split.keywords["valid_ds"].X
    sums = {float(np.float32(epoch.sum())) for epoch in held_out}
    group_of = [
        g
        for epoch, g in zip(X.astype(np.float32), groups, strict=True)
        if float(np.float32(epoch.sum())) in sums
    ]
    assert len(held_out) == 60
    assert all(group_of.count(group) == 20 for group in set(group_of))


def test_early_stopping_stops_and_returns_to_the_best_weights(toy):
    X, y, groups = toy
    rng = np.random.default_rng(0)
    y = rng.permutation(y)  # nothing to learn: the held-out loss soon rises
    classifier = _make(early_stopping=True, max_epochs=200, lr=1e-2, n_iter_no_change=3)
    classifier.fit(X, y, groups=groups)
    history = classifier.history_
    assert len(history) < 200
    dataset = classifier.net_.train_split.keywords["valid_ds"]
    logits = classifier.net_.forward(dataset.X)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(dataset.y)).item()
    assert loss == pytest.approx(min(history[:, "valid_loss"]), rel=1e-4)


def test_early_stopping_without_groups_keeps_the_classes(toy):
    X, y, _ = toy
    classifier = _make(early_stopping=True, validation_fraction=0.1).fit(X, y)
    assert np.bincount(classifier.net_.train_split.keywords["valid_ds"].y).tolist() == [6, 6]


def test_early_stopping_refuses_a_single_group(toy):
    X, y, _ = toy
    with pytest.raises(ValueError, match="holds out whole groups, but groups holds only 's1'"):
        _make(early_stopping=True).fit(X, y, groups=np.full(len(y), "s1"))


def test_class_weight_moves_the_decision(toy):
    X, y, _ = toy
    X = np.random.default_rng(0).normal(size=X.shape)
    shares = [
        (_make(class_weight=weight, max_epochs=40).fit(X, y).predict(X) == 1).mean()
        for weight in ({0: 20, 1: 1}, {0: 1, 1: 20})
    ]
    assert shares[0] < 0.2
    assert shares[1] > 0.8


def test_learning_rate_warms_up_and_comes_down(toy):
    X, y, _ = toy
    classifier = _make(max_epochs=10, warmup=0.2, batch_size=60, lr=1.0e-3).fit(X, y)
    rates = np.ravel(classifier.history_[:, "batches", :, "event_lr"])
    assert rates.argmax() in (3, 4)
    assert rates.max() == pytest.approx(1e-3)
    assert rates[-1] < 0.02 * rates.max()
    flat = _make(warmup=0.0, lr_schedule="constant").fit(X, y)
    assert set(np.ravel(flat.history_[:, "batches", :, "event_lr"])) == {1e-3}


def test_pickle_and_clone(toy):
    X, y, _ = toy
    classifier = _make(verbose=1).fit(X, y)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert not hasattr(clone(classifier), "net_")


def test_verbose(toy, capsys):
    X, y, _ = toy
    _make(verbose=0).fit(X, y)
    silent = capsys.readouterr()
    assert silent.out == silent.err == ""
    _make(verbose=1).fit(X, y)
    bar = capsys.readouterr()
    assert "training: 100%" in bar.err
    assert "train_loss" in bar.err
    assert bar.out == ""
    _make(verbose=2).fit(X, y)
    assert re.search(r"epoch +train_loss", capsys.readouterr().out)


def test_grid_search_and_cross_validation_on_epochs(simulated):
    X, y, metadata, _ = simulated
    search = GridSearchCV(
        _make(sfreq=None, max_epochs=1),
        {"n_layers": [1, 2]},
        cv=GroupKFold(2),
    ).fit(X, y, groups=metadata["subject"])
    assert search.best_estimator_.predict(X).shape == y.shape
    scores = cross_val_score(
        _make(sfreq=None, max_epochs=1), X, y, groups=metadata["subject"], cv=GroupKFold(2)
    )
    assert scores.shape == (2,)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"max_epochs": 0}, "max_epochs=0 has to be a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size=2.5 has to be a whole number"),
        ({"drop_prob": 1.0}, r"drop_prob=1.0 has to lie in \[0, 1\)"),
        ({"lr": float("nan")}, "lr=nan has to be a finite number"),
        ({"lr_schedule": "linear"}, "lr_schedule='linear' is not"),
        ({"tokenizer": "words"}, "tokenizer='words' is not one of"),
        ({"n_heads": 3}, "n_heads=3 does not divide"),
    ],
)
def test_bad_parameters(toy, params, message):
    X, y, _ = toy
    with pytest.raises(ValueError, match=message):
        _make(**params).fit(X, y)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda X: X[:, :1],
            "X has 1 channels, but this EEGTransformerClassifier was fitted with 2",
        ),
        (lambda X: X[..., :100], "X has 100 samples an epoch, but .* was fitted with 160"),
        (lambda X: np.where(X > 2, np.nan, X), "X contains NaN in .* of 120 epochs"),
        (lambda X: X[:0], "X is empty"),
        (lambda X: X + 1j, "Complex data not supported"),
        (lambda X: X[..., None], r"shape \(120, 2, 160, 1\), but epochs are"),
    ],
)
def test_bad_input_at_predict(toy, change, message):
    X, y, _ = toy
    classifier = _make(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=message):
        classifier.predict(change(X))


def test_labels_and_groups_have_to_fit(toy):
    X, y, groups = toy
    with pytest.raises(ValueError, match="X has 120 epochs, y has 119 labels"):
        _make().fit(X, y[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        _make().fit(X, y, groups=groups[:-1])
