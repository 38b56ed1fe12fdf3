"""Connections: what is drawn, in which direction, and a page that is safe and complete."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

from skeegformer.explain import Explanation
from skeegformer.plotting import ConnectionDisplay
from skeegformer.plotting._connections_figure import _project
from skeegformer.plotting._head import fit_head

NAMES = ["Fp1", "Fp2", "F3", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2"]
N = len(NAMES)


@pytest.fixture(scope="module")
def info():
    return mne.create_info(NAMES, 160.0, "eeg").set_montage("biosemi64")


@pytest.fixture
def matrices():
    rng = np.random.default_rng(0)
    return {"rest": rng.random((N, N)), "task": rng.random((N, N))}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def explain(info, **changes):
    rng = np.random.default_rng(1)
    explanation = Explanation(
        token_values=rng.random((6, N, 1)),
        probabilities=np.tile([0.7, 0.3], (6, 1)),
        classes=np.array(["left", "right"]),
        y=np.array(["left", "left", "right", "right", "right", "left"]),
        ch_names=NAMES,
        info=info,
        method="rollout",
        connections=rng.random((6, N, N)),
    )
    return replace(explanation, **changes)


def arrows(axes):
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


# What is shown


def test_baseline_key_leaves_what_one_channel_takes_beyond_the_others(info, matrices):
    """A profile over keys, however strong, vanishes; a single connection stays."""
    profile = np.tile(np.linspace(0, 5, N), (N, 1))
    profile[4, 8] += 2.0
    display = ConnectionDisplay({"all": profile}, info, baseline="key")
    shown = display.strengths[""]["all"]
    assert shown[4, 8] == pytest.approx(2.0)
    others = shown[~np.eye(N, dtype=bool)]
    assert np.sort(abs(others))[-2] == pytest.approx(2.0 / (N - 2))
    expected = matrices["rest"]
    strength = ConnectionDisplay(matrices, info).strengths[""]["rest"][2, 7]
    others = [expected[query, 7] for query in range(N) if query not in (2, 7)]
    assert strength == pytest.approx(expected[2, 7] - np.mean(others))


def test_baseline_condition_leaves_differences(info, matrices):
    shown = ConnectionDisplay(matrices, info, baseline="condition").strengths[""]
    np.testing.assert_allclose(shown["rest"], (matrices["rest"] - matrices["task"]) / 2)
    np.testing.assert_allclose(shown["task"], -shown["rest"])


def test_the_table_names_key_as_source(info):
    matrix = np.zeros((N, N))
    matrix[NAMES.index("Pz"), NAMES.index("C3")] = 3.0  # Pz takes from C3
    table = ConnectionDisplay({"all": matrix}, info, baseline=None).to_dataframe()
    first = table.iloc[0]
    assert (first["source"], first["target"], first["strength"]) == ("C3", "Pz", 3.0)
    assert len(table) == N * N
    assert (table["strength"][1:] == 0).all()


def test_an_arrow_runs_from_key_to_query(info):
    matrix = np.zeros((N, N))
    matrix[NAMES.index("Pz"), NAMES.index("C3")] = 3.0
    display = ConnectionDisplay({"all": matrix}, info, baseline=None).plot(views="top")
    (arrow,) = arrows(display.ax_)
    places, _ = _project(display.positions, fit_head(display.positions), "top")
    start, end = arrow._posA_posB
    np.testing.assert_allclose(start, places[NAMES.index("C3")])
    np.testing.assert_allclose(end, places[NAMES.index("Pz")])
    assert "from the key" in display.caption
    assert "to the query" in display.caption


@pytest.mark.parametrize(
    "view, right_of, above",
    [
        ("top", ("C4", "C3"), ("Fp1", "O1")),
        ("left", ("O1", "Fp1"), ("Cz", "C3")),
        ("right", ("Fp2", "O2"), ("Cz", "C4")),
        ("back", ("C4", "C3"), ("Cz", "C4")),
        ("front", ("C3", "C4"), ("Cz", "C3")),
    ],
)
def test_views(info, view, right_of, above):
    positions = ConnectionDisplay({"all": np.eye(N)}, info).positions
    places, _ = _project(positions, fit_head(positions), view)
    place = dict(zip(NAMES, places, strict=True))
    assert place[right_of[0]][0] > place[right_of[1]][0] + 0.02
    assert place[above[0]][1] > place[above[1]][1] + 0.02


def test_top_and_threshold(info, matrices):
    display = ConnectionDisplay(matrices, info, baseline=None).plot(top=7, views=["top", "back"])
    assert display.axes_.shape == (2, 2)
    assert [len(arrows(axes)) for axes in display.axes_.ravel()] == [7] * 4
    display.plot(top=500, threshold=0.9, loops=False)
    off_diagonal = ~np.eye(N, dtype=bool)
    for axes, matrix in zip(display.axes_[:, 0], matrices.values(), strict=True):
        assert len(arrows(axes)) == np.sum(matrix[off_diagonal] >= 0.9)


def test_loops_are_as_large_as_self_attention(info):
    matrix = np.full((N, N), 0.1)
    matrix[3, 3], matrix[5, 5] = 1.0, 0.5
    display = ConnectionDisplay({"all": matrix}, info, baseline=None)
    rings = [p for p in display.plot(views="top").ax_.patches if hasattr(p, "get_radius")]
    radii = sorted(ring.get_radius() for ring in rings)
    assert radii[-1] == pytest.approx(2 * radii[-2])
    without = display.plot(views="top", loops=False).ax_.patches
    assert not [patch for patch in without if hasattr(patch, "get_radius")]


def test_given_axes(info, matrices):
    figure, axes = plt.subplots(1, 2)
    display = ConnectionDisplay(matrices, info).plot(ax=axes, views="top")
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="2 heads, but 1 axes"):
        display.plot(ax=axes[0], views="top")


def test_names_are_no_formulas(info):
    odd = info.copy()
    mne.rename_channels(odd, {"C3": "$C$", "C4": "$_"})
    display = ConnectionDisplay({"$a_$": np.eye(N), "$": np.eye(N)}, odd).plot()
    display.figure_.canvas.draw()
    assert display.ax_.get_title().startswith("$a_$")


def test_the_head_is_found():
    """An ellipsoid whose points are known comes back; few points give a sphere."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:, 2] = abs(directions[:, 2])
    centre, axes = np.array([0.001, 0.01, 0.03]), np.array([0.08, 0.1, 0.09])
    found = fit_head(centre + axes * directions)
    np.testing.assert_allclose(found[0], centre, atol=1e-6)
    np.testing.assert_allclose(found[1], axes, atol=1e-6)
    few = fit_head(0.09 * directions[:4] + [0, 0, 0.04])
    np.testing.assert_allclose(few[1], 0.09)


