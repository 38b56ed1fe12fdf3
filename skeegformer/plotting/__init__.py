"""Figures; every one is a Display class in scikit-learn's manner."""

from skeegformer.plotting.topomap import TopomapDisplay

__all__ = ["TopomapDisplay"]
