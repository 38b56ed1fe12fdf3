"""Cross-subject scores of the default Pipeline beside the baselines, on the same epochs and filter.

Nothing of the test subjects is used in training, and nothing is aligned. Writes a row for every
pipeline, seed and subject to ``benchmarks/results/<task>.csv``, a table to ``<task>.md``, and with
``--readme`` that table into README.md::

    python benchmarks/cross_subject.py --task baseline-eyes --seeds 3 --readme
"""

import argparse
import re
from pathlib import Path

from scipy.stats import wilcoxon

from skeegformer import cross_subject_scores, load_eegmmi, make_baseline, make_eeg_pipeline
from skeegformer.evaluation import summarize_scores

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
SUBJECTS = (1, 2, 3, 4, 5, 6, 7, 8, 56, 58, 60, 62)
OURS = "EEGTransformer (default)"


def run(task, subjects, n_seeds, n_folds):
    X, y, metadata = load_eegmmi(task, subjects)
    pipelines = {
        "chance": make_eeg_pipeline(make_baseline("chance")),
        "CSP+LDA": make_eeg_pipeline(make_baseline("csp+lda")),
        "CSP+LDA (8-30 Hz)": make_eeg_pipeline(make_baseline("csp+lda"), l_freq=8.0),
        "tangent space+LR": make_eeg_pipeline(make_baseline("ts+lr")),
        OURS: make_eeg_pipeline(),
    }
    return cross_subject_scores(
        pipelines,
        X,
        y,
        metadata["subject"],
        cv=n_folds,
        seeds=range(n_seeds),
        n_jobs=-1,
        verbose=1,
    )


def table(scores, task, n_folds):
    """Make the Markdown table, every subject included."""
    summary = summarize_scores(scores)
    subjects = scores.groupby(["pipeline", "subject"], sort=False)["balanced_accuracy"].mean()
    subjects = subjects.unstack()
    head = ["pipeline", "mean", "SD", *(f"S{subject}" for subject in subjects.columns)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in summary.iterrows():
        cells = [name, f"**{row['mean']:.3f}**", f"{row['sd']:.3f}"]
        cells += [f"{value:.2f}" for value in subjects.loc[name]]
        lines.append("| " + " | ".join(cells) + " |")
    test = wilcoxon(subjects.loc[OURS], subjects.loc["CSP+LDA"])
    seeds = scores[scores["pipeline"] == OURS].groupby("seed")["balanced_accuracy"].mean()
    spread = ", ".join(f"{value:.3f}" for value in seeds)
    note = (
        f"Balanced accuracy on `{task}`, {n_folds} folds over {subjects.shape[1]} subjects, "
        "nothing of the test subjects used, 0-30 Hz unless said otherwise. "
        f"{OURS}: mean of {len(seeds)} seeds ({spread}); against CSP+LDA, Wilcoxon test over "
        f"subjects, p = {test.pvalue:.3f}."
    )
    return note + "\n\n" + "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="baseline-eyes")
    parser.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    args = parser.parse_args()
    scores = run(args.task, args.subjects, args.seeds, args.folds)
    text = table(scores, args.task, args.folds)
    RESULTS.mkdir(exist_ok=True)
    scores.to_csv(RESULTS / f"{args.task}.csv", index=False, float_format="%.4f")
    (RESULTS / f"{args.task}.md").write_text(text, encoding="utf-8")
    print(text)
    if args.readme:
        readme = README.read_text(encoding="utf-8")
        marked = re.compile(r"(<!-- scores -->\n).*?(<!-- /scores -->)", re.DOTALL)
        README.write_text(marked.sub(rf"\1{text}\2", readme), encoding="utf-8")


if __name__ == "__main__":
    main()
