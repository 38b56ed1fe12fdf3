"""A checkpoint of eeg-transformer as a classifier."""

from numbers import Real

import numpy as np
import torch

from skeegformer.nn import OriginalTransformer
from skeegformer.original import OriginalTransformerClassifier
from skeegformer.persistence._net import build_net

_SIZES = ("num_channels", "epoch_length", "num_tokens", "embedding_dim", "num_layers", "num_heads")
NEEDED = (*_SIZES, "conditions")
# Names of the original for what our parameters are called.
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
_LAST = ("outnet.2.weight", "outnet.2.bias")  # a row for each class


def convert(state, hyperparameters):
    """Make a classifier of weights and hyperparameters of eeg-transformer.

    Parameters
    ----------
    state : dict of {str: Tensor}
        State of the original's module.
    hyperparameters : dict
        Plain values, those of `NEEDED` among them.

    Returns
    -------
    OriginalTransformerClassifier
        Fitted, with the same weights.

    Raises
    ------
    ValueError
        If they are not those of the network that is known here, or do not fit each other.
    """
    sizes = {name: _whole(hyperparameters, name, 1) for name in _SIZES}
    ignored = _ignored(hyperparameters, sizes["num_channels"])
    n_chans = sizes["num_channels"] - len(ignored)
    n_times = sizes["epoch_length"]
    if hyperparameters.get("used_data_length") is not None:
        n_times = _whole(hyperparameters, "used_data_length", 1)
    classes, order = _classes(hyperparameters["conditions"])
    state = dict(state)
    class_weight = state.pop("class_weights", None)
    _check_weights(state, sizes, n_chans, n_times, len(classes))

    for name in _LAST:
        state[name] = state[name][torch.from_numpy(order)]
    if class_weight is not None:
        if class_weight.shape != (len(classes),) or not class_weight.isfinite().all():
            raise ValueError("its class_weights are no number for each of the conditions.")
        class_weight = class_weight.float()[torch.from_numpy(order)]
    classifier = _make_classifier(hyperparameters, sizes)
    classifier.classes_ = classes
    classifier.n_chans_ = classifier.n_features_in_ = n_chans
    classifier.n_times_ = n_times
    classifier.sfreq_ = classifier.sfreq
    classifier.ch_names_ = classifier.info_ = None
    classifier._fitted_flat = False
    deviations = state["std"].double() * state["norm.running_var"].double().sqrt()
    classifier._input_scale = float(deviations.median())
    classifier.original_ = {**hyperparameters, "ignore_channels": ignored}
    network, params = classifier._make_network(None)
    build_net(
        classifier,
        network,
        params,
        state,
        class_weight=class_weight,
        max_epochs=classifier.max_epochs,
        device=classifier.device,
        stops_early=True,
        batch_size=classifier.batch_size,
        lr=classifier.lr,
    )
    return classifier


def _whole(hyperparameters, name, least):
    value = hyperparameters[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"its hyperparameter {name} is {value!r}, and has to be a whole number of at least "
            f"{least}."
        )
    return value


def _ignored(hyperparameters, n_channels):
    ignored = hyperparameters.get("ignore_channels") or []
    in_range = isinstance(ignored, list) and all(
        type(index) is int and 0 <= index < n_channels for index in ignored
    )
    if not in_range or len(set(ignored)) < len(ignored) or len(ignored) >= n_channels:
        raise ValueError(
            f"its hyperparameter ignore_channels is {ignored!r}, and has to be a list of different "
            f"channels, from 0 to {n_channels - 1}, and not of all."
        )
    return sorted(ignored)


def _classes(conditions):
    """Sort the conditions, and say where each was."""
    try:
        classes, order = np.unique(conditions, return_index=True)
    except TypeError:
        classes, order = np.array([]), None
    if not isinstance(conditions, list) or len(classes) != len(conditions) or len(classes) < 2:
        raise ValueError(
            f"its hyperparameter conditions is {conditions!r}, and has to be a list of the names "
            "of at least two classes."
        )
    return classes, order


def _check_weights(state, sizes, n_chans, n_times, n_outputs):
    """Refuse weights of another network."""
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.encoder_layers.")}
    if len(layers) != sizes["num_layers"]:
        raise ValueError(
            f"its hyperparameters tell of {sizes['num_layers']} layers, but it has the weights of "
            f"{len(layers)}: it was made by another version of eeg-transformer, or another program."
        )
    if sizes["embedding_dim"] % sizes["num_heads"]:
        raise ValueError(
            f"num_heads={sizes['num_heads']} does not divide "
            f"embedding_dim={sizes['embedding_dim']}."
        )
    with torch.device("meta"):  # shapes alone
        network = OriginalTransformer(
            n_chans,
            n_outputs,
            n_times,
            n_time_tokens=sizes["num_tokens"],
            embed_dim=sizes["embedding_dim"],
            n_layers=sizes["num_layers"],
            n_heads=sizes["num_heads"],
        )
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for what, names in (
        ("lacks", [name for name in wanted if name not in found]),
        ("has beside what is known", [name for name in found if name not in wanted]),
    ):
        if names:
            raise ValueError(
                f"its network {what} {', '.join(names[:5])}{' and more' * (len(names) > 5)}: it "
                "was made by another version of eeg-transformer than the one that is read here, or "
                "by another program."
            )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ValueError(
                f"its weights {name} have the shape {found[name]}, but its hyperparameters make "
                f"them {shape}."
            )
        if not state[name].isfinite().all():
            raise ValueError(f"its weights {name} are not all finite: the training diverged.")
    if not state["std"] > 0 or (state["norm.running_var"] < 0).any():
        raise ValueError("its standard deviations are not all above 0.")


def _make_classifier(hyperparameters, sizes):
    training = {
        ours: hyperparameters[original]
        for ours, original in _TRAINING.items()
        if isinstance(hyperparameters.get(original), Real | str)
    }
    classifier = OriginalTransformerClassifier(
        n_time_tokens=sizes["num_tokens"],
        embed_dim=sizes["embedding_dim"],
        n_layers=sizes["num_layers"],
        n_heads=sizes["num_heads"],
        **training,
    )
    classifier._check_parameters()
    return classifier
