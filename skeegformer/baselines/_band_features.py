"""What classical baselines read of epochs: the signal, log power in bands, filter-bank CSP."""

import numpy as np
from mne import use_log_level
from mne.decoding import CSP
from mne.time_frequency import psd_array_welch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import mutual_info_classif
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_count, listed, remember_input, validate_eeg
from skeegformer._validation._labels import plain_labels, refuse_single_class, validate_labels
from skeegformer.preprocessing import BandPassFilter
from skeegformer.preprocessing._base import EpochsMixin, known_rate

CLASSICAL_BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 20.0), (20.0, 30.0))
FILTER_BANK = tuple((float(low), float(low + 4)) for low in range(4, 40, 4))
_WINDOW = 1.0  # seconds, of Welch's method
# Directions with a smaller share of the largest variance are rounding errors of float32.
_LEAST_VARIANCE = 1e-11


class ToMicrovolts(EpochsMixin, TransformerMixin, BaseEstimator):
    """Convert Epochs to arrays, for estimators that only accept arrays.

    Epochs are converted to microvolts, with the EEG channels only, in the order of `fit`; arrays
    are not changed.

    Parameters
    ----------
    allow_flat : bool, default=True
        Whether epochs may be flat in all channels, for which the log covariance does not exist.
    """

    def __init__(self, *, allow_flat=True):
        self.allow_flat = allow_flat

    def fit(self, X, y=None):
        """Store the channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times).
        y : array-like of shape (n_epochs,) or None, default=None
            Labels, for subclasses that use them.

        Returns
        -------
        self
            Itself.
        """
        eeg = validate_eeg(self, X, reset=True)
        remember_input(self, eeg, scale=True)
        if y is not None and np.ndim(y) == 1:
            refuse_single_class(np.unique(plain_labels("y", y)))  # later steps know no masks
        self._fit(eeg, y)
        return self

    def transform(self, X):
        """Read epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of float64
            The signal, of shape (n_epochs, n_chans, n_times), or features of it, of shape
            (n_epochs, n_features).
        """
        check_is_fitted(self)
        return self._features(validate_eeg(self, X, reset=False).data.astype(np.float64))

    def _fit(self, eeg, y):
        pass

    def _features(self, data):
        if not self.allow_flat:
            _refuse_flat(data)
        return data

    def _choose_bands(self, bands, eeg):
        """Keep the bands that the signal has, which lie wholly inside its pass band."""
        nyquist = known_rate(self, eeg) / 2
        low, high = self.pass_band or (None, None)
        low, high = low or 0.0, high or np.inf
        self.bands_ = [band for band in bands if low <= band[0] and band[1] <= high]
        self.bands_ = [band for band in self.bands_ if band[1] < nyquist]
        if not self.bands_:
            raise ValueError(
                f"pass_band={self.pass_band!r} at {eeg.sfreq:g} Hz leaves none of the bands "
                f"{', '.join(f'{low:g}-{high:g}' for low, high in bands)} Hz; make it wider, or "
                "None."
            )


class LogBandPower(ToMicrovolts):
    """Logarithm of the power of each channel in the classical bands, by Welch's method."""

    def __init__(self, *, pass_band=None, sfreq=None):
        self.pass_band = pass_band
        self.sfreq = sfreq

    def _fit(self, eeg, y):
        self._choose_bands(CLASSICAL_BANDS, eeg)

    def _features(self, data):
        n_window = min(self.n_times_, round(_WINDOW * self.sfreq_))
        powers, frequencies = psd_array_welch(
            data,
            self.sfreq_,
            n_fft=n_window,
            n_overlap=n_window // 2,
            window="hann",
            verbose="ERROR",
        )
        if len(frequencies) < 2 or frequencies[1] > min(high - low for low, high in self.bands_):
            raise ValueError(
                f"Epochs of {self.n_times_} samples at {self.sfreq_:g} Hz are too short for the "
                "power in bands of a few Hz; take longer ones."
            )
        bands = [
            powers[..., (low <= frequencies) & (frequencies < high)].mean(axis=-1)
            for low, high in self.bands_
        ]
        # A dead channel has no power; its features are to be finite and always the same.
        return np.log(np.maximum(np.stack(bands, axis=-1), 1e-30)).reshape(len(powers), -1)


class FilterBankCSP(ToMicrovolts):
    """Common spatial patterns in bands of 4 Hz, and a choice among their log powers."""

    # Features are chosen by their mutual information with the classes; with two classes the partner
    # of each, the filter from the other end of the eigenvalues, is taken as well. Where channels
    # depend on each other, as after interpolation, filters are found in the space that they span.

    def __init__(self, n_components=4, n_selected=4, *, pass_band=None, sfreq=None):
        self.n_components = n_components
        self.n_selected = n_selected
        self.pass_band = pass_band
        self.sfreq = sfreq

    def _fit(self, eeg, y):
        self.classes_, codes = validate_labels(self, y, len(eeg.data))
        check_count("n_selected", self.n_selected, 1)
        self._choose_bands(FILTER_BANK, eeg)
        data = eeg.data.astype(np.float64)
        _refuse_flat(data)
        self.basis_ = _basis(data)
        is_binary = len(self.classes_) == 2
        order = "alternate" if is_binary else "mutual_info"
        self.bank_ = make_union(
            *(
                make_pipeline(
                    BandPassFilter(low, high, sfreq=self.sfreq_),
                    CSP(self.n_components, component_order=order),
                )
                for low, high in self.bands_
            )
        )
        with use_log_level("WARNING"):  # as many lines as bands, about their rank
            features = np.asarray(self.bank_.fit_transform(self._span(data), codes))
        # The seed is for noise far below the features that keeps them from being equal.
        information = mutual_info_classif(features, codes, random_state=0)
        best = np.argsort(-information, kind="stable")[: self.n_selected]
        if is_binary:  # alternating ends of the eigenvalues: 0 and 1 are partners, 2 and 3, ...
            n_found = features.shape[1] // len(self.bands_)  # fewer with few channels
            partners = best ^ 1 if n_found % 2 == 0 else best
            best = np.concatenate([best, partners])
        self.selected_ = np.unique(best)

    def _features(self, data):
        _refuse_flat(data)
        return np.asarray(self.bank_.transform(self._span(data)))[:, self.selected_]

    def _span(self, data):
        return data if self.basis_ is None else self.basis_ @ data


def _basis(data):
    """Find the space that channels span; None where no channel depends on the others."""
    covariance = np.cov(data.transpose(1, 0, 2).reshape(data.shape[1], -1))
    variances, directions = np.linalg.eigh(np.atleast_2d(covariance))
    is_spanned = variances > _LEAST_VARIANCE * variances[-1]
    return None if is_spanned.all() or not is_spanned.any() else directions[:, is_spanned].T


def _refuse_flat(data):
    if data.shape[2] == 1:
        raise ValueError("Epochs of one sample (n_features=1) have no power: pass longer ones.")
    flat = np.flatnonzero(~np.ptp(data, axis=2).any(axis=1))
    if len(flat):
        raise ValueError(
            f"{len(flat)} of {len(data)} epochs (from 0 on: {listed(flat)}) are flat in every "
            "channel, and have no power to take the logarithm of; drop them (epochs.drop_bad)."
        )
