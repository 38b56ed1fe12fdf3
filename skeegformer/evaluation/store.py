"""Finished fits on disk: one small file each, whole or not there, found again by what it is of."""

import hashlib
import json
import warnings
from pathlib import Path

from skeegformer._utils.files import replacing


class FitStore:
    """A folder with one file for each finished fit.

    A fit is known by its settings: everything that decides on its scores. They are in the
    file, and their hash is its name. Files are written beside their place and then moved there,
    so that whoever is killed at any moment leaves whole files only; each has a checksum
    nevertheless, for disks that run full or lose power. Several processes may use a folder at
    the same time: at worst a fit is done twice.

    Parameters
    ----------
    folder : path-like
        The folder; made where it does not exist.

    Raises
    ------
    ValueError
        If there is a file of that name.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer.evaluation.store import FitStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FitStore(folder)
    ...     store.write({"task": "eyes", "fold": 0}, [{"subject": 1, "score": 0.75}])
    ...     store.read({"task": "eyes", "fold": 0}), store.read({"task": "eyes", "fold": 1})
    ([{'subject': 1, 'score': 0.75}], None)
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder} is a file; name a folder for finished fits.")
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, settings):
        """Tell in which file a fit is, or would be.

        Parameters
        ----------
        settings : dict
            What decides on the scores; has to be writable as JSON.

        Returns
        -------
        pathlib.Path
            The file.
        """
        return self.folder / f"{_checksum(settings)[:32]}.json"

    def read(self, settings):
        """Find the rows of a fit.

        Parameters
        ----------
        settings : dict
            As in `path`.

        Returns
        -------
        list of dict or None
            Its rows; None where it is not finished, or its file is broken, of which a warning
            tells.
        """
        path = self.path(settings)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        try:
            content = json.loads(text)
            settings_there, rows = content["settings"], content["rows"]
            whole = content["checksum"] == _checksum([settings_there, rows])
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole or settings_there != settings:
            warnings.warn(
                f"{path} is broken or cut off; its fit is run again and the file replaced.",
                stacklevel=2,
            )
            return None
        return rows

    def write(self, settings, rows):
        """Keep the rows of a finished fit.

        Parameters
        ----------
        settings : dict
            As in `path`.
        rows : list of dict
            Its scores, of numbers and text.
        """
        content = {"checksum": _checksum([settings, rows]), "settings": settings, "rows": rows}
        with replacing(self.path(settings)) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _checksum(content):
    """Hash what JSON can hold, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
