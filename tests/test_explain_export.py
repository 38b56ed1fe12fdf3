"""Explanations in pandas, MNE and shap."""

from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from scipy.special import logit
from sklearn.utils import Bunch

from skeegformer.explain import Explanation
from skeegformer.explain.explanation import Source
from skeegformer.explain.export import (
    to_dataframe,
    to_evoked,
    to_shap,
)

N_EPOCHS, N_CHANS, N_PARTS = 12, 64, 3
TIMES = ("0.00-0.67 s", "0.67-1.33 s", "1.33-2.00 s")


@pytest.fixture
def explanation(simulated):
    """Make one with every field but the model, of three classes."""
    rng = np.random.default_rng(0)
    info = simulated[0].info.copy()
    info["bads"] = ["Fp1"]
    classes = np.array(["feet", "left", "right"])
    return Explanation(
        token_values=rng.normal(size=(N_EPOCHS, N_CHANS, N_PARTS)),
        probabilities=rng.dirichlet(np.ones(3), size=N_EPOCHS).astype(np.float32),
        classes=classes,
        y=np.repeat(classes, 4),
        ch_names=list(info["ch_names"]),
        info=info,
        method="integrated-gradients",
        parts=TIMES,
        targets=rng.choice(classes, N_EPOCHS),
        subjects=np.tile([1, 2, 3, 4], 3),
        connections=rng.normal(size=(N_EPOCHS, N_CHANS, N_CHANS)).astype(np.float32),
        permutation=Bunch(
            importances=rng.normal(size=(N_CHANS, 5)),
            importances_mean=rng.normal(size=N_CHANS),
            names=list(info["ch_names"]),
        ),
        settings={"method": "integrated-gradients", "n_repeats": np.int64(5), "bands": None},
    )


def test_every_value_is_in_the_table(explanation):
    frame = to_dataframe(explanation)
    assert frame.columns.tolist() == [
        *("epoch", "subject", "label", "prediction", "confidence", "target"),
        *("channel", "part", "value"),
    ]
    assert len(frame) == N_EPOCHS * N_CHANS * N_PARTS
    cube = frame.set_index(["epoch", "channel", "part"])["value"]
    for epoch, channel, part in ((0, 0, 0), (7, 20, 1), (11, 63, 2)):
        value = cube.loc[epoch, explanation.ch_names[channel], TIMES[part]]
        assert value == explanation.token_values[epoch, channel, part]
    means = frame.groupby(["label", "epoch", "channel"])["value"].sum().groupby(level=[0, 2]).mean()
    for label, mean in explanation.class_means().items():
        np.testing.assert_allclose(means.loc[label][explanation.ch_names], mean)
    epochs = frame.drop_duplicates("epoch")
    for column in ("subjects", "y", "predictions", "confidences", "targets"):
        name = {"y": "label"}.get(column, column.removesuffix("s"))
        np.testing.assert_array_equal(epochs[name], getattr(explanation, column))


def test_what_is_not_known_is_none_in_the_table(explanation):
    bare = replace(explanation, y=None, subjects=None, targets=None, ch_names=None, info=None)
    frame = to_dataframe(bare)
    assert frame[["subject", "label", "target"]].isna().all(axis=None)
    assert frame["channel"].iloc[3] == "channel 1"


def test_evoked_has_the_means_and_can_be_drawn(explanation):
    evoked = to_evoked(explanation)
    assert list(evoked) == ["feet", "left", "right"]
    left = evoked["left"]
    np.testing.assert_array_equal(left.data, explanation.token_values[4:8].mean(axis=0))
    np.testing.assert_allclose(left.times, [1 / 3, 1, 5 / 3], atol=0.01)
    assert (left.comment, left.nave, left.info["bads"]) == ("left", 4, ["Fp1"])
    assert left.ch_names == explanation.ch_names
    positions = [channel["loc"][:3] for channel in left.info["chs"]]
    np.testing.assert_array_equal(positions, explanation.positions)
    options = {"scalings": 1, "units": "log odds", "cbar_fmt": "%.2g", "show": False}
    figure = left.plot_topomap(times=left.times, **options)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["0.335 s", "1.000 s", "1.665 s"]
    # The map is the one that MNE makes of the plain numbers, bad channels left out.
    good = mne.pick_types(explanation.info, eeg=True)
    kept = mne.pick_info(explanation.info, good)
    image, _ = mne.viz.plot_topomap(left.data[good, 0], kept, show=False)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), image.get_array(), atol=1e-9)
    left.plot(scalings={"eeg": 1}, units={"eeg": "log odds"}, show=False)
    left.plot_joint(show=False)
    plt.close("all")
    mne.viz.plot_compare_evokeds(evoked, picks="C3", show=False)
    plt.close("all")


