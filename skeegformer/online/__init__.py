"""Predictions of trained models while the signal arrives."""

from skeegformer.online.streaming import StreamPrediction, StreamPredictor

__all__ = ["StreamPrediction", "StreamPredictor"]
