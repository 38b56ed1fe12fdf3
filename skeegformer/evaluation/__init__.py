"""Scores, explanations and benchmarks of subjects that a model has not been trained on."""

from skeegformer.evaluation.benchmark import BenchmarkResult, run_benchmark
from skeegformer.evaluation.metrics import expected_calibration_error, reliability_curve
from skeegformer.evaluation.protocols import FixedSplit, LeaveOneSubjectOut, SubjectFolds
from skeegformer.evaluation.ranking import Ranking, rank_pipelines
from skeegformer.evaluation.scores import (
    cross_subject_explanations,
    cross_subject_scores,
    summarize_scores,
)
from skeegformer.evaluation.statistics import compare_pipelines, meta_analysis
from skeegformer.evaluation.tables import scores_table, write_between_markers
from skeegformer.evaluation.tasks import BENCHMARK_TASKS, load_benchmark_task

__all__ = [
    "BENCHMARK_TASKS",
    "BenchmarkResult",
    "FixedSplit",
    "LeaveOneSubjectOut",
    "Ranking",
    "SubjectFolds",
    "compare_pipelines",
    "cross_subject_explanations",
    "cross_subject_scores",
    "expected_calibration_error",
    "load_benchmark_task",
    "meta_analysis",
    "rank_pipelines",
    "reliability_curve",
    "run_benchmark",
    "scores_table",
    "summarize_scores",
    "write_between_markers",
]
