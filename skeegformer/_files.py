"""Writing files so that none is ever left half written, and knowing them again."""

import hashlib
import json
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
