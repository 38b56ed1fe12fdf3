"""Reading of exports: what the header, or the name and size of a file, tell."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd

from skeegformer._utils.info import info_of_names, make_info
from skeegformer._validation import MappedEpochs, validate_ch_names
from skeegformer.datasets._memmap_files import (
    FORMAT,
    UNKNOWN,
    VERSION,
    file_stem,
    finish_interrupted,
    sister,
)


def load_memmap(path, *, conditions=None, stages=None, subjects=None, sfreq=None, ch_names=None):
    """Open an export; epochs are read only when they are needed.

    Parameters
    ----------
    path : path-like
        The data file, ``raw-....dat``, of `export_memmap`, `write_memmap` or eeg-transformer's
        ``download_data.py``, or a folder that contains a single one. The labels are in
        ``label-....csv`` beside it.
    conditions, stages, subjects : value or list of values or None, default=None
        Which epochs to select; None for all.
    sfreq, ch_names : object, default=None
        For files without a header: sampling rate in Hz, and channel names. Channels of the 10-05
        system are given their positions.

    Returns
    -------
    X : MappedEpochs of shape (n_epochs, n_chans, n_times)
        The epochs, converted to microvolts when they are read.
    y : ndarray of shape (n_epochs,)
        The conditions, with the type with which they were written.
    metadata : pandas.DataFrame
        ``subject``, ``stage``, ``condition`` and the other columns of the export. In files without
        a header, all columns are text, except subjects that are all integers without leading zeros.

    Raises
    ------
    FileNotFoundError
        If the file or its labels are missing.
    ValueError
        If file sizes are inconsistent, a condition, stage or subject does not exist, or a parameter
        contradicts the header.

    See Also
    --------
    export_memmap : Writes recordings of EEGMMI.
    write_memmap : Writes other epochs, and has an example.
    """
    path = _find_data(path)
    ch_names = None if ch_names is None else list(ch_names)
    table = _read_labels(sister(path, "label"), path.name)
    header = sister(path, "head")
    if header.is_file():
        found = _read_header(header)
        for name, value in (("sfreq", sfreq), ("ch_names", ch_names)):
            if None not in (value, found[name]) and value != found[name]:
                raise ValueError(
                    f"{name}={value!r}, but the header of {path.name} says {found[name]!r}; leave "
                    "it out."
                )
    else:
        found = _read_name(path)
    if found["shape"][0] != len(table):
        raise ValueError(
            f"{path.name} has {found['shape'][0]} epochs, but {sister(path, 'label').name} has "
            f"labels of {len(table)}; they do not belong together."
        )
    chosen = np.ones(len(table), dtype=bool)
    for column, wanted in (("condition", conditions), ("stage", stages), ("subject", subjects)):
        if wanted is not None:
            chosen &= matches(path.name, table, column, wanted)
    if not chosen.any():
        raise ValueError(f"{path.name} has no epoch with all of what is asked for together.")
    is_known = not (table["subject"] == UNKNOWN).all()
    table = _restore_types(table, found["label_types"])
    X = MappedEpochs(
        path,
        found["shape"],
        unit=found["unit"],
        ch_names=ch_names if found["ch_names"] is None else found["ch_names"],
        sfreq=sfreq if found["sfreq"] is None else found["sfreq"],
        info=found["info"],
        subjects=table["subject"].replace("", None).to_numpy() if is_known else None,
    )
    if X.info is None and None not in (X.ch_names, X.sfreq):
        X.info = info_of_names(X.ch_names, X.sfreq)
    X.tmin = found.get("tmin", 0.0)
    y = table["condition"].to_numpy()
    y = y.astype(str) if y.dtype == object else y
    return X[chosen], y[chosen], table[chosen].reset_index(drop=True)


def _find_data(path):
    """Find the data file that a path means: the file itself, or the only one in a folder."""
    path = Path(path).expanduser()
    finish_interrupted(path if path.is_dir() else path.parent)
    if path.is_dir():
        found = sorted(path.glob("raw-*.dat"))
        if not found:
            raise FileNotFoundError(f"The folder {path} has no export, no file raw-*.dat.")
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise ValueError(f"The folder {path} has several exports; name one of {names}.")
        return found[0]
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if "-" not in path.stem:
        raise ValueError(f"{path} is no file of values of an export, which is called raw-....dat.")
    return path


def _read_header(file):
    """Read what a header tells."""
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        version = header["version"]
        newer = header["format"] == FORMAT and version > VERSION
        found = None if newer else _interpret(header)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{file} is no header of an export, or is damaged; export anew, or take it away and "
            "give ch_names and sfreq yourself."
        ) from error
    if newer:
        raise ValueError(
            f"{file} has format {version}, and this version of skeegformer reads up to {VERSION}: "
            "update it (pip install --upgrade skeegformer)."
        )
    return found


def _interpret(header):
    """Give what is needed of a header; whatever is wrong with it raises."""
    n_epochs, n_times, n_chans = header["shape"]
    types = dict(header.get("label_types") or {})
    if not all(type(n) is int and n > 0 for n in header["shape"]):
        raise ValueError("The shape is none.")
    if not all(np.dtype(kind).kind in "biuf" for kind in types.values()):
        raise ValueError("The types are not those of labels.")
    described, info = header["channels"], None
    names, sfreq = described.get("ch_names"), described.get("sfreq")
    fits = names is None or len(validate_ch_names(names, "ch_names")) == n_chans
    tmin = float(header.get("tmin", 0.0))
    fits = fits and math.isfinite(tmin)
    if header["format"] != FORMAT or not fits or not isinstance(header["unit"], str):
        raise ValueError("The header is of something else.")
    if "positions" in described:
        places = [place or [math.nan] * 3 for place in described["positions"]]
        info = make_info({**described, "positions": places})
        info["line_freq"] = header.get("line_freq")
    return {
        "shape": (n_epochs, n_chans, n_times),
        "unit": header["unit"],
        "ch_names": names,
        "sfreq": None if sfreq is None else float(sfreq),
        "info": info,
        "label_types": types,
        "tmin": tmin,
    }


def _read_name(path):
    """Read what name and size tell of a file without a header, as the original writes them."""
    named = re.match(r"nsamp_(\d+)-eplen_(\d+)-", file_stem(path))
    if named is None:
        raise ValueError(
            f"{path.name} has no header, and its name does not tell how many epochs there are and "
            "how long: give it and its labels back the names that eeg-transformer gave them, such "
            "as raw-nsamp_480-eplen_320-NAME.dat."
        )
    n_epochs, n_times = map(int, named.groups())
    n_chans = path.stat().st_size // max(4 * n_epochs * n_times, 1)
    unit = "z-score" if "-norm-" in path.name else "V"
    unknown = dict.fromkeys(("ch_names", "sfreq", "info", "label_types"))
    return {"shape": (n_epochs, max(n_chans, 1), n_times), "unit": unit, **unknown}


def _read_labels(file, name):
    """Read a table of labels, all columns as text."""
    if not file.is_file():
        raise FileNotFoundError(
            f"There are no labels for {name}: {file} is missing. Keep both in one folder."
        )
    try:
        labels = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as a table of labels: {error}") from error
    labels = labels.drop(columns=labels.columns[:1])  # numbers of epochs
    for column in ("subject", "condition"):
        if column not in labels:
            raise ValueError(
                f"{file} has no column {column!r}, only {', '.join(labels.columns) or 'none'}."
            )
    return labels


def _restore_types(labels, types):
    """Give columns of text the types of the numbers that they were written from."""
    # Where no header tells, subjects are numbers if all are whole ones without leading zeros.
    if types is None:
        is_whole = labels["subject"].str.fullmatch(r"0|-?[1-9]\d*").all()
        types = {"subject": "int64"} if is_whole else {}
    try:
        typed = {
            column: labels[column] == "True"
            if kind == "bool"
            else labels[column].replace("", "nan").astype(kind)  # of missing values
            for column, kind in types.items()
            if column in labels
        }
    except (TypeError, ValueError) as error:
        raise ValueError(f"Labels are not of the types that the header tells: {error}.") from error
    return labels.assign(**typed)


def matches(source, labels, column, wanted):
    """Mark the epochs that have one of the wanted values; all labels are text."""
    if isinstance(wanted, str) or not hasattr(wanted, "__iter__"):
        wanted = [wanted]
    wanted = [str(value) for value in wanted]
    there = labels[column].unique().tolist() if column in labels else []
    for value in wanted:
        if value not in there:
            listed = ", ".join(there[:20]) + (", ..." if len(there) > 20 else "")
            raise ValueError(f"{source} has no {column} {value!r}; there are {listed or 'none'}.")
    return labels[column].isin(wanted).to_numpy()
