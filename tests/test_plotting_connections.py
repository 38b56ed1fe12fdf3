"""Connections: what is drawn, in which direction, and a page that is safe and complete."""

import json
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from explanation_factory import Page, make_explanation
from matplotlib.patches import FancyArrowPatch

from skeegformer.plotting import ConnectionDisplay
from skeegformer.plotting._electrodes import head_layout

pytest.importorskip("plotly")
NAMES = ["Fp1", "Fp2", "F3", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2"]
N = len(NAMES)


@pytest.fixture(scope="module")
def info():
    return mne.create_info(NAMES, 160.0, "eeg").set_montage("biosemi64")


@pytest.fixture
def matrices():
    rng = np.random.default_rng(0)
    return rng.random((2, N, N))


def arrows(axes):
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def one_connection():
    """Return a matrix in which Pz takes from C3, and nothing else happens."""
    matrix = np.zeros((N, N))
    matrix[NAMES.index("Pz"), NAMES.index("C3")] = 3.0
    return matrix


# What is shown


def test_baseline_leaves_what_one_channel_takes_beyond_the_others(info, matrices):
    """A profile over keys, however strong, vanishes; a single connection stays."""
    profile = np.tile(np.linspace(0, 5, N), (N, 1))
    profile[4, 8] += 2.0
    (shown,) = ConnectionDisplay(profile, info).strengths_
    assert shown[4, 8] == pytest.approx(2.0)
    assert np.sort(abs(shown[~np.eye(N, dtype=bool)]))[-2] == pytest.approx(2.0 / (N - 2))
    strength = ConnectionDisplay(matrices, info).strengths_[0, 2, 7]
    others = [matrices[0, query, 7] for query in range(N) if query not in (2, 7)]
    assert strength == pytest.approx(matrices[0, 2, 7] - np.mean(others))


def test_baseline_of_symmetric_connections_is_the_least_squares_sum_of_two_channels(info):
    rng = np.random.default_rng(0)
    matrix = rng.random((N, N))
    matrix += matrix.T
    display = ConnectionDisplay(matrix, info)
    assert not display.directed_
    first, second = np.tril_indices(N, -1)
    design = np.eye(N)[first] + np.eye(N)[second]
    numbers = np.linalg.lstsq(design, matrix[first, second])[0]
    expected = matrix[first, second] - design @ numbers
    np.testing.assert_allclose(display.strengths_[0, first, second], expected)
    np.testing.assert_allclose(display.strengths_[0], display.strengths_[0].T)


def test_an_arrow_runs_from_key_to_query_and_a_line_has_no_direction(info):
    matrix = one_connection()
    display = ConnectionDisplay(matrix, info).plot(top=1)
    (arrow,) = arrows(display.ax_)
    places = dict(zip(NAMES, head_layout(info), strict=True))
    np.testing.assert_allclose(arrow._posA_posB, [places["C3"], places["Pz"]])
    assert arrow.get_arrowstyle().arrow.startswith("-|>")
    assert "run from the key" in display.caption_
    assert {text.get_text() for text in display.ax_.texts} == {"C3", "Pz"}
    display = ConnectionDisplay(matrix + matrix.T, info).plot(top=1)
    (line,) = arrows(display.ax_)
    assert line.get_arrowstyle().arrow == "-"
    assert "have no direction" in display.caption_
    assert len(arrows(display.plot(top=500).ax_)) == N * (N - 1) / 2


def test_top_axes_and_positions(info, matrices):
    display = ConnectionDisplay(matrices, info, ["rest", "task"]).plot(top=7)
    assert [len(arrows(axes)) for axes in display.axes_] == [7, 7]
    assert [axes.get_title() for axes in display.axes_] == ["rest", "task"]
    figure, axes = plt.subplots(1, 2)
    assert display.plot(ax=axes, top=500).figure_ is figure
    assert [len(arrows(axes)) for axes in display.axes_] == [N * (N - 1)] * 2
    odd = info.copy()
    odd["chs"][0]["loc"][:3] = 0.0
    with pytest.warns(UserWarning, match="Not drawn: Fp1"):
        display = ConnectionDisplay(matrices, odd)
    assert "Fp1" in display.caption_
    rest = ConnectionDisplay(matrices[:, 1:, 1:], mne.pick_info(info, range(1, N)))
    np.testing.assert_allclose(display.strengths_, rest.strengths_)


def test_explanations_are_averaged_by_class():
    explanation = make_explanation()
    display = explanation.plot_connections(top=5)
    assert display.titles == ["left", "right"]
    for label, matrix in zip(("left", "right"), display.matrices, strict=True):
        mean = explanation.connections[explanation.y == label].mean(axis=0)
        np.testing.assert_allclose(matrix, 100 * mean)
    assert display.unit == "share of attention (%)"
    predicted = replace(explanation, y=None).plot_connections().titles
    assert predicted == ["left (predicted)", "right (predicted)"]
    assert len(explanation.plot_connections(by=None).axes_) == 1
    with pytest.raises(ValueError, match=r"AttentionExplainer\(connections=True\)"):
        replace(explanation, connections=None).plot_connections()


# The page


def drawn(page):
    """Return the traces and the layout that the page hands to plotly."""
    call = page[page.rindex("Plotly.newPlot(") :]
    decode = json.JSONDecoder().raw_decode
    traces, end = decode(call, call.index("["))
    return traces, decode(call, call.index("{", end))[0]


@pytest.mark.parametrize("directed", [True, False])
def test_the_page_holds_the_strongest_connections_and_loads_nothing(info, matrices, directed):
    if not directed:
        matrices = matrices + matrices.swapaxes(1, 2)
    display = ConnectionDisplay(matrices, info, ["rest", "task"])
    page = display.to_html(top=40)
    assert Page(page).addresses == []
    traces, layout = drawn(page)
    texts = [note["text"] for note in layout["annotations"]]
    assert texts[:2] == ["rest", "task"]
    assert display.caption_ == texts[2].replace("<br>", " ")
    lines = [trace for trace in traces if trace.get("mode") == "lines"]
    pairs = np.argwhere(np.ones((N, N)) if directed else np.tri(N))
    for scene, strengths in zip(("scene", "scene2"), display.strengths_, strict=True):
        parts = [line["text"] for line in lines if line.get("scene", "scene") == scene]
        found = list(dict.fromkeys(text for part in parts for text in part))
        largest = sorted(pairs, key=lambda pair: -abs(strengths[tuple(pair)]))[:40]
        sign = "→" if directed else "–"
        assert found == [
            f"{NAMES[key]} {sign} {NAMES[query]}<br>{strengths[query, key]:+.3g}"
            for query, key in largest
        ]
    assert any(trace["type"] == "cone" for trace in traces) == directed


def test_names_cannot_become_markup(info, matrices):
    odd = info.copy()
    evil = "</script><script>document.title='hacked'</script>"
    mne.rename_channels(odd, {"C3": "<script>x", "C4": "<b>bold</b>&amp;"})
    display = ConnectionDisplay(matrices, odd, [evil, "<i>"])
    page = display.to_html(title="<img src=x>")
    assert Page(page).tags == Page(ConnectionDisplay(matrices, info).to_html()).tags
    # plotly itself would read tags in the texts that it draws.
    traces, layout = drawn(page)
    shown = [note["text"] for note in layout["annotations"][:2]] + [layout["title"]["text"]]
    shown += next(trace["text"] for trace in traces if trace.get("mode") == "markers+text")
    assert not [text for text in shown if re.search(r"<\w|</|&amp;", text)]
