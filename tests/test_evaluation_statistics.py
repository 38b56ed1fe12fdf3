"""Comparisons against published numbers, SciPy, MOABB and brute force, and their tables."""

import re
from collections import defaultdict
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scores_factory import TASKS, make_scores

from skeegformer.evaluation import compare_pipelines, scores_table, summarize_scores
from skeegformer.evaluation.statistics import ALL_TASKS, _holm, _signed_rank

# Table 6 of Demšar (2006): AUC of four variants of C4.5 on 14 data sets.
DEMSAR = """
0.763 0.768 0.771 0.798
0.599 0.591 0.590 0.569
0.954 0.971 0.968 0.967
0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898
0.936 0.931 0.916 0.931
0.661 0.668 0.609 0.685
0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875
1.000 1.000 1.000 1.000
0.940 0.962 0.965 0.962
0.619 0.666 0.614 0.669
0.972 0.981 0.975 0.973
0.957 0.978 0.946 0.970
"""
VARIANTS = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]


def long(table, **columns):
    """Make rows of a table of subjects x pipelines."""
    table = pd.DataFrame(table)
    table.index.name, table.columns.name = "subject", "pipeline"
    return table.stack().rename("balanced_accuracy").reset_index().assign(**columns)


def demsar():
    values = np.array(DEMSAR.split(), dtype=float).reshape(14, 4)
    return long(pd.DataFrame(values, columns=VARIANTS))


def two(diffs, **columns):
    """Make scores of two pipelines with these differences."""
    return long(
        {"reference": np.full(len(diffs), 0.5), "other": 0.5 + np.asarray(diffs)}, **columns
    )


def by_brute_force(diffs):
    """Run through all signs of the ranks that Pratt's method leaves."""
    ranks = stats.rankdata(np.abs(diffs))[diffs != 0]
    observed = ranks[diffs[diffs != 0] > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in product((0, 1), repeat=len(ranks))])
    return min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))


@pytest.mark.parametrize("n_subjects", [2, 5, 12, 30])
def test_signed_ranks_are_scipys_where_there_are_no_ties(n_subjects):
    diffs = np.random.default_rng(n_subjects).normal(0.3, 1, n_subjects)
    expected = stats.wilcoxon(diffs, method="exact").pvalue
    assert _signed_rank(diffs) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_signed_ranks_with_ties_and_zeros_are_those_of_all_signs(seed):
    diffs = np.random.default_rng(seed).integers(-3, 5, 10) / 45
    assert _signed_rank(diffs) == pytest.approx(by_brute_force(diffs))


def test_signed_ranks_reject_no_more_than_they_should():
    """Also with the ties and zeros of accuracies over few epochs, 0.05 means 0.05."""
    rng = np.random.default_rng(0)
    scores = rng.binomial(30, 0.6, size=(2, 2000, 20)) / 30
    diffs = np.round(scores[0] - scores[1], 9)
    rejected = np.mean([_signed_rank(one) <= 0.05 for one in diffs])
    assert 0.03 < rejected <= 0.06


def test_differences_that_rounding_tells_apart_are_ties():
    scores = {"reference": [0.2, 0.5, 0.7, 0.3, 0.4, 0.9], "other": [0.3, 0.6, 0.8, 0.1, 0.2, 0.7]}
    assert len(np.unique(np.subtract(*scores.values()))) > 2
    row = compare_pipelines(long(scores), "reference").iloc[0]
    assert row["p_wilcoxon"] == _signed_rank(np.array([1, 1, 1, -2, -2, -2]))


def test_holm_against_its_definition():
    p_values = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    np.testing.assert_allclose(_holm(p_values), [0.04, 0.09, 0.09, 0.025, 0.5])


def test_comparison_against_numpy_and_scipy():
    scores = make_scores(4, 12, seeds=(0, 1), random_state=3)
    table = compare_pipelines(scores.astype({"balanced_accuracy": str}), "CSP+LDA")
    assert table["pipeline"].tolist() == ["chance", "tangent space+LR", "MDM"]
    means = scores.groupby(["subject", "pipeline"])["balanced_accuracy"].mean().unstack()
    for _, row in table.iterrows():
        diffs = means[row["pipeline"]] - means["CSP+LDA"]
        t_test = stats.ttest_rel(means[row["pipeline"]], means["CSP+LDA"])
        assert row["difference"] == pytest.approx(diffs.mean())
        assert row["difference"] == pytest.approx(row["mean"] - row["reference_mean"])
        assert row[["low", "high"]].tolist() == pytest.approx(list(t_test.confidence_interval()))
        assert row["d_z"] == pytest.approx(t_test.statistic / np.sqrt(12))
        assert row["n_subjects"] == row["wins"] + row["ties"] + row["losses"] == 12
        assert row["wins"] == (diffs > 1e-9).sum()
    np.testing.assert_allclose(table["p_holm"], _holm(table["p_wilcoxon"]))


