"""Writing a page to disk so that no half-written or overwritten file is ever left."""

from contextlib import contextmanager
from pathlib import Path

from skeegformer import _files


def check_page(path, overwrite):
    """Refuse a path that cannot be written to, before any work is done for it.

    Parameters
    ----------
    path : path-like
        Where the page shall go.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    ValueError
        If it does not end in ``.html``.
    FileNotFoundError
        If its folder does not exist.
    FileExistsError
        If the file exists and may not be replaced.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path} is to be a web page, but its name does not end in .html.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} to.")
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder; name a file in it.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists already; pass overwrite=True to replace it, or another path."
        )
    return path


@contextmanager
def replacing(path, overwrite):
    """Give a temporary path in the same folder, and move it to `path` when all went well.

    Parameters
    ----------
    path : path-like
        Where the page shall go.
    overwrite : bool
        Whether an existing file may be replaced.

    Yields
    ------
    pathlib.Path
        Where to write. It is removed again if the block ends with an exception.
    """
    with _files.replacing(check_page(path, overwrite)) as temporary:
        yield temporary
