"""Topomaps: what is drawn, with which limits, on which axes."""

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest

from skeegformer import AttentionExplainer, TopomapDisplay, make_eeg_pipeline


@pytest.fixture(scope="module")
def explanation(simulated):
    X, y, _, _ = simulated
    pipeline = make_eeg_pipeline(embed_dim=16, max_epochs=2, random_state=0).fit(X, y)
    return AttentionExplainer().explain(pipeline, X, y)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_a_map_for_each_class_with_joint_limits(explanation):
    display = explanation.plot_topomap(by="class")
    means = explanation.class_means()
    assert [axes.get_title() for axes in display.axes_] == list(means)
    everything = 100 * np.concatenate(list(means.values()))
    for image in display.images_:
        np.testing.assert_allclose(image.get_clim(), (everything.min(), everything.max()))
    assert display.figure_ is display.ax_.figure
    assert display.colorbar_.ax.get_ylabel() == "share of attention (%)"


def test_one_map_for_all(explanation):
    display = explanation.plot_topomap(by=None)
    assert len(display.axes_) == 1
    (values,) = display.values.values()
    np.testing.assert_allclose(values, 100 * explanation.feature_importances_)


def test_the_bright_spot_is_where_the_value_is(explanation):
    """A single high channel shows at its own place: front is up, right is right."""
    for name, (horizontal, vertical) in {"Fpz": (0, 1), "Oz": (0, -1), "T8": (1, 0)}.items():
        values = np.zeros(61)
        values[explanation.ch_names.index(name)] = 1.0
        display = TopomapDisplay({name: values}, explanation.info).plot()
        picture = np.ma.filled(display.images_[0].get_array(), 0)
        row, column = np.unravel_index(picture.argmax(), picture.shape)
        x, y = 2 * column / picture.shape[1] - 1, 2 * row / picture.shape[0] - 1
        assert x * horizontal + y * vertical >= 0.5 or (horizontal == 0 and y * vertical > 0.5)
        assert abs(x if horizontal == 0 else y) < 0.25


def test_given_axes_and_limits(explanation):
    figure, axes = plt.subplots(1, 2)
    display = explanation.plot_topomap(ax=axes, vlim=(0, 5), cmap="magma", names=True)
    assert display.figure_ is figure
    assert display.images_[0].get_clim() == (0, 5)
    assert display.images_[0].get_cmap().name == "magma"
    assert "Cz" in {text.get_text() for text in axes[0].texts}
    with pytest.raises(ValueError, match="There are 2 maps, but 1 axes"):
        explanation.plot_topomap(ax=axes[0])


def test_from_estimator(simulated):
    X, y, _, _ = simulated
    pipeline = make_eeg_pipeline(embed_dim=16, max_epochs=1, random_state=0).fit(X, y)
    display = TopomapDisplay.from_estimator(pipeline, X, y)
    expected = AttentionExplainer().explain(pipeline, X, y).class_means()
    for label, mean in expected.items():
        np.testing.assert_allclose(display.values[label], 100 * mean)


def test_predicted_classes_are_called_so(simulated):
    X, y, _, _ = simulated
    pipeline = make_eeg_pipeline(embed_dim=16, max_epochs=1, random_state=0).fit(X, y)
    titles = TopomapDisplay.from_estimator(pipeline, X).values
    assert set(titles) <= {"left (predicted)", "right (predicted)"}


def test_too_few_channels(explanation):
    with pytest.raises(ValueError, match="at least 3 channels, not 1"):
        TopomapDisplay({"one": np.ones(1)}, mne.pick_info(explanation.info, [0])).plot()


def test_unknown_grouping(explanation):
    with pytest.raises(ValueError, match="by='subject' is not 'class' or None"):
        explanation.plot_topomap(by="subject")
