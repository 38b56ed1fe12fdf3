"""What the first labelled epochs of somebody new are worth, and what probabilities are.

Recordings of EEGMMI, four folds of whole subjects.

*Fine-tuning.* Models of the training subjects are fine-tuned to each test subject with its first
0, 2, 5, 10 and 15 epochs of each class (`EEGTransformerClassifier.fine_tune`), and CSP+LDA is
trained on the training subjects plus these epochs. All predict the same later epochs, those after
the first 15 of each class. With ``adapt=True`` a subject's mean comes from its labelled epochs;
without any, from the unlabelled ones that are predicted.

*Temperature.* Expected calibration error and log loss on all epochs of the test subjects, before
and after temperature scaling (`TemperatureScaledClassifier`), whose temperature is learnt on
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
import seaborn
from merged import digits, keep
from prepared import SUBJECTS, prepared, unprepared
from scipy.stats import sem
from sklearn.base import clone
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import balanced_accuracy_score, log_loss
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
    return {"balanced_accuracy": accuracy, "log_loss": loss}, proba


def run(task, subjects, seeds):
    """Score one task: a list of rows, and the labels and probabilities of all test epochs."""
    from skeegformer import TemperatureScaledClassifier
    from skeegformer.evaluation import SubjectFolds
    from skeegformer.evaluation._fold import one_thread

    X, y, groups = prepared(task, subjects)
    rows, kept = [], []
    bar = tqdm(SubjectFolds(N_FOLDS).folds(groups), desc=task, disable=None)
    for number, fold in enumerate(bar):
        train = fold.train
        if set(groups[train]) & set(groups[fold.test]):
            raise RuntimeError("A test subject is among those to train on.")
        for seed in seeds:
            for name, classifier in classifiers(task, seed).items():
                if name == CSP and seed != seeds[0]:
                    continue  # it draws no random numbers
                fit = {"task": task, "pipeline": name, "seed": seed, "fold": number}
                with one_thread():
                    calibrated = TemperatureScaledClassifier(classifier, n_splits=N_SPLITS)
                    calibrated.fit(X[train], y[train], groups=groups[train])
                    for subject in np.unique(groups[fold.test]):
                        own = np.flatnonzero(groups == subject)
                        who = fit | {"subject": subject}
                        rows += fine_tuned(calibrated.classifier_, X, y, train, own, who)
                        for label, model in (
                            (BEFORE, calibrated.classifier_),
                            (AFTER, calibrated),
                        ):
                            scores, proba = score(model, X[own], y[own])
                            kept.append((name, seed, label, y[own], proba))
                            rows.append(
                                who
                                | {"part": TEMPERATURE, "probabilities": label}
                                | {"temperature": calibrated.temperature_}
                                | scores
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


def write_tables(scores, kept, results):
    """Write all rows, and the means over subjects."""
    from skeegformer.evaluation import expected_calibration_error

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
        "All epochs of the test subjects. ECE: expected calibration error in 10 bins, of all "
        "test subjects' epochs together, mean over seeds. The temperature is the mean over folds.",
        "",
        "| task | pipeline | temperature | ECE before | after | log loss before | after | "
        "subjects with less / more loss |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    temperatures = scores.groupby(["task", "pipeline"], sort=False)["temperature"].mean()
    losses = by_subject(scores, TEMPERATURE, ["pipeline", "probabilities"], "log_loss")
    for (task, name), temperature in temperatures.items():
        error = {}
        for label in (BEFORE, AFTER):
            values = []
            for seed in seeds:
                y, proba = pooled(kept[task], name, seed, label)
                if len(y):
                    options = {"classes": np.unique(y)}
                    values.append(expected_calibration_error(y, proba, **options))
            error[label] = np.mean(values)
        before, after = (losses.loc[task][name, label] for label in (BEFORE, AFTER))
        lines.append(
            f"| `{task}` | {name} | {temperature:.2f} | {error[BEFORE]:.3f} | {error[AFTER]:.3f} | "
            f"{_cell(before)} | {_cell(after)} | {(after < before).sum()} / "
            f"{(after > before).sum()} |"
        )
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
    curves = scores[scores["part"] == FINE_TUNING].drop(columns=["part", "fold"])
    means = curves.groupby(["task", "pipeline", "subject", "n_calibration"])["balanced_accuracy"]
    grid = seaborn.relplot(
        means.mean().reset_index(), x="n_calibration", y="balanced_accuracy", hue="pipeline",
        style="pipeline", col="task", kind="line", markers=True, err_style="bars", seed=0,
        height=3.6,
    )  # fmt: skip
    figures = {"calibration_curve": grid.figure}
    for task, parts in kept.items():
        seed = parts[0][1]
        figure, ax = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
        for label in (BEFORE, AFTER):
            y, proba = pooled(parts, STRICT, seed, label)
            if len(y):
                # Of two classes, the probability of the second one.
                CalibrationDisplay.from_predictions(y, proba[:, 1], n_bins=10, name=label, ax=ax)
        ax.set_title(f"{task}, {STRICT}", fontsize="medium")
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
        write_tables(scores, kept, args.results)  # what is finished is kept if the rest fails
    draw(scores, kept, args.results)
    print((args.results / "calibration.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
