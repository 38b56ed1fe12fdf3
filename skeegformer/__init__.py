"""skeegformer: a scikit-learn transformer classifier for raw EEG, with explanations.

Public names are resolved on first use, so that ``import skeegformer`` itself
loads none of torch, MNE, MOABB or matplotlib.
"""

from importlib.metadata import version as _version

from skeegformer._utils.lazy import import_on_use

__version__ = _version("skeegformer")

_HOMES = {
    "load_eegmmi": "datasets",
    "export_memmap": "datasets",
    "write_memmap": "datasets",
    "load_memmap": "datasets",
    "make_simulated_eeg": "datasets",
    "BandPassFilter": "preprocessing",
    "NotchFilter": "preprocessing",
    "Resampler": "preprocessing",
    "ChannelDropper": "preprocessing",
    "ChannelPicker": "preprocessing",
    "EuclideanAlignment": "preprocessing",
    "MirroredClassifier": "preprocessing",
    "EEGTransformer": "nn",
    "NetworkClassifier": "training",
    "EEGTransformerClassifier": "classifier",
    "OriginalTransformerClassifier": "baselines",
    "export_network": "io",
    "StreamPredictor": "online",
    "ResumableTraining": "io",
    "save_model": "io",
    "load_model": "io",
    "record_attention": "attention",
    "attention_rollout": "attention",
    "AttentionExplainer": "explain",
    "Explanation": "explain",
    "channel_permutation_importance": "explain",
    "concatenate_explanations": "explain",
    "ChannelSelector": "selection",
    "make_eeg_pipeline": "baselines",
    "make_baseline": "baselines",
    "cross_subject_scores": "evaluation",
    "cross_subject_explanations": "evaluation",
    "run_benchmark": "evaluation",
    "FixedSplit": "evaluation",
}

__all__ = ["__version__", *_HOMES]
__getattr__, __dir__ = import_on_use(__name__, _HOMES)
