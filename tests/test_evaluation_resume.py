"""Benchmarks that are killed, broken or fail in the middle go on where they were."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import killed_benchmark
import numpy as np
import pandas as pd
import pytest
import sklearn
from logging_classifier import LoggingClassifier, read_log
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import EarlyStopping

from skeegformer import ChannelPicker, EEGTransformerClassifier, make_baseline
from skeegformer.evaluation import run_benchmark
from skeegformer.evaluation._store import describe, digest

TIMES = ["fit_seconds", "predict_seconds"]


def _lines(store):
    """Read the whole lines of finished fits."""
    path = store / "fits.jsonl"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _name(settings):
    """Tell which fit it was by what the classifier saw."""
    return settings["seed"], tuple(settings["train"])


def _names_of(log):
    return Counter((line["seed"], tuple(line["groups"])) for line in read_log(log))


def _run(folder, options=None, name="log", **params):
    """Run a benchmark of a logging classifier, with a store and a log in a folder."""
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = LoggingClassifier(str(folder / "log"), **params).set_fit_request(groups=True)
    given = {"load": killed_benchmark.load, "tasks": "one", "cv": LeaveOneGroupOut()}
    given |= {"store": folder / "store"} | (options or {})
    return run_benchmark({"strict": {name: classifier}}, **given)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    store, log, table = tmp_path / "store", tmp_path / "log", tmp_path / "table.csv"
    here = Path(__file__).parent
    command = [sys.executable, "killed_benchmark.py", str(store), str(log), str(table)]
    run = subprocess.Popen([*command, "2"], cwd=here, start_new_session=True)
    while len(_lines(store)) < 7:
        assert run.poll() is None, "ended before it was killed"
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)  # with its workers, which would wait for five minutes
    run.wait()
    kept = [json.loads(line)["settings"] for line in _lines(store)]
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
    read = pd.read_csv(table, float_precision="round_trip").drop(columns=TIMES)
    pd.testing.assert_frame_equal(read, whole.drop(columns=TIMES), check_exact=True)
    # A third start fits nothing.
    killed_benchmark.run(store, log, pace=0.5)
    assert _names_of(log) == before + again


def test_broken_lines_are_noticed(tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    log.touch()
    with pytest.raises(ValueError, match="log is a file; name a folder"):
        killed_benchmark.run(log, log)
    first = killed_benchmark.run(store, log).scores
    lines = _lines(store)
    assert len(lines) == 40
    damaged = [lines[0][:-40], "[" * 9999, "7", '{"key": 1}', *lines[1:30], lines[30][:-9]]
    (store / "fits.jsonl").write_bytes("\n".join(damaged).encode() + b"\xff\x00")
    with pytest.warns(UserWarning, match=r"fits.jsonl has 5 lines that are broken or cut off"):
        second = killed_benchmark.run(store, log).scores
    assert len(read_log(log)) == 40 + 11
    pd.testing.assert_frame_equal(first.drop(columns=TIMES), second.drop(columns=TIMES))
    with pytest.warns(UserWarning, match="5 lines"):
        killed_benchmark.run(store, log)
    assert len(read_log(log)) == 40 + 11


def test_a_failed_fit_costs_no_other_and_is_tried_again(tmp_path):
    fault, log = tmp_path / "fault", tmp_path / "log"
    fault.touch()
    with pytest.warns(UserWarning, match="1 fits or subjects failed, 4 of 5 fits are") as caught:
        result = _run(tmp_path, fail_on=str(fault))
    message = str(caught[0].message)
    assert "one, strict, log, seed 0, fold 0: ValueError: subject 1 is not there" in message
    assert caught[0].filename == __file__
    assert result.scores["subject"].tolist() == [2, 3, 4, 5]
    failure = result.failures.iloc[0]
    assert (failure["fold"], failure["error"]) == (0, "ValueError: subject 1 is not there")
    assert "logging_classifier.py" in failure["traceback"]
    fault.unlink()
    result = _run(tmp_path, fail_on=str(fault))
    assert result.scores["subject"].tolist() == [1, 2, 3, 4, 5]
    assert len(result.failures) == 0
    assert len(read_log(log)) == 5  # four, then the one that was missing


def test_what_decides_on_the_scores_decides_on_the_fit(tmp_path):
    """A change of data, labels, parameters, seed, subjects or splitter is another fit."""
    X, y, subjects = killed_benchmark.load("one")
    log = tmp_path / "log"

    def n_fits(X=X, y=y, subjects=subjects, name="log", seconds=0.0, **options):
        before = len(read_log(log)) if log.exists() else 0
        options["load"] = lambda task: (X, y, subjects)
        _run(tmp_path, options, name, seconds=seconds)
        return len(read_log(log)) - before

    changed = X.copy()
    changed[0, 0, 0] += 1e-9
    swapped = y.copy()
    swapped[:2] = swapped[:2][::-1]
    assert n_fits() == 5
    changes = {"X": changed, "y": swapped, "seeds": 1, "seconds": 0.001, "name": "other"}
    for name, value in (changes | {"tasks": "two", "cv": 5}).items():
        assert n_fits(**{name: value}) == 5, name
    assert n_fits(X=X[:80], y=y[:80], subjects=subjects[:80]) == 4
    assert n_fits() == 0


def test_whatever_steps_see_of_epochs_decides_on_the_fit(simulated):
    X, y, metadata, _ = simulated
    subjects = metadata["subject"].to_numpy()

    first, renamed = X.ch_names[0], X.metadata.replace({"subject": {1: 9}})
    changes = {
        "types": lambda epochs: epochs.set_channel_types({first: "misc"}),
        "mains": lambda epochs: epochs.info.update(line_freq=60.0),
        "bads": lambda epochs: epochs.info.update(bads=[first]),
        "positions": lambda epochs: epochs.info["chs"][0]["loc"].__iadd__(0.01),
        "subjects": lambda epochs: setattr(epochs, "metadata", renamed),
    }
    before = digest(X, y, subjects)
    assert digest(X.copy(), y, subjects) == before
    for name, change in changes.items():
        changed = X.copy()
        change(changed)
        assert digest(changed, y, subjects) != before, name


def test_descriptions_tell_apart_what_scores_differently():
    names = [f"E{k}" for k in range(200)]
    with sklearn.config_context(enable_metadata_routing=True):
        asking = EEGTransformerClassifier().set_fit_request(groups=True)
    different = [
        make_baseline("csp+lda"),
        make_baseline("csp+lda").set_params(csp__n_components=4),
        EEGTransformerClassifier(),
        asking,
        make_pipeline(ChannelPicker(names), asking),
        make_pipeline(ChannelPicker([*names[:100], *names[101:]]), asking),
        GridSearchCV(asking, {"lr": [0.1]}),
        GridSearchCV(asking, {"lr": [0.2]}),
        *(EEGTransformerClassifier(callbacks=[EarlyStopping(patience=n)]) for n in (3, 30)),
        make_pipeline(FunctionTransformer(np.abs), EEGTransformerClassifier()),
        make_pipeline(FunctionTransformer(np.square), EEGTransformerClassifier()),
    ]
    texts = [describe(value) for value in different]
    assert len(set(texts)) == len(texts)
    assert not any(" at 0x" in text for text in texts)
    assert texts[-2] == describe(clone(different[-2]))
