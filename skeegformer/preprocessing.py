"""EEG preprocessing that can stand in a scikit-learn Pipeline.

MNE does the work; the transformers here let it be fitted on training epochs,
cloned, searched over and applied to epochs never seen, be they `mne.Epochs` or
arrays. What goes in comes out: Epochs stay Epochs, arrays stay arrays.
"""

import difflib
from fractions import Fraction
from numbers import Real

import mne
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.utils.validation import check_is_fitted

from ._validation import (
    VOLTS_TO_MICROVOLTS,
    as_epochs,
    is_epochs,
    validate_ch_names,
    validate_groups,
    validate_signal,
)

__all__ = [
    "BandPassFilter",
    "NotchFilter",
    "Resampler",
    "ChannelDropper",
    "ChannelPicker",
    "EuclideanAlignment",
]


# A channel with less than this part of the loudest one's amplitude is dead.
_DEAD_CHANNEL = 1e-6
# Rounding to float32 leaves some 1e-15 of the variance where average reference or interpolation
# left none; the weakest directions of real EEG have more than 1e-9 of it.
_EMPTY_DIRECTION = 1e-12


class _SignalTransformer(TransformerMixin, BaseEstimator):
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
        X = as_epochs(X) if is_epochs(X) else X  # so that a list is joined once, not twice
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
        return _like_input(eeg, self._transform_data(_working_copy(eeg), eeg))

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, sfreq=getattr(self, "sfreq", None))

    def _prepare(self, eeg):
        pass

    def _transform_data(self, data, eeg):
        return data

    def _transform_epochs(self, eeg):
        return _with_data(eeg, self._transform_data(_working_copy(eeg), eeg))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class BandPassFilter(_SignalTransformer):
    """Keep the frequencies between two limits.

    Parameters
    ----------
    l_freq : float or None, default=None
        Lower limit of the pass band in Hz; None filters nothing below.
    h_freq : float or None, default=None
        Upper limit of the pass band in Hz; None filters nothing above.
    method : {"iir", "fir"}, default="iir"
        "iir" is a Butterworth filter of order 4, run forwards and backwards, so that no
        phase is shifted; each limit is its -6 dB point. "fir" is MNE's default, a
        linear-phase window design. It is sharper, but with a lower limit of less than about
        2 Hz longer than an epoch of 2 s, of which MNE warns.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Epochs know theirs; one given here has to be the same.

    Attributes
    ----------
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None for arrays.
    sfreq_ : float or None
        Sampling rate in `fit` in Hz.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    NotchFilter : Removes power-line noise.

    Notes
    -----
    Epochs are filtered one by one, so that no epoch, and no fold of a
    cross-validation, learns anything from another. Slow high-pass filters ring for longer than
    short epochs last: where the continuous recording is at hand, high-pass that instead.

    Channels that are no data (stimulus, eye, miscellaneous) pass unfiltered.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import BandPassFilter
    >>> times = np.arange(320) / 160
    >>> X = np.sin(2 * np.pi * 10 * times) + np.sin(2 * np.pi * 50 * times)
    >>> filtered = BandPassFilter(None, 30, sfreq=160).fit_transform(X[np.newaxis])
    >>> filtered.shape
    (1, 320)
    >>> bool(abs(filtered - np.sin(2 * np.pi * 10 * times))[:, 40:-40].max() < 0.02)
    True
    """

    def __init__(self, l_freq=None, h_freq=None, *, method="iir", sfreq=None):
        self.l_freq = l_freq
        self.h_freq = h_freq
        self.method = method
        self.sfreq = sfreq

    def _prepare(self, eeg):
        if self.method not in ("iir", "fir"):
            raise ValueError(f"method is {self.method!r}, but has to be 'iir' or 'fir'.")
        l_freq = _optional_positive("l_freq", self.l_freq, "no lower limit")
        h_freq = _optional_positive("h_freq", self.h_freq, "no upper limit")
        if l_freq is None and h_freq is None:
            return
        nyquist = _known_rate(self, eeg) / 2
        for name, freq in {"l_freq": l_freq, "h_freq": h_freq}.items():
            if freq is not None and freq >= nyquist:
                raise ValueError(
                    f"{name} is {freq:g} Hz, but a signal sampled at {eeg.sfreq:g} Hz only has "
                    f"frequencies below {nyquist:g} Hz; choose a lower one or None."
                )
        if l_freq is not None and h_freq is not None and l_freq >= h_freq:
            raise ValueError(
                f"l_freq ({l_freq:g} Hz) has to be below h_freq ({h_freq:g} Hz); to remove a band "
                "use NotchFilter."
            )

    def _transform_data(self, data, eeg):
        if self.l_freq is None and self.h_freq is None:
            return data
        return mne.filter.filter_data(
            data, eeg.sfreq, self.l_freq, self.h_freq, copy=False, **self._filter_params()
        )

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.l_freq is None and self.h_freq is None:
            return epochs
        return epochs.filter(self.l_freq, self.h_freq, **self._filter_params())

    def _filter_params(self):
        # The padding is named because MNE's defaults differ between Epochs and arrays.
        return {"method": self.method, "pad": "reflect_limited"}


