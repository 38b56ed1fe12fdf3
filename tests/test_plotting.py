"""Figures: what is drawn are the numbers that were given, where they belong."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from explanation_factory import CH_NAMES, make_curves, make_explanation, make_info
from scipy.interpolate import RegularGridInterpolator
from scores_factory import TASKS, make_scores

from skeegformer.explain import Faithfulness
from skeegformer.plotting import TopomapDisplay, plot_scores
from skeegformer.plotting._electrodes import head_layout
from skeegformer.plotting.patterns import draw_patterns


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


def test_given_axes_and_limits(explanation):
    figure, axes = plt.subplots(1, 2)
    display = explanation.plot_topomap(ax=axes, vlim=(0, 5), names=len(CH_NAMES))
    assert display.figure_ is figure
    assert display.images_[0].get_clim() == (0, 5)
    assert "Cz" in {text.get_text() for text in axes[0].texts}
    with pytest.raises(ValueError, match="There are 2 panels, but 1 axes"):
        explanation.plot_topomap(ax=axes[0])


def test_electrodes_without_a_place_neither_stop_nor_change_the_map(explanation):
    """In the middle, without a position, in one place: the rest is as without them."""
    names, info = ["Fpz", "Cz", "T8", "Oz"], explanation.info.copy()
    places = dict(zip(CH_NAMES, (channel["loc"] for channel in info["chs"]), strict=True))
    places["Fpz"][:3], places["Cz"][:3] = 0.0, np.nan
    places["T8"][:3], places["Oz"][:3] = places["T7"][:3], (0, 0, 0.04)
    values = explanation.values.mean(axis=0)
    values[[CH_NAMES.index(name) for name in names]] = 1e6
    with pytest.warns(UserWarning, match="Not drawn"):
        display = TopomapDisplay(values, info).plot(names=len(CH_NAMES))
    said = "Not drawn: Fpz (no position), Cz (no position), T8 (in the place of T7), "
    said += "Oz (no position)."
    assert display.caption_ == said
    assert display.caption_ in display.figure_.get_supxlabel().replace("\n", " ")
    rest = [k for k, name in enumerate(CH_NAMES) if name not in names]
    np.testing.assert_array_equal(display.kept_, rest)
    named = pd.Series(values[rest], [CH_NAMES[k] for k in rest])[::-1]  # in an order of its own
    expected = TopomapDisplay(named, mne.pick_info(info, rest)).plot()
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
    of_left = replace(one, targets=np.full(len(one.values), "left")).plot_topomap()
    assert of_left.colorbar_.ax.get_ylabel() == "log odds of left"


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


def names_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_curves_of_deletion_and_insertion():
    verdict = "Faithful: " + "it costs $5 and $6 to say so at length. " * 4
    result = Faithfulness(make_curves(), {}, verdict, {})
    axes = result.plot()
    assert [ax.get_xlabel() for ax in axes] == ["channels removed", "channels inserted"]
    legend = axes[0].get_legend().get_texts()
    texts = [text.get_text() for text in legend]
    assert texts == ["explanation (area 0.70)", "oracle (area 0.60)", "random (area 0.90)"]
    np.testing.assert_allclose(axes[0].lines[1].get_data(), [[0, 32, 64], [1, 0.6, 0.2]])
    band = axes[0].collections[1].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.1, 1.1])
    figure = axes[0].figure
    assert figure.get_supxlabel().replace("\n", " ") == verdict.strip()
    figure, axes = plt.subplots(1, 2)
    assert result.plot(axes)[0].figure is figure
    assert figure.get_supxlabel() == ""


def test_sources_are_drawn_as_they_were_given():
    rng, info, n_chans = np.random.default_rng(0), make_info(), len(CH_NAMES)
    sources = SimpleNamespace(
        filters=rng.normal(size=(3, n_chans)),
        patterns=5 * rng.normal(size=(3, n_chans)),
        frequencies=np.arange(1.0, 41.0),
        responses=rng.random((3, 40)),
        spectra=rng.random((3, 40)),
        times=np.linspace(0.2, 1.8, 9),
        weights=rng.normal(size=(3, 2, 9)),
        classes=["left", "right", "left"],
    )
    axes = draw_patterns(sources, info, ["a", "b", "c"])
    for k, row in enumerate(axes):
        for panel, one in zip(row[:2], (sources.filters[k], sources.patterns[k]), strict=True):
            (image,) = panel.images
            limit = abs(one).max()
            assert image.get_clim() == (-limit, limit)  # white is 0
            alone = TopomapDisplay(one, info, signed=True).plot().images_[0]
            np.testing.assert_allclose(image.get_array(), alone.get_array())
        for line, curves in zip(row[2].lines, (sources.responses, sources.spectra), strict=True):
            np.testing.assert_array_equal(line.get_data(), [sources.frequencies, curves[k]])
        lines = {line.get_label(): line.get_data() for line in row[3].lines}
        for values, name in zip(sources.weights[k], ("log power", "mean"), strict=True):
            np.testing.assert_array_equal(lines[name], [sources.times, values])
        assert row[3].get_ylim() == axes[0, 3].get_ylim()  # sources compare
    titles = [row[0].texts[-1] for row in axes]
    assert [title.get_text() for title in titles] == ["a\nfor left", "b\nfor right", "c\nfor left"]
    assert axes[2, 2].get_xlabel() == "frequency (Hz)"
    caption = axes[0, 0].figure.get_supxlabel().replace("\n", " ")
    assert "signs of a filter and its pattern" in caption


def test_scores_are_of_subjects_and_marks_their_means():
    scores = make_scores()
    axes = plot_scores(scores)
    assert [panel.get_title() for panel in axes] == list(scores["task"].unique())
    overall = scores.groupby("pipeline")["balanced_accuracy"].mean()
    names = names_of(axes[0])
    assert names == list(overall.sort_values(ascending=False).index)
    rows = scores[scores["task"] == TASKS[0]]
    by_subject = rows.groupby(["pipeline", "subject"])["balanced_accuracy"].mean()
    drawn = np.sort(np.concatenate([c.get_offsets()[:, 0] for c in axes[0].collections]))
    np.testing.assert_allclose(drawn, np.sort(by_subject))
    means = [x for line in axes[0].lines if line.get_marker() == "D" for x in line.get_xdata()]
    np.testing.assert_allclose(means, by_subject.groupby("pipeline").mean()[names])
    scores = scores.drop(columns="balanced_accuracy")
    errors = scores.groupby("pipeline")["brier_score"].mean().sort_values()
    assert names_of(plot_scores(scores, "brier_score")[0]) == list(errors.index)
    mixed = make_scores().assign(protocol=lambda table: np.arange(len(table)) % 2)
    with pytest.raises(ValueError, match="several protocols"):
        plot_scores(mixed)


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
    assert places["C4"][0] > 0.2


def test_few_electrodes_or_none_of_a_head_are_seen_from_a_standard_centre():
    few = dict(zip(CH_NAMES[:8], head_layout(make_info(CH_NAMES[:8])), strict=True))
    np.testing.assert_allclose(few["Fpz"], (0, 1), atol=0.1)
    np.testing.assert_allclose(few["F3"] * [-1, 1], few["F4"], atol=0.06)
    angles = np.linspace(0.1, 1.5, 20)
    huge = head_layout(on_sphere([f"E{k}" for k in range(20)], angles, 7 * angles, radius=0.4))
    np.testing.assert_allclose(np.hypot(*huge.T), angles / (np.pi / 2), atol=0.05)
