"""Pipelines x tasks x seeds x folds, each fit kept as soon as it is finished."""

import threading
import traceback
import warnings
from collections import Counter, defaultdict
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sklearn
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from skeegformer._memmap import MappedEpochs
from skeegformer._validation import (
    as_epochs,
    check_count,
    is_epochs,
    plain_labels,
    validate_groups,
)
from skeegformer.evaluation._fold import one_thread, score_fold, versions
from skeegformer.evaluation._plan import KINDS, plan_task
from skeegformer.evaluation.store import FitStore

COLUMNS = (
    "task",
    "protocol",
    "information",
    "pipeline",
    "seed",
    "fold",
    "subject",
    "n_epochs",
    "n_train_subjects",
    "n_train_epochs",
    "balanced_accuracy",
    "roc_auc",
    "calibration_error",
    "fit_seconds",
    "predict_seconds",
    "versions",
)


@dataclass
class BenchmarkResult:
    """What a benchmark found.

    Parameters
    ----------
    scores : pandas.DataFrame
        A row for every task, information, pipeline, seed, fold and test subject; the columns are
        those of `run_benchmark`.
    failures : pandas.DataFrame
        A row for every fit that failed: which one it was, the sentence (``error``) and where it
        came from (``traceback``). Empty where all went well.
    missing : dict of str to dict
        Task to what ``protocol.missing`` says; only tasks that lack subjects.
    """

    scores: pd.DataFrame
    failures: pd.DataFrame
    missing: dict


def run_benchmark(
    pipelines,
    load,
    tasks,
    *,
    protocol,
    information=("strict",),
    seeds=(0,),
    n_calibration=5,
    store=None,
    n_jobs=1,
    verbose=0,
):
    """Score pipelines on the unseen subjects of several tasks, and survive being killed.

    Every finished fit is kept in a folder at once. Called again with the same arguments, also
    after the process was killed, it goes on where it was, and fits that failed are tried again.

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
    protocol : LeaveOneSubjectOut, SubjectFolds or FixedSplit
        Who is trained on and who is tested.
    information : str or sequence of str, default=("strict",)
        What the pipelines may know of the test subjects: "strict", "transductive", "calibrated".
        See the notes.
    seeds : sequence of int, default=(0,)
        Each repeats everything with another ``random_state``; pipelines without one are run
        once, and their rows name the first seed.
    n_calibration : int, default=5
        "calibrated": how many epochs of each class of each test subject join the training.
    store : path-like or None, default=None
        Folder for finished fits. None keeps nothing.
    n_jobs : int, default=1
        How many processes share the fits; -1 takes one for every core. Not used on a Dask
        cluster.
    verbose : int, default=0
        1 shows a progress bar over all fits, in which those that were finished before count
        as done.

    Returns
    -------
    BenchmarkResult
        Scores, failures and missing subjects. The columns of the scores are ``task``,
        ``protocol``, ``information``, those of `cross_subject_scores`, and ``versions``.

    Raises
    ------
    ValueError
        If arguments make no sense, a part of the protocol is empty, or a "strict" pipeline holds
        an `EuclideanAlignment`, which is not strict.
    RuntimeError
        If a process dies in which fits are run, mostly for want of memory. What was finished is
        kept.

    Warns
    -----
    UserWarning
        If fits failed, or a file of the store is broken, whose fit is then run again.

    See Also
    --------
    cross_subject_scores : One task, without a store.

    Notes
    -----
    **strict.** Nothing of the test subjects is used. `groups` reach those steps that request
    them in `fit`; at prediction they are hidden, and so are the metadata of Epochs, which name
    the subject: a step that treats each subject by itself would use its unlabelled epochs.
    Whether a step looks at several test epochs together is for the caller to know.

    **transductive.** Unlabelled epochs of a test subject may be used, as `EuclideanAlignment`
    does. Each subject is predicted in a call of its own, so that nothing flows between those of
    a fold.

    **calibrated.** The first `n_calibration` epochs of each class of each test subject, in the
    order of X, which has to be that of time, join the training epochs together with their groups,
    and are not tested. The test subjects of a fold are calibrated together, by one fit; with
    `LeaveOneSubjectOut` each has its own. Since `EuclideanAlignment` keeps the reference of a
    subject that it saw in `fit`, a subject's calibration epochs alone decide on how its tested
    ones are aligned, and it is predicted in a call of its own. ``n_train_subjects`` counts the
    test subjects. One with too few epochs of a class is left out of its fold, and listed as a
    failure.

    The kinds answer different questions, and must not be compared within one table.

    **What is a finished fit.** Its scores are found again if task, protocol, information, the
    pipeline's name, parameters and metadata requests, the seed, the values, labels and channels
    of all epochs of its subjects and the version and code of skeegformer are the same. Of other
    steps, functions that are parameters are looked at, but neither the code of classes, nor what
    functions call, nor versions of other packages, which rows name: delete the folder after a
    change of your own code.

    **In parallel.** Each fit has one thread, whatever `n_jobs` is, so that scores do not depend
    on it; afterwards torch has as many as before. Once every pipeline has been timed, those that
    take longest go first. On a cluster, scores travel to the calling process, which alone
    writes the store::

        from dask.distributed import Client
        with Client("scheduler:8786"), joblib.parallel_config("dask"):
            run_benchmark(...)

    The data are sent to workers once; on one machine they are memory-mapped.

    **Metadata routing** is on while it runs. Steps that want groups have to request them, which
    `make_eeg_pipeline` does with ``align=True``.

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> from skeegformer.evaluation import SubjectFolds, run_benchmark
    >>> def load(task):
    ...     return make_simulated_eeg(n_subjects=4, n_epochs=20, case=task, random_state=0)[:3]
    >>> result = run_benchmark(
    ...     {"strict": {"CSP+LDA": make_baseline("csp+lda")}},
    ...     load,
    ...     ["plain", "weak"],
    ...     protocol=SubjectFolds(2),
    ... )
    >>> result.scores.groupby("task").size().to_dict()
    {'plain': 4, 'weak': 4}
    """
    tasks = [tasks] if isinstance(tasks, str) else list(tasks)
    information = [information] if isinstance(information, str) else list(information)
    seeds = np.ravel(seeds).tolist()
    _check(pipelines, tasks, information, seeds, n_calibration, n_jobs)
    store = None if store is None else FitStore(store)
    with sklearn.config_context(enable_metadata_routing=True):
        data, fits, missing = {}, [], {}
        for task in tasks:
            data[task] = _load(load, task)
            absent = protocol.missing(data[task].groups)
            missing |= {task: absent} if absent else {}
            made = {kind: _pipelines(pipelines, kind, task) for kind in information}
            fits += plan_task(task, data[task], protocol, made, seeds, n_calibration)
        found = {} if store is None else _look_up(fits, store)
        with one_thread():  # for fits in this process; others have to see to it themselves
            failed = _run(fits, data, found, store, n_jobs, verbose)
    result = BenchmarkResult(_scores(fits, found), _failures(fits, failed), missing)
    _warn_of(result.failures, len(fits))
    return result


