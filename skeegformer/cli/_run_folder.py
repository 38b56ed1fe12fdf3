"""The folder of a training run. What is where in it is fixed here, never read from its files."""

import itertools
from pathlib import Path

import pandas as pd
import yaml

from skeegformer._utils.files import replacing
from skeegformer.cli._files import claim_folder, write_table

CONFIG = "config.yaml"
SPLIT = "split.csv"
MODEL = "model.safetensors"
STATE = "training.safetensors"
HISTORY = "history.csv"
TENSORBOARD = "tensorboard"
FILTERED = ".filtered"  # epochs after filters, while a training needs them


def create_run(parent, name):
    """Make a new folder; a number is added to a name that is taken."""
    if not name or Path(name).name != name or name in (".", ".."):
        raise ValueError(f"--name {name!r} is no name of a folder.")
    claim_folder(parent)
    for number in itertools.count(1):
        run = parent / (name if number == 1 else f"{name}-{number}")
        try:
            run.mkdir()  # fails where another process was faster
        except FileExistsError:
            continue
        return run


def open_run(run):
    """Read with which options and which preset a run was started."""
    if not run.is_dir():
        raise ValueError(f"There is no run {run}: no such folder.")
    if not (run / CONFIG).is_file():
        raise ValueError(
            f"{run} is no run of skeegformer train: it has no {CONFIG}. A run that was stopped "
            "before its training began has to be started anew."
        )
    config = read_yaml(run / CONFIG)
    if not isinstance(config.get("options"), dict):
        raise ValueError(f"{run / CONFIG} is not complete: it has no options.")
    return config


def write_config(run, config):
    """Write with what a run is started."""
    with replacing(run / CONFIG) as path:
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
        path.write_text(text, encoding="utf-8")


def write_split(run, y, metadata, held_out):
    """Write which epochs train and which validate."""
    known = [c for c in ("subject", "session", "run", "task", "stage") if c in metadata]
    table = metadata[known].reset_index(drop=True)
    table.insert(0, "epoch", range(len(table)))
    table["condition"] = y
    table["part"] = ["validation" if out else "training" for out in held_out]
    write_table(run / SPLIT, table)


def split_table(run):
    """Read part, condition and subject of each epoch, as text."""
    path = run / SPLIT
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return table[["part", "condition", "subject"]]
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read, and the run cannot be used without it: {error}"
        ) from error


def read_split(run, y, metadata):
    """Read which epochs were held out; refuse epochs of other subjects or labels."""
    table = split_table(run)
    epochs = pd.DataFrame({"condition": y, "subject": metadata["subject"].to_numpy()}).astype(str)
    if not table[["condition", "subject"]].equals(epochs):
        raise ValueError(
            f"{run / SPLIT} tells of {len(table)} epochs of other people or labels than the "
            f"{len(y)} that there are now: the data have changed since the run was started."
        )
    return (table["part"] == "validation").to_numpy()


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but for names that are given twice, of which it takes the last."""

    def construct_mapping(self, node, deep=False):
        names = [str(name.value) for name, _ in node.value]
        if len(set(names)) < len(names):
            raise yaml.YAMLError(f"{max(names, key=names.count)!r} is given twice")
        return super().construct_mapping(node, deep)


def read_yaml(path):
    """Read a YAML file of plain values by name."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as YAML: {reason}.") from error
    if not isinstance(content, dict | None):
        raise ValueError(f"{path} has to hold lines such as 'n_heads: 20'.")
    return content or {}
