"""Files that are written as a whole or not at all, and over no other unasked."""

import glob
import os
import re
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path


def check_output_file(path, suffixes, overwrite=False):
    """Refuse the path of a file that cannot be written, before anything is computed for it."""
    # Its name has to end in one of `suffixes`, such as ``(".html", ".htm")``, its folder has to be
    # there, and it may be there itself only with `overwrite`. Gives the path, as a `pathlib.Path`.
    path = Path(path).expanduser()
    if path.suffix.lower() not in suffixes:
        raise ValueError(
            f"{path} does not end in {' or '.join(suffixes)}: call it "
            f"{path.stem or 'file'}{suffixes[0]}, for example."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: save under another name.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to save {path.name} in.")
    if not overwrite and (path.exists() or path.is_symlink()):  # also one that leads nowhere
        raise FileExistsError(
            f"{path} exists already: pass overwrite=True to replace it, or another name."
        )
    return path


@contextmanager
def replacing(path):
    """Give a temporary path in the same folder, and move it to `path` when all went well."""
    # It has the same suffix, and is removed again if the block ends with an exception; an OSError
    # tells path and reason.
    # Not tempfile: its files can be read by nobody else, and the file would keep that.
    remove_leftovers(path, least_age=86400)  # younger ones may be another process at work
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise type(error)(
            f"{path} could not be written: {error.strerror or error}. Nothing was changed."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path):
    """Open a new file for bytes; it takes the place of `path` when all of it is on the disk."""
    with replacing(path) as temporary, temporary.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def remove_leftovers(path, least_age=0):
    """Remove what processes left that were killed while they wrote a file, so many seconds ago."""
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}-*{glob.escape(path.suffix)}"):
        if re.fullmatch("[0-9a-f]{8}", leftover.stem.removeprefix(f".{path.stem}-")):
            with suppress(FileNotFoundError):  # another process was faster
                if time.time() - leftover.stat().st_mtime >= least_age:
                    leftover.unlink()
