"""How far the probabilities of a classifier can be believed."""

import numpy as np

from skeegformer._validation import check_count

# float32 probabilities of many classes add up to 1 only roughly.
_ROUNDING = 1e-3


def reliability_curve(y_true, proba, *, classes, n_bins=10):
    """Compare how sure a classifier is with how often it is right.

    Epochs are sorted into bins by the probability of the predicted class, the
    confidence. Bins have equal widths; each holds its upper end.

    Parameters
    ----------
    y_true : array-like of shape (n_epochs,)
        True labels.
    proba : array-like of shape (n_epochs, n_classes)
        Predicted probabilities.
    classes : array-like of shape (n_classes,)
        The label of each column, such as ``classifier.classes_``.
    n_bins : int, default=10
        Number of bins between 0 and 1.

    Returns
    -------
    accuracy : ndarray of shape (n_bins,)
        Share of each bin's epochs that are predicted correctly; NaN where a bin is empty.
    confidence : ndarray of shape (n_bins,)
        Mean confidence of each bin's epochs; NaN where a bin is empty.
    count : ndarray of int of shape (n_bins,)
        Number of each bin's epochs.

    Raises
    ------
    ValueError
        If the probabilities are none, have another shape than labels and classes need, or a
        label is none of the classes.

    See Also
    --------
    expected_calibration_error : The same in one number.

    References
    ----------
    .. [1] Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks.
       ICML. arXiv:1706.04599

    Examples
    --------
    >>> from skeegformer.evaluation.metrics import reliability_curve
    >>> proba = [[0.9, 0.1], [0.3, 0.7], [0.4, 0.6], [0.45, 0.55]]
    >>> y = ["left", "right", "right", "left"]
    >>> accuracy, confidence, count = reliability_curve(
    ...     y, proba, classes=["left", "right"], n_bins=2
    ... )
    >>> accuracy[1], round(confidence[1], 4), count.tolist()
    (np.float64(0.75), np.float64(0.6875), [0, 4])
    """
    check_count("n_bins", n_bins, 1)
    confidence, is_correct = _confidence(y_true, proba, classes)
    bins = np.searchsorted(np.arange(1, n_bins) / n_bins, confidence, side="left")
    count = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN for empty bins
        return (
            np.bincount(bins, weights=is_correct, minlength=n_bins) / count,
            np.bincount(bins, weights=confidence, minlength=n_bins) / count,
            count,
        )


def expected_calibration_error(y_true, proba, *, classes, n_bins=10):
    """Measure how far confidence and accuracy are apart.

    The mean distance between accuracy and confidence over the bins of
    `reliability_curve`, each weighted by its epochs [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_epochs,)
        True labels.
    proba : array-like of shape (n_epochs, n_classes)
        Predicted probabilities.
    classes : array-like of shape (n_classes,)
        The label of each column, such as ``classifier.classes_``.
    n_bins : int, default=10
        Number of bins between 0 and 1.

    Returns
    -------
    float
        Between 0, where a classifier is right as often as it says, and 1.

    Raises
    ------
    ValueError
        As in `reliability_curve`.

    See Also
    --------
    reliability_curve : Tells on which side accuracy and confidence differ.

    Notes
    -----
    With few epochs the error of a perfectly calibrated classifier is above 0 too, about 0.1
    with 45 epochs in 10 bins: compare only errors of equal numbers of epochs and bins.

    References
    ----------
    .. [1] Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks.
       ICML. arXiv:1706.04599

    Examples
    --------
    >>> from skeegformer.evaluation.metrics import expected_calibration_error
    >>> proba = [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.2, 0.8]]
    >>> y = ["left", "right", "right", "left"]
    >>> round(expected_calibration_error(y, proba, classes=["left", "right"]), 4)
    0.25
    """
    accuracy, confidence, count = reliability_curve(y_true, proba, classes=classes, n_bins=n_bins)
    filled = count > 0
    return float(np.average(np.abs(accuracy - confidence)[filled], weights=count[filled]))


def _confidence(y_true, proba, classes):
    """Return the probability of each predicted class, and whether it was the true one."""
    y_true, classes = np.asarray(y_true), np.asarray(classes)
    proba = np.asarray(proba, dtype=float)
    if y_true.ndim != 1 or len(y_true) == 0 or proba.shape != (len(y_true), len(classes)):
        raise ValueError(
            f"The probabilities have shape {proba.shape}, the labels {y_true.shape}, and there "
            f"are {len(classes)} classes: give one label for each epoch, at least one epoch, and "
            "probabilities of shape (n_epochs, n_classes), as predict_proba returns them."
        )
    in_range = ((proba >= 0) & (proba <= 1 + _ROUNDING)).all(axis=1)
    bad = np.flatnonzero(~(in_range & (np.abs(proba.sum(axis=1) - 1) <= _ROUNDING)))
    if len(bad):
        raise ValueError(
            f"The probabilities of {len(bad)} epochs are negative, NaN or do not add up to 1, such "
            f"as {proba[bad[0]].tolist()} of epoch {bad[0]}; pass what predict_proba returns."
        )
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"classes={classes.tolist()} has a class twice.")
    strange = ~np.isin(y_true, classes)
    if strange.any():
        raise ValueError(
            f"The labels have {y_true[strange].tolist()[0]!r}, which is none of the classes "
            f"{', '.join(map(repr, classes.tolist()))}."
        )
    is_correct = classes[proba.argmax(axis=1)] == y_true
    return proba.max(axis=1), is_correct
