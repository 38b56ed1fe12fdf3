"""Reading of exports: what the header, or the name and size of a file, tell."""

import json
import math
from pathlib import Path

import pandas as pd

from skeegformer._utils.info import make_info
from skeegformer.datasets._memmap_files import (
    AXES,
    FORMAT,
    VERSION,
    file_checksum,
    parse_name,
    sister,
)


def find_data(path):
    """Find the data file that a path means.

    Parameters
    ----------
    path : path-like
        The file, or a folder with a single export.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If a folder has several exports.
    """
    path = Path(path).expanduser()
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
    return path


def read_header(path):
    """Read the header of an export.

    Parameters
    ----------
    path : pathlib.Path
        The data file.

    Returns
    -------
    dict or None
        The header; None where there is none, as for exports of the original.

    Raises
    ------
    ValueError
        If it cannot be read, or tells of a format that is not known here.
    """
    file = sister(path, "head")
    if not file.is_file():
        return None
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        is_ours = header["format"] == FORMAT and isinstance(header["version"], int)
    except (ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise ValueError(
            f"{file} is no header of an export, or is damaged; export anew, or take it away and "
            "give n_times, n_chans, ch_names and sfreq yourself."
        )
    if header["version"] > VERSION:
        raise ValueError(
            f"{file} has format {header['version']}, and this version of skeegformer reads up to "
            f"{VERSION}: update it (pip install --upgrade skeegformer)."
        )
    layout = header.get("axes"), header.get("dtype"), header.get("byte_order")
    if layout != (AXES, "float32", "little"):
        raise ValueError(
            f"{file} says that the values are {layout[1]}, {layout[2]}-endian, by {layout[0]}; "
            f"only float32, little-endian, by {AXES} can be read."
        )
    return header


def read_labels(path, file=None):
    """Read the labels of an export.

    Parameters
    ----------
    path : pathlib.Path
        The data file.
    file : path-like or None, default=None
        The table of labels; None takes the one beside it.

    Returns
    -------
    pandas.DataFrame
        All columns as text.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or lacks a column.
    """
    where = ". Keep both in one folder." if file is None else "."
    file = sister(path, "label") if file is None else Path(file)
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


def layout(path, header, n_labels, n_times, n_chans):
    """Find out the shape of what a data file holds.

    Parameters
    ----------
    path : pathlib.Path
        The data file.
    header : dict or None
        Its header.
    n_labels : int
        How many epochs have labels.
    n_times, n_chans : int or None
        What the user says.

    Returns
    -------
    tuple of (int, int, int)
        ``(n_epochs, n_chans, n_times)``.

    Raises
    ------
    ValueError
        If sources disagree, or none tells.
    """
    told = parse_name(path) or {}
    if header is not None:
        n_epochs, header_times, header_chans = header["shape"]
        for name, given, known in (
            ("n_times", n_times, header_times),
            ("n_chans", n_chans, header_chans),
        ):
            if given is not None and given != known:
                raise ValueError(
                    f"{name}={given}, but the header of {path.name} says {known}; leave it out."
                )
        n_times, n_chans = header_times, header_chans
    else:
        n_epochs = told.get("n_epochs", n_labels)
        if n_times is not None and told.get("n_times", n_times) != n_times:
            raise ValueError(
                f"n_times={n_times}, but the name of {path.name} says {told['n_times']}; leave it "
                "out, or correct the name."
            )
        n_times = told.get("n_times", n_times)
    if n_epochs != n_labels:
        raise ValueError(
            f"{path.name} has {n_epochs} epochs, but {sister(path, 'label').name} has labels of "
            f"{n_labels}; they do not belong together."
        )
    n_values, rest = divmod(path.stat().st_size, 4)
    if n_times is None:
        raise ValueError(
            f"The name of {path.name} does not tell how long an epoch is (eplen_320, for "
            "example); give n_times, the number of samples."
        )
    if n_chans is None and n_epochs and n_times:
        n_chans, more = divmod(n_values, n_epochs * n_times)
        n_chans = None if more else n_chans
    if rest or not n_chans or n_values != n_epochs * n_times * n_chans:
        raise ValueError(
            f"{path.name} has {path.stat().st_size} bytes, which is not what {n_epochs} epochs of "
            f"{n_times} samples{f' and {n_chans} channels' if n_chans else ''} take in float32; "
            "it is incomplete, or n_times or n_chans is another one."
        )
    return n_epochs, n_chans, n_times


def channel_info(path, header, ch_names, sfreq):
    """Make the Info of the channels, where they are known.

    Parameters
    ----------
    path : pathlib.Path
        The data file.
    header : dict or None
        Its header.
    ch_names : list of str or None
        Names that the user gives.
    sfreq : float or None
        The rate that the user gives.

    Returns
    -------
    ch_names : list of str or None
        Names of the channels.
    sfreq : float or None
        Rate in Hz.
    info : mne.Info or None
        Both, and positions where they are known.
    """
    described = {} if header is None else header["channels"]
    ch_names = None if ch_names is None else list(ch_names)
    for name, given in (("ch_names", ch_names), ("sfreq", sfreq)):
        known = described.get(name)
        if given is not None and known is not None and given != known:
            raise ValueError(
                f"{name}={given!r}, but the header of {path.name} says {known!r}; leave it out."
            )
    ch_names = described.get("ch_names") if ch_names is None else ch_names
    sfreq = described.get("sfreq") if sfreq is None else sfreq
    if ch_names is None or sfreq is None:
        return ch_names, sfreq, None
    if "positions" in described:
        places = [place or [math.nan] * 3 for place in described["positions"]]
        info = make_info({**described, "positions": places})
        info["line_freq"] = header.get("line_freq")
        return ch_names, sfreq, info

    import mne

    from skeegformer.datasets._channels import electrode_montage

    info = mne.create_info(ch_names, sfreq, "eeg", verbose="ERROR")
    montage = electrode_montage()
    if described.get("ch_names") is None and set(ch_names) <= set(montage.ch_names):
        info.set_montage(montage)
    return ch_names, sfreq, info


def check_files(path, header):
    """Refuse files that have changed since they were written.

    Parameters
    ----------
    path : pathlib.Path
        The data file.
    header : dict or None
        Its header.

    Raises
    ------
    ValueError
        If there is no header to compare with, or a checksum differs.
    """
    if header is None:
        raise ValueError(
            f"{path.name} has no header with checksums ({sister(path, 'head').name}) to verify "
            "it by; pass verify=False."
        )
    # By what they are, not by name: files may have been renamed together.
    for file, expected in zip(
        (path, sister(path, "label")), header["sha256"].values(), strict=True
    ):
        if file_checksum(file) != expected:
            raise ValueError(
                f"{file} has changed since it was exported, its checksum differs; export anew, or "
                "take another copy."
            )
