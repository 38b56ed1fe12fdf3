"""Figures; Display classes in scikit-learn's manner, which take arrays and tables."""

from skeegformer.plotting.connections import ConnectionDisplay
from skeegformer.plotting.scores import plot_scores
from skeegformer.plotting.topomap import TopomapDisplay

__all__ = ["ConnectionDisplay", "TopomapDisplay", "plot_scores"]
