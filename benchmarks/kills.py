"""What is left of work that is killed at random moments, and how memory grows.

A training (``skeegformer train``), a benchmark, and writers of exports and of models are killed
again and again, and taken up again::

    python benchmarks/kills.py --n-kills 20

Prints a row for each: how often the result was that of a run left alone, to the bit, how often
there was a sentence instead, and how often neither, which should be never. Then what memory a
stream, predictions and fits take more, the later they are.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import LeaveOneGroupOut

from skeegformer import (
    EEGTransformerClassifier,
    StreamPredictor,
    load_memmap,
    load_model,
    make_baseline,
    make_simulated_eeg,
    run_benchmark,
    save_model,
    write_memmap,
)
from skeegformer.cli import main

SENTENCE, WRONG = 2, 3  # exit codes


def quick(**params):
    """Make a classifier that is trained in a moment."""
    return EEGTransformerClassifier(**{"n_heads": 4, "max_epochs": 2, "random_state": 0} | params)


def call(function, *arguments):
    """Call a function, and tell by the exit code how it ended; never returns."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        try:
            code = function(*arguments)
        except (ValueError, TypeError, OSError):
            code = SENTENCE
        except BaseException:
            traceback.print_exc()
            code = WRONG
    os._exit(code if isinstance(code, int) else 0)


def start(function, *arguments, kill_after=None):
    """Run a function in a process, perhaps kill it; give the exit code, negative if killed."""
    process = multiprocessing.get_context("fork").Process(target=call, args=(function, *arguments))
    process.start()
    process.join(kill_after)
    process.kill()
    process.join()
    return process.exitcode


class Training:
    """A training of the command line, taken up by ``--resume``, or anew if it had not begun."""

    def __init__(self, folder):
        X, y, metadata, _ = make_simulated_eeg(4, 20, duration=0.5, random_state=0)
        X = X.pick(["C3", "Cz", "C4", "Pz", "O1", "O2"])
        export = write_memmap(X, y, metadata, folder / "export")
        self.command = ["train", "--data", str(export), "--max-epochs", "30", "--patience", "30"]
        self.command += ["--n-heads", "4", "--seed", "3", "--name", "run", "--quiet", "--output"]

    def begin(self, place):
        return main([*self.command, str(place)])

    def go_on(self, place):
        if not (place / "run" / "config.yaml").exists():
            shutil.rmtree(place, ignore_errors=True)
            return self.begin(place)
        return main(["train", "--resume", str(place / "run")])

    def result(self, place):
        model = load_model(place / "run" / "model.safetensors")
        table = pd.read_csv(place / "run" / "history.csv").drop(columns="dur")
        weights = model[-1].net_.module_.state_dict()
        return [table.to_csv(), *(value.numpy().tobytes() for value in weights.values())]


class Benchmark:
    """A benchmark with a store."""

    def __init__(self, folder):
        X, y, metadata, _ = make_simulated_eeg(4, 20, duration=0.5, random_state=0)
        self.data = X.pick(["C3", "Cz", "C4"]).get_data(units="uV"), y, metadata["subject"]

    def begin(self, place):
        place.mkdir(exist_ok=True)
        pipelines = {"ours": quick(sfreq=160.0), "csp+lda": make_baseline("csp+lda")}
        options = {"cv": LeaveOneGroupOut(), "seeds": (0, 1), "store": place / "store"}
        found = run_benchmark({"strict": pipelines}, lambda task: self.data, ["a"], **options)
        found.scores.to_csv(place / "scores.csv", index=False)

    go_on = begin

    def result(self, place):
        table = pd.read_csv(place / "scores.csv")
        return table.drop(columns=[name for name in table if "seconds" in name]).to_csv()


class Writer:
    """Files that are written again and again: what is left has to be one of the two, and whole."""

    def begin(self, place):
        place.mkdir(exist_ok=True)
        self.write(place, 0)
        (place / "begun").touch()
        for number in range(1, 10**6):
            self.write(place, number % 2)

    def go_on(self, place):
        if (place / "begun").exists():
            self.read(place)
        self.write(place, 0)

    def result(self, place):
        return self.read(place)


