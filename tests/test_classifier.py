"""The classifier: training, labels, groups, seeds, and what it refuses."""

import pickle
import re
import signal
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from skorch.callbacks import Callback

from skeegformer import AttentionExplainer, EEGTransformerClassifier
from skeegformer.classifier import _statistics
from skeegformer.training._net import GroupCrossEntropy


def _make(**params):
    options = {"n_groups": 1, "n_heads": 4, "max_epochs": 5, "random_state": 0, "sfreq": 160.0}
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


@pytest.mark.parametrize("what", ["rhythm", "waveform"])
def test_learns_on_unseen_epochs(toy, what):
    """Of a waveform, only the sign of a slow wave of the same power tells the classes apart."""
    X, y, _ = toy
    if what == "waveform":
        X = np.random.default_rng(1).normal(size=X.shape)
        X[:, 1] += np.where(y, 1.0, -1.0)[:, None] * np.sin(2 * np.pi * np.arange(160) / 160)
    classifier = _make(max_epochs="auto").fit(X[:80], y[:80])
    assert balanced_accuracy_score(y[80:], classifier.predict(X[80:])) > 0.95
    losses = classifier.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("told_by", ["power", "mean", "nothing"])
def test_tokens_that_tell_nothing_are_quiet(told_by):
    """Of 200 epochs, chance explains about 1 % of the variance of classes."""
    rng = np.random.default_rng(2)
    y = np.tile([0, 1], 100)
    X = rng.normal(size=(200, 8, 160))
    if told_by == "power":
        X[:, 0] *= np.where(y, 1.2, 0.8)[:, None]
    elif told_by == "mean":
        X[:, 0] += 0.5 * np.where(y, 1, -1)[:, None] * np.hanning(160)
    network = _make(max_epochs=1).fit(X, y).net_.module_
    powers, means = network.gains.tolist()
    assert max(powers, means) == 1.0
    if told_by == "nothing":
        assert min(powers, means) > 0.4
    else:
        assert (powers if told_by == "mean" else means) < 0.2
    again = _make(max_epochs=1).fit(1000 * X, y).net_.module_
    torch.testing.assert_close(again.gains, network.gains, rtol=1e-3, atol=1e-3)


def test_probabilities_and_decisions_agree(toy):
    X, y, _ = toy
    classifier = _make().fit(X, np.where(np.arange(120) < 20, 2, y))
    probabilities = classifier.predict_proba(X)
    logits = classifier.decision_function(X)
    np.testing.assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-4)
    binary = _make().fit(X, y)
    odds = binary.predict_proba(X)
    np.testing.assert_allclose(
        binary.decision_function(X), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-3, atol=1e-4
    )


def test_global_random_states_are_left_alone(toy):
    X, y, _ = toy
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    _make().fit(X, y).predict(X)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.filterwarnings("error")
def test_arrays_that_may_only_be_read(toy):
    X, y, _ = toy
    X = X.astype(np.float32)
    X.setflags(write=False)
    _make(max_epochs=1).fit(X, y).predict(X)


def test_a_table_has_no_importances_of_channels(toy):
    X, y, _ = toy
    assert not hasattr(_make(max_epochs=1).fit(X[:, 0], y), "feature_importances_")


class _Watch(Callback):
    """Keeps what skorch trains on and what it holds out."""

    seen: ClassVar = {}

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.seen["train"], self.seen["held out"] = dataset_train, dataset_valid


def test_early_stopping_holds_out_whole_groups(toy):
    _, y, groups = toy
    chosen = set()
    for seed in range(4):
        classifier = _make(random_state=seed, early_stopping=True, validation_fraction=0.34)
        held_out = classifier.held_out(y, groups)
        assert held_out.sum() == 60
        assert not set(groups[held_out]) & set(groups[~held_out])
        chosen.add(tuple(np.unique(groups[held_out])))
    assert len(chosen) > 1  # the seed decides


def test_early_stopping_reads_subjects_from_the_metadata(simulated):
    """Odd ones matter to early stopping alone."""
    X, y, metadata, _ = simulated
    classifier = _make(sfreq=None, max_epochs=1, early_stopping=True, callbacks=[_Watch()])
    held_out = classifier.fit(X, y).held_out(y, metadata["subject"])
    expected = X[held_out].get_data(units="uV").astype(np.float32)
    np.testing.assert_array_equal(_Watch.seen["held out"].data, expected)
    odd, names = X.copy(), metadata.astype({"subject": object})
    names.loc[3, "subject"] = "S7"
    odd.metadata = names
    _make(sfreq=None, max_epochs=1).fit(odd, y)
    with pytest.raises(ValueError, match="groups has labels of type int and str"):
        classifier.fit(odd, y)


