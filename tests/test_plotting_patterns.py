"""Sources: what is drawn is what was given."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_info

from skeegformer.plotting import PatternDisplay, TopomapDisplay

INFO = make_info()


@pytest.fixture
def sources():
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        filters=rng.normal(size=(3, len(CH_NAMES))),
        patterns=5 * rng.normal(size=(3, len(CH_NAMES))),
        frequencies=np.arange(1.0, 41.0),
        responses=rng.random((3, 40)),
        spectra=rng.random((3, 40)),
        times=np.linspace(0.2, 1.8, 9),
        weights=rng.normal(size=(3, 2, 9)),
        classes=["left", "right", "left"],
    )


def test_what_is_drawn_is_what_was_given(sources):
    display = PatternDisplay(sources, INFO).plot()
    for k, row in enumerate(display.axes_):
        for image, name in zip(display.images_[k], ("filters", "patterns"), strict=True):
            one = vars(sources)[name][k]
            limit = abs(one).max()
            assert image.get_clim() == (-limit, limit)  # white is 0
            alone = TopomapDisplay(one, INFO, signed=True).plot().images_[0]
            np.testing.assert_allclose(image.get_array(), alone.get_array())
        for line, curves in zip(row[2].lines, (sources.responses, sources.spectra), strict=True):
            np.testing.assert_array_equal(line.get_data(), [sources.frequencies, curves[k]])
        lines = {line.get_label(): line.get_data() for line in row[3].lines}
        for values, name in zip(sources.weights[k], ("log power", "mean"), strict=True):
            np.testing.assert_array_equal(lines[name], [sources.times, values])
        assert row[3].get_ylim() == display.axes_[0, 3].get_ylim()  # sources compare
    titles = [row[0].texts[-1] for row in display.axes_]
    texts = [title.get_text() for title in titles]
    assert texts == ["source 1\nfor left", "source 2\nfor right", "source 3\nfor left"]
    colours = [title.get_color() for title in titles]
    assert colours[0] == colours[2] != colours[1]
    assert [axes.get_title() for axes in display.axes_[0, :2]] == ["filter", "pattern"]
    assert display.axes_[2, 2].get_xlabel() == "frequency (Hz)"
    assert "signs of a filter and its pattern are arbitrary" in display.caption_


def test_electrodes_without_a_position_and_given_axes(sources):
    info = INFO.copy()
    info["chs"][0]["loc"][:3] = 0.0
    _, axes = plt.subplots(3, 4)
    with pytest.warns(UserWarning, match="Not drawn: Fp1"):
        display = PatternDisplay(sources, info).plot(axes)
    rest = mne.pick_info(info, range(1, len(CH_NAMES)))
    alone = TopomapDisplay(sources.patterns[1][1:], rest, signed=True).plot().images_[0]
    np.testing.assert_allclose(display.images_[1][1].get_array(), alone.get_array())
    assert display.caption_.endswith("Not drawn: Fp1 (no position).")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("filters", np.ones((3, 5)), r"shape \(3, 5\), but 23 channels need"),
        ("patterns", np.ones((2, 23)), r"patterns have shape \(2, 23\), but need \(3, 23\)"),
        ("responses", np.ones((3, 4)), r"responses have shape \(3, 4\), but need \(3, 40\)"),
        ("weights", np.ones((3, 9)), r"weights have shape \(3, 9\), but need \(3, 2, 9\)"),
        ("weights", np.full((3, 2, 9), np.nan), "weights have 54 that are NaN"),
        ("classes", ["left"], "3 sources, but 1 classes"),
    ],
)
def test_bad_input(sources, name, value, message):
    setattr(sources, name, value)
    with pytest.raises(ValueError, match=message):
        PatternDisplay(sources, INFO).plot()