def test_lower_brier_score_wins():
    scores = two([-0.1, -0.2, -0.15, 0.05]).rename(columns={"balanced_accuracy": "brier_score"})
    row = compare_pipelines(scores, "reference", metric="brier_score").iloc[0]
    assert (row["wins"], row["losses"]) == (3, 1)
    assert row["difference"] < 0


def test_equal_pipelines_and_constant_differences():
    row = compare_pipelines(two(np.zeros(8)), "reference").iloc[0]
    assert (row["p_wilcoxon"], row["p_holm"], row["d_z"], row["ties"]) == (1, 1, 0, 8)
    row = compare_pipelines(two(np.full(8, 0.1)), "reference").iloc[0]
    assert row["d_z"] == np.inf
    assert row["difference"] == pytest.approx(0.1)
    assert row[["low", "high"]].isna().all()  # equal differences say nothing of their spread
    assert row["p_wilcoxon"] == 2 / 2**8


def test_all_tasks_are_the_means_of_subjects_who_have_them_all():
    first, second = [0.1, 0.3, -0.1, 0.2], [0.3, 0.1, 0.5]
    scores = pd.concat([two(first, task="a"), two(second, task="b")])
    table = compare_pipelines(scores, "reference").set_index("task")
    assert table.index.tolist() == ["a", "b", ALL_TASKS]
    assert table.loc[ALL_TASKS, "n_subjects"] == 3
    assert table.loc[ALL_TASKS, "difference"] == pytest.approx(np.mean([0.2, 0.2, 0.2]))


def test_moabbs_meta_analysis_takes_our_scores():
    """As documented: three columns are renamed."""
    moabb = pytest.importorskip("moabb.analysis.meta_analysis")
    scores = pd.concat(
        make_scores(4, n, TASKS[k : k + 1], random_state=k) for k, n in enumerate((8, 12, 10))
    )
    renamed = scores.rename(columns={"task": "dataset", "balanced_accuracy": "score"})
    found = moabb.compute_dataset_statistics(renamed)
    p_values, effects = moabb.find_significant_differences(found)
    each = compare_pipelines(scores, "CSP+LDA").set_index(["task", "pipeline"])
    for pipeline in ("chance", "tangent space+LR", "MDM"):
        assert (p_values.loc[pipeline, "CSP+LDA"] < 0.5) == (effects.loc[pipeline, "CSP+LDA"] > 0)
        for task in TASKS[:3]:
            row = found[
                (found["dataset"] == task)
                & (found["pipe1"] == pipeline)
                & (found["pipe2"] == "CSP+LDA")
            ].iloc[0]
            assert each.loc[(task, pipeline), "d_z"] == pytest.approx(row["smd"])


def test_signed_ranks_of_demsars_example():
    """C4.5 against C4.5+m: rank sums 12 and 93 with zeros halved, significant at 0.05."""
    row = compare_pipelines(demsar(), "C4.5").set_index("pipeline").loc["C4.5+m"]
    assert (row["wins"], row["ties"], row["losses"]) == (10, 2, 2)
    assert row["p_wilcoxon"] < 0.05


MIXED = make_scores(3, 4, kinds=("strict", "transductive"))
STRICT = MIXED[MIXED["information"] == "strict"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": MIXED}, "mix 2 kinds of information: strict, transductive"),
        ({"scores": pd.concat([STRICT, STRICT])}, "have 12 rows twice, such as pipeline chance"),
        ({"scores": [1, 2]}, "The scores are a list, but have to be a DataFrame"),
        ({"scores": pd.DataFrame({"pipeline": ["a"]})}, "lack the columns subject, balanced_acc"),
        ({"scores": two([0.1])}, "of a single subject"),
        ({"scores": two([0.1, np.nan])}, "'other' has no balanced accuracy of S1 .* or it is NaN"),
        ({"reference": "CSP"}, "reference='CSP' is not one of .*'ref"),
        ({"metric": "kappa"}, "metric='kappa' is not one of 'balanced_accuracy'"),
    ],
)
def test_bad_input(change, message):
    given = {"scores": two([0.1, 0.2, 0.3]), "reference": "reference"} | change
    with pytest.raises(ValueError, match=message):
        compare_pipelines(given.pop("scores"), given.pop("reference"), **given)


