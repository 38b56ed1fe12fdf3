"""Trainings that are killed and started again."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_training import train

from skeegformer import EEGTransformerClassifier, ResumableTraining

SCRIPT = Path(__file__).parent / "killed_training.py"
SMALL = {"n_groups": 1, "n_heads": 4, "max_epochs": 3, "random_state": 0}


@pytest.mark.parametrize(
    "model",
    [("mirrored", 12), ("adapted", 12), ("original", 2)],
    ids=["mirrored-to-the-end", "adapted-to-the-end", "original-stopped-early"],
)
def test_killed_training_ends_with_the_same_weights_to_the_bit(tmp_path, model):
    state = tmp_path / "training.pt"
    for after in (1, 2):
        command = [sys.executable, SCRIPT, state, str(after), *map(str, model)]
        assert subprocess.run(command).returncode == -signal.SIGKILL
    assert torch.load(state, weights_only=True)["history"][-1]["epoch"] == 2
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
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 3, 32)), np.tile(["a", "b"], 12)


def test_finished_training_is_not_repeated(tmp_path, data):
    state = ResumableTraining(tmp_path / "training.pt")
    first = EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
    before = first.predict_proba(data[0])
    again = EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
    assert len(again.history_) == 3
    assert again.net_.max_epochs == 3
    np.testing.assert_array_equal(again.predict_proba(data[0]), before)


def test_saving_changes_nothing(tmp_path, data):
    plain = EEGTransformerClassifier(**SMALL).fit(*data)
    state = ResumableTraining(tmp_path / "training.pt", every=2)
    saved = EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
    np.testing.assert_array_equal(plain.predict_proba(data[0]), saved.predict_proba(data[0]))
    assert torch.load(tmp_path / "training.pt", weights_only=True)["history"][-1]["epoch"] == 3


def test_what_a_kill_left_half_written_is_removed(tmp_path, data):
    half = tmp_path / ".training-0123abcd.pt"
    others = [tmp_path / name for name in (".training-mine.pt", ".other-0123abcd.pt", "a.txt")]
    for path in (half, *others):
        path.write_bytes(b"")
    state = ResumableTraining(tmp_path / "training.pt")
    EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
    assert not half.exists()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize(
    "other", [{"random_state": 1}, {"lr": 0.5}, {"max_epochs": 4}, {"n_heads": 3}]
)
def test_state_of_another_training_is_refused(tmp_path, data, other):
    state = ResumableTraining(tmp_path / "training.pt")
    EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
    with pytest.raises(ValueError, match=r"training\.pt holds the state of a training of another"):
        EEGTransformerClassifier(**{**SMALL, **other}, callbacks=[state]).fit(*data)
    with pytest.raises(ValueError, match="or on other data"):
        EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(data[0] * 2, data[1])


@pytest.mark.parametrize("content", [b"", b"nothing of ours", None])
def test_foreign_file_is_refused_and_left_as_it_was(tmp_path, data, content):
    path = tmp_path / "training.pt"
    if content is None:
        torch.save({"weights": 1}, path)
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"training\.pt (cannot be read|is not the state)"):
        EEGTransformerClassifier(**SMALL, callbacks=[ResumableTraining(path)]).fit(*data)
    assert path.read_bytes() == content


def test_places_that_cannot_be_written_to(tmp_path, data):
    state = ResumableTraining(tmp_path / "none" / "training.pt")
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none to keep training\.pt"):
        EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
    with pytest.raises(ValueError, match="every=0 is not a whole number of at least 1"):
        state = ResumableTraining(tmp_path / "training.pt", every=0)
        EEGTransformerClassifier(**SMALL, callbacks=[state]).fit(*data)
