"""Labels and subjects, one for each epoch."""

import re
import unicodedata

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

_MISSING = ("", "nan", "None", "<NA>", "NaT")


def validate_labels(estimator, y, n_epochs):
    """Check class labels of any type that can be sorted, and encode them."""
    # Returns the classes, and for each epoch the index of its class, an ndarray of int64.
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    y = _column("y", y)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    if len(y) != n_epochs:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_epochs} epochs, "
            f"y has {len(y)} labels. (Epochs that MNE dropped as bad take their labels with them: "
            "use epochs.events after epochs.drop_bad().)"
        )
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.int64)


def refuse_single_class(classes):
    """Raise where there is nothing to tell apart."""
    if len(classes) < 2:
        raise ValueError(
            f"y has only the label {classes.tolist()[0]!r}, and of one class nothing is learnt but "
            "to predict it always; give at least two classes."
        )


def validate_groups(groups, n_epochs):
    """Check that there is one group, usually a subject, for each epoch; None stays None."""
    if groups is None:
        return None
    groups = _column("groups", groups, is_complete=False)
    if len(groups) != n_epochs:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_epochs} epochs, "
            f"groups has {len(groups)} entries; pass one group, usually the subject, per epoch."
        )
    # Text as ``astype(str)`` and CSV make it of missing values is missing, too.
    missing = np.flatnonzero(pd.isna(groups) | np.isin(groups.astype(str), _MISSING))
    if len(missing):
        raise ValueError(
            f"groups is missing (NaN or None) for {len(missing)} of {n_epochs} epochs, the first "
            f"of them epoch {missing[0]}; say which subject it belongs to, or drop it."
        )
    groups, spelt = plain_labels("groups", groups), {}
    for name in np.unique(groups).tolist():
        if (same := spelt.setdefault(_spelling(name), name)) != name:
            raise ValueError(f"groups has {same!a} and {name!a}: spell each subject in one way.")
    return groups


def validate_weights(weights, n_epochs):
    """Check weights of epochs in a loss or a score, and scale them to a mean of 1."""
    if weights is None:
        return None
    weights = _column("sample_weight", weights)
    if len(weights) != n_epochs:
        raise ValueError(f"sample_weight has {len(weights)} entries, but X has {n_epochs} epochs.")
    is_number = weights.dtype.kind in "biuf"
    if not (is_number and weights.min() >= 0 and 0 < weights.max() < np.inf):
        raise ValueError("sample_weight has to hold finite numbers of at least 0, not only zeros.")
    weights = weights / weights.max()
    return weights * (n_epochs / weights.sum())


def rows_by_subject(subjects, n_epochs):
    """Map each subject to its epochs; None to all where subjects are not known."""
    if subjects is None:
        return {None: np.arange(n_epochs)}
    names = np.unique(subjects).tolist()
    return {subject: np.flatnonzero(subjects == subject) for subject in names}


def refuse_other_spelling(known, new):
    """Raise on subjects who seem to be known by another name: 1 as "01", "S1" as "s01 "."""
    spelt = {_spelling(subject): subject for subject in known}
    for subject in new:
        if (same := spelt.get(_spelling(subject))) is not None:
            raise ValueError(
                f"Subject {subject!a} is not known, but {same!a} is: give subjects the same names, "
                "of the same type, as in fit."
            )


def _spelling(subject):
    """Give what the spellings of a name have in common."""
    text = unicodedata.normalize("NFKC", str(subject)).strip().casefold()
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"[\s_-]+", "-", text))
    return re.sub(r"(?<=\d)\.0*$", "", text)


def plain_labels(name, labels):
    """Turn labels or subjects into an array of numbers or of text, or refuse them."""
    # Scores and files know no others: scikit-learn's metrics refuse numbers in an array of objects.
    labels = _column(name, labels)
    if labels.dtype == object:
        kinds = {isinstance(label, str) for label in labels}
        plain = np.array(labels.tolist()) if len(kinds) == 1 else labels
        labels = plain if plain.shape == labels.shape else labels
    if labels.dtype.kind not in "biufU":
        kind = type(labels.ravel()[0]).__name__ if labels.size else labels.dtype
        raise ValueError(
            f"{name} has labels of type {kind}; give numbers or text, such as {name}.astype(str)."
        )
    return labels


def _column(name, values, is_complete=True):
    """Make an array of labels or subjects, each of the type that it has."""
    try:
        shape = np.asarray(values).shape
    except ValueError as error:
        raise ValueError(
            f"{name} has entries of different lengths; give one label, a number or text, for each "
            "epoch."
        ) from error
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            f"{name} should be a 1d array with one entry for each epoch, got a "
            f"{type(values).__name__} of shape {shape} instead."
        )
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries; leave out these epochs.")
    if isinstance(values, list | tuple) and len({isinstance(one, str) for one in values}) > 1:
        values = np.array(values, dtype=object)  # NumPy would make text of numbers
    elif not isinstance(kind := getattr(values, "dtype", None), np.dtype):
        number = getattr(kind, "numpy_dtype", None)  # of the nullable types of pandas
        if number is not None and not pd.isna(values).any():
            values = np.asarray(values, dtype=number)
    values = column_or_1d(values, warn=True)
    if values.dtype == object and not any(isinstance(one, str) for one in values):
        values = pd.Series(values).infer_objects().to_numpy()  # numbers of a table with text
    try:
        np.unique(values if is_complete else ())
    except TypeError as error:  # text beside numbers has no order
        kinds = " and ".join(sorted({type(label).__name__ for label in values}))
        raise ValueError(
            f"{name} has labels of type {kinds}; give labels of a single type, none missing."
        ) from error
    return values
