"""What others have set in torch, whose callbacks take part, and which threads predict too."""

import copy
import pickle
import threading

import numpy as np
import pytest
import skorch.callbacks
import torch
from test_training import LogPower

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    NetworkClassifier,
    OriginalTransformerClassifier,
    load_model,
    record_attention,
    save_model,
)

SMALL = {"max_epochs": 2, "random_state": 0}
ORIGINAL = {"embed_dim": 8, "n_heads": 2, "n_layers": 1, "early_stopping": False}
KINDS = {
    "ours": lambda: EEGTransformerClassifier(n_heads=4, **SMALL),
    "adapting": lambda: EEGTransformerClassifier(n_heads=4, adapt=True, **SMALL),
    "original": lambda: OriginalTransformerClassifier(**ORIGINAL, **SMALL),
    "any": lambda: NetworkClassifier(LogPower, **SMALL),
}


class Double:
    """What a library does that computes in double precision."""

    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *error):
        assert torch.get_default_dtype() == torch.float64
        torch.set_default_dtype(torch.float32)


MODES = [torch.no_grad, torch.inference_mode, Double]
MODES += [lambda: torch.autocast("cpu", torch.bfloat16), lambda: torch.device("meta")]


@pytest.fixture(scope="module")
def data(simulated):
    X, y, metadata, _ = simulated
    return X[:60].copy().load_data().pick(["C3", "Cz", "C4", "Oz"]), y[:60], metadata["subject"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_what_others_have_set_in_torch(kind, mode, data, tmp_path):
    """Nothing differs, there or later, in the last bit."""
    X, y, _ = data
    few = X[:8], y[:8]

    def compute(path):
        fitted = KINDS[kind]().fit(X, y)
        loaded = load_model(save_model(fitted, path), modules=[LogPower])
        models = [fitted, loaded, pickle.loads(pickle.dumps(fitted))]
        models.append(copy.deepcopy(fitted).fine_tune(*few, n_steps=2))
        found = [model.predict_proba(X) for model in models]
        for method in ("gradient-rollout", "integrated-gradients") if kind != "any" else ():
            found.append(AttentionExplainer(method).explain(fitted, X, y).values)
        return models, found

    _, expected = compute(tmp_path / "usual.safetensors")
    with mode():
        models, found = compute(tmp_path / "other.safetensors")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    for model in models[:3]:
        tuned = model.fine_tune(*few, n_steps=2).predict_proba(X)
        np.testing.assert_array_equal(tuned, expected[3])


class Writer:
    """What writes to an open file, as TensorBoard's does, and cannot be copied."""

    def __init__(self):
        self.lock, self.written = threading.Lock(), []

    def add_scalar(self, **kwargs):
        self.written.append(kwargs)

    def close(self):
        pass


def _is_bias(name):
    return name.endswith("class_bias")


CALLBACKS = {
    "BatchScoring": {"scoring": "accuracy"},
    "Checkpoint": {"monitor": "train_loss_best", "load_best": True},
    "EarlyStopping": {"monitor": "train_loss", "load_best": True},
    "EpochScoring": {"scoring": "accuracy"},
    "EpochTimer": {},
    "Freezer": {"patterns": _is_bias},
    "GradientNormClipping": {"gradient_clip_value": 1.0},
    "Initializer": {"patterns": "class_bias", "fn": torch.nn.init.zeros_},
    "LRScheduler": {"policy": "StepLR", "step_size": 1},
    "ParamMapper": {"patterns": "class_bias"},
    "PassthroughScoring": {"name": "train_loss", "on_train": True},
    "PrintLog": {"sink": print},
    "ProgressBar": {},
    "TensorBoard": {"writer": Writer()},
    "TrainEndCheckpoint": {},
    "Unfreezer": {"patterns": "class_bias"},
}


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.filterwarnings("ignore:.*callbacks.*cannot be saved")
def test_callbacks_of_skorch(name, data, tmp_path, monkeypatch):
    """Numbers of NumPy, as a search hands over, reach no file that torch would not read."""
    monkeypatch.chdir(tmp_path)
    X, y, _ = data
    classifier = KINDS["ours"]().set_params(
        **{"lr": np.float64(1e-3), "weight_decay": np.float32(0.5), "batch_size": np.int64(16)},
        callbacks=[getattr(skorch.callbacks, name)(**CALLBACKS[name])],
    )
    classifier.fit(X, y)
    expected = classifier.predict_proba(X)
    loaded = load_model(save_model(classifier, tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert (classifier.fine_tune(X[:8], y[:8], n_steps=2).predict_proba(X) != expected).any()
    np.testing.assert_array_equal(classifier.fit(X, y).predict_proba(X), expected)
    assert name != "TensorBoard" or len(CALLBACKS[name]["writer"].written) > 4


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_who_predicts_while_attention_is_recorded_is_not_recorded(kind, data):
    X, y, _ = data
    classifier = KINDS[kind]().fit(X, y)
    expected, same, stop = classifier.predict_proba(X), [], threading.Event()

    def predict():
        while not stop.is_set():
            same.append(np.array_equal(classifier.predict_proba(X), expected))

    thread = threading.Thread(target=predict, daemon=True)
    thread.start()
    for _ in range(30):
        with record_attention(classifier) as attention:
            np.testing.assert_allclose(classifier.predict_proba(X), expected, atol=1e-5)
        values = attention.values()
        assert len(values.tokens if kind == "ours" else values) == len(X)
    stop.set()
    thread.join()
    assert len(same) > 5
    assert all(same)