# From explanations


def test_from_explanation_averages_per_class(info):
    explanation = explain(info)
    display = ConnectionDisplay.from_explanation(explanation, baseline=None, top=5)
    for label in ("left", "right"):
        mean = 100 * explanation.connections[explanation.y == label].mean(axis=0)
        np.testing.assert_allclose(display.matrices[""][label], mean)
    assert display.unit == "share of attention (%)"
    predicted = ConnectionDisplay.from_explanation(explain(info, y=None), baseline=None)
    assert list(predicted.matrices[""]) == ["left (predicted)"]


def test_from_explanations_of_bands(info):
    bands = {"alpha": explain(info), "beta": explain(info)}
    display = ConnectionDisplay.from_explanation(bands, views="top")
    assert list(display.strengths) == ["alpha", "beta"]
    assert display.axes_.shape == (4, 1)


@pytest.mark.parametrize("network", ["EEGTransformer", "OriginalTransformer"])
def test_from_estimator(simulated, network):
    from skeegformer import (
        AttentionExplainer,
        EEGTransformerClassifier,
        OriginalTransformerClassifier,
    )

    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=1, random_state=0)
    if network == "OriginalTransformer":
        classifier = OriginalTransformerClassifier(
            embed_dim=8, n_time_tokens=2, max_epochs=1, early_stopping=False, random_state=0
        )
    X, y, _, _ = simulated
    X, y = X[:20], y[:20]
    classifier.fit(X, y)
    display = ConnectionDisplay.from_estimator(classifier, X, y, views="top", names=False)
    explanation = AttentionExplainer(connections=True).explain(classifier, X, y)
    expected = 100 * explanation.connections[y == "left"].mean(axis=0)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(display.matrices[""]["left"], expected)


