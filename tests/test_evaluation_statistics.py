"""Comparisons: against published numbers, SciPy, MOABB, brute force and simulations."""

from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scores_factory import TASKS, make_scores

from skeegformer.evaluation.statistics import (
    ALL_TASKS,
    _holm,
    _signed_rank,
    compare_pipelines,
)

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


def test_scores_of_tables_with_fewer_digits_have_the_same_ties():
    # Balanced accuracies of 20 + 25 epochs and three seeds, as exact fractions and as written.
    rng = np.random.default_rng(0)
    hits = rng.integers(0, [21, 26], size=(12, 2, 12, 3, 2))

    def score(seeds):
        return sum(Fraction(int(a), 20) + Fraction(int(b), 25) for a, b in seeds) / 6

    exact = [[[score(seeds) for seeds in one] for one in pair] for pair in hits]
    n_ties = 0
    for one, other in exact:
        true = [a - b for a, b in zip(one, other, strict=True)]
        places = {value: n for n, value in enumerate(sorted({abs(value) for value in true}))}
        n_ties += len(places) < len(true)
        ranks = [np.sign(float(value)) * (1 + places[abs(value)]) for value in true]
        for n_digits in (12, 16):
            written = np.round(np.array([one, other], dtype=float), n_digits)
            scores = long(pd.DataFrame(written.T, columns=["other", "reference"]))
            row = compare_pipelines(scores, "reference").iloc[0]
            assert row["p_wilcoxon"] == _signed_rank(np.array(ranks))
    assert n_ties > 3


def test_holm_against_its_definition():
    p_values = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    np.testing.assert_allclose(_holm(p_values), [0.04, 0.09, 0.09, 0.025, 0.5])


def test_comparison_against_numpy_and_scipy():
    scores = make_scores(4, 12, seeds=(0, 1), random_state=3)
    table = compare_pipelines(scores, "CSP+LDA")
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
        ({"scores": pd.concat([STRICT, STRICT.assign(protocol="a")])}, "mix 2 kinds of protocol"),
        ({"scores": pd.concat([STRICT, STRICT])}, "have 12 rows twice, such as pipeline chance"),
        ({"scores": [1, 2]}, "The scores are a list, but have to be a DataFrame"),
        ({"scores": pd.DataFrame({"pipeline": ["a"]})}, "lack the columns subject, balanced_acc"),
        ({"scores": two([0.1])[:0]}, "The scores have no rows"),
        ({"scores": two([0.1])}, "of a single subject"),
        ({"scores": two([0.1, np.nan])}, "'other' has no balanced accuracy of S1 .* or it is NaN"),
        ({"reference": "CSP"}, "reference='CSP' is no pipeline in the scores; there are 'ref"),
        ({"metric": "kappa"}, "metric='kappa' is not one of 'balanced_accuracy'"),
        (
            {"scores": two([0.1, 0.2]).query("pipeline == 'reference'")},
            "no pipeline but 'reference' in the scores",
        ),
    ],
)
def test_bad_input(change, message):
    given = {"scores": two([0.1, 0.2, 0.3]), "reference": "reference"} | change
    with pytest.raises(ValueError, match=message):
        compare_pipelines(given.pop("scores"), given.pop("reference"), **given)