@pytest.mark.parametrize("adapt", [False, True])
def test_nothing_is_learnt_from_held_out_epochs(toy, adapt):
    """Statistics, class weights, usual tokens and importances are those of the training epochs."""
    X, y, groups = toy
    options = {"early_stopping": True, "class_weight": "balanced", "max_epochs": 1, "adapt": adapt}
    classifier = _make(**options, callbacks=[_Watch()])
    held_out = classifier.held_out(y, groups)
    assert held_out.sum() == 20
    X = 3 + X * np.where(held_out, 50.0, 1.0)[:, None, None]
    y = np.where(held_out, 0, y)
    classifier.fit(X, y, groups=groups)
    train, codes = np.asarray(_Watch.seen["train"].data), np.asarray(_Watch.seen["train"].targets)
    np.testing.assert_array_equal(train, np.float32(X[~held_out]))
    network = classifier.net_.module_
    means, sizes = (np.median(one, axis=0) for one in (train.mean(axis=-1), train.std(axis=-1)))
    np.testing.assert_allclose(network.mean[:, 0], means, rtol=1e-4)
    usual = sizes.min()  # what torch takes for the median of two
    np.testing.assert_allclose(1 / network.scale[:, 0], np.maximum(usual, sizes / 2), rtol=1e-4)
    np.testing.assert_allclose(
        classifier.net_.criterion_.weight, len(codes) / (2 * np.bincount(codes)), rtol=1e-6
    )
    explanation = AttentionExplainer("rollout").explain(classifier, train, groups=groups[~held_out])
    np.testing.assert_allclose(
        classifier.feature_importances_, explanation.values.mean(axis=0), rtol=1e-4
    )
    tokens = classifier._centred(classifier._raw_tokens(train), groups[~held_out]).mean(dim=0)
    np.testing.assert_allclose(network.usual_tokens, tokens, rtol=1e-4, atol=1e-5)


def test_an_epoch_that_is_much_too_loud_hardly_moves_the_scale(toy):
    X, y, _ = toy
    loud = X.copy()
    loud[17] *= 1000
    scales = [
        _make(max_epochs=1).fit(data, y).net_.module_.scale.numpy().copy() for data in (X, loud)
    ]
    np.testing.assert_allclose(scales[0], scales[1], rtol=0.02)
    found = _make(max_epochs="auto").fit(loud[:80], y[:80])
    assert balanced_accuracy_score(y[80:], found.predict(X[80:])) > 0.95


def test_electrodes_without_contact_count_as_louder(simulated):
    """That is, channels of which all others explain little by least squares."""
    data = simulated[0].get_data(units="uV")[:60, ::4].copy()
    assert (_statistics(data)[-1] == 1).all()
    noise = np.random.default_rng(0).normal(size=data.shape) * data.std()
    data[:, 2], data[:, 5] = 8 * noise[:, 2], noise[:, 5] + 0.25 * data[:, 4]
    scores = zscore(data, axis=2).swapaxes(0, 1).reshape(16, -1)
    shared = []
    for channel, own in enumerate(scores):
        others = np.delete(scores, channel, axis=0).T
        shared.append(LinearRegression(fit_intercept=False).fit(others, own).score(others, own))
    expected = np.clip(0.2 * np.median(shared) / shared, 1, 3.5)
    assert expected[2] == 3.5 > expected[5] > 1 == np.delete(expected, [2, 5]).max()
    np.testing.assert_allclose(_statistics(data)[-1], expected, rtol=0.05)


def test_a_channel_of_its_own_can_decide():
    """No other channel sees anything of it, as with electrodes elsewhere on the body."""
    rng = np.random.default_rng(0)
    y, times = np.arange(160) % 2, np.arange(160) / 80
    X = rng.normal(size=(8, 3)) @ rng.normal(size=(160, 3, 160))
    X += 0.3 * rng.normal(size=X.shape)
    phases = rng.uniform(0, 2 * np.pi, (160, 1))
    X[:, 5] = rng.normal(size=(160, 160)) + y[:, None] * np.sin(24 * np.pi * times + phases)
    assert _statistics(X)[-1].tolist() == [1, 1, 1, 1, 1, 3.5, 1, 1]
    classifier = _make(n_heads=20, max_epochs="auto", sfreq=80)
    assert classifier.fit(X[:100], y[:100]).score(X[100:], y[100:]) > 0.9


