"""Baseline classifiers, and pipelines of the benchmark."""

from skeegformer.baselines._band_features import ToMicrovolts
from skeegformer.baselines.benchmark import BENCHMARK_PIPELINES, INFORMATION, benchmark_pipelines
from skeegformer.baselines.braindecode import BraindecodeClassifier
from skeegformer.baselines.classifiers import BASELINES, make_baseline
from skeegformer.baselines.original import OriginalTransformerClassifier
from skeegformer.baselines.pipeline import make_eeg_pipeline

__all__ = [
    "BASELINES",
    "BENCHMARK_PIPELINES",
    "INFORMATION",
    "BraindecodeClassifier",
    "OriginalTransformerClassifier",
    "ToMicrovolts",
    "benchmark_pipelines",
    "make_baseline",
    "make_eeg_pipeline",
]
