"""The classifiers that ours has to beat, and all of them on the same prepared epochs."""

from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_one_of, validate_eeg

# What every pipeline of the benchmark is given: all channels, one pass band in Hz, one rate in Hz.
REST_PASS_BAND = (1.0, 40.0)
MOTOR_PASS_BAND = (8.0, 30.0)
BENCHMARK_SFREQ = 80.0
INFORMATION = ("strict", "transductive", "calibrated")


def make_baseline(name, *, random_state=None, sfreq=None, pass_band=None, **params):
    """Make a baseline classifier that takes Epochs or arrays.

    Filters and alignment are not part of it, so that it gets the same as everything it is
    compared with: ``make_eeg_pipeline(make_baseline("csp+lda"))``.

    Parameters
    ----------
    name : str
        Which one; see the notes.
    random_state : int, RandomState instance or None, default=None
        Of those that draw random numbers.
    sfreq : float or None, default=None
        Sampling rate in Hz of arrays, for those that work by frequency and for networks. Epochs
        know theirs.
    pass_band : (float or None, float or None) or None, default=None
        The pass band in Hz of the filter in front, for "bandpower+lda" and "fbcsp", which leave
        out the bands that are not inside.
    **params : dict
        Further parameters of networks, or of the `MirroredClassifier`.

    Returns
    -------
    estimator
        Unfitted; a Pipeline, or a classifier.

    Raises
    ------
    ValueError
        If there is no such baseline, or it has no such parameter.

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
    "csp+lda+mirror",    the same, trained on epochs and their mirror images (`MirroredClassifier`)
    "ts+lr+mirror"
    "shallowfbcspnet",   networks of braindecode [5]_ to [9]_, trained with the parameters of
    "deep4net",          `EEGTransformerClassifier` apart from AdamW's; filters and pools keep the
    "eegnet",            authors' lengths in seconds. Need the extra ``braindecode``.
    "eegconformer",
    "atcnet", "ctnet"
    "eeg-transformer"    the network and the training of eeg-transformer [10]_
    ==================== =====================================================================

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

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> make_baseline("csp+lda").fit(X, y).predict(X[:2]).shape
    (2,)
    """
    check_one_of("name", name, BASELINES)
    try:
        return _MAKERS[name](random_state=random_state, sfreq=sfreq, pass_band=pass_band, **params)
    except TypeError as error:
        if not params:
            raise
        raise ValueError(f"{', '.join(params)} is no parameter of {name!r}: {error}.") from error


def benchmark_pipelines(information, *, task):
    """Make the pipelines of the benchmark, all with the same preparation of the same epochs.

    Parameters
    ----------
    information : {"strict", "transductive", "calibrated"}
        What may be known of a test subject: nothing, its unlabelled epochs, or also a few
        labelled ones. Unless "strict", every pipeline aligns each subject
        (`EuclideanAlignment`), or, the last one, adapts to it (``adapt=True``).
    task : str
        Decides on the pass band: 1 to 40 Hz for ``"baseline-eyes"``, 8 to 30 Hz for tasks of
        movement and its imagination.

    Returns
    -------
    dict of str to sklearn.pipeline.Pipeline
        Unfitted, under the names `BENCHMARK_PIPELINES`: the filter, a sampling rate of 80 Hz, the
        alignment, the classifier. Groups are requested by all steps that take them. Those of
        braindecode can be made without it, but not fitted.

    Raises
    ------
    ValueError
        If there is no such information or task.

    Examples
    --------
    >>> from skeegformer.baselines import benchmark_pipelines
    >>> pipelines = benchmark_pipelines("transductive", task="fist-imagination")
    >>> [name for name, step in pipelines["CSP+LDA"].steps]
    ['bandpassfilter', 'resampler', 'euclideanalignment', 'pipeline']
    """
    from skeegformer.pipeline import make_eeg_pipeline

    check_one_of("information", information, INFORMATION)
    l_freq, h_freq = pass_band = _task_pass_band(task)
    prepare = partial(
        make_eeg_pipeline, drop=(), l_freq=l_freq, h_freq=h_freq, resample=BENCHMARK_SFREQ
    )
    pipelines = {}
    for display_name, name in _BENCHMARK.items():
        if name is None:
            # Adaptation is this network's alignment, and needs none in front.
            params = {"mirror": _task_mirror(task), "adapt": information != "strict"}
            pipelines[display_name] = prepare(**params)
        else:
            params = {"swap": _task_mirror(task)} if name.endswith("+mirror") else {}
            classifier = make_baseline(name, pass_band=pass_band, **params)
            pipelines[display_name] = prepare(classifier, align=information != "strict")
    return pipelines


class ToMicrovolts(TransformerMixin, BaseEstimator):
    """Give Epochs to estimators that only take arrays, just as our classifier reads them.

    Epochs become microvolts, of EEG channels alone and in the order of `fit`; arrays stay
    what they are.
    """

    def fit(self, X, y=None):
        """Remember the channels.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or ndarray
            Epochs, or an array of shape (n_epochs, n_chans, n_times).
        y : None
            Ignored.

        Returns
        -------
        ToMicrovolts
            Itself.
        """
        validate_eeg(self, X, reset=True)
        return self

    def transform(self, X):
        """Read epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or ndarray
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of float64 of shape (n_epochs, n_chans, n_times)
            The signal.
        """
        check_is_fitted(self)
        return validate_eeg(self, X, reset=False).data.astype(np.float64)


