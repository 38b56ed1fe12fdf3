"""Statistics of explanations against pandas, SciPy, MNE and data whose truth is known."""

import itertools
from dataclasses import replace

import mne
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from skeegformer.explain import Explanation, concatenate_explanations
from skeegformer.explain._statistics import bootstrap_intervals

CLASSES = np.array(["left", "right"])
NEAR = ["C3", "C1", "C5", "FC3", "CP3"]


@pytest.fixture(scope="module")
def info(simulated):
    return simulated[0].info


def make_explanation(values, y, subjects, info=None, **changes):
    """Make one of values (n_epochs, n_chans) or (n_epochs, n_chans, n_parts)."""
    values = np.asarray(values, dtype=float)
    values = values[:, :, None] if values.ndim == 2 else values
    options = {
        "token_values": values,
        "probabilities": np.tile([0.7, 0.3], (len(values), 1)),
        "classes": CLASSES,
        "y": None if y is None else np.asarray(y),
        "ch_names": None if info is None else info["ch_names"],
        "info": info,
        "method": "integrated-gradients",
        "subjects": None if subjects is None else np.asarray(subjects),
    }
    return Explanation(**{**options, **changes})


def spatial_noise(info, shape, rng, length=0.04):
    """Draw noise that neighbouring electrodes share, as (*shape, n_chans)."""
    positions = np.array([channel["loc"][:3] for channel in info["chs"]])
    covariance = np.exp(-(cdist(positions, positions) ** 2) / (2 * length**2))
    root = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(positions)))
    return rng.normal(size=(*shape, len(positions))) @ root.T


def null_explanation(info, rng, n_subjects=12, n_epochs=3):
    """No difference between the classes; every subject has a map of its own."""
    maps = spatial_noise(info, (n_subjects, 1), rng)
    values = maps + spatial_noise(info, (n_subjects, 2 * n_epochs), rng)
    y = np.tile(np.repeat(CLASSES, n_epochs), n_subjects)
    subjects = np.repeat(np.arange(n_subjects), 2 * n_epochs)
    return make_explanation(values.reshape(-1, values.shape[-1]), y, subjects, info)


def test_subject_means_are_those_of_pandas(info):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 64, 2))
    y, subjects = rng.choice(CLASSES, 50), rng.choice([3, 1, 2], 50)
    explanation = make_explanation(values, y, subjects, info, parts=("a", "b"))
    frame = pd.DataFrame(values.sum(axis=2), columns=info["ch_names"])
    tables = explanation.subject_means()
    assert repr(list(tables)) == "['left', 'right']"
    for label, table in tables.items():
        expected = frame[y == label].groupby(subjects[y == label]).mean()
        pd.testing.assert_frame_equal(table, expected, check_names=False)
        assert table.index.name == "subject"
    whole = explanation.subject_means(by=None)
    pd.testing.assert_frame_equal(whole, frame.groupby(subjects).mean(), check_names=False)
    parts = explanation.subject_means(by="part")
    np.testing.assert_allclose(parts["b"].loc[2], values[subjects == 2, :, 1].mean(axis=0))
    predicted = explanation.subject_means(by=explanation.predictions)
    pd.testing.assert_frame_equal(predicted["left"], whole)  # all are predicted left
    intervals = explanation.confidence_intervals(by=None, random_state=0)
    np.testing.assert_allclose(intervals["mean"], whole.mean())  # not that of all epochs


def test_a_subject_counts_once_however_many_models_explain_it(info):
    rng = np.random.default_rng(0)
    first, second = (null_explanation(info, rng, n_subjects=6) for _ in range(2))
    joined = concatenate_explanations([first, second.select(subject=5), second.select(subject=4)])
    assert joined.settings["n_models"] == 3
    assert len(joined) == len(first) + 12
    table, *of_models = (one.subject_means()["left"] for one in (joined, first, second))
    assert table.index.tolist() == [0, 1, 2, 3, 4, 5]
    expected = pd.concat([of_models[0][:4], (of_models[0] + of_models[1])[4:] / 2])
    pd.testing.assert_frame_equal(table, expected)
    joined = replace(joined, method="rollout")
    test = joined.compare("left", "right", random_state=0)
    assert (test.paired, test.n_subjects) == (True, 6)
    assert test.smallest_possible_p == 1 / 2**5


