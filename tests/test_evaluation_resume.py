"""Benchmarks that are killed, broken or fail in the middle go on where they were."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import killed_benchmark
import pandas as pd
import pytest
import sklearn
from logging_classifier import LoggingClassifier, read_log

from skeegformer.evaluation import LeaveOneSubjectOut, SubjectFolds, run_benchmark

TIMES = ["fit_seconds", "predict_seconds"]


def _name(settings):
    """Tell which fit it was by what the classifier saw."""
    return settings["seed"], tuple(settings["train"])


def _names_of(log):
    return Counter((line["seed"], tuple(line["groups"])) for line in read_log(log))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    store, log, table = tmp_path / "store", tmp_path / "log", tmp_path / "table.csv"
    here = Path(__file__).parent
    command = [sys.executable, "killed_benchmark.py", str(store), str(log), str(table)]
    run = subprocess.Popen([*command, "2"], cwd=here)
    while len(list(store.glob("*.json"))) < 7:
        assert run.poll() is None, "ended before it was killed"
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    for worker in {line["process"] for line in read_log(log, "begin")}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)  # else they wait for five minutes
    kept = [json.loads(file.read_text())["settings"] for file in store.glob("*.json")]
    assert 7 <= len(kept) < 40
    assert not table.exists()
    before = _names_of(log)

    subprocess.run([*command, "1"], cwd=here, check=True)
    again = _names_of(log) - before
    # Nothing that was kept is fitted again, and everything else is: two pipelines, two tasks.
    everything = Counter(
        {(seed, tuple({1, 2, 3, 4, 5} - {out})): 4 for seed in (0, 1) for out in range(1, 6)}
    )
    assert again == everything - Counter(map(_name, kept))
    assert again.total() == 40 - len(kept)

    whole = killed_benchmark.run(tmp_path / "other store", tmp_path / "other log").scores
    assert len(whole) == 40
    pd.testing.assert_frame_equal(
        pd.read_csv(table).drop(columns=TIMES), whole.drop(columns=TIMES), check_exact=True
    )
    # A third start fits nothing.
    killed_benchmark.run(store, log, pace=0.5)
    assert _names_of(log) == before + again


@pytest.mark.parametrize("damage", ["cut", "empty", "bytes", "number", "other fit"])
def test_broken_files_are_noticed(tmp_path, damage):
    store, log = tmp_path / "store", tmp_path / "log"
    first = killed_benchmark.run(store, log).scores
    files = sorted(store.iterdir())
    assert len(files) == 40
    text = files[3].read_text()
    if damage == "cut":
        files[3].write_text(text[:-40])
    elif damage == "empty":
        files[3].write_text("")
    elif damage == "bytes":
        files[3].write_bytes(b"\xff\x00" * 100)
    elif damage == "number":
        files[3].write_text(text.replace('"n_epochs": 20', '"n_epochs": 21'))
    else:
        files[3].write_text(files[4].read_text())
    with pytest.warns(UserWarning, match=f"{files[3].name} is broken or cut off"):
        second = killed_benchmark.run(store, log).scores
    assert len(read_log(log)) == 41
    pd.testing.assert_frame_equal(first.drop(columns=TIMES), second.drop(columns=TIMES))
    assert files[3].read_text().startswith('{\n "checksum"')
    assert sorted(store.iterdir()) == files


def test_a_failed_fit_costs_no_other_and_is_tried_again(tmp_path):
    X, y, subjects = killed_benchmark.load("one")
    fault, log = tmp_path / "fault", tmp_path / "log"
    fault.touch()
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = LoggingClassifier(str(log), fail_on=str(fault)).set_fit_request(groups=True)

    def run():
        return run_benchmark(
            {"strict": {"log": classifier}},
            lambda task: (X, y, subjects),
            "one",
            protocol=LeaveOneSubjectOut(),
            store=tmp_path / "store",
            verbose=0,
        )

    with pytest.warns(UserWarning, match="1 of 5 fits failed; the next start tries") as caught:
        result = run()
    message = str(caught[0].message)
    assert "one, strict, log, seed 0, fold 0: ValueError: subject 1 is not there" in message
    assert caught[0].filename == __file__
    assert result.scores["subject"].tolist() == [2, 3, 4, 5]
    failure = result.failures.iloc[0]
    assert (failure["fold"], failure["error"]) == (0, "ValueError: subject 1 is not there")
    assert "logging_classifier.py" in failure["traceback"]
    fault.unlink()
    result = run()
    assert result.scores["subject"].tolist() == [1, 2, 3, 4, 5]
    assert len(result.failures) == 0
    assert len(read_log(log)) == 5  # four, then the one that was missing


class _Dying(LoggingClassifier):
    """Ends its process while a file is there, where subject 1 is tested."""

    def fit(self, X, y, groups=None):
        if Path(self.fail_on).exists() and 1 not in groups:
            time.sleep(0.5)
            os._exit(9)
        return super().fit(X, y, groups)


def test_a_worker_that_dies(tmp_path):
    """As when memory runs out: the run ends with a sentence, and the next one goes on."""
    fault, log, store = tmp_path / "fault", tmp_path / "log", tmp_path / "store"
    fault.touch()
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = _Dying(str(log), fail_on=str(fault)).set_fit_request(groups=True)

    def run(n_jobs):
        return run_benchmark(
            {"strict": {"log": classifier}},
            killed_benchmark.load,
            "one",
            protocol=LeaveOneSubjectOut(),
            store=store,
            n_jobs=n_jobs,
        ).scores

    with pytest.raises(RuntimeError, match="has died, .* finished fits of 5 are kept in .*store"):
        run(2)
    kept = len(list(store.iterdir()))
    assert kept < 5
    fault.unlink()
    before = len(read_log(log))
    assert run(1)["subject"].tolist() == [1, 2, 3, 4, 5]
    assert len(read_log(log)) - before == 5 - kept


def test_what_decides_on_the_scores_decides_on_the_fit(tmp_path):
    """A change of data, labels, parameters, seed, subjects or protocol is another fit."""
    X, y, subjects = killed_benchmark.load("one")
    log = tmp_path / "log"

    def n_fits(X=X, y=y, subjects=subjects, seed=0, protocol=None, name="log", task="one", **more):
        before = len(read_log(log)) if log.exists() else 0
        with sklearn.config_context(enable_metadata_routing=True):
            classifier = LoggingClassifier(str(log), **more).set_fit_request(groups=True)
        run_benchmark(
            {"strict": {name: classifier}},
            lambda task: (X, y, subjects),
            task,
            protocol=protocol or LeaveOneSubjectOut(),
            seeds=seed,
            store=tmp_path / "store",
        )
        return len(read_log(log)) - before

    assert n_fits() == 5
    assert n_fits() == 0
    changed = X.copy()
    changed[0, 0, 0] += 1e-9
    swapped = y.copy()
    swapped[:2] = swapped[:2][::-1]
    assert n_fits(X=changed) == 5  # subject 1 is in all five, to train on or to test
    assert n_fits(y=swapped) == 5
    assert n_fits(seed=1) == 5
    assert n_fits(seconds=0.001) == 5
    assert n_fits(name="other") == 5
    assert n_fits(task="two") == 5
    assert n_fits(protocol=SubjectFolds(5)) == 5
    assert n_fits(X=X[:80], y=y[:80], subjects=subjects[:80]) == 4
    # Folds of two subjects are tested by the same three: what is not changed is found again.
    assert n_fits(protocol=SubjectFolds(2)) == 2
    changed = X.copy()
    changed[subjects == 5] += 1e-9
    assert n_fits(X=changed, protocol=SubjectFolds(2)) == 2
    assert n_fits() == 0