@dataclass(frozen=True, eq=False)
class _Data:
    """Epochs of one task, in one object that a cluster sends once."""

    X: object
    y: np.ndarray
    groups: np.ndarray

    def __sizeof__(self):
        """Tell Dask, which cannot measure Epochs, how large this is."""
        if isinstance(self.X, MappedEpochs):  # sent as its path
            return object.__sizeof__(self) + 8 * len(self.X)
        X = as_epochs(self.X).get_data(copy=False) if is_epochs(self.X) else np.asarray(self.X)
        return object.__sizeof__(self) + X.nbytes


def _check(pipelines, tasks, information, seeds, n_calibration, n_jobs):
    """Refuse arguments that leave nothing to do, or make no sense."""
    for name, values in (("tasks", tasks), ("information", information), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name}={values} needs at least one, and each of them once.")
    for kind in information:
        if kind not in KINDS:
            raise ValueError(f"information={kind!r} is not one of {', '.join(map(repr, KINDS))}.")
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


def _load(load, task):
    """Load a task, and check that its parts belong together."""
    X, y, groups = load(task)
    if hasattr(groups, "columns"):
        groups = groups["subject"]
    y, groups = np.asarray(y), np.asarray(groups)
    if not len(X) == len(y) == len(groups):
        raise ValueError(
            f"Task {task!r} has {len(X)} epochs, {len(y)} labels and {len(groups)} subjects; there "
            "has to be one of each for every epoch."
        )
    groups = plain_labels("groups", validate_groups(groups, len(y)))
    return _Data(X, plain_labels("y", y), groups)


def _pipelines(pipelines, kind, task):
    """Take or make the pipelines of one kind."""
    made = pipelines(kind, task=task) if callable(pipelines) else pipelines[kind]
    if not made:
        raise ValueError(f"There are no pipelines for {kind!r} on {task!r}.")
    return made


def _look_up(fits, store):
    """Find the rows of those fits that were finished before."""
    rows = ((number, store.read(fit.settings)) for number, fit in enumerate(fits))
    return {number: kept for number, kept in rows if kept is not None}


