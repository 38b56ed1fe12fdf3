"""How well a classifier that was trained with 64 electrodes predicts from fewer of them.

Recordings of EEGMMI, folds of whole subjects. The epochs are prepared as in the benchmark, filter
and sampling rate, before electrodes are taken away: these steps act on each channel by itself. Then
three classifiers predict from the 64 electrodes and from 32, 16 and 8 of them:

- *estimated*: trained with all 64, ``positions="electrode"``; those that are missing are estimated;
- *trained anew*: the same classifier, trained with just these electrodes;
- *CSP+LDA*: trained with just these electrodes.

Writes ``benchmarks/results/electrodes.csv``, a row for each subject, and ``electrodes.md``::

    OMP_NUM_THREADS=1 python benchmarks/electrodes.py --seeds 0
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from merged import digits, keep
from prepared import SUBJECTS, prepared, unprepared
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from tqdm import tqdm

from skeegformer._utils.files import replacing

RESULTS = Path(__file__).parent / "results"
TASKS = ("baseline-eyes", "fist-imagination", "fist_feet-imagination")
INFORMATION = ("strict", "transductive")
N_FOLDS = 4
# Caps that are sold: 32 and 16 electrodes as BioSemi places them, and 8 of the 10-20 system.
CAPS = {
    64: None,
    32: "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz "
    "O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz",
    16: "Fp1 Fp2 F4 Fz F3 T7 C3 Cz C4 T8 P4 Pz P3 O1 Oz O2",
    8: "F3 F4 C3 C4 P3 P4 O1 O2",
}
ESTIMATED, ANEW, CSP = "estimated", "trained anew", "CSP+LDA"


def classifiers(task, information, seed):
    """Make the steps after the preparation: ours, and CSP+LDA."""
    from skeegformer.baselines import benchmark_pipelines

    made = benchmark_pipelines(information, task=task)
    ours = made["skeegformer"][-1].set_params(random_state=seed)
    return ours, unprepared(made["CSP+LDA"])


def run(task, information, subjects, seeds):
    """Score every classifier on every cap: a list of rows."""
    X, y, groups = prepared(task, subjects)
    caps = {n: X if names is None else X.copy().pick(names.split()) for n, names in CAPS.items()}
    rows = []
    splits = GroupKFold(N_FOLDS).split(y, y, groups)
    bar = tqdm(splits, desc=f"{task}, {information}", total=N_FOLDS, disable=None)
    for number, (train, test) in enumerate(bar):

        def score(name, n_electrodes, classifier, seed, seconds, test=test, number=number):
            predicted = classifier.predict(caps[n_electrodes][test])
            for subject in sorted(set(groups[test])):
                own = groups[test] == subject
                accuracy = balanced_accuracy_score(y[test][own], predicted[own])
                rows.append(
                    {
                        **{"task": task, "information": information, "electrodes": n_electrodes},
                        **{"classifier": name, "seed": seed, "fold": number, "subject": subject},
                        **{"balanced_accuracy": accuracy, "fit_seconds": seconds},
                    }
                )

        for seed in seeds:
            ours, csp = classifiers(task, information, seed)
            ours.set_params(positions="electrode")
            whole, seconds = fitted(ours, caps[64][train], y[train])
            for n_electrodes in CAPS:
                score(ESTIMATED, n_electrodes, whole, seed, seconds)
                if n_electrodes < 64:
                    anew = classifiers(task, information, seed)[0]
                    anew, seconds_anew = fitted(anew, caps[n_electrodes][train], y[train])
                    score(ANEW, n_electrodes, anew, seed, seconds_anew)
                if seed == seeds[0]:  # it draws no random numbers
                    model, seconds_csp = fitted(csp, caps[n_electrodes][train], y[train])
                    score(CSP, n_electrodes, model, seed, seconds_csp)
    return rows


def fitted(classifier, X, y):
    """Fit, and tell how many seconds it took."""
    start = time.perf_counter()
    classifier.fit(X, y)
    return classifier, time.perf_counter() - start


def write(rows, results):
    """Write all rows, and means over subjects."""
    scores = pd.DataFrame(rows)
    results.mkdir(parents=True, exist_ok=True)
    keep(scores, results / "electrodes.csv")
    by_subject = scores.groupby(
        ["task", "information", "electrodes", "classifier", "subject"], sort=False
    )["balanced_accuracy"].mean()
    n_subjects, seeds = scores["subject"].nunique(), sorted(set(scores["seed"]))
    lines = [
        f"Balanced accuracy, mean and SD over {n_subjects} subjects of EEGMMI in {N_FOLDS} folds "
        f"of whole subjects; {_seeds(seeds)}.",
        "",
        f'*{ESTIMATED}*: trained with 64 electrodes, `positions="electrode"`; *{ANEW}*: the same '
        "classifier trained with just these electrodes; *CSP+LDA*: trained with just these; "
        f"*difference*: {ESTIMATED} minus {ANEW}, and for how many subjects it is above and below "
        "0.",
    ]
    for (task, information), group in by_subject.groupby(["task", "information"], sort=False):
        lines += [
            "",
            f"`{task}`, {information}",
            "",
            f"| electrodes | {ESTIMATED} | {ANEW} | {CSP} | difference |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        table = group.droplevel(["task", "information"]).unstack("classifier")
        for n_electrodes in CAPS:
            part = table.loc[n_electrodes]
            cells = [_cell(part[name]) for name in (ESTIMATED, ANEW, CSP)]
            both = part[[ESTIMATED, ANEW]].dropna()
            change = np.round(both[ESTIMATED] - both[ANEW], 9)
            signs = f"{(change > 0).sum()} / {(change < 0).sum()}"
            cells.append(f"{change.mean():+.3f} ({signs})" if len(change) else "–")
            lines.append(f"| {n_electrodes} | {' | '.join(cells)} |")
    lines += ["", "Electrodes:", ""]
    lines += [f"- {n}: {', '.join(names.split())}" for n, names in CAPS.items() if names]
    with replacing(results / "electrodes.md") as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _seeds(seeds):
    names = ", ".join(map(str, seeds))
    return f"seed {names}" if len(seeds) == 1 else f"seeds {names} averaged within subjects"


def _cell(scores):
    """Write mean and SD; training anew with all 64 is no other classifier."""
    return "–" if scores.isna().all() else f"{digits(scores.mean())} ({scores.std():.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--information", nargs="+", default=INFORMATION, choices=INFORMATION)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--subjects", nargs="+", type=int, default=SUBJECTS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    args = parser.parse_args()

    rows = []
    for task in args.tasks:
        for information in args.information:
            rows += run(task, information, args.subjects, args.seeds)
            write(rows, args.results)  # what is finished is kept if the rest fails
    print((args.results / "electrodes.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
