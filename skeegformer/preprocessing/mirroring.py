"""A classifier of epochs and their mirror images."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted

from skeegformer._utils.routing import groups_for_fit
from skeegformer._validation import (
    as_epochs,
    remember_input,
    validate_groups,
    validate_labels,
    validate_signal,
)
from skeegformer.preprocessing._base import EpochsMixin, like_input, working_copy
from skeegformer.preprocessing._sides import (
    check_swap,
    is_own_image,
    mirror_classes,
    mirror_pairs,
    partner_order,
)


class MirroredClassifier(EpochsMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Train a classifier on epochs and their mirror images, and average predictions over both.

    The mirror image of an epoch has left and right channels exchanged. That of an imagined
    left-fist movement resembles one of the right fist and is given its label.

    Parameters
    ----------
    classifier : estimator
        The classifier to train, with `predict_proba`. A clone of it is fitted.
    swap : "auto" or dict, default="auto"
        The labels that mirroring exchanges. "auto" pairs the classes whose names are equal after
        exchanging the words left and right (`mirror_classes`); if no class names a side, nothing is
        mirrored, with a warning. A dict contains the pairs, such as ``{769: 770}``; ``{}`` keeps
        all labels, as for open and closed eyes.
    input_ch_names : sequence of str or None, default=None
        Channel names of arrays, in order. For Epochs, None or their own channel names.

    Attributes
    ----------
    classifier_ : estimator
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    mirror_pairs_ : ndarray of int of shape (n_chans,) or None
        Index of each channel's partner on the other side; None if nothing is mirrored.
    mirrored_classes_ : dict or None
        The label of the mirror image for each label; None if nothing is mirrored.

    Notes
    -----
    In a Pipeline, use it in place of the classifier, after the alignment. A mirror image belongs to
    the subject of its epoch: `groups` are doubled and passed to a classifier that accepts them, and
    the metadata of Epochs are copied.

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> from skeegformer.preprocessing import MirroredClassifier
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = MirroredClassifier(make_baseline("csp+lda")).fit(X, y)
    >>> classifier.mirrored_classes_
    {'left': 'right', 'right': 'left'}
    >>> classifier.predict_proba(X[:3]).shape
    (3, 2)
    """

    def __init__(self, classifier, *, swap="auto", input_ch_names=None):
        self.classifier = classifier
        self.swap = swap
        self.input_ch_names = input_ch_names

    def fit(self, X, y, groups=None):
        """Fit the classifier on epochs and their mirror images.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or (n_epochs, n_times).
        y : array-like of shape (n_epochs,)
            Labels.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, for classifiers that take them.

        Returns
        -------
        MirroredClassifier
            Itself.

        Raises
        ------
        ValueError
            If a channel has no partner or no name, or `swap` does not fit the channels or classes.
        """
        if isinstance(self.classifier, type) or not hasattr(self.classifier, "predict_proba"):
            raise ValueError(
                f"classifier={self.classifier!r} has no predict_proba, whose values for an epoch "
                "and its mirror image are averaged; pass a classifier that has."
            )
        vars(self).pop("classifier_", None)  # a fit that fails is no fit
        eeg = self._open(X, reset=True)
        remember_input(self, eeg)
        self.classes_, codes = validate_labels(self, y, len(eeg.data))
        groups = validate_groups(groups, len(eeg.data))
        self.mirror_pairs_, self.mirrored_classes_ = self._find_mirror_image(eeg)

        both, labels = self._as_given(eeg), self.classes_[codes]
        if self.mirror_pairs_ is not None:
            labels = self.classes_[np.concatenate([codes, self._partners()[codes]])]
            groups = None if groups is None else np.concatenate([groups, groups])
            both = [both, self._mirrored(eeg)]
            both = np.concatenate(both) if eeg.epochs is None else as_epochs(both)
        self.classifier_ = clone(self.classifier)
        self.classifier_.fit(both, labels, **groups_for_fit(self.classifier, groups))
        return self

    def predict_proba(self, X):
        """Average the probabilities of epochs and of their mirror images.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self, "classifier_")
        eeg = self._open(X, reset=False)
        as_given = self.classifier_.predict_proba(self._as_given(eeg))
        if self.mirror_pairs_ is None:
            return as_given
        mirrored = self.classifier_.predict_proba(self._mirrored(eeg))
        return (as_given + mirrored[:, self._partners()]) / 2

    def predict(self, X):
        """Predict the class of each epoch.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            Members of ``classes_``.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _find_mirror_image(self, eeg):
        """Find the partners of channels and classes, or None where nothing is mirrored."""
        swap, labels = self.swap, self.classes_.tolist()
        if isinstance(swap, str) and swap == "auto":
            swap = mirror_classes(self.classes_)
            if swap is None:
                warnings.warn(
                    f"No epoch is mirrored, since none of the classes {labels} names a side: pass "
                    "swap={769: 770} or the like if mirroring exchanges labels, or swap={} if "
                    "both sides of the head take part alike in every class.",
                    stacklevel=3,
                )
                return None, None
        becomes = check_swap("swap", swap, labels)
        pairs = np.zeros(1, dtype=int)  # a single channel, which may have no name
        if eeg.ch_names is not None:
            pairs = mirror_pairs(eeg.ch_names if eeg.info is None else eeg.info)
            pairs = partner_order(pairs, eeg.ch_names)
        elif eeg.data.shape[1] > 1:
            raise ValueError(
                "An array does not tell its channels' names: give MirroredClassifier "
                "input_ch_names, the name of each channel of X in order, or pass Epochs."
            )
        if is_own_image(pairs) and any(a != b for a, b in becomes.items()):
            names = "a single one" if eeg.ch_names is None else ", ".join(eeg.ch_names)
            raise ValueError(
                f"All channels are on the midline ({names}), so that every epoch is its own "
                "mirror image, and would be trained with both labels; pass channels of both "
                f"sides, or {type(self.classifier).__name__} without mirroring."
            )
        return pairs, becomes

    def _partners(self):
        return partner_order(self.mirrored_classes_, self.classes_.tolist())

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, ch_names=self.input_ch_names)

    def _as_given(self, eeg):
        return like_input(eeg, working_copy(eeg)) if eeg.epochs is None else eeg.epochs

    def _mirrored(self, eeg):
        return like_input(eeg, working_copy(eeg)[:, self.mirror_pairs_])
