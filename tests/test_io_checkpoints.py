"""Checkpoints of eeg-transformer: equal probabilities and attention, and nothing in them is run.

The original's forward pass is stated here once more, in plain functions and in its own layout,
(batch, time, channels).
"""

import argparse
import pickle
import sys
import types

import mne
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from test_io_models import Evil

from skeegformer import (
    AttentionExplainer,
    OriginalTransformerClassifier,
    attention_rollout,
    load_model,
    record_attention,
    save_model,
)

CONDITIONS = ["right", "eyes", "left"]  # in another order than sorted
HYPERPARAMETERS = {
    **{"num_channels": 6, "ignore_channels": [1, 4], "epoch_length": 50, "used_data_length": None},
    **{"num_tokens": 3, "embedding_dim": 16, "num_layers": 2, "num_heads": 4},
    **{"dropout": 0.3, "token_dropout": 0.1, "shuffle_tokens": "none", "data_path": "a.dat"},
    **{"conditions": CONDITIONS, "stages": ["imagination"], "class_weights": [0.5, 1.5, 1.0]},
    **{"learning_rate": 5e-3, "weight_decay": 0.1, "warmup_steps": 500, "batch_size": 32},
    **{"max_epochs": 300, "val_subject_ratio": 0.15, "early_stopping_patience": 100},
    "sample_rate": None,
}


def _make_state(hp):
    """Draw the weights of a module of the original, with statistics as after a training."""
    generator = torch.Generator().manual_seed(0)
    n_chans = hp["num_channels"] - len(hp["ignore_channels"])
    length = (hp["used_data_length"] or hp["epoch_length"]) // hp["num_tokens"]
    dim, n_outputs = hp["embedding_dim"], len(hp["conditions"])
    shapes = {"norm.weight": (n_chans,), "norm.bias": (n_chans,), "norm.running_mean": (n_chans,)}
    shapes |= {"encoder.class_token": (dim,), "encoder.pe.encodings.weight": (5000, dim)}
    shapes |= {"encoder.in_proj.weight": (dim, length), "encoder.in_proj.bias": (dim,)}
    for i in range(hp["num_layers"]):
        layer = f"encoder.encoder_layers.{i}"
        for name in ("norm1", "norm2"):
            shapes |= {f"{layer}.{name}.weight": (dim,), f"{layer}.{name}.bias": (dim,)}
        for name, shape in (
            ("mha.qkv", (3 * dim, dim)),
            ("mha.out", (dim, dim)),
            ("ff.0", (2 * dim, dim)),
            ("ff.2", (dim, 2 * dim)),
        ):
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
    shapes |= {"encoder.norm.weight": (dim,), "encoder.norm.bias": (dim,)}
    shapes |= {"outnet.0.weight": (64, dim), "outnet.0.bias": (64,)}
    shapes |= {"outnet.2.weight": (n_outputs, 64), "outnet.2.bias": (n_outputs,)}
    state = {
        name: 0.3 * torch.randn(shape, generator=generator) + ("norm" in name and "weight" in name)
        for name, shape in shapes.items()
    }
    state["norm.weight"][0] *= -1
    state["norm.running_var"] = 0.5 + torch.rand(n_chans, generator=generator)
    state["norm.num_batches_tracked"] = torch.tensor(1234)
    state["mean"], state["std"] = torch.tensor(1.3), torch.tensor(7.0)
    return state | {"class_weights": torch.tensor(hp["class_weights"])}