def _task_pass_band(task):
    from skeegformer.datasets._tasks import TASKS

    if task == "baseline-eyes":
        return REST_PASS_BAND
    if task in TASKS or str(task).startswith("four-class-"):
        return MOTOR_PASS_BAND
    raise ValueError(
        f"task={task!r} is not one of {', '.join(map(repr, TASKS))}, 'four-class-imagination'."
    )


def _task_mirror(task):
    """Say which labels change sides with the electrodes; both sides take part in the others."""
    if task in ("fist-imagination", "four-class-imagination"):
        return {"left-fist-imag": "right-fist-imag", "right-fist-imag": "left-fist-imag"}
    if task in ("fist-motion", "four-class-motion"):
        return {"left-fist-move": "right-fist-move", "right-fist-move": "left-fist-move"}
    return {}


def _chance(*, random_state, sfreq, pass_band):
    return make_pipeline(ToMicrovolts(), DummyClassifier(random_state=random_state))


def _csp_lda(*, random_state, sfreq, pass_band):
    from mne.decoding import CSP

    return make_pipeline(ToMicrovolts(), CSP(n_components=6), LinearDiscriminantAnalysis())


def _ts_lr(*, random_state, sfreq, pass_band):
    from pyriemann.estimation import Covariances
    from pyriemann.tangentspace import TangentSpace

    return make_pipeline(
        ToMicrovolts(), Covariances("oas"), TangentSpace(), LogisticRegression(max_iter=1000)
    )


def _mdm(*, random_state, sfreq, pass_band):
    from pyriemann.classification import MDM
    from pyriemann.estimation import Covariances

    return make_pipeline(ToMicrovolts(), Covariances("oas"), MDM())


def _band_power_lda(*, random_state, sfreq, pass_band):
    from skeegformer._band_features import LogBandPower

    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return make_pipeline(LogBandPower(pass_band=pass_band, sfreq=sfreq), lda)


def _fbcsp(*, random_state, sfreq, pass_band):
    from skeegformer._band_features import FilterBankCSP

    return make_pipeline(
        FilterBankCSP(pass_band=pass_band, sfreq=sfreq), LinearDiscriminantAnalysis()
    )


def _mirrored(make):
    def make_mirrored(*, random_state, sfreq, pass_band, **params):
        from skeegformer.preprocessing import MirroredClassifier

        inner = make(random_state=random_state, sfreq=sfreq, pass_band=pass_band)
        return MirroredClassifier(inner, **params)

    return make_mirrored


def _of_braindecode(network):
    def make_network(*, random_state, sfreq, pass_band, **params):
        from skeegformer._braindecode import BraindecodeClassifier

        return BraindecodeClassifier(network, random_state=random_state, sfreq=sfreq, **params)

    return make_network


def _original(*, random_state, sfreq, pass_band, **params):
    from skeegformer.original import OriginalTransformerClassifier

    return OriginalTransformerClassifier(random_state=random_state, sfreq=sfreq, **params)


_MAKERS = {
    "chance": _chance,
    "csp+lda": _csp_lda,
    "ts+lr": _ts_lr,
    "mdm": _mdm,
    "bandpower+lda": _band_power_lda,
    "fbcsp": _fbcsp,
    "csp+lda+mirror": _mirrored(_csp_lda),
    "ts+lr+mirror": _mirrored(_ts_lr),
    "shallowfbcspnet": _of_braindecode("shallowfbcspnet"),
    "deep4net": _of_braindecode("deep4net"),
    "eegnet": _of_braindecode("eegnet"),
    "eegconformer": _of_braindecode("eegconformer"),
    "atcnet": _of_braindecode("atcnet"),
    "ctnet": _of_braindecode("ctnet"),
    "eeg-transformer": _original,
}
BASELINES = tuple(_MAKERS)

# One line makes a pipeline part of the benchmark; None stands for `EEGTransformerClassifier`.
_BENCHMARK = {
    "chance": "chance",
    "CSP+LDA": "csp+lda",
    "CSP+LDA mirrored": "csp+lda+mirror",
    "tangent space+LR": "ts+lr",
    "tangent space+LR mirrored": "ts+lr+mirror",
    "MDM": "mdm",
    "band power+LDA": "bandpower+lda",
    "FBCSP": "fbcsp",
    "ShallowFBCSPNet": "shallowfbcspnet",
    "Deep4Net": "deep4net",
    "EEGNet": "eegnet",
    "EEG Conformer": "eegconformer",
    "ATCNet": "atcnet",
    "CTNet": "ctnet",
    "eeg-transformer": "eeg-transformer",
    "skeegformer": None,
}
BENCHMARK_PIPELINES = tuple(_BENCHMARK)
