"""Writing files so that none is ever left half written, and knowing them again."""

import glob
import hashlib
import json
import os
import re
import secrets
from contextlib import contextmanager

import numpy as np


@contextmanager
def replacing(path):
    """Give a temporary path in the same folder, and move it to `path` when all went well.

    Parameters
    ----------
    path : pathlib.Path
        The file, there or not.

    Yields
    ------
    pathlib.Path
        Where to write; of the same suffix. It is removed again if the block ends with an
        exception.
    """
    # Not tempfile: its files can be read by nobody else, and the file would keep that.
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path):
    """Remove what processes left that were killed while they wrote a file.

    Parameters
    ----------
    path : pathlib.Path
        The file, there or not; nobody may be writing it.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}-*{glob.escape(path.suffix)}"):
        if re.fullmatch("[0-9a-f]{8}", leftover.stem.removeprefix(f".{path.stem}-")):
            leftover.unlink(missing_ok=True)


@contextmanager
def writing(path):
    """Open a new file that takes the place of `path` when all of it is on the disk.

    Parameters
    ----------
    path : pathlib.Path
        The file, there or not.

    Yields
    ------
    file
        Open for bytes. `path` stays as it was if the block ends with an exception.
    """
    with replacing(path) as temporary, temporary.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def refuse_taken(path, overwrite):
    """Refuse to write a file where there is one already, or no folder for it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    overwrite : bool
        Whether one that is there may be replaced.

    Raises
    ------
    FileExistsError
        If there is such a file, and it may not be replaced.
    FileNotFoundError
        If its folder is missing.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already: pass overwrite=True to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to save {path.name} in.")


def checksum(arrays, header):
    """Compute what changes when anything in a file does.

    Parameters
    ----------
    arrays : dict of ndarray
        Numbers.
    header : dict
        Everything else, as JSON can hold it.

    Returns
    -------
    str
        SHA-256 of names, types, shapes and values.
    """
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
