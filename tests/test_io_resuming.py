"""Trainings that are killed and started again."""

import multiprocessing
import os
import signal

import mne
import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping

from skeegformer import EEGTransformerClassifier, OriginalTransformerClassifier, ResumableTraining
from skeegformer.io._encoding import Decoder
from skeegformer.io._format import read_file

SMALL = {"n_groups": 1, "n_heads": 4, "max_epochs": 3, "random_state": 0}
ORIGINAL = {"embed_dim": 8, "n_heads": 2, "n_layers": 2, "noise": 0.1, "shuffle_tokens": "all"}
NAME = "training.safetensors"


class Kill(Callback):
    """SIGKILL in the middle of a training epoch, after so many whole ones."""

    def __init__(self, after):
        self.after = after

    def get_params(self, deep=True):
        return {}  # those of callbacks are compared

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.after + 1 and len(net.history[-1, "batches"]) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train(state, after, kind, patience):
    """Train with early stopping; give the weights and the history."""
    rng = np.random.default_rng(0)
    y = np.repeat(["left", "right"], 40)
    X = rng.normal(size=(80, 4, 64))
    X[y == "right", :2] *= 1.5
    callbacks = [Kill(after)] if state is None else [ResumableTraining(state), Kill(after)]
    params = {"batch_size": 16, "max_epochs": 12, "drop_prob": 0.3, "lr": 1e-2, "sfreq": 64.0}
    params |= {"early_stopping": True, "n_iter_no_change": patience, "validation_fraction": 0.2}
    params |= {"callbacks": callbacks, "random_state": 3}
    if kind == "original":
        classifier = OriginalTransformerClassifier(**ORIGINAL, warmup_steps=5, **params)
    else:
        # Whose names tell which side they are of, so that epochs are mirrored.
        info = mne.create_info(["C3", "C4", "P3", "P4"], 64.0, "eeg")
        X = mne.EpochsArray(1e-5 * X, info, verbose="ERROR")
        classifier = EEGTransformerClassifier(adapt=kind == "adapted", n_heads=4, **params)
    classifier.fit(X, y, np.arange(80) % 5)
    assert kind == "original" or classifier.mirror_pairs_ is not None
    return classifier.net_.module_.state_dict(), classifier.history_


def _last_epoch(path):
    state = read_file(path, "training", Decoder.decode_all)
    return state["history"][-1]["epoch"]


@pytest.mark.parametrize(
    "model",
    [("mirrored", 12), ("adapted", 12), ("original", 2)],
    ids=["mirrored-to-the-end", "adapted-to-the-end", "original-stopped-early"],
)
def test_killed_training_ends_with_the_same_weights_to_the_bit(tmp_path, model):
    state = tmp_path / NAME
    for after in (1, 2):
        process = multiprocessing.get_context("spawn").Process(
            target=train, args=(state, after, *model)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert _last_epoch(state) == 2
    resumed, its_history = train(state, 99, *model)

    weights, history = train(None, 99, *model)
    assert weights.keys() == resumed.keys()
    for name, value in weights.items():
        assert torch.equal(value, resumed[name]), name
    assert (len(history) == 12) == (model[-1] == 12)
    assert its_history[:, "epoch"] == history[:, "epoch"]
    for name in ("train_loss", "valid_loss", "valid_acc", "valid_loss_best"):
        assert its_history[:, name] == history[:, name], name
    assert list(tmp_path.glob(".*")) == []


@pytest.fixture
def fit(tmp_path):
    """Train with a saved state."""

    def fit(scale=1, labels=("a", "b") * 12, **params):
        params = {"callbacks": [ResumableTraining(fit.path)], **SMALL, **params}
        return EEGTransformerClassifier(**params).fit(scale * fit.X, labels)

    fit.path = tmp_path / NAME
    fit.X = np.random.default_rng(0).normal(size=(24, 3, 32))
    return fit


def test_saving_changes_nothing_and_finished_training_is_not_repeated(fit, tmp_path):
    expected = fit(callbacks=None).predict_proba(fit.X)
    np.testing.assert_array_equal(fit().predict_proba(fit.X), expected)
    assert _last_epoch(tmp_path / NAME) == 3
    again = fit()
    assert len(again.history_) == again.net_.max_epochs == 3
    assert again.history_[-1, "batches", -1] == {}  # skorch's checkpoints ask for it
    np.testing.assert_array_equal(again.predict_proba(fit.X), expected)


def test_what_a_kill_left_half_written_is_removed(fit, tmp_path):
    half = tmp_path / ".training-0123abcd.safetensors"
    names = ".training-mine.safetensors", ".other-0123abcd.safetensors", "a.txt"
    others = [tmp_path / name for name in names]
    for path in (half, *others):
        path.write_bytes(b"")
    fit()
    assert not half.exists()
    assert all(path.exists() for path in others)


def test_state_of_another_training_is_refused(fit):
    fit()
    others = [{"random_state": 1}, {"lr": 0.5}, {"max_epochs": 4}, {"n_heads": 3}]
    others += [{"drop_prob": 0.1}, {"scale": 2}, {"labels": np.repeat(["a", "b"], 12)}]
    others += [{"callbacks": [ResumableTraining(fit.path), GradientNormClipping(0.1)]}]
    message = rf"{NAME} holds the state of a training of another model, or on other data"
    for other in others:
        with pytest.raises(ValueError, match=message):
            fit(**other)
