"""Reading of exports: what the header, or the name and size of a file, tell."""

import json
import math
import re
from pathlib import Path

import mne
import numpy as np
import pandas as pd

from skeegformer._utils.info import info_of_names, make_info
from skeegformer._validation import MappedEpochs
from skeegformer.datasets._memmap_files import (
    FORMAT,
    UNKNOWN,
    VERSION,
    file_checksum,
    file_stem,
    finish_interrupted,
    sister,
)


def load_memmap(
    path,
    *,
    labels=None,
    conditions=None,
    stages=None,
    subjects=None,
    n_times=None,
    n_chans=None,
    sfreq=None,
    ch_names=None,
    verify=False,
):
    """Open an export; epochs stay in the file until they are needed.

    Parameters
    ----------
    path : path-like
        The file of values, ``raw-....dat``, of `export_memmap`, `write_memmap`, or of
        eeg-transformer's ``download_data.py``; or a folder with a single one.
    labels : path-like or None, default=None
        The table of labels; None takes ``label-....csv`` beside the file of values.
    conditions, stages, subjects : value or list of values or None, default=None
        Which epochs are wanted; None for all.
    n_times, n_chans, sfreq, ch_names : object, default=None
        What files without a header do not tell: shape of an epoch (None takes it from the name and
        the size of the file), sampling rate in Hz, and names of the channels, of which those of the
        10-05 system get their positions.
    verify : bool, default=False
        Whether the files are compared with their checksums, for which all is read once.

    Returns
    -------
    X : MappedEpochs of shape (n_epochs, n_chans, n_times)
        The epochs, in microvolts when they are read.
    y : ndarray of shape (n_epochs,)
        The conditions, numbers or text as they were written.
    metadata : pandas.DataFrame
        ``subject``, ``stage``, ``condition`` and what else the export has. Of files without a
        header all is text, but for subjects who are all whole numbers without leading zeros.

    Raises
    ------
    FileNotFoundError
        If the file or its labels are missing.
    ValueError
        If files disagree in size, were changed since (with `verify`), there is no such condition,
        stage or subject, or what is given contradicts the header.

    See Also
    --------
    export_memmap : Writes recordings of EEGMMI.
    write_memmap : Writes other epochs, and has an example.
    """
    path = _find_data(path)
    header, table = _read_header(path), _read_labels(path, labels)
    if verify:
        _check_files(path, header)
    shape = _find_shape(path, header, len(table), n_times, n_chans)
    ch_names, sfreq, info = _find_info(path, header, ch_names, sfreq)
    unit = "z-score" if "-norm-" in path.name else "V"  # as the original writes them
    unit = unit if header is None else header["unit"]
    chosen = np.ones(len(table), dtype=bool)
    for column, wanted in (("condition", conditions), ("stage", stages), ("subject", subjects)):
        if wanted is not None:
            chosen &= matches(path.name, table, column, wanted)
    if not chosen.any():
        raise ValueError(f"{path.name} has no epoch with all of what is asked for together.")
    is_known = not (table["subject"] == UNKNOWN).all()
    # Another table of labels may have other types than the one that the header describes.
    table = _restore_types(table, None if labels is not None else (header or {}).get("label_types"))
    subjects = table["subject"].replace("", None).to_numpy() if is_known else None
    X = MappedEpochs(
        path, shape, unit=unit, ch_names=ch_names, sfreq=sfreq, info=info, subjects=subjects
    )
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


def _read_header(path):
    """Read the header of a data file; None where there is none, as for exports of the original."""
    file = sister(path, "head")
    if not file.is_file():
        return None
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        is_ours = header["format"] == FORMAT and isinstance(header["version"], int)
        is_ours = is_ours and (header["version"] > VERSION or _is_complete(header))
    except (ValueError, KeyError, TypeError, AttributeError):
        is_ours = False
    if not is_ours:
        raise _damaged(file)
    if header["version"] > VERSION:
        raise ValueError(
            f"{file} has format {header['version']}, and this version of skeegformer reads up to "
            f"{VERSION}: update it (pip install --upgrade skeegformer)."
        )
    return header


def _is_complete(header):
    """Tell whether a header holds what is read of it, each of its type; others may raise."""
    channels, (_, _, n_chans) = header["channels"], header["shape"]
    names, rate = channels.get("ch_names"), channels.get("sfreq")
    types = (header.get("label_types") or {}).values()
    return (
        all(type(n) is int and n > 0 for n in header["shape"])
        and isinstance(header["unit"], str)
        and isinstance(header.get("sha256"), dict)
        and all(np.dtype(kind).kind in "biuf" for kind in types)
        and (names is None or len(set(names)) == len(names) == n_chans)
        and (names is None or set(map(type, names)) == {str})
        and isinstance(rate, int | float | None)
        and isinstance(header.get("line_freq"), int | float | None)
    )


