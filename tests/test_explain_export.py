"""Explanations in pandas and MNE."""

from dataclasses import replace

import mne
import numpy as np
import pytest
from explanation_factory import TIMES, full_explanation

N_EPOCHS, N_CHANS, N_PARTS = 12, 64, len(TIMES)


@pytest.fixture
def explanation(simulated):
    return full_explanation(simulated[0].info)


def test_every_value_is_in_the_table(explanation):
    frame = explanation.to_dataframe()
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
    bare = replace(explanation, y=None, subjects=None, targets=None, ch_names=None, info=None)
    frame = bare.to_dataframe()
    assert frame[["subject", "label", "target"]].isna().all(axis=None)
    assert frame["channel"].iloc[3] == "channel 1"


def test_evoked_has_the_means_and_can_be_drawn(explanation):
    evoked = explanation.to_evoked()
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
    mne.viz.plot_compare_evokeds(evoked, picks="C3", show=False)


def test_evoked_of_bands_and_of_single_parts(explanation):
    bands = replace(explanation, parts=("theta", "alpha", "beta"), part_kind="band")
    evoked = bands.to_evoked(by=None)
    assert evoked.times.tolist() == [0, 1, 2]
    assert (evoked.comment, evoked.nave) == ("all epochs", N_EPOCHS)
    np.testing.assert_array_equal(evoked.data.T, list(bands.part_means().values()))
    whole = replace(explanation, token_values=explanation.token_values[..., :1], parts=("epoch",))
    evoked = whole.to_evoked()["right"]
    np.testing.assert_array_equal(evoked.data[:, 0], whole.class_means()["right"])
    evoked.plot_topomap(times=[0], show=False)
    with pytest.raises(ValueError, match="pass Epochs, or give explain an info="):
        replace(explanation, info=None).to_evoked()
    with pytest.raises(ValueError, match="by='part' is not one of 'class', None"):
        explanation.to_evoked(by="part")