def test_offsets_that_drift_do_not_hurt(toy):
    """From one epoch to the next, of either channel or both."""
    X, y, _ = toy
    drift = 5000 * np.random.default_rng(2).normal(size=(120, 2, 1))
    for moving in ([1, 1], [1, 0]):
        drifting = X + drift * np.array(moving)[:, None]
        classifier = _make(max_epochs="auto").fit(drifting[:80], y[:80])
        assert balanced_accuracy_score(y[80:], classifier.predict(drifting[80:])) > 0.95
        probabilities = classifier.predict_proba(drifting)
        np.testing.assert_allclose(classifier.predict_proba(X), probabilities, atol=0.02)


def test_every_parameter_arrives(toy):
    X, y, _ = toy
    params = {"n_groups": 2, "n_heads": 3, "n_filters": 5, "drop_prob": 0.15}
    classifier = _make(max_epochs=1, weight_decay=0.45, lr=3e-3, batch_size=50, **params)
    net = classifier.fit(X, y).net_
    module = net.module_
    assert module.attention.positive.shape == (6, 5, 2)
    assert module.class_bias.shape == (2, 2)
    assert {part.p for part in module.modules() if isinstance(part, torch.nn.Dropout)} == {0.15}
    assert (module.rate, module.decimation) == (80.0, 2)
    decay = {
        id(weight): group["weight_decay"]
        for group in net.optimizer_.param_groups
        for weight in group["params"]
    }
    for name, weight in module.named_parameters():
        assert decay.pop(id(weight)) == (0.45 if name == "class_weight" else 0.01)
    assert not decay
    assert {group["initial_lr"] for group in net.optimizer_.param_groups} == {3e-3}
    assert [len(batch) for batch, _ in net.get_iterator(net.get_dataset(X, y))] == [50, 50, 20]


def test_weights_of_epochs_multiply_their_losses():
    generator = torch.Generator().manual_seed(0)
    logits, weights = torch.randn(6, 3, 2, generator=generator), torch.tensor([1, 2, 3, 0, 0.5, 1])
    targets, of_class = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([1, 2, 0.5])
    minus_log = -torch.log_softmax(logits, dim=1)[torch.arange(6), targets].mean(dim=1)
    loss = GroupCrossEntropy(weight=of_class)(logits, targets, weights)
    expected = (weights * of_class[targets] * minus_log).sum() / of_class[targets].sum()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("adapt", [False, True])
def test_wrong_labels_of_little_weight_do_little_and_of_none_nothing(toy, adapt):
    X, y, groups = toy
    wrong = np.arange(len(y)) % 5 < 2
    labels = np.where(wrong, y[::-1], y)
    classifier, scores = _make(max_epochs=30, adapt=adapt), []
    for weight in (0.01, 1):
        classifier.fit(X, labels, groups, sample_weight=np.where(wrong, weight, 1))
        scores.append(classifier.score(X, y, groups=groups))
    assert scores[0] > scores[1] + 0.05, scores
    without = clone(classifier).fit(X[~wrong], y[~wrong], groups[~wrong])
    unused = clone(classifier).fit(X, labels, groups, sample_weight=~wrong)
    expected = without.predict_proba(X, groups)
    np.testing.assert_allclose(unused.predict_proba(X, groups), expected, atol=1e-3)


def test_early_stopping_stops_and_returns_to_the_best_weights(toy):
    X, y, groups = toy
    rng = np.random.default_rng(0)
    y = rng.permutation(y)  # nothing to learn: the held-out loss soon rises
    classifier = _make(early_stopping=True, max_epochs=200, n_iter_no_change=3)
    history = classifier.fit(X, y, groups=groups).history_
    assert len(history) < 200
    held_out = classifier.held_out(y, groups)
    loss = log_loss(y[held_out], classifier.predict_proba(X[held_out]))
    assert loss == pytest.approx(min(history[:, "valid_loss"]), rel=1e-4)


def test_a_saved_classifier_carries_no_recordings(toy):
    X, y, groups = toy
    plain = _make(max_epochs=1).fit(X, y)
    stopped = _make(max_epochs=1, early_stopping=True).fit(X, y, groups=groups)
    assert len(pickle.dumps(stopped)) < len(pickle.dumps(plain)) + 50_000


