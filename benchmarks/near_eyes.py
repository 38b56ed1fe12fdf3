"""What electrodes near the eyes tell of imagined movements.

Cues appear on one side of the screen, and whoever looks there moves the eyes: a classifier could
tell left from right by them, from the electrodes around. The scores of the benchmark once more,
without these electrodes, and with them alone; of whole epochs, and without their first 0.5 s, in
which eyes move to the cue.

Puts rows in place of older ones of the same tasks and seeds into
``benchmarks/results/near_eyes.csv``, and makes ``near_eyes.md`` of all rows::

    python benchmarks/near_eyes.py --seeds 0 1 2
"""

from functools import partial
from pathlib import Path

from prepared import prepared, unprepared_pipelines
from variants import parser, renew, run_folds

TABLE = Path(__file__).parent / "results" / "near_eyes.csv"
NEAR_EYES = ["Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8"]
NEAR_EYES += ["F7", "F5", "F6", "F8", "FT7", "FT8"]
CAPS = ("all 64", f"without {len(NEAR_EYES)} near the eyes", "those alone")
STARTS = {"": 0.0, ", from 0.5 s": 0.5}
VARIANTS = [cap + start for start in STARTS for cap in CAPS]
PIPELINES = ("CSP+LDA mirrored", "skeegformer")


def score(task, args):
    """Score both pipelines with each set of electrodes."""
    X, y, groups = prepared(task, args.subjects)
    others = [name for name in X.ch_names if name not in NEAR_EYES]
    pipelines = partial(unprepared_pipelines, names=PIPELINES)
    for name, kept in zip(CAPS, (X.ch_names, others, NEAR_EYES), strict=True):
        for late, start in STARTS.items():
            cap = X.copy().pick(kept).crop(start)
            scores = run_folds(pipelines, lambda task, cap=cap: (cap, y, groups), task, args)
            yield name + late, scores


def main():
    args = parser(__doc__).parse_args()
    note = f"Near the eyes: {', '.join(NEAR_EYES)}."
    scored = partial(score, args=args)
    renew(TABLE, "electrodes", VARIANTS, scored, args, lambda scores: note, as_rows=True)


if __name__ == "__main__":
    main()
