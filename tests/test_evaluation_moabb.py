"""The same folds give the same numbers in MOABB's own cross-subject evaluation."""

import numpy as np
import pytest
from moabb.datasets.fake import FakeDataset
from moabb.evaluations import CrossSubjectEvaluation
from moabb.paradigms import LeftRightImagery
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from skeegformer import make_baseline
from skeegformer.datasets import EyesParadigm, PhysionetEyes
from skeegformer.evaluation import load_benchmark_task, run_benchmark

ROUNDING = 1e-7  # MOABB keeps its results as float32


def _moabb(paradigm, dataset, folder, **options):
    """Scores of CSP+LDA by subject, or by the first subject of a fold."""
    evaluation = CrossSubjectEvaluation(
        paradigm=paradigm, datasets=[dataset], hdf5_path=str(folder), **options
    )
    results = evaluation.process({"CSP+LDA": make_baseline("csp+lda")})
    return results.set_index("subject")["score"].astype(float).rename(index=int)


def _ours(data, cv):
    scores = run_benchmark(
        {"strict": {"CSP+LDA": make_baseline("csp+lda")}},
        lambda task: data,
        "task",
        cv=cv,
    ).scores
    return scores.set_index("subject")


@pytest.fixture
def fake():
    """MOABB's noise of four subjects, and what its paradigm makes of it."""
    dataset = FakeDataset(["left_hand", "right_hand"], n_sessions=1, n_subjects=4, seed=0)
    paradigm = LeftRightImagery(fmin=8, fmax=30)
    X, y, metadata = paradigm.get_data(dataset)
    return paradigm, dataset, (X, y, metadata["subject"].to_numpy())


def test_leave_one_subject_out_of_fake_data(fake, tmp_path):
    paradigm, dataset, data = fake
    theirs = _moabb(paradigm, dataset, tmp_path)
    ours = _ours(data, LeaveOneGroupOut())["roc_auc"]
    assert len(theirs) == 4
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=0, atol=ROUNDING)


def test_recordings(recorded_subjects, tmp_path):
    """Leave one subject out, and folds of two subjects, of which MOABB has one score each."""
    subjects = recorded_subjects[:4]
    data = load_benchmark_task("baseline-eyes", subjects)
    dataset = PhysionetEyes(subjects=subjects)
    theirs = _moabb(EyesParadigm(), dataset, tmp_path / "1", return_epochs=True)
    ours = _ours(data, LeaveOneGroupOut())["roc_auc"]
    assert ours.index.tolist() == subjects
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=0, atol=ROUNDING)
    assert theirs.nunique() == 4

    theirs = _moabb(
        EyesParadigm(scorer="balanced_accuracy"),
        dataset,
        tmp_path / "2",
        return_epochs=True,
        n_splits=2,
        cv_class=GroupKFold,
    )
    ours = _ours(data, 2).reset_index()
    # All subjects have as many epochs of each class, so that the fold's score is the mean.
    by_fold = ours.groupby("fold")["balanced_accuracy"].mean()
    assert len(theirs) == len(by_fold) == 2
    np.testing.assert_allclose(np.sort(by_fold), np.sort(theirs), rtol=0, atol=ROUNDING)
