"""Ready-made Pipelines."""

import numpy as np
import pytest
import sklearn
from sklearn.metrics import balanced_accuracy_score

from skeegformer import (
    EEGTransformerClassifier,
    EuclideanAlignment,
    make_baseline,
    make_eeg_pipeline,
)
from skeegformer.preprocessing import MirroredClassifier


def test_chance_is_chance(simulated):
    X, y, _, _ = simulated
    predicted = make_eeg_pipeline(make_baseline("chance")).fit(X, y).predict(X)
    assert balanced_accuracy_score(y, predicted) == 0.5


def test_steps_and_parameters():
    pipeline = make_eeg_pipeline(drop=("Cz",), l_freq=1.0, h_freq=40.0, align=True, n_heads=3)
    assert [name for name, _ in pipeline.steps] == [
        "channeldropper",
        "bandpassfilter",
        "euclideanalignment",
        "eegtransformerclassifier",
    ]
    assert pipeline["channeldropper"].ch_names == ("Cz",)
    assert (pipeline["bandpassfilter"].l_freq, pipeline["bandpassfilter"].h_freq) == (1.0, 40.0)
    assert isinstance(pipeline["euclideanalignment"], EuclideanAlignment)
    assert pipeline["eegtransformerclassifier"].n_heads == 3
    assert "channeldropper" not in make_eeg_pipeline().named_steps


def test_steps_that_take_groups_ask_for_them():
    """Also a classifier that stops early, without any alignment."""
    network = EEGTransformerClassifier(early_stopping=True)
    for classifier in (None, network, MirroredClassifier(make_baseline("ts+lr"))):
        with sklearn.config_context(enable_metadata_routing=True):
            routing = make_eeg_pipeline(classifier).get_metadata_routing()
            assert routing.consumes("fit", ["groups"]) == {"groups"}
            routing = make_eeg_pipeline(make_baseline("csp+lda")).get_metadata_routing()
            assert not routing.consumes("fit", ["groups"])


def test_bad_input():
    with pytest.raises(ValueError, match="n_heads would go to an EEGTransformerClassifier"):
        make_eeg_pipeline(make_baseline("chance"), n_heads=3)


@pytest.mark.parametrize("as_array", [False, True])
def test_alignment_end_to_end_with_routing(simulated, as_array):
    X, y, metadata, _ = simulated
    groups = metadata["subject"].to_numpy()
    if as_array:
        X, options = X.get_data(units="uV"), {"h_freq": None}
    else:
        options = {}
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_eeg_pipeline(align=True, max_epochs=1, random_state=0, **options)
        pipeline.fit(X, y, groups=groups)
        routed = pipeline.predict_proba(X, groups=groups)
    assert sorted(pipeline["euclideanalignment"].references_) == [1, 2, 3, 4]
    assert routed.shape == (120, 2)


def test_baselines_read_channels_as_the_classifier_does(simulated):
    """Other channel types are left out, and another order is put right."""
    X, y, _, _ = simulated
    with_eog = X.copy().set_channel_types({"Fp1": "eog"}, on_unit_change="ignore")
    baseline = make_baseline("csp+lda").fit(with_eog, y)
    expected = baseline.predict_proba(with_eog)
    shuffled = with_eog.copy().reorder_channels(with_eog.ch_names[::-1])
    np.testing.assert_allclose(baseline.predict_proba(shuffled), expected)
    np.testing.assert_allclose(baseline.predict_proba(with_eog.copy().pick("eeg")), expected)
