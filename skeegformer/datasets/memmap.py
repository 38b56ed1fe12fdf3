"""Exports: epochs written to a file from which only those that are needed are read."""

import mne
import numpy as np
import pandas as pd

from skeegformer._validation import (
    BATCH,
    VOLTS_TO_MICROVOLTS,
    MappedEpochs,
    as_epochs,
    eeg_picks,
    is_epochs,
    plain_labels,
    read_rows,
    refuse_other_objects,
    slices,
)
from skeegformer.datasets._channels import SFREQ
from skeegformer.datasets._files import fetch_tasks
from skeegformer.datasets._memmap_files import UNKNOWN, write_files
from skeegformer.datasets._memmap_reading import load_memmap
from skeegformer.datasets._tasks import TASKS, check_subjects, check_tasks
from skeegformer.datasets.eegmmi import load_subjects, make_steps

__all__ = ["MappedEpochs", "export_memmap", "load_memmap", "write_memmap"]


def export_memmap(
    task,
    folder,
    subjects=None,
    *,
    window=2.0,
    tmin=0.0,
    tmax=None,
    l_freq=None,
    h_freq=None,
    resample=None,
    path=None,
    zscore=False,
    name=None,
    overwrite=False,
    verbose=False,
):
    """Write epochs of the EEG Motor Movement/Imagery Dataset to a memory-mapped file.

    Recordings are loaded as by `load_eegmmi`, one subject at a time.

    Parameters
    ----------
    task, folder, subjects : object
        As for `load_eegmmi` and `write_memmap`.
    window : float, default=2.0
        Length of an epoch in seconds, for every task: exactly 320 samples at 160 Hz. Epochs of
        motor tasks end at ``tmin + window``.
    tmin, tmax, l_freq, h_freq, resample, path : object
        As for `load_eegmmi`.
    zscore, name, overwrite : object
        As for `write_memmap`; a `name` of None takes the tasks.
    verbose : bool, default=False
        Whether to show a progress bar over subjects.

    Returns
    -------
    pathlib.Path
        The data file; see `write_memmap`.

    See Also
    --------
    load_memmap : Reads the export.
    write_memmap : Writes existing epochs.

    Examples
    --------
    >>> from skeegformer import export_memmap, load_memmap
    >>> path = export_memmap("baseline-eyes", "exports", range(1, 9))  # doctest: +SKIP
    >>> path.name  # doctest: +SKIP
    'raw-nsamp_480-eplen_320-baseline-eyes.dat'
    >>> X, y, metadata = load_memmap(path)  # doctest: +SKIP
    """
    from tqdm.auto import tqdm

    tasks, subjects = check_tasks(task), check_subjects(subjects)
    names = [task.name for task in tasks]
    steps = make_steps(tasks, tmin, tmax, window, (l_freq, h_freq), resample, exact=True)
    n_times = round(window * (resample or SFREQ))
    if not n_times:
        raise ValueError(f"window={window} s is shorter than a sample; make it longer.")
    processing = {"window": window, "tmin": tmin, "tmax": tmax}
    processing |= {"l_freq": l_freq, "h_freq": h_freq, "resample": resample}
    header = {"unit": "V", "tasks": names, "dataset": "EEGMMI", "processing": processing}
    if name is None:
        name = "all" if len(names) == len(TASKS) else "-".join(names)

    def chunks():
        root = fetch_tasks(tasks, subjects, path)
        for subject in tqdm(subjects, desc="export", unit="subject", disable=not verbose):
            X, y, metadata = load_subjects(tasks, [subject], steps, root, tmin=tmin)
            header.update(channels=X.info, tmin=X.tmin)
            yield X.get_data(copy=False), metadata.assign(stage=UNKNOWN, condition=y)

    return write_files(folder, name, n_times, chunks(), header, zscore=zscore, overwrite=overwrite)


