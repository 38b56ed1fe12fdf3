"""Models on the disk, without pickle: to open a file never runs anything that is in it.

A model is one file in the format of safetensors [1]_. Its tensors are the weights and all arrays of
numbers; its metadata hold one JSON text under the name ``skeegformer``, with

- ``format`` and ``version`` of the format;
- ``saved_with``, versions of the packages;
- ``model``, the estimator: ``estimator`` (name of the class), ``params``, ``attributes`` (what was
  learnt in `fit`), ``net`` (name and parameters of the network, names of its weights, losses) and
  ``requests`` (metadata routing), with values as described in
  ``skeegformer/persistence/_encoding.py``;
- ``checksum``, the SHA-256 of all this and of the tensors.

The same text lies beside it as ``.json``, for people and other programs.

References
----------
.. [1] https://huggingface.co/docs/safetensors
"""

import json
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

from skeegformer._files import checksum, refuse_taken, replacing
from skeegformer.persistence._estimators import decode_estimator, encode_estimator

_FORMAT = "skeegformer-model"
_VERSION = 2
_SUFFIX = ".safetensors"
_PACKAGES = ("skeegformer", "numpy", "scikit-learn", "torch", "skorch", "mne", "safetensors")
# safetensors opens no file whose header, the text included, is larger.
_LARGEST_TEXT = 90_000_000


def save_model(model, path, *, overwrite=False):
    """Save a classifier or a Pipeline, fitted or not, as one file without pickle.

    Parameters
    ----------
    model : estimator
        An `EEGTransformerClassifier`, another estimator of this package, or a
        :class:`~sklearn.pipeline.Pipeline` of them.
    path : str or pathlib.Path
        Where to, with the ending ``.safetensors``. A description of the same name is written
        beside it, with the ending ``.json``.
    overwrite : bool, default=False
        Whether files that are there may be replaced. The model is there or replaced as a whole,
        also when saving is interrupted.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If the model is, or holds, an estimator of another package, such as CSP, or was given
        another network.
    ValueError
        If the ending is another one, or the model is too large for the format.
    FileExistsError
        If there is such a file, and it may not be replaced.
    OSError
        If the folder is missing or cannot be written to, or the disk is full.

    Warns
    -----
    UserWarning
        Of parameters that cannot be saved, such as callbacks, a RandomState or the cache of a
        Pipeline; the file has their default values, None for these.

    See Also
    --------
    load_model : Reads it.

    Notes
    -----
    Of measurement info, names, types, rate, bad channels, positions and fiducials are kept.
    Recordings are not saved, but with ``adapt=True``, and by `EuclideanAlignment`, the names of
    the subjects in `fit` are.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import EEGTransformerClassifier, load_model, make_simulated_eeg, save_model
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=20, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_model(classifier, f"{folder}/model.safetensors")
    ...     loaded = load_model(path)
    >>> bool((loaded.predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"Models are saved as {_SUFFIX}: call it {path.stem or 'model'}{_SUFFIX}, for example."
        )
    description = path.with_suffix(".json")
    for file in (path, description):
        if file.is_dir():
            raise IsADirectoryError(f"{file} is a folder: save under another name.")
        refuse_taken(file, overwrite)
    header, arrays, notes = _pack(model)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    try:
        # The one that counts is moved into place first, when both have been written.
        with replacing(description) as beside, replacing(path) as temporary:
            _write(beside, json.dumps(header, indent=1).encode())
            _write(temporary, _serialize(header, arrays))
    except OSError as error:
        raise type(error)(
            f"{path} could not be written: {error.strerror or error}. Nothing was changed; save "
            "to another folder, or make room in this one."
        ) from error
    return path


def load_model(path):
    """Read a model that was saved; nothing in the file is executed.

    Parameters
    ----------
    path : str or pathlib.Path
        A file of `save_model`, ending in ``.safetensors``, or a checkpoint of eeg-transformer,
        ending in ``.ckpt``, which becomes an `OriginalTransformerClassifier`
        (`OriginalTransformerClassifier.load` describes it).

    Returns
    -------
    estimator
        As it was: equal parameters, equal predictions, and its net on the device where it was, or
        on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model, is incomplete or was changed since, or was saved with another version
        that this one does not understand, such as one with another network.

    Warns
    -----
    UserWarning
        If the description beside it is another model's, or the device is not there.

    See Also
    --------
    save_model : Writes it, and has an example.

    Notes
    -----
    A checksum finds damage; it is no signature, and does not tell who wrote a file.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the file of the model in it.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix == ".ckpt":
        from skeegformer.persistence._checkpoints import load_checkpoint

        return load_checkpoint(path)
    if path.suffix != _SUFFIX:
        hint = f", whose model is {path.with_suffix(_SUFFIX).name}" * (path.suffix == ".json")
        raise ValueError(
            f"{path} is a {path.suffix or 'file without ending'}{hint}, but models are read from "
            f"{_SUFFIX}, and those of eeg-transformer from .ckpt."
        )
    header, arrays = _read(path)
    _compare_description(path, header)
    saved_with = header["saved_with"]["skeegformer"]
    try:
        return decode_estimator(header["model"], arrays)
    except Exception as error:  # what a file of another version, or a made-up one, may raise
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ValueError(
            f"{path} was saved with skeegformer {saved_with} and cannot be made a model by "
            f"{version('skeegformer')}: {what}. Load it with that version, or fit the model anew."
        ) from error


