"""Exports: epochs written to a file from which only those that are needed are read."""

import mne
import numpy as np
import pandas as pd

from skeegformer._memmap import BATCH, VOLTS_TO_MICROVOLTS, MappedEpochs
from skeegformer._validation import as_epochs, eeg_picks, in_memory, is_epochs, plain_labels
from skeegformer.datasets._channels import SFREQ
from skeegformer.datasets._files import fetch_tasks
from skeegformer.datasets._memmap_files import UNKNOWN, ExportWriter
from skeegformer.datasets._memmap_reading import load_memmap
from skeegformer.datasets._tasks import TASKS, check_subjects, check_tasks, check_times
from skeegformer.preprocessing._base import check_band, optional_positive
from skeegformer.preprocessing.alignment import EuclideanAlignment

__all__ = ["export_memmap", "write_memmap", "load_memmap"]


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
    zscore=False,
    name=None,
    overwrite=False,
    path=None,
    verbose=False,
):
    """Write epochs of the EEG Motor Movement/Imagery Dataset to a memory-mapped file.

    Recordings are loaded as by `load_eegmmi`, one subject at a time, so that memory never holds
    more than one subject. The files are those of eeg-transformer's ``download_data.py`` [1]_, and
    its reader takes them.

    Parameters
    ----------
    task : str or list of str
        One task, a list of tasks, or ``"all"`` for all five, as for `load_eegmmi`.
    folder : path-like
        Where to write; made if it is missing.
    subjects : int or iterable of int or None, default=None
        Subjects, 1 to 109; None for all.
    window : float, default=2.0
        Length of an epoch in seconds, to the sample, for every task: 320 samples at 160 Hz.
    tmin : float, default=0.0
        Motor tasks: start of an epoch relative to its cue, in seconds. ``"baseline-eyes"`` alone:
        where in the recording the first window starts.
    tmax : float or None, default=None
        ``"baseline-eyes"`` alone: where in the recording the last window ends at the latest, in
        seconds. Motor tasks end at ``tmin + window``.
    l_freq, h_freq : float or None, default=None
        Pass band in Hz, applied to the recordings before they are cut.
    resample : float or None, default=None
        Sampling rate in Hz; None for 160 Hz.
    zscore : bool, default=False
        Whether every channel of every epoch gets mean 0 and standard deviation 1, as an option of
        the original does.
    name : str or None, default=None
        Last part of the files' names; None takes the tasks.
    overwrite : bool, default=False
        Whether an export of the same name and epoch length may be replaced. It is there or
        replaced as a whole, also when the export is interrupted.
    path : path-like or None, default=None
        Folder of the recordings, as for `load_eegmmi`; what is missing there is downloaded.
    verbose : bool, default=False
        Whether a progress bar counts the subjects.

    Returns
    -------
    pathlib.Path
        The file of values, ``raw-nsamp_{n}-eplen_{n_times}[-norm]-{name}.dat``. Beside it are
        ``label-....csv``, with a row for each epoch (subject, stage, condition, session, run and
        task; stage is -1 as in the original, for want of any), and ``head-....json``.

    Raises
    ------
    FileExistsError
        If there is such an export, and it may not be replaced.
    FileNotFoundError
        If recordings are missing and cannot be downloaded.
    OSError
        If files cannot be written, for example on a full disk. Nothing is left of them, and
        earlier ones stay.
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    load_memmap : Reads the export.
    write_memmap : Writes epochs that are there already.

    Notes
    -----
    *Values* are float32, little-endian, in volts or z-scores; axes are epoch, sample and channel.
    Epochs are in the order of subjects, then of tasks.

    *The header* holds the format and its version, shape, axes, unit, names and positions of the
    channels, rate, tasks, filters, how many epochs of each condition and subject there are, and
    the SHA-256 of both other files.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0

    Examples
    --------
    >>> from skeegformer import export_memmap, load_memmap
    >>> path = export_memmap("baseline-eyes", "exports", range(1, 9))  # doctest: +SKIP
    >>> path.name  # doctest: +SKIP
    'raw-nsamp_480-eplen_320-baseline-eyes.dat'
    >>> X, y, metadata = load_memmap(path)  # doctest: +SKIP
    """
    from tqdm.auto import tqdm

    from skeegformer.datasets import eegmmi  # loads MOABB

    tasks, subjects = check_tasks(task), check_subjects(subjects)
    names = [task.name for task in tasks]
    check_times(tmin, tmax, window)
    check_band(l_freq, h_freq)
    optional_positive("resample", resample, "no change")
    n_times = round(window * (resample or SFREQ))
    if not n_times:
        raise ValueError(f"window={window} s is shorter than a sample; make it longer.")
    times = {"tmin": tmin, "tmax": tmax, "window": window}
    if names != ["baseline-eyes"]:
        if tmax is not None and not np.isclose(tmax, tmin + window):
            raise ValueError(
                f"tmax={tmax} s is not tmin + window = {tmin + window:g} s, where epochs of motor "
                "tasks end; leave tmax out, or change window."
            )
        times["tmax"] = None if "baseline-eyes" in names else tmin + window
    if name is None:
        name = "all" if len(names) == len(TASKS) else "-".join(names)
    filters = {"l_freq": l_freq, "h_freq": h_freq, "resample": resample}
    with ExportWriter(folder, name, n_times, zscore=zscore, overwrite=overwrite) as writer:
        fetch_tasks(tasks, subjects, path)
        for subject in tqdm(subjects, desc="export", unit="subject", disable=not verbose):
            X, y, metadata = eegmmi.load_eegmmi(names, subject, path=path, **filters, **times)
            # Motor tasks alone come with the sample at tmax.
            data = X.get_data(copy=False)[..., :n_times]
            writer.write(data, metadata.assign(stage=UNKNOWN, condition=y))
        writer.finish(
            info=X.info,
            tasks=names,
            dataset="EEGMMI",
            processing={"window": window, "tmin": tmin, "tmax": tmax, **filters},
        )
    return writer.data_path


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
    transformer=None,
    overwrite=False,
):
    """Write epochs that are there already to a memory-mapped file.

    Parameters
    ----------
    X : mne.Epochs, list of mne.Epochs, MappedEpochs or array of shape (n_epochs, n_chans, n_times)
        The epochs. Of Epochs the EEG channels are written, in volts; arrays as they are.
    y : array-like of shape (n_epochs,)
        Labels, numbers or text. They come back as they are, and so do columns of metadata that
        are numbers; others come back as text.
    metadata : pandas.DataFrame or None, default=None
        A row for each epoch; ``subject`` and ``stage`` are of use to `load_memmap`. None takes
        those of Epochs.
    folder : path-like, default="."
        Where to write; made if it is missing.
    name : str, default="epochs"
        Last part of the files' names.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Epochs know theirs.
    ch_names : sequence of str or None, default=None
        Names of the channels of arrays. Epochs know theirs.
    zscore : bool, default=False
        Whether every channel of every epoch gets mean 0 and standard deviation 1.
    transformer : transformer, Pipeline or None, default=None
        What is done to the epochs, a few at a time, before they are written, so that epochs that
        do not fit into memory can be preprocessed: fitted, for example on ``X[:1]``, and
        transforming each epoch by itself, as filters, resampling and choice of channels do. A
        Pipeline without its classifier is ``pipe[:-1]``. Transformed Epochs are written in
        microvolts.
    overwrite : bool, default=False
        Whether an export of the same name and epoch length may be replaced.

    Returns
    -------
    pathlib.Path
        The file of values; labels and a header are beside it, as `export_memmap` describes them.

    Raises
    ------
    FileExistsError
        If there is such an export, and it may not be replaced.
    OSError
        If files cannot be written. Nothing is left of them, and earlier ones stay.
    NotFittedError
        If the transformer is not fitted.
    ValueError
        If X is no epochs, or has not as many as y and metadata, or the transformer works on
        several epochs together (`EuclideanAlignment`).

    See Also
    --------
    load_memmap : Reads the export.
    export_memmap : Loads and writes recordings subject by subject.

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

    Steps of a Pipeline work on epochs that stay in a file, and what they make goes into another:

    >>> from sklearn.pipeline import make_pipeline
    >>> from skeegformer import BandPassFilter, ChannelPicker
    >>> steps = make_pipeline(ChannelPicker(["C3", "C4"]), BandPassFilter(None, 30.0)).fit(X[:1])
    >>> path = write_memmap(X, y, metadata, folder.name, "filtered", transformer=steps)
    >>> load_memmap(path)[0].shape
    (20, 2, 320)
    >>> folder.cleanup()
    """
    if is_epochs(X):
        X = as_epochs(X)
        metadata = X.metadata if metadata is None else metadata
    elif isinstance(X, MappedEpochs):
        ch_names, sfreq = X.ch_names, X.sfreq
        if metadata is None and X.subjects is not None:
            metadata = pd.DataFrame({"subject": X.subjects})
    else:
        X = np.asarray(X)
        if X.ndim != 3 or X.dtype.kind not in "fiu":
            raise ValueError(
                f"X has shape {X.shape} and type {X.dtype}, but epochs are numbers of shape "
                "(n_epochs, n_chans, n_times)."
            )
        if ch_names is not None and len(ch_names) != X.shape[1]:
            raise ValueError(f"X has {X.shape[1]} channels, but ch_names {len(ch_names)} names.")
    y = np.asarray(y)
    if y.shape != (len(X),):
        raise ValueError(f"X has {len(X)} epochs, but y has shape {y.shape}; give one label each.")
    metadata = pd.DataFrame(index=range(len(y))) if metadata is None else metadata
    if len(metadata) != len(y):
        raise ValueError(f"X has {len(y)} epochs, but metadata has {len(metadata)} rows.")
    if not len(X):
        raise ValueError("There are no epochs to write.")
    labels = metadata.reset_index(drop=True).assign(condition=plain_labels("y", y))
    for column, value in (("subject", int(UNKNOWN)), ("stage", UNKNOWN)):
        if column not in labels:
            labels[column] = value
    _refuse_alignment(transformer)
    first, scale, unit, info = _values(X[:1], transformer)
    if info is not None or transformer is not None:  # channels of X are no longer those
        ch_names = sfreq = None
    with ExportWriter(folder, name, first.shape[2], zscore=zscore, overwrite=overwrite) as writer:
        for start in range(0, len(X), BATCH):
            rows = slice(start, start + BATCH)
            block = _values(X[rows], transformer)[0]
            if len(block) != len(labels[rows]):
                raise ValueError(
                    f"The transformer makes {len(block)} epochs of {len(labels[rows])}; only one "
                    "that transforms each epoch by itself can work on a few at a time."
                )
            writer.write(block, labels[rows], scale)
        writer.finish(
            info=info,
            ch_names=None if ch_names is None else list(ch_names),
            sfreq=None if sfreq is None else float(sfreq),
            unit=unit,
        )
    return writer.data_path


