"""Writing files so that none is ever left half written."""

import secrets
from contextlib import contextmanager


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