class NotchFilter(_SignalTransformer):
    """Remove power-line noise.

    Parameters
    ----------
    freqs : float, sequence of float or None, default=None
        Frequencies to remove in Hz. None takes the power-line frequency of Epochs,
        ``info["line_freq"]``, and those of its multiples whose stop band fits below half the
        sampling rate.
    width : float, default=4.0
        Width of the stop band in Hz: around 50 Hz, 48 to 52 Hz are removed.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Epochs know theirs; one given here has to be the same.

    Attributes
    ----------
    freqs_ : list of float
        The frequencies that are removed, in Hz.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None for arrays.
    sfreq_ : float or None
        Sampling rate in `fit` in Hz.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    BandPassFilter : Keeps a band. Below 40 Hz it makes a notch filter unnecessary.

    Notes
    -----
    A Butterworth band-stop of order 2, run forwards and backwards over each epoch. Narrow stop
    bands ring for long: noise remains in the first and last half second of an epoch, and the
    more the smaller `width` is. Where the continuous recording is at hand, filter that instead.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import NotchFilter
    >>> times = np.arange(500) / 250
    >>> X = np.sin(2 * np.pi * 50 * times)[np.newaxis]
    >>> notch = NotchFilter(50, sfreq=250).fit(X)
    >>> bool(abs(notch.transform(X))[:, 150:-150].max() < 0.02)
    True
    """

    def __init__(self, freqs=None, *, width=4.0, sfreq=None):
        self.freqs = freqs
        self.width = width
        self.sfreq = sfreq

    def _prepare(self, eeg):
        half = _positive("width", self.width) / 2
        nyquist = _known_rate(self, eeg) / 2
        if self.freqs is None:
            line = None if eeg.info is None else eeg.info["line_freq"]
            if line is None:
                raise ValueError(
                    "freqs is None, but the power-line frequency is not known: say which, for "
                    'example NotchFilter(50), or set epochs.info["line_freq"].'
                )
            multiples = line * np.arange(1, int(nyquist // line) + 1)
            self.freqs_ = [float(freq) for freq in multiples if freq + half < nyquist]
            return
        self.freqs_ = [_positive("freqs", freq) for freq in np.ravel(self.freqs).tolist()]
        for freq in self.freqs_:
            if freq - half <= 0 or freq + half >= nyquist:
                raise ValueError(
                    f"freqs has {freq:g} Hz, whose stop band from {freq - half:g} to "
                    f"{freq + half:g} Hz does not lie between 0 and {nyquist:g} Hz, half the "
                    "sampling rate; leave it out, or make width smaller."
                )

    def _transform_data(self, data, eeg):
        for freq in self.freqs_:  # MNE's IIR filters have one stop band each
            data = mne.filter.notch_filter(
                data,
                eeg.sfreq,
                freq,
                notch_widths=self.width,
                trans_bandwidth=0.0,
                method="iir",
                # Half of MNE's order rings for a shorter time, which short epochs need.
                iir_params={"order": 2, "ftype": "butter", "output": "sos"},
                copy=False,
            )
        return data


class Resampler(_SignalTransformer):
    """Change the sampling rate.

    Parameters
    ----------
    sfreq : float or None, default=None
        The new sampling rate in Hz; None leaves the signal as it is.
    input_sfreq : float or None, default=None
        Sampling rate of arrays in Hz. Epochs know theirs; one given here has to be the same.

    Attributes
    ----------
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None for arrays.
    sfreq_ : float or None
        Sampling rate in `fit` in Hz. Unless `sfreq` is None, later input may have another:
        all of it is brought to `sfreq`.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    BandPassFilter : Filters the signal; resampling brings its own anti-alias filter.

    Notes
    -----
    Each epoch is resampled by itself, with a polyphase filter that also removes what would
    alias, to ``round(n_times * sfreq / input_sfreq)`` samples, at least one.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import Resampler
    >>> X = np.random.default_rng(0).standard_normal((5, 3, 320))
    >>> Resampler(80, input_sfreq=160).fit_transform(X).shape
    (5, 3, 160)
    """

    def __init__(self, sfreq=None, *, input_sfreq=None):
        self.sfreq = sfreq
        self.input_sfreq = input_sfreq

    def _open(self, X, *, reset):
        return validate_signal(
            self, X, reset=reset, sfreq=self.input_sfreq, same_sfreq=self.sfreq is None
        )

    def _prepare(self, eeg):
        _optional_positive("sfreq", self.sfreq, "no change")
        _optional_positive("input_sfreq", self.input_sfreq, "the rate of Epochs")
        if self.sfreq is not None:
            _known_rate(self, eeg, parameter="input_sfreq")

    def _transform_data(self, data, eeg):
        if self.sfreq is None or np.isclose(self.sfreq, eeg.sfreq):
            return data
        return _resample(data, self.sfreq, eeg.sfreq)

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.sfreq is None or np.isclose(self.sfreq, eeg.sfreq):
            return epochs
        data = _resample(epochs.get_data(copy=True), self.sfreq, eeg.sfreq)
        epochs.resample(self.sfreq, npad=0)  # for the rate, the times and all that hangs on them
        epochs.get_data(copy=False)[:] = data
        return epochs


def _resample(data, new, old):
    """Resample in the last axis, to samples exactly 1 / new apart.

    MNE stretches a signal to the rounded number of samples, so that 481 samples at
    160 Hz would run ahead of their times. Padded to a length that is rounded
    to itself, they do not.
    """
    ratio = Fraction(new / old).limit_denominator(max(1000, int(2 * old / new)))
    n_times = data.shape[-1]
    n_new = max(round(n_times * ratio), 1)
    padding = -n_times % ratio.denominator
    # "symmetric" repeats the last sample; "reflect" does not, and SciPy crashes on a single one.
    data = np.pad(data, [(0, 0), (0, 0), (0, padding)], mode="symmetric")
    return mne.filter.resample(
        data, up=ratio.numerator, down=ratio.denominator, method="polyphase", pad="symmetric"
    )[..., :n_new]


class _ChannelSelector(_SignalTransformer):
    """What `ChannelDropper` and `ChannelPicker` share; they differ in `_choose`."""

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, ch_names=self.input_ch_names)

    def _prepare(self, eeg):
        names = eeg.ch_names if eeg.epochs is None else eeg.epochs.ch_names
        self.kept_ch_names_ = self._choose(names)

    # Non-EEG channels are no part of arrays, and Epochs may have others than in `fit`: what was
    # chosen is taken as far as it is there. EEG channels are there, the door sees to that.

    def _transform_data(self, data, eeg):
        if self.kept_ch_names_ is None:
            return data
        kept = [eeg.ch_names.index(name) for name in self.kept_ch_names_ if name in eeg.ch_names]
        return data[:, kept]

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.kept_ch_names_ is None:
            return epochs
        return epochs.reorder_channels(
            [name for name in self.kept_ch_names_ if name in epochs.ch_names]
        )


class ChannelDropper(_ChannelSelector):
    """Leave channels out.

    Parameters
    ----------
    ch_names : sequence of str, default=()
        Names of the channels to leave out.
    input_ch_names : sequence of str or None, default=None
        Names of the channels of arrays, in order. Epochs know theirs; names given here have to
        be the same.

    Attributes
    ----------
    kept_ch_names_ : list of str or None
        Names of the channels that are left; None where names are not known.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None where they are not known.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    ChannelPicker : Names the channels to keep.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import ChannelDropper
    >>> X = np.zeros((5, 3, 320))
    >>> dropper = ChannelDropper(["T9"], input_ch_names=["C3", "T9", "C4"])
    >>> dropper.fit_transform(X).shape
    (5, 2, 320)
    >>> dropper.kept_ch_names_
    ['C3', 'C4']
    """

    def __init__(self, ch_names=(), *, input_ch_names=None):
        self.ch_names = ch_names
        self.input_ch_names = input_ch_names

    def _choose(self, names):
        dropped = validate_ch_names(self.ch_names, "ch_names")
        if not dropped:
            return names
        names = _known_names(self, names, dropped)
        kept = [name for name in names if name not in dropped]
        if not kept:
            raise ValueError(
                f"ch_names has all {len(names)} channels of X, and no signal would be left; drop "
                "fewer."
            )
        return kept


class ChannelPicker(_ChannelSelector):
    """Keep some channels, in the order given.

    Parameters
    ----------
    ch_names : sequence of str or None, default=None
        Names of the channels to keep; None keeps all.
    input_ch_names : sequence of str or None, default=None
        Names of the channels of arrays, in order. Epochs know theirs; names given here have to
        be the same.

    Attributes
    ----------
    kept_ch_names_ : list of str or None
        Names of the channels that are kept; None where names are not known.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None where they are not known.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    ChannelDropper : Names the channels to leave out.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import ChannelPicker
    >>> X = np.array([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    >>> ChannelPicker(["C4", "C3"], input_ch_names=["C3", "Cz", "C4"]).fit_transform(X)
    array([[[3., 3.],
            [1., 1.]]])
    """

    def __init__(self, ch_names=None, *, input_ch_names=None):
        self.ch_names = ch_names
        self.input_ch_names = input_ch_names

    def _choose(self, names):
        if self.ch_names is None:
            return names
        picked = validate_ch_names(self.ch_names, "ch_names")
        if not picked:
            raise ValueError(
                "ch_names is empty, and no signal would be left; name a channel, or pass None to "
                "keep all."
            )
        _known_names(self, names, picked)
        return picked


class EuclideanAlignment(_SignalTransformer):
    r"""Make subjects comparable by whitening each one's signal.

    The epochs :math:`X_i` of a subject have the reference covariance
    :math:`\bar R = \frac{1}{n} \sum_i X_i X_i^\top / n_{times}`, and are replaced by
    :math:`\bar R^{-1/2} X_i`. After that every subject's mean covariance is the
    identity, and what differs between subjects only by amplitude and by
    spatial mixing is alike. No labels are used [1]_.

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
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None for arrays.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    sklearn.covariance.ledoit_wolf_shrinkage : The estimate behind ``shrinkage="auto"``.

    Notes
    -----
    **Who is a subject.** The `groups` passed to `fit` and to `transform` say so; where none are
    passed, the column ``subject`` of ``epochs.metadata`` does. In a Pipeline, `groups` reach this
    step by scikit-learn's metadata routing, which needs both requests::

        sklearn.set_config(enable_metadata_routing=True)
        alignment = EuclideanAlignment().set_fit_request(groups=True)
        alignment.set_transform_request(groups=True)

    The first one with ``groups="subjects"`` takes what the caller names ``subjects``.
    ``cross_val_score(pipe, X, y, cv=cv, params={"groups": groups})`` then hands them on to
    `fit`. To the prediction of test epochs it does so from scikit-learn 1.8 on, and only without
    `scoring`, since scorers predict without groups; otherwise all epochs of a test fold are one
    subject. With Epochs that have the metadata column nothing needs to be passed.

    **What is used.** A subject seen in `fit` keeps the reference from `fit`, also when other
    epochs of that subject are transformed. A subject not seen is aligned with its own epochs
    given to `transform`, all at once and unlabelled: this is *transductive*. Its result for an
    epoch depends on which others came along, and scores hold for applications in which a new
    user's unlabelled epochs can be collected first. With few of them, and above all with a
    single one, the reference is noisy and contains what is to be decoded: part of the
    difference between classes is whitened away. Some twenty epochs or more are a sound choice,
    from each class about as many as in training; else align with a calibration recording.

    If `fit` was told groups and `transform` is not, all epochs of that call are one unseen
    subject. If `fit` was not told either, all its epochs are one subject, whose reference
    serves every epoch to come: this is plain whitening, which uses nothing but training data.

    **Rank.** Average-referenced or interpolated channels depend linearly on others. Only
    directions in which the subject's data vary are whitened and shrunk; nothing comes out along
    the rest. Fewer samples than channels span only part of the space in the same way.

    **Unit.** Aligned data have no unit. In aligned Epochs unit variance is written as 1 µV, so
    that ``get_data(units="uV")`` is what an array in microvolts would give.

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
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or
            (n_epochs, n_times).
        y : None
            Ignored.
        groups : array-like of shape (n_epochs,) or None, default=None
            The subject of each epoch. None takes the column ``subject`` of the metadata of
            Epochs; where there is none, all epochs are one subject.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If there is not one group per epoch, a subject's signal is zero throughout, or
            `shrinkage` is not allowed.
        """
        eeg = self._open(X, reset=True)
        data = _working_copy(eeg) * _unit(eeg)
        self.references_, self.whiteners_ = {}, {}
        for subject, rows in _subjects(eeg, groups):
            reference, whitener = self._reference(subject, data[rows])
            self.references_[subject], self.whiteners_[subject] = reference, whitener
        return self

    def fit_transform(self, X, y=None, groups=None):
        """Align each subject with its own epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            As in `fit`.
        y : None
            Ignored.
        groups : array-like of shape (n_epochs,) or None, default=None
            As in `fit`.

        Returns
        -------
        mne.Epochs or ndarray
            As in `transform`.
        """
        X = as_epochs(X) if is_epochs(X) else X
        return self.fit(X, groups=groups).transform(X, groups=groups)

    def transform(self, X, groups=None):
        """Align epochs: of known subjects as in `fit`, of others with what is given here.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`; never changed.
        groups : array-like of shape (n_epochs,) or None, default=None
            The subject of each epoch. None takes the column ``subject`` of the metadata of
            Epochs; where there is none, all epochs are the one subject of `fit`, or one unseen
            subject if `fit` was told groups.

        Returns
        -------
        mne.Epochs or ndarray
            New Epochs for Epochs; for an array an array of the same shape and floating type.

        Raises
        ------
        ValueError
            If X does not agree with what was fitted, there is not one group per epoch, or the
            signal of an unseen subject is zero throughout.
        """
        check_is_fitted(self)
        eeg = self._open(X, reset=False)
        data = _working_copy(eeg) * _unit(eeg)
        for subject, rows in _subjects(eeg, groups):
            whitener = self.whiteners_.get(subject)
            if whitener is None:
                _, whitener = self._reference(subject, data[rows])
            data[rows] = whitener @ data[rows]
        if eeg.epochs is None:
            return _like_input(eeg, data)
        return _with_data(eeg, data / _unit(eeg))

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
    """List each subject with the rows of its epochs; who they are may be unknown."""
    if groups is None and eeg.epochs is not None:
        metadata = eeg.epochs.metadata
        if metadata is not None and "subject" in metadata:
            groups = metadata["subject"].to_numpy()
    groups = validate_groups(groups, len(eeg.data))
    if groups is None:
        return [(None, np.arange(len(eeg.data)))]
    rows = {}
    for row, subject in enumerate(groups.tolist()):
        rows.setdefault(subject, []).append(row)
    return list(rows.items())


def _unit(eeg):
    """Tell what brings the data to microvolts, where it is known that they are volts."""
    return 1.0 if eeg.epochs is None else VOLTS_TO_MICROVOLTS


def _working_copy(eeg):
    return np.array(eeg.data, dtype=np.float64, order="C")


def _like_input(eeg, data):
    """Give data the dimensions and the floating type of the array that came in."""
    data = data.astype(eeg.data.dtype, copy=False)
    return data[:, 0] if eeg.is_flat else data


def _with_data(eeg, data):
    """Copy the Epochs that came in, with other data in their EEG channels."""
    epochs = eeg.epochs.copy()
    picks = [epochs.ch_names.index(name) for name in eeg.ch_names]
    epochs.get_data(copy=False)[:, picks] = data  # a view, since the copy is loaded
    return epochs


def _known_rate(estimator, eeg, parameter="sfreq"):
    if eeg.sfreq is None:
        raise ValueError(
            f"An array does not tell its sampling rate: give {type(estimator).__name__} "
            f"{parameter}, the rate of X in Hz, or pass Epochs."
        )
    return _positive(parameter, eeg.sfreq)


def _known_names(estimator, names, wanted):
    """Return the channels' names, among which all wanted ones have to be."""
    if names is None:
        raise ValueError(
            f"An array does not tell its channels' names: give {type(estimator).__name__} "
            "input_ch_names, the name of each channel of X in order, or pass Epochs."
        )
    missing = [name for name in wanted if name not in names]
    if missing:
        by_lower = {name.lower(): name for name in names}
        near = difflib.get_close_matches(missing[0].lower(), by_lower, n=3, cutoff=0.5)
        hint = ", ".join(by_lower[name] for name in near) or ", ".join(names[:5]) + ", ..."
        raise ValueError(
            f"ch_names has {', '.join(missing)}, but X has no such channel; near {missing[0]} it "
            f"has {hint}."
            if near
            else f"ch_names has {', '.join(missing)}, but X has no such channel, only {hint}"
        )
    return names


def _positive(parameter, value):
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < np.inf:
        raise ValueError(f"{parameter} is {value!r}, but has to be a number above 0, in Hz.")
    return float(value)


def _optional_positive(parameter, value, meaning_of_none):
    try:
        return None if value is None else _positive(parameter, value)
    except ValueError as error:
        raise ValueError(f"{error} None means {meaning_of_none}.") from None