@pytest.fixture
def _ctrl_c_raises():
    """Undo what a shell does to jobs in the background: it tells them to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_raises")
def test_interrupting_a_fit_is_no_fit(toy):
    X, y, _ = toy

    class PressCtrlC(Callback):
        def on_epoch_end(self, net, **kwargs):
            signal.raise_signal(signal.SIGINT)

    classifier = _make(callbacks=[PressCtrlC()])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_net_takes_arrays_as_nets_of_skorch_do(toy):
    X, y, _ = toy
    classifier = _make().fit(X, y)
    data = X.astype(np.float32)
    np.testing.assert_allclose(
        classifier.net_.predict_proba(data), classifier.predict_proba(X), atol=1e-6
    )
    np.testing.assert_array_equal(classifier.net_.predict(data), classifier.predict(X))
    assert classifier.net_.score(data, y) == classifier.score(X, y)


def test_callbacks_may_end_the_training(toy):
    """By raising KeyboardInterrupt, as is the custom in skorch."""
    X, y, _ = toy

    class Enough(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    assert len(_make(callbacks=[Enough()]).fit(X, y).history_) == 1


def test_a_channel_that_was_dead_in_training_says_nothing(toy):
    X, y, _ = toy
    X = X.copy()
    X[:, 1] = 3.0
    classifier = _make(max_epochs=1).fit(X, y)
    alive = X.copy()
    alive[:, 1] = 20 * np.random.default_rng(0).normal(size=(120, 160))
    np.testing.assert_allclose(
        classifier.predict_proba(alive), classifier.predict_proba(X), atol=1e-6
    )


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("size", [1e22, 1e30])
def test_epochs_of_another_order_of_magnitude_have_no_prediction(toy, size, adapt):
    X, y, _ = toy
    classifier = _make(max_epochs=1, adapt=adapt)
    classifier.fit(X, y, groups=np.zeros(len(y)))
    loud = X[:5].copy()
    loud[2] *= size
    groups = {"groups": np.zeros(5)} if adapt else {}  # whose mean is known
    with pytest.raises(ValueError, match="no prediction for 1 of 5 epochs: X holds values of anot"):
        classifier.predict(loud, **groups)
    with pytest.raises(ValueError, match="fine-tuning diverged: its loss is nan"):
        classifier.fine_tune(loud, y[:5], **groups)


def test_bad_channels_are_named(simulated):
    X, y, _, _ = simulated
    X = X.copy().pick(["C3", "Cz", "C4"])
    X.info["bads"] = ["C3"]
    with pytest.warns(UserWarning, match="^C3 is marked as bad, and used all the same"):
        classifier = _make(max_epochs=1).fit(X, y)
    assert classifier.ch_names_ == ["C3", "Cz", "C4"]


def test_early_stopping_without_groups_keeps_the_classes(toy):
    X, y, _ = toy
    stopping = _make(early_stopping=True, validation_fraction=0.1)
    assert np.bincount(y[stopping.held_out(y)]).tolist() == [6, 6]
    with pytest.raises(ValueError, match="holds out whole groups, but groups holds only 's1'"):
        stopping.fit(X, y, groups=np.full(len(y), "s1"))


def test_learning_rate_warms_up_and_comes_down(toy):
    """In a tenth of the steps, and on a cosine."""
    X, y, _ = toy
    classifier = _make(max_epochs=20, batch_size=60, lr=1.0e-3).fit(X, y)
    rates = np.ravel(classifier.history_[:, "batches", :, "event_lr"])
    down = 1e-3 * (1 + np.cos(np.pi * np.arange(36) / 36)) / 2
    np.testing.assert_allclose(rates, [0.25e-3, 0.5e-3, 0.75e-3, 1e-3, *down], rtol=1e-6)


def test_verbose(toy, capsys):
    X, y, _ = toy
    for verbose, shown in ((0, "^$"), (1, r"epoch +train_loss")):
        _make(verbose=verbose).fit(X, y)
        output = capsys.readouterr()
        assert re.search(shown, output.out)
        assert output.err == ""


@pytest.mark.parametrize("unit, offset", [(1e-6, 0.0), (1e6, 0.0), (1.0, 5000.0)])
def test_neither_units_nor_an_offset_of_an_amplifier_change_scores(toy, unit, offset):
    """Of 5 mV in a channel of some microvolts."""
    X, y, _ = toy
    changed = X * unit + np.array([offset, 0.0])[:, None]
    expected = _make().fit(X, y).predict_proba(X)
    found = _make().fit(changed, y).predict_proba(changed)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.ptp(expected[:, 0]) > 0.1


def test_epochs_give_the_same_as_their_microvolts(simulated):
    X, y, _, _ = simulated
    # Arrays do not know which channels are left and right.
    epochs = _make(sfreq=None, mirror=None).fit(X, y)
    array = _make(sfreq=X.info["sfreq"], mirror=None).fit(X.get_data(units="uV"), y)
    np.testing.assert_array_equal(
        epochs.predict_proba(X), array.predict_proba(X.get_data("eeg", units="uV"))
    )
    assert list(epochs.feature_names_in_) == X.ch_names
    assert epochs.n_features_in_ == array.n_features_in_ == 64
    assert epochs.sfreq_ == 160.0
