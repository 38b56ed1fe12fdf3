"""Finished fits on disk: a line of JSON each, found again by what decides on its scores."""

import json
import os
import re
import warnings
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
from sklearn.utils.metadata_routing import get_routing_for_object

from skeegformer._utils.info import describe_info
from skeegformer._validation import MappedEpochs, as_epochs, is_epochs
from skeegformer.evaluation._splitting import parts


class FitStore:
    """A file to which a line is appended for each finished fit, by one write."""

    # Whoever is killed leaves at worst a line that is cut off, whose fit is run again.

    def __init__(self, folder):
        folder = Path(folder).expanduser()
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file; name a folder for finished fits.")
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "fits.jsonl"
        self._rows = {}
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else [b""]
        n_broken = 0
        for line in filter(None, lines):
            try:
                content = json.loads(line)
                self._rows[content["key"]] = content["rows"]
            except (ValueError, KeyError, TypeError, RecursionError):
                n_broken += 1
        if n_broken:
            warnings.warn(
                f"{self.path} has {n_broken} lines that are broken or cut off; their fits are run "
                "again.",
                stacklevel=3,
            )
        if lines[-1]:
            self._write(b"\n")  # what comes next must not be joined to a line that was cut off

    def find(self, settings):
        """Find the rows of the fit with these settings; None where it is not finished."""
        return self._rows.get(_key(settings))

    def append(self, settings, rows):
        """Keep the rows of a finished fit; settings and rows have to be writable as JSON."""
        key = _key(settings)
        line = json.dumps({"key": key, "settings": settings, "rows": rows}) + "\n"
        self._write(line.encode())
        self._rows[key] = rows

    def _write(self, data):
        with self.path.open("ab", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())


def _key(settings):
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def describe(estimator):
    """Write down an estimator's parameters, which ``repr`` abridges, and who requests groups."""
    with np.printoptions(threshold=np.inf):
        params = {
            name: type(value).__qualname__ if hasattr(value, "get_params") else _text(value)
            for name, value in sorted(estimator.get_params().items())
        }
    text = f"{type(estimator).__qualname__} {params} {get_routing_for_object(estimator)}"
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _text(value):
    """Write a parameter down, with those of callbacks in it, of which ``repr`` tells nothing."""
    inner = [one for _, one in parts(value) if not isinstance(one, type)]
    some = [one for one in inner if hasattr(one, "get_params") and not hasattr(one, "fit")]
    told = [one.get_params(deep=False) for one in some]
    return f"{value!r} {told}" if told else repr(value)


def digest(X, y, groups):
    """Hash epochs, what else steps see of them, their labels and their subjects."""
    known = ()
    if is_epochs(X):
        X = as_epochs(X)
        names = None if X.metadata is None else X.metadata.get("subject")
        known = describe_info(X.info), X.info["line_freq"], X.tmin, np.asarray(names).tolist()
        X = X.get_data(copy=False)
    elif isinstance(X, MappedEpochs):
        info = None if X.info is None else describe_info(X.info)
        known = X.ch_names, X.sfreq, X.unit, info, X.tmin, np.asarray(X.subjects).tolist()
    else:
        X = np.asarray(X)
    # Those in a file are read subject by subject.
    hashes = [joblib.hash(np.ascontiguousarray(X[groups == one])) for one in np.unique(groups)]
    return joblib.hash((known, hashes, y.tolist(), groups.tolist()))
