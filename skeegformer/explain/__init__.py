"""What a fitted classifier looked at, what it used, and what it needed."""

from skeegformer.explain.clusters import ClusterTest, compare_conditions
from skeegformer.explain.explainer import AttentionExplainer
from skeegformer.explain.explanation import Explanation, concatenate_explanations
from skeegformer.explain.faithfulness import (
    Faithfulness,
    evaluate_explanation,
    randomize_parameters,
)
from skeegformer.explain.methods import METHODS
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
    "bootstrap_intervals",
    "channel_permutation_importance",
    "compare_conditions",
    "concatenate_explanations",
    "evaluate_explanation",
    "randomize_parameters",
    "seed_stability",
    "subject_means",
]
