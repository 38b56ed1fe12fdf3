"""Figures; every one is a Display class in scikit-learn's manner."""

from skeegformer.plotting.bars import ChannelBarDisplay
from skeegformer.plotting.connections import ConnectionDisplay
from skeegformer.plotting.faithfulness import FaithfulnessDisplay
from skeegformer.plotting.layers import LayerDisplay
from skeegformer.plotting.matrix import TokenMatrixDisplay
from skeegformer.plotting.report import explanation_report
from skeegformer.plotting.topomap import TopomapDisplay

__all__ = [
    "ChannelBarDisplay",
    "ConnectionDisplay",
    "FaithfulnessDisplay",
    "LayerDisplay",
    "TokenMatrixDisplay",
    "TopomapDisplay",
    "explanation_report",
]
