"""The pipelines of the benchmark: baselines and ours on the same prepared epochs."""

from functools import partial

from skeegformer._validation import check_one_of
from skeegformer.baselines.braindecode import NETWORKS
from skeegformer.baselines.classifiers import MIRRORED, make_baseline
from skeegformer.baselines.pipeline import make_eeg_pipeline
from skeegformer.datasets._tasks import BENCHMARK_TASKS, TASKS
from skeegformer.preprocessing import mirror_classes

# What every pipeline of the benchmark is given: all channels, one pass band in Hz, one rate in Hz.
REST_PASS_BAND = (1.0, 40.0)
MOTOR_PASS_BAND = (8.0, 30.0)
BENCHMARK_SFREQ = 80.0
INFORMATION = ("strict", "transductive", "calibrated")

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
    "ShallowFBCSPNet mirrored": "shallowfbcspnet+mirror",
    "Deep4Net": "deep4net",
    "EEGNet": "eegnet",
    "EEGNet mirrored": "eegnet+mirror",
    "EEG Conformer": "eegconformer",
    "EEG Conformer mirrored": "eegconformer+mirror",
    "ATCNet": "atcnet",
    "CTNet": "ctnet",
    "eeg-transformer": "eeg-transformer",
    "skeegformer": None,
}
BENCHMARK_PIPELINES = tuple(_BENCHMARK)


def benchmark_pipelines(information, *, task):
    """Make the pipelines of the benchmark, all with the same preprocessing.

    Parameters
    ----------
    information : {"strict", "transductive", "calibrated"}
        Information about test subjects: none, their unlabelled epochs, or also a few labelled ones.
        Unless "strict", every pipeline aligns each subject (`EuclideanAlignment`) or, for the last
        one, adapts to it (``adapt=True``).
    task : str
        Determines the pass band: 1 to 40 Hz for ``"baseline-eyes"``, 8 to 30 Hz for movements.

    Returns
    -------
    dict of str to sklearn.pipeline.Pipeline
        Unfitted Pipelines with the names `BENCHMARK_PIPELINES`: filter, resampling to 80 Hz,
        alignment, classifier. All steps that take groups request them. Networks of braindecode can
        be created without it, but not fitted.

    Raises
    ------
    ValueError
        If `information` or `task` is unknown.

    Examples
    --------
    >>> from skeegformer.baselines import benchmark_pipelines
    >>> pipelines = benchmark_pipelines("transductive", task="fist-imagination")
    >>> [name for name, step in pipelines["CSP+LDA"].steps]
    ['bandpassfilter', 'resampler', 'euclideanalignment', 'pipeline']
    """
    check_one_of("information", information, INFORMATION)
    l_freq, h_freq = pass_band = task_pass_band(task)
    prepare = partial(make_eeg_pipeline, l_freq=l_freq, h_freq=h_freq, resample=BENCHMARK_SFREQ)
    pipelines = {}
    for display_name, name in _BENCHMARK.items():
        if name is None:
            # Adaptation is this network's alignment, and needs none in front.
            params = {"mirror": _task_mirror(task), "adapt": information != "strict"}
            pipelines[display_name] = prepare(**params)
        else:
            params = {"swap": _task_mirror(task)} if name in MIRRORED else {}
            classifier = make_baseline(name, pass_band=pass_band, **params)
            pipelines[display_name] = prepare(classifier, align=information != "strict")
    return pipelines


def of_braindecode(pipeline):
    """Tell whether one of `BENCHMARK_PIPELINES` needs the extra ``braindecode``."""
    return str(_BENCHMARK[pipeline]).removesuffix("+mirror") in NETWORKS


def task_pass_band(task):
    """Say in which frequencies the brain tells the classes of a task."""
    check_one_of("task", task, tuple(BENCHMARK_TASKS))
    return REST_PASS_BAND if task == "baseline-eyes" else MOTOR_PASS_BAND


def _task_mirror(task):
    """Say which labels change sides with the electrodes; both sides take part in the others."""
    labels = [label for name in BENCHMARK_TASKS[task] for label in TASKS[name].labels]
    return mirror_classes(labels) or {}
