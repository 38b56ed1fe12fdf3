"""Who is trained on and tested; patients and controls, of whom every one has a single class."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skeegformer import (
    EEGTransformerClassifier,
    EuclideanAlignment,
    cross_subject_explanations,
    cross_subject_scores,
    make_baseline,
    make_simulated_eeg,
)
from skeegformer.evaluation import (
    FixedSplit,
    compare_pipelines,
    run_benchmark,
    scores_table,
    summarize_scores,
)
from skeegformer.evaluation._splitting import cv_name, split_subjects

N_EPOCHS = 12


def log_power(X):
    return np.log(X.var(axis=2))


LINEAR = make_pipeline(FunctionTransformer(log_power), LogisticRegression())
RIDGE = make_pipeline(FunctionTransformer(log_power), RidgeClassifier())


def make_people(n_patients, n_controls, *, gain=1.3, seed=0):
    """Simulate people in whose power the first channel tells patients from controls."""
    rng = np.random.default_rng(seed)
    ill = rng.permutation(np.arange(n_patients + n_controls) < n_patients)
    own = np.exp(rng.normal(0, 0.15, (len(ill), 4)))  # what distinguishes people anyway
    own[ill, 0] *= gain
    X = rng.normal(size=(len(ill), N_EPOCHS, 4, 50)) * own[:, None, :, None]
    y = np.repeat(np.where(ill, "patient", "control"), N_EPOCHS)
    return X.reshape(-1, 4, 50), y, np.repeat(np.arange(1, len(ill) + 1), N_EPOCHS)


@pytest.fixture(scope="module")
def people():
    return make_people(12, 12)


@pytest.mark.parametrize("n_patients, n_controls", [(12, 12), (6, 14)])
def test_folds_are_stratified_over_subjects(n_patients, n_controls):
    _, y, groups = make_people(n_patients, n_controls)
    tested = []
    for _, test in split_subjects(4, y, groups):
        labels = y[test][::N_EPOCHS]
        tested += groups[test][::N_EPOCHS].tolist()
        n_ill = (labels == "patient").sum()
        assert abs(n_ill - n_patients / 4) < 1
        assert abs(len(labels) - n_ill - n_controls / 4) < 1
    assert sorted(tested) == list(range(1, n_patients + n_controls + 1))
    with pytest.raises(ValueError, match="as many subjects of each class as folds, but there are"):
        split_subjects(n_patients + 1, y, groups)


@pytest.mark.parametrize("make", [lambda n: n, StratifiedGroupKFold])
def test_scores_are_those_of_people_by_hand(make):
    X, y, groups = make_people(9, 15)
    scores = cross_subject_scores({"linear": LINEAR}, X, y, groups, cv=make(3))
    assert len(scores) == 24
    areas, decided, truth = [], [], []
    for fold, (train, test) in enumerate(split_subjects(make(3), y, groups)):
        proba = clone(LINEAR).fit(X[train], y[train]).predict_proba(X[test])[:, 1]
        of_people = pd.Series(proba).groupby(groups[test]).mean()
        labels = pd.Series(y[test]).groupby(groups[test]).first()
        own = scores[scores["fold"] == fold].set_index("subject")
        areas.append((roc_auc_score(labels == "patient", of_people), len(labels)))
        assert own["roc_auc"].mean() == pytest.approx(areas[-1][0])
        brier = brier_score_loss(labels == "patient", of_people)
        assert own["brier_score"].mean() == pytest.approx(brier)
        assert own["label"].to_dict() == labels.to_dict()
        decided += (of_people > 0.5).tolist()
        truth += (labels == "patient").tolist()
    mean = summarize_scores(scores).loc["linear", "mean"]
    assert mean == pytest.approx(balanced_accuracy_score(truth, decided))
    assert scores["roc_auc"].mean() == pytest.approx(sum(a * n for a, n in areas) / 24)


def test_other_kinds_of_folds_and_classifiers(people):
    X, y, groups = people
    alone = cross_subject_scores({"linear": LINEAR}, X, y, groups, cv=LeaveOneGroupOut())
    assert alone["roc_auc"].isna().all()  # there is nobody to compare with
    assert alone["balanced_accuracy"].isin([0, 1]).all()
    ridge = cross_subject_scores({"ridge": RIDGE}, X, y, groups)
    assert ridge[["roc_auc", "brier_score"]].isna().all(axis=None)
    assert ridge["balanced_accuracy"].mean() > 0.6
    order = np.argsort(y, kind="stable")
    numbered = np.repeat(np.arange(24), N_EPOCHS)
    with pytest.warns(UserWarning, match="a fold tests subjects of one class"):
        cross_subject_scores({"a": LINEAR}, X[order], y[order], numbered, cv=_InOrder())


class _InOrder:
    def split(self, X, y, groups):
        for part in np.array_split(np.unique(groups), 4):
            test = np.isin(groups, part)
            yield np.flatnonzero(~test), np.flatnonzero(test)


def test_classes_weigh_the_same():
    """Who calls everybody a control is right about most, and as good as chance."""
    X, y, groups = make_people(6, 18)
    pipelines = {"linear": LINEAR, "controls": DummyClassifier()}
    scores = cross_subject_scores(pipelines, X, y, groups, cv=3)
    summary = summarize_scores(scores)
    assert summary.loc["controls", "mean"] == pytest.approx(0.5)
    row = compare_pipelines(scores, "controls").iloc[0]
    assert row["reference_mean"] == pytest.approx(0.5)
    assert row["mean"] == pytest.approx(summary.loc["linear", "mean"])
    table = scores_table(scores, reference=None)
    assert " 0.500 |" in table
    said = " ".join(table.split())
    assert "mean over 24 subjects" in said
    assert "Each subject has one class" in said
    assert "ranks each subject among those of other classes in its fold" in said
    assert not any(f"| {head} |" in said for head in ("SD", "worst", "best"))


@pytest.mark.parametrize(
    "pipeline", [EEGTransformerClassifier(adapt=True), make_pipeline(EuclideanAlignment(), LINEAR)]
)
def test_what_centres_each_subject_is_refused(people, pipeline):
    X, y, groups = people
    message = "'a' aligns test subjects .* every subject has epochs of one class only"
    with pytest.raises(ValueError, match=message):
        cross_subject_scores({"a": pipeline}, X, y, groups)
    options = {"load": lambda task: people, "tasks": "task", "information": "transductive"}
    with pytest.raises(ValueError, match=message):
        run_benchmark({"transductive": {"a": pipeline}}, **options)
    with pytest.raises(ValueError, match="every subject has epochs of one class only"):
        cross_subject_explanations(pipeline, X, y, groups)


def test_benchmarks_of_people(people, tmp_path):
    pipelines = {"strict": {"a": LINEAR}, "transductive": {"a": LINEAR}}

    def run(**options):
        return run_benchmark(pipelines, lambda task: people, "task", store=tmp_path, **options)

    scores = run(information=["strict", "transductive"]).scores
    expected = cross_subject_scores({"a": LINEAR}, *people).set_index("subject")
    for kind in ("strict", "transductive"):  # nothing is adapted, so that both are the same
        own = scores[scores["information"] == kind].set_index("subject").sort_index()
        assert own["label"].tolist() == expected["label"].tolist()
        np.testing.assert_allclose(own["roc_auc"], expected["roc_auc"])
    pipelines["calibrated"] = pipelines["strict"]
    with pytest.raises(ValueError, match="nothing to calibrate with"):
        run(information="calibrated")


# Splitters


def test_folds_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    groups = rng.choice(["Ada", "Emmy", "Sofja", "Lise"], 50)
    y = rng.permutation(np.arange(50) % 2)
    expected = list(GroupKFold(3).split(groups, y, groups))
    splits = dict.fromkeys((3, np.int64(3), GroupKFold(3)), expected)
    others = (LeaveOneGroupOut(), StratifiedGroupKFold(2))
    splits |= {cv: cv.split(groups, y, groups) for cv in others}
    for cv, sides in [*splits.items(), (expected, expected)]:
        for found, one in zip(split_subjects(cv, y, groups), sides, strict=True):
            for side, expected_side in zip(found, one, strict=True):
                np.testing.assert_array_equal(side, expected_side)


def test_names_of_splitters():
    names = {
        "4-fold": 4,
        "3-fold": GroupKFold(3),
        "2-fold, stratified": StratifiedGroupKFold(2),
        "leave-one-subject-out": LeaveOneGroupOut(),
        "fixed-split": FixedSplit(),
        "fixed-split, S1-S89 and S90-S109": FixedSplit(range(1, 90)),
        "splits as given": [([0], [1])],
    }
    assert {cv_name(cv): cv for cv in names.values()} == names
    assert "shuffle=True" in cv_name(StratifiedGroupKFold(2, shuffle=True, random_state=1))


@pytest.fixture(scope="module")
def under_other_numbers():
    """Six simulated subjects under numbers of the recorded ones: two of each set."""
    X, y, metadata, _ = make_simulated_eeg(n_subjects=6, n_epochs=20, random_state=0)
    numbers = dict(enumerate((3, 70, 71, 89, 90, 109), 1))
    return X, y, metadata["subject"].map(numbers).to_numpy()


def test_the_fixed_split_on_all_subjects():
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 110), 3))
    ((train, test),) = FixedSplit().split(groups, None, groups)
    assert set(groups[train]) == set(range(1, 71))
    assert set(groups[test]) == set(range(90, 110))
    assert (len(train), len(test)) == (210, 60)
    assert FixedSplit().get_n_splits() == 1


def test_the_fixed_split_with_missing_subjects(under_other_numbers):
    """It goes on with those that are there, and says who is not."""
    X, y, subjects = under_other_numbers
    with pytest.warns(UserWarning, match=r"lacks S1, S2, S4-S69, .* \(86 subjects\); i"):
        scores = run_benchmark(
            {"strict": {"CSP+LDA": make_baseline("csp+lda")}},
            lambda task: (X, y, subjects),
            "simulated",
            cv=FixedSplit(),
        ).scores
    assert set(scores["n_train_subjects"]) == {2}
    assert set(scores["protocol"]) == {"fixed-split"}
    assert scores["subject"].tolist() == [90, 109]
    train = np.isin(subjects, [3, 70])
    predicted = make_baseline("csp+lda").fit(X[train], y[train]).predict(X[subjects == 109])
    assert scores["balanced_accuracy"].iloc[1] == np.mean(predicted == y[subjects == 109])


@pytest.mark.filterwarnings("ignore:The fixed split lacks")
def test_the_fixed_split_is_a_splitter_of_scikit_learn(under_other_numbers):
    X, y, subjects = under_other_numbers
    baseline, data = make_baseline("csp+lda"), X.get_data(units="uV")
    scores = cross_val_score(baseline, data, y, groups=subjects, cv=FixedSplit())
    search = GridSearchCV(baseline, {"csp__n_components": [6]}, cv=FixedSplit())
    search.fit(data, y, groups=subjects)
    assert scores.tolist() == [search.best_score_]


@pytest.mark.parametrize(
    "there, message",
    [
        ([1, 2, 71], "The test set of the fixed split is empty: .* S90-S109, .* only S1, S2, S71"),
        ([71, 90], "The train set of the fixed split is empty"),
        (["1", "71", "90"], "The train set of the fixed split is empty: .* only 1, 71, 90"),
        ([1.0, np.nan], "groups is missing"),
        (None, "needs groups"),
    ],
)
def test_subjects_that_do_not_fit_the_split(there, message):
    with pytest.raises(ValueError, match=message):
        next(FixedSplit().split(there, groups=there))
    with pytest.raises(ValueError, match="needs subjects to train on"):
        FixedSplit([], [2])