def cells(markdown):
    """Read the tables of a Markdown text as lists of dictionaries."""
    tables, head = [], None
    for line in markdown.splitlines():
        if not line.startswith("|"):
            head = None
            continue
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if head is None:
            head = row
            tables.append([])
        elif not set(line) <= set("|-: "):
            tables[-1].append(dict(zip(head, row, strict=True)))
    return tables


def parse(rst):
    """Let docutils read a text; return the nodes of each kind."""
    core = pytest.importorskip("docutils.core")
    found = defaultdict(list)
    for node in core.publish_doctree(rst, settings_overrides={"report_level": 5}).findall():
        found[type(node).__name__].append(node)
    return found


def test_numbers_are_those_of_the_scores():
    scores = make_scores(4, 12, seeds=(0, 1))
    table, subjects = cells(scores_table(scores))
    means = scores.groupby(["pipeline", "subject"])["balanced_accuracy"].mean().unstack()
    compared = compare_pipelines(scores, "CSP+LDA").set_index("pipeline")
    best = means.mean(axis=1).idxmax()
    for row, of_subjects in zip(table, subjects, strict=True):
        name = row["pipeline"]
        values = means.loc[name]
        number = f"{values.mean():.3f}"
        assert row["mean"] == (f"**{number}**" if name == best else number)
        assert row["SD"] == f"{values.std():.3f}"
        assert (row["worst"], row["best"]) == (f"{values.min():.2f}", f"{values.max():.2f}")
        rows = scores[scores["pipeline"] == name]
        assert float(row["fit s"]) == pytest.approx(rows["fit_seconds"].mean(), abs=0.05)
        assert row["ROC AUC"] == f"{rows.groupby('subject')['roc_auc'].mean().mean():.3f}"
        assert row["Brier"] == f"{rows.groupby('subject')['brier_score'].mean().mean():.3f}"
        assert [of_subjects[f"S{k}"] for k in range(1, 13)] == [f"{v:.2f}" for v in values]
        if name == "CSP+LDA":
            assert (row["against CSP+LDA"], row["p (Holm)"]) == ("–", "–")
        else:
            found = compared.loc[name]
            difference = "{difference:+.3f} [{low:.3f}, {high:.3f}]".format(**found)
            assert row["against CSP+LDA"] == difference
            p_value = "< 0.001" if found["p_holm"] < 0.001 else f"{found['p_holm']:.3f}"
            assert row["p (Holm)"] == p_value


def test_tasks_and_kinds_of_information_have_tables_of_their_own():
    scores = make_scores(3, 6, TASKS[:2], kinds=("strict", "transductive"), seeds=(0, 5))
    text = scores_table(scores)
    assert len(cells(text)) == 8
    for task in TASKS[:2]:
        for kind in ("strict", "transductive"):
            assert f"`{task}`, leave-one-subject-out, {kind}\n" in text
    assert text.count("no data from the test subjects") == 2
    assert text.count("unlabelled epochs of the test\nsubjects") == 2
    assert text.count("over 6 subjects (S1-S6)") == 4
    assert text.count("Seeds 0, 5 averaged within subjects (tangent space+LR)") == 4
    assert text.count("skeegformer 0.1.0") == 1
    assert len(cells(scores_table(scores, by_subject=False))) == 4


def test_a_package_is_named_once_with_all_its_versions():
    scores = make_scores(2, 6)
    is_chance = scores["pipeline"] == "chance"
    both = "skeegformer 0.2, torch 2.13", "skeegformer 0.1, torch 2.13 on NVIDIA H100"
    text = scores_table(scores.assign(versions=np.where(is_chance, *both)))
    assert "skeegformer 0.1, 0.2; torch 2.13; in part on NVIDIA H100." in " ".join(text.split())


def test_bare_scores_need_no_other_columns():
    scores = make_scores(2, 4)[["pipeline", "subject", "balanced_accuracy"]]
    table, _ = cells(scores_table(scores))
    assert list(table[0])[:5] == ["pipeline", "mean", "SD", "worst", "best"]
    assert "Brier" not in table[0]
    assert "With 4 subjects no p can be below 0.05" in " ".join(scores_table(scores).split())
    assert "Bold: the best mean" in scores_table(scores)
    assert "against" not in scores_table(scores, reference=None)
    assert "against chance" in scores_table(scores, reference="chance")


