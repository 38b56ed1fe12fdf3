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
    except (LookupError, TypeError, ValueError) as error:
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path} cannot be made a classifier; perhaps another version of eeg-transformer, or "
            f"another program, made it: {what}"
        ) from error


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
    ignored = sorted({*(hyperparameters.get("ignore_channels") or [])})
    n_chans = hyperparameters["num_channels"] - len(ignored)
    n_times = hyperparameters.get("used_data_length") or hyperparameters["epoch_length"]
    classes, order = np.unique(hyperparameters["conditions"], return_index=True)
    class_weight = state.pop("class_weights", None)
    counts = [len(state[name]) for name in _LAST]
    if class_weight is not None:
        counts.append(len(class_weight))
        class_weight = class_weight.float()[order]
    if len(classes) < 2 or set(counts) != {len(classes)}:
        raise ValueError(
            f"its conditions are {hyperparameters['conditions']!r}, but its last layer and its "
            f"class_weights are of {', '.join(map(str, counts))}."
        )
    sizes = {ours: hyperparameters[theirs] for ours, theirs in _SIZES.items()}
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.encoder_layers.")}
    if len(layers) != sizes["n_layers"]:  # before a network of a billion layers is made
        raise ValueError(
            f"its hyperparameters tell of {sizes['n_layers']} layers, but it has the weights of "
            f"{len(layers)}."
        )
    for name in _LAST:
        state[name] = state[name][order]
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