def _original(state, hp, x):
    """Logits and attention, layer by layer, of epochs x of shape (batch, time, channels)."""
    n_tokens, n_heads = hp["num_tokens"], hp["num_heads"]
    length = (hp["used_data_length"] or hp["epoch_length"]) // n_tokens
    x = x[:, : n_tokens * length]
    x = x[:, :, [c for c in range(x.shape[2]) if c not in hp["ignore_channels"]]]
    x = (x - state["mean"]) / state["std"]
    x = (x - state["norm.running_mean"]) / torch.sqrt(state["norm.running_var"] + 1e-5)
    x = x * state["norm.weight"] + state["norm.bias"]
    tokens = [
        x[:, k * length : (k + 1) * length, channel]
        for channel in range(x.shape[2])
        for k in range(n_tokens)
    ]

    def linear(name, values):
        return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name, values):
        return F.layer_norm(
            values, values.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"]
        )

    x = linear("encoder.in_proj", torch.stack(tokens, dim=1))
    x = x + state["encoder.pe.encodings.weight"][: len(tokens)]
    x = torch.cat([state["encoder.class_token"].repeat(len(x), 1, 1), x], dim=1)
    size = x.shape[-1] // n_heads
    attention = []
    for i in range(hp["num_layers"]):
        layer = f"encoder.encoder_layers.{i}"
        q, k, v = linear(f"{layer}.mha.qkv", norm(f"{layer}.norm1", x)).chunk(3, dim=-1)
        heads, gathered = [], []
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)
            weights = torch.softmax(
                q[..., part] @ k[..., part].transpose(1, 2) / np.sqrt(size), dim=-1
            )
            heads.append(weights)
            gathered.append(weights @ v[..., part])
        attention.append(torch.stack(heads, dim=1))
        x = linear(f"{layer}.mha.out", torch.cat(gathered, dim=-1)) + x
        hidden = torch.relu(linear(f"{layer}.ff.0", norm(f"{layer}.norm2", x)))
        x = torch.relu(linear(f"{layer}.ff.2", hidden)) + x
    x = torch.relu(linear("outnet.0", norm("encoder.norm", x[:, 0])))
    return linear("outnet.2", x), torch.stack(attention, dim=1)


def _original_rollout(attention):
    """Multiply the maxima over heads as the original does, the last layer first."""
    layers = attention.amax(dim=2)
    result = torch.eye(layers.shape[-1])
    for i in reversed(range(layers.shape[1])):
        result = layers[:, i] @ result
    row = result[:, 0, 1:]
    return result, row / row.max()


