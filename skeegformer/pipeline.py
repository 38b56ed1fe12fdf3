"""Ready-made Pipelines: ours, and the baselines that it has to beat on the same epochs."""

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_one_of, validate_eeg
from skeegformer.classifier import EEGTransformerClassifier
from skeegformer.preprocessing import BandPassFilter, ChannelDropper, EuclideanAlignment

BASELINES = ("chance", "csp+lda", "ts+lr")

# Electrodes at the edge of the EEGMMI cap; they pick up muscles of the neck and jaw.
RIM_CHANNELS = ("T9", "T10", "Iz")


def make_eeg_pipeline(
    classifier=None, *, drop=RIM_CHANNELS, l_freq=None, h_freq=30.0, align=False, **params
):
    """Make a Pipeline that drops channels, filters, perhaps aligns, and classifies.

    Parameters
    ----------
    classifier : estimator or None, default=None
        The last step; None takes an `EEGTransformerClassifier`.
    drop : sequence of str, default=("T9", "T10", "Iz")
        Channels to drop; empty for none.
    l_freq, h_freq : float or None, default=None and 30.0
        Pass-band in Hz.
    align : bool, default=False
        Whether each subject is aligned (`EuclideanAlignment`), which uses the unlabelled
        epochs of the subjects to predict: such scores are transductive. Subjects are known
        from the Epochs' metadata, or from `groups` where metadata routing is on.
    **params : dict
        Parameters of the `EEGTransformerClassifier`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Unfitted.

    Examples
    --------
    >>> from skeegformer import make_eeg_pipeline
    >>> [name for name, step in make_eeg_pipeline(random_state=0).steps]
    ['channeldropper', 'bandpassfilter', 'eegtransformerclassifier']
    """
    if classifier is None:
        classifier = EEGTransformerClassifier(**params)
    elif params:
        raise ValueError(
            f"{', '.join(params)} would go to an EEGTransformerClassifier, but a "
            f"{type(classifier).__name__} was passed; set its parameters where you make it."
        )
    steps = [BandPassFilter(l_freq, h_freq)]
    if len(drop):
        steps.insert(0, ChannelDropper(tuple(drop)))
    if align:
        # A request can only be made while routing is on; it does no harm where it is off.
        with sklearn.config_context(enable_metadata_routing=True):
            alignment = EuclideanAlignment().set_fit_request(groups=True)
            steps.append(alignment.set_transform_request(groups=True))
            if isinstance(classifier, EEGTransformerClassifier):
                classifier = sklearn.clone(classifier).set_fit_request(groups=True)
    return make_pipeline(*steps, classifier)


def make_baseline(name, *, random_state=None):
    """Make a baseline classifier that takes Epochs or arrays.

    Filters and alignment are not part of it, so that it gets the same as everything it is
    compared with: ``make_eeg_pipeline(make_baseline("csp+lda"))``.

    Parameters
    ----------
    name : {"chance", "csp+lda", "ts+lr"}
        "chance" always predicts the most frequent class; "csp+lda" is common spatial
        patterns (six filters, as in [1]_) and linear discriminant analysis; "ts+lr" is the
        tangent space of shrunk covariances [2]_ and logistic regression.
    random_state : int, RandomState instance or None, default=None
        Not used by these; there so that all classifiers are made alike.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Unfitted.

    Raises
    ------
    ValueError
        If there is no such baseline.

    References
    ----------
    .. [1] Blankertz et al. (2008), Optimizing spatial filters for robust EEG single-trial
       analysis. IEEE Signal Processing Magazine 25(1). doi:10.1109/MSP.2008.4408441
    .. [2] Barachant et al. (2012), Multiclass brain-computer interface classification by
       Riemannian geometry. IEEE TBME 59(4). doi:10.1109/TBME.2011.2172210

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> make_baseline("csp+lda").fit(X, y).predict(X[:2]).shape
    (2,)
    """
    check_one_of("name", name, BASELINES)
    to_array = ToMicrovolts()
    if name == "chance":
        return make_pipeline(to_array, DummyClassifier(random_state=random_state))
    if name == "csp+lda":
        from mne.decoding import CSP

        return make_pipeline(to_array, CSP(n_components=6), LinearDiscriminantAnalysis())
    from pyriemann.estimation import Covariances
    from pyriemann.tangentspace import TangentSpace

    return make_pipeline(
        to_array, Covariances("oas"), TangentSpace(), LogisticRegression(max_iter=1000)
    )


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
