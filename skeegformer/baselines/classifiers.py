"""The classifiers that ours has to beat, by name."""

import numpy as np
from mne.decoding import CSP
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skeegformer._validation import check_one_of
from skeegformer.baselines._band_features import FilterBankCSP, LogBandPower, ToMicrovolts
from skeegformer.baselines.braindecode import NETWORKS, BraindecodeClassifier
from skeegformer.baselines.original import OriginalTransformerClassifier
from skeegformer.preprocessing import MirroredClassifier

CLASSICAL = ("chance", "csp+lda", "ts+lr", "mdm", "bandpower+lda", "fbcsp")
EVOKED = ("xdawn+ts+lr", "means+lda")
MIRRORED = (
    "csp+lda+mirror",
    "ts+lr+mirror",
    "shallowfbcspnet+mirror",
    "eegnet+mirror",
    "eegconformer+mirror",
)
BASELINES = (*CLASSICAL, *EVOKED, *MIRRORED, *NETWORKS, "eeg-transformer")


def make_baseline(name, *, random_state=None, sfreq=None, pass_band=None, **params):
    """Make a baseline classifier that takes Epochs or arrays.

    It does not include filters and alignment, so that all compared classifiers can be given the
    same input: ``make_eeg_pipeline(make_baseline("csp+lda"))``.

    Parameters
    ----------
    name : str
        Name of the baseline; see the notes.
    random_state : int, RandomState instance or None, default=None
        Seed of baselines that use random numbers.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz, for networks and baselines that depend on frequency. Not
        needed for Epochs.
    pass_band : (float or None, float or None) or None, default=None
        Pass band in Hz of the filter applied before, for "bandpower+lda" and "fbcsp", which exclude
        bands outside it.
    **params : dict
        Additional parameters of networks or of the `MirroredClassifier`.

    Returns
    -------
    estimator
        An unfitted Pipeline or classifier.

    Raises
    ------
    ValueError
        If the baseline does not exist, or does not have a parameter.

    Notes
    -----
    ==================== =====================================================================
    name                 what it is
    ==================== =====================================================================
    "chance"             the most frequent class, always
    "csp+lda"            common spatial patterns, six filters as in [1]_, and linear discriminant
                         analysis
    "ts+lr"              tangent space of shrunk covariances [2]_, and logistic regression
    "mdm"                minimum distance to the Riemannian mean of each class [2]_, of shrunk
                         covariances
    "bandpower+lda"      log power of each channel in the classical bands, and linear discriminant
                         analysis with shrinkage [3]_
    "fbcsp"              filter-bank CSP [4]_: bands of 4 Hz, two pairs of filters in each,
                         features chosen by mutual information, and linear discriminant analysis
    "xdawn+ts+lr"        for evoked potentials: covariances of epochs with the averages of the
                         classes, through four Xdawn filters each [11]_, their tangent space, and
                         logistic regression
    "means+lda"          for evoked potentials: the mean of each channel in ten equal windows of
                         the epoch, and linear discriminant analysis with shrinkage [3]_
    "csp+lda+mirror",    the same, trained on epochs and their mirror images (`MirroredClassifier`)
    "ts+lr+mirror"
    "shallowfbcspnet",   networks of braindecode [5]_ to [9]_, trained with the parameters of
    "deep4net",          `EEGTransformerClassifier` apart from AdamW's; filters and pools keep the
    "eegnet",            authors' lengths in seconds. Need the extra ``braindecode``.
    "eegconformer",
    "atcnet", "ctnet"
    "eeg-transformer"    that of eeg-transformer in 2022 [10]_, trained without noise
    ==================== =====================================================================

    "shallowfbcspnet+mirror", "eegnet+mirror" and "eegconformer+mirror" are also trained on mirror
    images of the epochs.

    References
    ----------
    .. [1] Blankertz et al. (2008), Optimizing spatial filters for robust EEG single-trial
       analysis. IEEE Signal Processing Magazine 25(1). doi:10.1109/MSP.2008.4408441
    .. [2] Barachant et al. (2012), Multiclass brain-computer interface classification by
       Riemannian geometry. IEEE TBME 59(4). doi:10.1109/TBME.2011.2172210
    .. [3] Blankertz et al. (2011), Single-trial analysis and classification of ERP components: a
       tutorial. NeuroImage 56(2). doi:10.1016/j.neuroimage.2010.06.048
    .. [4] Ang et al. (2008), Filter bank common spatial pattern (FBCSP) in brain-computer
       interface. IJCNN. doi:10.1109/IJCNN.2008.4634130
    .. [5] Schirrmeister et al. (2017), Deep learning with convolutional neural networks for EEG
       decoding and visualization. Human Brain Mapping 38(11). doi:10.1002/hbm.23730
    .. [6] Lawhern et al. (2018), EEGNet: a compact convolutional neural network for EEG-based
       brain-computer interfaces. J. Neural Eng. 15(5). doi:10.1088/1741-2552/aace8c
    .. [7] Song et al. (2023), EEG Conformer: convolutional transformer for EEG decoding and
       visualization. IEEE TNSRE 31. doi:10.1109/TNSRE.2022.3230250
    .. [8] Altaheri et al. (2023), Physics-informed attention temporal convolutional network for
       EEG-based motor imagery classification. IEEE Trans. Ind. Inf. 19(2).
       doi:10.1109/TII.2022.3197419
    .. [9] Zhao et al. (2024), CTNet: a convolutional transformer network for EEG-based motor
       imagery classification. Scientific Reports 14. doi:10.1038/s41598-024-71118-7
    .. [10] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
    .. [11] Rivet et al. (2009), xDAWN algorithm to enhance evoked potentials: application to
       brain-computer interface. IEEE TBME 56(8). doi:10.1109/TBME.2009.2012869

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> make_baseline("csp+lda").fit(X, y).predict(X[:2]).shape
    (2,)
    """
    check_one_of("name", name, BASELINES)
    try:
        if name in MIRRORED:
            options = {"random_state": random_state, "sfreq": sfreq, "pass_band": pass_band}
            inner = make_baseline(name.removesuffix("+mirror"), **options)
            return MirroredClassifier(inner, **params)
        if name in NETWORKS:
            return BraindecodeClassifier(name, random_state=random_state, sfreq=sfreq, **params)
        if name == "eeg-transformer":
            return OriginalTransformerClassifier(random_state=random_state, sfreq=sfreq, **params)
        return make_pipeline(*_classical_steps(name, random_state, sfreq, pass_band, **params))
    except TypeError as error:
        if not params:
            raise
        raise ValueError(f"{', '.join(params)} is no parameter of {name!r}: {error}.") from error


