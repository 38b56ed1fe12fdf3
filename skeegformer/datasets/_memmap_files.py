"""Files of an export: values, labels, and a header that says what is in them.

The values and labels are those of eeg-transformer's ``download_data.py``, so that its reader takes
them; the header is an addition.
"""

import hashlib
import json
import math
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from skeegformer._utils.info import describe_info

FORMAT = "skeegformer-memmap"
VERSION = 1
UNKNOWN = "-1"  # what the original writes where there is no stage
AXES = ["epoch", "sample", "channel"]
_NAME = re.compile(r"[\w.+=-]+")
_COLUMNS = ("subject", "stage", "condition")
_SUFFIXES = {"raw": ".dat", "label": ".csv", "head": ".json"}


class ExportWriter:
    """Write epochs to new files in a with block; they get their names when it ends well.

    Whatever goes wrong, files that were there before stay as they were, and nothing is left of
    the new ones. An earlier export of this name, length and kind is only replaced if asked for.
    """

    def __init__(self, folder, name, n_times, zscore=False, overwrite=False):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"name={name!r} has to be made of letters, digits and the signs . + = - _; it "
                "becomes a part of the names of files."
            )
        self.folder, self.name = Path(folder).expanduser(), name
        self.n_times, self.zscore = n_times, bool(zscore)
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not there.is_dir():
            raise ValueError(f"{there} is a file, and no folder to write to; name another one.")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(f"{there} cannot be written to; name another folder.")
        self._earlier = self._find_earlier()
        if self._earlier and not overwrite:
            raise FileExistsError(
                f"{self._earlier[0]} is there already, an export of the same name and length; pass "
                "overwrite=True to replace it, or another name."
            )
        self.data_path, self._file, self._work = None, None, None
        self._labels, self._shape, self._digest = [], None, hashlib.sha256()

    def __enter__(self):
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        try:
            with self._saying():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._work = tempfile.TemporaryDirectory(prefix=".export-", dir=self.folder)
                self._file = self._part("raw").open("xb")
        except OSError:
            self._clean()
            raise
        return self

    def write(self, data, labels, unit_scale=1.0):
        """Write some epochs, with a row of labels for each; z-scores are not scaled."""
        shape = self._shape or (data.shape[1], self.n_times)
        if data.shape[1:] != shape:
            raise ValueError(
                f"Epochs have {data.shape[1]} channels and {data.shape[2]} samples, but those "
                f"before them {shape[0]} and {shape[1]}; all need to be alike."
            )
        if self.zscore:
            data, unit_scale = standardize(data), 1.0  # they have no unit
        with self._saying():
            for epoch in data:  # one by one, to hold no second copy
                values = np.ascontiguousarray(np.multiply(epoch, unit_scale).T, dtype="<f4")
                self._digest.update(values)
                self._file.write(values)
        self._labels.append(labels)
        self._shape = shape

    def finish(self, *, info=None, ch_names=None, sfreq=None, unit="V", **more):
        """Say what the epochs are; the last call of the block. `more` goes to the header."""
        if not self._labels:
            raise ValueError("There are no epochs to write.")
        labels = pd.concat(self._labels, ignore_index=True).infer_objects()
        first = [column for column in _COLUMNS if column in labels]
        labels = labels[first + [column for column in labels if column not in first]]
        types = {
            str(column): values.dtype.name
            for column, values in labels.items()
            if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf"
        }
        labels = labels.astype(str)
        norm = "-norm" if self.zscore else ""
        stem = f"nsamp_{len(labels)}-eplen_{self.n_times}{norm}-{self.name}"
        self._final = {kind: self.folder / _file_name(kind, stem) for kind in _SUFFIXES}
        described = {"ch_names": ch_names, "sfreq": sfreq}
        if info is not None:
            described = describe_info(info)
            described["positions"] = [
                None if any(map(math.isnan, place)) else place for place in described["positions"]
            ]
        with self._saying():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            labels.to_csv(self._part("label"))
            header = {
                "format": FORMAT,
                "version": VERSION,
                "skeegformer": version("skeegformer"),
                "shape": [len(labels), self.n_times, self._shape[0]],
                "axes": AXES,
                "dtype": "float32",
                "byte_order": "little",
                "unit": "z-score" if self.zscore else unit,
                "zscore": self.zscore,
                "conditions": _counts(labels["condition"]),
                "subjects": _counts(labels["subject"]),
                "label_types": types,
                **more,
                "line_freq": None if info is None else info["line_freq"],
                "channels": described,
                "sha256": {
                    self._final["raw"].name: self._digest.hexdigest(),
                    self._final["label"].name: file_checksum(self._part("label")),
                },
            }
            lines = [
                f" {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in header.items()
            ]
            text = "{\n" + ",\n".join(lines) + "\n}\n"
            self._part("head").write_text(text, encoding="utf-8")

    def __exit__(self, kind, error, traceback):
        try:
            if error is None:
                with self._saying():
                    self._move()
        finally:
            self._clean()

    def _move(self):
        """Give the files their names; all of them or none."""
        moved = []
        try:
            for path in self._earlier:
                path.replace(self._part(path.name))
            for kind, path in self._final.items():
                if path.exists():  # somebody else's, since this export began
                    raise FileExistsError(17, f"{path.name} has appeared there", None)
                self._part(kind).replace(path)
                moved.append(path)
        except BaseException:
            for path in moved:
                path.unlink(missing_ok=True)
            for path in self._earlier:
                if self._part(path.name).exists():
                    self._part(path.name).replace(path)
            raise
        self.data_path = self._final["raw"]

    def _clean(self):
        if self._file is not None:
            with suppress(OSError):  # writes what is left, which a full disk refuses once more
                self._file.close()
        if self._work is not None:
            with suppress(OSError):
                self._work.cleanup()
        if self.data_path is None:
            with suppress(OSError):  # others may have put something there meanwhile
                for folder in self._made:
                    folder.rmdir()

    def _part(self, name):
        """Return where a file is until it is whole, or an earlier one until it is replaced."""
        return Path(self._work.name, name)

    def _find_earlier(self):
        """List the files of an export of this name, length and kind."""
        norm = "-norm" if self.zscore else ""
        stem = re.compile(rf"nsamp_\d+-eplen_{self.n_times}{norm}-{re.escape(self.name)}")
        return [
            path
            for kind in _SUFFIXES
            for path in sorted(self.folder.glob(_file_name(kind, "nsamp_*")))
            if stem.fullmatch(file_stem(path, kind))
        ]

    @contextmanager
    def _saying(self):
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise type(error)(
                f"The export {self.name!r} could not be written to {self.folder}: {reason}. "
                "Nothing of it is left there, and earlier files are as they were."
            ) from error


def standardize(data):
    """Compute z-scores of each channel of each epoch, as the original does.

    A channel that does not vary becomes 0, of which the original makes NaN.
    """
    data = np.asarray(data, dtype=np.float64)
    centred = data - data.mean(axis=-1, keepdims=True)
    std = data.std(axis=-1, keepdims=True)
    return centred / np.where(std > 0, std, 1.0)


def sister(path, kind):
    """Name the file of labels ("label") or the header ("head") that belongs to a data file."""
    return path.with_name(_file_name(kind, file_stem(path, "raw")))


def file_checksum(path):
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_name(kind, stem):
    return f"{kind}-{stem}{_SUFFIXES[kind]}"


def file_stem(path, kind):
    """Return what the names of the files of an export have in common."""
    return path.name.removeprefix(f"{kind}-").removesuffix(_SUFFIXES[kind])


def _counts(values):
    return {str(name): int(n) for name, n in values.value_counts(sort=False).items()}
