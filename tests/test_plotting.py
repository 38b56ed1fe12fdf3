"""Topomaps: what is drawn, where, with which limits, on which axes."""

from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_explanation, make_info
from scipy.interpolate import RegularGridInterpolator

from skeegformer.plotting import TopomapDisplay
from skeegformer.plotting._electrodes import head_layout


@pytest.fixture
def explanation():
    return make_explanation()


def test_a_map_for_each_class_with_joint_limits(explanation):
    display = explanation.plot_topomap(by="class")
    means = explanation.class_means()
    assert [axes.get_title() for axes in display.axes_] == list(means)
    everything = 100 * np.concatenate(list(means.values()))
    for image in display.images_:
        np.testing.assert_allclose(image.get_clim(), (0, everything.max()))
    assert display.figure_ is display.ax_.figure
    assert display.colorbar_.ax.get_ylabel() == "share of attention (%)"
    predicted = replace(explanation, y=None).plot_topomap().titles
    assert predicted == ["left (predicted)", "right (predicted)"]


def test_one_map_for_all_and_one_for_each_subject(explanation):
    (values,) = explanation.plot_topomap(by=None).values
    np.testing.assert_allclose(values, 100 * explanation.feature_importances_)
    one = explanation.select([3])
    assert one.plot_topomap(by=None).titles == [f"one epoch, predicted: {one.predictions[0]}"]
    display = explanation.plot_topomap(by="subject")
    assert display.titles == ["subject 3", "subject 5", "subject 8", "subject 9"]
    np.testing.assert_allclose(display.values[1], 100 * explanation.values[6:12].mean(axis=0))


@pytest.mark.parametrize("name, side", [("Fpz", (0, 1)), ("Oz", (0, -1)), ("T8", (1, 0))])
def test_the_bright_spot_is_where_the_value_is(explanation, name, side):
    """A single high channel shows at its own place: front is up, right is right."""
    values = np.array(CH_NAMES) == name
    picture = np.ma.filled(
        TopomapDisplay(values, explanation.info).plot().images_[0].get_array(), 0
    )
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    spot = 2 * np.array([column, row]) / picture.shape - 1
    assert spot @ side > 0.5
    assert abs(spot @ side[::-1]) < 0.25


def test_given_axes_and_limits(explanation):
    figure, axes = plt.subplots(1, 2)
    display = explanation.plot_topomap(ax=axes, vlim=(0, 5), names=len(CH_NAMES))
    assert display.figure_ is figure
    assert display.images_[0].get_clim() == (0, 5)
    assert "Cz" in {text.get_text() for text in axes[0].texts}
    with pytest.raises(ValueError, match="There are 2 panels, but 1 axes"):
        explanation.plot_topomap(ax=axes[0])


def test_electrodes_without_a_place_neither_stop_nor_change_the_map(explanation):
    """One at (0, 0, 0), one without a position, two in one place: the rest is as without them."""
    names, info = ["Fpz", "Cz", "T8"], explanation.info.copy()
    places = dict(zip(CH_NAMES, (channel["loc"] for channel in info["chs"]), strict=True))
    places["Fpz"][:3], places["Cz"][:3] = 0.0, np.nan
    places["T8"][:3] = places["T7"][:3]
    values = explanation.values.mean(axis=0)
    values[[CH_NAMES.index(name) for name in names]] = 1e6
    with pytest.warns(UserWarning, match="Not drawn"):
        display = TopomapDisplay(values, info).plot(names=len(CH_NAMES))
    said = "Not drawn: Fpz (no position), Cz (no position), T8 (in the place of T7)."
    assert display.caption_ == said
    assert display.caption_ in display.figure_.get_supxlabel().replace("\n", " ")
    rest = [k for k, name in enumerate(CH_NAMES) if name not in names]
    np.testing.assert_array_equal(display.kept_, rest)
    expected = TopomapDisplay(values[rest], mne.pick_info(info, rest)).plot()
    np.testing.assert_array_equal(display.images_[0].get_array(), expected.images_[0].get_array())
    assert display.images_[0].get_clim() == expected.images_[0].get_clim()


def electrodes(axes):
    """Return where the names of the channels are written: (n_chans, 2), in their order."""
    places = {text.get_text(): text.xy for text in axes.texts}
    return np.array([places[name] for name in CH_NAMES])


def test_the_map_has_each_channels_value_at_its_electrode(explanation):
    display = explanation.plot_topomap(names=len(CH_NAMES))
    for axes, values in zip(display.axes_, display.values, strict=True):
        (image,) = axes.images
        picture = np.asarray(image.get_array())
        left, right, bottom, top = image.get_extent()
        grid = np.linspace(bottom, top, len(picture)), np.linspace(left, right, len(picture))
        read = RegularGridInterpolator(grid, picture)(electrodes(axes)[:, ::-1])
        np.testing.assert_allclose(read, values, atol=0.03 * np.ptp(values))


def test_a_difference_is_taken_before_scaling_and_drawn_around_zero(explanation):
    display = explanation.plot_topomap(difference=("right", "left"))
    means = explanation.class_means()
    raw = means["right"] - means["left"]
    assert display.titles == ["right − left"]
    np.testing.assert_allclose(display.values, [100 * raw])
    (image,) = display.images_
    low, high = image.get_clim()
    assert high == -low == pytest.approx(100 * abs(raw).max())
    assert image.get_cmap().name == "RdBu_r"
    assert display.colorbar_.ax.get_ylabel() == "difference (% points)"