def _save(path, hp=HYPERPARAMETERS, state=None, as_type="dict", **content):
    """Write what Lightning does, with the types of its own that it pickles along."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = "pytorch_lightning.utilities.parsing"
    module = types.ModuleType(name)
    module.AttributeDict = type("AttributeDict", (dict,), {"__module__": name})
    fakes = {"pytorch_lightning": None, "pytorch_lightning.utilities": None, name: module}
    for fake, found in fakes.items():
        sys.modules[fake] = found or types.ModuleType(fake)
    kinds = {"dict": dict, "AttributeDict": module.AttributeDict}
    try:
        content = {
            "epoch": 3,
            "global_step": 120,
            "pytorch-lightning_version": "1.6.4",
            "state_dict": _make_state(hp) if state is None else state,
            "hparams_name": "hparams",
            "hparams_type": module.AttributeDict,
            "callbacks": {"EarlyStopping{'monitor': 'val_loss'}": {"best": torch.tensor(0.5)}},
            "lr_schedulers": [{"gamma": 0.995, "last_epoch": 33}],
            **content,
        }
        if hp is not None:
            content["hyper_parameters"] = (
                argparse.Namespace(**hp) if as_type == "Namespace" else kinds[as_type](hp)
            )
        torch.save(content, path)
    finally:
        for fake in fakes:
            del sys.modules[fake]
    return path


def _epochs(hp=HYPERPARAMETERS, n_epochs=7):
    """Draw epochs as the original takes them, and the same for the classifier."""
    generator = torch.Generator().manual_seed(1)
    x = 7 * torch.randn(n_epochs, hp["epoch_length"], hp["num_channels"], generator=generator)
    X = np.delete(x.numpy().transpose(0, 2, 1), hp["ignore_channels"], axis=1)
    return x, X[:, :, : hp["used_data_length"]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ignore_channels": [], "num_tokens": 1, "num_layers": 3},
        {"used_data_length": 40, "num_heads": 8},
        {"conditions": ["2", "1"], "class_weights": [1.0, 1.0], "epoch_length": 48},
    ],
)
def test_probabilities_attention_and_rollout_are_those_of_the_original(changes, tmp_path):
    hp = HYPERPARAMETERS | changes
    classifier = load_model(_save(tmp_path / "last.ckpt", hp))
    x, X = _epochs(hp)
    with torch.no_grad():
        logits, attention = _original(_make_state(hp), hp, x)
    assert logits.std(dim=0).min() > 0.1  # or else anything would agree
    assert classifier.classes_.tolist() == sorted(hp["conditions"])
    probabilities = torch.softmax(logits, dim=1).numpy()
    order = [hp["conditions"].index(label) for label in classifier.classes_]
    np.testing.assert_allclose(classifier.predict_proba(X), probabilities[:, order], atol=1e-5)
    expected = [hp["conditions"][code] for code in probabilities.argmax(axis=1)]
    assert classifier.predict(X).tolist() == expected

    with record_attention(classifier) as recorded:
        classifier.predict_proba(X)
    weights = recorded.values()
    torch.testing.assert_close(weights, attention, atol=1e-5, rtol=1e-4)
    matrix, row = _original_rollout(attention)
    options = {"head_fusion": "max", "convention": "eeg-transformer"}
    torch.testing.assert_close(attention_rollout(weights, **options), matrix, atol=1e-4, rtol=1e-4)
    ours = attention_rollout(weights, **options, output="class")
    torch.testing.assert_close(ours, row, atol=1e-4, rtol=1e-4)


def test_a_signal_in_volts(tmp_path):
    state = _make_state(HYPERPARAMETERS)
    state["mean"], state["std"] = 1e-6 * state["mean"], 1e-6 * state["std"]
    classifier = load_model(_save(tmp_path / "volts.ckpt", state=state))
    x, X = _epochs()
    logits, _ = _original(_make_state(HYPERPARAMETERS), HYPERPARAMETERS, x)
    probabilities = torch.softmax(logits, dim=1).numpy()[:, [1, 2, 0]]
    np.testing.assert_allclose(classifier.predict_proba(1e-6 * X), probabilities, atol=1e-5)

    epochs = mne.EpochsArray(1e-6 * X, mne.create_info(4, 160.0, "eeg"), verbose="ERROR")
    with pytest.raises(ValueError, match=r"one is in volts, .* pass epochs.get_data\(\)"):
        classifier.predict(epochs)


def test_parameters_and_what_is_known(tmp_path):
    classifier = load_model(_save(tmp_path / "last.ckpt", HYPERPARAMETERS | {"sample_rate": 160.0}))
    assert type(classifier) is OriginalTransformerClassifier
    wanted = {"n_time_tokens": 3, "embed_dim": 16, "n_layers": 2, "n_heads": 4}
    wanted |= {"drop_prob": 0.3, "token_drop_prob": 0.1, "lr": 5e-3, "weight_decay": 0.1}
    wanted |= {"warmup_steps": 500, "lr_decay": 0.995, "shuffle_tokens": "none"}
    wanted |= {"early_stopping": True, "batch_size": 32, "max_epochs": 300}
    wanted |= {"validation_fraction": 0.15, "n_iter_no_change": 100, "class_weight": "balanced"}
    assert classifier.get_params() == classifier.get_params() | wanted
    assert (classifier.n_chans_, classifier.n_times_, classifier.sfreq_) == (4, 50, 160.0)
    assert classifier.original_["conditions"] == CONDITIONS
    assert len(classifier.history_) == 0
    assert classifier.net_.criterion_.weight.tolist() == [1.5, 1.0, 0.5]  # eyes, left, right


def test_the_classifier_goes_on_as_any_other(tmp_path):
    classifier = load_model(_save(tmp_path / "last.ckpt"))
    _, X = _epochs(n_epochs=12)
    y = np.array(["left", "right", "eyes"] * 4)
    values = AttentionExplainer(method="gradient-rollout").explain(classifier, X, y).values
    assert values.shape == (12, 4)
    saved = save_model(classifier, tmp_path / "model.safetensors")
    loaded = load_model(saved)
    assert (loaded.predict_proba(X) == classifier.predict_proba(X)).all()
    assert loaded.original_ == classifier.original_
    before = classifier.predict_proba(X)
    classifier.fine_tune(X, y, n_steps=30)
    assert (classifier.predict_proba(X) != before).any()
    assert len(classifier.history_) == 30
    new = clone(classifier).set_params(max_epochs=2, early_stopping=False).fit(X, y)
    assert not hasattr(new, "original_")
    assert "original_" not in vars(loaded.set_params(max_epochs=1, early_stopping=False).fit(X, y))


@pytest.mark.parametrize("as_type", ["AttributeDict", "Namespace"])
def test_types_of_hyperparameters(as_type, tmp_path):
    _, X = _epochs()
    expected = load_model(_save(tmp_path / "plain.ckpt")).predict_proba(X)
    path = _save(tmp_path / "typed.ckpt", as_type=as_type)
    assert "pytorch_lightning.utilities.parsing" not in sys.modules
    assert (load_model(path).predict_proba(X) == expected).all()


def test_epochs_of_the_originals_shape_are_told_what_is_wrong_with_them(tmp_path):
    hp = HYPERPARAMETERS | {"used_data_length": 40}
    classifier = load_model(_save(tmp_path / "last.ckpt", hp))
    x, _ = _epochs(hp)
    X = x.numpy().transpose(0, 2, 1)
    with pytest.raises(ValueError) as raised:
        classifier.predict(X)
    assert "of 6 channels and 50 samples without the channels [1, 4]" in str(raised.value)
    told = "np.delete(X, [1, 4], axis=1)[:, :, :40]"
    assert told in str(raised.value)
    assert classifier.predict(eval(told)).shape == (7,)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("norm.bias"), r"cannot be made as it was \(Missing key.* \"norm.bias\""),
        (lambda s: s.pop("std"), "there is no 'std'"),
        (lambda s: s.update({"encoder.cls": torch.zeros(3)}), "Unexpected key.*encoder.cls"),
        (lambda s: s["outnet.0.bias"].fill_(torch.nan), "not all finite"),
        (lambda s: s.update({"class_weights": torch.ones(4)}), "class_weights are of 3, 3, 4"),
        (None, "do not tell num_channels, epoch_length"),
        *(({"conditions": odd}, "its conditions are") for odd in ("all", ["a", "a", "b"], ["a"])),
        ({"num_tokens": 2.5}, "n_time_tokens=2.5"),
        ({"used_data_length": [1]}, "cannot be made a classifier"),
        ({"num_heads": 5}, "n_heads=5 does not divide"),
        ({"num_layers": 10**9}, "tell of 1000000000 layers"),
        ({"ignore_channels": [1]}, "size mismatch for norm"),
    ],
)
def test_weights_and_hyperparameters_that_do_not_fit(change, message, tmp_path):
    state, hp = _make_state(HYPERPARAMETERS), HYPERPARAMETERS
    if callable(change):
        change(state)
    else:
        hp = change and hp | change
    with pytest.raises(ValueError, match=message):
        load_model(_save(tmp_path / "odd.ckpt", hp, state))


def test_files_that_are_no_checkpoints(tmp_path):
    content = _save(tmp_path / "whole.ckpt").read_bytes()
    path = tmp_path / "other.ckpt"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="incomplete, damaged, or no checkpoint"):
        load_model(path)
    for other in ([1, 2], {"state_dict": {"a": 1}}):
        torch.save(other, path)
        with pytest.raises(ValueError, match="no state_dict with weights"):
            load_model(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_nothing_in_a_checkpoint_is_run(tmp_path):
    target = tmp_path / "evil"
    path = _save(tmp_path / "evil.ckpt", callbacks={"mine": Evil(str(target))})
    with pytest.raises(ValueError, match=r"mkdir, and only weights and plain"):
        load_model(path)
    plain = tmp_path / "pickle.ckpt"
    plain.write_bytes(pickle.dumps(Evil(str(target))))
    with pytest.raises(ValueError):
        load_model(plain)
    assert not target.exists()
