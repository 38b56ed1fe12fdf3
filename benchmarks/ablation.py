"""Whether every part of the network matters: scores without each of them.

Every part is left out, or replaced by what is simpler, and the network is trained and tested on
unseen subjects as in the table of cross-subject scores::

    python benchmarks/ablation.py --seeds 0 1 2

Writes ``benchmarks/results/ablation.csv``, a row for each variant and test subject, and
``ablation.md``, the means; for other people, another table::

    python benchmarks/ablation.py --seeds 0 1 2 --tasks fist-imagination --subjects 1 2 3 ... \
        --table benchmarks/results/ablation_fists.csv

Finished fits are kept in ``--store``: killed and started again, it goes on where it was.
"""

from pathlib import Path

import torch
from prepared import prepared, unprepared
from torch import nn
from variants import parser, renew, run_folds

from skeegformer import EEGTransformer, EEGTransformerClassifier, make_eeg_pipeline
from skeegformer.baselines import BENCHMARK_PIPELINES, benchmark_pipelines
from skeegformer.evaluation.tasks import STANDARD_TASKS

TABLE = Path(__file__).parent / "results" / "ablation.csv"
OURS = BENCHMARK_PIPELINES[-1]


class FreeWeights(nn.Module):
    """Weights of spatial filters as they are, without any softmax."""

    def __init__(self, like):
        super().__init__()
        self.weight = nn.Parameter(like.positive.detach().clone())

    def forward(self):
        """Give the weights."""
        return self.weight

    def softmaxes(self):
        """Give what is added and what is subtracted, in place of softmaxes."""
        weight = self.forward()
        return torch.stack([weight.clamp_min(0), (-weight).clamp_min(0)])


class OneSoftmax(FreeWeights):
    """Attention without signs."""

    def forward(self):
        """Give the weights."""
        return (3.0 * self.weight).softmax(dim=-1)


class WithFreeWeights(EEGTransformer):
    """Without attention."""

    def __init__(self, *args, **params):
        super().__init__(*args, **params)
        self.attention = FreeWeights(self.attention)


class WithOneSoftmax(EEGTransformer):
    """Without signs."""

    def __init__(self, *args, **params):
        super().__init__(*args, **params)
        self.attention = OneSoftmax(self.attention)


class WithoutTokens(EEGTransformer):
    """Without tokens of one kind."""

    kind = 0

    def read_out(self, tokens):
        """Read out the other kind."""
        keep = torch.ones(2, 1, 1, device=tokens.device)
        keep[self.kind] = 0
        return super().read_out(tokens * keep)


class WithoutMeans(WithoutTokens):
    """With log powers alone."""

    kind = 1


class WithoutTemporalFilters(EEGTransformer):
    """With one number in place of each temporal filter."""

    def __init__(self, *args, **params):
        super().__init__(*args, **params)
        self.temporal = nn.Parameter(torch.rand_like(self.temporal[..., :1]) - 0.5)


class _Ablated(EEGTransformerClassifier):
    """The classifier with another network."""

    network = EEGTransformer

    def _make_network(self):
        return self.network, super()._make_network()[1]


class _FreeWeights(_Ablated):
    network = WithFreeWeights


class _OneSoftmax(_Ablated):
    network = WithOneSoftmax


class _NoPowers(_Ablated):
    network = WithoutTokens


class _NoMeans(_Ablated):
    network = WithoutMeans


class _NoTemporalFilters(_Ablated):
    network = WithoutTemporalFilters


class _EqualGains(_Ablated):
    """Without a look at what each kind of token tells."""

    def _learn_statistics(self, network, data, codes):
        super()._learn_statistics(network, data, codes)
        network.gains.fill_(1.0)


VARIANTS = {
    "whole": (EEGTransformerClassifier, {}),
    "free weights": (_FreeWeights, {}),
    "one softmax": (_OneSoftmax, {}),
    "no log powers": (_NoPowers, {}),
    "no means": (_NoMeans, {}),
    "equal gains": (_EqualGains, {}),
    "no temporal filters": (_NoTemporalFilters, {}),
    "one filter a head": (EEGTransformerClassifier, {"n_filters": 1}),
    "one group": (EEGTransformerClassifier, {"n_groups": 1}),
    "no mirror images": (EEGTransformerClassifier, {"mirror": None}),
    "no dropout": (EEGTransformerClassifier, {"drop_prob": 0.0}),
    "no weight decay": (EEGTransformerClassifier, {"weight_decay": 0.0}),
}


# Rows of the code at commit 7822c42, by its ``cross_subject.py`` and ``nested_choice.py``, and with
# two changes that ``results/model_search.md`` gives.
FORMER = [
    "0.1",
    "0.1, transformer alone",
    "0.1, linear rule alone",
    "0.1, covariance tokens, signed attention",
]


def score(task, args):
    """Score every variant: its name, and its rows."""
    X, y, groups = prepared(task, args.subjects)
    for name in args.variants:
        kind, params = VARIANTS[name]

        def pipelines(information, task, kind=kind, params=params):
            default = benchmark_pipelines(information, task=task)[OURS][-1].get_params()
            # The preparation is done already: its steps are taken off again.
            made = make_eeg_pipeline(kind(**{**default, **params}), resample=1.0)
            return {OURS: unprepared(made)}

        yield name, run_folds(pipelines, lambda task: (X, y, groups), task, args)


def main():
    options = parser(__doc__, tasks=STANDARD_TASKS)
    options.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    options.add_argument("--table", type=Path, default=TABLE, help="of rows, for other subjects")
    args = options.parse_args()
    names = [*FORMER, *VARIANTS]
    renew(args.table, "variant", names, lambda task: score(task, args), args, as_rows=True)


if __name__ == "__main__":
    main()
