"""Epochs that stay in a file: only those that are asked for are ever in memory.

Files are read, not mapped by the operating system, since pages of a map count as memory of
the process for as long as it has them.
"""

import copy
from abc import ABC, abstractmethod
from functools import partial
from numbers import Integral
from pathlib import Path

import numpy as np

VOLTS_TO_MICROVOLTS = 1e6
BATCH = 32  # epochs that are in memory at the same time


class LazyRows(ABC):
    """Rows, such as epochs or their features, that are made when they are read.

    A subclass has ``shape``, whose first number is how many there are, and `read`.
    """

    dtype = np.dtype(np.float32)

    @abstractmethod
    def read(self, indices):
        """Read some rows.

        Parameters
        ----------
        indices : ndarray of int
            Which ones, counted from 0.

        Returns
        -------
        ndarray of float32 of shape (n_indices, ...)
            The rows in this order, in memory of their own.
        """

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        if isinstance(key, Integral):
            return self.read(np.arange(len(self))[[key]])[0]
        return _ChosenRows(self, choose(len(self), key))

    def batches(self, size=BATCH):
        """Read all rows, a few at a time.

        Parameters
        ----------
        size : int
            How many at a time.

        Yields
        ------
        ndarray of float32 of shape (at most size, ...)
            The rows, in order.
        """
        for start in range(0, len(self), size):
            yield self.read(np.arange(start, min(start + size, len(self))))

    def load(self):
        """Read all rows at once.

        Returns
        -------
        ndarray of float32
            In memory.
        """
        out = np.empty(self.shape, dtype=np.float32)
        start = 0
        for batch in self.batches():
            out[start : start + len(batch)] = batch
            start += len(batch)
        return out

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("What is in a file cannot become an array without a copy in memory.")
        return self.load().astype(self.dtype if dtype is None else dtype, copy=False)


class _ChosenRows(LazyRows):
    """Some of the rows of another."""

    def __init__(self, rows, chosen):
        self.rows, self.chosen = rows, chosen
        self.shape = (len(chosen), *rows.shape[1:])

    def read(self, indices):
        return self.rows.read(self.chosen[indices])


class MappedRows(LazyRows):
    """Rows of float32 (little-endian) in a file, one after the other.

    Parameters
    ----------
    path : path-like
        The file.
    shape : tuple of int
        How many rows it has, and the shape of one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its size is another one.
    """

    def __init__(self, path, shape):
        self.path = Path(path).absolute()
        self._file_shape = tuple(int(n) for n in shape)
        self._rows = np.arange(self._file_shape[0])
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {self.path}.")
        size, expected = self.path.stat().st_size, 4 * int(np.prod(self._file_shape))
        if size != expected:
            raise ValueError(
                f"{self.path} has {size} bytes, but {' x '.join(map(str, self._file_shape))} "
                f"values of float32 have {expected}; the file is incomplete, or not of this shape."
            )

    @property
    def shape(self):
        """Number of rows that are chosen, and shape of a row."""
        return (len(self._rows), *self._file_shape[1:])

    def read(self, indices):
        return self._read_file(self._rows[indices])

    def _read_file(self, rows):
        out = np.empty((len(rows), *self._file_shape[1:]), dtype="<f4")
        stride = 4 * int(np.prod(self._file_shape[1:]))
        ends = np.flatnonzero(np.diff(rows) != 1) + 1  # neighbours are read together
        try:
            with self.path.open("rb") as file:
                for part, block in zip(np.split(rows, ends), np.split(out, ends), strict=True):
                    if not len(part):
                        continue
                    file.seek(int(part[0]) * stride)
                    if file.readinto(block.reshape(-1).view(np.uint8)) != block.nbytes:
                        raise ValueError(
                            f"{self.path} ends before epoch {part[-1]}: it was shortened after it "
                            "was opened. Load it again."
                        )
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.path}, which holds the epochs, is no longer there; load it from where it "
                "is now."
            ) from error
        return out.astype(np.float32, copy=False)


