"""How fast it trains and predicts, against the rate of plain matrix products, in one run.

Writes ``benchmarks/results/speed.md``. Absolute numbers belong to a machine; compare ratios of one
run::

    OMP_NUM_THREADS=2 python benchmarks/speed.py
    OMP_NUM_THREADS=1 python benchmarks/speed.py --only online
"""

import argparse
import multiprocessing
import os
import platform
import resource
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
MODELS = {
    "EEGTransformerClassifier": {},
    "OriginalTransformerClassifier": {"early_stopping": False},
}
SHAPE = (61, 320)
ONLINE = "One epoch at a time"


def matrix_products(size=512, seconds=2.0):
    """Measure float32 matrix products in GFLOP/s."""
    import torch

    a, b = torch.randn(size, size), torch.randn(size, size)
    (a @ b).sum()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        count += 1
    return count * 2 * size**3 / (time.perf_counter() - start) / 1e9


def _measure_model(name, params, n_epochs, queue):
    import skeegformer

    kind = getattr(skeegformer, name)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_epochs, *SHAPE)).astype(np.float32)
    y = np.arange(n_epochs) % 2
    options = {"sfreq": 160.0, "random_state": 0, **params}
    kind(max_epochs=1, **options).fit(X[:64], y[:64])  # warm up
    classifier = kind(max_epochs=3, **options)
    classifier.fit(X, y)
    # The passes alone: statistics and importances are made once, however many passes follow.
    fit = n_epochs / np.median(classifier.history_[:, "dur"])
    start = time.perf_counter()
    classifier.predict(X)
    predict = n_epochs / (time.perf_counter() - start)
    single = []
    for epoch in X[:30]:
        start = time.perf_counter()
        classifier.predict(epoch[np.newaxis])
        single.append(time.perf_counter() - start)
    n_weights = sum(p.numel() for p in classifier.net_.module_.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    queue.put((n_weights, fit, predict, 1000 * np.median(single), peak))


def _measure_loading(queue):
    import mne

    mne.set_log_level("ERROR")
    from skeegformer import load_eegmmi

    load_eegmmi("baseline-eyes", [1])  # imports and caches
    rows = []
    for task in ("baseline-eyes", "fist-imagination"):
        start = time.perf_counter()
        X, _, _ = load_eegmmi(task, [1, 2, 3, 4])
        rows.append((task, len(X), (time.perf_counter() - start) / 4))
    queue.put((rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _measure_online(n_rounds, queue):
    """Time what a single epoch takes, every way after the other, so that all share the load."""
    import tempfile

    import onnxruntime
    import torch

    from skeegformer import (
        EEGTransformerClassifier,
        StreamPredictor,
        export_network,
        make_eeg_pipeline,
    )

    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, *SHAPE)).astype(np.float32)
    y = np.arange(64) % 2
    classifier = EEGTransformerClassifier(max_epochs=1, sfreq=160.0, random_state=0).fit(X, y)
    pipe = make_eeg_pipeline(classifier)
    pipe.set_params(bandpassfilter__sfreq=160.0).fit(X, y)
    predictor = StreamPredictor(pipe, step=0.1)
    predictor.push(np.hstack(X[:2]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        session = onnxruntime.InferenceSession(
            export_network(classifier, Path(folder) / "network.onnx"), options
        )
    epoch, samples = X[:1], X[0, :, :16]
    ways = {
        "classifier.predict_proba": lambda: classifier.predict_proba(epoch),
        "exported, ONNX": lambda: session.run(None, {"epochs": epoch}),
        "pipeline.predict_proba, with the filter": lambda: pipe.predict_proba(epoch),
        "StreamPredictor.push of one step, with the filter": lambda: predictor.push(samples),
        "StreamPredictor.push of one sample": lambda: predictor.push(samples[:, :1]),
    }
    durations = {name: [] for name in ways}
    with torch.no_grad():
        for _ in range(n_rounds):
            for name, call in ways.items():
                start = time.perf_counter()
                call()
                durations[name].append(1000 * (time.perf_counter() - start))
    queue.put({name: np.quantile(values, (0.1, 0.5, 0.9)) for name, values in durations.items()})


def _online_lines():
    rows = _in_own_process(_measure_online, 300)
    reference = rows["classifier.predict_proba"][1]
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    return [
        f"{ONLINE}, default model, {threads} threads, onnxruntime {version('onnxruntime')}. "
        "Milliseconds: median, first and last tenth of 300 rounds in which each way had its turn, "
        "and the median relative to the first row. Where other work runs as well, only the last "
        "column tells.",
        "",
        "| way | median | 10 % | 90 % | relative |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {median:.2f} | {low:.2f} | {high:.2f} | {median / reference:.2f} |"
            for name, (low, median, high) in rows.items()
        ),
    ]


def _in_own_process(function, *args):
    """Run in a fresh process, so that peak memory is that of this measurement alone."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=function, args=(*args, queue))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{function.__name__} ended with exit code {process.exitcode}.")
    return queue.get()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=640, help="EEG epochs to train on")
    parser.add_argument(
        "--only", choices=["online"], help="measure this part alone, and leave the others"
    )
    args = parser.parse_args()
    if args.only:
        text = "\n".join(_online_lines()) + "\n"
        print(text)
        path = RESULTS / "speed.md"
        others = path.read_text(encoding="utf-8").split(ONLINE)[0].rstrip()
        path.write_text(f"{others}\n\n{text}", encoding="utf-8")
        return

    lines = [
        f"{SHAPE[0]} channels x {SHAPE[1]} samples, {args.epochs} epochs, "
        f"{os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads, torch {version('torch')}, "
        f"Python {platform.python_version()}, {platform.machine()}.",
        "",
        "| model | weights | fit (epochs/s) | predict (epochs/s) | one epoch (ms) | peak (MiB) | "
        "matrix products (GFLOP/s) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, params in MODELS.items():
        rate = matrix_products()
        found = _in_own_process(_measure_model, name, params, args.epochs)
        weights, fit, predict, single, peak = found
        lines.append(
            f"| {name} | {weights} | {fit:.0f} | {predict:.0f} | {single:.1f} | {peak:.0f} | "
            f"{rate:.0f} |"
        )
    try:
        rows, peak = _in_own_process(_measure_loading)
        lines += ["", "| loading | epochs | s per subject | peak (MiB) |", "|---|---|---|---|"]
        lines += [f"| {task} | {n} | {seconds:.2f} | {peak:.0f} |" for task, n, seconds in rows]
    except RuntimeError:
        lines += ["", "Loading was not measured: no recordings where MNE_DATA points."]
    lines += ["", *_online_lines()]
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
