"""Cross-subject scores against the same folds done by hand."""

import numpy as np
import pytest
import sklearn
from logging_classifier import LoggingClassifier, read_log
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    cross_subject_explanations,
    cross_subject_scores,
    make_baseline,
)

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
    pipelines = {
        "ridge": make_pipeline(FunctionTransformer(_log_power), RidgeClassifier()),
        "csp": make_baseline("csp+lda"),
    }
    scores = cross_subject_scores(pipelines, data, y, subjects, cv=2).set_index("pipeline")
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


def _log_power(X):
    return np.log(X.var(axis=2))


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
