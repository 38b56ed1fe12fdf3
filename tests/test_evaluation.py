"""Cross-subject scores against the same folds done by hand."""

import numpy as np
import pytest
import sklearn
from logging_classifier import LoggingClassifier, read_log
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
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
from skeegformer.evaluation import summarize_scores

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
    assert scores.groupby("pipeline")["seed"].unique().map(list).to_dict() == {
        "small": [3, 4],
        "csp": [3],
    }
    summary = summarize_scores(scores)
    assert summary.index.tolist() == ["small", "csp"]
    per_subject = scores[scores["pipeline"] == "small"].groupby("subject")["balanced_accuracy"]
    assert summary.loc["small", "mean"] == pytest.approx(per_subject.mean().mean())
    assert summary.loc["small", "sd"] == pytest.approx(per_subject.mean().std())
    assert summary["subjects"].tolist() == [4, 4]


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


def test_temperature_of_scikit_learn_on_held_out_subjects(simulated):
    """Epochs and 3-D arrays; probabilities are softer and classes the same."""
    X, y, metadata, _ = simulated
    X = X.copy().pick(["FC3", "C3", "CP3", "Cz", "FC4", "C4", "CP4", "Oz"])
    subjects = metadata["subject"].to_numpy()
    train, test = np.flatnonzero(subjects <= 3), np.flatnonzero(subjects == 4)
    splits = list(GroupKFold(3).split(train, y[train], subjects[train]))
    params = {"n_groups": 1, "n_heads": 4, "max_epochs": 20, "lr": 3e-2, "drop_prob": 0.0}
    sure = EEGTransformerClassifier(**params, sfreq=X.info["sfreq"], mirror=None, random_state=0)
    model = CalibratedClassifierCV(sure, method="temperature", cv=splits, ensemble=False)
    plain = clone(sure).fit(X[train], y[train])
    for E in (X, X.get_data(units="uV")):
        fitted = clone(model).fit(E[train], y[train])
        proba = fitted.predict_proba(E[test])
        np.testing.assert_array_equal(fitted.predict(E[test]), plain.predict(X[test]))
        # One temperature divides the logits of all epochs.
        odds = np.log(proba[:, 1] / proba[:, 0])
        shares = plain.decision_function(X[test]) / odds
        np.testing.assert_allclose(shares, np.median(shares), rtol=0.05)
        assert np.median(shares) > 1
    # It hands the numbers 0 and 1 instead of names to the classifier.
    sided = clone(model).set_params(estimator__mirror={"left": "right"})
    with pytest.raises(ValueError, match=r"mirror names the class 'left', but there are \[0, 1\]"):
        sided.fit(X[train], y[train])


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
    with pytest.raises(ValueError, match="as many subjects as folds"):
        cross_subject_explanations(classifier, X, y, subjects, cv=5)