def test_intervals_resample_whole_subjects():
    """An independent bootstrap, one row of subjects after the other, finds the same."""
    rng = np.random.default_rng(1)
    values = pd.DataFrame(rng.normal(size=(200, 2)) * [1, 5])
    found = bootstrap_intervals(values, random_state=0, n_resamples=5000)
    draws = np.array([values.loc[rng.integers(200, size=200)].mean() for _ in range(5000)])
    np.testing.assert_allclose(found["mean"], values.mean())
    np.testing.assert_allclose(found["low"], np.quantile(draws, 0.025, axis=0), atol=0.06)
    np.testing.assert_allclose(found["high"], np.quantile(draws, 0.975, axis=0), atol=0.06)
    again = bootstrap_intervals(values, random_state=0, n_resamples=5000)
    pd.testing.assert_frame_equal(found, again)
    assert not found.equals(bootstrap_intervals(values, random_state=1, n_resamples=5000))
    narrow = bootstrap_intervals(values, level=0.5, random_state=0)
    assert (narrow["low"] > found["low"]).all()


def test_intervals_of_twelve_subjects_hold_the_mean_as_often_as_they_say():
    values = np.random.default_rng(0).normal(size=(12, 1500))  # each channel is one experiment
    intervals = bootstrap_intervals(pd.DataFrame(values), random_state=0, n_resamples=1000)
    covered = ((intervals["low"] <= 0) & (intervals["high"] >= 0)).sum()
    assert stats.binomtest(int(covered), 1500, 0.95).pvalue > 0.01
    assert covered / 1500 > 0.92


def test_intervals_by_class_and_where_nothing_varies(info):
    explanation = null_explanation(info, np.random.default_rng(0))
    explanation.token_values[:, 5] = 0.1
    intervals = explanation.confidence_intervals(random_state=0, n_resamples=200)
    table = intervals["right"]
    assert table.index.tolist() == info["ch_names"]
    np.testing.assert_allclose(table.iloc[5], 0.1)
    others = table.drop(info["ch_names"][5])
    assert (others["low"] < others["mean"]).all()
    assert (others["mean"] < others["high"]).all()


def test_t_values_and_difference_are_those_of_scipy(info):
    explanation = null_explanation(info, np.random.default_rng(0))
    tables = explanation.subject_means()
    expected = stats.ttest_rel(tables["left"], tables["right"])
    test = explanation.compare("left", "right", n_permutations=50)
    np.testing.assert_allclose(test.t_values, expected.statistic)
    np.testing.assert_allclose(test.difference, (tables["left"] - tables["right"]).mean())
    assert test.n_subjects == 12
    # The epochs of somebody who lacks a condition have no part in it.
    keep = ~((explanation.subjects == 7) & (explanation.y == "right"))
    with pytest.warns(UserWarning, match="Subjects 7 have no epochs of 'left' or of 'right'"):
        test = explanation.select(keep).compare("left", "right", n_permutations=50)
    assert test.n_subjects == 11
    expected = stats.ttest_rel(tables["left"].drop(7), tables["right"].drop(7))
    np.testing.assert_allclose(test.t_values, expected.statistic)


def test_clusters_and_p_values_are_those_of_every_sign_flip(info):
    """A chain of 8 channels and 6 subjects, small enough to go through all of it."""
    rng = np.random.default_rng(3)
    chain = np.eye(8, k=1) + np.eye(8, k=-1)
    differences = rng.normal(size=(6, 8)) + np.array([2, 2, 0, 0, 0, -1, -1, 0])
    values = np.concatenate([differences, np.zeros((6, 8))])
    y, subjects = np.repeat(CLASSES, 6), np.tile(np.arange(6), 2)
    explanation = make_explanation(values, y, subjects)
    test = explanation.compare("left", "right", adjacency=chain)

    def masses(x):
        """Sum t over runs of neighbours beyond the threshold, of one sign."""
        t = stats.ttest_1samp(x, 0).statistic
        sign = np.where(np.abs(t) > stats.t.isf(0.025, 5), np.sign(t), 0)
        found, start = [], 0
        for end in range(1, 9):
            if end == 8 or sign[end] != sign[start]:
                if sign[start]:
                    found.append((t[start:end].sum(), range(start, end)))
                start = end
        return found

    flips = [differences * np.array(one)[:, None] for one in itertools.product([1, -1], repeat=6)]
    largest = np.array([max((abs(mass) for mass, _ in masses(x)), default=0) for x in flips])
    expected = sorted(
        (np.mean(largest >= abs(mass) - 1e-9), list(run)) for mass, run in masses(differences)
    )
    assert len(expected) >= 2
    assert test.n_permutations == 32  # a flip and its mirror image are the same two-sided
    found = [np.flatnonzero(cluster).tolist() for cluster in test.clusters]
    assert list(zip(test.p_values, found, strict=True)) == expected


@pytest.mark.parametrize("paired, n_runs", [(True, 200), (False, 100)])
def test_false_alarms_stay_at_alpha(info, paired, n_runs):
    rng = np.random.default_rng(0 if paired else 1)
    alarms = 0
    for _ in range(n_runs):
        explanation, conditions, by = null_explanation(info, rng), CLASSES, "class"
        if not paired:
            explanation, by, _ = _groups(info, rng)
            conditions = "patient", "control"
        # The data's own is among the 2 largest of 40 in 5 % of runs.
        options = {"n_permutations": 40, "random_state": rng.integers(2**31)}
        alarms += explanation.compare(*conditions, by=by, **options).mask.any()
    assert stats.binomtest(int(alarms), n_runs, 0.05, alternative="greater").pvalue > 0.01
    assert alarms > 0  # or it would never find anything