def test_signed_values_are_symmetric_around_zero_and_not_in_percent():
    one = make_explanation("integrated-gradients", parts=("alpha", "beta"), part_kind="band")
    display = one.plot_topomap(by="part")
    assert display.titles == ["alpha", "beta"]
    means = one.token_values.mean(axis=0)
    np.testing.assert_allclose(display.values[1], means[:, 1])
    for image in display.images_:
        assert image.get_clim() == pytest.approx((-abs(means).max(), abs(means).max()))
        assert image.get_cmap().name == "RdBu_r"
    assert display.colorbar_.ax.get_ylabel() == "log odds of the class"


def test_parts_of_each_class_are_a_row():
    one = make_explanation(parts=("0.0-1.0 s", "1.0-2.0 s", "2.0-3.0 s"))
    left, right = (one.token_values[one.y == label].mean(axis=0) for label in ("left", "right"))
    display = one.plot_topomap(by="class and part")
    np.testing.assert_allclose(display.values, 100 * np.concatenate([left.T, right.T]))
    assert [axes.get_title() for axes in display.axes_[2:4]] == [
        "left\n2.0-3.0 s",
        "right\n0.0-1.0 s",
    ]
    assert len({round(axes.get_position().y0, 2) for axes in display.axes_}) == 2
    display = one.plot_topomap(by="class and part", difference=("left", "right"))
    np.testing.assert_allclose(display.values, 100 * (left - right).T)


def marked(axes):
    """Return the channels whose dots are marked."""
    (marks,) = (line for line in axes.lines if line.get_marker() == "o")
    distances = np.linalg.norm(electrodes(axes) - marks.get_xydata()[:, np.newaxis], axis=2)
    assert distances.min(axis=1).max() < 1e-6
    return [CH_NAMES[i] for i in distances.argmin(axis=1)]


def test_the_mask_marks_its_electrodes(explanation):
    mask = np.isin(CH_NAMES, ["C3", "O2"])
    for axes in explanation.plot_topomap(mask=mask, names=len(CH_NAMES)).axes_:
        assert marked(axes) == ["C3", "O2"]
    with pytest.raises(ValueError, match=r"has to be boolean and of shape \(23,\)"):
        explanation.plot_topomap(mask=mask[:5])


def test_names_are_of_the_largest_channels_and_no_formulas(explanation, tmp_path):
    info = explanation.info.copy()
    info.rename_channels({"C3": "$C_3$", "C4": r"$\broken{"})
    display = replace(explanation, info=info, ch_names=info.ch_names).plot_topomap(names=1)
    display.figure_.savefig(tmp_path / "names.png")
    written = [[text.get_text() for text in axes.texts] for axes in display.axes_]
    assert written == [[r"$\broken{"], ["$C_3$"]]


# Where electrodes go on the plane


def on_sphere(names, polar, azimuth, *, tilt=0.0, radius=0.09):
    """Return an Info with electrodes on a sphere whose top leans back by an angle."""
    x, y = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
    z = np.cos(polar)
    y, z = np.cos(tilt) * y - np.sin(tilt) * z, np.sin(tilt) * y + np.cos(tilt) * z
    places = radius * np.column_stack([x, y, z]) + [0.001, 0.02, 0.04]
    info = mne.create_info(names, 100.0, "eeg")
    for channel, place in zip(info["chs"], places, strict=True):
        channel["loc"][:3] = place
    return info


@pytest.mark.parametrize("tilt", [0.0, -0.15])
def test_distance_from_the_centre_is_the_angle_from_the_top(tilt):
    rng = np.random.default_rng(0)
    polar, azimuth = rng.uniform(0.1, 2.0, 22), rng.uniform(-np.pi, np.pi, 22)
    polar[:2], azimuth[:2] = np.pi / 2, (np.pi / 2, -np.pi / 2)
    names = ["Fpz", "Oz", *(f"E{k}" for k in range(20))]
    places = head_layout(on_sphere(names, polar, azimuth, tilt=tilt))
    expected = polar / (np.pi / 2) * [np.cos(azimuth), np.sin(azimuth)]
    np.testing.assert_allclose(places.T, expected, atol=1e-6)


def test_the_template_has_its_equator_on_the_circle():
    places = dict(zip(CH_NAMES, head_layout(make_info()), strict=True))
    for name, expected in {"Cz": (0, 0), "Oz": (0, -1), "Fpz": (0, 1)}.items():
        np.testing.assert_allclose(places[name], expected, atol=0.06)
    np.testing.assert_allclose(places["C3"] * [-1, 1], places["C4"], atol=0.06)


def test_few_electrodes_or_none_of_a_head_are_seen_from_a_standard_centre():
    few = dict(zip(CH_NAMES[:8], head_layout(make_info(CH_NAMES[:8])), strict=True))
    np.testing.assert_allclose(few["Fpz"], (0, 1), atol=0.1)
    np.testing.assert_allclose(few["F3"] * [-1, 1], few["F4"], atol=0.06)
    angles = np.linspace(0.1, 1.5, 20)
    huge = head_layout(on_sphere([f"E{k}" for k in range(20)], angles, 7 * angles, radius=0.4))
    np.testing.assert_allclose(np.hypot(*huge.T), angles / (np.pi / 2), atol=0.05)