class MappedEpochs(MappedRows):
    """Epochs that stay in a file, and are read when they are needed.

    Made by `load_memmap`. Indexing with an int gives an array; with a slice, a list or an array of
    indices, or a mask, it gives other `MappedEpochs` of the same file and reads nothing, so that
    scikit-learn's cross-validation takes them as they are. `EEGTransformerClassifier` trains
    on them and predicts without ever having all of them in memory; other steps load them.
    They are pickled as the path and the selection.

    Parameters
    ----------
    path : path-like
        File of float32 (little-endian), epoch by epoch, sample by sample, channel by channel.
    shape : tuple of (int, int, int)
        ``(n_epochs, n_chans, n_times)`` of what the file holds.
    unit : str, default="V"
        What the values are. Volts, ``"V"``, come out as microvolts; others, such as
        ``"z-score"``, as they are.
    ch_names : sequence of str or None, default=None
        Names of the channels; None takes those of `info`.
    sfreq : float or None, default=None
        Sampling rate in Hz; None takes that of `info`.
    info : mne.Info or None, default=None
        Measurement info of the channels.
    subjects : array-like of shape (n_epochs,) or None, default=None
        The subject of each epoch.

    Attributes
    ----------
    unit : str
        What the values in the file are.
    ch_names : list of str or None
        Names of the channels.
    sfreq : float or None
        Sampling rate in Hz.
    info : mne.Info or None
        Measurement info of the channels.
    subjects : ndarray of shape (n_epochs,) or None
        The subject of each epoch that is chosen.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the size of the file, or the number of names or subjects, does not agree with `shape`.

    See Also
    --------
    load_memmap : Reads a whole export, with labels and metadata.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skeegformer import MappedEpochs
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "epochs.dat")
    >>> np.zeros((10, 320, 3), dtype="<f4").tofile(path)  # epochs, samples, channels
    >>> X = MappedEpochs(path, (10, 3, 320), ch_names=["C3", "Cz", "C4"], sfreq=160.0)
    >>> X[[0, 4, 2]].shape
    (3, 3, 320)
    >>> X[0].shape, X[0].dtype
    ((3, 320), dtype('float32'))
    >>> folder.cleanup()
    """

    def __init__(
        self, path, shape, *, unit="V", ch_names=None, sfreq=None, info=None, subjects=None
    ):
        n_epochs, self._n_chans, self._n_times = (int(n) for n in shape)
        super().__init__(path, (n_epochs, self._n_times, self._n_chans))
        self.unit = unit
        if info is not None:
            ch_names = info["ch_names"] if ch_names is None else ch_names
            sfreq = info["sfreq"] if sfreq is None else sfreq
        self.ch_names = None if ch_names is None else list(ch_names)
        self.sfreq = None if sfreq is None else float(sfreq)
        self.info = info
        self.subjects = None if subjects is None else np.asarray(subjects)
        self._steps = ()  # what is done to the channels of epochs that were read
        if self.ch_names is not None and len(self.ch_names) != self._n_chans:
            raise ValueError(
                f"{self.path.name} has {self._n_chans} channels, but ch_names has "
                f"{len(self.ch_names)}."
            )
        if self.subjects is not None and self.subjects.shape != (n_epochs,):
            raise ValueError(
                f"{self.path.name} has {n_epochs} epochs, but subjects has {len(self.subjects)} "
                "entries; give one for each epoch."
            )

    @property
    def shape(self):
        """``(n_epochs, n_chans, n_times)`` of what is chosen."""
        return (len(self._rows), self._n_chans, self._n_times)

    @property
    def nbytes(self):
        """Bytes of what is chosen."""
        return 4 * int(np.prod(self.shape))

    def __repr__(self):
        n_epochs, n_chans, n_times = self.shape
        rate = "" if self.sfreq is None else f" at {self.sfreq:g} Hz"
        return (
            f"<MappedEpochs | {n_epochs} epochs, {n_chans} channels, {n_times} samples{rate}, "
            f"{self.nbytes / 1e6:.3g} MB in {self.path.name}>"
        )

    def __getitem__(self, key):
        key, channels = _split_key(key)
        if isinstance(key, Integral):
            epoch = self.read(np.arange(len(self))[[key]])[0]
            return epoch if channels is None else epoch[channels]
        chosen = choose(len(self), key)
        out = copy.copy(self)
        out._rows = self._rows[chosen]
        if self.subjects is not None:
            out.subjects = self.subjects[chosen]
        return out if channels is None else out._pick(choose(self._n_chans, channels))

    def read(self, indices):
        """Read some epochs.

        Parameters
        ----------
        indices : ndarray of int
            Which ones, counted from 0.

        Returns
        -------
        ndarray of float32 of shape (n_indices, n_chans, n_times)
            Epochs in this order; in microvolts if the unit is volts.
        """
        block = self._read_file(self._rows[indices])
        if self.unit == "V":
            # In double precision, as the door does it for Epochs, but without a copy.
            np.multiply(
                block, VOLTS_TO_MICROVOLTS, out=block, dtype=np.float64, casting="same_kind"
            )
        block = np.ascontiguousarray(block.transpose(0, 2, 1))
        for step in self._steps:
            block = step(block)
        return block

    def to_epochs(self, metadata=None):
        """Load what is chosen as Epochs.

        Parameters
        ----------
        metadata : pandas.DataFrame or None, default=None
            A row for each epoch. A column ``condition`` names the events. None takes the subjects,
            where they are known.

        Returns
        -------
        mne.EpochsArray
            In volts. Values whose unit is not volts are taken for microvolts, so that a
            classifier gets the same numbers from these Epochs as from `self`.

        Raises
        ------
        ValueError
            If names of channels or the sampling rate are not known, or metadata has another
            number of rows.
        """
        import mne
        import pandas as pd

        if self.info is None and (self.ch_names is None or self.sfreq is None):
            raise ValueError(
                f"Epochs need the names of the channels and the sampling rate, and "
                f"{self.path.name} does not tell: give load_memmap ch_names and sfreq."
            )
        if metadata is None and self.subjects is not None:
            metadata = pd.DataFrame({"subject": self.subjects})
        if metadata is not None and len(metadata) != len(self):
            raise ValueError(f"There are {len(self)} epochs, but {len(metadata)} rows of metadata.")
        info = self.info
        if info is None:
            info = mne.create_info(self.ch_names, self.sfreq, "eeg", verbose="ERROR")
        codes, event_id = np.ones(len(self), dtype=int), None
        if metadata is not None and "condition" in metadata:
            names, codes = np.unique(metadata["condition"].astype(str), return_inverse=True)
            codes, event_id = codes + 1, {str(name): i for i, name in enumerate(names, 1)}
        data = np.empty(self.shape)
        start = 0
        for batch in self.batches():
            np.multiply(
                batch, 1 / VOLTS_TO_MICROVOLTS, out=data[start : start + len(batch)], dtype=float
            )
            start += len(batch)
        events = np.column_stack([np.arange(len(self)) * self._n_times, 0 * codes, codes])
        if metadata is not None:
            metadata = metadata.reset_index(drop=True)
        return mne.EpochsArray(
            data, info.copy(), events, event_id=event_id, metadata=metadata, verbose="ERROR"
        )

    def with_channels(self, function, ch_names, info=None):
        """Make other channels of these when epochs are read.

        Parameters
        ----------
        function : callable
            Takes an array of shape (n_some, n_chans, n_times) and gives one with as many epochs
            and samples, and with the new channels. For processes, it has to be picklable.
        ch_names : sequence of str
            Names of the new channels.
        info : mne.Info or None, default=None
            Measurement info of the new channels.

        Returns
        -------
        MappedEpochs
            The same epochs; nothing is read.
        """
        out = copy.copy(self)
        out._steps = (*self._steps, function)
        out._n_chans, out.ch_names, out.info = len(ch_names), list(ch_names), info
        return out

    def without_subjects(self):
        """Forget whom the epochs come from.

        Returns
        -------
        MappedEpochs
            The same epochs; nothing is read.
        """
        out = copy.copy(self)
        out.subjects = None
        return out

    def _pick(self, order):
        out = copy.copy(self)
        out._steps = (*self._steps, partial(np.take, indices=order, axis=1))
        out._n_chans = len(order)
        if self.ch_names is not None:
            out.ch_names = [self.ch_names[i] for i in order]
        if self.info is not None:
            import mne

            out.info = mne.pick_info(self.info, order)
        return out


