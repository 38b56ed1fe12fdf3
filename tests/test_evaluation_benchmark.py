"""What a benchmark's pipelines may know, and that its numbers are those of the fits by hand."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from logging_classifier import LoggingClassifier, read_log
from moabb.datasets.fake import FakeDataset
from moabb.evaluations import CrossSubjectEvaluation
from moabb.paradigms import LeftRightImagery
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info, threadpool_limits

from skeegformer import (
    EEGTransformerClassifier,
    EuclideanAlignment,
    cross_subject_scores,
    make_baseline,
    make_eeg_pipeline,
)
from skeegformer.datasets import EyesParadigm, PhysionetEyes
from skeegformer.evaluation import load_benchmark_task, run_benchmark
from skeegformer.evaluation._fold import one_thread, take
from skeegformer.evaluation._splitting import refuse_alignment
from skeegformer.evaluation.benchmark import COLUMNS

TIMES = ["fit_seconds", "predict_seconds"]


@pytest.fixture(scope="module")
def loaded(simulated):
    X, y, metadata, _ = simulated
    return X, y, metadata["subject"].to_numpy()


def _run(loaded, pipelines, n_folds=2, **options):
    return run_benchmark(pipelines, lambda task: loaded, "simulated", cv=n_folds, **options).scores


def _logging(log, **params):
    with sklearn.config_context(enable_metadata_routing=True):
        asking = LoggingClassifier(str(log), **params).set_fit_request(groups=True)
        asking.set_predict_request(groups=True)
        return asking.set_predict_proba_request(groups=True)


def test_strict_scores_are_those_of_cross_subject_scores(loaded):
    pipelines = {
        "CSP+LDA": make_baseline("csp+lda"),
        "small": EEGTransformerClassifier(n_groups=1, n_heads=4, max_epochs=1),
    }
    scores = _run(loaded, {"strict": pipelines}, seeds=(0, 1))
    assert tuple(scores.columns) == COLUMNS
    with one_thread():
        expected = cross_subject_scores(pipelines, *loaded, cv=2, seeds=(0, 1))
    shared = [column for column in expected if column not in TIMES]
    order = ["pipeline", "seed", "subject"]
    pd.testing.assert_frame_equal(
        scores.sort_values(order)[shared].reset_index(drop=True),
        expected.sort_values(order)[shared].reset_index(drop=True),
    )
    assert scores["information"].unique().tolist() == ["strict"]
    assert scores["versions"][0].startswith("skeegformer ")
    assert f"scikit-learn {sklearn.__version__}" in scores["versions"][0]


def test_strict_hides_whom_a_test_epoch_belongs_to(loaded, tmp_path):
    _run(loaded, {"strict": {"log": _logging(tmp_path / "log")}})
    for line in read_log(tmp_path / "log", "fit"):
        assert line["groups"] == line["metadata"]
        assert len(line["groups"]) == 2
    for line in read_log(tmp_path / "log", "predict_proba"):
        assert (line["n_epochs"], line["groups"], line["metadata"]) == (60, None, None)
    # "transductive" predicts each subject by itself.
    _run(loaded, {"transductive": {"log": _logging(tmp_path / "b")}}, information="transductive")
    seen = [line["groups"] for line in read_log(tmp_path / "b", "predict_proba")]
    assert sorted(seen) == [[1], [1], [2], [2], [3], [3], [4], [4]]


def test_transductive_scores_by_hand(loaded):
    X, y, subjects = loaded
    pipeline = make_eeg_pipeline(make_baseline("csp+lda"), align=True)
    data = X.get_data(units="uV")  # subjects come by routing alone
    steps = [step for name, step in pipeline.steps if name in ("euclideanalignment", "pipeline")]
    arrays = make_pipeline(*steps)
    scores = _run((data, y, subjects), {"transductive": {"a": arrays}}, information="transductive")
    train, test = next(GroupKFold(2).split(y, y, subjects))
    subject = subjects[test][0]
    mine = subjects == subject
    aligned = EuclideanAlignment().fit_transform(data[train], groups=subjects[train])
    csp = make_baseline("csp+lda").fit(aligned, y[train])
    alone = EuclideanAlignment().fit_transform(data[mine])
    row = scores[scores["subject"] == subject].iloc[0]
    proba = csp.predict_proba(alone)
    assert row["balanced_accuracy"] == balanced_accuracy_score(y[mine], csp.predict(alone))
    assert row["roc_auc"] == pytest.approx(roc_auc_score(y[mine] == "right", proba[:, 1]))
    error = brier_score_loss(y[mine] == "right", proba[:, 1])
    assert row["brier_score"] == pytest.approx(error)
    # It is the alignment that scores this; without it the same pipeline does otherwise.
    strict = _run((data, y, subjects), {"strict": {"a": make_baseline("csp+lda")}})
    assert strict["roc_auc"].tolist() != scores["roc_auc"].tolist()


def test_calibrated_scores_by_hand(loaded):
    X, y, subjects = loaded
    pipeline = make_eeg_pipeline(make_baseline("csp+lda"), align=True)
    scores = _run(
        loaded, {"calibrated": {"a": pipeline}}, information="calibrated", n_calibration=4
    )
    assert scores["subject"].tolist() == [2, 4, 1, 3]
    assert scores["fold"].tolist() == [0, 0, 1, 1]
    assert set(scores["n_epochs"]) == {22}
    assert set(scores["n_train_epochs"]) == {76}
    assert set(scores["n_train_subjects"]) == {4}
    train = np.flatnonzero(np.isin(subjects, [1, 3]))
    first, rest = {}, {}
    for subject in (2, 4):
        mine = np.flatnonzero(subjects == subject)
        first[subject] = [row for label in np.unique(y) for row in mine[y[mine] == label][:4]]
        rest[subject] = np.setdiff1d(mine, first[subject])
    known = np.sort([*train, *first[2], *first[4]])
    with sklearn.config_context(enable_metadata_routing=True):
        fitted = clone(pipeline).fit(X[known], y[known], groups=subjects[known])
        for subject in (2, 4):
            # The reference of the alignment is that of the subject's calibration epochs alone.
            filtered = fitted[:1].transform(X[first[subject]])
            groups = [subject] * len(first[subject])
            expected = EuclideanAlignment().fit(filtered, groups=groups).references_[subject]
            found = fitted["euclideanalignment"].references_[subject]
            np.testing.assert_allclose(found, expected)
            # One epoch at a time: what is tested does not change how it is aligned.
            predicted = [fitted.predict(X[row], groups=subjects[[row]])[0] for row in rest[subject]]
            row = scores[scores["subject"] == subject].iloc[0]
            assert row["balanced_accuracy"] == balanced_accuracy_score(y[rest[subject]], predicted)


@pytest.mark.parametrize("kind", ["strict", "transductive", "calibrated"])
def test_nothing_flows_between_test_subjects(loaded, kind):
    """Subject 2 is tested in the same fold as subject 4, and must not feel what happens to it."""
    X, y, subjects = loaded
    pipeline = make_eeg_pipeline(make_baseline("csp+lda"), align=kind != "strict")
    disturbed = X.copy()
    tested = np.flatnonzero(subjects == 4)
    if kind == "calibrated":  # whose first 5 epochs of each class are trained on
        first = [tested[y[tested] == label][:5] for label in np.unique(y)]
        tested = np.setdiff1d(tested, np.concatenate(first))
    noise = np.random.default_rng(0).normal(size=(len(tested), 64, len(X.times)))
    disturbed.get_data(copy=False)[tested] = noise * 1e-3
    scores = [
        _run((data, y, subjects), {kind: {"a": pipeline}}, information=kind)
        for data in (X, disturbed)
    ]
    first, second = (table[table["fold"] == 0].set_index("subject")["roc_auc"] for table in scores)
    assert first.index.tolist() == [2, 4]
    assert second[2] == first[2]
    assert second[4] != first[4]


def test_whoever_cannot_be_calibrated_does_not_keep_others_of_the_fold_from_it(loaded):
    X, y, subjects = loaded
    few = (subjects != 4) | (np.cumsum((subjects == 4) & (y == "left")) <= 5)
    results = []
    for rows in (np.flatnonzero(few), np.flatnonzero(few & (subjects != 4))):
        even = subjects[rows] % 2 == 0
        options = {"cv": [(np.flatnonzero(~even), np.flatnonzero(even))], "tasks": "simulated"}
        options["load"] = lambda task, rows=rows: (X[rows], y[rows], subjects[rows])
        pipelines = {"calibrated": {"a": make_baseline("csp+lda")}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(run_benchmark(pipelines, information="calibrated", **options))
    first, second = (result.scores.query("subject == 2")["roc_auc"].item() for result in results)
    assert first == second
    (failure,) = results[0].failures.itertuples()
    assert (failure.subject, failure.fold) == (4, 0)
    assert "Subject 4 has 5 epochs of class 'left', too few" in failure.error


def test_adapting_is_not_strict_however_it_is_written(loaded):
    for classifier in (
        make_pipeline(make_eeg_pipeline(make_baseline("csp+lda"), align=True)),
        EEGTransformerClassifier(adapt=np.True_),
        GridSearchCV(EEGTransformerClassifier(), {"adapt": [False, True]}),
        GridSearchCV(make_pipeline(EEGTransformerClassifier()), [{"x__adapt": np.array([True])}]),
        GridSearchCV(make_pipeline("passthrough"), {"passthrough": [EuclideanAlignment()]}),
    ):
        with pytest.raises(ValueError, match="'a' aligns test subjects .* not 'strict'"):
            _run(loaded, {"strict": {"a": classifier}})
    kept = GridSearchCV(EEGTransformerClassifier(), {"adapt": [False], "n_groups": [1]})
    refuse_alignment({"a": kept}, "and so on.")


def test_scores_do_not_depend_on_processes(loaded, tmp_path):
    pipelines = {
        "log": _logging(tmp_path / "log"),
        "small": EEGTransformerClassifier(n_groups=1, n_heads=4, max_epochs=1),
    }
    alone = _run(loaded, {"strict": pipelines}, n_folds=4)
    shared = _run(loaded, {"strict": pipelines}, n_folds=4, n_jobs=2)
    pd.testing.assert_frame_equal(alone.drop(columns=TIMES), shared.drop(columns=TIMES))
    lines = read_log(tmp_path / "log")
    assert {line["threads"] for line in lines} == {1}
    assert len({line["process"] for line in lines}) >= 2


def test_threads_may_take_from_the_same_epochs(loaded):
    """MNE empties Epochs for a moment while it indexes them."""
    X, y, _ = loaded
    X, data = X.copy(), X.get_data()
    rows = [np.flatnonzero(y == label) for label in np.unique(y)] * 50
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda some: take(X, some).get_data(copy=False), rows))
    finally:
        sys.setswitchinterval(before)
    for one, some in zip(found, rows, strict=True):
        np.testing.assert_array_equal(one, data[some])
    np.testing.assert_array_equal(X.get_data(), data)


def test_libraries_have_as_many_threads_as_before():
    def numbers():
        return {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}

    before = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        with one_thread():
            assert numbers() == {1}
        assert numbers() == {2}
    torch.set_num_threads(before)


def test_labels_and_subjects_in_arrays_of_objects_are_numbers_or_text(simulated):
    """As pandas keeps text, in a DataFrame as well; and NumPy's integers."""
    X, y, metadata, _ = simulated
    codes = np.unique(y, return_inverse=True)[1]
    named = metadata.assign(subject="P" + metadata["subject"].astype(str)).astype(object)
    numbers = np.array([*metadata["subject"].to_numpy(), None], dtype=object)[:-1]
    options = {"pipelines": {"calibrated": {"a": make_baseline("csp+lda")}}}
    options["information"] = "calibrated"
    expected = _run((X, y, metadata), **options)
    for labels, subjects in ((y.astype(object), named), (codes.astype(object), numbers)):
        found = _run((X, labels, subjects), **options)
        assert found["balanced_accuracy"].tolist() == expected["balanced_accuracy"].tolist()
        assert [str(who)[-1] for who in found["subject"]] == ["2", "4", "1", "3"]


