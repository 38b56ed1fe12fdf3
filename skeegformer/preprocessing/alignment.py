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
    r"""Align subjects by whitening the signal of each one.

    The epochs :math:`X_i` of a subject have the reference covariance :math:`\bar R = \frac{1}{n}
    \sum_i X_i X_i^\top / n_{times}`, and are transformed to :math:`\bar R^{-1/2} X_i`, whose mean
    covariance is the identity. No labels are used [1]_.

    Parameters
    ----------
    shrinkage : "auto" or float between 0 and 1, default="auto"
        Shrinkage of the correlations between channels towards zero, which avoids amplifying weak
        components. "auto" is the Ledoit-Wolf estimate: close to 0 for many epochs, larger for few
        short ones. With 0, the mean covariance is exactly the identity; with 1, each channel is
        only divided by its standard deviation.

    Attributes
    ----------
    references_ : dict of {group: ndarray of shape (n_chans, n_chans)}
        Reference covariance of each subject in `fit`, after shrinkage, in squared microvolts for
        Epochs and the squared unit of X for arrays. If subjects are unknown, the only key is None.
    whiteners_ : dict of {group: ndarray of shape (n_chans, n_chans)}
        Inverse square roots of the references.

    Notes
    -----
    **Subjects** are given by the `groups` passed to `fit` and to `transform`, or else by the column
    ``subject`` of ``epochs.metadata``. In a Pipeline, `groups` are passed to this step by
    scikit-learn's metadata routing, if requested for both methods, as `make_eeg_pipeline` does.
    However, scorers predict without them, so that all epochs of a test fold count as one subject.

    **Test subjects.** A subject seen in `fit` keeps the reference from `fit`. A new subject is
    aligned with its own unlabelled epochs in the call of `transform`. Pass at least about twenty,
    with about the same class proportions as in training. Such scores are *transductive*.

    If subjects are known in `fit` but not in `transform`, all epochs of that call count as one new
    subject. If they are unknown in both, all epochs of `fit` count as one subject, whose reference
    is used for all later epochs: this is plain whitening, which uses training data only.

    **Rank and unit.** Only directions in which the subject's data vary are whitened and shrunk; the
    output is zero along others, which result from average references and interpolation. In aligned
    Epochs, unit variance is stored as 1 µV.

    Channels that are not EEG pass unchanged. Bad channels are used: drop or interpolate them first.

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
            The subject of each epoch. None for the column ``subject`` of the metadata of Epochs;
            without it, all epochs count as one subject.

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
        """Align epochs, those of known subjects as in `fit`, and those of others with X itself.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`; not modified.
        groups : array-like of shape (n_epochs,) or None, default=None
            The subject of each epoch, as in `fit`. If subjects are unknown, all epochs belong to
            the one subject of `fit`, or to one new subject if `fit` knew the subjects.

        Returns
        -------
        mne.Epochs or ndarray
            New Epochs for Epochs; for arrays, an array of the same shape and floating-point type.
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

        covariance = directions * variances @ directions.T * scales * scales[:, np.newaxis]
        reference = np.zeros((n_chans, n_chans))
        reference[np.ix_(live, live)] = covariance
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