def choose(n, key):
    """Turn a slice, a list or an array of indices, or a mask into indices.

    Parameters
    ----------
    n : int
        How many there are to choose from.
    key : slice or array-like
        The choice.

    Returns
    -------
    ndarray of int
        Indices from 0.
    """
    if not isinstance(key, slice):
        key = np.asarray(key)
        if key.size == 0 and key.dtype != bool:
            key = key.astype(int)
        if key.ndim != 1 or key.dtype.kind not in "iub":
            raise IndexError(
                "Epochs in a file are chosen by whole numbers, a slice, or a mask, not by an array "
                f"of {key.ndim} axes and type {key.dtype}."
            )
    return np.arange(n)[key]


def read_rows(data, indices):
    """Read some rows of an array or of lazy rows.

    Parameters
    ----------
    data : ndarray or LazyRows
        The rows.
    indices : ndarray of int
        Which ones.

    Returns
    -------
    ndarray
        The rows, in memory.
    """
    return data.read(indices) if isinstance(data, LazyRows) else data[indices]


def batches_of(data, size):
    """Go through an array, a tensor or lazy rows, a few rows at a time.

    Parameters
    ----------
    data : ndarray, Tensor or LazyRows
        The rows.
    size : int
        How many at a time.

    Returns
    -------
    iterator of ndarray or Tensor
        The rows in order; parts of `data` where it is in memory.
    """
    if isinstance(data, LazyRows):
        return data.batches(size)
    return (data[start : start + size] for start in range(0, len(data), size))


def _split_key(key):
    """Split an index into that of epochs and that of channels, which may be None for all."""
    if key is Ellipsis:
        key = slice(None)
    if not isinstance(key, tuple):
        return key, None
    rest = [part for part in key[1:] if part is not Ellipsis]
    every = [isinstance(part, slice) and part == slice(None) for part in rest]
    if key[0] is Ellipsis or len(key) > 3 + (Ellipsis in key[1:2]) or not all(every[1:]):
        raise IndexError(
            "Epochs in a file are indexed by epochs, and perhaps channels: X[epochs, channels]. "
            "Load them for anything else: X.load()[...]."
        )
    return key[0], rest[0] if rest and not every[0] else None
