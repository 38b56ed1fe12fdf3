"""What recording attention costs, relative to a plain forward pass.

Writes ``benchmarks/results/recording.md``; ratios of one run, medians of interleaved calls::

    OMP_NUM_THREADS=1 python benchmarks/recording.py
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from skeegformer import EEGTransformer, attention_rollout, record_attention
from skeegformer.nn import OriginalTransformer

RESULTS = Path(__file__).parent / "results"
BATCH = 64
REPEATS = 101
SHAPE = (64, 2, 320)


def signed():
    """Make the ways to run an `EEGTransformer`, each of which gives logits."""
    pairs = [*range(32, 64), *range(32)]
    network = EEGTransformer(*SHAPE, 160.0, pairs=pairs, swapped=[1, 0]).eval()

    def recorded(x, what=lambda values: values):
        with record_attention(network) as attention:
            logits = network(x)
        what(attention.values())
        return logits

    return {
        "off": network,
        "recorded": recorded,
        "rollout": lambda x: recorded(x, attention_rollout),
    }


def original():
    """Make the ways to run an `OriginalTransformer`."""
    network = OriginalTransformer(*SHAPE).eval()

    def recorded(x, what=lambda values: values):
        logits = []
        for batch in x.split(16):  # weights of all layers and heads take memory
            with record_attention(network) as attention:
                logits.append(network(batch))
            what(attention.values())
        return torch.cat(logits)

    return {
        "off": network,
        "recorded": recorded,
        "rollout": lambda x: recorded(x, partial(attention_rollout, output="class")),
    }


def measure(ways):
    """Median seconds of each way, and the largest difference of its logits from the first's."""
    x = torch.randn(BATCH, SHAPE[0], SHAPE[2])
    outputs, seconds = {}, {name: [] for name in ways}
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for _ in range(REPEATS):
            # What ran before decides on the state of the caches, so the order changes.
            for name in rng.permutation(list(ways)):
                start = time.perf_counter()
                outputs[name] = ways[name](x)
                seconds[name].append(time.perf_counter() - start)
    times = {name: np.median(values) for name, values in seconds.items()}
    gaps = {name: (out - outputs["off"]).abs().max().item() for name, out in outputs.items()}
    return times, gaps


def main():
    torch.manual_seed(0)
    lines = [
        "# What recording attention costs",
        "",
        f"Made by `python benchmarks/recording.py`: {BATCH} epochs of 64 channels x 320 samples at "
        f"160 Hz, {torch.get_num_threads()} thread(s), torch {torch.__version__}. Times relative "
        "to a forward pass that is not recorded.",
        "",
        "| network | recorded | rollout | logits differ by |",
        "|---|--:|--:|--:|",
    ]
    for name, make in (("EEGTransformer", signed), ("OriginalTransformer", original)):
        times, gaps = measure(make())
        ratios = [times[way] / times["off"] for way in ("recorded", "rollout")]
        cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"| {name} | {cells} | {max(gaps.values()):.1e} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "recording.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