def _run(fits, data, found, store, n_jobs, verbose):
    """Run what is not found yet; add its rows to `found`, and return what failed."""
    failed = {}
    queue = _LongestFirst(fits, found)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    results = parallel(
        delayed(_run_fit)(data[fits[number].task], fits[number], number) for number in queue
    )
    bar = tqdm(
        total=len(fits), initial=len(found), desc="benchmark", unit="fit", disable=not verbose
    )
    with bar, warnings.catch_warnings():
        # joblib replaces a process that has grown by what torch keeps for itself.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        try:
            for number, rows, error in results:
                if error is None:
                    if store is not None:
                        store.write(fits[number].settings, rows)
                    found[number] = rows
                    queue.learn(fits[number], rows)
                else:
                    failed[number] = error
                    bar.set_postfix(failed=len(failed))
                bar.update()
        except BrokenProcessPool as error:
            kept = "" if store is None else f"; the {len(found)} finished fits of {len(fits)} are "
            kept += "" if store is None else f"kept in {store.folder}"
            raise RuntimeError(
                f"A process that ran fits has died, mostly for want of memory{kept}. Start again "
                "with fewer jobs."
            ) from error
    return failed


class _LongestFirst:
    """Hand out fits such that long ones do not wait at the end.

    How long a pipeline takes is learnt from its first fits; those that are not known yet go
    first, in turns. joblib asks from a thread of its own.
    """

    def __init__(self, fits, found):
        self._waiting = defaultdict(list)
        self._seconds = defaultdict(list)
        self._handed_out = Counter()
        self._lock = threading.Lock()
        for number in reversed(range(len(fits))):
            if number in found:
                self.learn(fits[number], found[number])
            else:
                self._waiting[_kind_of(fits[number])].append(number)

    def learn(self, fit, rows):
        """Note how long a fit took."""
        with self._lock:
            self._seconds[_kind_of(fit)].append(rows[0]["fit_seconds"])

    def __iter__(self):
        return self

    def __next__(self):
        with self._lock:
            if not self._waiting:
                raise StopIteration
            kind = max(reversed(self._waiting), key=self._urgency)
            self._handed_out[kind] += 1
            number = self._waiting[kind].pop()
            if not self._waiting[kind]:
                del self._waiting[kind]
            return number

    def _urgency(self, kind):
        """Compare kinds: unknown before known, then by turns or by seconds.

        The first fit in a process also imports libraries, so the shortest time tells most.
        """
        seconds = self._seconds.get(kind)
        return (0, min(seconds)) if seconds else (1, -self._handed_out[kind])


def _kind_of(fit):
    """Name what takes about equally long."""
    return fit.task, fit.information, fit.pipeline


def _run_fit(data, fit, number):
    """Run one fit in a worker; an exception becomes a sentence."""
    try:
        with one_thread():
            rows = score_fold(
                fit.estimator,
                data.X,
                data.y,
                data.groups,
                *fit.rows(data),
                seed=fit.seed,
                information=fit.information,
            )
    except Exception as error:
        sentence = str(error) or "no message"
        return number, None, (f"{type(error).__name__}: {sentence}", traceback.format_exc())
    return number, [row | {"versions": versions()} for row in rows], None


def _scores(fits, found):
    """Make the table, always in the same order."""
    rows = [fits[number].labels | row for number in sorted(found) for row in found[number]]
    return pd.DataFrame(rows, columns=COLUMNS)


def _failures(fits, failed):
    """List what failed."""
    columns = [*COLUMNS[:6], "subject", "error", "traceback"]
    rows = [
        fits[number].labels | {"subject": fits[number].subject, "error": error, "traceback": where}
        for number, (error, where) in sorted(failed.items())
    ]
    return pd.DataFrame(rows, columns=columns)


def describe_failures(failures):
    """Say in a line each which fits failed, and why.

    Parameters
    ----------
    failures : DataFrame
        As in `BenchmarkResult`.

    Returns
    -------
    list of str
        The lines.
    """
    return [
        f"{row.task}, {row.information}, {row.pipeline}, seed {row.seed}, fold {row.fold}"
        + ("" if pd.isna(row.subject) else f", subject {row.subject}")
        + f": {row.error}"
        for row in failures.itertuples()
    ]


def _warn_of(failures, n_fits):
    """Say in the end which fits failed."""
    if len(failures) == 0:
        return
    lines = describe_failures(failures.head(5))
    more = "" if len(failures) <= 5 else f"\n  and {len(failures) - 5} more"
    warnings.warn(
        f"{len(failures)} of {n_fits} fits failed; the next start tries them again:\n  "
        + "\n  ".join(lines)
        + more,
        stacklevel=3,
    )
