"""What decides on the scores of a fit, in a form that can be written down and compared."""

import hashlib
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

import skeegformer
from skeegformer._memmap import MappedEpochs
from skeegformer._utils.info import describe_info
from skeegformer._validation import as_epochs, is_epochs


def describe(value):
    """Write down an estimator, or the value of a parameter, so that equals look alike.

    scikit-learn's own text abridges long pipelines, and the text of many objects holds
    their address in memory.

    Parameters
    ----------
    value : object
        Estimator, array, container, function, class or plain value.

    Returns
    -------
    str
        The same in every process.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"array({value.shape}, {value.dtype}, {joblib.hash(value)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{describe(k)}: {describe(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple | range):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({', '.join(sorted(map(describe, value)))})"
    if isinstance(value, partial):
        return f"partial{describe((value.func, value.args, value.keywords))}"
    if isinstance(value, FunctionType | MethodType):
        return _describe_function(value)
    if hasattr(value, "__qualname__"):  # a class, or a function that is not written in Python
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, ModuleType):
        return value.__name__
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False)
        told = ", ".join(f"{key}={describe(params[key])}" for key in sorted(params))
        # To whom groups are given is no parameter, but decides on the scores.
        requests = getattr(value, "_metadata_request", None)
        told = f"{name}({told})" + ("" if requests is None else f" requesting {requests}")
        # All others forget what they have learnt when they are cloned.
        is_frozen = isinstance(value, FrozenEstimator)
        return f"{told} fitted as {joblib.hash(value.estimator)}" if is_frozen else told
    return f"{name} {joblib.hash(value)}"


def _describe_function(function, inside=()):
    """Write down a function with its code and what it was made with.

    Functions of one name, such as those that a function returns, compute different things.
    """
    if isinstance(function, MethodType):
        return f"{describe(function.__self__)}.{_describe_function(function.__func__, inside)}"
    name = f"{function.__module__}.{function.__qualname__}"
    if function in inside:
        return name  # it calls itself
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    made_with = [cells, function.__defaults__, function.__kwdefaults__]
    told = [
        _describe_function(value, (*inside, function))
        if isinstance(value, FunctionType)
        else describe(value)
        for values in made_with
        for value in (values.values() if isinstance(values, dict) else values or ())
    ]
    return f"{name} {joblib.hash(_code(function.__code__))}({', '.join(told)})"


def _code(code):
    """List what a function does, but not where it is written."""
    constants = [
        _code(one) if isinstance(one, CodeType) else describe(one) for one in code.co_consts
    ]
    return code.co_code, code.co_names, constants


def _cell(cell):
    """Tell what a function found around it, if it is there yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def digest_subjects(X, y, groups):
    """Hash the epochs of each subject, their labels, and what else steps see of them.

    Parameters
    ----------
    X : mne.Epochs, list of mne.Epochs or array-like
        Epochs.
    y : ndarray of shape (n_epochs,)
        Labels.
    groups : ndarray of shape (n_epochs,)
        Subjects.

    Returns
    -------
    shape : tuple of int
        That of an epoch.
    digests : dict of {subject: bytes}
        The hash of each subject.
    """
    known, names = (), None
    if is_epochs(X):
        X = as_epochs(X)
        known = (_describe_channels(X.info), float(X.tmin))
        names = None if X.metadata is None else X.metadata.get("subject")
        X = X.get_data(copy=False)
    if isinstance(X, MappedEpochs):  # read subject by subject
        channels = None if X.info is None else _describe_channels(X.info)
        known, names = (X.ch_names, X.sfreq, X.unit, channels), X.subjects
    else:
        X = np.asarray(X)
    digests = {}
    for subject in np.unique(groups):
        rows = groups == subject
        content = hashlib.blake2b(repr(known).encode(), digest_size=16)
        content.update(np.ascontiguousarray(X[rows]).data)
        # Alignment and its like go by the names that epochs bring along.
        for values in (y, names):
            values = None if values is None else np.asarray(values)[rows].tolist()
            content.update(repr(values).encode())
        digests[subject] = content.digest()
    return X.shape[1:], digests


@cache
def digest_package():
    """Hash the code of this package, which its version number does not follow edit by edit.

    Returns
    -------
    str
        The hash.
    """
    folder = Path(skeegformer.__file__).parent
    content = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*.py")):
        content.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return content.hexdigest()


def _describe_channels(info):
    """List what decides on which channels are used and how they are filtered."""
    return describe_info(info), info["line_freq"]
