"""Trained models while the signal arrives, here or without this package."""

from skeegformer.online.frozen import export_network
from skeegformer.online.streaming import StreamPrediction, StreamPredictor

__all__ = ["StreamPrediction", "StreamPredictor", "export_network"]
