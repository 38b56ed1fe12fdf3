"""Epochs that stay in a file: only those that are asked for are ever in memory."""

import copy
import math
from functools import partial
from numbers import Integral
from pathlib import Path

import mne
import numpy as np
import pandas as pd

VOLTS_TO_MICROVOLTS = 1e6
BATCH = 32  # epochs that are in memory at the same time


class MappedEpochs:
    """Memory-mapped epochs, which are read when they are needed.

    Returned by `load_memmap`. Indexing with an int returns an array; indexing with a slice, indices
    or a mask returns other `MappedEpochs` of the same file without reading it.
    `EEGTransformerClassifier` trains and predicts without loading all epochs into memory; other
    steps load them. Pickles contain the path and the selection.

    Parameters
    ----------
    path : path-like
        File of float32 (little-endian), epoch by epoch, sample by sample, channel by channel.
    shape : tuple of (int, int, int)
        ``(n_epochs, n_chans, n_times)`` of the data in the file.
    unit : str, default="V"
        Unit of the values. Volts, ``"V"``, are converted to microvolts; others, such as
        ``"z-score"``, are not converted.
    ch_names : sequence of str or None, default=None
        Channel names; None for those of `info`.
    sfreq : float or None, default=None
        Sampling rate in Hz; None for that of `info`.
    info : mne.Info or None, default=None
        Measurement info of the channels.
    subjects : array-like of shape (n_epochs,) or None, default=None
        The subject of each epoch.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no file, or its size or the number of names or subjects does not match `shape`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skeegformer.datasets import MappedEpochs
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "epochs.dat")
    >>> np.zeros((10, 320, 3), dtype="<f4").tofile(path)  # epochs, samples, channels
    >>> X = MappedEpochs(path, (10, 3, 320), ch_names=["C3", "Cz", "C4"], sfreq=160.0)
    >>> X[[0, 4, 2]].shape, X[0].shape
    ((3, 3, 320), (3, 320))
    >>> folder.cleanup()
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(
        self, path, shape, *, unit="V", ch_names=None, sfreq=None, info=None, subjects=None
    ):
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape={shape!r} is not (n_epochs, n_chans, n_times) of at least 1.")
        n_epochs, n_chans, n_times = (int(n) for n in shape)
        self.path = Path(path).expanduser().absolute()
        self.shape, self._in_file = (n_epochs, n_chans, n_times), (n_epochs, n_times, n_chans)
        self.unit, self.info = unit, info
        if info is not None:
            ch_names = info["ch_names"] if ch_names is None else ch_names
            sfreq = info["sfreq"] if sfreq is None else sfreq
        self.ch_names = None if ch_names is None else list(ch_names)
        self.sfreq = None if sfreq is None else float(sfreq)
        self.tmin = 0.0  # of the first sample, as that of Epochs
        self.subjects = None if subjects is None else np.asarray(subjects)
        self._rows = np.arange(n_epochs)
        self._steps = ()  # what is done to the channels of epochs that were read
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {self.path}.")
        if self.path.stat().st_size != self.nbytes:
            raise ValueError(
                f"{self.path} has {self.path.stat().st_size} bytes, but "
                f"{' x '.join(map(str, self._in_file))} values of float32 have {self.nbytes}; the "
                "file is incomplete, or not of this shape."
            )
        for name, values, n, what in (
            ("ch_names", self.ch_names, n_chans, "channels"),
            ("subjects", subjects, n_epochs, "epochs"),
        ):
            if values is not None and len(values) != n:
                raise ValueError(f"{self.path.name} has {n} {what}, but {name} has {len(values)}.")

    @property
    def nbytes(self):
        """Size of the selected epochs in bytes."""
        return self.dtype.itemsize * math.prod(self.shape)

    def __repr__(self):
        n_epochs, n_chans, n_times = self.shape
        rate = "" if self.sfreq is None else f" at {self.sfreq:g} Hz"
        return (
            f"<MappedEpochs | {n_epochs} epochs, {n_chans} channels, {n_times} samples{rate}, "
            f"{self.nbytes / 1e6:.3g} MB in {self.path.name}>"
        )

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        """Choose epochs, and perhaps channels, as an array does: X[epochs], X[epochs, channels]."""
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) > 1 and parts[-1] is Ellipsis:
            parts = parts[:-1]
        if len(parts) > 2:
            raise IndexError(
                "Epochs in a file are indexed by epochs, and perhaps channels: X[epochs, "
                "channels]. Load them for anything else: X.load()[...]."
            )
        key, channels = (*parts, slice(None))[:2]
        if isinstance(key, Integral):
            return self._read(np.arange(len(self))[[key]])[0][channels]
        chosen = choose(len(self), key)
        out = copy.copy(self)
        out._rows, out.shape = self._rows[chosen], (len(chosen), *self.shape[1:])
        out.subjects = None if self.subjects is None else self.subjects[chosen]
        if len(parts) == 1:
            return out
        picks = choose(self.shape[1], channels)
        names = None if self.ch_names is None else [self.ch_names[i] for i in picks]
        info = None if self.info is None else mne.pick_info(self.info, picks)
        return out._with_channels(partial(np.take, indices=picks, axis=1), names, info, len(picks))

    def _read(self, indices):
        """Read some epochs into memory, in the order of the indices; volts become microvolts."""
        # Mapped for a moment: what was read of a map counts as memory for as long as it is open.
        block = np.memmap(self.path, "<f4", "r", shape=self._in_file)[self._rows[indices]]
        if self.unit == "V":
            # In double precision, as the door does it for Epochs, but without a copy.
            np.multiply(
                block, VOLTS_TO_MICROVOLTS, out=block, dtype=np.float64, casting="same_kind"
            )
        block = np.ascontiguousarray(block.transpose(0, 2, 1), dtype=np.float32)
        for step in self._steps:
            block = step(block)
        return np.asarray(block)

    def load(self):
        """Read all epochs at once.

        Returns
        -------
        ndarray of float32 of shape (n_epochs, n_chans, n_times)
            The epochs.
        """
        out = np.empty(self.shape, dtype=np.float32)
        for some in slices(len(self), BATCH):
            out[some] = self._read(some)
        return out

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("What is in a file cannot become an array without a copy in memory.")
        return self.load().astype(self.dtype if dtype is None else dtype, copy=False)

    def to_epochs(self, metadata=None):
        """Load the selected epochs as Epochs, in volts; other units are taken as microvolts.

        Parameters
        ----------
        metadata : pandas.DataFrame or None, default=None
            One row per epoch. A column ``condition`` gives the event names. None for the subjects,
            if they are known.

        Returns
        -------
        mne.EpochsArray
            The epochs. A ValueError is raised if channel names or the sampling rate are unknown.
        """
        if self.ch_names is None or self.sfreq is None:
            raise ValueError(
                f"Epochs need the names of the channels and the sampling rate, and "
                f"{self.path.name} does not tell: give load_memmap ch_names and sfreq."
            )
        if not len(self):
            raise ValueError(f"X is empty: it has no epochs of {self.path.name}.")
        if metadata is None and self.subjects is not None:
            metadata = pd.DataFrame({"subject": self.subjects})
        codes, event_id = np.ones(len(self), dtype=int), None
        if metadata is not None:
            if len(metadata) != len(self):
                raise ValueError(
                    f"There are {len(self)} epochs, but {len(metadata)} rows of metadata."
                )
            metadata = metadata.reset_index(drop=True)
            if "condition" in metadata:
                codes, names = pd.factorize(metadata["condition"].astype(str), sort=True)
                codes, event_id = codes + 1, {name: i for i, name in enumerate(names, 1)}
        info = self.info
        if info is None:
            info = mne.create_info(self.ch_names, self.sfreq, "eeg", verbose="ERROR")
        return mne.EpochsArray(
            np.multiply(self.load(), 1 / VOLTS_TO_MICROVOLTS, dtype=np.float64),
            info.copy(),
            np.column_stack([np.arange(len(self)) * self.shape[2], 0 * codes, codes]),
            tmin=self.tmin,
            event_id=event_id,
            metadata=metadata,
            verbose="ERROR",
        )

    def _with_channels(self, function, ch_names, info=None, n_chans=None):
        """Make other channels of these when epochs are read, by a function of such an array."""
        out = copy.copy(self)
        out._steps = (*self._steps, function)
        out.ch_names, out.info = None if ch_names is None else list(ch_names), info
        out.shape = (len(self), len(ch_names) if n_chans is None else n_chans, self.shape[2])
        return out


def choose(n, key):
    """Turn a slice, a list or an array of indices, or a mask into indices from 0."""
    if not isinstance(key, slice):
        key = np.asarray(key)
        if key.size == 0 and key.dtype != bool:
            key = key.astype(int)
        if key.ndim != 1 or key.dtype.kind not in "iub":
            raise IndexError(
                "Epochs are chosen by a list of whole numbers, a slice, or a mask, not by an array "
                f"of {key.ndim} axes and type {key.dtype}."
            )
    return np.arange(n)[key]


def read_rows(data, indices):
    """Read some epochs into memory."""
    return data._read(indices) if isinstance(data, MappedEpochs) else data[indices]


def batches_of(data, size):
    """Go through an array, a tensor or `MappedEpochs`, at most `size` epochs at a time."""
    return (read_rows(data, some) for some in slices(len(data), size))


def slices(n, size):
    """Go through n epochs, at most `size` at a time."""
    return (slice(start, start + size) for start in range(0, n, size))
