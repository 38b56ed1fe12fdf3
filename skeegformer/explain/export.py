"""Explanations for other tools, pandas, MNE and shap, and for the disk."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skeegformer._files import checksum, refuse_taken, writing
from skeegformer._info import describe_info, make_info
from skeegformer._validation import check_one_of
from skeegformer.explain.explanation import Explanation
from skeegformer.explain.methods import METHODS
from skeegformer.explain.statistics import channel_names

_FORMAT = "skeegformer-explanation"
_VERSION = 1
_ARRAYS = (
    "token_values",
    "probabilities",
    "classes",
    "y",
    "targets",
    "subjects",
    "layer_values",
    "connections",
)
_PLAIN = ("ch_names", "method", "parts", "part_kind", "settings")
_NOT_ADDITIVE = {
    "looks": "they are shares, which say where the model looks and sum to one whatever it predicts",
    "uses": "they are shares of relevance, which sum to one whatever the model predicts",
    "needs": "each is what one channel alone makes up, and what several channels know together is "
    "counted in all of them or in none",
}


def to_dataframe(explanation):
    """Make a long table of all values.

    Parameters
    ----------
    explanation : Explanation
        What to list.

    Returns
    -------
    pandas.DataFrame
        A row for every epoch, channel and part, with the columns ``epoch`` (its index),
        ``subject``, ``label`` (the true one), ``prediction``, ``confidence`` (probability
        of the prediction), ``target`` (the class that was explained), ``channel``, ``part``
        and ``value``, a share of 1 or log odds. What is not known is None.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> from skeegformer.explain.export import to_dataframe
    >>> explanation = Explanation(
    ...     token_values=np.array([[[0.75], [0.25]]]),
    ...     probabilities=np.array([[0.9, 0.1]]),
    ...     classes=np.array(["left", "right"]),
    ...     y=np.array(["left"]),
    ...     ch_names=["C3", "C4"],
    ...     info=None,
    ...     method="rollout",
    ... )
    >>> to_dataframe(explanation)[["label", "prediction", "channel", "value"]]
      label prediction channel  value
    0  left       left      C3   0.75
    1  left       left      C4   0.25
    """
    n_epochs, n_chans, n_parts = explanation.token_values.shape
    unknown = np.full(n_epochs, None, dtype=object)
    per_epoch = {
        "epoch": np.arange(n_epochs),
        "subject": explanation.subjects,
        "label": explanation.y,
        "prediction": explanation.predictions,
        "confidence": explanation.confidences,
        "target": explanation.targets,
    }
    columns = {
        name: np.repeat(unknown if values is None else values, n_chans * n_parts)
        for name, values in per_epoch.items()
    }
    columns["channel"] = np.tile(np.repeat(channel_names(explanation), n_parts), n_epochs)
    columns["part"] = np.tile(np.array(explanation.parts), n_epochs * n_chans)
    columns["value"] = explanation.token_values.ravel()
    return pd.DataFrame(columns)


def to_evoked(explanation, by="class", labels="auto"):
    """Hand the mean values to MNE, so that all of its plots can draw them.

    The values stay what they are, shares of 1 or log odds. MNE takes them for volts and
    multiplies by a million: pass its topomaps ``cbar_fmt="%.2g"`` and ``scalings=1,
    units="log odds"``, or for shares ``scalings=100, units="%"``.

    Parameters
    ----------
    explanation : Explanation
        With channels whose names are known.
    by : {"class", None}, default="class"
        A mean for each class, or one of all epochs.
    labels : {"auto", "true", "predicted"}, default="auto"
        Which label decides on an epoch's class; "auto" takes the true ones where they are
        known.

    Returns
    -------
    dict of mne.EvokedArray, or mne.EvokedArray
        For each class that occurs, with the class as ``comment``, or one. Parts lie along
        the time axis: temporal tokens at their centres in seconds from the start of the
        epoch, others at 0, 1, 2, ... Names, positions and bad channels (which MNE's plots
        leave out) are those of the explanation.

    Raises
    ------
    ValueError
        If channels are not known, or `by` or `labels` cannot be met.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> from skeegformer.explain.export import to_evoked
    >>> explanation = Explanation(
    ...     token_values=np.array([[[0.5, 0.25], [0.125, 0.125]]]),
    ...     probabilities=np.array([[0.9, 0.1]]),
    ...     classes=np.array(["left", "right"]),
    ...     y=np.array(["left"]),
    ...     ch_names=["C3", "C4"],
    ...     info=mne.create_info(["C3", "C4"], 160.0, "eeg"),
    ...     method="rollout",
    ...     parts=("0.00-1.00 s", "1.00-2.00 s"),
    ... )
    >>> evoked = to_evoked(explanation)["left"]
    >>> evoked.times.tolist()
    [0.5, 1.5]
    """
    check_one_of("by", by, ("class", None))
    if explanation.info is None:
        raise ValueError(
            "An Evoked needs to know its channels, and the classifier was fitted on arrays: pass "
            "Epochs, or give explain an info=."
        )
    first, rate = _part_times(explanation)
    info = make_info({**describe_info(explanation.info), "sfreq": rate})
    if by is None:
        return _make_evoked(explanation.token_values, info, first, "all epochs")
    y = explanation.labels(labels)
    return {
        label: _make_evoked(explanation.token_values[y == label], info, first, str(label))
        for label in explanation.classes
        if (y == label).any()
    }


def to_shap(explanation, parts=False):
    """Hand the values to shap, for its plots.

    Only for methods whose values add up: those of an epoch and its base value make the log
    odds of the class that was explained.

    Parameters
    ----------
    explanation : Explanation
        By a method that is additive, such as "integrated-gradients".
    parts : bool, default=False
        Whether every part of a channel is a feature of its own.

    Returns
    -------
    shap.Explanation
        With ``values`` of shape (n_epochs, n_features), ``base_values`` of shape (n_epochs,),
        the log odds that are left for an average signal, and ``data``, the root mean square
        of each channel (in microvolts for Epochs, else in the unit of the array), or None
        for explanations that have no data with them.

    Raises
    ------
    ValueError
        If the values do not add up, or the classes that were explained are not known.
    ImportError
        If shap is not installed.

    References
    ----------
    .. [1] Lundberg and Lee (2017), A unified approach to interpreting model predictions.
       NeurIPS. arXiv:1705.07874
    """
    method = METHODS[explanation.method]
    if not method.additive:
        able = ", ".join(repr(name) for name, other in METHODS.items() if other.additive)
        raise ValueError(
            f"shap adds values up, and those of {method.label} do not add up to what the model "
            f"says: {_NOT_ADDITIVE[method.question]}. Explain with method={able}."
        )
    if explanation.targets is None:
        raise ValueError(
            "shap needs to know which class each epoch's values explain, and targets are None."
        )
    try:
        import shap
    except ImportError as error:
        raise ImportError(
            'to_shap needs shap, which is not installed: pip install "skeegformer[shap]".'
        ) from error

    values, names, data = explanation.values, channel_names(explanation), None
    if explanation.source is not None:
        data = np.sqrt(np.mean(np.square(explanation.source.data, dtype=float), axis=-1))
    if parts:
        values = explanation.token_values.reshape(len(explanation), -1)
        names = [f"{name}, {part}" for name in names for part in explanation.parts]
        data = None if data is None else np.repeat(data, len(explanation.parts), axis=1)
    return shap.Explanation(
        values=values,
        base_values=_log_odds(explanation) - values.sum(axis=1),
        data=data,
        feature_names=names,
    )


def save_explanation(explanation, path, *, overwrite=False):
    """Save an explanation as one file.

    The file is a NumPy archive without pickled objects, safe to share and to open. It holds
    everything but the model and its epochs: what puts an explanation to the test has to be
    computed before.

    Parameters
    ----------
    explanation : Explanation
        What to save. Of `info`, names, rate, bad channels, positions and fiducials are
        kept. Tuples among the settings become lists, and what JSON does not know becomes
        its text.
    path : str or pathlib.Path
        Where to, with the ending ``.npz``.
    overwrite : bool, default=False
        Whether a file that is there may be replaced. It is there or replaced as a whole,
        also when saving is interrupted.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FileExistsError
        If there is such a file, and it may not be replaced.
    ValueError
        If the ending is another one, or labels are of a type that cannot be saved.
    OSError
        If the folder is missing or cannot be written to.

    See Also
    --------
    load_explanation : Reads it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> from skeegformer.explain.export import load_explanation, save_explanation
    >>> explanation = Explanation(
    ...     token_values=np.array([[[0.75], [0.25]]]),
    ...     probabilities=np.array([[0.9, 0.1]]),
    ...     classes=np.array(["left", "right"]),
    ...     y=None,
    ...     ch_names=["C3", "C4"],
    ...     info=None,
    ...     method="rollout",
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_explanation(explanation, f"{folder}/explanation.npz")
    ...     load_explanation(path)
    <Explanation | rollout, 1 epochs, 2 channels x 1 temporal token, most on C3, C4>
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"Explanations are saved as .npz: call it {path.name}.npz, for example.")
    refuse_taken(path, overwrite)
    arrays, header = _pack(explanation)
    header["checksum"] = checksum(arrays, header)
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    try:
        with writing(path) as file:
            np.savez_compressed(file, header=text, **arrays)
    except OSError as error:
        raise type(error)(f"{path} could not be written: {error.strerror or error}.") from error
    return path


