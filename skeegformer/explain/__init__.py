"""Attributions by attention, gradients and perturbation, their tests and statistics."""

from skeegformer.explain._randomization import randomize_parameters
from skeegformer.explain.clusters import ClusterTest, compare_conditions
from skeegformer.explain.concatenation import concatenate_explanations
from skeegformer.explain.explainer import AttentionExplainer
from skeegformer.explain.explanation import Explanation
from skeegformer.explain.faithfulness import Faithfulness, evaluate_explanation
from skeegformer.explain.methods import METHODS
from skeegformer.explain.patterns import SourcePatterns
from skeegformer.explain.permutation import channel_permutation_importance
from skeegformer.explain.statistics import (
    SeedStability,
    bootstrap_intervals,
    seed_stability,
    subject_means,
)

__all__ = [
    "AttentionExplainer",
    "ClusterTest",
    "Explanation",
    "Faithfulness",
    "METHODS",
    "SeedStability",
    "SourcePatterns",
    "bootstrap_intervals",
    "channel_permutation_importance",
    "compare_conditions",
    "concatenate_explanations",
    "evaluate_explanation",
    "randomize_parameters",
    "seed_stability",
    "subject_means",
]
