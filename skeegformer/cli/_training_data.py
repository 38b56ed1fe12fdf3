"""The epochs of a training run, from an export, files of Epochs or recordings."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from skeegformer.cli._arguments import count, recorded

_RECORDINGS = (".edf", ".bdf", ".gdf", ".vhdr", ".set", ".cnt", ".mff")


def name_data(options):
    """Name a run after its data."""
    if options["task"]:
        return "-".join(options["task"])
    return Path(options["data"][0]).stem.removeprefix("raw-") or "run"


def check_data_options(options):
    """Refuse options that leave it open which data are meant, before anything is loaded."""
    if bool(options["data"]) == bool(options["task"]):
        raise ValueError(
            "Say what to train on: --data FILE for an export (see skeegformer download) or Epochs, "
            "or --task TASK for recordings of EEGMMI" + ("; not both." if options["data"] else ".")
        )
    others = ("labels", "stages", "n_times", "n_chans", "sfreq", "ch_names")
    wrong = [name for name in others if options[name]]
    if wrong and (options["task"] or _are_epochs(options["data"])):
        raise ValueError(
            f"--{wrong[0].replace('_', '-')} belongs to an export; leave it out with "
            f"{'--task' if options['task'] else 'files of Epochs'}."
        )
    given = [Path(path).expanduser().resolve() for path in options["data"] or ()]
    twice = [str(path) for path in given if given.count(path) > 1]
    if twice:
        raise ValueError(f"--data names {twice[0]} more than once; name each file once.")
    if "" in (options["data"] or ()):
        raise ValueError("--data is empty; name a file.")
    for path in options["data"] or ():
        if Path(path).suffix.lower() in _RECORDINGS:
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


def read_ch_names(text):
    """Read names of channels: a list, a file of them, or eegmmi for those of EEGMMI."""
    from skeegformer.datasets._channels import CH_NAMES

    if text is None or text == "eegmmi":
        return text and list(CH_NAMES)
    with suppress(OSError):  # names, and so many of them may be too long for one of a file
        text = Path(text).expanduser().read_text(encoding="utf-8")
    return text.replace(",", " ").split()


def _are_epochs(paths):
    return all(str(path).endswith((".fif", ".fif.gz")) for path in paths)


def _no_epochs(path):
    return (
        f"{path} is no file of Epochs. Cut a recording, or turn an array into mne.EpochsArray, and "
        'save as *-epo.fif; the page "Your own data" of the documentation shows how.'
    )


def load_export(path, *, ch_names=None, sfreq=None, **chosen):
    """Open an export whose channels may be named by `read_ch_names`; eegmmi also tells the rate."""
    from skeegformer.datasets import load_memmap

    names = read_ch_names(ch_names)
    X, y, metadata = load_memmap(path, ch_names=names, sfreq=sfreq, **chosen)
    if names and X.sfreq is None:
        sfreq = rate_of(ch_names, X.path)
        return load_memmap(path, ch_names=names, sfreq=sfreq, **chosen)
    return X, y, metadata


def rate_of(ch_names, path):
    """Tell the sampling rate of channels that are named, where it is not given."""
    from skeegformer.datasets._channels import SFREQ

    if ch_names != "eegmmi":
        raise ValueError(
            f"--ch-names needs the sampling rate as well, which {path.name} does not tell: give "
            "--sfreq."
        )
    return SFREQ


def _export(options):
    if len(options["data"]) > 1:
        raise ValueError(
            f"--data names {len(options['data'])} files; take one export, or *-epo.fif files only."
        )
    path = Path(options["data"][0])
    if path.is_file() and path.suffix != ".dat":
        raise ValueError(_no_epochs(path))
    names = ("labels", "conditions", "stages", "subjects", "n_times", "n_chans", "sfreq")
    chosen = {name: options[name] for name in (*names, "ch_names")}
    return load_export(options["data"][0], **chosen)


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
    tables = [
        pd.DataFrame(index=range(len(X))) if X.metadata is None else X.metadata for X in parts
    ]
    _refuse_unlike(options["data"], parts)
    if any(X.metadata is None for X in parts):  # MNE joins all or none; `load_data` names them
        for X in parts:
            X.metadata = None
    codes = {code: name for X in parts for name, code in X.event_id.items()}
    if any(codes[code] != name for X in parts for name, code in X.event_id.items()):
        raise ValueError("The files of --data give one event code different names.")
    X = as_epochs(parts) if len(parts) > 1 else parts[0]
    y = np.array([codes[code] for code in X.events[:, 2]])
    return _choose(X, y, pd.concat(tables, ignore_index=True), options, ("conditions", "subjects"))


def _refuse_unlike(paths, parts):
    """Refuse files of Epochs that cannot be joined."""
    first = parts[0]
    for path, X in zip(paths, parts, strict=True):
        for what, of_first, of_this in (
            ("channels", first.ch_names, X.ch_names),
            ("sampling rates in Hz", first.info["sfreq"], X.info["sfreq"]),
            ("numbers of samples", len(first.times), len(X.times)),
        ):
            if of_this != of_first:
                raise ValueError(
                    f"{paths[0]} and {path} have different {what}, {_short(of_first)} and "
                    f"{_short(of_this)}; all files of --data need the same."
                )


def _short(value):
    return f"{len(value)} ({', '.join(value[:5])}, ...)" if isinstance(value, list) else value


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
