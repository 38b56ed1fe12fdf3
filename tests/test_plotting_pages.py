"""Connections and reports: what is drawn and written, on pages that are safe and load nothing."""

import base64
import io
import json
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from explanation_factory import Page, make_curves, make_explanation, make_info
from matplotlib.patches import FancyArrowPatch
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from skeegformer import AttentionExplainer, EEGTransformerClassifier
from skeegformer.explain import Faithfulness
from skeegformer.plotting import ConnectionDisplay
from skeegformer.plotting._electrodes import head_layout

NAMES = ["Fp1", "Fp2", "F3", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2"]
N = len(NAMES)


@pytest.fixture(scope="module")
def info():
    return mne.create_info(NAMES, 160.0, "eeg").set_montage("biosemi64")


@pytest.fixture
def matrices():
    return np.random.default_rng(0).random((2, N, N))


def arrows(axes):
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def one_connection():
    """Return a matrix in which Pz takes from C3, and nothing else happens."""
    matrix = np.zeros((N, N))
    matrix[NAMES.index("Pz"), NAMES.index("C3")] = 3.0
    return matrix


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


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_names_of_many_channels_can_be_read(style):
    """They do not overlap, and differ from the background; names are no formulas."""
    info = make_info(mne.channels.make_standard_montage("biosemi64").ch_names)
    mne.rename_channels(info, {"C3": "$C$", "C4": "$_"})
    matrix = np.random.default_rng(0).random((64, 64))
    with plt.style.context(style):
        display = ConnectionDisplay(matrix, info, ["$a_$"]).plot(top=300)
        display.figure_.canvas.draw()
        background = display.figure_.get_facecolor()[:3]
        texts = display.ax_.texts
    assert len(texts) == 64
    boxes = [text.get_window_extent() for text in texts]
    assert min(box.height for box in boxes) > 7
    overlaps = [a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k]]
    assert not any(overlaps)
    for text in texts:
        colour = plt.matplotlib.colors.to_rgb(text.get_color())
        assert abs(np.mean(colour) - np.mean(background)) > 0.8


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


def drawn(page):
    """Return the traces and the layout that the page hands to plotly."""
    call = page[page.rindex("Plotly.newPlot(") :]
    decode = json.JSONDecoder().raw_decode
    traces, end = decode(call, call.index("["))
    return traces, decode(call, call.index("{", end))[0]


@pytest.mark.parametrize("directed", [True, False])
def test_the_page_holds_the_strongest_connections_and_loads_nothing(info, matrices, directed):
    pytest.importorskip("plotly")
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
    pytest.importorskip("plotly")
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


@pytest.fixture
def explanation():
    settings = {"method": "rollout", "random_state": np.int64(7)}
    one = make_explanation(parts=("0.0-1.0 s", "1.0-2.0 s"))
    return replace(one, connections=None, settings=settings)


def contents(report):
    return {element.name: element.html for element in report._content}


def table(page):
    """Return the cells of a table, row by row."""
    rows = re.findall(r"<tr.*?>(.*?)</tr>", page, re.DOTALL)
    return [cells for row in rows if (cells := re.findall(r"<td>(.*?)</td>", row))]


def test_what_is_on_the_page(explanation):
    faithfulness = Faithfulness(make_curves(), {"deletion_area": 0.12345}, "Faithful.", {})
    connected = replace(explanation, connections=make_explanation().connections)
    report = connected.to_report(faithfulness=faithfulness)
    sections = list(dict.fromkeys(element.section for element in report._content))
    assert sections == ["Summary", "Scores", "Channels", "Faithfulness", "Settings"]
    found = contents(report)
    assert {"Values by class", "Values by time", "Strongest connections"} < set(found)
    summary = dict(table(found["What was explained"]))
    assert summary["Paper"] == "Abnar and Zuidema (2020), arXiv:2005.00928"
    assert summary["Epochs by true label"] == "left (12), right (12)"
    assert "Faithful." in found["Is the explanation true of the model?"]
    assert table(found["Figures"]) == [["deletion_area", "0.123"]]
    assert table(found["Explainer"]) == [["method", "rollout"], ["random_state", "7"]]
    assert dict(table(found["Versions"]))["mne"] == mne.__version__
    assert plt.get_fignums() == []


def test_figures_are_as_they_are_drawn(explanation):
    """MNE reads a picture whose width is no whole number of pixels askew."""
    page = contents(explanation.to_report())["Values by class"]
    picture = base64.b64decode(re.search(r"data:image/\w+;base64,([^\"]+)", page)[1])
    found = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), dtype=float)
    figure, drawn = explanation.plot_topomap().figure_, io.BytesIO()
    figure.set_figwidth(found.shape[1] / 100 + 0.005)
    figure.savefig(drawn, dpi=100)
    expected = np.asarray(Image.open(drawn).convert("L"), dtype=float)
    assert np.corrcoef(found.ravel(), expected[: len(found)].ravel())[0, 1] > 0.99


def test_scores_and_channels(explanation):
    found = contents(explanation.to_report())
    rows = table(found["Scores on the explained epochs"])
    assert [row[:2] for row in rows] == [["all", "24"], *([k, "6"] for k in "3589")]
    parts = [explanation, *(explanation.select(subject=subject) for subject in (3, 5, 8, 9))]
    for (_, _, accuracy, balanced), one in zip(rows, parts, strict=True):
        assert accuracy == f"{accuracy_score(one.y, one.predictions):.3f}"
        assert balanced == f"{balanced_accuracy_score(one.y, one.predictions):.3f}"
    expected = confusion_matrix(explanation.y, explanation.predictions).astype(str).tolist()
    assert table(found["Confusion matrix"]) == expected
    order = np.argsort(explanation.feature_importances_)[::-1]
    bare = replace(explanation, info=None, ch_names=None)
    for one in (explanation, bare):
        found = contents(one.to_report())
        named = [row[0] for row in table(found["Most important channels"])]
        assert named == [one.channel_names[k] for k in order[:10]]
    assert "There is no map. A head needs" in found["Values by class"]


def test_scores_without_labels(explanation):
    found = contents(replace(explanation, y=None, subjects=None).to_report())
    assert "pass y to explain" in found["Scores on the explained epochs"]
    assert "Confusion matrix" not in found


def test_the_file_is_safe_and_loads_nothing(explanation, tmp_path):
    evil = "<script>alert(1)</script>"
    info = explanation.info.copy()
    mne.rename_channels(info, {"Cz": "<img src=x>"})
    labels = np.array([evil, "$a_$"])
    fields = {"y": np.tile(labels, 12), "ch_names": list(info.ch_names), "info": info}
    fields |= {"connections": make_explanation().connections}
    odd = replace(explanation, classes=labels, settings={"<script>": evil}, **fields)
    path = tmp_path / "report.html"
    report = odd.to_report(path, title=f"Mine {evil}")
    page = path.read_text(encoding="utf-8")
    assert report.fname == str(path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert evil not in page
    assert [one for one in Page(page).addresses if not one.startswith("data:")] == []


def test_the_classifier_and_its_settings(simulated):
    X, y = (one[:20] for one in simulated[:2])
    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=1, random_state=3).fit(X, y)
    page = contents(AttentionExplainer().explain(classifier, X, y).to_report())["Classifier"]
    found = dict(table(page))
    assert (found["n_heads"], found["random_state"]) == ("4", "3")
