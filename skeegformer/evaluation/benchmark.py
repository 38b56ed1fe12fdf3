"""Pipelines x tasks x seeds x folds, each fit kept as soon as it is finished."""

import traceback
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sklearn
from tqdm.auto import tqdm

from skeegformer._validation import check_count, check_one_of
from skeegformer.evaluation._fold import limit_threads, one_thread, run_all, score_fold, versions
from skeegformer.evaluation._plan import load_data, plan_fits
from skeegformer.evaluation._splitting import cv_name
from skeegformer.evaluation._store import FitStore, digest
from skeegformer.evaluation._subjects import INFORMATION, describe_failures

LABELS = ("task", "protocol", "information", "pipeline", "seed", "fold")
COLUMNS = (*LABELS, "subject", "n_epochs", "n_train_subjects", "n_train_epochs")
COLUMNS += ("balanced_accuracy", "roc_auc", "brier_score", "fit_seconds", "predict_seconds")
COLUMNS += ("versions",)


@dataclass
class BenchmarkResult:
    """Result of a benchmark.

    Parameters
    ----------
    scores : pandas.DataFrame
        One row per task, information, pipeline, seed, fold and test subject: ``task``, ``protocol``
        (the name of the splitter, such as "4-fold"), ``information``, the columns of
        `cross_subject_scores`, and ``versions``.
    failures : pandas.DataFrame
        One row per failed fit, and per subject that cannot be calibrated, with the message
        (``error``) and the ``traceback``.
    """

    scores: pd.DataFrame
    failures: pd.DataFrame


def run_benchmark(
    pipelines,
    load,
    tasks,
    *,
    cv=4,
    information=("strict",),
    seeds=(0,),
    n_calibration=5,
    store=None,
    n_jobs=1,
    verbose=0,
):
    """Score pipelines across subjects on several tasks, in a benchmark that can be resumed.

    With a `store`, another call with the same arguments, for example after the process was killed,
    continues where the benchmark stopped, and repeats fits that failed.

    Parameters
    ----------
    pipelines : dict of {str: dict of {str: estimator}}, or callable
        The pipelines by name for each kind of information, or a function that makes them, called as
        ``pipelines(kind, task=task)``. Each is cloned for every fit.
    load : callable
        Called as ``load(task)``, once for each task; returns X, y and the subject of each epoch,
        or a DataFrame with a column ``subject``, as `load_eegmmi` does.
    tasks : str or sequence of str
        Names of the tasks.
    cv : int or splitter, default=4
        Number of folds over subjects, or a scikit-learn splitter that respects groups, such as
        ``LeaveOneGroupOut()``, or `FixedSplit`.
    information : str or sequence of str, default=("strict",)
        What is known about test subjects: "strict", "transductive" or "calibrated"; see the notes.
    seeds : sequence of int, default=(0,)
        Values of ``random_state`` with which everything is repeated; pipelines without this
        parameter are run once, with the first seed.
    n_calibration : int, default=5
        "calibrated": number of epochs per class and test subject that are added to training.
    store : path-like or None, default=None
        Folder in which finished fits are saved as ``fits.jsonl``; None to save nothing.
    n_jobs : int, default=1
        Number of processes; -1 for one per core. Scores do not depend on it: a fit has one thread.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    BenchmarkResult
        Scores and failures; failures also raise a warning.

    Raises
    ------
    ValueError
        If arguments are invalid; if a "strict" pipeline has an `EuclideanAlignment` or
        ``adapt=True``; or if every subject has epochs of one class only and any pipeline has these,
        or information is "calibrated".
    RuntimeError
        If a worker process dies, from joblib. Finished fits are kept.

    See Also
    --------
    cross_subject_scores : One task, without a store; describes how subjects with one class each,
        such as patients and controls, are scored.

    Notes
    -----
    *strict*: in predictions, groups and the metadata of Epochs are hidden from all steps.
    *transductive*: each test subject is predicted in a separate call. *calibrated*: the first
    `n_calibration` epochs of each class and test subject are added to training and not tested;
    X must be in chronological order, and subjects with too few epochs are listed as failures.

    A finished fit is reused if task, splitter, information, the pipeline's name, parameters and
    metadata requests, the seed, the data and the version of skeegformer are the same. Functions are
    compared by name only. Metadata routing is enabled during the benchmark.

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> from skeegformer.evaluation import run_benchmark
    >>> def load(task):
    ...     return make_simulated_eeg(n_subjects=4, n_epochs=20, case=task, random_state=0)[:3]
    >>> pipelines = {"strict": {"CSP+LDA": make_baseline("csp+lda")}}
    >>> result = run_benchmark(pipelines, load, ["plain", "weak"], cv=2)
    >>> result.scores.groupby("task").size().to_dict()
    {'plain': 4, 'weak': 4}
    """
    tasks = [tasks] if isinstance(tasks, str) else list(tasks)
    information = [information] if isinstance(information, str) else list(information)
    seeds = np.ravel(seeds).tolist()
    _check(pipelines, tasks, information, seeds, n_calibration, n_jobs)
    store = None if store is None else FitStore(store)
    with sklearn.config_context(enable_metadata_routing=True):
        data, fits, failures = {}, [], []
        for task in tasks:
            data[task] = X, y, groups = load_data(load, task)
            content = digest(X, y, groups)
            for kind in information:
                made = pipelines(kind, task=task) if callable(pipelines) else pipelines[kind]
                labels = {"task": task, "protocol": cv_name(cv), "information": kind}
                options = cv, made, seeds, n_calibration
                planned, failed = plan_fits(labels, y, groups, content, *options)
                fits += planned
                failures += failed
        found = {n: store.find(fit.settings) for n, fit in enumerate(fits)} if store else {}
        found = {n: rows for n, rows in found.items() if rows is not None}
        failures += _run(fits, data, found, store, n_jobs, verbose)
    rows = [fits[n].labels | row for n in sorted(found) for row in found[n]]
    more = ["label"] * any("label" in row for row in rows)
    failures = pd.DataFrame(failures, columns=[*LABELS, "subject", "error", "traceback"])
    if len(failures):
        lines = describe_failures(failures.head(5))
        lines += [f"and {len(failures) - 5} more"] * (len(failures) > 5)
        warnings.warn(
            f"{len(failures)} fits or subjects failed, {len(found)} of {len(fits)} fits are "
            "finished; the next start tries the others again:\n  " + "\n  ".join(lines),
            stacklevel=2,
        )
    return BenchmarkResult(pd.DataFrame(rows, columns=[*COLUMNS, *more]), failures)


