"""Exports: epochs in a file from which only those that are needed are read."""

from pathlib import Path

import numpy as np
import pandas as pd

from skeegformer._memmap import BATCH, MappedEpochs, batches_of
from skeegformer._validation import as_epochs, eeg_picks, is_epochs
from skeegformer.datasets._memmap_files import UNKNOWN, ExportWriter
from skeegformer.datasets._memmap_reading import (
    channel_info,
    check_files,
    find_data,
    layout,
    read_header,
    read_labels,
)

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

    from skeegformer.datasets._channels import SFREQ
    from skeegformer.datasets._files import data_root, fetch
    from skeegformer.datasets._paradigms import check_frequencies, check_times
    from skeegformer.datasets._tasks import TASKS
    from skeegformer.datasets.eegmmi import _check_subjects, _check_tasks, load_eegmmi

    tasks, subjects = _check_tasks(task), _check_subjects(subjects)
    names = [task.name for task in tasks]
    is_all = set(names) == set(TASKS)
    check_frequencies(l_freq, h_freq, resample)
    check_times(tmin, tmax, window)
    times = {"tmin": tmin, "tmax": tmax, "window": window}
    n_times = round(window * (resample or SFREQ))
    if not n_times:
        raise ValueError(f"window={window} s is shorter than a sample; make it longer.")
    if names != ["baseline-eyes"]:
        if tmax is not None and not np.isclose(tmax, tmin + window):
            raise ValueError(
                f"tmax={tmax} s is not tmin + window = {tmin + window:g} s, where epochs of motor "
                "tasks end; leave tmax out, or change window."
            )
        times["tmax"] = None if "baseline-eyes" in names else tmin + window
    writer = ExportWriter(
        folder,
        name if name is not None else "all" if is_all else "-".join(names),
        n_times,
        zscore=zscore,
        overwrite=overwrite,
    )
    root = data_root(path)
    fetch(root, [(subject, run) for task in tasks for subject in subjects for run in task.runs])
    with writer:
        for subject in tqdm(subjects, desc="export", unit="subject", disable=not verbose):
            X, y, metadata = load_eegmmi(
                names, subject, l_freq=l_freq, h_freq=h_freq, resample=resample, path=root, **times
            )
            # Motor tasks alone come with the sample at tmax.
            data = X.get_data(copy=False)[..., :n_times]
            writer.write(data, metadata.assign(stage=UNKNOWN, condition=y))
        writer.finish(
            info=X.info,
            tasks=names,
            dataset="EEGMMI",
            processing={
                "window": window,
                "tmin": tmin,
                "tmax": tmax,
                "l_freq": l_freq,
                "h_freq": h_freq,
                "resample": resample,
            },
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
    overwrite=False,
):
    """Write epochs that are there already to a memory-mapped file.

    Parameters
    ----------
    X : mne.Epochs, list of mne.Epochs, MappedEpochs or array of shape (n_epochs, n_chans, n_times)
        The epochs. Of Epochs the EEG channels are written, in volts; arrays as they are.
    y : array-like of shape (n_epochs,)
        Labels; they are written, and read again, as text.
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
    ValueError
        If X is no epochs, or has not as many as y and metadata.

    See Also
    --------
    load_memmap : Reads the export.
    export_memmap : Loads and writes recordings subject by subject.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import load_memmap, make_simulated_eeg, write_memmap
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=10, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_memmap(X, y, metadata, folder, "simulated")
    ...     print(path.name)
    ...     X, y, metadata = load_memmap(path)
    ...     X
    raw-nsamp_20-eplen_320-simulated.dat
    <MappedEpochs | 20 epochs, 64 channels, 320 samples at 160 Hz, 1.64 MB in ...simulated.dat>
    """
    info, unit, scale = None, "as given", 1.0
    if is_epochs(X):
        import mne

        X = as_epochs(X)
        metadata = X.metadata if metadata is None else metadata
        picks = eeg_picks(X)
        info, unit = mne.pick_info(X.info, picks), "V"
        data = X.get_data(picks=picks, copy=False)
    elif isinstance(X, MappedEpochs):
        data, info = X, X.info
        ch_names, sfreq = X.ch_names, X.sfreq
        unit, scale = (X.unit, 1e-6) if X.unit == "V" else (X.unit, 1.0)
        if metadata is None and X.subjects is not None:
            metadata = pd.DataFrame({"subject": X.subjects})
    else:
        data = np.asarray(X)
        if data.ndim != 3 or data.dtype.kind not in "fiu":
            raise ValueError(
                f"X has shape {data.shape} and type {data.dtype}, but epochs are numbers of shape "
                "(n_epochs, n_chans, n_times)."
            )
        if ch_names is not None and len(ch_names) != data.shape[1]:
            raise ValueError(f"X has {data.shape[1]} channels, but ch_names {len(ch_names)} names.")
    y = np.asarray(y).astype(str)
    if y.shape != (len(data),):
        raise ValueError(
            f"X has {len(data)} epochs, but y has shape {y.shape}; give one label each."
        )
    metadata = pd.DataFrame(index=range(len(y))) if metadata is None else metadata
    if len(metadata) != len(y):
        raise ValueError(f"X has {len(y)} epochs, but metadata has {len(metadata)} rows.")
    missing = {column: UNKNOWN for column in ("subject", "stage") if column not in metadata}
    labels = metadata.reset_index(drop=True).assign(condition=y, **missing)
    start = 0
    with ExportWriter(folder, name, data.shape[2], zscore=zscore, overwrite=overwrite) as writer:
        for batch in batches_of(data, BATCH):
            # Multiplied in double precision, so that volts become microvolts as they were.
            batch = batch.astype(np.float64) if scale != 1.0 else batch
            writer.write(batch, labels.iloc[start : start + len(batch)], scale)
            start += len(batch)
        writer.finish(
            info=info,
            ch_names=None if ch_names is None else list(ch_names),
            sfreq=None if sfreq is None else float(sfreq),
            unit=unit,
        )
    return writer.data_path


