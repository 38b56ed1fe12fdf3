"""Probabilities that can be believed on people who were not trained on."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skeegformer._memmap import MappedEpochs
from skeegformer._routing import routed_groups
from skeegformer._validation import (
    as_epochs,
    check_count,
    is_epochs,
    validate_groups,
    validate_labels,
)

__all__ = ["TemperatureScaledClassifier"]

# Where the logarithm of the temperature is looked for.
_LOG_LIMITS = (-7.0, 7.0)


class TemperatureScaledClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Divide a classifier's logits by a temperature that unseen subjects have shown to fit.

    How sure a classifier is of people that it was not trained on, and how often it is right, are
    two things. Each training subject is predicted by a model that was trained without it, and
    the one temperature [1]_ is chosen that makes the true labels most probable. The classifier
    itself is trained on all of them. Its predicted classes stay the same, whatever the
    temperature.

    Parameters
    ----------
    classifier : estimator
        What is trained, with `decision_function` or `predict_proba`; a Pipeline too. Never
        changed: clones are fitted.
    n_splits : int, default=5
        In how many parts subjects are held out; at most as many as there are subjects.

    Attributes
    ----------
    temperature_ : float
        Above 1 where the classifier was too sure, below 1 where it was too unsure.
    classifier_ : estimator
        Trained on all epochs.
    classes_ : ndarray of shape (n_classes,)
        The labels.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : Draws whether it helped.
    sklearn.calibration.CalibratedClassifierCV : The same for epochs of one person, among others.

    Notes
    -----
    Held-out epochs that are all predicted correctly would ask for a temperature of 0 and no doubt
    at all; Platt's targets [2]_ are fitted instead of the labels then.

    It takes ``n_splits + 1`` fits. `groups` reach the classifier where it takes them, by itself
    or by metadata routing. Each held-out subject is predicted in a call of its own, as a
    classifier with ``adapt=True`` wants it.

    ``CalibratedClassifierCV(classifier, method="temperature")`` of scikit-learn 1.8 takes Epochs
    as well, but hands numbers instead of class names to the classifier, which then does not know
    left from right and does not mirror.

    References
    ----------
    .. [1] Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks.
       ICML. arXiv:1706.04599
    .. [2] Platt (1999), Probabilistic outputs for support vector machines and comparisons to
       regularized likelihood methods. Advances in Large Margin Classifiers, MIT Press.

    Examples
    --------
    >>> from skeegformer import TemperatureScaledClassifier, make_baseline, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(4, 20, random_state=0)
    >>> calibrated = TemperatureScaledClassifier(make_baseline("csp+lda"), n_splits=2).fit(X, y)
    >>> calibrated.temperature_ > 1
    True
    >>> bool((calibrated.predict(X) == calibrated.classifier_.predict(X)).all())
    True
    """

    def __init__(self, classifier, *, n_splits=5):
        self.classifier = classifier
        self.n_splits = n_splits

    def fit(self, X, y, groups=None):
        """Learn the temperature on held-out subjects, and train the classifier on all.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, as the classifier takes them.
        y : array-like of shape (n_epochs,)
            Labels.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects. None takes the column ``subject`` of the metadata of Epochs, or the subjects
            of `MappedEpochs`.

        Returns
        -------
        TemperatureScaledClassifier
            Itself.

        Raises
        ------
        ValueError
            If subjects are not known or there is only one, the classifier gives no
            probabilities, or a class is missing in the epochs without some of the subjects.
        """
        if not any(
            hasattr(self.classifier, name) for name in ("decision_function", "predict_proba")
        ):
            raise ValueError(
                f"classifier={self.classifier!r} has neither decision_function nor predict_proba; "
                "there is no confidence to calibrate."
            )
        check_count("n_splits", self.n_splits, 2)
        vars(self).pop("classifier_", None)  # a fit that fails is no fit
        if is_epochs(X):
            X = as_epochs(X)
        elif not isinstance(X, MappedEpochs):
            X = np.asarray(X)
        self.classes_, codes = validate_labels(self, y, len(X))
        y = self.classes_[codes]
        groups = self._find_groups(X, groups)

        log_proba = np.empty((len(X), len(self.classes_)))
        splitter = GroupKFold(min(self.n_splits, len(np.unique(groups))))
        for train, test in splitter.split(y, y, groups):
            model = self._fit_clone(X[train], y[train], groups[train])
            for subject in np.unique(groups[test]):
                rows = test[groups[test] == subject]
                log_proba[rows] = _logits(model, X[rows])
        self.temperature_ = _best_temperature(log_proba, codes)
        self.classifier_ = self._fit_clone(X, y, groups)
        return self

    def predict_proba(self, X):
        """Compute the probability of each class.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self, "classifier_")
        return softmax(_logits(self.classifier_, X) / self.temperature_, axis=1)

    def predict(self, X):
        """Predict the class of each epoch, as the classifier does.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            Members of ``classes_``.
        """
        check_is_fitted(self, "classifier_")
        return self.classifier_.predict(X)

    def _find_groups(self, X, groups):
        """Say whom each epoch comes from, or refuse to hold out single epochs."""
        if groups is None and is_epochs(X) and X.metadata is not None:
            groups = X.metadata.get("subject")
        elif groups is None and isinstance(X, MappedEpochs):
            groups = X.subjects
        if groups is None:
            raise ValueError(
                "A temperature for new people is learnt by holding out whole subjects; pass "
                "groups, one subject for each epoch, or Epochs whose metadata have the column "
                "'subject'."
            )
        groups = validate_groups(groups, len(X))
        subjects = np.unique(groups).tolist()
        if len(subjects) < 2:
            raise ValueError(
                f"There is only the subject {subjects[0]!r}, and none would be left to train on; "
                "give epochs of at least two."
            )
        return groups

    def _fit_clone(self, X, y, groups):
        model = clone(self.classifier)
        if has_fit_parameter(model, "groups"):
            params = {"groups": groups}
        else:
            params = routed_groups(model, "fit", groups)
        model.fit(X, y, **params)
        if len(model.classes_) < len(self.classes_):
            missing = np.setdiff1d(self.classes_, model.classes_).tolist()
            raise ValueError(
                f"Without the subjects that were held out there is no epoch of {missing[0]!r}; "
                f"raise n_splits (now {self.n_splits}), or leave that class out."
            )
        return model

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _logits(model, X):
    """Compute a model's scores, one for each class, as logits: (n_epochs, n_classes)."""
    if not hasattr(model, "decision_function"):
        # What was rounded to 0 has lost how sure it was; the least number keeps it finite.
        return np.log(np.maximum(model.predict_proba(X), np.finfo(np.float32).tiny))
    scores = np.asarray(model.decision_function(X), dtype=float)
    if scores.ndim == 1:
        return np.stack([np.zeros_like(scores), scores], axis=1)
    if scores.shape[1] != len(model.classes_):
        raise ValueError(
            f"decision_function of {type(model).__name__} gives {scores.shape[1]} scores for "
            f"{len(model.classes_)} classes, but one for each class is needed; set "
            "decision_function_shape='ovr' where there is such a parameter."
        )
    return scores


def _best_temperature(logits, codes):
    """Find the temperature that makes the labels most probable.

    Where all labels have the highest score that would be 0. Platt's targets (1999) for so many
    epochs of each class keep some doubt then.
    """
    n_classes = logits.shape[1]
    targets = np.eye(n_classes)[codes]
    others = np.where(targets, -np.inf, logits).max(axis=1)
    if (logits[np.arange(len(codes)), codes] > others).all():
        n_of_class = np.bincount(codes, minlength=n_classes)[codes][:, None]
        targets = (targets * n_of_class + 1) / (n_of_class + n_classes)

    def loss(log_temperature):
        return -(targets * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1).mean()

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_LIMITS, method="bounded").x))
