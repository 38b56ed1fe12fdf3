"""What decides on the scores of a fit, in a form that can be written down and compared."""

import hashlib

import joblib
import numpy as np

from skeegformer._memmap import MappedEpochs
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
    if hasattr(value, "__qualname__"):  # a class or a function
        return f"{value.__module__}.{value.__qualname__}"
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False)
        told = ", ".join(f"{key}={describe(params[key])}" for key in sorted(params))
        # To whom groups are given is no parameter, but decides on the scores.
        requests = getattr(value, "_metadata_request", None)
        return f"{name}({told})" + ("" if requests is None else f" requesting {requests}")
    return f"{name} {joblib.hash(value)}"


def digest_subjects(X, y, groups):
    """Hash the epochs and labels of each subject.

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
    known = b""
    if is_epochs(X):
        X = as_epochs(X)
        known = repr((X.ch_names, float(X.info["sfreq"]), float(X.tmin))).encode()
        X = X.get_data(copy=False)
    if isinstance(X, MappedEpochs):  # read subject by subject
        known = repr((X.ch_names, X.sfreq, X.unit)).encode()
    else:
        X = np.asarray(X)
    digests = {}
    for subject in np.unique(groups):
        rows = groups == subject
        content = hashlib.blake2b(known, digest_size=16)
        content.update(np.ascontiguousarray(X[rows]).data)
        content.update(repr(np.asarray(y)[rows].tolist()).encode())
        digests[subject] = content.digest()
    return X.shape[1:], digests
