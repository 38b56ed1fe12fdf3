"""Reading what PyTorch Lightning kept of a training of eeg-transformer, and running none of it."""

import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext

import torch

from skeegformer.persistence._from_original import NEEDED, convert

# Harmless to read as the dict, or the nothing, that they are for us.
_STAND_INS = {
    "argparse": ["Namespace"],
    "pathlib": ["PosixPath", "WindowsPath"],
    "pathlib._local": ["PosixPath", "WindowsPath"],
    "lightning_fabric.utilities.data": ["AttributeDict"],
    "lightning.fabric.utilities.data": ["AttributeDict"],
    **{
        f"{package}.{module}": [name]
        for package in ("pytorch_lightning", "lightning.pytorch")
        for module, name in (
            ("utilities.parsing", "AttributeDict"),
            ("callbacks.model_checkpoint", "ModelCheckpoint"),
            ("callbacks.early_stopping", "EarlyStopping"),
        )
    },
}
_YAML = "hparams.yaml"


def load_checkpoint(path):
    """Read a checkpoint of eeg-transformer as a classifier.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint; there is such a file.

    Returns
    -------
    OriginalTransformerClassifier
        Fitted.

    Raises
    ------
    ValueError
        If it is no checkpoint, or not one of this network, or lacks hyperparameters that the
        ``hparams.yaml`` beside it or one folder above does not have either.
    """
    content = _read(path)
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise ValueError(
            f"{path} is no checkpoint of PyTorch Lightning: it has no state_dict with weights."
        )
    try:
        return convert(state, _hyperparameters(path, content))
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
            f"({reason[:200]})."
        ) from error


def _stand_ins():
    """Let names in checkpoints mean a class of ours, whether what they name is there or not."""
    safe_globals = getattr(torch.serialization, "safe_globals", None)
    if safe_globals is None:
        return nullcontext()
    return safe_globals(
        [
            type(name, (), {"__new__": _new_dict, "__module__": module, "__qualname__": name})
            for module, names in _STAND_INS.items()
            for name in names
        ]
    )


def _new_dict(cls, *args):
    # Of the types that torch fills with items and with attributes.
    return OrderedDict()


def _hyperparameters(path, content):
    """Take hyperparameters from a checkpoint, and what it lacks from the file beside it."""
    found = _plain(content.get("hyper_parameters", {}))
    found = found if isinstance(found, dict) else {}
    if all(name in found for name in NEEDED):
        return found
    for folder in (path.parent, path.parent.parent):
        if (folder / _YAML).is_file():
            found = _read_yaml(folder / _YAML) | found
            break
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise ValueError(
            f"neither it nor a {_YAML} beside it or in the folder above tells {', '.join(missing)}."
        )
    return found


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


def _read_yaml(path):
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain values, whatever type they are said to be of."""

    def construct(loader, suffix, node):
        if isinstance(node, yaml.MappingNode):
            content = loader.construct_mapping(node, deep=True)
            return content.get("dictitems", content)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor(None, construct)
    try:
        content = yaml.load(path.read_bytes(), Loader)
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"its {path.name} cannot be read ({reason}).") from error
    content = _plain(content)
    return content if isinstance(content, dict) else {}
