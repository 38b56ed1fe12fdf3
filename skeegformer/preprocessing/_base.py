"""What the transformers share: the door, giving back what came in, and checks of parameters."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import as_epochs, in_memory, is_epochs, validate_signal


class SignalTransformer(TransformerMixin, BaseEstimator):
    """What the transformers share: the door, and giving back what came in.

    A subclass checks its parameters against the signal in `_prepare` and
    computes in `_transform_data`, on a float64 copy. It overrides
    `_transform_epochs` where more than the values of EEG channels changes.
    """

    def fit(self, X, y=None):
        """Check the parameters against X and remember its channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or
            (n_epochs, n_times).
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter does not fit X, or X is empty or not finite.
        """
        self._prepare(self._open(X, reset=True))
        return self

    def fit_transform(self, X, y=None):
        """Fit, then transform X.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        mne.Epochs or ndarray
            As in `transform`.
        """
        X = as_epochs(X) if is_epochs(X) else in_memory(X)  # once, not for each of the two
        return self.fit(X, y).transform(X)

    def transform(self, X):
        """Transform epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`, of any length where X is not 2-D;
            never changed.

        Returns
        -------
        mne.Epochs or ndarray
            New Epochs for Epochs; for an array an array of as many dimensions and
            of the same floating type.

        Raises
        ------
        ValueError
            If X does not agree with what was fitted.
        """
        check_is_fitted(self)
        eeg = self._open(X, reset=False)
        if eeg.epochs is not None:
            return self._transform_epochs(eeg)
        return like_input(eeg, self._transform_data(working_copy(eeg), eeg))

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, sfreq=getattr(self, "sfreq", None))

    def _prepare(self, eeg):
        pass

    def _transform_data(self, data, eeg):
        return data

    def _transform_epochs(self, eeg):
        return with_data(eeg, self._transform_data(working_copy(eeg), eeg))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def working_copy(eeg):
    return np.array(eeg.data, dtype=np.float64, order="C")


def like_input(eeg, data):
    """Give data the dimensions and the floating type of the array that came in."""
    data = data.astype(eeg.data.dtype, copy=False)
    return data[:, 0] if eeg.is_flat else data


def with_data(eeg, data):
    """Copy the Epochs that came in, with other data in their EEG channels."""
    epochs = eeg.epochs.copy()
    picks = [epochs.ch_names.index(name) for name in eeg.ch_names]
    epochs.get_data(copy=False)[:, picks] = data  # a view, since the copy is loaded
    return epochs


def known_rate(estimator, eeg, parameter="sfreq"):
    if eeg.sfreq is None:
        raise ValueError(
            f"An array does not tell its sampling rate: give {type(estimator).__name__} "
            f"{parameter}, the rate of X in Hz, or pass Epochs."
        )
    return positive(parameter, eeg.sfreq)


def positive(parameter, value):
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < np.inf:
        raise ValueError(f"{parameter} is {value!r}, but has to be a number above 0, in Hz.")
    return float(value)


def optional_positive(parameter, value, meaning_of_none):
    try:
        return None if value is None else positive(parameter, value)
    except ValueError as error:
        raise ValueError(f"{error} None means {meaning_of_none}.") from None
