"""A trained net as plain data, and the same net again."""

import warnings

import torch
from skorch.history import History

from skeegformer._utils.settings import seeded_torch
from skeegformer.nn import EEGTransformer, OriginalTransformer
from skeegformer.training._net import (
    GroupCrossEntropy,
    StandardizedNetwork,
    compose_net,
    pick_device,
)

_KINDS = EEGTransformer, OriginalTransformer, StandardizedNetwork
_NETWORKS = {network.__name__: network for network in _KINDS}
_OPTIONS = ("max_epochs", "batch_size", "lr")
# What predictions ask of a classifier beside its net.
_NEEDED = ("classes_", "n_chans_", "n_times_", "sfreq_", "ch_names_", "info_", "_fitted_flat")
_NEEDED += ("_input_scale",)


def encode_net(net, encoder):
    """Turn the net of one of our classifiers into plain data; the encoder keeps its weights."""
    network = net.module_
    name = type(network).__name__
    if type(network) is not net.module:
        raise TypeError(
            f"The network is a {type(network).__module__}.{name}, and what can be saved is the "
            f"{net.module.__name__} of fit: keep its state_dict() with safetensors."
        )
    if type(net.criterion_) is not GroupCrossEntropy:
        raise TypeError(
            f"The net was given the loss {type(net.criterion_).__name__}, and what can be saved "
            "is a net with the loss of fit, GroupCrossEntropy."
        )
    state = network.state_dict()
    # Batch normalisation also counts, in whole numbers.
    kinds = {str(value.dtype) for value in state.values() if value.is_floating_point()}
    others = kinds - {"torch.float32"}
    if others:
        raise TypeError(
            f"The network has weights of {', '.join(sorted(others))}, and what can be saved are "
            "weights of torch.float32: net_.module_.float() makes them so."
        )
    return {
        "network": name if _NETWORKS.get(name) is type(network) else encoder.encode(type(network)),
        "params": encoder.encode(net.get_params_for("module")),
        "weights": {key: encoder.keep(value, f"network.{key}") for key, value in state.items()},
        "class_weight": encoder.encode(net.criterion_.weight),
        **{name: encoder.encode(getattr(net, name)) for name in _OPTIONS},
        "device": str(net.device),
        "stops_early": "early_stopping" in dict(net.callbacks_),
        "history": encoder.encode([dict(row) for row in net.history]),
    }


def decode_net(classifier, plain, decoder):
    """Give a classifier with its parameters and fitted attributes the trained net that it had."""
    lacking = [name for name in _NEEDED if name not in vars(classifier)]
    if lacking:
        raise ValueError(f"the {type(classifier).__name__} lacks {', '.join(lacking)}")
    is_ours = isinstance(plain["network"], str)
    network = (_NETWORKS.get if is_ours else decoder.decode)(plain["network"])
    if network is None:
        raise ValueError(f"the network {plain['network']!r} is not known")
    options = {name: decoder.decode(plain[name]) for name in _OPTIONS}
    options["class_weight"] = decoder.decode(plain["class_weight"])
    options["device"] = "auto" if classifier.device == "auto" else plain["device"]
    state = {key: torch.from_numpy(decoder.array(name)) for key, name in plain["weights"].items()}
    options["stops_early"] = plain["stops_early"]
    params = decoder.decode(plain["params"])
    build_net(classifier, network, params, state, **options)
    classes, names = classifier.classes_.tolist(), classifier.ch_names_
    sizes = classifier.n_chans_, classifier.n_times_, len({*classes}), len(classes)
    wanted = params["n_chans"], params["n_times"], params["n_outputs"], params["n_outputs"]
    names = names or range(sizes[0])
    if sizes != wanted or not len(names) == len({*names}) == sizes[0]:
        raise ValueError("its channels, samples or classes are not those of its network")
    classifier.history_.extend(decoder.decode(plain["history"]))


def build_net(classifier, network, params, state, *, device, batch_size, lr, **options):
    """Make ``net_`` and ``history_`` of a classifier from weights, in place of a training."""
    try:
        device = pick_device(device)
    except ValueError:
        warnings.warn(
            f"The model was trained on device={device!r}, which is not there: it is loaded on the "
            "CPU. Its parameter stays; set_params(device='cpu') before it is fitted again here.",
            stacklevel=2,
        )
        device = "cpu"
    try:
        # Making a network draws weights from torch's global random state.
        with seeded_torch():
            net = compose_net(classifier, network, params, device=device, **options)
            net.set_params(batch_size=batch_size, lr=lr)
            net.initialize()
        net.module_.load_state_dict(state)
    except (RuntimeError, TypeError, MemoryError) as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"the network cannot be made as it was ({first})") from error
    if not all(values.isfinite().all() for values in state.values()):
        raise ValueError("its weights are not all finite")
    net.module_.eval()
    net.history = History()
    classifier.net_ = net
    classifier.history_ = net.history
