"""Online predictions from a stream."""

from skeegformer.online.streaming import StreamPrediction, StreamPredictor

__all__ = ["StreamPrediction", "StreamPredictor"]
