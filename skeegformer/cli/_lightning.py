"""Runs of eeg-transformer: what PyTorch Lightning kept of a training, and the epochs it was of."""

import pickle
import zipfile
from pathlib import Path

import numpy as np

from skeegformer.cli._training_data import read_ch_names


def find_checkpoint(path):
    """Find the checkpoint that is meant by a file, or by a folder ``version_0``; None if none."""
    if path.suffix == ".ckpt":
        return path
    found = sorted(path.glob("checkpoints/*.ckpt"))
    if len(found) > 1:
        raise ValueError(
            f"{path} has several checkpoints; name one of {', '.join(map(str, found))}."
        )
    return found[0] if found else None


def run_of(checkpoint):
    """Name the folder that a checkpoint belongs to."""
    folder = checkpoint.parent
    return folder.parent if folder.name == "checkpoints" else folder


def load_original_data(model, data=None, ch_names=None, sfreq=None):
    """Load the epochs that a network of eeg-transformer was trained on, or others, as it got them.

    Gives an array in the unit of the file, labels, metadata and, where channels are known, an Info.
    """
    import mne

    from skeegformer.datasets import load_memmap

    theirs = model.original_
    path = Path(data or theirs.get("data_path") or "").expanduser()
    if not path.is_file():
        raise ValueError(f"Its data, {path}, are not there; say where they are: --data FILE.")
    filters = [name for name in ("notch_freq", "low_pass", "high_pass") if theirs.get(name)]
    sfreq = sfreq or theirs.get("sample_rate") or (160.0 if ch_names == "eegmmi" else None)
    beside = data is not None or not Path(theirs.get("label_path") or "").is_file()
    X, y, metadata = load_memmap(
        path,
        labels=None if beside else theirs["label_path"],
        conditions=theirs["conditions"],
        stages=theirs.get("stages"),
        n_times=theirs["epoch_length"],
        n_chans=theirs["num_channels"],
        sfreq=sfreq,
        ch_names=read_ch_names(ch_names),
    )
    if filters and X.sfreq is None:
        raise ValueError(
            f"It filters ({', '.join(filters)}), at a rate that is not known; give --sfreq."
        )
    kept = np.setdiff1d(np.arange(X.shape[1]), theirs["ignore_channels"])
    info = None if X.info is None else mne.pick_info(X.info, kept)
    scale = 1e-6 if X.unit == "V" else 1.0

    def read(rows):
        """Prepare some epochs as the original's reader and network do."""
        values = X[rows].load().astype(float) * scale
        notch, low, high = map(theirs.get, ("notch_freq", "low_pass", "high_pass"))
        if notch is not None:
            harmonics = np.arange(notch, X.sfreq // 2, notch)
            values = mne.filter.notch_filter(values, X.sfreq, harmonics, verbose="ERROR")
        if low is not None or high is not None:
            values = mne.filter.filter_data(values, X.sfreq, high, low, verbose="ERROR")
        return values[:, kept, : theirs.get("used_data_length")].astype(np.float32)

    return read, y, metadata, info


def read_held_out(run, subjects):
    """Read which epochs a run held out; refuse epochs that are not in the order of its own."""
    path = run / "splits.pt"
    if not path.is_file():
        raise ValueError(f"{path} is missing, which tells the epochs held out; pass --part all.")
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                content = _Reader(file).load()
        parts = [_integers(content[key]) for key in ("train_idx", "val_idx")]
    except Exception as error:  # what damaged files raise is of a dozen types
        raise ValueError(
            f"{path} cannot be read: it is damaged, or no split of eeg-transformer."
        ) from error
    whole = np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(subjects)))
    if not whole or set(subjects[parts[0]]) & set(subjects[parts[1]]):
        raise ValueError(
            f"{path} does not hold out whole subjects of these epochs: it was made for another "
            "export, whose rows are in another order. Give that with --data, or pass --part all."
        )
    return np.isin(np.arange(len(subjects)), parts[1])


class _Inert:
    """What a pickle says to be an object: its arguments and its state, and nothing is run."""

    def __new__(cls, *args, **kwargs):
        made = super().__new__(cls)
        made.args, made.state = args, None
        return made

    def __setstate__(self, state):
        self.state = state


class _Reader(pickle.Unpickler):
    """Read plain values of a pickle; names in it are never looked up."""

    def find_class(self, module, name):
        is_bytes = (module, name) == ("_codecs", "encode")  # how old pickles write bytes
        return (lambda text, encoding: text.encode("latin1")) if is_bytes else _Inert

    def persistent_load(self, pid):
        return None


def _integers(array):
    """Make an array of what numpy pickled."""
    _, shape, dtype, _, content = array.state
    if dtype.args[0] not in ("i4", "i8"):
        raise ValueError("no whole numbers")
    return np.frombuffer(content, "<" + dtype.args[0]).reshape(shape)