def test_a_true_difference_is_found_where_it_is(info):
    rng = np.random.default_rng(0)
    explanation = null_explanation(info, rng)
    near = mne.pick_channels(info["ch_names"], NEAR)
    far = mne.pick_channels(info["ch_names"], ["C4", "C2", "C6", "FC4", "CP4", "O2"])
    left = np.flatnonzero(explanation.y == "left")
    explanation.token_values[np.ix_(left, near)] += 2.0
    test = explanation.compare("left", "right", random_state=0)
    assert test.mask[near].all()
    assert not test.mask[far].any()
    assert test.p_values[0] == test.smallest_possible_p == 1 / 2**11
    assert "The conditions differ (p = 0.00049)." in repr(test)
    assert f"left by {test.difference[test.mask].mean():.2g} on average (p = 0.00049)" in repr(test)
    assert "no finding about place or extent" in repr(test)
    few = {"n_permutations": 200, "random_state": 0}
    other_way = explanation.compare("right", "left", **few)
    np.testing.assert_array_equal(other_way.mask, test.mask)
    np.testing.assert_allclose(other_way.t_values, -test.t_values)
    explanation.token_values[:] -= explanation.token_values.mean(axis=1, keepdims=True)  # shares
    assert "more here is less elsewhere" in repr(explanation.compare("left", "right", **few))


def test_channels_without_variance_have_finite_t(info):
    """One channel is the same in both conditions, one differs by the same in all subjects."""
    explanation = null_explanation(info, np.random.default_rng(0))
    explanation.token_values[:, :3] = 0.3
    explanation.token_values[explanation.y == "left", 2] = 1.3
    test = explanation.compare("left", "right", n_permutations=40, random_state=0)
    assert np.isfinite(test.t_values).all()
    assert test.t_values[:3].tolist() == [0, 0, 1000]
    assert test.mask[:3].tolist() == [False, False, True]


def test_rounding_of_means_is_no_difference():
    """0.1 averaged over 3 epochs and over 1 differs in the last digit, in every subject."""
    y = np.tile(["left", "left", "left", "right"], 8)
    explanation = make_explanation(np.full((32, 3), 0.1), y, np.repeat(np.arange(8), 4))
    tables = explanation.subject_means()
    assert (tables["left"] != tables["right"]).any(axis=None)
    test = explanation.compare("left", "right", adjacency=np.ones((3, 3)))
    np.testing.assert_array_equal(test.t_values, 0.0)
    assert test.clusters.shape == (0, 3)
    assert not test.mask.any()
    assert "no channel's t reaches the threshold" in repr(test)
    assert "no evidence that the conditions are the same" in repr(test)


def test_too_few_subjects_are_told_what_they_cannot_show(info):
    explanation = null_explanation(info, np.random.default_rng(0), n_subjects=5)
    with pytest.warns(UserWarning, match=r"With 5 subjects the smallest possible p is 0.0625"):
        test = explanation.compare("left", "right")
    assert "cannot find a difference" in repr(test)
    assert not test.mask.any()
    one = explanation.select(subject=0)
    with pytest.raises(ValueError, match="1 of 1 subjects have epochs of both 'left' and 'right'"):
        one.compare("left", "right")


def test_parts_can_be_compared():
    values = np.random.default_rng(1).normal(size=(20, 3, 2))
    values[:, 1, 1] += 3
    subjects = np.repeat(np.arange(10), 2)
    explanation = make_explanation(values, None, subjects, parts=("theta", "alpha"))
    test = explanation.compare("alpha", "theta", by="part", adjacency=np.eye(3))
    assert test.mask.tolist() == [False, True, False]
    assert test.conditions == ("alpha", "theta")


def _groups(info, rng, n_first=7, n_second=6, effect=0.0):
    """Epochs of two groups of subjects, of which one may have another map near C3."""
    groups = np.repeat(["patient", "control"], [n_first, n_second])
    values = spatial_noise(info, (len(groups), 1), rng) + spatial_noise(info, (len(groups), 4), rng)
    near = mne.pick_channels(info["ch_names"], NEAR)
    values[np.ix_(np.flatnonzero(groups == "patient"), range(4), near)] += effect
    y, subjects = np.tile(CLASSES, 2 * len(groups)), np.repeat(np.arange(len(groups)), 4)
    explanation = make_explanation(values.reshape(-1, values.shape[-1]), y, subjects, info)
    return explanation, np.repeat(groups, 4), near