def _pack(model):
    """Turn a model into the text, as a dict, and the arrays; with notes on what was left out."""
    plain, arrays, notes = encode_estimator(model)
    saved_with = {name: version(name) for name in _PACKAGES}
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "saved_with": {"python": platform.python_version(), **saved_with},
        "model": plain,
    }
    header["checksum"] = checksum(arrays, header)
    return header, arrays, notes


def _serialize(header, arrays):
    from safetensors.numpy import save

    text = json.dumps(header, allow_nan=False)
    if len(text) > _LARGEST_TEXT:
        raise ValueError(
            f"Everything but the weights takes {len(text) / 1e6:.0f} MB, and the format holds "
            f"{_LARGEST_TEXT / 1e6:.0f}: history_ or another fitted attribute is very long."
        )
    return save(arrays, {"skeegformer": text})


def _write(path, content):
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path):
    """Read text and arrays, and find out whether they are what was written."""
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user.") from error
    try:
        arrays = load(content)
        start = 8 + int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8:start]).get("__metadata__", {})
    except Exception as error:  # what damaged or foreign tensors raise is of several types
        raise ValueError(
            f"{path} cannot be read: it is incomplete, damaged, or no file of safetensors "
            f"({error})."
        ) from error
    try:
        header = json.loads(metadata["skeegformer"])
        is_ours = header["format"] == _FORMAT and type(header["version"]) is int
        unsigned = {key: value for key, value in header.items() if key != "checksum"}
        found = checksum(arrays, unsigned)
    except (KeyError, TypeError, ValueError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ValueError(f"{path} is no model of skeegformer: it was not made by save_model.")
    if header["version"] > _VERSION:
        raise ValueError(
            f"{path} has format {header['version']}, and this version of skeegformer reads up to "
            f"{_VERSION}: update it (pip install --upgrade skeegformer)."
        )
    if found != header.get("checksum"):
        raise ValueError(
            f"{path} was changed since it was saved, its checksum differs: save the model again, "
            "or take another copy of the file."
        )
    if not isinstance(header.get("model"), dict) or not isinstance(header.get("saved_with"), dict):
        raise ValueError(f"{path} is no model of skeegformer: it was not made by save_model.")
    saved_with = header["saved_with"].setdefault("skeegformer", "of unknown version")
    if header["version"] < _VERSION:
        raise ValueError(
            f"{path} was written by skeegformer {saved_with} with another network, as format "
            f"{header['version']}, and this version reads format {_VERSION}: install that version "
            "to read it, or fit the model anew."
        )
    return header, arrays


def _compare_description(path, header):
    """Warn where the text beside a model is not the one in it."""
    description = path.with_suffix(".json")
    try:
        if not description.is_file() or json.loads(description.read_bytes()) == header:
            return
    except (OSError, ValueError, RecursionError):
        pass
    warnings.warn(
        f"{description} does not describe the model in {path.name}: one of them was changed or "
        "replaced. The model is what counts and was loaded; to have them agree, save it again "
        "with overwrite=True.",
        UserWarning,
        stacklevel=3,
    )
