"""What a network is trained on when it does not fit into memory."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from skorch.dataset import Dataset as ArrayDataset
from torch.utils.data import Dataset

from skeegformer._memmap import LazyRows, MappedRows, batches_of, read_rows


class Scratch:
    """A temporary folder for the length of a with block, made when it is first needed.

    It lies where Python's `tempfile` puts such folders; the variable ``TMPDIR`` names another
    place.
    """

    def __init__(self):
        self._folder, self._n_files = None, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._folder is not None:
            self._folder.cleanup()

    def write(self, batches):
        """Write batches of rows to a file.

        Parameters
        ----------
        batches : iterable of ndarray of shape (n_some, ...)
            The rows; at least one.

        Returns
        -------
        MappedRows
            The rows, to be read from there. The file goes with the block.

        Raises
        ------
        OSError
            If there is no room for it.
        """
        n_rows = 0
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="skeegformer-")
            path = Path(self._folder.name, f"{self._n_files}.dat")
            self._n_files += 1
            with path.open("xb") as file:
                for batch in batches:
                    np.ascontiguousarray(batch, dtype="<f4").tofile(file)
                    n_rows, shape = n_rows + len(batch), batch.shape[1:]
        except OSError as error:
            raise OSError(
                f"The features of X are kept in {tempfile.gettempdir()} during the training, and "
                f"could not be written there ({error.strerror or error}); make room, or let the "
                "variable TMPDIR name a folder with more of it."
            ) from error
        return MappedRows(path, (n_rows, *shape))


class MirroredRows(LazyRows):
    """All rows, and after them the mirror image of each.

    Parameters
    ----------
    rows : LazyRows
        The rows.
    mirror : callable
        Takes some rows as an array, gives as many.
    """

    def __init__(self, rows, mirror):
        self._all, self._mirror = rows, mirror
        self.shape = (2 * len(rows), *rows.shape[1:])

    def read(self, indices):
        """Read some rows, as `LazyRows.read`."""
        out = self._all.read(indices % len(self._all))
        is_image = indices >= len(self._all)
        if is_image.any():
            out[is_image] = self._mirror(out[is_image])
        return out


class CentredRows(LazyRows):
    """Rows from which the mean of their subject is subtracted.

    Parameters
    ----------
    rows : LazyRows
        The rows.
    means : list of ndarray
        A mean for each subject.
    which : ndarray of int of shape (n_rows,)
        Index into `means` for each row.
    """

    def __init__(self, rows, means, which):
        self._all, self._means, self._which = rows, np.stack(means), which
        self.shape = rows.shape

    def read(self, indices):
        """Read some rows, as `LazyRows.read`."""
        out = self._all.read(indices)
        out -= self._means[self._which[indices]]
        return out


class RowDataset(Dataset):
    """Lazy rows and their targets as torch's loaders want them, read batch by batch.

    Parameters
    ----------
    rows : LazyRows
        The rows.
    targets : ndarray of int64 of shape (n_rows,) or None
        The targets.
    """

    def __init__(self, rows, targets=None):
        self.rows = rows
        self.targets = np.zeros(len(rows), dtype=np.int64) if targets is None else targets

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):
        indices = np.asarray(indices)
        return list(zip(self.rows.read(indices), self.targets[indices], strict=True))


def for_skorch(inputs, targets=None):
    """Bring inputs into the form in which skorch takes them.

    Parameters
    ----------
    inputs : ndarray or LazyRows
        What the network takes.
    targets : ndarray or None
        Classes.

    Returns
    -------
    inputs : ndarray or RowDataset
        The inputs; with the targets where they are lazy.
    targets : ndarray or None
        The targets of an array.
    """
    if isinstance(inputs, LazyRows):
        return RowDataset(inputs, targets), None
    return inputs, targets


def as_dataset(inputs, targets):
    """Make a dataset of inputs and targets.

    Parameters
    ----------
    inputs : ndarray or LazyRows
        What the network takes.
    targets : ndarray
        Classes.

    Returns
    -------
    torch.utils.data.Dataset
        Pairs of both.
    """
    if isinstance(inputs, LazyRows):
        return RowDataset(inputs, targets)
    return ArrayDataset(inputs, targets)


def mean_of(features, rows, size):
    """Compute the mean of some rows, in double precision, a few at a time.

    Parameters
    ----------
    features : ndarray or LazyRows
        The rows.
    rows : ndarray of int
        Which ones.
    size : int
        How many at a time.

    Returns
    -------
    ndarray of float32
        The mean.
    """
    total = 0
    for some in batches_of(rows, size):
        total = total + read_rows(features, some).sum(axis=0, dtype=np.float64)
    return (total / len(rows)).astype(np.float32)


def as_tensors(data, size):
    """Go through inputs as tensors.

    Parameters
    ----------
    data : ndarray or LazyRows
        What the network takes.
    size : int
        How many at a time.

    Yields
    ------
    Tensor
        The next inputs.
    """
    for batch in batches_of(data, size):
        yield torch.from_numpy(batch)