def _classical_steps(name, random_state, sfreq, pass_band):
    """Make the steps of a classical pipeline."""
    shrunk_lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    if name == "bandpower+lda":
        return LogBandPower(pass_band=pass_band, sfreq=sfreq), shrunk_lda
    if name == "means+lda":
        return ToMicrovolts(), FunctionTransformer(_window_means), shrunk_lda
    if name == "fbcsp":
        return FilterBankCSP(pass_band=pass_band, sfreq=sfreq), LinearDiscriminantAnalysis()
    if name == "csp+lda":
        return ToMicrovolts(allow_flat=False), CSP(n_components=6), LinearDiscriminantAnalysis()
    if name == "chance":
        return ToMicrovolts(), DummyClassifier(random_state=random_state)
    from pyriemann.classification import MDM  # takes long to import
    from pyriemann.estimation import Covariances, XdawnCovariances
    from pyriemann.tangentspace import TangentSpace

    if name == "mdm":
        return ToMicrovolts(allow_flat=False), Covariances("oas"), MDM()
    classify = TangentSpace(), LogisticRegression(max_iter=1000)
    if name == "xdawn+ts+lr":
        return ToMicrovolts(), XdawnCovariances(4, estimator="oas"), *classify
    return ToMicrovolts(allow_flat=False), Covariances("oas"), *classify


def _window_means(data, n_windows=10):
    """Average each channel in windows of equal length: (n_epochs, n_chans x n_windows)."""
    windows = np.array_split(data, min(n_windows, data.shape[-1]), axis=-1)
    return np.concatenate([window.mean(axis=-1) for window in windows], axis=1)
