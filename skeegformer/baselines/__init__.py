"""The classifiers that ours has to beat, and all of them on the same prepared epochs."""

from skeegformer.baselines._band_features import ToMicrovolts
from skeegformer.baselines.benchmark import BENCHMARK_PIPELINES, INFORMATION, benchmark_pipelines
from skeegformer.baselines.braindecode import BraindecodeClassifier
from skeegformer.baselines.classifiers import BASELINES, make_baseline

__all__ = [
    "BASELINES",
    "BENCHMARK_PIPELINES",
    "INFORMATION",
    "BraindecodeClassifier",
    "ToMicrovolts",
    "benchmark_pipelines",
    "make_baseline",
]
