"""Preprocessing of epochs that do not fit into memory."""

import secrets
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from skeegformer._memmap import BATCH, MappedEpochs
from skeegformer._utils.files import writing
from skeegformer._validation import VOLTS_TO_MICROVOLTS, eeg_picks, in_memory, is_epochs
from skeegformer.preprocessing.alignment import EuclideanAlignment


def transform_to_memmap(steps, X, folder, *, name="transformed", batch_size=BATCH):
    """Transform epochs that stay in a file, a few at a time, into a new file.

    What comes out is what the steps would make of all epochs together, without ever having them
    together in memory.

    Parameters
    ----------
    steps : transformer, list of transformer, or Pipeline
        What is done, in this order; fitted, for example on ``X[:1]``, and transforming each epoch
        by itself: filters, resampling, choice of channels. A Pipeline without its classifier is
        ``pipe[:-1]``.
    X : MappedEpochs
        The epochs.
    folder : path-like
        Where the new file goes; it has to exist.
    name : str, default="transformed"
        First part of the file's name, which is always a new one.
    batch_size : int, default=32
        How many epochs are in memory at the same time.

    Returns
    -------
    MappedEpochs
        The transformed epochs with their subjects, in the new file. It is the caller's to delete.

    Raises
    ------
    NotFittedError
        If a step is not fitted.
    OSError
        If the file cannot be written; nothing is left of it.
    TypeError
        If X is not in a file.
    ValueError
        If a step works on several epochs together (`EuclideanAlignment`), or gives another number
        of epochs.

    See Also
    --------
    load_memmap : Opens epochs in a file.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import BandPassFilter, ChannelPicker, load_memmap, make_simulated_eeg
    >>> from skeegformer import transform_to_memmap, write_memmap
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=10, random_state=0)
    >>> folder = tempfile.TemporaryDirectory()
    >>> X, y, metadata = load_memmap(write_memmap(X, y, metadata, folder.name))
    >>> steps = [ChannelPicker(["C3", "C4"]), BandPassFilter(None, 30.0)]
    >>> first = X[:1].to_epochs()
    >>> for step in steps:
    ...     first = step.fit_transform(first)
    >>> transform_to_memmap(steps, X, folder.name).shape
    (20, 2, 320)
    >>> folder.cleanup()
    """
    if not isinstance(X, MappedEpochs):
        raise TypeError(
            f"X is a {type(X).__name__}, but only MappedEpochs (load_memmap) are transformed in "
            "parts; use the transform of the steps."
        )
    if not len(X):
        raise ValueError("X is empty: there is no epoch to transform.")
    steps = _flatten(steps)
    path = Path(folder).absolute() / f"{name}-{secrets.token_hex(4)}.dat"
    out, n_epochs, shape = None, 0, None
    with writing(path) as file:
        for start in range(0, len(X), batch_size):
            part = X[start : start + batch_size]
            out = in_memory(part)
            for step in steps:
                out = step.transform(out)
            values = _values(out)
            if len(values) != len(part):
                raise ValueError(
                    f"The steps make {len(values)} epochs of {len(part)}; only those that "
                    "transform each epoch by itself can work in parts."
                )
            np.ascontiguousarray(values.transpose(0, 2, 1), dtype="<f4").tofile(file)
            n_epochs, shape = n_epochs + len(values), values.shape[1:]
    known = {"info": _info(out)} if is_epochs(out) else {}
    return MappedEpochs(
        path,
        (n_epochs, *shape),
        # Microvolts as the door makes them, so that a classifier gets the same to the bit.
        unit="uV" if X.unit == "V" else X.unit,
        subjects=X.subjects,
        **known,
    )


def _flatten(steps):
    """List the transformers, and refuse those that look at several epochs."""
    if isinstance(steps, Pipeline):
        steps = [step for _, step in steps.steps]
    elif not isinstance(steps, list | tuple):
        steps = [steps]
    flat = []
    for step in steps:
        if isinstance(step, Pipeline):
            flat += _flatten(step)
        elif step is not None and not (isinstance(step, str) and step == "passthrough"):
            flat.append(step)
    for step in flat:
        if isinstance(step, EuclideanAlignment):
            raise ValueError(
                "EuclideanAlignment looks at all epochs of a subject together, and cannot work in "
                "parts; leave it out, or load the epochs: X.to_epochs()."
            )
        if not hasattr(step, "transform"):
            raise ValueError(
                f"{type(step).__name__} does not transform; pass the steps before it, such as "
                "pipe[:-1]."
            )
    return flat


def _values(out):
    """Take the values of EEG channels, Epochs in microvolts."""
    if not is_epochs(out):
        return np.asarray(out)
    data = out.get_data(picks=eeg_picks(out), copy=False)
    return data * VOLTS_TO_MICROVOLTS


def _info(epochs):
    import mne

    return mne.pick_info(epochs.info, eeg_picks(epochs))