# Refusals


def test_no_connections(info):
    with pytest.raises(ValueError, match="pass connections=True to AttentionExplainer"):
        ConnectionDisplay.from_explanation(explain(info, connections=None))


def test_no_positions(matrices):
    bare = mne.create_info(NAMES, 160.0, "eeg")
    with pytest.raises(ValueError, match="need electrode positions"):
        ConnectionDisplay(matrices, bare)
    with pytest.raises(ValueError, match="need electrode positions"):
        ConnectionDisplay.from_explanation(explain(None))


def test_bad_input(info, matrices):
    with pytest.raises(ValueError, match=r"shape \(3, 3\), but info has 12 channels"):
        ConnectionDisplay({"a": np.eye(3)}, info)
    with pytest.raises(ValueError, match="NaN or infinity"):
        ConnectionDisplay({"a": np.full((N, N), np.nan)}, info)
    with pytest.raises(ValueError, match="matrices is empty"):
        ConnectionDisplay({}, info)
    with pytest.raises(ValueError, match="there is only 'rest'"):
        ConnectionDisplay({"rest": matrices["rest"]}, info, baseline="condition")
    with pytest.raises(ValueError, match="needs at least 3 channels, not 2"):
        ConnectionDisplay({"a": np.eye(2)}, mne.pick_info(info, [0, 1]))
    with pytest.raises(ValueError, match="baseline='mean' is not one of"):
        ConnectionDisplay(matrices, info, baseline="mean")
    with pytest.raises(ValueError, match="'beta' has other conditions, rest"):
        ConnectionDisplay({"alpha": matrices, "beta": {"rest": matrices["rest"]}}, info)
    display = ConnectionDisplay(matrices, info)
    with pytest.raises(ValueError, match="views='below' is not one of"):
        display.plot(views="below")
    with pytest.raises(ValueError, match="top=0"):
        display.plot(top=0)
    with pytest.raises(ValueError, match="threshold=-1"):
        display.plot(threshold=-1)


# The page


class Resources(HTMLParser):
    """Collect what a browser would load, the elements, and the data."""

    def __init__(self, page):
        super().__init__()
        self.loaded, self.tags, self.data = [], [], None
        self._in_data = False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.loaded += [attributes[name] for name in ("src", "href", "data") if name in attributes]
        self._in_data = attributes.get("id") == "data"

    def handle_data(self, text):
        if self._in_data:
            self.data = json.loads(text)

    def handle_endtag(self, tag):
        self._in_data = False


def page_of(display, **kwargs):
    pytest.importorskip("plotly")
    return display.to_html(**kwargs)


def test_the_page_holds_the_matrices_and_loads_nothing(info, matrices):
    bands = {"alpha": matrices, "beta": {name: one.T for name, one in matrices.items()}}
    display = ConnectionDisplay(bands, info)
    page = page_of(display)
    resources = Resources(page)
    assert resources.loaded == []
    assert resources.tags.count("script") == 3  # the data, plotly, and the controls
    assert "default-src 'none'" in page
    data = resources.data
    assert data["names"] == NAMES
    assert (data["bands"], data["conditions"]) == (["alpha", "beta"], ["rest", "task"])
    for b, band in enumerate(bands):
        for c, condition in enumerate(matrices):
            np.testing.assert_allclose(data["values"][b][c], bands[band][condition], rtol=1e-5)
            np.testing.assert_allclose(
                data["strengths"][b][c], display.strengths[band][condition], rtol=1e-5
            )
    np.testing.assert_allclose(data["positions"], display.positions, rtol=1e-5)
    assert display.caption in html.unescape(page)