def _values(X, transformer):
    """Return values of epochs, what they are multiplied with, their unit then, and an Info."""
    unit = X.unit if isinstance(X, MappedEpochs) else "V" if is_epochs(X) else "as given"
    if transformer is None and isinstance(X, MappedEpochs):
        # Multiplied in double precision, so that volts become microvolts as they were.
        in_volts = unit == "V"
        return (
            X.load().astype(float if in_volts else "<f4"),
            1e-6 if in_volts else 1.0,
            unit,
            X.info,
        )
    X = in_memory(X)
    if transformer is None and not is_epochs(X):
        return X, 1.0, unit, None
    if transformer is not None:
        X, unit = transformer.transform(X), "uV" if unit == "V" else unit
    if not is_epochs(X):
        return np.asarray(X), 1.0, unit, None
    picks = eeg_picks(X)
    # Microvolts as the door makes them, so that a classifier gets the same to the bit.
    scale = 1.0 if transformer is None else VOLTS_TO_MICROVOLTS
    return X.get_data(picks=picks, copy=False), scale, unit, mne.pick_info(X.info, picks)


def _refuse_alignment(transformer):
    """Refuse steps that look at several epochs together."""
    for _, step in getattr(transformer, "steps", [(None, transformer)]):
        if step is not transformer and hasattr(step, "steps"):
            _refuse_alignment(step)
        if isinstance(step, EuclideanAlignment):
            raise ValueError(
                "EuclideanAlignment looks at all epochs of a subject together, and cannot work on "
                "a few at a time; leave it out, or load the epochs: X.to_epochs()."
            )
    if transformer is not None and not hasattr(transformer, "transform"):
        raise ValueError(
            f"{type(transformer).__name__} does not transform; pass the steps before the "
            "classifier, such as pipe[:-1]."
        )
