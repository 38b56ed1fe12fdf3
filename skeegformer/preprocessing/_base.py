"""What the transformers share: the door, and giving back what came in."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import positive, remember_input, validate_signal


class EpochsMixin:
    """Tell scikit-learn that an estimator takes epochs."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class SignalTransformer(EpochsMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers."""

    # A subclass checks its parameters against the signal in `_prepare` and computes in
    # `_transform_data`, on a float64 copy. It overrides `_transform_epochs` where more than the
    # values of EEG channels changes.

    def fit(self, X, y=None):
        """Check the parameters against X and remember its channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or (n_epochs, n_times).
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer. A ValueError is raised if a parameter does not fit X.
        """
        self._prepare(self._open(X, reset=True))
        return self

    def fit_transform(self, X, y=None):
        """Fit and transform X, as `fit` and `transform` do."""
        eeg = self._open(X, reset=True)
        self._prepare(eeg)
        return self._apply(eeg)

    def transform(self, X):
        """Transform epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`, of any length where X is not 2-D; never changed.

        Returns
        -------
        mne.Epochs or ndarray
            New Epochs for Epochs; an array of as many dimensions and the same floating type for
            an array. A ValueError is raised if X does not agree with what was fitted.
        """
        check_is_fitted(self)
        return self._apply(self._open(X, reset=False))

    def _open(self, X, *, reset):
        eeg = validate_signal(self, X, reset=reset, **self._told())
        if reset:
            remember_input(self, eeg)
        return eeg

    def _told(self):
        """Collect what parameters tell of arrays."""
        told = {"ch_names": "input_ch_names", "sfreq": "sfreq"}
        return {name: getattr(self, parameter, None) for name, parameter in told.items()}

    def _apply(self, eeg):
        if eeg.epochs is not None:
            return self._transform_epochs(eeg)
        return self._transform_array(eeg)

    def _transform_array(self, eeg):
        return like_input(eeg, self._transform_data(working_copy(eeg), eeg))

    _transform_epochs = _transform_array

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def working_copy(eeg):
    """Copy the data in double precision."""
    return np.array(eeg.data, dtype=np.float64, order="C")


def like_input(eeg, data):
    """Make what came in of data: such an array, or a copy of the Epochs with other EEG."""
    if eeg.epochs is None:
        data = data.astype(eeg.data.dtype, copy=False)
        return data[:, 0] if eeg.is_flat else data
    epochs = eeg.epochs.copy()
    picks = [epochs.ch_names.index(name) for name in eeg.ch_names]
    epochs.get_data(copy=False)[:, picks] = data  # a view, since the copy is loaded
    return epochs


def known_rate(estimator, eeg, parameter="sfreq"):
    """Return the rate of X in Hz, which an array has to be told."""
    if eeg.sfreq is None:
        raise ValueError(
            f"An array does not tell its sampling rate: give {type(estimator).__name__} "
            f"{parameter}, the rate of X in Hz, or pass Epochs."
        )
    return positive(parameter, eeg.sfreq)