def test_groups_of_subjects_are_compared_as_independent_samples(info):
    explanation, group, near = _groups(info, np.random.default_rng(0), effect=4.0)
    test = explanation.compare("patient", "control", by=group, random_state=0)
    tables = explanation.subject_means(by=group)
    expected = stats.ttest_ind(tables["patient"], tables["control"])
    np.testing.assert_allclose(test.t_values, expected.statistic)
    np.testing.assert_allclose(test.difference, tables["patient"].mean() - tables["control"].mean())
    assert (test.paired, test.n_subjects) == (False, 13)
    assert test.threshold == pytest.approx(stats.t.isf(0.025, 11))
    assert test.mask[near].all()
    assert "over 13 subjects (in two groups, independent samples)" in repr(test)
    assert f"groups, of {round(1 / test.smallest_possible_p)} that there are" in repr(test)
    # The same, where the classes are the groups.
    classes = replace(explanation, classes=np.array(["control", "patient"]), y=group)
    again = classes.compare("patient", "control", random_state=0)
    np.testing.assert_array_equal(again.p_values, test.p_values)
    paired = explanation.compare("left", "right", n_permutations=50)
    assert paired.paired
    assert "over 13 subjects (who have both, paired)" in repr(paired)


def test_p_values_of_groups_are_those_of_every_division():
    """A single channel and 4 + 4 subjects, whose 70 divisions can all be gone through."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=8) + np.repeat([2.0, 0], 4)
    explanation = make_explanation(values[:, None], np.repeat(CLASSES, 4), np.arange(8))
    options = {"threshold": 0.1, "n_permutations": 5000, "random_state": 0}
    test = explanation.compare("left", "right", adjacency=np.eye(1), **options)
    divisions = [list(one) for one in itertools.combinations(range(8), 4)]
    t = [abs(stats.ttest_ind(values[d], np.delete(values, d)).statistic) for d in divisions]
    expected = np.mean(np.array(t) >= abs(test.t_values[0]) - 1e-9)
    assert test.p_values[0] == pytest.approx(expected, abs=0.02)
    assert test.smallest_possible_p == 1 / 35


def test_no_p_is_below_the_smallest_that_few_subjects_allow(info):
    """3 + 3 subjects, whose own division comes up again and again among the permutations."""
    rng = np.random.default_rng(6)
    explanation, group, _ = _groups(info, rng, 3, 3)
    few = explanation.subjects <= 3
    with pytest.raises(ValueError, match="3 subjects have epochs of 'patient' and 1 others"):
        explanation.select(few).compare("patient", "control", by=group[few])
    for seed in range(10):
        values = rng.normal(size=(6, len(info["ch_names"])))
        explanation = make_explanation(values, np.repeat(CLASSES, 3), np.arange(6), info=info)
        with pytest.warns(UserWarning, match="With 6 subjects the smallest possible p is 0.1"):
            test = explanation.compare("left", "right", n_permutations=200, random_state=seed)
        assert test.smallest_possible_p == 0.1
        assert not test.mask.any()
        assert (test.p_values > 0.07).all()


@pytest.mark.parametrize("by", ["class", "group"])
def test_conditions_that_were_explained_for_different_classes_are_refused(info, by):
    """A gradient rollout of its own class for each differs on data that do not."""
    explanation, group, _ = _groups(info, np.random.default_rng(0))
    a, b, labels = "patient", "control", group
    if by == "class":
        a, b, labels = "left", "right", explanation.y
    options = {"by": by if by == "class" else group, "n_permutations": 50}
    specific = replace(explanation, method="gradient-rollout", targets=labels)
    with pytest.raises(ValueError, match=f"{a!r} and of {b!r} were explained for different class"):
        specific.compare(a, b, **options)
    for targets in (np.full(len(group), a), np.tile(["left", "right"], len(group) // 2)):
        if by == "group" or targets[0] == targets[1]:  # as many of each in both conditions
            replace(specific, targets=targets).compare(a, b, **options)


def test_models_that_were_trained_on_each_others_test_subjects_are_refused(info):
    """Joined from folds, what moves the log odds of what the models learnt to tell apart."""
    explanation, group, _ = _groups(info, np.random.default_rng(0))
    folds = [explanation.select(explanation.subjects % 3 == k) for k in range(3)]
    joined = concatenate_explanations(folds)
    with pytest.raises(ValueError, match="The 3 models .* tell 'left' from 'right'"):
        joined.compare("left", "right")
    with pytest.raises(ValueError, match="The 3 models"):
        concatenate_explanations([joined]).compare("left", "right")
    group = np.concatenate([group[explanation.subjects % 3 == k] for k in range(3)])
    joined.compare("patient", "control", by=group, n_permutations=50)  # not what they learnt
    replace(joined, method="rollout").compare("left", "right", n_permutations=50)
