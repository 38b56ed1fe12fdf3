"""Attributions by attention, gradients and perturbation, their tests and statistics."""

from skeegformer.explain.clusters import ClusterTest
from skeegformer.explain.explainer import AttentionExplainer
from skeegformer.explain.explanation import Explanation, concatenate_explanations
from skeegformer.explain.faithfulness import Faithfulness
from skeegformer.explain.methods import METHODS
from skeegformer.explain.patterns import SourcePatterns
from skeegformer.explain.permutation import channel_permutation_importance

__all__ = [
    "AttentionExplainer",
    "ClusterTest",
    "Explanation",
    "Faithfulness",
    "METHODS",
    "SourcePatterns",
    "channel_permutation_importance",
    "concatenate_explanations",
]