@pytest.mark.parametrize("seeds, lacking", [((0,), [3]), ((0, 1), [3, 4])])
def test_whoever_lacks_a_subject_or_a_seed_is_named_and_not_best(seeds, lacking):
    scores = make_scores(4, 8, seeds=seeds)
    is_last = scores["seed"] == seeds[-1]
    gap = (scores["pipeline"] == "MDM") & is_last & scores["subject"].isin(lacking)
    scores = scores[~gap]
    scores.loc[scores["pipeline"] == "MDM", "balanced_accuracy"] = 1.0
    text = scores_table(scores)
    table, subjects = cells(text)
    names = ", ".join(f"S{subject}" for subject in lacking)
    said = f"MDM has no score, or not with each of its seeds, of {names}"
    assert said in " ".join(text.split())
    assert (table[3]["mean"], table[3]["p (Holm)"]) == ("1.000", "–")
    assert (subjects[3]["S3"] == "–") == (len(seeds) == 1)
    assert sum("**" in row["mean"] for row in table) == 1
    # The others are compared all the same.
    others = compare_pipelines(scores[scores["pipeline"] != "MDM"], "CSP+LDA")
    p_value = others.set_index("pipeline").loc["tangent space+LR", "p_holm"]
    assert table[2]["p (Holm)"] == f"{p_value:.3f}"
    with pytest.raises(ValueError, match=f"'MDM' has no balanced accuracy of {names} in baseline"):
        compare_pipelines(scores, "CSP+LDA")


def test_a_fit_is_counted_once_for_all_its_subjects():
    scores = make_scores(2, 4).assign(fold=0)
    scores["fit_seconds"] = np.arange(1.0, 9.0)
    seconds = [row["fit s"] for row in cells(scores_table(scores))[0]]
    assert seconds == ["1.0", "5.0"]
    assert summarize_scores(scores)["fit_seconds"].tolist() == [1.0, 5.0]


def test_less_error_is_best():
    scores = make_scores(3, 6)
    text = scores_table(scores, metric="brier_score")
    table, _ = cells(text)
    means = scores.groupby("pipeline", sort=False)["brier_score"].mean()
    bold = next(row["pipeline"] for row in table if "**" in row["mean"])
    assert bold == means.idxmin()
    assert all(float(row["worst"]) >= float(row["best"]) for row in table)
    assert "Brier" not in table[0]


def test_terminal_lines_are_not_too_long_and_stay_in_columns():
    text = scores_table(make_scores(8, 30), format="text")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("EEGNet") for line in lines) == 4  # 30 subjects in three parts
    rows = [line for line in lines if re.match("(chance|CSP|MDM|EEG)", line)][:5]
    assert len({row.index(".", 20) for row in rows}) == 1
    assert "*" not in text


def test_rst_is_understood_by_docutils():
    scores = make_scores(4, 14, TASKS[:2]).replace("MDM", "a*b_ |c| `d`")
    text = scores_table(scores, format="rst")
    found = parse(text)
    assert not found["system_message"]
    assert len(found["table"]) == 6
    assert len(found["strong"]) == 2
    assert [entry.astext() for entry in found["entry"]].count("a*b_ |c| `d`") == 6


def test_names_that_are_text_or_look_like_markup():
    scores = make_scores(2, 3).replace("chance", "a|b *c*").assign(balanced_accuracy=0.5)
    scores["subject"] = scores["subject"].map({1: "ann", 2: "bob", 3: "cleo"})
    scores.loc[scores["subject"] == "bob", "roc_auc"] = np.nan
    text = scores_table(scores)
    assert "3 subjects (ann, bob, cleo)" in text
    table, subjects = cells(text)
    assert list(subjects[0]) == ["pipeline", "ann", "bob", "cleo"]
    assert table[0]["pipeline"] == subjects[0]["pipeline"] == r"a\|b \*c\*"
    assert table[0]["against CSP+LDA"] == "+0.000"  # equal differences have no interval
    csp = scores[scores["pipeline"] == "CSP+LDA"]
    assert table[1]["ROC AUC"] == f"{csp['roc_auc'].mean():.3f}"
    assert "ROC AUC" not in scores_table(scores.assign(roc_auc=np.nan))