def test_evoked_of_bands_and_of_single_parts(explanation):
    bands = replace(explanation, parts=("theta", "alpha", "beta"), part_kind="band")
    evoked = to_evoked(bands, by=None)
    assert evoked.times.tolist() == [0, 1, 2]
    assert (evoked.comment, evoked.nave) == ("all epochs", N_EPOCHS)
    np.testing.assert_array_equal(evoked.data.T, list(bands.part_means().values()))
    whole = replace(explanation, token_values=explanation.token_values[..., :1], parts=("epoch",))
    evoked = to_evoked(whole)["right"]
    np.testing.assert_array_equal(evoked.data[:, 0], whole.class_means()["right"])
    evoked.plot_topomap(times=[0], show=False)
    plt.close("all")
    with pytest.raises(ValueError, match="pass Epochs, or give explain an info="):
        to_evoked(replace(explanation, info=None))
    with pytest.raises(ValueError, match="by='part' is not one of 'class', None"):
        to_evoked(explanation, by="part")


def test_evoked_survives_a_file_of_mne(explanation, tmp_path):
    evoked = to_evoked(explanation)["left"]
    evoked.save(tmp_path / "left-ave.fif")
    found = mne.read_evokeds(tmp_path / "left-ave.fif")[0]
    np.testing.assert_allclose(found.data, evoked.data, rtol=1e-6)
    np.testing.assert_allclose(found.times, evoked.times, atol=1e-5)


def test_shap_adds_up_to_the_log_odds_and_can_be_drawn(explanation):
    shap = pytest.importorskip("shap")
    data = np.random.default_rng(0).normal(size=(N_EPOCHS, N_CHANS, 50)).astype(np.float32)
    explanation = replace(explanation, source=Source(None, data))
    found = to_shap(explanation)
    codes = np.searchsorted(explanation.classes, explanation.targets)
    expected = logit(explanation.probabilities[np.arange(N_EPOCHS), codes].astype(float))
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), expected, rtol=1e-5)
    np.testing.assert_array_equal(found.values, explanation.values)
    np.testing.assert_allclose(found.data, np.linalg.norm(data, axis=-1) / np.sqrt(50), rtol=1e-6)
    assert found.feature_names == explanation.ch_names

    divided = to_shap(explanation, parts=True)
    assert divided.shape == divided.data.shape == (N_EPOCHS, N_CHANS * N_PARTS)
    assert divided.feature_names[4] == f"{explanation.ch_names[1]}, {TIMES[1]}"
    np.testing.assert_array_equal(divided.values[:, 4], explanation.token_values[:, 1, 1])
    np.testing.assert_allclose(divided.base_values, found.base_values)
    np.testing.assert_array_equal(divided.data[:, 4], found.data[:, 1])

    for values in (found, to_shap(replace(explanation, source=None))):
        shap.plots.beeswarm(values, show=False, max_display=5)
        names = [label.get_text() for label in plt.gca().get_yticklabels()]
        top = explanation.ch_names[np.abs(explanation.values).mean(axis=0).argmax()]
        assert top in names
        shap.plots.bar(values, show=False)
        shap.plots.waterfall(values[0], show=False)
        plt.close("all")


def test_shap_of_a_probability_that_rounds_to_one(explanation):
    pytest.importorskip("shap")
    sure = np.tile(np.array([1, 1e-20, 0], dtype=np.float32), (N_EPOCHS, 1))
    sure = replace(explanation, probabilities=sure, targets=np.full(N_EPOCHS, "feet"))
    found = to_shap(sure)
    np.testing.assert_allclose(
        found.base_values + found.values.sum(axis=1), 20 * np.log(10), rtol=1e-6
    )
    for label in ("left", "right"):
        unlikely = to_shap(replace(sure, targets=np.full(N_EPOCHS, label)))
        assert np.isfinite(unlikely.base_values).all()


@pytest.mark.parametrize(
    "method, reason",
    [
        ("rollout", "those of attention rollout do not add up.*shares of attention"),
        ("gradient-rollout", "shares of relevance"),
        ("occlusion", "counted in all of them or in none.*method='integrated-gradients'"),
    ],
)
def test_shap_is_refused_where_values_do_not_add_up(explanation, method, reason):
    with pytest.raises(ValueError, match=reason):
        to_shap(replace(explanation, method=method))


def test_shap_needs_the_explained_classes(explanation):
    with pytest.raises(ValueError, match="targets are None"):
        to_shap(replace(explanation, targets=None))
