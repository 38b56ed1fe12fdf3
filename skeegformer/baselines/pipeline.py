"""Ready-made Pipelines from the recording's epochs to the classifier."""

import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import has_fit_parameter

from skeegformer.classifier import EEGTransformerClassifier
from skeegformer.preprocessing import BandPassFilter, EuclideanAlignment, Resampler


def make_eeg_pipeline(
    classifier=None, *, l_freq=None, h_freq=30.0, resample=None, align=False, **params
):
    """Make a Pipeline with a filter, optional resampling and alignment, and a classifier.

    Parameters
    ----------
    classifier : estimator or None, default=None
        The last step; None for an `EEGTransformerClassifier`.
    l_freq, h_freq : float or None, default=None and 30.0
        Cutoff frequencies in Hz; see `BandPassFilter`.
    resample : float or None, default=None
        Sampling rate in Hz after the filter; None for no resampling.
    align : bool, default=False
        Whether to align each subject (`EuclideanAlignment`), which uses the unlabelled epochs of
        the test subjects: such scores are transductive. Subjects are taken from the Epochs'
        metadata, or from `groups` if metadata routing is enabled.
    **params : dict
        Parameters of the `EEGTransformerClassifier`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        An unfitted Pipeline. Steps that take `groups` request them.

    Examples
    --------
    >>> from skeegformer import make_eeg_pipeline
    >>> [name for name, step in make_eeg_pipeline(random_state=0).steps]
    ['bandpassfilter', 'eegtransformerclassifier']
    """
    if classifier is None:
        classifier = EEGTransformerClassifier(**params)
    elif params:
        raise ValueError(
            f"{', '.join(params)} would go to an EEGTransformerClassifier, but a "
            f"{type(classifier).__name__} was passed; set its parameters where you make it."
        )
    steps = [BandPassFilter(l_freq, h_freq)]
    if resample is not None:
        steps.append(Resampler(resample))
    # A request can only be made while routing is on; it does no harm where it is off.
    with sklearn.config_context(enable_metadata_routing=True):
        if align:
            alignment = EuclideanAlignment().set_fit_request(groups=True)
            steps.append(alignment.set_transform_request(groups=True))
        if has_fit_parameter(classifier, "groups") and hasattr(classifier, "set_fit_request"):
            classifier = sklearn.clone(classifier).set_fit_request(groups=True)
            if getattr(classifier, "adapt", False):
                for name in ("predict", "predict_proba", "decision_function"):
                    getattr(classifier, f"set_{name}_request")(groups=True)
    return make_pipeline(*steps, classifier)
