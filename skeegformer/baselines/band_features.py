"""Features of frequency bands for the baselines: log power, and filter-bank CSP."""

import numpy as np
from mne import use_log_level
from mne.decoding import CSP
from mne.time_frequency import psd_array_welch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import mutual_info_classif
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_count, remember_input, validate_eeg, validate_labels
from skeegformer.preprocessing import BandPassFilter
from skeegformer.preprocessing._base import known_rate

CLASSICAL_BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 20.0), (20.0, 30.0))
FILTER_BANK = tuple((float(low), float(low + 4)) for low in range(4, 40, 4))
_WINDOW = 1.0  # seconds, of Welch's method


class _BandTransformer(TransformerMixin, BaseEstimator):
    """What the two share: the door, and the bands that the signal has."""

    def _choose_bands(self, bands, eeg):
        nyquist = known_rate(self, eeg) / 2
        low, high = (0.0, np.inf) if self.pass_band is None else self.pass_band
        low, high = 0.0 if low is None else low, np.inf if high is None else high
        self.bands_ = [band for band in bands if low <= band[0] and band[1] <= high]
        self.bands_ = [band for band in self.bands_ if band[1] < nyquist]
        if not self.bands_:
            raise ValueError(
                f"pass_band={self.pass_band!r} at {eeg.sfreq:g} Hz leaves none of the bands "
                f"{', '.join(f'{low:g}-{high:g}' for low, high in bands)} Hz; make it wider, or "
                "None."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class LogBandPower(_BandTransformer):
    """Logarithm of the power of each channel in the classical bands.

    Bands are delta (1-4 Hz), theta (4-8), alpha or mu (8-13), and low (13-20) and high (20-30)
    beta. Power is averaged over Welch's spectrum, with windows of one second.

    Parameters
    ----------
    pass_band : (float or None, float or None) or None, default=None
        The pass band of X in Hz: bands that are not wholly inside are left out.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Epochs know theirs.

    Attributes
    ----------
    bands_ : list of (float, float)
        The bands in Hz.
    """

    def __init__(self, *, pass_band=None, sfreq=None):
        self.pass_band = pass_band
        self.sfreq = sfreq

    def fit(self, X, y=None):
        """Choose the bands.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times).
        y : None
            Ignored.

        Returns
        -------
        LogBandPower
            Itself.
        """
        eeg = validate_eeg(self, X, reset=True)
        remember_input(self, eeg, scale=True)
        self._choose_bands(CLASSICAL_BANDS, eeg)
        return self

    def transform(self, X):
        """Compute log powers.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_chans * n_bands)
            Log powers, channel by channel.
        """
        check_is_fitted(self)
        eeg = validate_eeg(self, X, reset=False)
        n_window = min(self.n_times_, round(_WINDOW * self.sfreq_))
        powers, frequencies = psd_array_welch(
            eeg.data.astype(np.float64),
            self.sfreq_,
            n_fft=n_window,
            n_overlap=n_window // 2,
            window="hann",
            verbose="ERROR",
        )
        bands = [
            powers[..., (low <= frequencies) & (frequencies < high)].mean(axis=-1)
            for low, high in self.bands_
        ]
        # A dead channel has no power; its features are to be finite and always the same.
        return np.log(np.maximum(np.stack(bands, axis=-1), 1e-30)).reshape(len(powers), -1)


class FilterBankCSP(_BandTransformer):
    """Common spatial patterns in bands of 4 Hz, and a choice among their features [1]_.

    Parameters
    ----------
    n_components : int, default=4
        Spatial filters in each band, from both ends of the eigenvalues.
    n_selected : int, default=4
        Features that are chosen by their mutual information with the classes. With two classes
        the partner of each, the filter from the other end of the eigenvalues, is taken as well.
    pass_band : (float or None, float or None) or None, default=None
        The pass band of X in Hz: of the bands 4-8, 8-12, ..., 36-40 Hz those that are not wholly
        inside are left out.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Epochs know theirs.

    Attributes
    ----------
    bands_ : list of (float, float)
        The bands in Hz.
    bank_ : sklearn.pipeline.FeatureUnion
        The filters of each band.
    selected_ : ndarray of int
        Which features are kept, counted band by band.

    References
    ----------
    .. [1] Ang et al. (2008), Filter bank common spatial pattern (FBCSP) in brain-computer
       interface. IJCNN. doi:10.1109/IJCNN.2008.4634130
    """

    def __init__(self, n_components=4, n_selected=4, *, pass_band=None, sfreq=None):
        self.n_components = n_components
        self.n_selected = n_selected
        self.pass_band = pass_band
        self.sfreq = sfreq

    def fit(self, X, y):
        """Compute spatial filters and choose features.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times).
        y : array-like of shape (n_epochs,)
            Labels.

        Returns
        -------
        FilterBankCSP
            Itself.
        """
        check_count("n_components", self.n_components, 1)
        check_count("n_selected", self.n_selected, 1)
        eeg = validate_eeg(self, X, reset=True)
        remember_input(self, eeg, scale=True)
        self.classes_, codes = validate_labels(self, y, len(eeg.data))
        self._choose_bands(FILTER_BANK, eeg)
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
            features = self.bank_.fit_transform(eeg.data.astype(np.float64), codes)
        # The seed is for noise far below the features that keeps them from being equal.
        information = mutual_info_classif(features, codes, random_state=0)
        best = np.argsort(-information, kind="stable")[: self.n_selected]
        if is_binary:  # alternating ends of the eigenvalues: 0 and 1 are partners, 2 and 3, ...
            partners = best ^ 1 if self.n_components % 2 == 0 else best
            best = np.concatenate([best, partners])
        self.selected_ = np.unique(best)
        return self

    def transform(self, X):
        """Compute the chosen features.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_features)
            Log powers of the spatially filtered bands.
        """
        check_is_fitted(self)
        data = validate_eeg(self, X, reset=False).data.astype(np.float64)
        return self.bank_.transform(data)[:, self.selected_]
