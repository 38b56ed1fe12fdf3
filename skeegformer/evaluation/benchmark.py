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
    """What a benchmark found.

    Parameters
    ----------
    scores : pandas.DataFrame
        A row for every task, information, pipeline, seed, fold and test subject: ``task``,
        ``protocol`` (the name of the splitter, such as "4-fold"), ``information``, the columns of
        `cross_subject_scores`, and ``versions``.
    failures : pandas.DataFrame
        A row for every fit that failed, and every subject that cannot be calibrated: which one it
        was, the sentence (``error``) and where it came from (``traceback``).
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
    """Score pipelines on the unseen subjects of several tasks, and survive being killed.

    Called again with the same arguments, also after the process was killed, it goes on where it
    was, and fits that failed are tried again.

    Parameters
    ----------
    pipelines : dict of {str: dict of {str: estimator}}, or callable
        For each kind of information the pipelines by name; or a function that makes them, called
        as ``pipelines(kind, task=task)``. Each is cloned for every fit.
    load : callable
        Called as ``load(task)``, once for each task; returns X, y and the subject of each epoch,
        or a DataFrame with a column ``subject``, as `load_eegmmi` does.
    tasks : str or sequence of str
        Names of the tasks.
    cv : int or splitter, default=4
        Number of folds over subjects, or a scikit-learn splitter that honours groups, such as
        ``LeaveOneGroupOut()``, or `FixedSplit`.
    information : str or sequence of str, default=("strict",)
        What the pipelines may know of the test subjects: "strict", "transductive", "calibrated".
        See the notes.
    seeds : sequence of int, default=(0,)
        Each repeats everything with another ``random_state``; pipelines without one are run
        once, and their rows name the first seed.
    n_calibration : int, default=5
        "calibrated": how many epochs of each class of each test subject join the training.
    store : path-like or None, default=None
        Folder for finished fits, in ``fits.jsonl``. None keeps nothing.
    n_jobs : int, default=1
        How many processes share the fits; -1 takes one for every core. Each fit has one thread
        whatever it is, so that scores do not depend on it.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    BenchmarkResult
        Scores and failures, of which a warning tells as well.

    Raises
    ------
    ValueError
        If arguments make no sense; if a "strict" pipeline has an `EuclideanAlignment` or
        ``adapt=True``, which is not strict; or if any has, or information is "calibrated", where
        every subject has epochs of one class only.
    RuntimeError
        If a process dies in which fits are run, as joblib says. What was finished is kept.

    See Also
    --------
    cross_subject_scores : One task, without a store; also says how people of one class each,
        such as patients and controls, are scored.

    Notes
    -----
    *strict*: at prediction groups and the metadata of Epochs are hidden from all steps.
    *transductive*: each test subject is predicted in a call of its own. *calibrated*: the first
    `n_calibration` epochs of each class of each test subject, in the order of X, which has to be
    that of time, are trained on and not tested; who has too few is listed as a failure.

    A finished fit is found again where task, splitter, information, the pipeline's name, parameters
    and metadata requests, the seed, the data and the version of skeegformer are the same. Of
    functions only the name is known. Metadata routing is on while it runs.

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
