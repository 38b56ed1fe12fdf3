"""Comparisons and ranks: against published numbers, SciPy, MOABB, brute force and simulations."""

from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scores_factory import TASKS, make_scores

from skeegformer.evaluation import _paired_tests as paired
from skeegformer.evaluation.statistics import (
    ALL_TASKS,
    _jackknife,
    compare_pipelines,
    critical_value,
    meta_analysis,
    rank_pipelines,
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
    assert paired.signed_rank(diffs)[0] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_signed_ranks_with_ties_and_zeros_are_those_of_all_signs(seed):
    diffs = np.random.default_rng(seed).integers(-3, 5, 10) / 45
    p_value, biserial = paired.signed_rank(diffs)
    assert p_value == pytest.approx(by_brute_force(diffs))
    ranks = stats.rankdata(np.abs(diffs))
    above, below = ranks[diffs > 0].sum(), ranks[diffs < 0].sum()
    assert biserial == pytest.approx((above - below) / (above + below))


def test_signed_ranks_reject_no_more_than_they_should():
    """Also with the ties and zeros of accuracies over few epochs, 0.05 means 0.05."""
    rng = np.random.default_rng(0)
    scores = rng.binomial(30, 0.6, size=(2, 4000, 20)) / 30
    diffs = paired.differences(*scores)
    rejected = np.mean([paired.signed_rank(one)[0] <= 0.05 for one in diffs])
    assert 0.035 < rejected <= 0.056


def test_equal_differences_are_ties_in_spite_of_rounding():
    diffs = paired.differences([0.6, 0.3 + 0.6, 0.7], [0.5, 0.8, 0.8])
    assert diffs[0] == diffs[1] == -diffs[2]


def test_scores_of_tables_with_fewer_digits_have_the_same_ties():
    # Balanced accuracies of 20 + 25 epochs and three seeds, as exact fractions and as written.
    rng = np.random.default_rng(0)
    hits = rng.integers(0, [21, 26], size=(40, 2, 12, 3, 2))
    exact = [
        [
            [
                sum(Fraction(int(a), 20) + Fraction(int(b), 25) for a, b in seeds) / 6
                for seeds in one
            ]
            for one in pair
        ]
        for pair in hits
    ]
    n_ties = 0
    for one, other in exact:
        true = [a - b for a, b in zip(one, other, strict=True)]
        places = {value: n for n, value in enumerate(sorted({abs(value) for value in true}))}
        n_ties += len(places) < len(true)
        ranks = [np.sign(float(value)) * (1 + places[abs(value)]) for value in true]
        for n_digits in (12, 16):
            written = np.round(np.array([one, other], dtype=float), n_digits)
            diffs = paired.differences(*written)
            assert paired.signed_rank(diffs)[0] == paired.signed_rank(np.array(ranks))[0]
    assert n_ties > 10


def test_sign_flips_are_those_of_scipy():
    diffs = np.random.default_rng(1).normal(0.4, 1, 9)
    two_sided, greater = paired.sign_flips(diffs, 0)
    for alternative, found in (("two-sided", two_sided), ("greater", greater)):
        expected = stats.permutation_test(
            (diffs,),
            np.mean,
            permutation_type="samples",
            n_resamples=10**5,
            alternative=alternative,
        ).pvalue
        assert found == pytest.approx(expected)
    many = np.random.default_rng(2).normal(0.3, 1, 40)
    two_sided, greater = paired.sign_flips(many, 0)
    t_test = stats.ttest_1samp(many, 0)
    assert two_sided == pytest.approx(t_test.pvalue, abs=0.01)
    assert greater == pytest.approx(t_test.pvalue / 2, abs=0.01)


def test_sign_flips_take_a_random_state():
    diffs = np.random.default_rng(0).normal(0.2, 1, 30)
    by_state = paired.sign_flips(diffs, np.random.RandomState(3))
    assert by_state == paired.sign_flips(diffs, 3)


def test_intervals_of_the_effect_invert_the_noncentral_t_distribution():
    for effect, n_subjects in ((0.4, 12), (-1.2, 8), (3.0, 5), (0.0, 40)):
        low, high = paired.standardized_interval(effect, n_subjects, 0.9)
        root = np.sqrt(n_subjects)
        for end, tail in ((low, 0.95), (high, 0.05)):
            found = stats.nct.cdf(effect * root, n_subjects - 1, end * root)
            assert found == pytest.approx(tail, abs=1e-4)
    low, high = paired.standardized_interval(30.0, 109, 0.95)  # where scipy.stats.nct has no value
    assert 25 < low < 30 < high < 35


def test_holm_against_its_definition():
    p_values = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    np.testing.assert_allclose(paired.holm(p_values), [0.04, 0.09, 0.09, 0.025, 0.5])


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
        assert row["p_permutation"] == pytest.approx(t_test.pvalue, abs=0.05)
    np.testing.assert_allclose(table["p_holm"], paired.holm(table["p_wilcoxon"]))
    permuted = compare_pipelines(scores, "CSP+LDA", test="permutation")
    np.testing.assert_allclose(permuted["p_holm"], paired.holm(table["p_permutation"]))


def test_seeds_are_averaged_and_are_no_subjects():
    scores = two([0.1, 0.2, 0.3, 0.1, 0.2])
    repeated = pd.concat(
        [
            scores.assign(seed=0),
            scores.assign(seed=1, balanced_accuracy=scores["balanced_accuracy"] + 0.02),
        ]
    )
    pd.testing.assert_series_equal(
        compare_pipelines(scores, "reference")["p_wilcoxon"],
        compare_pipelines(repeated, "reference")["p_wilcoxon"],
    )
    row = compare_pipelines(repeated, "reference").iloc[0]
    assert (row["n_subjects"], round(row["difference"], 10)) == (5, 0.18)


def test_less_calibration_error_wins():
    scores = two([-0.1, -0.2, -0.15, 0.05]).rename(
        columns={"balanced_accuracy": "calibration_error"}
    )
    row = compare_pipelines(scores, "reference", metric="calibration_error").iloc[0]
    assert (row["wins"], row["losses"]) == (3, 1)
    assert row["difference"] < 0
    assert row["p_better"] < 0.2
    assert rank_best(scores) == "other"


def rank_best(scores):
    third = scores[scores["pipeline"] == "reference"].assign(pipeline="third")
    third["calibration_error"] += 0.1
    scores = pd.concat([scores, third])
    return rank_pipelines(scores, metric="calibration_error").mean_ranks.index[0]


def test_equal_pipelines_and_constant_differences():
    row = compare_pipelines(two(np.zeros(8)), "reference").iloc[0]
    assert (row["p_wilcoxon"], row["p_permutation"], row["p_holm"]) == (1, 1, 1)
    assert (row["d_z"], row["rank_biserial"], row["ties"]) == (0, 0, 8)
    row = compare_pipelines(two(np.full(8, 0.1)), "reference").iloc[0]
    assert row["d_z"] == np.inf
    assert np.isnan(row["d_low"])
    assert row["p_wilcoxon"] == row["p_permutation"] == 2 / 2**8
    assert meta_analysis(two(np.zeros(8)), "reference")["p_stouffer"].item() == 0.5


def test_all_tasks_are_the_means_of_subjects_who_have_them_all():
    first, second = [0.1, 0.3, -0.1, 0.2], [0.3, 0.1, 0.5]
    scores = pd.concat([two(first, task="a"), two(second, task="b")])
    table = compare_pipelines(scores, "reference").set_index("task")
    assert table.index.tolist() == ["a", "b", ALL_TASKS]
    assert table.loc[ALL_TASKS, "n_subjects"] == 3
    assert table.loc[ALL_TASKS, "difference"] == pytest.approx(np.mean([0.2, 0.2, 0.2]))


def in_moabbs_columns(scores):
    return scores.rename(columns={"task": "dataset", "balanced_accuracy": "score"})


def test_meta_analysis_is_moabbs():
    """Up to 13 subjects MOABB counts all flips of signs, too."""
    moabb = pytest.importorskip("moabb.analysis.meta_analysis")
    scores = pd.concat(
        make_scores(4, n, TASKS[k : k + 1], random_state=k) for k, n in enumerate((8, 12, 10))
    )
    # Without equal sums of differences, which MOABB takes for unequal by their rounding errors.
    scores["balanced_accuracy"] += np.random.default_rng(0).normal(0, 0.001, len(scores))
    found = moabb.compute_dataset_statistics(in_moabbs_columns(scores))
    p_values, effects = moabb.find_significant_differences(found)
    ours = meta_analysis(scores, "CSP+LDA").set_index("pipeline")
    each = compare_pipelines(scores, "CSP+LDA").set_index(["task", "pipeline"])
    for pipeline in ours.index:
        p_moabb = p_values.loc[pipeline, "CSP+LDA"]
        assert ours.loc[pipeline, "p_stouffer"] == pytest.approx(p_moabb, rel=1e-6)
        assert ours.loc[pipeline, "effect"] == pytest.approx(effects.loc[pipeline, "CSP+LDA"])
        for task in TASKS[:3]:
            row = found[
                (found["dataset"] == task)
                & (found["pipe1"] == pipeline)
                & (found["pipe2"] == "CSP+LDA")
            ].iloc[0]
            assert each.loc[(task, pipeline), "d_z"] == pytest.approx(row["smd"])
            # MOABB keeps p values below 1 by one flip.
            least = min(each.loc[(task, pipeline), "p_better"], 1 - 0.5 ** row["nsub"])
            assert least == pytest.approx(row["p"])


def test_interval_of_the_combined_effect_holds_for_the_same_subjects_in_all_tasks():
    """Effects of three tasks whose differences correlate by 0.8; 95 % of intervals hold 0.5."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        shared = rng.normal(size=16)
        diffs = [
            pd.Series(0.5 + np.sqrt(0.8) * shared + np.sqrt(0.2) * rng.normal(size=16))
            for _ in range(3)
        ]
        low, high, n_subjects = _jackknife(diffs, np.full(3, 4.0), 0.95)
        held += low < 0.5 < high
        assert n_subjects == 16
    assert 0.90 < held / 300 < 0.98


def test_critical_values_are_those_of_the_published_table():
    published = {
        0.05: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
        0.10: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
    }
    for alpha, values in published.items():
        found = [critical_value(k, alpha) for k in range(2, 11)]
        np.testing.assert_allclose(found, values, atol=0.0011)


def test_ranks_are_those_of_demsars_example():
    ranking = rank_pipelines(demsar())
    published = pd.Series([3.143, 2.000, 2.893, 1.964], index=VARIANTS)
    found = ranking.mean_ranks[VARIANTS]
    pd.testing.assert_series_equal(found, published, atol=0.001, check_names=False)
    assert ranking.critical_difference == pytest.approx(1.25, abs=0.005)
    assert ranking.cliques == [("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")]
    values = demsar().pivot(index="subject", columns="pipeline", values="balanced_accuracy")
    expected = stats.friedmanchisquare(*values.to_numpy().T).pvalue
    assert ranking.p_friedman == pytest.approx(expected)
    assert "C4.5+m+cf is best with mean rank 1.96" in repr(ranking)
    # At 0.10 C4.5 is worse than both variants with m.
    ranking = rank_pipelines(demsar(), alpha=0.10)
    assert ranking.critical_difference == pytest.approx(1.12, abs=0.005)
    assert ranking.cliques == [("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5")]


def test_signed_ranks_of_demsars_example():
    """C4.5 against C4.5+m: rank sums 12 and 93 with zeros halved, significant at 0.05."""
    row = compare_pipelines(demsar(), "C4.5").set_index("pipeline").loc["C4.5+m"]
    assert (row["wins"], row["ties"], row["losses"]) == (10, 2, 2)
    # Zeros have ranks 1 and 2, half of which are 1.5 on each side.
    assert row["rank_biserial"] == pytest.approx((91.5 - 10.5) / (91.5 + 10.5))
    assert row["p_wilcoxon"] < 0.05


def test_nemenyi_p_values_agree_with_the_critical_difference():
    ranking = rank_pipelines(make_scores(6, 15, gain=0.02))
    ranks = ranking.mean_ranks.to_numpy()
    is_far = np.abs(ranks[:, None] - ranks) >= ranking.critical_difference
    np.testing.assert_array_equal(ranking.p_values.to_numpy() <= 0.05, is_far)
    assert is_far.any()
    assert not is_far.all()


def test_pairs_by_wilcoxon_are_corrected_over_all_pairs():
    scores = make_scores(4, 20, gain=0.03)
    ranking = rank_pipelines(scores, test="wilcoxon")
    assert ranking.critical_difference is None
    names = ranking.mean_ranks.index
    p_values = [
        compare_pipelines(scores[scores["pipeline"].isin([one, other])], one)["p_wilcoxon"].item()
        for k, one in enumerate(names)
        for other in names[k + 1 :]
    ]
    found = ranking.p_values.to_numpy()[np.triu_indices(4, k=1)]
    np.testing.assert_allclose(found, paired.holm(p_values))
    for clique in ranking.cliques:
        assert (ranking.p_values.loc[list(clique), list(clique)] > 0.05).all(axis=None)


def test_ranks_of_several_tasks_are_those_of_subject_means():
    scores = make_scores(4, 10, TASKS[:2])
    means = scores.groupby(["subject", "pipeline"], sort=False)["balanced_accuracy"].mean()
    pd.testing.assert_series_equal(
        rank_pipelines(scores).mean_ranks, rank_pipelines(means.reset_index()).mean_ranks
    )


def test_equal_pipelines_share_their_rank():
    ranking = rank_pipelines(long({name: np.full(5, 0.5) for name in "ABC"}))
    assert ranking.mean_ranks.tolist() == [2, 2, 2]
    assert ranking.p_friedman == 1
    assert ranking.cliques == [("A", "B", "C")]


def test_tables_that_mix_what_cannot_be_compared():
    scores = make_scores(3, 4, kinds=("strict", "transductive"))
    for function in (lambda s: compare_pipelines(s, "chance"), rank_pipelines):
        with pytest.raises(ValueError, match="mix 2 kinds of information: strict, transductive"):
            function(scores)
        strict = scores[scores["information"] == "strict"]
        other = strict.assign(protocol="4-fold")
        with pytest.raises(ValueError, match="mix 2 kinds of protocol"):
            function(pd.concat([strict, other]))
        with pytest.raises(ValueError, match="have 12 rows twice, such as pipeline chance"):
            function(pd.concat([strict, strict]))
        with pytest.raises(ValueError, match="'MDM' is not one|'MDM' has no score of S2|has no sc"):
            function(strict[(strict["pipeline"] != "CSP+LDA") | (strict["subject"] != 2)])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": [1, 2]}, "The scores are a list, but have to be a DataFrame"),
        ({"scores": pd.DataFrame({"pipeline": ["a"]})}, "lack the columns subject, balanced_acc"),
        ({"scores": two([0.1])[:0]}, "The scores have no rows"),
        ({"scores": two([0.1])}, "of a single subject"),
        ({"scores": two([0.1, np.nan])}, "The balanced accuracy of 'other' is nan for subject 1"),
        ({"reference": "CSP"}, "reference='CSP' is no pipeline in the scores; there are 'ref"),
        ({"metric": "kappa"}, "metric='kappa' is not one of 'balanced_accuracy'"),
        ({"test": "t"}, "test='t' is not one of 'wilcoxon', 'permutation'"),
        ({"level": 95}, "level=95 is not between 0 and 1; 0.95 is usual"),
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


def test_bad_input_of_ranks():
    with pytest.raises(ValueError, match="at least 3 pipelines and 2 subjects in all tasks"):
        rank_pipelines(two([0.1, 0.2, 0.3]))
    with pytest.raises(ValueError, match="alpha=1 is not between 0 and 1; 0.05 is usual"):
        rank_pipelines(demsar(), alpha=1)
    with pytest.raises(ValueError, match="test='t' is not one of"):
        rank_pipelines(demsar(), test="t")
