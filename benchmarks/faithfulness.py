"""Explanations against known truth: every method, on every simulated case, over many seeds.

A model is trained on six simulated subjects and explained on two others. Only models that are
accurate on these two count. Three questions are asked of each map:

- *true*: does it put informative channels above the uninformative ones (AUC)? Informative are the
  electrodes above sources, their copies and suppressors; electrodes in between, which see the
  sources weakly, count for neither side.
- *useless*: does it put useless channels (loud noise, line noise, blinks) above other
  uninformative ones (AUC; 0.5 means they are ignored)?
- *graded*: does it follow the truth from the lead field (Spearman over channels)?

Finished runs are kept in the CSV file and not run again::

    OMP_NUM_THREADS=1 python benchmarks/faithfulness.py --seeds 20 --jobs 2

With ``--tests`` maps are put to the test of ``explanation.evaluate()`` instead, with the truth as
oracle and with random parameters, which takes longer::

    OMP_NUM_THREADS=1 python benchmarks/faithfulness.py --tests --seeds 1 --jobs 2
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import spearmanr, wilcoxon
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from tqdm import tqdm

from skeegformer._utils.files import replacing

RESULTS = Path(__file__).parent / "results"
METHODS = {
    "rollout": {"method": "rollout"},
    "gradient rollout": {"method": "gradient-rollout"},
    "integrated gradients": {"method": "integrated-gradients"},
    "occlusion, swap": {"method": "occlusion", "replacement": "swap", "n_repeats": 3},
    "occlusion, spline": {"method": "occlusion", "replacement": "interpolate"},
    "occlusion, mean": {"method": "occlusion", "replacement": "mean"},
    "occlusion, zero": {"method": "occlusion", "replacement": "zero"},
    "permutation": {"method": "permutation", "n_repeats": 3},
}
BAND_METHODS = {
    "occlusion, swap": {"method": "occlusion", "parts": "band", "n_repeats": 1},
}
TESTED = (
    "rollout",
    "gradient rollout",
    "integrated gradients",
    "occlusion, swap",
    "permutation",
)
BANDS = ["delta", "theta", "alpha", "beta"]
LEAST_ACCURACY = 0.75
UNINFORMATIVE = 0.2  # electrodes of less relevance than this
EPOCHS_PER_SUBJECT = 24
METRICS = {
    "true": "AUC of the informative channels",
    "useless": "AUC of the useless channels (0.5: ignored)",
    "graded": "rank correlation with the graded truth",
}


def run(case, seed):
    """Train, explain by all methods, and compare with the truth: a list of rows."""
    from skeegformer import EEGTransformerClassifier, make_simulated_eeg

    X, y, metadata, truth = make_simulated_eeg(case=case, random_state=seed)
    subject = metadata["subject"].to_numpy()
    train = subject <= 6
    start = time.perf_counter()
    classifier = EEGTransformerClassifier(random_state=seed).fit(X[train], y[train])
    fit_seconds = time.perf_counter() - start
    accuracy = balanced_accuracy_score(y[~train], classifier.predict(X[~train]))
    common = {"case": case, "seed": seed, "accuracy": accuracy, "fit_seconds": fit_seconds}
    position = metadata.groupby("subject").cumcount().to_numpy()
    test = ~train & (position < EPOCHS_PER_SUBJECT)
    rows = list(_explain(classifier, X[test], y[test], truth, seed))
    return [{**common, **row} for row in rows]


def run_tests(case, seed):
    """Train, explain, and put every map to the test: a list of rows."""
    from skeegformer import AttentionExplainer, EEGTransformerClassifier, make_simulated_eeg

    X, y, metadata, truth = make_simulated_eeg(case=case, random_state=seed)
    subject = metadata["subject"].to_numpy()
    train = subject <= 6
    classifier = EEGTransformerClassifier(random_state=seed).fit(X[train], y[train])
    accuracy = balanced_accuracy_score(y[~train], classifier.predict(X[~train]))
    position = metadata.groupby("subject").cumcount().to_numpy()
    test = ~train & (position < EPOCHS_PER_SUBJECT)
    rows = []
    for name in TESTED:
        explainer = AttentionExplainer(target="true", random_state=seed, **METHODS[name])
        found = explainer.explain(classifier, X[test], y[test]).evaluate(
            truth=truth.relevance, random_state=seed
        )
        rows.append(
            {
                "case": case,
                "seed": seed,
                "accuracy": accuracy,
                "method": name,
                **{f"passed_{name}": passed for name, passed in found.passed.items()},
                **found.figures,
            }
        )
    return rows


def report_tests(rows):
    """Write the table of `run_tests`: means over cases and seeds."""
    accurate = rows[rows["accuracy"] >= LEAST_ACCURACY]
    figures = [
        "deletion_score",
        "insertion_score",
        "lerf_minus_morf",
        "permutation_correlation",
        "randomized_model",
        "randomized_models",
        "amplitude_correlation",
        "passed_deletion",
        "passed_insertion",
        "passed_sign",
        "passed_randomization",
    ]
    means = accurate.groupby("method")[figures].mean().loc[list(TESTED)]
    lines = [
        "# Explanations put to the test",
        "",
        "Made by `python benchmarks/faithfulness.py --tests`: what `explanation.evaluate()` finds "
        f"on {len(accurate.drop_duplicates(['case', 'seed']))} accurate models, "
        f"{accurate['case'].nunique()} cases. Scores of deletion and insertion are 0 for a random "
        "order and 1 for the order of the truth; more than 1 is possible, since the truth of the "
        "data is not that of the model. The last columns are the shares of maps that pass.",
        "",
        f"| method | {' | '.join(name.replace('_', ' ') for name in figures)} |",
        f"|---|{'---|' * len(figures)}",
    ]
    for method, row in means.iterrows():
        lines.append(f"| {method} | {' | '.join(f'{value:.2f}' for value in row)} |")
    return "\n".join(lines) + "\n"


def _explain(classifier, X, y, truth, seed):
    from skeegformer import AttentionExplainer

    rng = np.random.default_rng(seed)
    for name, params in METHODS.items():
        start = time.perf_counter()
        explanation = AttentionExplainer(target="true", random_state=seed, **params).explain(
            classifier, X, y
        )
        seconds = time.perf_counter() - start
        # Before negative means are cut off, so that ties do not hide how they are ranked.
        row = compare(explanation.values.mean(axis=0), truth)
        row |= {f"abs_{k}": v for k, v in compare(abs(explanation.values).mean(0), truth).items()}
        yield {"method": name, "ms_per_epoch": 1000 * seconds / len(y), **row}
    yield {"method": "importances of fit", **compare(classifier.feature_importances_, truth)}
    yield {"method": "random", **compare(rng.random(len(truth.ch_names)), truth)}
    for name, params in BAND_METHODS.items():
        explanation = AttentionExplainer(target="true", random_state=seed, **params).explain(
            classifier, X, y
        )
        means = pd.DataFrame(explanation.part_means()).T.loc[BANDS].to_numpy()
        yield {"method": name, **compare_bands(means, truth)}


def compare(importances, truth):
    """Compare one map with the truth."""
    relevance = truth.relevance.to_numpy()
    informative = truth.is_source | truth.is_redundant | truth.is_suppressor
    useless = np.asarray(truth.is_useless)
    uninformative = (relevance < UNINFORMATIVE) & ~informative
    plain = uninformative & ~useless
    return {
        "true": _auc(importances, informative, uninformative),
        "useless": _auc(importances, useless, plain) if useless.any() else np.nan,
        "graded": spearmanr(importances, relevance).statistic,
    }


def compare_bands(means, truth):
    """Compare a table of bands and channels with the cells that carry the classes."""
    relevance = truth.band_relevance.loc[BANDS].to_numpy()
    return {
        "band": _auc(means.ravel(), (relevance > 0.5).ravel(), (relevance < UNINFORMATIVE).ravel())
    }


def _auc(importances, positive, negative):
    chosen = positive | negative
    return roc_auc_score(positive[chosen], importances[chosen])


def interval(values):
    """Mean and 95 % interval over seeds, by bootstrap."""
    values = np.asarray(values.dropna())
    if not len(values):
        return ""
    low, high = _bootstrap(values)
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


def _bootstrap(values):
    draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    return np.percentile(draws, [2.5, 97.5])


def table(rows, metric, methods):
    """Write a table: a row for each case, a column for each method."""
    found = {
        case: [interval(part[part["method"] == method][metric]) for method in methods]
        for case, part in rows.groupby("case", sort=False)
    }
    found = {case: cells for case, cells in found.items() if any(cells)}
    lines = [f"| case | {' | '.join(methods)} |", f"|---|{'---|' * len(methods)}"]
    lines += [f"| {case} | {' | '.join(cells)} |" for case, cells in found.items()]
    return "\n".join(lines)


def write_page_tables(rows, folder, stem):
    """Write the tables of the documentation: a row for each method, a column for each case."""
    accurate = rows[rows["accuracy"] >= LEAST_ACCURACY]
    for metric in (*METRICS, "band"):
        methods = [*METHODS, "importances of fit", "random"]
        methods = _known(rows, BAND_METHODS if metric == "band" else methods)
        known = accurate[accurate[metric].notna()]
        cases = known["case"].unique()
        lines = [",".join(["method", *cases])]
        for method in methods:
            part = known[known["method"] == method]
            cells = [_mean_and_error(part.loc[part["case"] == case, metric]) for case in cases]
            lines.append(",".join([f'"{method}"', *cells]))
        write(folder / f"{stem}_{metric}.csv", "\n".join(lines) + "\n")


def _known(rows, methods):
    """List the methods that were tried."""
    return [method for method in methods if (rows["method"] == method).any()]


def _mean_and_error(values):
    low, high = _bootstrap(np.asarray(values))
    return f"{np.mean(values):.2f}\u00a0±\u00a0{(high - low) / 2:.2f}"


def gains(rows):
    """Compare rollout with each other method, model by model."""
    by_model = rows.pivot_table(index=["case", "seed"], columns="method", values="true")
    lines = [
        "| against | mean gain | models that gain | that lose | Wilcoxon p |",
        "|---|---|---|---|---|",
    ]
    for method in _known(rows, METHODS):
        gain = by_model["rollout"] - by_model[method]
        gain = gain.dropna()
        if (gain != 0).any():
            p_value = wilcoxon(gain[gain != 0]).pvalue
            lines.append(
                f"| {method} | {gain.mean():.4f} | {(gain > 0).sum()} | {(gain < 0).sum()} "
                f"| {p_value:.2g} |"
            )
    return "\n".join(lines)


def losses(rows):
    """List where each method loses: worse than the best of the case by more than chance."""
    lines = []
    for method in _known(rows, METHODS):
        found = []
        for metric, better in (("true", 1), ("useless", -1), ("graded", 1)):
            for case, part in rows.groupby("case", sort=False):
                by_seed = part.pivot_table(index="seed", columns="method", values=metric)
                if method not in by_seed:
                    continue
                by_seed = by_seed.drop(columns="random", errors="ignore")
                best = (better * by_seed.mean()).idxmax()
                gap = better * (by_seed[best] - by_seed[method])
                error = gap.std() / np.sqrt(len(gap))
                if gap.mean() > 0.05 and gap.mean() > 2 * error:
                    found.append(
                        f"{case} ({metric} {by_seed[method].mean():.2f}, "
                        f"{best} {by_seed[best].mean():.2f})"
                    )
        lines.append(f"- **{method}**: {'; '.join(found) if found else 'nowhere by 0.05 or more'}.")
    return "\n".join(lines)


def report(rows):
    """Write the tables of all finished runs."""
    models = rows.drop_duplicates(["case", "seed"])
    accurate = rows[rows["accuracy"] >= LEAST_ACCURACY]
    seeds = models.groupby("case", sort=False).agg(
        seeds=("seed", "size"),
        accuracy=("accuracy", "mean"),
        accurate=("accuracy", lambda a: int((a >= LEAST_ACCURACY).sum())),
    )
    methods = _known(rows, [*METHODS, "importances of fit", "random"])
    parts = [
        "# Explanations against known truth",
        "Made by `benchmarks/faithfulness.py`. Mean over seeds with a 95 % bootstrap "
        f"interval; only models with a balanced accuracy of at least {LEAST_ACCURACY} on the two "
        "test subjects. Maps are means over epochs of the explanation of the true class.",
        "| case | models | mean balanced accuracy | accurate enough |\n|---|---|---|---|\n"
        + "\n".join(
            f"| {row.Index} | {row.seeds} | {row.accuracy:.2f} | {row.accurate} |"
            for row in seeds.itertuples()
        ),
    ]
    for metric, title in METRICS.items():
        parts += [f"## {title[0].upper()}{title[1:]}", table(accurate, metric, methods)]
    parts += [
        "## AUC of the informative cells of bands x channels",
        table(accurate, "band", _known(rows, BAND_METHODS)),
        "## Mean over cases",
        overall(accurate, methods),
        "## What rollout gains in the AUC of the informative channels",
        gains(accurate),
        "## Where each method loses",
        "To the best method of the case, by at least 0.05 and two standard errors.",
        losses(accurate),
    ]
    return "\n\n".join(parts) + "\n"


def overall(rows, methods):
    """Average over cases, each case with equal weight, for both ways to average epochs."""
    means = rows.groupby(["method", "case"]).mean(numeric_only=True).groupby("method").mean()
    lines = [
        "| method | true | useless | graded | of absolute values: true | useless | graded "
        "| ms per epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in methods:
        row = means.loc[method]
        cells = [row[name] for name in METRICS] + [row[f"abs_{name}"] for name in METRICS]
        lines.append(
            f"| {method} | "
            + " | ".join("" if np.isnan(cell) else f"{cell:.2f}" for cell in cells)
            + f" | {row['ms_per_epoch']:.1f} |"
        )
    return "\n".join(lines).replace("nan", "")


def write(path, text):
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def main():
    from skeegformer.datasets import SIMULATED_CASES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(SIMULATED_CASES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--tests", action="store_true", help="evaluate() instead of the truth")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    if options.output is None:
        stem = "faithfulness_tests" if options.tests else "faithfulness"
        options.output = RESULTS / f"{stem}.csv"
    rows = pd.read_csv(options.output) if options.output.exists() else pd.DataFrame()
    done = set() if rows.empty else set(zip(rows["case"], rows["seed"], strict=True))
    todo = [
        (case, seed)
        for seed in range(options.seeds)
        for case in options.cases
        if (case, seed) not in done
    ]
    parallel = Parallel(n_jobs=options.jobs, return_as="generator_unordered")
    how = run_tests if options.tests else run
    runs = parallel(delayed(_run_quietly)(how, *one) for one in todo)
    for found in tqdm(runs, total=len(todo), desc="models", unit="model"):
        rows = pd.concat([rows, pd.DataFrame(found)], ignore_index=True)
        write(options.output, rows.to_csv(index=False, float_format="%.5g"))
    order = pd.Categorical(rows["case"], list(SIMULATED_CASES), ordered=True)
    rows = (
        rows.assign(order=order).sort_values(["order", "seed"], kind="stable").drop(columns="order")
    )
    write(options.output, rows.to_csv(index=False, float_format="%.5g"))
    if options.tests:
        text = report_tests(rows)
    else:
        write_page_tables(rows, options.output.parent, options.output.stem)
        text = report(rows)
    write(options.output.with_suffix(".md"), text)
    print(text)


def _run_quietly(how, case, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return how(case, seed)


if __name__ == "__main__":
    main()
