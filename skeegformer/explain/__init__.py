"""Which channels a fitted classifier looked at."""

from skeegformer.explain.explainer import AttentionExplainer
from skeegformer.explain.explanation import Explanation

__all__ = ["AttentionExplainer", "Explanation"]
