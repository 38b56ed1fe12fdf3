"""Runs of eeg-transformer: what PyTorch Lightning kept of a training, and the epochs it was of."""

from pathlib import Path

import numpy as np

from skeegformer.cli._training_data import load_export, rate_of, read_ch_names


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


def run_of(path):
    """Name the folder of a run, or the one that a checkpoint or an attention.pt belongs to."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "checkpoints" else folder


def load_saved_attention(path, ch_names=None, sfreq=None):
    """Load what attention.py of eeg-transformer wrote, with names of its channels."""
    from skeegformer import Explanation
    from skeegformer._utils.info import info_of_names

    names, info = read_ch_names(ch_names), None
    if names:
        info = info_of_names(names, sfreq or rate_of(ch_names, path))
    return Explanation.load(path, info=info)


def load_original_data(model, data=None, ch_names=None, sfreq=None):
    """Load the epochs that a network of eeg-transformer was trained on, or others, as it got them.

    Gives an array in the unit of the file, labels, metadata and, where channels are known, an Info.
    """
    import mne

    theirs = model.original_
    path = Path(data or theirs.get("data_path") or "").expanduser()
    if not path.is_file():
        raise ValueError(
            f"Its data, {path}, are not there; say where they are: --data FILE. What its "
            "attention.py has written can be explained without: RUN/attention.pt."
        )
    filters = [name for name in ("notch_freq", "low_pass", "high_pass") if theirs.get(name)]
    beside = data is not None or not Path(theirs.get("label_path") or "").is_file()
    X, y, metadata = load_export(
        path,
        labels=None if beside else theirs["label_path"],
        conditions=theirs["conditions"],
        stages=theirs.get("stages"),
        n_times=theirs["epoch_length"],
        n_chans=theirs["num_channels"],
        sfreq=sfreq or theirs.get("sample_rate"),
        ch_names=ch_names,
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


def training_subjects(run):
    """Read the names of the subjects that were trained on; None where nothing tells them."""
    from skeegformer.io._pickles import as_array, read_pickle

    try:
        return set(map(str, as_array(read_pickle(run / "splits.pt")["train_subjects"])))
    except Exception:  # what damaged files raise is of a dozen types
        return None


def read_held_out(run, subjects):
    """Read which epochs a run held out; refuse epochs that are not in the order of its own."""
    from skeegformer.io._pickles import as_array, read_pickle

    path = run / "splits.pt"
    if not path.is_file():
        raise ValueError(f"{path} is missing, which tells the epochs held out; pass --part all.")
    try:
        content = read_pickle(path)
        parts = [as_array(content[key]) for key in ("train_idx", "val_idx")]
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
