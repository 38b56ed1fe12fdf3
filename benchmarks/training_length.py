"""Whether networks of the table of cross-subject scores would do better if they trained longer.

All of them are trained for the same number of steps there, as many as were chosen for ours. Here
some train four times as long, on the same folds with the same seeds, the learning rate coming down
as slowly.

Puts rows in place of older ones of the same fits into ``benchmarks/results/training_length.csv``,
and makes ``training_length.md`` of all rows. Networks of braindecode need an environment of their
own::

    python benchmarks/training_length.py --pipelines ShallowFBCSPNet --seeds 0 1 2 --jobs 2
"""

from functools import partial
from pathlib import Path

from prepared import SUBJECTS, prepared, unprepared_pipelines
from variants import parser, renew, run_folds

TABLE = Path(__file__).parent / "results" / "training_length.csv"
# Passes over the training epochs of a fold that max_epochs="auto" makes of 600 steps; less where
# mirror images join in.
PASSES = {
    "baseline-eyes": 35,
    "fist-imagination": 46,
    "fist_feet-imagination": 46,
    "four-class-imagination": 23,
}
MIRRORED_PASSES = {
    "baseline-eyes": 20,
    "fist-imagination": 23,
    "fist_feet-imagination": 23,
    "four-class-imagination": 20,
}
NETWORKS = {
    "ShallowFBCSPNet": PASSES,
    "Deep4Net": PASSES,
    "EEGNet": PASSES,
    "skeegformer": MIRRORED_PASSES,
}
TIMES = {"as in the table": None, "four times as long": 4}


def make(kind, task, names, times):
    """Make pipelines of the table that train that many times as long."""
    pipelines = unprepared_pipelines(kind, task, names)
    for name, pipeline in pipelines.items():
        if times is not None:
            pipeline[-1].set_params(max_epochs=times * NETWORKS[name][task])
    return pipelines


def score(task, args):
    """Score every network with each length of training."""
    for training, times in TIMES.items():
        pipelines = partial(make, names=args.pipelines, times=times)
        yield training, run_folds(pipelines, partial(prepared, subjects=args.subjects), task, args)


def main():
    options = parser(__doc__, tasks=tuple(PASSES))
    options.add_argument("--pipelines", nargs="+", default=tuple(NETWORKS), choices=tuple(NETWORKS))
    args = options.parse_args()
    others = set(args.tasks) - set(PASSES) or args.folds != 4
    if others or tuple(args.subjects) != SUBJECTS:
        options.error(
            f"numbers of passes are known for {', '.join(PASSES)}, 12 subjects in 4 folds"
        )
    renew(TABLE, "training", list(TIMES), partial(score, args=args), args)


if __name__ == "__main__":
    main()
