"""The epochs of a training run, from an export or from recordings, always the same ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeegformer.cli._arguments import recorded


@dataclass(frozen=True)
class TrainingData:
    """Epochs of one run.

    Attributes
    ----------
    X : mne.Epochs or MappedEpochs
        The epochs; those of an export stay on disk.
    y : ndarray of str of shape (n_epochs,)
        Labels.
    metadata : pandas.DataFrame of shape (n_epochs, n_columns)
        With the column ``subject``.
    """

    X: Any
    y: np.ndarray
    metadata: Any

    @property
    def subjects(self):
        """Subject of each epoch."""
        return self.metadata["subject"].to_numpy()

    def describe(self):
        """Say in numbers what there is.

        Returns
        -------
        dict
            Numbers of epochs, channels, samples and subjects, and epochs of each class.
        """
        labels, counts = np.unique(self.y, return_counts=True)
        # MNE would load all of Epochs for their shape.
        shape = getattr(self.X, "shape", None)
        n_chans, n_times = shape[1:] if shape else (len(self.X.ch_names), len(self.X.times))
        return {
            "n_epochs": len(self.y),
            "n_chans": int(n_chans),
            "n_times": int(n_times),
            "n_subjects": int(self.metadata["subject"].nunique()),
            "classes": dict(zip(labels.tolist(), counts.tolist(), strict=True)),
        }


def name_data(options):
    """Name a run after its data.

    Parameters
    ----------
    options : dict
        Options of the run.

    Returns
    -------
    str
        A name that a folder may have.
    """
    if options["task"]:
        return "-".join(options["task"])
    stem = Path(options["data"]).stem.removeprefix("raw-")
    return stem or "run"


def check_data_options(options):
    """Refuse options that leave it open which data are meant, before anything is loaded.

    Parameters
    ----------
    options : dict
        Options of the run.

    Raises
    ------
    ValueError
        If there is neither a file nor a task, or both, or an option for the other of them.
    """
    if bool(options["data"]) == bool(options["task"]):
        raise ValueError(
            "Say what to train on: --data FILE for an export (see skeegformer download), or --task "
            "TASK for recordings of EEGMMI" + ("; not both." if options["data"] else ".")
        )
    if options["task"]:
        wrong = [
            name for name in ("labels", "stages", "n_times", "n_chans", "sfreq") if options[name]
        ]
        if wrong:
            raise ValueError(
                f"--{wrong[0].replace('_', '-')} belongs to --data; leave it out with --task."
            )


def load_training_data(options):
    """Load the epochs that the options name.

    Parameters
    ----------
    options : dict
        Options of the run.

    Returns
    -------
    TrainingData
        The epochs.

    Raises
    ------
    ValueError, FileNotFoundError
        If something is missing, unknown, or too little to train on.
    """
    data = _recordings(options) if options["task"] else _export(options)
    if len(np.unique(data.y)) < 2:
        only = f"only epochs of {str(data.y[0])!r}" if len(data.y) else "no epochs"
        raise ValueError(f"There are {only}; a classifier needs at least two conditions.")
    return data


def _export(options):
    from skeegformer.datasets import load_memmap

    X, y, metadata = load_memmap(
        options["data"],
        labels=options["labels"],
        conditions=options["conditions"],
        stages=options["stages"],
        subjects=options["subjects"],
        n_times=options["n_times"],
        n_chans=options["n_chans"],
        sfreq=options["sfreq"],
    )
    return TrainingData(X, y, metadata)


def _recordings(options):
    from skeegformer import load_eegmmi
    from skeegformer.datasets._channels import SFREQ

    window = options["window"]
    if not window or window <= 0:
        raise ValueError(f"--window {window} is no length of an epoch in seconds.")
    tasks = options["task"]
    # Epochs of motor tasks would include the sample at their end, windows at rest do not.
    at_rest = tasks == ["all"] or "baseline-eyes" in tasks
    X, y, metadata = load_eegmmi(
        tasks,
        options["subjects"] or _recorded(tasks),
        window=window,
        tmax=None if at_rest else window - 1 / SFREQ,
    )
    if options["conditions"]:
        _refuse_unknown("--conditions", options["conditions"], np.unique(y).tolist())
        chosen = np.flatnonzero(np.isin(y, options["conditions"]))
        X, y, metadata = X[chosen], y[chosen], metadata.iloc[chosen].reset_index(drop=True)
    return TrainingData(X, y, metadata)


def _recorded(tasks):
    """List the subjects whose recordings of all tasks are on this machine."""
    from skeegformer.datasets._tasks import TASKS

    names = list(TASKS) if tasks == ["all"] else tasks
    _refuse_unknown("--task", names, [*TASKS, "all"])
    return recorded(names)


def _refuse_unknown(option, names, known):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{option} {unknown[0]} is unknown; there are {', '.join(known)}.")
