"""What an explainer is given: the classifier in an estimator, epochs, labels and channels."""

import mne
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skeegformer._utils.routing import routed_groups
from skeegformer._validation import (
    as_epochs,
    check_info,
    check_one_of,
    is_epochs,
    validate_eeg,
    validate_groups,
    validate_labels,
)
from skeegformer.nn import EEGTransformer, OriginalTransformer


def read_epochs(estimator, X, groups, transform_params):
    """Take epochs through the steps before the classifier: classifier, array and subjects."""
    before, classifier = [], getattr(estimator, "best_estimator_", estimator)
    while hasattr(classifier, "steps"):
        before.append(classifier[:-1])
        classifier = getattr(classifier[-1], "best_estimator_", classifier[-1])
    can_be = hasattr(classifier, "predict_proba") and isinstance(classifier, BaseEstimator)
    if can_be:
        check_is_fitted(classifier)
    network = getattr(getattr(classifier, "net_", None), "module_", None)
    if not can_be or not isinstance(network, EEGTransformer | OriginalTransformer):
        instead = "; channel_permutation_importance takes any classifier"
        if hasattr(classifier, "classifier_"):
            instead = ", which may be this one's classifier_"
        raise TypeError(
            f"A {type(classifier).__name__} cannot be explained: pass a fitted "
            f"EEGTransformerClassifier, or a Pipeline that ends with one{instead}."
        )
    X = as_epochs(X) if is_epochs(X) else X
    metadata = X.metadata if is_epochs(X) else None
    subjects = getattr(X, "subjects", None) if metadata is None else metadata.get("subject")
    subjects = subjects if groups is None else groups
    for steps in filter(len, before):
        params = {**routed_groups(steps, "transform", groups), **transform_params}
        X = steps.transform(X, **params)
    data = validate_eeg(classifier, X, reset=False).data
    return classifier, data, validate_groups(subjects, len(data))


def check_labels(classifier, y, n_epochs):
    """Check that there is one of the classifier's labels for each epoch."""
    if y is None:
        return None
    classes, codes = validate_labels(classifier, y, n_epochs)
    y = classes[codes]
    known = classifier.classes_.tolist()
    unknown = [label for label in y.tolist() if label not in known]
    if unknown:
        classes = ", ".join(map(repr, known))
        raise ValueError(f"y holds {unknown[0]!r}, which is none of the classes {classes}.")
    return y


def target_codes(target, classifier, predicted, y):
    """Choose the class whose log odds are explained, epoch by epoch."""
    classes = classifier.classes_.tolist()
    if isinstance(target, str) and target in ("predicted", "true"):
        if target in classes:
            raise ValueError(
                f"target={target!r} is the name of a class here, and means the {target} class of "
                "each epoch: give that class another name."
            )
        if target == "predicted":
            return predicted
        if y is None:
            raise ValueError("target='true' needs the true labels: pass y to explain.")
        return np.searchsorted(classes, y)
    check_one_of("target", target, ("predicted", "true", *classes))
    return np.full(len(predicted), classes.index(target))


def channels_of(classifier, info):
    """Take names and positions from `info`, or from what the classifier was fitted on."""
    fitted = classifier.ch_names_
    if info is None:
        return {"ch_names": fitted, "info": classifier.info_}
    info = getattr(info, "info", info)  # of Epochs and their like
    check_info(info)
    if fitted is not None and set(fitted) <= set(info.ch_names):
        info = mne.pick_info(info, [info.ch_names.index(name) for name in fitted])
    elif fitted is not None or len(info.ch_names) != classifier.n_chans_:
        raise ValueError(
            f"info has {len(info.ch_names)} channels, but {classifier.n_chans_} reach the "
            "classifier; pick the same ones, for example with mne.pick_info."
        )
    return {"ch_names": list(info.ch_names), "info": info}
