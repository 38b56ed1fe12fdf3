"""Alignment of subjects by the covariance of their epochs."""

from numbers import Real

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import (
    VOLTS_TO_MICROVOLTS,
    refuse_other_spelling,
    rows_by_subject,
    validate_groups,
)
from skeegformer.preprocessing._base import SignalTransformer, like_input, working_copy

# A channel with less than this part of the loudest one's amplitude is dead.
_DEAD_CHANNEL = 1e-6
# Rounding to float32 leaves some 1e-15 of the variance where average reference or interpolation
# left none; the weakest directions of real EEG have more than 1e-9 of it.
_EMPTY_DIRECTION = 1e-12


class EuclideanAlignment(SignalTransformer):
    r"""Make subjects comparable by whitening each one's signal.

    The epochs :math:`X_i` of a subject have the reference covariance
    :math:`\bar R = \frac{1}{n} \sum_i X_i X_i^\top / n_{times}`, and are replaced by
    :math:`\bar R^{-1/2} X_i`, whose mean covariance is the identity. No labels are used [1]_.

    Parameters
    ----------
    shrinkage : "auto" or float between 0 and 1, default="auto"
        How much the correlations between channels are drawn towards zero, which keeps weak
        components from being blown up. "auto" is the Ledoit-Wolf estimate: next to nothing for
        many epochs, more for few short ones. 0 makes the mean covariance the identity exactly,
        1 only divides each channel by its amplitude.

    Attributes
    ----------
    references_ : dict of {group: ndarray of shape (n_chans, n_chans)}
        Reference covariance of each subject in `fit`, after shrinkage, in squared microvolts
        for Epochs and in the squared unit of X for arrays. The only key is None where `fit` was
        not told who the subjects are.
    whiteners_ : dict of {group: ndarray of shape (n_chans, n_chans)}
        Inverse square roots of the references.

    Notes
    -----
    **Who is a subject.** The `groups` passed to `fit` and to `transform` say so, or else the column
    ``subject`` of ``epochs.metadata``. In a Pipeline, `groups` reach this step by scikit-learn's
    metadata routing, where both are requested, as `make_eeg_pipeline` does; but a scorer predicts
    without them, and takes all epochs of a test fold for one subject.

    **What is used.** A subject seen in `fit` keeps the reference from `fit`. One not seen is
    aligned with its own epochs given to `transform`, all at once and unlabelled: some twenty or
    more, from each class about as many as in training. Such scores are *transductive*.

    If `fit` was told groups and `transform` is not, all epochs of that call are one unseen
    subject. If `fit` was not told either, all its epochs are one subject, whose reference
    serves every epoch to come: this is plain whitening, which uses nothing but training data.

    **Rank and unit.** Only directions in which the subject's data vary are whitened and shrunk;
    nothing comes out along the rest, which average references and interpolation leave. In aligned
    Epochs unit variance is written as 1 µV.

    Channels that are not EEG pass unchanged. Bad channels take part: drop or interpolate them.

    References
    ----------
    .. [1] He, H. and Wu, D. (2020). Transfer learning for brain-computer interfaces: a Euclidean
       space data alignment approach. IEEE Transactions on Biomedical Engineering, 67(2),
       399-410. https://doi.org/10.1109/TBME.2019.2913914

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import EuclideanAlignment
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20, 3, 200)) * np.array([1, 5, 9])[:, np.newaxis]
    >>> groups = ["Ada"] * 10 + ["Emmy"] * 10
    >>> aligned = EuclideanAlignment(shrinkage=0.0).fit_transform(X, groups=groups)
    >>> mean_covariance = np.mean([epoch @ epoch.T / 200 for epoch in aligned[:10]], axis=0)
    >>> bool(np.allclose(mean_covariance, np.eye(3)))
    True
    """

    def __init__(self, shrinkage="auto"):
        self.shrinkage = shrinkage

    def fit(self, X, y=None, groups=None):
        """Compute the reference covariance of each subject.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or (n_epochs, n_times).
        y : None
            Ignored.
        groups : array-like of shape (n_epochs,) or None, default=None
            The subject of each epoch. None takes the column ``subject`` of the metadata of
            Epochs; where there is none, all epochs are one subject.

        Returns
        -------
        self
            The fitted transformer. A ValueError is raised if a subject's signal is zero throughout.
        """
        self._learn(self._open(X, reset=True), groups)
        return self

    def fit_transform(self, X, y=None, groups=None):
        """Align each subject with its own epochs, as `fit` and `transform` do."""
        eeg = self._open(X, reset=True)
        self._learn(eeg, groups)
        return self._align(eeg, groups)

    def transform(self, X, groups=None):
        """Align epochs: of known subjects as in `fit`, of others with what is given here.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`; never changed.
        groups : array-like of shape (n_epochs,) or None, default=None
            The subject of each epoch, as in `fit`; where none is known, all epochs are the one
            subject of `fit`, or one unseen subject if `fit` was told groups.

        Returns
        -------
        mne.Epochs or ndarray
            New Epochs for Epochs; for an array an array of the same shape and floating type.
        """
        check_is_fitted(self)
        return self._align(self._open(X, reset=False), groups)

    def _learn(self, eeg, groups):
        data = working_copy(eeg) * _unit(eeg)
        self.references_, self.whiteners_ = {}, {}
        for subject, rows in _subjects(eeg, groups).items():
            reference, whitener = self._reference(subject, data[rows])
            self.references_[subject], self.whiteners_[subject] = reference, whitener

    def _align(self, eeg, groups):
        data = working_copy(eeg) * _unit(eeg)
        subjects = _subjects(eeg, groups)
        known = self.whiteners_
        refuse_other_spelling(known, [subject for subject in subjects if subject not in known])
        for subject, rows in subjects.items():
            whitener = known.get(subject)
            if whitener is None:
                _, whitener = self._reference(subject, data[rows])
            data[rows] = whitener @ data[rows]
        return like_input(eeg, data / _unit(eeg))

    def _reference(self, subject, data):
        """Compute the covariance of (n_epochs, n_chans, n_times) data and its inverse root."""
        n_chans = data.shape[1]
        samples = data.transpose(1, 0, 2).reshape(n_chans, -1)
        scales = np.sqrt(np.mean(samples**2, axis=1))
        live = scales > _DEAD_CHANNEL * scales.max()
        if not live.any():
            whose = "" if subject is None else f" of subject {subject!r}"
            raise ValueError(
                f"The signal{whose} is zero throughout and cannot be aligned; drop these epochs."
            )
        # Rank and shrinkage are found with all channels at unit variance, because otherwise a
        # single loud channel decides what counts as little.
        samples, scales = samples[live] / scales[live, np.newaxis], scales[live]
        variances, directions = np.linalg.eigh(samples @ samples.T / samples.shape[1])
        in_range = variances > _EMPTY_DIRECTION * variances[-1]
        variances, directions = variances[in_range], directions[:, in_range]
        shrinkage = self._shrinkage(directions.T @ samples)
        variances = (1 - shrinkage) * variances + shrinkage * variances.mean()

        reference = np.zeros((n_chans, n_chans))
        reference[np.ix_(live, live)] = (
            directions * variances @ directions.T * scales * scales[:, np.newaxis]
        )
        variances, directions = np.linalg.eigh(reference)
        variances, directions = variances[-in_range.sum() :], directions[:, -in_range.sum() :]
        return reference, directions / np.sqrt(variances) @ directions.T

    def _shrinkage(self, samples):
        if self.shrinkage == "auto":
            return ledoit_wolf_shrinkage(samples.T, assume_centered=True)
        if isinstance(self.shrinkage, Real) and 0 <= self.shrinkage <= 1:
            return float(self.shrinkage)
        raise ValueError(
            f"shrinkage is {self.shrinkage!r}, but has to be 'auto' or a number from 0 to 1."
        )


def _subjects(eeg, groups):
    """Map each subject to the rows of its epochs; who they are may be unknown."""
    groups = validate_groups(eeg.subjects if groups is None else groups, len(eeg.data))
    return rows_by_subject(groups, len(eeg.data))


def _unit(eeg):
    """Tell what brings the data to microvolts, where it is known that they are volts."""
    return 1.0 if eeg.epochs is None else VOLTS_TO_MICROVOLTS