def load_explanation(path):
    """Read an explanation that was saved.

    Parameters
    ----------
    path : str or pathlib.Path
        A file of `save_explanation`.

    Returns
    -------
    Explanation
        As it was, without ``source``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no explanation, is incomplete or was changed since, or comes from a newer
        version.

    See Also
    --------
    save_explanation : Writes it, and has an example.

    Notes
    -----
    A checksum finds damage; it is no signature, and does not tell who wrote a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user.") from error
    except Exception as error:  # what broken archives raise is of a dozen types
        raise ValueError(
            f"{path} cannot be read: it is incomplete, damaged, or no .npz file ({error})."
        ) from error
    header = _read_header(path, arrays)
    expected = header.pop("checksum", None)
    if checksum(arrays, header) != expected:
        raise ValueError(
            f"{path} was changed since it was saved, its checksum differs: explain anew, or take "
            "another copy of the file."
        )
    return _unpack(arrays, header)


def _part_times(explanation):
    """Say when the first part is, and how many there are in a second."""
    if explanation.part_kind == "time" and len(explanation.parts) > 1:
        found = [re.fullmatch(r"([\d.]+)-([\d.]+) s", part) for part in explanation.parts]
        if all(found):
            centres = np.array([float(match[1]) + float(match[2]) for match in found]) / 2
            step = (centres[-1] - centres[0]) / (len(centres) - 1)
            return centres[0], 1 / step
    return 0.0, 1.0


def _make_evoked(values, info, first, comment):
    import mne

    evoked = mne.EvokedArray(
        values.mean(axis=0), info, comment=comment, nave=len(values), verbose="ERROR"
    )
    return evoked.shift_time(first, relative=False)


def _log_odds(explanation):
    """Compute the log odds of each epoch's target, also where its probability rounds to 1."""
    own = explanation.targets[:, np.newaxis] == explanation.classes
    probabilities = explanation.probabilities.astype(float).clip(np.finfo(np.float32).tiny)
    others = np.where(own, 0.0, probabilities).sum(axis=1)
    return np.log(probabilities[own]) - np.log(others)


