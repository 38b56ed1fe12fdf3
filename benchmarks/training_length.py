"""Whether networks of the table of cross-subject scores would do better if they trained longer.

All of them are trained for the same number of steps there, as many as were chosen for ours. Here
some train four times as long, on the same folds with the same seeds, the learning rate coming down
as slowly.

Puts rows in place of older ones of the same fits into ``benchmarks/results/training_length.csv``,
and makes ``training_length.md`` of all rows. Networks of braindecode need an environment of their
own::

    python benchmarks/training_length.py --jobs 2
"""

from functools import partial
from pathlib import Path

from prepared import SUBJECTS, prepared, unprepared_pipelines
from variants import TASKS, parser, renew, run_folds

TABLE = Path(__file__).parent / "results" / "training_length.csv"
# Passes over the some 405 epochs of a fold that are four times those of max_epochs="auto", which
# for 600 steps are 46, or 23 where mirror images join in.
LONGER = {"ShallowFBCSPNet": 184, "Deep4Net": 184, "EEGNet": 184, "skeegformer": 92}
LENGTHS = {"as in the table": None, "four times as long": LONGER}


def make(kind, task, names, lengths):
    """Make pipelines of the table, with the lengths that are given."""
    pipelines = unprepared_pipelines(kind, task, names)
    for name, pipeline in pipelines.items():
        if lengths:
            pipeline[-1].set_params(max_epochs=lengths[name])
    return pipelines


def score(task, args):
    """Score every network with each length of training."""
    for training, lengths in LENGTHS.items():
        pipelines = partial(make, names=args.pipelines, lengths=lengths)
        yield training, run_folds(pipelines, partial(prepared, subjects=args.subjects), task, args)


def main():
    options = parser(__doc__)
    options.add_argument("--pipelines", nargs="+", default=tuple(LONGER), choices=tuple(LONGER))
    args = options.parse_args()
    others = set(args.tasks) - set(TASKS) or args.folds != 4
    if others or tuple(args.subjects) != SUBJECTS:
        options.error(f"numbers of passes are known for {', '.join(TASKS)}, 12 subjects in 4 folds")
    renew(TABLE, "training", list(LENGTHS), partial(score, args=args), args)


if __name__ == "__main__":
    main()