def load_memmap(
    path,
    *,
    labels=None,
    conditions=None,
    stages=None,
    subjects=None,
    n_times=None,
    n_chans=None,
    sfreq=None,
    ch_names=None,
    unit=None,
    verify=False,
):
    """Open an export; epochs stay in the file until they are needed.

    Parameters
    ----------
    path : path-like
        The file of values, ``raw-....dat``, of `export_memmap`, `write_memmap`, or of
        eeg-transformer's ``download_data.py``; or a folder with a single one.
    labels : path-like or None, default=None
        The table of labels; None takes ``label-....csv`` beside the file of values.
    conditions, stages, subjects : value or list of values or None, default=None
        Which epochs are wanted; None for all.
    n_times, n_chans : int or None, default=None
        Shape of an epoch, for files without a header. None takes `n_times` from the name and
        `n_chans` from the size of the file.
    sfreq : float or None, default=None
        Sampling rate in Hz, for files without a header.
    ch_names : sequence of str or None, default=None
        Names of the channels, for files without a header. Those of the 10-05 system get their
        positions.
    unit : str or None, default=None
        What the values of files without a header are. None takes volts, as the original writes
        them, or z-scores where the name says ``-norm``.
    verify : bool, default=False
        Whether the files are compared with their checksums, for which all is read once.

    Returns
    -------
    X : MappedEpochs of shape (n_epochs, n_chans, n_times)
        The epochs, in microvolts when they are read.
    y : ndarray of str of shape (n_epochs,)
        The conditions.
    metadata : pandas.DataFrame
        ``subject`` (int, where all are whole numbers), ``stage``, ``condition`` and what else
        the export has.

    Raises
    ------
    FileNotFoundError
        If the file or its labels are missing.
    ValueError
        If files disagree in size, were changed since (with `verify`), there is no such condition,
        stage or subject, or what is given contradicts the header.

    See Also
    --------
    export_memmap : Writes recordings of EEGMMI.
    write_memmap : Writes other epochs, and has an example.
    """
    path = find_data(path)
    header, labels = read_header(path), read_labels(path, labels)
    if verify:
        check_files(path, header)
    shape = layout(path, header, len(labels), n_times, n_chans)
    ch_names, sfreq, info = channel_info(path, header, ch_names, sfreq)
    if header is not None:
        if unit is not None and unit != header["unit"]:
            raise ValueError(
                f"unit={unit!r}, but the header of {path.name} says {header['unit']!r}; leave it "
                "out."
            )
        unit = header["unit"]
    elif unit is None:
        unit = "z-score" if "-norm-" in path.name else "V"
    chosen = np.ones(len(labels), dtype=bool)
    for column, wanted in (("condition", conditions), ("stage", stages), ("subject", subjects)):
        if wanted is not None:
            chosen &= _matches(path, labels, column, wanted)
    if not chosen.any():
        raise ValueError(f"{path.name} has no epoch with all of what is asked for together.")
    y = labels["condition"].to_numpy(dtype=str)
    if labels["subject"].str.fullmatch(r"-?\d+").all():
        labels["subject"] = labels["subject"].astype(int)
    is_known = not (labels["subject"].astype(str) == UNKNOWN).all()
    X = MappedEpochs(
        path,
        shape,
        unit=unit,
        ch_names=ch_names,
        sfreq=sfreq,
        info=info,
        subjects=labels["subject"].to_numpy() if is_known else None,
    )
    return X[chosen], y[chosen], labels[chosen].reset_index(drop=True)


def _matches(path, labels, column, wanted):
    """Mark the epochs that have one of the wanted values."""
    if isinstance(wanted, str) or not hasattr(wanted, "__iter__"):
        wanted = [wanted]
    wanted = [str(value) for value in wanted]
    there = labels[column].unique().tolist() if column in labels else []
    for value in wanted:
        if value not in there:
            listed = ", ".join(there[:20]) + (", ..." if len(there) > 20 else "")
            raise ValueError(
                f"{Path(path).name} has no {column} {value!r}; there are {listed or 'none'}."
            )
    return labels[column].isin(wanted).to_numpy()