# Software rendering, and nothing that asks the network.
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--virtual-time-budget=8000",
]
EVIL = "</script><script>document.title='hacked'</script>"


@pytest.fixture
def evil(info, matrices):
    odd = info.copy()
    mne.rename_channels(odd, {"C3": "<script>x", "C4": "<b>bold</b>&amp;"})
    return ConnectionDisplay({EVIL: matrices["rest"], "<i>": matrices["task"]}, odd)


def test_names_cannot_become_markup(evil):
    page = page_of(evil, title="@DATA@ <img src=x>")
    resources = Resources(page)
    assert resources.tags.count("script") == 3
    assert not {"img", "b", "i"} & set(resources.tags)
    assert resources.data["conditions"] == [EVIL, "<i>"]
    assert resources.data["names"][NAMES.index("C4")] == "<b>bold</b>&amp;"
    assert "<title>@DATA@ &lt;img src=x&gt;</title>" in page


def test_writing(info, matrices, tmp_path):
    display = ConnectionDisplay(matrices, info)
    path = tmp_path / "page.html"
    page = page_of(display, path=path)
    assert path.read_text(encoding="utf-8") == page
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        display.to_html(path)
    assert path.read_text() == "mine"
    display.to_html(path, overwrite=True)
    assert path.read_text(encoding="utf-8") == page
    with pytest.raises(ValueError, match=r"does not end in \.html"):
        display.to_html(tmp_path / "page.png")
    with pytest.raises(FileNotFoundError, match="no folder"):
        display.to_html(tmp_path / "nowhere" / "page.html")


_ACTIONS = """
<script>
window.addEventListener("load", () => {
  const seen = [];
  const set = (name, value) => {
    control(name).value = value;
    control(name).dispatchEvent(new Event("input", {bubbles: true}));
    seen.push([selected().arrows.length, threshold(), control("count").textContent]);
  };
  set("threshold", 80);
  set("condition", 1);
  set("band", 1);
  control("loops").click();
  seen.push([selected().loops.length, threshold(), control("count").textContent]);
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
});
</script></body>"""


def test_the_controls_in_a_browser(info, matrices, tmp_path):
    """Condition and band change while the threshold stays, and names do not execute."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium")
    odd = info.copy()
    mne.rename_channels(odd, {"C3": "<img src=x onerror=document.title='hacked'>"})
    bands = {
        "alpha": {EVIL: matrices["rest"], "task": matrices["task"]},
        "beta": {EVIL: matrices["task"].T, "task": matrices["rest"].T},
    }
    display = ConnectionDisplay(bands, odd, baseline=None)
    page = page_of(display, title="Mine")
    # Only for this test: the page itself lets nothing be added.
    head, end = page.rsplit("</body>", 1)
    path = tmp_path / "page.html"
    path.write_text(head + _ACTIONS + end, encoding="utf-8")
    done = subprocess.run(
        [
            chromium,
            *_FLAGS,
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    dom = done.stdout
    assert "<title>Mine</title>" in dom
    seen = json.loads(html.unescape(re.search(r'<pre id="result">(.*?)</pre>', dom)[1]))
    limit = 0.8**2 * display.limit
    off_diagonal = ~np.eye(N, dtype=bool)
    shown = [("alpha", EVIL), ("alpha", "task"), ("beta", "task")]
    for (count, threshold, text), (band, condition) in zip(seen, shown, strict=False):
        assert threshold == pytest.approx(limit, rel=1e-4)
        assert count == np.sum(abs(bands[band][condition][off_diagonal]) >= threshold)
        assert text.startswith(f"{count} connections")
    assert "self-attention" in seen[2][2]
    assert seen[3][0] == 0
    assert "self-attention" not in seen[3][2]
