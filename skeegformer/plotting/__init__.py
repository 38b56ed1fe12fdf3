"""Figures; every one is a Display class in scikit-learn's manner."""

from skeegformer.plotting.bars import ChannelBarDisplay
from skeegformer.plotting.connections import ConnectionDisplay
from skeegformer.plotting.critical_difference import CriticalDifferenceDisplay
from skeegformer.plotting.faithfulness import FaithfulnessDisplay
from skeegformer.plotting.layers import LayerDisplay
from skeegformer.plotting.learning_curve import LearningCurveDisplay
from skeegformer.plotting.matrix import TokenMatrixDisplay
from skeegformer.plotting.meta_analysis import MetaAnalysisDisplay
from skeegformer.plotting.paired_scores import PairedScoresDisplay
from skeegformer.plotting.reliability import ReliabilityDisplay
from skeegformer.plotting.report import explanation_report
from skeegformer.plotting.scores import ScoresDisplay
from skeegformer.plotting.topomap import TopomapDisplay
from skeegformer.plotting.training_curve import TrainingCurveDisplay

__all__ = [
    "ChannelBarDisplay",
    "ConnectionDisplay",
    "CriticalDifferenceDisplay",
    "FaithfulnessDisplay",
    "LayerDisplay",
    "LearningCurveDisplay",
    "MetaAnalysisDisplay",
    "PairedScoresDisplay",
    "ReliabilityDisplay",
    "ScoresDisplay",
    "TokenMatrixDisplay",
    "TopomapDisplay",
    "TrainingCurveDisplay",
    "explanation_report",
]
