"""Ready-made Pipelines."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from skeegformer import EuclideanAlignment, make_baseline, make_eeg_pipeline


@pytest.mark.parametrize("name", ["csp+lda", "ts+lr"])
def test_baselines_read_the_simulated_rhythm_across_subjects(simulated, name):
    X, y, metadata, _ = simulated
    pipeline = make_eeg_pipeline(make_baseline(name), l_freq=8.0)
    predicted = cross_val_predict(pipeline, X, y, groups=metadata["subject"], cv=GroupKFold(4))
    assert balanced_accuracy_score(y, predicted) > 0.65


def test_chance_is_chance(simulated):
    X, y, _, _ = simulated
    predicted = make_eeg_pipeline(make_baseline("chance")).fit(X, y).predict(X)
    assert balanced_accuracy_score(y, predicted) == 0.5


@pytest.mark.parametrize("name", ["csp+lda", "ts+lr"])
def test_baselines_take_epochs_lists_and_arrays_alike(simulated, name):
    X, y, _, _ = simulated
    baseline = make_baseline(name).fit(X, y)
    expected = baseline.predict_proba(X)
    np.testing.assert_allclose(baseline.predict_proba([X[i] for i in range(len(X))]), expected)
    np.testing.assert_allclose(baseline.predict_proba(X.get_data(units="uV")), expected)


def test_steps_and_parameters():
    pipeline = make_eeg_pipeline(drop=("Cz",), l_freq=1.0, h_freq=40.0, align=True, n_layers=3)
    assert [name for name, _ in pipeline.steps] == [
        "channeldropper",
        "bandpassfilter",
        "euclideanalignment",
        "eegtransformerclassifier",
    ]
    assert pipeline["channeldropper"].ch_names == ("Cz",)
    assert (pipeline["bandpassfilter"].l_freq, pipeline["bandpassfilter"].h_freq) == (1.0, 40.0)
    assert isinstance(pipeline["euclideanalignment"], EuclideanAlignment)
    assert pipeline["eegtransformerclassifier"].n_layers == 3
    assert "channeldropper" not in make_eeg_pipeline(drop=()).named_steps


def test_bad_input():
    with pytest.raises(
        ValueError, match="name='svm' is not one of 'chance', 'csp\\+lda', 'ts\\+lr'"
    ):
        make_baseline("svm")
    with pytest.raises(ValueError, match="n_layers would go to an EEGTransformerClassifier"):
        make_eeg_pipeline(make_baseline("chance"), n_layers=3)