# The same folds in MOABB's own cross-subject evaluation

ROUNDING = 1e-7  # MOABB keeps its results as float32


def _moabb(paradigm, dataset, folder, **options):
    """Scores of CSP+LDA by subject, or by the first subject of a fold."""
    evaluation = CrossSubjectEvaluation(
        paradigm=paradigm, datasets=[dataset], hdf5_path=str(folder), **options
    )
    results = evaluation.process({"CSP+LDA": make_baseline("csp+lda")})
    return results.set_index("subject")["score"].astype(float).rename(index=int)


def _ours(data, cv):
    pipelines = {"strict": {"CSP+LDA": make_baseline("csp+lda")}}
    return _run(data, pipelines, cv).set_index("subject")


def test_leave_one_subject_out_of_fake_data(tmp_path):
    """MOABB's noise of four subjects, and what its paradigm makes of it."""
    dataset = FakeDataset(["left_hand", "right_hand"], n_sessions=1, n_subjects=4, seed=0)
    paradigm = LeftRightImagery(fmin=8, fmax=30)
    X, y, metadata = paradigm.get_data(dataset)
    theirs = _moabb(paradigm, dataset, tmp_path)
    ours = _ours((X, y, metadata["subject"].to_numpy()), LeaveOneGroupOut())["roc_auc"]
    assert len(theirs) == 4
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=0, atol=ROUNDING)


def test_recordings_in_moabb(recorded_subjects, tmp_path):
    """Leave one subject out, and folds of two subjects, of which MOABB has one score each."""
    subjects = recorded_subjects[:4]
    data = load_benchmark_task("baseline-eyes", subjects)
    dataset = PhysionetEyes(subjects=subjects)
    theirs = _moabb(EyesParadigm(), dataset, tmp_path / "1", return_epochs=True)
    ours = _ours(data, LeaveOneGroupOut())["roc_auc"]
    assert ours.index.tolist() == subjects
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=0, atol=ROUNDING)
    assert theirs.nunique() == 4

    folds = {"return_epochs": True, "n_splits": 2, "cv_class": GroupKFold}
    theirs = _moabb(EyesParadigm(scorer="balanced_accuracy"), dataset, tmp_path / "2", **folds)
    ours = _ours(data, 2).reset_index()
    # All subjects have as many epochs of each class, so that the fold's score is the mean.
    by_fold = ours.groupby("fold")["balanced_accuracy"].mean()
    assert len(theirs) == len(by_fold) == 2
    np.testing.assert_allclose(np.sort(by_fold), np.sort(theirs), rtol=0, atol=ROUNDING)
