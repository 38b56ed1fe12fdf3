"""What PyTorch Lightning kept of a training of eeg-transformer, as a classifier; nothing is run."""

import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from numbers import Real

import numpy as np
import torch

from skeegformer.baselines.original import OriginalTransformerClassifier
from skeegformer.io._net import build_net

# Harmless to read as the dict, or the nothing, that they are for us.
_STAND_INS = (
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
)
# Names of the original for what our parameters are called.
_SIZES = {
    "n_time_tokens": "num_tokens",
    "embed_dim": "embedding_dim",
    "n_layers": "num_layers",
    "n_heads": "num_heads",
}
_TRAINING = {
    "drop_prob": "dropout",
    "token_drop_prob": "token_dropout",
    "shuffle_tokens": "shuffle_tokens",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "lr": "learning_rate",
    "weight_decay": "weight_decay",
    "warmup_steps": "warmup_steps",
    "validation_fraction": "val_subject_ratio",
    "n_iter_no_change": "early_stopping_patience",
    "sfreq": "sample_rate",
}
_NEEDED = ("num_channels", "epoch_length", *_SIZES.values(), "conditions")
_LAST = ("outnet.2.weight", "outnet.2.bias")  # a row for each class


def load_checkpoint(path):
    """Read a checkpoint as a fitted OriginalTransformerClassifier, or say what is wrong with it."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    content = _read(path)
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise ValueError(
            f"{path} is no checkpoint of PyTorch Lightning: it has no state_dict with weights."
        )
    try:
        return _convert(dict(state), _plain(content.get("hyper_parameters")))
    except ValueError as error:
        raise ValueError(f"{path} cannot be made a classifier: {error}") from error


def _read(path):
    """Read weights and plain values, and nothing else."""
    try:
        with _stand_ins():
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user.") from error
    except Exception as error:  # what damaged files raise is of a dozen types
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and refused:
            raise ValueError(
                f"{path} holds {refused[1]}, and only weights and plain hyperparameters are read, "
                "so that nothing in the file can run. Only if you trust it: read it with "
                "torch.load(path, weights_only=False), and save its state_dict and "
                "hyper_parameters alone, as a dict of both, with torch.save."
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} cannot be read: it is incomplete, damaged, or no checkpoint of PyTorch "
            f"({reason.partition('. ')[0][:200]})."
        ) from error


def _stand_ins():
    """Let names in checkpoints mean a class of ours, whether what they name is there or not."""
    if not hasattr(torch.serialization, "safe_globals"):  # before torch 2.5
        return nullcontext()
    # Of the types that torch fills with items and with attributes.
    members = {"__new__": lambda cls, *args: OrderedDict()}
    names = [name.rpartition(".") for name in _STAND_INS]
    return torch.serialization.safe_globals(
        [
            type(name, (), {**members, "__module__": module, "__qualname__": name})
            for module, _, name in names
        ]
    )


def _plain(value):
    """Make dicts, lists and numbers of what was read; None of all else."""
    if isinstance(value, Mapping):
        attributes = vars(value) if isinstance(value, OrderedDict) else {}
        return {str(key): _plain(item) for key, item in {**value, **attributes}.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        return _plain(value.tolist())
    return value if isinstance(value, bool | int | float | str) else None


def _convert(state, hyperparameters):
    """Make a classifier of weights and plain hyperparameters, if they fit each other."""
    known = hyperparameters if isinstance(hyperparameters, dict) else {}
    missing = [name for name in _NEEDED if name not in known]
    if missing:
        raise ValueError(f"its hyper_parameters do not tell {', '.join(missing)}.")
    for name in _NEEDED[:-1]:
        _check_whole(name, hyperparameters[name])
    ignored, n_times = _ignored(hyperparameters), hyperparameters.get("used_data_length")
    if n_times is None:
        n_times = hyperparameters["epoch_length"]
    else:
        _check_whole("used_data_length", n_times)
    n_chans = hyperparameters["num_channels"] - len(ignored)
    classes, order = _classes(hyperparameters["conditions"])
    class_weight = state.pop("class_weights", None)
    sizes = {ours: hyperparameters[theirs] for ours, theirs in _SIZES.items()}
    _check_weights(state, len(classes), sizes)
    order = torch.from_numpy(order)
    for name in _LAST:
        state[name] = state[name][order]
    if class_weight is not None:
        if class_weight.shape != (len(classes),) or not class_weight.isfinite().all():
            raise ValueError("its class_weights are no number for each of the conditions.")
        class_weight = class_weight.float()[order]
    training = {
        ours: hyperparameters[theirs]
        for ours, theirs in _TRAINING.items()
        if isinstance(hyperparameters.get(theirs), Real | str)
    }
    classifier = OriginalTransformerClassifier(**sizes, **training)
    classifier._check_parameters()
    classifier.classes_ = classes
    classifier.n_chans_ = classifier.n_features_in_ = n_chans
    classifier.n_times_, classifier.sfreq_ = n_times, classifier.sfreq
    classifier.ch_names_ = classifier.info_ = None
    classifier._fitted_flat = False
    deviations = state["std"].double() * state["norm.running_var"].double().sqrt()
    classifier._input_scale = float(deviations.median())
    classifier.original_ = {**hyperparameters, "ignore_channels": ignored}
    network, params = classifier._make_network()
    names = ("device", "batch_size", "lr", "max_epochs")
    options = {name: getattr(classifier, name) for name in names}
    options |= {"class_weight": class_weight, "stops_early": True}
    build_net(classifier, network, params, state, **options)
    return classifier


def _ignored(hyperparameters):
    """Sort the places of channels that are left out."""
    n_channels = hyperparameters["num_channels"]
    ignored = hyperparameters.get("ignore_channels") or []
    in_range = isinstance(ignored, list) and all(
        type(index) is int and 0 <= index < n_channels for index in ignored
    )
    is_known = in_range and len(set(ignored)) == len(ignored) < n_channels
    what = f"a list of different channels, from 0 to {n_channels - 1}, and not of all"
    _check("ignore_channels", ignored, is_known, what)
    return sorted(ignored)


def _check(name, value, is_fine, what):
    if not is_fine:
        raise ValueError(f"its hyperparameter {name} is {value!r}, and has to be {what}.")


def _check_whole(name, value):
    _check(name, value, type(value) is int and value >= 1, "a whole number of at least 1")


def _classes(conditions):
    """Sort the conditions, and say where each was."""
    try:
        classes, order = np.unique(conditions, return_index=True)
    except TypeError:
        classes, order = np.array([]), None
    are_known = isinstance(conditions, list) and 2 <= len(classes) == len(conditions)
    _check("conditions", conditions, are_known, "a list of the names of at least two classes")
    return classes, order


def _check_weights(state, n_outputs, sizes):
    """Refuse weights that no training leaves; whether they fit the network is seen in it."""
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.encoder_layers.")}
    if len(layers) != sizes["n_layers"]:  # before a network of a billion layers is made
        raise ValueError(
            f"its hyperparameters tell of {sizes['n_layers']} layers, but it has the weights of "
            f"{len(layers)}: it was made by another version of eeg-transformer, or another program."
        )
    for name in ("std", "norm.running_var", *_LAST):
        if name not in state:
            raise ValueError(f"it has no weights {name}: another program made it.")
    for name, value in state.items():
        if not value.isfinite().all():
            raise ValueError(f"its weights {name} are not all finite: the training diverged.")
    if any(len(state[name]) != n_outputs for name in _LAST):
        raise ValueError(f"its last layer is not of {n_outputs} conditions.")
    if not state["std"] > 0 or (state["norm.running_var"] < 0).any():
        raise ValueError("its standard deviations are not all above 0.")
