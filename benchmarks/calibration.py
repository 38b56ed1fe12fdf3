"""What the first labelled epochs of somebody new are worth, and what probabilities are.

Recordings of EEGMMI, four folds of whole subjects.

*Fine-tuning.* Models of the training subjects are fine-tuned to each test subject with its first
0, 2, 5, 10 and 15 epochs of each class (`EEGTransformerClassifier.fine_tune`), and CSP+LDA is
trained on the training subjects plus these epochs. All predict the same later epochs, those after
the first 15 of each class. With ``adapt=True`` a subject's mean comes from its labelled epochs;
without any, from the unlabelled ones that are predicted.

*Temperature.* Brier score and log loss on all epochs of the test subjects, before and after
temperature scaling (scikit-learn's `CalibratedClassifierCV`), whose temperature is learnt on
held-out training subjects.

Writes ``calibration.csv``, ``calibration.md`` and figures into ``benchmarks/results``; some 8
minutes for a task and a seed on one core::

    OMP_NUM_THREADS=1 python benchmarks/calibration.py --seeds 0
"""

import argparse
import copy
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from merged import digits, keep
from prepared import SUBJECTS, prepared, unprepared
from scipy.stats import sem
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import GroupKFold
from tqdm import tqdm

from skeegformer._utils.files import replacing

RESULTS = Path(__file__).parent / "results"
TASKS = ("baseline-eyes", "fist-imagination", "fist_feet-imagination")
N_FOLDS = 4
SIZES = (0, 2, 5, 10, 15)
N_SPLITS = 3  # of the training subjects, for the temperature
STRICT, ADAPT, CSP = "skeegformer", "skeegformer, adapt", "CSP+LDA"
BEFORE, AFTER = "as trained", "with temperature"
FINE_TUNING, TEMPERATURE = "fine-tuning", "temperature"


def classifiers(task, seed):
    """Make the steps after the preparation: ours, strict and adapting, and CSP+LDA."""
    from skeegformer.baselines import benchmark_pipelines

    made = benchmark_pipelines("strict", task=task)
    ours = made["skeegformer"][-1].set_params(random_state=seed)
    return {
        STRICT: ours,
        ADAPT: clone(ours).set_params(adapt=True),
        CSP: unprepared(made["CSP+LDA"]),
    }


def numbered(classifier, y):
    """Name classes by numbers in `mirror`, as CalibratedClassifierCV hands them on."""
    classifier = clone(classifier)
    if "mirror" in classifier.get_params() and isinstance(classifier.mirror, dict):
        numbers = {label: number for number, label in enumerate(np.unique(y))}
        swap = {numbers[one]: numbers[other] for one, other in classifier.mirror.items()}
        classifier.set_params(mirror=swap)
    return classifier


def first_of_each_class(y, rows, n):
    """Pick the first epochs of each class, in the order of time."""
    picked = [rows[y[rows] == label][:n] for label in np.unique(y)]
    return np.sort(np.concatenate(picked))


def score(model, X, y):
    """Measure balanced accuracy and log loss, and keep the probabilities."""
    proba = model.predict_proba(X)
    codes = np.searchsorted(model.classes_, y)
    accuracy = balanced_accuracy_score(codes, proba.argmax(axis=1))
    loss = log_loss(codes, proba, labels=np.arange(len(model.classes_)))
    brier = np.mean(((proba - np.eye(len(model.classes_))[codes]) ** 2).sum(axis=1)) / 2
    return {"balanced_accuracy": accuracy, "log_loss": loss, "brier_score": brier}, proba


def run(task, subjects, seeds):
    """Score one task: a list of rows, and the labels and probabilities of all test epochs."""
    from skeegformer.evaluation._fold import one_thread

    X, y, groups = prepared(task, subjects)
    rows, kept = [], []
    splits = GroupKFold(N_FOLDS).split(y, y, groups)
    for number, (train, test) in enumerate(tqdm(splits, desc=task, total=N_FOLDS, disable=None)):
        inner = list(GroupKFold(N_SPLITS).split(train, y[train], groups[train]))
        for seed in seeds:
            for name, classifier in classifiers(task, seed).items():
                if name == CSP and seed != seeds[0]:
                    continue  # it draws no random numbers
                fit = {"task": task, "pipeline": name, "seed": seed, "fold": number}
                with one_thread():
                    plain = clone(classifier).fit(X[train], y[train])
                    options = {"method": "temperature", "cv": inner, "ensemble": False}
                    calibrated = CalibratedClassifierCV(numbered(classifier, y), **options)
                    calibrated.fit(X[train], y[train])
                    for subject in np.unique(groups[test]):
                        own = np.flatnonzero(groups == subject)
                        who = fit | {"subject": subject}
                        rows += fine_tuned(plain, X, y, train, own, who)
                        for label, model in (
                            (BEFORE, plain),
                            (AFTER, calibrated),
                        ):
                            scores, proba = score(model, X[own], y[own])
                            kept.append((name, seed, label, y[own], proba))
                            rows.append(
                                who | {"part": TEMPERATURE, "probabilities": label} | scores
                            )
    return rows, kept


