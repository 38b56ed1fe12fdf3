"""skeegformer: a scikit-learn transformer classifier for raw EEG, with explanations.

Public names are resolved on first use, so that ``import skeegformer`` itself
loads none of torch, MNE, MOABB or matplotlib.
"""

from importlib import import_module
from importlib.metadata import version as _version

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


def __getattr__(name):
    """Import the module that holds a public name when the name is first asked for."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
