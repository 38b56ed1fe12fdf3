"""Whether networks of the table of cross-subject scores would do better if they trained longer.

Those below are trained with ``max_epochs="auto"`` there, 600 steps, as many as were chosen for
ours. Here some train four times as long, on the same folds with the same seeds, the learning rate
coming down as slowly.

Puts rows in place of older ones of the same fits into ``benchmarks/results/training_length.csv``,
and makes ``training_length.md`` of all rows. Networks of braindecode need an environment of their
own::

    python benchmarks/training_length.py --pipelines ShallowFBCSPNet --seeds 0 1 2 --jobs 2
"""

from functools import partial
from pathlib import Path

from merged import ahead, whole
from prepared import SUBJECTS, prepared, unprepared_pipelines
from variants import parser, renew, run_folds

from skeegformer.baselines import BENCHMARK_PIPELINES
from skeegformer.evaluation import compare_pipelines

TABLE = Path(__file__).parent / "results" / "training_length.csv"
# Passes over the training epochs of a fold that max_epochs="auto" makes: as many as 600 steps need,
# which are fewer where mirror images join in, and 20 at least.
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
OURS = BENCHMARK_PIPELINES[-1]
NETWORKS = {
    "ShallowFBCSPNet": PASSES,
    "Deep4Net": PASSES,
    "EEGNet": PASSES,
    OURS: MIRRORED_PASSES,
}
STANDARD, LONGER = "as long as in the table", "four times as long"
TIMES = {STANDARD: None, LONGER: 4}


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


def lead(scores):
    """Compare ours with others that trained longer, those that have all tasks, on their mean."""
    is_ours = scores["pipeline"] == OURS
    rows = scores[scores["training"] == is_ours.map({True: STANDARD, False: LONGER})]
    said = []
    for kind, of_kind in rows.groupby("information"):
        complete = whole(of_kind, PASSES)
        if complete["pipeline"].nunique() > 1 and OURS in set(complete["pipeline"]):
            found = compare_pipelines(complete, OURS)
            found = found[found["task"] == "all tasks"].set_index("pipeline")
            said += [f"{name} ({kind}) {ahead(row)}" for name, row in found.iterrows()]
    if not said:
        return ""
    return (
        f"{OURS}, trained {STANDARD}, against those {LONGER} on the mean of all {len(PASSES)} "
        "tasks, with 95 % intervals over subjects and p of Wilcoxon's signed-rank test (Holm): "
        f"{'; '.join(said)}."
    )


def main():
    options = parser(__doc__, tasks=tuple(PASSES))
    options.add_argument("--pipelines", nargs="+", default=tuple(NETWORKS), choices=tuple(NETWORKS))
    args = options.parse_args()
    others = set(args.tasks) - set(PASSES) or args.folds != 4
    if others or tuple(args.subjects) != SUBJECTS:
        options.error(
            f"numbers of passes are known for {', '.join(PASSES)}, 12 subjects in 4 folds"
        )
    renew(TABLE, "training", list(TIMES), partial(score, args=args), args, lead)


if __name__ == "__main__":
    main()
