"""The epochs of a training run, from an export, files of Epochs or recordings."""

from pathlib import Path

import numpy as np

from skeegformer.cli._arguments import count, recorded

_EPOCHS = (".fif", ".fif.gz")


def check_data_options(options):
    """Refuse options that leave it open which data are meant, before anything is loaded."""
    if bool(options["data"]) == bool(options["task"]):
        raise ValueError(
            "Say what to train on: --data FILE for an export (see skeegformer download) or Epochs, "
            "or --task TASK for recordings of EEGMMI" + ("; not both." if options["data"] else ".")
        )
    if options["stages"] and (options["task"] or _are_epochs(options["data"])):
        raise ValueError(
            "--stages belongs to an export; leave it out with "
            f"{'--task' if options['task'] else 'files of Epochs'}."
        )
    given = [Path(path).expanduser().resolve() for path in options["data"] or ()]
    twice = [str(path) for path in given if given.count(path) > 1]
    if twice:
        raise ValueError(f"--data names {twice[0]} more than once; name each file once.")
    for path in options["data"] or ():
        if not path.endswith((".dat", *_EPOCHS)) and not Path(path).expanduser().is_dir():
            raise ValueError(_no_epochs(path))
    if options["task"] and not (options["window"] or 0) > 0:
        raise ValueError(f"--window {options['window']} is no length of an epoch in seconds.")


def load_data(options):
    """Load the epochs that the options name, with labels, and metadata with their subjects."""
    if options["task"]:
        X, y, metadata = _recordings(options)
    elif _are_epochs(options["data"]):
        X, y, metadata = _epochs(options)
    else:
        X, y, metadata = _export(options)
    if len(np.unique(y)) < 2:
        only = f"only epochs of {str(y[0])!r}" if len(y) else "no epochs"
        raise ValueError(f"There are {only}; a classifier needs at least two conditions.")
    column = options["groups"] or "subject"
    if column not in metadata:
        if metadata.empty:
            raise ValueError(
                "The epochs have no metadata, which tell the subject of each: set epochs.metadata "
                f"= pandas.DataFrame({{{column!r}: ['sub-01'] * len(epochs)}}), with a name for "
                "each person, and save them again."
            )
        raise ValueError(
            f"The metadata have no column {column!r} that tells subjects, only "
            f"{', '.join(map(str, metadata))}; --groups COLUMN names another."
        )
    n_unknown = int(metadata[column].isna().sum())
    if n_unknown:
        raise ValueError(
            f"{n_unknown} of {len(metadata)} epochs have no {column!r} in their metadata, which "
            "tells the subject: all files of --data need that column, filled in for every epoch."
        )
    return X, y, metadata.assign(subject=metadata[column].to_numpy())


def in_file(X):
    """Tell whether epochs stay in a file."""
    from skeegformer.datasets import MappedEpochs

    return isinstance(X, MappedEpochs)


def describe(X, y, metadata):
    """Say in numbers what there is."""
    labels, counts = np.unique(y, return_counts=True)
    # MNE would load all of Epochs for their shape.
    shape = X.shape[1:] if in_file(X) else (len(X.ch_names), len(X.times))
    return {
        "n_epochs": len(y),
        "n_chans": int(shape[0]),
        "n_times": int(shape[1]),
        "n_subjects": int(metadata["subject"].nunique()),
        "classes": dict(zip(labels.tolist(), counts.tolist(), strict=True)),
    }


def tell(X, y, metadata):
    """Print what there is."""
    told = describe(X, y, metadata)
    counts = ", ".join(f"{n} {label}" for label, n in told["classes"].items())
    print(
        f"{told['n_epochs']} epochs of {count(told['n_subjects'], 'subject')}, "
        f"{told['n_chans']} channels, {told['n_times']} samples ({counts})",
        flush=True,
    )


def _are_epochs(paths):
    return all(path.endswith(_EPOCHS) for path in paths)


def _no_epochs(path):
    return (
        f"{path} is no file of Epochs. Cut a recording, or turn an array into mne.EpochsArray, and "
        'save as *-epo.fif; the page "Your own data" of the documentation shows how.'
    )


def _export(options):
    from skeegformer import load_memmap
    from skeegformer.datasets._memmap_files import sister

    if len(options["data"]) > 1:
        raise ValueError(
            f"--data names {len(options['data'])} files; take one export, or *-epo.fif files only."
        )
    path = Path(options["data"][0]).expanduser()
    nameless = ValueError(
        f"{path.name} does not tell names and rate of its channels; write it anew in Python, and "
        f"name the new file: write_memmap(*load_memmap({str(path)!r}, ch_names=[...], sfreq=...), "
        "'exports', 'named')."
    )
    if path.is_file() and "-" in path.stem and not sister(path, "head").is_file():
        raise nameless
    names = ("conditions", "stages", "subjects")
    X, y, metadata = load_memmap(path, **{name: options[name] for name in names})
    if X.info is None:
        raise nameless
    return X, y, metadata


def _epochs(options):
    import mne
    import pandas as pd

    from skeegformer._validation import as_epochs

    parts = []
    for path in options["data"]:
        try:
            parts.append(mne.read_epochs(path))
        except FileNotFoundError:
            raise
        except Exception as error:  # what damaged files raise is of a dozen types
            if "Could not find event data" in str(error):  # MNE's words for files without epochs
                raise ValueError(_no_epochs(path)) from None
            raise ValueError(f"{path} cannot be read as Epochs: {error}") from error
        try:
            as_epochs([parts[0][:1], parts[-1][:1]])
        except ValueError as error:
            raise ValueError(
                f"{options['data'][0]} and {path} do not belong together: {error}"
            ) from error
    ids = {code: name for part in parts for name, code in part.event_id.items()}
    if any(ids[code] != name for part in parts for name, code in part.event_id.items()):
        raise ValueError("The files of --data give one event code different names.")
    X = as_epochs(parts)
    y = [ids[code] for part in parts for code in part.events[:, 2]]
    metadata = pd.DataFrame(index=range(len(X))) if X.metadata is None else X.metadata
    metadata = metadata.reset_index(drop=True)
    return _choose(X, np.array(y), metadata, options, ("conditions", "subjects"))


def _recordings(options):
    from skeegformer import load_eegmmi
    from skeegformer.datasets._channels import SFREQ
    from skeegformer.datasets._tasks import check_tasks

    names = [task.name for task in check_tasks(options["task"])]
    # Epochs of motor tasks would include the sample at their end, windows at rest do not.
    X, y, metadata = load_eegmmi(
        names,
        options["subjects"] or recorded(names),
        window=options["window"],
        tmax=None if "baseline-eyes" in names else options["window"] - 1 / SFREQ,
    )
    return _choose(X, y, metadata, options, ("conditions",))


def _choose(X, y, metadata, options, names):
    """Keep the epochs that are asked for."""
    from skeegformer.datasets._memmap_reading import matches

    kept, table = np.ones(len(y), bool), metadata.assign(condition=y).astype(str)
    for name in names:
        if options[name]:
            column = "condition" if name == "conditions" else options["groups"] or "subject"
            kept &= matches(f"--{name}: the data", table, column, options[name])
    chosen = np.flatnonzero(kept)
    return X[chosen], y[chosen], metadata.iloc[chosen].reset_index(drop=True)
