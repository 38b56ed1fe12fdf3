"""The whole way on real recordings: MOABB's evaluation, epochs and arrays, groups."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn
from moabb.evaluations import CrossSubjectEvaluation
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from skeegformer import (
    AttentionExplainer,
    BandPassFilter,
    ChannelDropper,
    EEGTransformerClassifier,
    load_eegmmi,
    make_baseline,
)
from skeegformer.datasets import EyesParadigm, PhysionetEyes


class _Spy(EEGTransformerClassifier):
    """Keeps the groups that reach it."""

    seen: ClassVar = []

    def fit(self, X, y, groups=None):
        self.seen.append(groups)
        return super().fit(X, y, groups=groups)


def _pipelines(ch_names):
    """Two pipelines that take Epochs as well as arrays, which cannot tell rate and names."""
    dropper = ChannelDropper(["T9", "T10", "Iz"], input_ch_names=ch_names)
    steps = dropper, BandPassFilter(None, 30.0, sfreq=160.0)
    transformer = _Spy(n_groups=1, max_epochs=5, early_stopping=True, sfreq=160.0, random_state=0)
    transformer.set_fit_request(groups="subjects")
    return {
        "transformer": make_pipeline(*steps, transformer),
        "CSP+LDA": make_pipeline(*steps, make_baseline("csp+lda")),
    }


def test_moabb_cross_subject_evaluation(recorded_subjects, tmp_path):
    subjects = recorded_subjects[:3]
    X, y, metadata = load_eegmmi("baseline-eyes", subjects)
    scores = {}
    with sklearn.config_context(enable_metadata_routing=True):
        pipelines = _pipelines(X.ch_names)
        for return_epochs in (True, False):
            evaluation = CrossSubjectEvaluation(
                paradigm=EyesParadigm(),
                datasets=[PhysionetEyes(subjects=subjects)],
                hdf5_path=str(tmp_path / str(return_epochs)),
                return_epochs=return_epochs,
            )
            results = evaluation.process(pipelines)
            scores[return_epochs] = results.set_index(["pipeline", "subject"])["score"].sort_index()
    assert len(scores[True]) == 6
    np.testing.assert_allclose(scores[True], scores[False], atol=1e-6)
    # Every fit saw the subjects of its own training folds, whole.
    assert len(_Spy.seen) == 6
    for groups, left_out in zip(_Spy.seen, subjects * 2, strict=True):
        assert set(groups) == set(subjects) - {left_out}
        assert len(groups) == 120
    # The same fold by hand gives MOABB's number.
    train = (metadata["subject"] != subjects[0]).to_numpy()
    csp = pipelines["CSP+LDA"].fit(X[train], y[train])
    truth = y[~train] == csp.classes_[1]
    by_hand = roc_auc_score(truth, csp.predict_proba(X[~train])[:, 1])
    assert scores[True]["CSP+LDA", str(subjects[0])] == pytest.approx(by_hand, abs=1e-6)


def test_from_recordings_to_a_score_and_a_map(recorded_subjects, report):
    """From recordings to a score on an unseen subject and a map, in one Pipeline."""
    X, y, metadata = load_eegmmi("baseline-eyes", recorded_subjects[:4])
    train = (metadata["subject"] != recorded_subjects[3]).to_numpy()
    pipeline = make_pipeline(
        ChannelDropper(["T9", "T10", "Iz"]),
        BandPassFilter(1.0, 30.0),
        EEGTransformerClassifier(mirror={}, n_groups=1, random_state=0),
    )
    pipeline.fit(X[train], y[train])
    score = pipeline.score(X[~train], y[~train])
    assert score > 0.75
    explanation = AttentionExplainer().explain(pipeline, X[~train], y[~train])
    display = explanation.plot_topomap(by="class")
    assert [axes.get_title() for axes in display.axes_] == ["eyes-closed", "eyes-open"]
    report(f"baseline-eyes, trained on 3 subjects: accuracy {score:.3f} on the fourth")
