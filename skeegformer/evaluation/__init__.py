"""Scores, explanations and benchmarks across subjects."""

from skeegformer.evaluation.benchmark import BenchmarkResult, run_benchmark
from skeegformer.evaluation.scores import cross_subject_explanations, cross_subject_scores
from skeegformer.evaluation.splitters import FixedSplit
from skeegformer.evaluation.statistics import compare_pipelines
from skeegformer.evaluation.tables import scores_table, summarize_scores
from skeegformer.evaluation.tasks import BENCHMARK_TASKS, load_benchmark_task

__all__ = [
    "BENCHMARK_TASKS",
    "BenchmarkResult",
    "FixedSplit",
    "compare_pipelines",
    "cross_subject_explanations",
    "cross_subject_scores",
    "load_benchmark_task",
    "run_benchmark",
    "scores_table",
    "summarize_scores",
]