def _pack(explanation):
    """Divide an explanation into arrays of numbers or text, and what JSON can hold."""
    arrays, objects = {}, {}
    for name in _ARRAYS:
        values = getattr(explanation, name)
        if values is None:
            continue
        values = np.asarray(values)
        if values.dtype.hasobject:  # NumPy would pickle them
            objects[name] = [_label(name, value) for value in values]
        else:
            arrays[name] = values
    permutation = explanation.permutation
    others = None if permutation is None else {}
    for name, value in (permutation or {}).items():
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            arrays[f"permutation.{name}"] = value
        else:
            others[name] = _plain(value)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "fields": {name: _plain(getattr(explanation, name)) for name in _PLAIN},
        "objects": objects,
        "permutation": others,
        "info": None if explanation.info is None else describe_info(explanation.info),
    }
    return arrays, header


def _unpack(arrays, header):
    fields = dict.fromkeys(_ARRAYS)
    for name, values in header["objects"].items():
        fields[name] = np.empty(len(values), dtype=object)
        fields[name][:] = values
    permutation = None if header["permutation"] is None else Bunch(**header["permutation"])
    for name, values in arrays.items():
        if name.startswith("permutation."):
            permutation[name.removeprefix("permutation.")] = values
        else:
            fields[name] = values
    fields.update(header["fields"])
    fields["parts"] = tuple(fields["parts"])
    info = None if header["info"] is None else make_info(header["info"])
    return Explanation(**fields, permutation=permutation, info=info)


def _label(name, value):
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, str | int | float):  # True and False are ints
        raise ValueError(
            f"{name} holds {value!r}, a {type(value).__name__}; labels that are text, numbers or "
            "booleans can be saved."
        )
    return value


def _plain(value):
    """Make of settings what JSON can hold; of other objects, their text."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else repr(value)


def _read_header(path, arrays):
    """Take the header out of the arrays, if they are those of an explanation."""
    try:
        header = json.loads(arrays.pop("header").tobytes())
        is_ours = header["format"] == _FORMAT and isinstance(header["version"], int)
    except (KeyError, TypeError, ValueError):
        is_ours = False
    if not is_ours:
        raise ValueError(f"{path} is no explanation: it was not made by save_explanation.")
    if header["version"] > _VERSION:
        raise ValueError(
            f"{path} has format {header['version']}, and this version of skeegformer reads up to "
            f"{_VERSION}: update it (pip install --upgrade skeegformer)."
        )
    return header
