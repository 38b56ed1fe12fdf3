"""The folder of a training run: what is in it, and how it is begun and found again."""

import itertools
from pathlib import Path

import pandas as pd
import yaml

from skeegformer._utils.files import replacing
from skeegformer.cli._files import claim_folder

_CONFIG = "config.yaml"


class RunFolder:
    """A folder ``runs/NAME`` with everything about one training.

    Parameters
    ----------
    path : pathlib.Path
        The folder; it exists.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.config_path = self.path / _CONFIG
        self.model = self.path / "model.safetensors"
        self.state = self.path / "training.safetensors"
        self.history = self.path / "history.csv"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def create(cls, parent, name):
        """Make a new folder; a number is added to a name that is taken.

        Parameters
        ----------
        parent : pathlib.Path
            Where runs are kept.
        name : str
            Name of the run.

        Returns
        -------
        RunFolder
            The folder, empty.

        Raises
        ------
        ValueError
            If the name is none of a folder, or `parent` cannot hold folders.
        """
        if not name or Path(name).name != name or name in (".", ".."):
            raise ValueError(f"--name {name!r} is no name of a folder.")
        claim_folder(parent)
        for number in itertools.count(1):
            path = parent / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir()  # fails where another process was faster
            except FileExistsError:
                continue
            return cls(path)

    @classmethod
    def open(cls, path):
        """Find a run.

        Parameters
        ----------
        path : pathlib.Path
            Its folder.

        Returns
        -------
        RunFolder
            The folder.

        Raises
        ------
        ValueError
            If it is no folder of a run.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise ValueError(f"There is no run {path}: no such folder.")
        if not run.config_path.is_file():
            raise ValueError(
                f"{path} is no run of skeegformer train: it has no {_CONFIG}. A run that was "
                "stopped before its training began has to be started anew."
            )
        return run

    @property
    def is_finished(self):
        """Whether there is a model."""
        return self.model.is_file()

    def read_config(self):
        """Read what the run was started with.

        Returns
        -------
        dict
            With the keys ``options``, ``data`` and ``versions``.

        Raises
        ------
        ValueError
            If the file was damaged.
        """
        config = read_yaml(self.config_path)
        if not isinstance(config.get("options"), dict):
            raise ValueError(f"{self.config_path} is not complete: it has no options.")
        return config

    def write_config(self, config):
        """Write what the run is started with.

        Parameters
        ----------
        config : dict
            Plain values.
        """
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
        with replacing(self.config_path) as path:
            path.write_text(text, encoding="utf-8")

    def write_table(self, name, table):
        """Write a table whole.

        Parameters
        ----------
        name : str
            Name of the file.
        table : pandas.DataFrame
            The table.
        """
        with replacing(self.path / name) as path:
            table.to_csv(path, index=False)

    def write_figure(self, name, figure):
        """Write a figure whole, and close it.

        Parameters
        ----------
        name : str
            Name of the file.
        figure : matplotlib.figure.Figure
            The figure.
        """
        import matplotlib.pyplot as plt

        with replacing(self.path / name) as path:
            figure.savefig(path, dpi=150)
        plt.close(figure)

    def write_split(self, data, held_out):
        """Write which epochs train and which validate.

        Parameters
        ----------
        data : TrainingData
            All epochs.
        held_out : ndarray of bool of shape (n_epochs,)
            Whether an epoch is held out.
        """
        known = [c for c in ("subject", "session", "run", "task", "stage") if c in data.metadata]
        table = data.metadata[known].reset_index(drop=True)
        table.insert(0, "epoch", range(len(table)))
        table["condition"] = data.y
        table["part"] = ["validation" if out else "training" for out in held_out]
        self.write_table("split.csv", table)

    def read_split(self, data):
        """Read which epochs were held out, and check that the epochs are the same.

        Parameters
        ----------
        data : TrainingData
            All epochs, loaded again.

        Returns
        -------
        ndarray of bool of shape (n_epochs,)
            Whether an epoch is held out.

        Raises
        ------
        ValueError
            If the file is missing or damaged, or tells of other epochs.
        """
        path = self.path / "split.csv"
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            parts, labels, subjects = table["part"], table["condition"], table["subject"]
        except FileNotFoundError:
            raise ValueError(f"{path} is missing; the run cannot be used without it.") from None
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        same = len(table) == len(data.y) and bool((labels == data.y.astype(str)).all())
        same = same and bool((subjects == data.subjects.astype(str)).all())
        if not same:
            raise ValueError(
                f"{path} tells of {len(table)} epochs of other people or labels than the "
                f"{len(data.y)} that there are now: the data have changed since the run was "
                "started."
            )
        return (parts == "validation").to_numpy()


def read_yaml(path):
    """Read a YAML file of plain values.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict
        What it holds.

    Raises
    ------
    ValueError
        If it is missing, or no YAML file with one value for each key.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} has to hold lines such as 'embed_dim: 64'.")
    return content
