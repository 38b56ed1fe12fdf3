"""What a fitted classifier looked at, what it used, and what it needed."""

from skeegformer.explain.explainer import AttentionExplainer
from skeegformer.explain.explanation import Explanation, concatenate_explanations
from skeegformer.explain.faithfulness import (
    Faithfulness,
    evaluate_explanation,
    randomize_parameters,
)
from skeegformer.explain.methods import METHODS
from skeegformer.explain.perturbation import channel_permutation_importance

__all__ = [
    "AttentionExplainer",
    "Explanation",
    "Faithfulness",
    "METHODS",
    "channel_permutation_importance",
    "concatenate_explanations",
    "evaluate_explanation",
    "randomize_parameters",
]