def _damaged(file):
    return ValueError(
        f"{file} is no header of an export, or is damaged; export anew, or take it away and "
        "give n_times, n_chans, ch_names and sfreq yourself."
    )


def _read_labels(path, file=None):
    """Read the table of labels beside a data file, or another one, all columns as text."""
    where = ". Keep both in one folder." if file is None else "."
    file = sister(path, "label") if file is None else Path(file).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"There are no labels for {path.name}: {file} is missing{where}")
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
    """Give columns of text the types of the numbers that they were written from.

    Where no header tells, subjects are numbers if all are whole ones without leading zeros.
    """
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
    except ValueError as error:
        raise ValueError(f"Labels are not of the types that the header tells: {error}.") from error
    return labels.assign(**typed)


def _find_shape(path, header, n_labels, n_times, n_chans):
    """Return (n_epochs, n_chans, n_times) of a data file; refuse sources that disagree."""
    if header is not None:
        n_epochs, known_times, known_chans = header["shape"]
    else:
        named = re.match(r"nsamp_(\d+)-eplen_(\d+)-", file_stem(path))
        n_epochs = n_labels if named is None else int(named[1])
        known_times, known_chans = None if named is None else int(named[2]), None
    source = f"{'the name' if header is None else 'the header'} of {path.name}"
    n_times = _agreed("n_times", n_times, known_times, source)
    n_chans = _agreed("n_chans", n_chans, known_chans, source)
    if n_epochs != n_labels:
        raise ValueError(
            f"{path.name} has {n_epochs} epochs, but {sister(path, 'label').name} has labels of "
            f"{n_labels}; they do not belong together."
        )
    if n_times is None:
        raise ValueError(
            f"The name of {path.name} does not tell how long an epoch is (eplen_320, for "
            "example); give n_times, the number of samples."
        )
    size = path.stat().st_size
    if n_chans is None and n_epochs and n_times:
        n_chans = size // (4 * n_epochs * n_times)
    if not n_chans or size != 4 * n_epochs * n_times * n_chans:
        raise ValueError(
            f"{path.name} has {size} bytes, which is not what {n_epochs} epochs of {n_times} "
            f"samples and {n_chans} channels take in float32; it is incomplete, or n_times or "
            "n_chans is another one."
        )
    return n_epochs, n_chans, n_times


def _find_info(path, header, ch_names, sfreq):
    """Return names of the channels, their rate and an Info, each where it is known."""
    described = {} if header is None else header["channels"]
    given = None if ch_names is None else list(ch_names)
    source = f"the header of {path.name}"
    ch_names = _agreed("ch_names", given, described.get("ch_names"), source)
    sfreq = _agreed("sfreq", sfreq, described.get("sfreq"), source)
    if ch_names is None or sfreq is None:
        return ch_names, sfreq, None
    if "positions" in described:
        try:
            places = [place or [math.nan] * 3 for place in described["positions"]]
            info = make_info({**described, "positions": places})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise _damaged(sister(path, "head")) from error
        info["line_freq"] = header.get("line_freq")
        return ch_names, sfreq, info
    if described.get("ch_names") is None:
        return ch_names, sfreq, info_of_names(ch_names, sfreq)
    return ch_names, sfreq, mne.create_info(ch_names, sfreq, "eeg", verbose="ERROR")


def _agreed(name, given, known, source):
    """Return what a file tells, or else what the user says; refuse that both differ."""
    if given is not None and known is not None and given != known:
        raise ValueError(f"{name}={given!r}, but {source} says {known!r}; leave it out.")
    return given if known is None else known


def _check_files(path, header):
    """Refuse a data file and its labels that have changed since they were written."""
    if header is None:
        raise ValueError(
            f"{path.name} has no header with checksums ({sister(path, 'head').name}) to verify "
            "it by; pass verify=False."
        )
    # By what they are, not by name: files may have been renamed together.
    files = path, sister(path, "label")
    for file, expected in zip(files, header["sha256"].values(), strict=True):
        if file_checksum(file) != expected:
            raise ValueError(
                f"{file} has changed since it was exported, its checksum differs; export anew, or "
                "take another copy."
            )


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
