"""Choice of channels by what an estimator makes of them."""

from skeegformer.selection.elimination import RecursiveChannelElimination
from skeegformer.selection.selector import ChannelSelector

__all__ = ["ChannelSelector", "RecursiveChannelElimination"]
