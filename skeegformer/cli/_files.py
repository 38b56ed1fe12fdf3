"""Output folders, tables and figures."""

import os

from skeegformer._utils.files import replacing


def claim_folder(folder):
    """Make an output folder before anything is computed; refuse one that cannot be written to."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--output {folder} cannot be written to; name another folder.")


def write_table(path, table):
    """Write a table as a whole."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def write_figure(path, figure):
    """Write a figure as a whole, and close it."""
    import matplotlib.pyplot as plt

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)
