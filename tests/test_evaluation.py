"""Cross-subject scores against the same folds done by hand, of epochs and of people."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from logging_classifier import LoggingClassifier, read_log
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    StratifiedGroupKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skeegformer import (
    AttentionExplainer,
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

OVR = {"multi_class": "ovr", "average": "macro"}


def test_seeds_reach_what_is_random(simulated):
    X, y, metadata, _ = simulated
    small = EEGTransformerClassifier(n_groups=1, n_heads=4, max_epochs=4)
    pipelines = {"small": small, "csp": make_baseline("csp+lda")}
    subjects = metadata["subject"].to_numpy()
    scores = cross_subject_scores(pipelines, X, y, subjects, cv=2, seeds=(3, 4))
    assert small.random_state is None
    train, test = next(GroupKFold(2).split(y, y, subjects))
    first = subjects[test] == subjects[test][0]
    for seed in (3, 4):
        fitted = clone(small).set_params(random_state=seed).fit(X[train], y[train])
        expected = balanced_accuracy_score(y[test][first], fitted.predict(X[test])[first])
        row = (scores["pipeline"] == "small") & (scores["seed"] == seed)
        row &= scores["subject"] == subjects[test][0]
        assert scores.loc[row, "balanced_accuracy"].tolist() == [expected]
    areas = scores[scores["pipeline"] == "small"].groupby("seed")["roc_auc"].apply(list)
    assert areas[3] != areas[4]
    seeds = scores.groupby("pipeline")["seed"].unique().map(list).to_dict()
    assert seeds == {"small": [3, 4], "csp": [3]}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_areas_and_errors_by_hand(simulated, n_classes):
    X, y, metadata, _ = simulated
    data, subjects = X.get_data(units="uV")[:, ::8], metadata["subject"].to_numpy()
    if n_classes == 3:
        y = np.where(np.arange(len(y)) % 3 == 0, "other", y)
    pipelines = {
        "csp": make_baseline("csp+lda"),
        "ts": make_baseline("ts+lr"),
        # After fewer passes, two epochs have the same probability but for rounding.
        "small": EEGTransformerClassifier(n_groups=1, n_heads=4, max_epochs=5),
    }
    scores = cross_subject_scores(pipelines, data, y, subjects, cv=2)
    for fold, (train, test) in enumerate(GroupKFold(2).split(data, y, subjects)):
        for name, pipeline in pipelines.items():
            fitted = clone(pipeline)
            if name == "small":
                fitted.set_params(random_state=0)
            proba = fitted.fit(data[train], y[train]).predict_proba(data[test])
            labels = fitted.classes_[proba.argmax(axis=1)]
            np.testing.assert_array_equal(labels, fitted.predict(data[test]))
            for subject in np.unique(subjects[test]):
                mask = subjects[test] == subject
                truth, mine = y[test][mask], proba[mask].astype(float)
                mine /= mine.sum(axis=1, keepdims=True)
                area = roc_auc_score(truth, mine if n_classes == 3 else mine[:, 1], **OVR)
                row = scores[(scores["pipeline"] == name) & (scores["subject"] == subject)]
                found = row.iloc[0]
                assert found["fold"] == fold
                assert found["roc_auc"] == pytest.approx(area, abs=1e-6)
                brier = ((mine - (truth[:, None] == fitted.classes_)) ** 2).sum(axis=1).mean()
                brier /= 2 if n_classes == 2 else 1
                assert found["brier_score"] == pytest.approx(brier, abs=1e-6)
                assert found["balanced_accuracy"] == balanced_accuracy_score(truth, labels[mask])
                assert found["n_train_epochs"] == len(train) == 60
                assert found["n_train_subjects"] == 2


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_no_probabilities_and_no_class_make_nan(simulated):
    X, y, metadata, _ = simulated
    data, subjects = X.get_data(units="uV")[:, ::8], metadata["subject"].to_numpy()
    pipelines = {"ridge": RIDGE, "csp": make_baseline("csp+lda")}
    pipelines["frozen"] = FrozenEstimator(make_baseline("csp+lda").fit(data, y))
    scores = cross_subject_scores(pipelines, data, y, subjects, cv=2).set_index("pipeline")
    frozen = pipelines["frozen"].score(data, y)  # of a model that no fold fits anew
    assert scores.loc["frozen", "balanced_accuracy"].mean() == pytest.approx(frozen)
    assert scores.loc["ridge", ["roc_auc", "brier_score"]].isna().all(axis=None)
    assert not scores.loc["csp", ["roc_auc", "brier_score"]].isna().any(axis=None)
    assert (scores.loc["ridge", "balanced_accuracy"] > 0).all()
    # Subject 1 has one class only: no area, but an error of calibration.
    y = np.where(subjects == 1, "left", y)
    scores = cross_subject_scores(pipelines, data, y, subjects, cv=2)
    csp = scores[scores["pipeline"] == "csp"].set_index("subject")
    assert csp["roc_auc"].isna().to_dict() == {1: True, 2: False, 3: False, 4: False}
    assert csp["brier_score"].notna().all()
    # Subject 1 alone has a class that nobody was trained on.
    y = np.where(subjects == 1, "new", y)
    scores = cross_subject_scores(pipelines, data, y, subjects, cv=4)
    csp = scores[scores["pipeline"] == "csp"].set_index("subject")
    assert csp.loc[1, ["roc_auc", "brier_score"]].isna().all()
    assert csp.loc[1, "balanced_accuracy"] == 0


@pytest.mark.parametrize("name", ["groups", "subjects"])
def test_groups_reach_those_who_ask(simulated, name, tmp_path):
    """MOABB calls them subjects."""
    X, y, metadata, _ = simulated
    with sklearn.config_context(enable_metadata_routing=True):
        spy = LoggingClassifier(str(tmp_path / "log"))
        spy.set_fit_request(groups=name).set_predict_request(groups=name)
        cross_subject_scores({"spy": spy}, X, y, metadata["subject"], cv=2)
    assert [line["groups"] for line in read_log(tmp_path / "log")] == [[1, 3], [2, 4]]
    predicted = [line["groups"] for line in read_log(tmp_path / "log", "predict_proba")]
    assert predicted[::2] == [[2, 4], [1, 3]]


def test_a_search_holds_out_whole_subjects(simulated):
    X, y, metadata, _ = simulated
    data, groups = X.get_data(units="uV")[:, ::16], metadata["subject"].to_numpy()
    search = GridSearchCV(make_baseline("csp+lda"), {"csp__n_components": [2, 4]}, cv=GroupKFold(2))
    found = cross_subject_scores({"search": search}, data, y, groups, cv=2)
    expected = {}
    for train, test in GroupKFold(2).split(data, y, groups):
        search.fit(data[train], y[train], groups=groups[train])
        for subject in np.unique(groups[test]):
            own = groups == subject
            expected[subject] = balanced_accuracy_score(y[own], search.predict(data[own]))
    assert found.set_index("subject")["balanced_accuracy"].to_dict() == expected


def test_every_subject_is_explained_by_a_model_that_has_not_seen_it(simulated):
    X, y, metadata, _ = simulated
    subjects = metadata["subject"].to_numpy()
    classifier = EEGTransformerClassifier(n_groups=1, n_heads=4, max_epochs=2, random_state=0)
    explainer = AttentionExplainer("rollout")
    options = {"explainer": explainer, "cv": LeaveOneGroupOut()}
    folds = cross_subject_explanations(classifier, X, y, subjects, **options)
    assert [set(fold.subjects) for fold in folds] == [{1}, {2}, {3}, {4}]
    train = subjects != 3
    alone = explainer.explain(classifier.fit(X[train], y[train]), X[~train], y[~train])
    np.testing.assert_allclose(folds[2].values, alone.values)
    np.testing.assert_array_equal(folds[2].y, y[~train])
    assert folds[2].source.classifier.net_ is not folds[1].source.classifier.net_


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
    in_order = PredefinedSplit(np.repeat(np.arange(4), 6 * N_EPOCHS))
    with pytest.warns(UserWarning, match="a fold tests subjects of one class"):
        cross_subject_scores({"a": LINEAR}, X[order], y[order], numbered, cv=in_order)


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
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_val_score(baseline, data, y, params={"groups": subjects}, cv=FixedSplit())
    assert scores.tolist() == routed.tolist()


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
