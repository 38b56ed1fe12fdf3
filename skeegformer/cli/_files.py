"""Output folders."""

import os


def claim_folder(folder):
    """Make an output folder before anything is computed.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If it is a file, or cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--output {folder} cannot be written to; name another folder.")