def fine_tuned(model, X, y, train, own, who):
    """Score one subject after calibration with few and with more of its epochs."""
    later = np.setdiff1d(own, first_of_each_class(y, own, max(SIZES)))
    if len(np.unique(y[later])) < len(model.classes_):
        raise ValueError(
            f"Subject {who['subject']} has no epochs of every class left after the first "
            f"{max(SIZES)} in {who['task']}; leave that task out (--tasks)."
        )
    rows = []
    for n in SIZES:
        few = first_of_each_class(y, own, n)
        tuned = model
        if n and who["pipeline"] == CSP:
            both = np.concatenate([train, few])
            tuned = clone(model).fit(X[both], y[both])
        elif n:
            tuned = copy.deepcopy(model).fine_tune(X[few], y[few])
        scores, _ = score(tuned, X[later], y[later])
        rows.append(who | {"part": FINE_TUNING, "n_calibration": n} | scores)
    return rows


def by_subject(scores, part, columns, metric):
    """Average seeds within subjects: a row for each subject, `columns` side by side."""
    scores = scores[scores["part"] == part]
    return scores.groupby(["task", "subject", *columns], sort=False)[metric].mean().unstack(columns)


def write_tables(scores, results):
    """Write all rows, and the means over subjects."""
    keep(scores, results / "calibration.csv")
    n_subjects, seeds = scores["subject"].nunique(), sorted(set(scores["seed"]))
    lines = [
        f"{n_subjects} subjects of EEGMMI in {N_FOLDS} folds of whole subjects; seeds averaged "
        f"within subjects ({', '.join(map(str, seeds))}); mean and standard error over "
        "subjects.",
        "",
        "## The first labelled epochs of a new person",
        "",
        f"Balanced accuracy on the epochs after the first {max(SIZES)} of each class, the same for "
        f"every column. {STRICT}: fine-tuned; {CSP}: trained on the training subjects and these "
        "epochs. Without labelled epochs, adapt=True takes the mean of the epochs to predict.",
    ]
    for metric in ("balanced_accuracy", "log_loss"):
        table = by_subject(scores, FINE_TUNING, ["pipeline", "n_calibration"], metric)
        for task, part in table.groupby("task", sort=False):
            lines += ["", f"`{task}`, {metric.replace('_', ' ')}", ""]
            lines.append("| epochs of each class | " + " | ".join(map(str, SIZES)) + " |")
            lines.append("|---" + "|---:" * len(SIZES) + "|")
            for name in (STRICT, ADAPT, CSP):
                cells = [_cell(part[name, n]) for n in SIZES]
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## A temperature that is learnt on held-out training subjects",
        "",
        "All epochs of the test subjects; subjects with less and with more loss afterwards.",
        "",
        "| task | pipeline | Brier score before | after | log loss before | after | less / more |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    measures = {
        metric: by_subject(scores, TEMPERATURE, ["pipeline", "probabilities"], metric)
        for metric in ("brier_score", "log_loss")
    }
    for task in dict.fromkeys(scores["task"]):
        for name in (STRICT, ADAPT, CSP):
            cells, change = [], 0
            for table in measures.values():
                before, after = (table.loc[task][name, label] for label in (BEFORE, AFTER))
                cells += [_cell(before), _cell(after)]
                change = after - before
            cells.append(f"{(change < 0).sum()} / {(change > 0).sum()}")
            lines.append(f"| `{task}` | {name} | " + " | ".join(cells) + " |")
    with replacing(results / "calibration.md") as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def pooled(kept, name, seed, label):
    """Put the labels and probabilities of all test subjects together."""
    parts = [part[3:] for part in kept if part[:3] == (name, seed, label)]
    if not parts:
        return np.array([]), np.array([])
    labels, proba = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(proba)


def draw(scores, kept, results):
    """Draw the curves, and for each task how far our probabilities can be believed."""
    curves = scores[scores["part"] == FINE_TUNING]
    axes = {"x": "n_calibration", "y": "balanced_accuracy", "hue": "pipeline"}
    figures = {"calibration_curve": sns.relplot(curves, **axes, col="task", kind="line").figure}
    for task, parts in kept.items():
        figure, ax = plt.subplots()
        for label in (BEFORE, AFTER):
            y, proba = pooled(parts, STRICT, parts[0][1], label)
            options = {"n_bins": 10, "pos_label": np.unique(y)[1], "name": label}
            CalibrationDisplay.from_predictions(y, proba[:, 1], **options, ax=ax)
        ax.set_title(f"{task}, {STRICT}")
        figures[f"calibration_reliability_{task}"] = figure
    for name, figure in figures.items():
        with replacing(results / f"{name}.png") as path:
            figure.savefig(path, dpi=120, bbox_inches="tight")


def _cell(values):
    mean = digits(values.mean())
    return f"{mean} ± {sem(values):.3f}" if len(values) > 1 else mean


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--subjects", nargs="+", type=int, default=SUBJECTS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    args = parser.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")

    args.results.mkdir(parents=True, exist_ok=True)
    rows, kept = [], {}
    for task in args.tasks:
        more, kept[task] = run(task, args.subjects, args.seeds)
        rows += more
        scores = pd.DataFrame(rows)
        write_tables(scores, args.results)  # what is finished is kept if the rest fails
    draw(scores, kept, args.results)
    print((args.results / "calibration.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