class Export(Writer):
    """Exports of as many and of fewer epochs under one name."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.epochs = [rng.standard_normal((n, 8, 100)) for n in (300, 200)]

    def write(self, place, number):
        X = self.epochs[number]
        write_memmap(X, [number] * len(X), None, place / "export", overwrite=True)

    def read(self, place):
        X, y, _ = load_memmap(place / "export")
        expected = self.epochs[y[0]].astype(np.float32)
        assert (X.load() == (expected * 1e6 if X.unit == "V" else expected)).all()
        return y.tolist()


class Model(Writer):
    """Models that replace each other."""

    def __init__(self, folder):
        X, y, _, _ = make_simulated_eeg(2, 10, duration=0.5, random_state=0)
        self.X = X
        self.models = [quick(random_state=seed).fit(X, y) for seed in (0, 1)]
        self.expected = [model.predict_proba(X) for model in self.models]

    def write(self, place, number):
        save_model(self.models[number], place / "model.safetensors", overwrite=True)

    def read(self, place):
        found = load_model(place / "model.safetensors").predict_proba(self.X)
        (number,) = (i for i, one in enumerate(self.expected) if (one == found).all())
        return number


def count_kills(case, folder, n_kills, rng):
    """Kill, take up again, and compare; twice killed where the second run is still there."""
    whole, began = folder / "whole", time.perf_counter()
    is_writer = isinstance(case, Writer)
    if is_writer:
        start(case.begin, whole, kill_after=1.0)
        start(case.go_on, whole)
    else:
        assert start(case.begin, whole) == 0
    duration = 1.0 if is_writer else time.perf_counter() - began
    expected, counts = case.result(whole), Counter()
    for number in range(n_kills):
        place = folder / str(number)
        start(case.begin, place, kill_after=rng.uniform(0, duration))
        if not is_writer:
            start(case.go_on, place, kill_after=rng.uniform(0, duration))
        code = start(case.go_on, place)
        if code == 0:
            try:
                code = 0 if case.result(place) == expected else WRONG
            except Exception:
                traceback.print_exc()
                code = WRONG
        counts[{0: "identical", SENTENCE: "sentence"}.get(code, "wrong")] += 1
        left = [path.name for path in place.rglob(".*")]
        counts["files left over"] += len(left)
        shutil.rmtree(place, ignore_errors=True)
    return counts


def resident():
    """Give the bytes of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def count_memory(n_chunks, n_predictions, n_fits):
    """Give how many MB the process grows by in the second half of as many repetitions."""
    X, y, _, _ = make_simulated_eeg(2, 20, random_state=0)
    classifier = quick().fit(X, y)
    predictor = StreamPredictor(classifier, step=0.05)
    chunk = np.hstack(X.get_data()[:4])[:, :16]
    repeated = {
        f"{n_chunks} chunks": (n_chunks, lambda: predictor.push(chunk)),
        f"{n_predictions} predictions": (n_predictions, lambda: classifier.predict_proba(X)),
        f"{n_fits} fits": (n_fits, lambda: quick().fit(X, y)),
    }
    grown = {}
    for name, (n, function) in repeated.items():
        for i in range(n):
            if i == n // 2:
                before = resident()
            function()
        grown[name] = (resident() - before) / 1e6
    return grown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-kills", type=int, default=20, help="of each kind")
    parser.add_argument("--n-chunks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    rng, n_wrong = np.random.default_rng(args.seed), 0
    for kind in (Training, Benchmark, Export, Model):
        with tempfile.TemporaryDirectory() as folder:
            counts = count_kills(kind(Path(folder)), Path(folder), args.n_kills, rng)
        n_wrong += counts["wrong"]
        print(f"{kind.__name__:10}", dict(counts), flush=True)
    for name, grown in count_memory(args.n_chunks, 200, 20).items():
        print(f"{name:16} {grown:+.1f} MB", flush=True)
    raise SystemExit(n_wrong > 0)
