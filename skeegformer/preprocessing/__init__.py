"""EEG preprocessing that can stand in a scikit-learn Pipeline.

The transformers wrap MNE, so that preprocessing can be part of a Pipeline, a cross-validation or a
search. Epochs are returned for Epochs, and arrays for arrays.

All have ``n_chans_``, ``ch_names_``, ``sfreq_``, ``n_features_in_`` and ``feature_names_in_`` of
what `fit` has seen, None or missing where not known.
"""

from skeegformer.preprocessing._sides import mirror_classes, mirror_pairs
from skeegformer.preprocessing.alignment import EuclideanAlignment
from skeegformer.preprocessing.channels import ChannelDropper, ChannelPicker
from skeegformer.preprocessing.filters import BandPassFilter, NotchFilter
from skeegformer.preprocessing.mirroring import MirroredClassifier
from skeegformer.preprocessing.resampling import Resampler

__all__ = [
    "BandPassFilter",
    "NotchFilter",
    "Resampler",
    "ChannelDropper",
    "ChannelPicker",
    "EuclideanAlignment",
    "MirroredClassifier",
    "mirror_pairs",
    "mirror_classes",
]
