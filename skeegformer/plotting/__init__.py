"""Figures; Display classes in scikit-learn's manner, which take arrays and tables."""

from skeegformer.plotting.bars import ChannelBarDisplay
from skeegformer.plotting.connections import ConnectionDisplay
from skeegformer.plotting.faithfulness import FaithfulnessDisplay
from skeegformer.plotting.patterns import PatternDisplay
from skeegformer.plotting.scores import plot_scores
from skeegformer.plotting.topomap import TopomapDisplay

__all__ = [
    "ChannelBarDisplay",
    "ConnectionDisplay",
    "FaithfulnessDisplay",
    "PatternDisplay",
    "TopomapDisplay",
    "plot_scores",
]
