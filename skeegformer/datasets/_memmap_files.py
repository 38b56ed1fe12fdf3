"""Files of an export: values and labels as eeg-transformer has them, and a header.

An export is written to a hidden folder. When all of it is on the disk, one renaming of that folder
makes it the export; only then do its files take the places of earlier ones. A process that is
killed before leaves the earlier export, and one that is killed after that the new one: whoever
reads or writes there next moves what is left.
"""

import csv
import json
import math
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from skeegformer._utils.info import describe_info

FORMAT, VERSION = "skeegformer-memmap", 1
UNKNOWN = "-1"  # what the original writes where there is no stage
_SUFFIXES = {"raw": ".dat", "label": ".csv", "head": ".json"}
_COMPLETE = ".complete-"  # begins the name of a folder whose files have not all been moved


def write_files(folder, name, n_times, chunks, header, *, zscore=False, overwrite=False):
    """Write an export as a whole or not at all, and return the path of its values."""
    # `chunks` gives arrays with tables of labels, and fills the header's `unit` and `channels`.
    if not isinstance(name, str) or not re.fullmatch(r"[\w.+=-]+", name):
        raise ValueError(
            f"name={name!r} has to be made of letters, digits and the signs . + = - _; it "
            "becomes a part of the names of files."
        )
    folder = Path(folder).expanduser()
    ending = f"eplen_{n_times}{'-norm' if zscore else ''}-{name}"
    finish_interrupted(folder)
    if not overwrite:
        _refuse_earlier(folder, ending)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as work:
            files = Path(work, "files")
            files.mkdir()
            labels, n_chans = _write_values(files / "raw", chunks, n_times, zscore)
            stem = f"nsamp_{len(labels)}-{ending}"
            raw, label, head = (files / _file_name(kind, stem) for kind in _SUFFIXES)
            (files / "raw").rename(raw)
            types = {
                str(column): values.dtype.name
                for column, values in labels.items()
                if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf"
            }
            labels = labels.astype(str).where(labels.notna())  # pandas 2 writes "nan"
            text = labels.to_csv(lineterminator="\n")
            if "\r" in text:  # which pandas would not quote, but read as the end of a line
                text = labels.to_csv(lineterminator="\n", quoting=csv.QUOTE_ALL)
            _write_text(label, text)
            channels = header["channels"]
            header = {
                "format": FORMAT,
                "version": VERSION,
                "skeegformer": version("skeegformer"),
                "shape": [len(labels), n_times, n_chans],
                "axes": ["epoch", "sample", "channel"],
                "dtype": "float32",
                "byte_order": "little",
                "zscore": zscore,
                "conditions": labels["condition"].value_counts(sort=False).to_dict(),
                "subjects": labels["subject"].value_counts(sort=False).to_dict(),
                "label_types": types,
                **header,
                "unit": "z-score" if zscore else header["unit"],
                "line_freq": channels.get("line_freq"),
                "channels": _describe(channels),
            }
            _write_text(head, json.dumps(header, indent=1, allow_nan=False))
            if not overwrite:  # somebody else may have written there meanwhile
                _refuse_earlier(folder, ending)
            complete = files.rename(folder / f"{_COMPLETE}{stem}")
        _finish(complete)
    except OSError as error:
        reason = str(error.strerror or error).rstrip(".")
        raise type(error)(
            f"The export {name!r} could not be written to {folder}: {reason}. "
            "Earlier files are as they were."
        ) from error
    return folder / raw.name


def _refuse_earlier(folder, ending):
    earlier = _files_of(folder, ending)
    if earlier:
        raise FileExistsError(
            f"{earlier[0]} is there already, an export of the same name and length; pass "
            "overwrite=True to replace it, or another name."
        )


def finish_interrupted(folder):
    """Give the files of complete exports their names, where a process was killed over it."""
    for complete in folder.glob(f"{_COMPLETE}nsamp_*"):
        _finish(complete)


def sister(path, kind):
    """Name the file of labels ("label") or the header ("head") that belongs to a data file."""
    return path.with_name(_file_name(kind, file_stem(path)))


def file_stem(path):
    """Return what the names of the files of an export have in common."""
    return path.stem.split("-", 1)[1]


def _write_values(path, chunks, n_times, zscore):
    """Write epochs; return their labels and the number of channels."""
    labels, shape = [], None
    with path.open("xb") as file:
        for data, rows in chunks:
            shape = shape or (data.shape[1], n_times)
            if data.shape[1:] != shape:
                raise ValueError(
                    f"Epochs have {data.shape[1]} channels and {data.shape[2]} samples, but those "
                    f"before them {shape[0]} and {shape[1]}; all need to be alike."
                )
            for epoch in _standardize(data) if zscore else data:
                file.write(np.ascontiguousarray(epoch.T, dtype="<f4"))
            labels.append(rows)
        file.flush()
        os.fsync(file.fileno())
    labels = pd.concat(labels, ignore_index=True).infer_objects()
    first = ["subject", "stage", "condition"]
    others = [column for column in labels if column not in first]
    return labels[first + others], shape[0]


def _standardize(data):
    """Compute z-scores of each channel of each epoch; one that does not vary becomes 0."""
    data = np.asarray(data, dtype=np.float64)
    centred = data - data.mean(axis=-1, keepdims=True)
    std = data.std(axis=-1, keepdims=True)
    return centred / np.where(std > 0, std, 1.0)


def _remove_leftovers(folder):
    """Remove what was left a day ago or longer by processes that were killed while they wrote."""
    for left in folder.glob(".export-*"):
        newest = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
        if newest < time.time() - 86400:
            shutil.rmtree(left, ignore_errors=True)


def _write_text(path, text):
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _describe(channels):
    """Make JSON of an Info, or of what is known in its place."""
    if "chs" not in channels:
        return channels
    described = describe_info(channels)
    described["positions"] = [
        place if all(map(math.isfinite, place)) else None for place in described["positions"]
    ]
    return described


def _finish(complete):
    """Give the files of a complete export their names, in place of an earlier one."""
    folder, stem = complete.parent, complete.name.removeprefix(_COMPLETE)
    for kind in _SUFFIXES:
        with suppress(FileNotFoundError):  # it was moved before the process was killed
            (complete / _file_name(kind, stem)).replace(folder / _file_name(kind, stem))
    for earlier in _files_of(folder, stem.split("-", 1)[1]):
        if file_stem(earlier) != stem:
            earlier.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        complete.rmdir()


def _files_of(folder, ending):
    """List the files of exports of any number of epochs whose names have this ending."""
    pattern = re.compile(rf"nsamp_\d+-{re.escape(ending)}")
    return [
        path
        for kind in _SUFFIXES
        for path in sorted(folder.glob(_file_name(kind, "nsamp_*")))
        if pattern.fullmatch(file_stem(path))
    ]


def _file_name(kind, stem):
    return f"{kind}-{stem}{_SUFFIXES[kind]}"
