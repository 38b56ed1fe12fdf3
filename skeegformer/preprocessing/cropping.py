"""Choice of samples."""

from skeegformer._validation import check_count
from skeegformer.preprocessing._base import SignalTransformer


class Cropper(SignalTransformer):
    """Keep the first samples of each epoch.

    Parameters
    ----------
    n_times : int or None, default=None
        How many samples to keep; None keeps all.

    Attributes
    ----------
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None for arrays.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import Cropper
    >>> Cropper(160).fit_transform(np.zeros((5, 3, 320))).shape
    (5, 3, 160)
    """

    def __init__(self, n_times=None):
        self.n_times = n_times

    def _prepare(self, eeg):
        if self.n_times is not None:
            check_count("n_times", self.n_times, 1)
        self._check_length(eeg)

    def _check_length(self, eeg):
        if self.n_times is not None and self.n_times > eeg.data.shape[-1]:
            raise ValueError(
                f"n_times={self.n_times} samples are to be kept, but epochs of X have "
                f"{eeg.data.shape[-1]}; keep fewer, or pass longer epochs."
            )

    def _transform_data(self, data, eeg):
        self._check_length(eeg)
        return data[..., : self.n_times]

    def _transform_epochs(self, eeg):
        self._check_length(eeg)
        epochs = eeg.epochs.copy()
        if self.n_times is not None:
            epochs.crop(tmax=epochs.times[self.n_times - 1])
        return epochs
