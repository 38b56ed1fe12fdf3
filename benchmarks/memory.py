"""How much memory training takes, from an array and from a memory-mapped file.

Simulates epochs into a file, trains on it in fresh processes and prints the most memory that each
took beyond what the imports take. Writes ``benchmarks/results/memory.md``::

    OMP_NUM_THREADS=1 python benchmarks/memory.py --megabytes 1000
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
SHAPE = (64, 320)
N_SUBJECTS = 8
# What runs in a process of its own, so that its peak is of the training alone.
TRAINING = """
import json, sys, time
import mne, pandas, scipy.signal, skorch, torch
from skeegformer import EEGTransformerClassifier, load_memmap

path, how, params = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def read_status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024


# A small fit first: what libraries load when they are first used is no memory of the data.
X, y, metadata = load_memmap(path)
some = slice(0, len(X), max(1, len(X) // 64))
EEGTransformerClassifier(**params).fit(X[some].load(), y[some])
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is counted anew from here
before = read_status("VmRSS:")
start = time.perf_counter()
if how == "array":
    X = X.load()
classifier = EEGTransformerClassifier(**params).fit(X, y)
fitted = time.perf_counter() - start
proba = classifier.predict_proba(X)
print(json.dumps({
    "peak": read_status("VmHWM:") - before,
    "before": before,
    "seconds": fitted,
    "sum": float(abs(proba).sum()),
    "loss": classifier.history_[-1, "train_loss"],
}))
"""


def simulate(folder, megabytes, seed=0):
    """Write epochs with a rhythm that tells the classes apart, block by block."""
    import pandas as pd

    from skeegformer.datasets._memmap_files import write_files

    rng = np.random.default_rng(seed)
    n_epochs = int(megabytes * 1e6 / (4 * np.prod(SHAPE)))
    rhythm = np.sin(2 * np.pi * 10 * np.arange(SHAPE[1]) / 160)
    ch_names = [f"E{i}" for i in range(SHAPE[0])]

    def chunks():
        for start in range(0, n_epochs, 64):
            which = np.arange(start, min(start + 64, n_epochs))
            data = 10 * rng.standard_normal((len(which), *SHAPE), dtype=np.float32)
            data[which % 2 == 0, 8] += 8 * rhythm
            labels = {
                "subject": which * N_SUBJECTS // n_epochs,
                "stage": "-1",
                "condition": np.where(which % 2 == 0, "rhythm", "noise"),
            }
            yield 1e-6 * data, pd.DataFrame(labels)

    header = {"unit": "V", "channels": {"ch_names": ch_names, "sfreq": 160.0}}
    return write_files(folder, "simulated", SHAPE[1], chunks(), header)


def measure(path, how, params):
    """Train in a fresh process, and return what it measured."""
    import json

    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    run = subprocess.run(
        [sys.executable, "-c", TRAINING, str(path), how, json.dumps(params)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if run.returncode:
        raise RuntimeError(f"The training ended with an error:\n{run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def main(argv=None):
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=float, default=1000, help="size of the data")
    parser.add_argument("--passes", type=int, default=1, help="passes over the data")
    parser.add_argument("--folder", help="where the data go for the time being")
    args = parser.parse_args(argv)

    rows = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = simulate(folder, args.megabytes)
        size = path.stat().st_size
        params = {"sfreq": 160.0, "max_epochs": args.passes, "random_state": 0}
        for how in ("array", "file"):
            found = measure(path, how, params)
            rows.append(
                f"| {how} | {found['peak'] / 1e6:.0f} | {found['peak'] / size:.2f} | "
                f"{found['seconds']:.0f} | {found['loss']:.6f} |"
            )
            print(rows[-1], flush=True)
    table = "\n".join(
        [
            f"# Memory of a training on {size / 1e6:.0f} MB",
            "",
            f"{size // (4 * int(np.prod(SHAPE)))} simulated epochs of {SHAPE[0]} channels and "
            f"{SHAPE[1]} samples; `EEGTransformerClassifier` with {args.passes} pass(es), then "
            "`predict_proba` of all epochs, each row in a fresh process. Memory is the peak of the "
            "resident set from the moment when libraries are loaded and warm; an array is read "
            "from the same file first.",
            "",
            "| X | peak, MB | peak / size of X | fit, s | last loss |",
            "|---|--:|--:|--:|--:|",
            *rows,
            "",
            f"`python benchmarks/memory.py --megabytes {args.megabytes:g} --passes "
            f"{args.passes}`; torch {version('torch')}, "
            f"{platform.processor() or platform.machine()}, one thread.",
            "",
        ]
    )
    RESULTS.joinpath("memory.md").write_text(table, encoding="utf-8")
    print("\n" + table)


if __name__ == "__main__":
    main()
