"""Files of an export: values, labels, and a header that says what is in them.

The values and labels are those of eeg-transformer's ``download_data.py``, so that its reader takes
them; the header is an addition.
"""

import hashlib
import json
import math
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from skeegformer._utils.info import describe_info

FORMAT = "skeegformer-memmap"
VERSION = 1
UNKNOWN = "-1"  # what the original writes where there is no stage
AXES = ["epoch", "sample", "channel"]
_STEM = re.compile(r"nsamp_(?P<n_epochs>\d+)-eplen_(?P<n_times>\d+)(?P<norm>-norm)?-(?P<name>.+)")
_NAME = re.compile(r"[\w.+=-]+")
_COLUMNS = ("subject", "stage", "condition")


class ExportWriter:
    """Write epochs to new files in a with block; they get their names when it ends well.

    Parameters
    ----------
    folder : path-like
        Where to; made if it is missing.
    name : str
        Last part of the files' names.
    n_times : int
        Samples in an epoch.
    zscore : bool
        Whether every channel of every epoch is standardised.
    overwrite : bool
        Whether files of an export of this name may be replaced.

    Raises
    ------
    FileExistsError
        If there is such an export already.
    ValueError
        If the name is not fit for a file, or the folder is a file.
    OSError
        If files cannot be written; what was there before stays as it was.
    """

    def __init__(self, folder, name, n_times, zscore=False, overwrite=False):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"name={name!r} has to be made of letters, digits and the signs . + = - _; it "
                "becomes a part of the names of files."
            )
        self.folder, self.name = Path(folder).expanduser(), name
        self.n_times, self.zscore = n_times, bool(zscore)
        check_folder(self.folder)
        self._earlier = self._find_earlier()
        if self._earlier and not overwrite:
            raise FileExistsError(
                f"{self._earlier[0]} is there already, an export of the same name and length; pass "
                "overwrite=True to replace it, or another name."
            )
        self.header, self.data_path = None, None
        self._labels, self._n_epochs, self._n_chans = [], 0, None
        self._digest, self._file = hashlib.sha256(), None

    def __enter__(self):
        token = secrets.token_hex(4)
        self._temporary = {
            part: self.folder / f".{part}-{self.name}-{token}{suffix}"
            for part, suffix in _SUFFIXES.items()
        }
        self._aside = {path: path.with_name(f".{token}-{path.name}") for path in self._earlier}
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary["raw"].open("xb")
        except OSError as error:
            self._clean()
            raise self._say(error) from error
        return self

    def write(self, data, labels, unit_scale=1.0):
        """Write some epochs.

        Parameters
        ----------
        data : ndarray of shape (n_some, n_chans, n_times)
            The epochs.
        labels : pandas.DataFrame of shape (n_some, n_columns)
            Columns ``subject``, ``stage``, ``condition`` and others.
        unit_scale : float
            What values are multiplied with before they are written; z-scores are not.
        """
        if self._n_chans is None:
            self._n_chans = data.shape[1]
        if data.shape[1:] != (self._n_chans, self.n_times):
            raise ValueError(
                f"Epochs have {data.shape[1]} channels and {data.shape[2]} samples, but those "
                f"before them {self._n_chans} and {self.n_times}; all need to be alike."
            )
        labels = labels.astype(str)
        if self.zscore:
            data, unit_scale = standardize(data), 1.0  # they have no unit
        for epoch in data:  # one by one, to hold no second copy
            values = np.ascontiguousarray(np.multiply(epoch, unit_scale).T, dtype="<f4")
            self._digest.update(values)
            try:
                self._file.write(values)
            except OSError as error:
                raise self._say(error) from error
        self._labels.append(labels)
        self._n_epochs += len(data)

    def finish(self, *, info=None, ch_names=None, sfreq=None, unit="V", **more):
        """Say what the epochs are; the last call of the block.

        Parameters
        ----------
        info : mne.Info or None
            Of the channels.
        ch_names : list of str or None
            Names of the channels, where there is no Info.
        sfreq : float or None
            Sampling rate in Hz, where there is no Info.
        unit : str
            What the values in the file are.
        **more : dict
            What else belongs in the header.
        """
        if not self._n_epochs:
            raise ValueError("There are no epochs to write.")
        labels = pd.concat(self._labels, ignore_index=True)
        first = [column for column in _COLUMNS if column in labels]
        labels = labels[first + [column for column in labels if column not in first]]
        stem = f"nsamp_{self._n_epochs}-eplen_{self.n_times}{'-norm' * self.zscore}-{self.name}"
        self._final = {kind: self.folder / _file_name(kind, stem) for kind in _SUFFIXES}
        described = {"ch_names": ch_names, "sfreq": sfreq}
        line_freq = None
        if info is not None:
            described, line_freq = describe_info(info), info["line_freq"]
            described["positions"] = [
                None if any(map(math.isnan, place)) else place for place in described["positions"]
            ]
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            labels.to_csv(self._temporary["label"])
            self.header = {
                "format": FORMAT,
                "version": VERSION,
                "skeegformer": _package_version(),
                "shape": [self._n_epochs, self.n_times, self._n_chans],
                "axes": AXES,
                "dtype": "float32",
                "byte_order": "little",
                "unit": "z-score" if self.zscore else unit,
                "zscore": self.zscore,
                "conditions": _counts(labels["condition"]),
                "subjects": _counts(labels["subject"]),
                **more,
                "line_freq": line_freq,
                "channels": described,
                "sha256": {
                    self._final["raw"].name: self._digest.hexdigest(),
                    self._final["label"].name: file_checksum(self._temporary["label"]),
                },
            }
            lines = [
                f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
                for key, value in self.header.items()
            ]
            text = "{\n" + ",\n".join(lines) + "\n}\n"
            self._temporary["head"].write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._say(error) from error

    def __exit__(self, kind, error, traceback):
        try:
            if error is None:
                self._move()
        finally:
            self._clean()

    def _move(self):
        """Give the files their names; all of them or none."""
        moved = []
        try:
            for path, aside in self._aside.items():
                path.replace(aside)
            for part, path in self._final.items():
                if path.exists():  # somebody else's, since this export began
                    raise FileExistsError(17, f"{path.name} has appeared there", None)
                self._temporary[part].replace(path)
                moved.append(path)
        except BaseException as error:
            for path in moved:
                path.unlink(missing_ok=True)
            for path, aside in self._aside.items():
                if aside.exists():
                    aside.replace(path)
            if isinstance(error, OSError):
                raise self._say(error) from error
            raise
        self.data_path = self._final["raw"]

    def _clean(self):
        if self._file is not None:
            with suppress(OSError):  # writes what is left, which a full disk refuses once more
                self._file.close()
        for path in (*self._temporary.values(), *self._aside.values()):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        if self.data_path is None:
            with suppress(OSError):  # others may have put something there meanwhile
                for folder in self._made:
                    folder.rmdir()

    def _find_earlier(self):
        """List the files of an export of this name, length and kind."""
        kind = "-norm" if self.zscore else ""
        stem = re.compile(rf"nsamp_\d+-eplen_{self.n_times}{kind}-{re.escape(self.name)}")
        return [
            path
            for part in _SUFFIXES
            for path in sorted(self.folder.glob(_file_name(part, "nsamp_*")))
            if stem.fullmatch(_stem(path, part))
        ]

    def _say(self, error):
        reason = error.strerror or error
        return type(error)(
            f"The export {self.name!r} could not be written to {self.folder}: {reason}. Nothing of "
            "it is left there, and earlier files are as they were."
        )


