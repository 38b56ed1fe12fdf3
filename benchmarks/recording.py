"""What recording attention costs: nothing when off, little when on.

Writes ``benchmarks/results/recording.md``; ratios of one run, medians of interleaved calls::

    OMP_NUM_THREADS=1 python benchmarks/recording.py
"""

import multiprocessing
import re
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from skeegformer import EEGTransformer, record_attention
from skeegformer.attention import RolloutFold
from skeegformer.nn import Attention

RESULTS = Path(__file__).parent / "results"
ORIGINAL = {"tokenizer": "linear", "embed_dim": 128, "n_layers": 5, "n_heads": 8}
MODELS = {"default": {}, "size of the original": ORIGINAL}
BATCH = 64
REPEATS = 101


class WithoutRecording(Attention):
    """The same layer, without a word of recording in it."""

    def forward(self, x, n_queries=None):
        """Let tokens gather from all tokens."""
        if n_queries is None:
            parts = self.query_key_value(x).chunk(3, dim=-1)
        else:
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            size = x.shape[-1]
            query = F.linear(x[:, :n_queries], weight[:size], bias[:size])
            parts = query, *F.linear(x, weight[size:], bias[size:]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        gathered = F.scaled_dot_product_attention(q, k, v)
        return self.drop(self.out(gathered.transpose(1, 2).flatten(2)))


def _network(params, n_chans=64):
    torch.manual_seed(0)
    return EEGTransformer(n_chans, 2, 320, 160.0, **params).eval()


def measure_times(params):
    """Median seconds of a forward pass, by what is recorded, and the differences of logits."""
    network, bare = _network(params), _network(params)
    for block in bare.blocks:
        block.attention.__class__ = WithoutRecording
    x = torch.randn(BATCH, 64, 320)
    outputs, seconds = {}, {}

    def full():
        with record_attention(network):
            return network(x)

    def folded():
        with record_attention(network, reduce=RolloutFold(output="class")):
            return network(x)

    ways = {
        "without": lambda: bare(x),
        "off": lambda: network(x),
        "rollout": folded,
        "full": full,
    }
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for _ in range(REPEATS):
            # What ran before decides on the state of the caches, so the order changes.
            for name in rng.permutation(list(ways)):
                start = time.perf_counter()
                outputs[name] = ways[name]()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    times = {name: np.median(values) for name, values in seconds.items()}
    differences = {
        name: (outputs[name] - outputs["without"]).abs().max().item() for name in ("off", "rollout")
    }
    return times, differences


def _peak(n_time_tokens, way, queue):
    network = _network({"n_time_tokens": n_time_tokens})
    x = torch.randn(BATCH, 64, 320)
    with torch.no_grad():
        network(x)  # what torch keeps for itself
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = _peak_mib()
        if way == "off":
            for _ in range(4):
                network(x)
        else:
            reduce = RolloutFold(output="class") if way == "rollout" else None
            with record_attention(network, reduce=reduce) as attention:
                for _ in range(4):
                    network(x)
                attention.values()
    queue.put(_peak_mib() - before)


def _peak_mib():
    """Read the peak of the resident memory; Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def measure_peak(n_time_tokens, way):
    """Growth of the process's peak memory in MiB over four batches, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(n_time_tokens, way, queue))
    process.start()
    value = queue.get()
    process.join()
    return value


def main():
    lines = [
        "# What recording attention costs",
        "",
        f"Made by `python benchmarks/recording.py`: {BATCH} epochs of 64 channels x 320 samples, "
        f"{torch.get_num_threads()} thread(s), torch {torch.__version__}. Times relative to a "
        "network without any code for recording.",
        "",
        "| model | off | rollout folded | full tensor | logits differ by, off | by, rollout |",
        "|---|---|---|---|---|---|",
    ]
    for name, params in MODELS.items():
        times, differences = measure_times(params)
        ratios = [times[way] / times["without"] for way in ("off", "rollout", "full")]
        lines.append(
            f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} | "
            f"{differences['off']:.1e} | {differences['rollout']:.1e} |"
        )
    lines += [
        "",
        "Growth of peak memory over four such batches, in MiB:",
        "",
        "| tokens | off | rollout folded | full tensor |",
        "|---|---|---|---|",
    ]
    for n_time_tokens in (1, 4):
        peaks = [measure_peak(n_time_tokens, way) for way in ("off", "rollout", "full")]
        cells = " | ".join(f"{peak:.0f}" for peak in peaks)
        lines.append(f"| {1 + 64 * n_time_tokens} | {cells} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "recording.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