def _check(pipelines, tasks, information, seeds, n_calibration, n_jobs):
    """Refuse arguments that leave nothing to do, or make no sense."""
    for name, values in (("tasks", tasks), ("information", information), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name}={values} needs at least one, and each of them once.")
    for kind in information:
        check_one_of("information", kind, tuple(INFORMATION))
        if not callable(pipelines) and not pipelines.get(kind):
            raise ValueError(
                f"There are no pipelines for information {kind!r}; pass pipelines={{{kind!r}: "
                "{name: pipeline}}."
            )
    for seed in seeds:
        check_count("seed", seed, 0)
    check_count("n_calibration", n_calibration, 1)
    if n_jobs == 0:
        raise ValueError("n_jobs=0 does no work; give a number of processes, or -1.")


def _run(fits, data, found, store, n_jobs, verbose):
    """Run what is not found yet; add its rows to `found`, and return what failed."""
    failures = []
    done = {"desc": "benchmark", "unit": "fit", "total": len(fits), "initial": len(found)}
    bar = tqdm(**done, disable=not verbose)

    def keep(number, rows, error):
        if error is not None:
            failures.append(fits[number].labels | error)
            bar.set_postfix(failed=len(failures))
            return
        found[number] = rows
        if store is not None:
            store.append(fits[number].settings, rows)

    left = [
        (data[fit.labels["task"]], fit, number)
        for number, fit in enumerate(fits)
        if number not in found
    ]
    with one_thread():
        run_all(_run_fit, left, n_jobs=n_jobs, then=keep, bar=bar)
    return sorted(failures, key=lambda row: [*map(str, row.values())])


def _run_fit(data, fit, number):
    """Run one fit, perhaps in another process; an exception becomes a sentence."""
    limit_threads()
    kind, seed = fit.labels["information"], fit.labels["seed"]
    try:
        rows = score_fold(fit.estimator, *data, *fit.split, seed=seed, information=kind)
    except Exception as error:
        sentence = f"{type(error).__name__}: {str(error) or 'no message'}"
        return number, None, {"error": sentence, "traceback": traceback.format_exc()}
    return number, [row | {"versions": versions()} for row in rows], None