_SUFFIXES = {"raw": ".dat", "label": ".csv", "head": ".json"}


def check_folder(folder):
    """Refuse a folder that is a file, or where nothing may be written.

    Parameters
    ----------
    folder : pathlib.Path
        The folder; it need not exist.

    Raises
    ------
    ValueError
        If there is a file in its place.
    PermissionError
        If it, or the folder to make it in, may not be written to.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"{there} is a file, and no folder to write to; name another one.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there} cannot be written to; name another folder.")


def standardize(data):
    """Compute z-scores of each channel of each epoch, as the original does.

    Parameters
    ----------
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.

    Returns
    -------
    ndarray of shape (n_epochs, n_chans, n_times)
        Mean 0 and standard deviation 1 over the samples; 0 for a channel that does not vary, of
        which the original makes NaN.
    """
    data = np.asarray(data, dtype=np.float64)
    centred = data - data.mean(axis=-1, keepdims=True)
    std = data.std(axis=-1, keepdims=True)
    return centred / np.where(std > 0, std, 1.0)


def parse_name(path):
    """Read what the name of a data file tells.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict or None
        ``n_epochs``, ``n_times``, ``zscore`` and ``name``; None if it has no such name.
    """
    if not path.name.startswith("raw-") or path.suffix != ".dat":
        return None
    parts = _STEM.fullmatch(_stem(path, "raw"))
    if parts is None:
        return None
    return {
        "n_epochs": int(parts["n_epochs"]),
        "n_times": int(parts["n_times"]),
        "zscore": parts["norm"] is not None,
        "name": parts["name"],
    }


def sister(path, kind):
    """Name the file of labels or the header that belongs to a data file.

    Parameters
    ----------
    path : pathlib.Path
        The data file.
    kind : {"label", "head"}
        Which one.

    Returns
    -------
    pathlib.Path
        Its path.
    """
    return path.with_name(_file_name(kind, _stem(path, "raw")))


def file_checksum(path):
    """Compute the SHA-256 of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        In hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_name(kind, stem):
    return f"{kind}-{stem}{_SUFFIXES[kind]}"


def _stem(path, kind):
    return path.name.removeprefix(f"{kind}-").removesuffix(_SUFFIXES[kind])


def _counts(values):
    return {str(name): int(n) for name, n in values.value_counts(sort=False).items()}


def _package_version():
    from skeegformer import __version__

    return __version__