def write_memmap(
    X,
    y,
    metadata=None,
    folder=".",
    name="epochs",
    *,
    sfreq=None,
    ch_names=None,
    zscore=False,
    overwrite=False,
):
    """Write existing epochs to a memory-mapped file.

    The format is that of eeg-transformer's ``download_data.py`` [1]_, whose code can read them.

    Parameters
    ----------
    X : mne.Epochs, list of mne.Epochs, MappedEpochs or array of shape (n_epochs, n_chans, n_times)
        The epochs: of Epochs, the EEG channels in volts; arrays without conversion.
    y : array-like of shape (n_epochs,)
        Labels, numbers or text. Their type is restored by `load_memmap`, as is that of numeric
        columns of metadata; other columns are read as text.
    metadata : pandas.DataFrame or None, default=None
        One row per epoch; `load_memmap` uses the columns ``subject`` and ``stage``. None for the
        metadata of Epochs.
    folder : path-like, default="."
        Where to write; created if it does not exist.
    name : str, default="epochs"
        Last part of the file names.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Not needed for Epochs.
    ch_names : sequence of str or None, default=None
        Channel names of arrays. Not needed for Epochs.
    zscore : bool, default=False
        Whether to standardise every channel of every epoch to mean 0 and standard deviation 1, like
        an option of the original.
    overwrite : bool, default=False
        Whether an export of the same name and epoch length may be replaced. Replacement is atomic,
        even if the process is killed.

    Returns
    -------
    pathlib.Path
        The data file, ``raw-nsamp_{n}-eplen_{n_times}[-norm]-{name}.dat``: float32, little-endian,
        with axes epoch, sample and channel. Beside it are ``label-....csv``, with one row per epoch
        (subject, stage, condition and the rest of the metadata; stage is -1, as in the original, if
        there is none), and ``head-....json``, with shape, unit, channel names and positions,
        sampling rate, filters, and the numbers of epochs by condition and by subject.

    Raises
    ------
    OSError
        If the export exists and may not be replaced, or files cannot be written, for example on a
        full disk. Partial files are removed, and earlier ones are kept.
    ValueError
        If X does not contain epochs, or not as many as y and metadata.

    See Also
    --------
    load_memmap : Reads the export.
    export_memmap : Loads and writes recordings subject by subject.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import load_memmap, make_simulated_eeg, write_memmap
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=10, random_state=0)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = write_memmap(X, y, metadata, folder.name, "simulated")
    >>> path.name
    'raw-nsamp_20-eplen_320-simulated.dat'
    >>> X, y, metadata = load_memmap(path)
    >>> X
    <MappedEpochs | 20 epochs, 64 channels, 320 samples at 160 Hz, 1.64 MB in ...simulated.dat>
    >>> folder.cleanup()
    """
    ch_names = None if ch_names is None else list(ch_names)
    channels = {"ch_names": ch_names, "sfreq": sfreq and float(sfreq)}
    unit, tmin = "as given", 0.0
    if is_epochs(X):
        X = as_epochs(X)
        metadata = X.metadata if metadata is None else metadata
        picks, whole = eeg_picks(X), X.get_data(copy=False)
        unit, channels, tmin = "V", mne.pick_info(X.info, picks), X.tmin
        X = whole if len(picks) == whole.shape[1] else whole[:, picks]
    elif isinstance(X, MappedEpochs):
        unit, tmin = X.unit, X.tmin
        channels = X.info or {"ch_names": X.ch_names, "sfreq": X.sfreq}
        if metadata is None and X.subjects is not None:
            metadata = pd.DataFrame({"subject": X.subjects})
    else:
        refuse_other_objects("write_memmap", X)
        X = np.asarray(X)
        if X.ndim != 3 or X.dtype.kind not in "fiu":
            raise ValueError(
                f"X has shape {X.shape} and type {X.dtype}, but epochs are numbers of shape "
                "(n_epochs, n_chans, n_times)."
            )
        if ch_names is not None and len(ch_names) != X.shape[1]:
            raise ValueError(f"X has {X.shape[1]} channels, but ch_names {len(ch_names)} names.")
    labels = _table(len(X), y, metadata)

    def chunks():
        for some in slices(len(X), BATCH):
            block = read_rows(X, some)
            if isinstance(X, MappedEpochs) and unit == "V":
                # Multiplied in double precision, so that volts become what they were.
                block = block.astype(float) * 1e-6
            yield block, labels[some]

    header = {"unit": unit, "channels": channels, "tmin": tmin}
    return write_files(
        folder, name, X.shape[2], chunks(), header, zscore=zscore, overwrite=overwrite
    )


def write_transformed(X, transformer, folder):
    """Write `MappedEpochs` that tell their channels as a fitted transformer makes them."""
    known = None if X.subjects is None else pd.DataFrame({"subject": X.subjects})
    labels = _table(len(X), [""] * len(X), known)
    first = transformer.transform(X[:1])
    header = {"unit": "uV" if X.unit == "V" else X.unit, "channels": first.info, "tmin": first.tmin}

    def chunks():
        for some in slices(len(X), BATCH):
            data = transformer.transform(X[some]).get_data(copy=False)
            # Microvolts as the door makes them, so that a classifier gets the same to the bit.
            yield data * VOLTS_TO_MICROVOLTS, labels[some]

    return write_files(folder, "epochs", len(first.times), chunks(), header)


def _table(n_epochs, y, metadata):
    """Check labels and metadata, and join them."""
    y = plain_labels("y", y)
    if y.shape != (n_epochs,):
        raise ValueError(
            f"X has {n_epochs} epochs, but y has shape {y.shape}; give one label each."
        )
    metadata = pd.DataFrame(index=range(n_epochs)) if metadata is None else metadata
    if not isinstance(metadata, pd.DataFrame):
        raise TypeError(f"metadata is a {type(metadata).__name__}, but has to be a DataFrame.")
    twice = metadata.columns[metadata.columns.duplicated()].tolist()
    if twice:
        raise ValueError(f"metadata has several columns {twice[0]!r}; give each another name.")
    if len(metadata) != n_epochs:
        raise ValueError(f"X has {n_epochs} epochs, but metadata has {len(metadata)} rows.")
    if not n_epochs:
        raise ValueError("There are no epochs to write.")
    unknown = {"subject": int(UNKNOWN), "stage": UNKNOWN}
    # In NumPy's types, also categories of numbers and what pandas has of its own.
    columns = {name: values.to_numpy() for name, values in metadata.items()}
    labels = pd.DataFrame(columns, index=range(n_epochs)).assign(condition=y)
    return labels.assign(**{k: v for k, v in unknown.items() if k not in labels})
