"""The report: what is on the page, safely, and how it is written."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from skeegformer.explain import Explanation
from skeegformer.explain.faithfulness import Faithfulness

NAMES = ["Fp1", "Fp2", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2"]
N = len(NAMES)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def explanation():
    rng = np.random.default_rng(0)
    y = np.repeat(["left", "right"], 10)
    right = rng.uniform(0.2, 0.9, 20)
    return Explanation(
        token_values=rng.random((20, N, 2)) / N,
        probabilities=np.column_stack([1 - right, right]),
        classes=np.array(["left", "right"]),
        y=y,
        ch_names=NAMES,
        info=mne.create_info(NAMES, 160.0, "eeg").set_montage("biosemi64"),
        method="rollout",
        parts=("0.0-1.0 s", "1.0-2.0 s"),
        subjects=np.tile([1, 2], 10),
        settings={"method": "rollout", "random_state": 7},
    )


@pytest.fixture
def faithfulness():
    fraction = np.linspace(0, 1, 6)
    curves = [
        pd.DataFrame({"curve": curve, "order": order, "mean": 1 - fraction})
        for curve in ("deletion", "insertion")
        for order in ("explanation", "random", "oracle")
    ]
    curves = pd.concat(curves, ignore_index=True)
    curves["fraction"] = 1 - curves["mean"]
    curves["n_channels"] = np.round(N * curves["fraction"]).astype(int)
    curves["low"], curves["high"] = curves["mean"] - 0.1, curves["mean"] + 0.1
    return Faithfulness(curves, {"deletion_area": 0.123}, "Faithful. <i>Really</i>.", True)


def contents(report):
    return {element.name: element.html for element in report._content}


def table(page):
    """Return the cells of a table, row by row."""
    rows = re.findall(r"<tr.*?>(.*?)</tr>", page, re.DOTALL)
    return [cells for row in rows if (cells := re.findall(r"<td>(.*?)</td>", row))]


def sections(report):
    return list(dict.fromkeys(element.section for element in report._content))


class Loaded(HTMLParser):
    """Collect the addresses that a browser would load, and the elements."""

    def __init__(self, page):
        super().__init__()
        self.addresses, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        names = ("src", "srcset", "data", "poster") + (("href",) if tag == "link" else ())
        self.addresses += [attributes[name] for name in names if attributes.get(name)]
        if "srcdoc" in attributes:
            self.addresses += Loaded(attributes["srcdoc"]).addresses


def test_sections(explanation, faithfulness):
    plt.close("all")  # of other tests
    assert sections(explanation.to_report()) == [
        "Summary",
        "Scores",
        "Topomaps",
        "Settings",
    ]
    rng = np.random.default_rng(0)
    connected = replace(explanation, connections=rng.random((20, N, N)))
    report = connected.to_report(faithfulness=faithfulness)
    assert sections(report)[3:5] == ["Connections", "Faithfulness"]
    found = contents(report)
    assert "Abnar and Zuidema (2020), arXiv:2005.00928" in found["What was explained"]
    assert "loud channels draw attention whether or not they matter" in found["What was explained"]
    assert "Values by time" in found
    assert "Faithful. &lt;i&gt;Really&lt;/i&gt;." in found["Is the explanation true of the model?"]
    assert "0.123" in found["Figures"]
    assert ">7<" in found["Explainer"]
    assert f">{mne.__version__}<" in found["Versions"]
    assert plt.get_fignums() == []


def test_scores(explanation):
    page = contents(explanation.to_report())["Scores on the explained epochs"]
    rows = [tuple(row) for row in table(page)]
    assert [row[:2] for row in rows] == [("all", "20"), ("1", "10"), ("2", "10")]
    for (_, _, accuracy, balanced), one in zip(
        rows,
        [explanation, *(explanation.select(subject=subject) for subject in (1, 2))],
        strict=True,
    ):
        assert accuracy == f"{accuracy_score(one.y, one.predictions):.3f}"
        assert balanced == f"{balanced_accuracy_score(one.y, one.predictions):.3f}"


def test_scores_without_labels_and_handed_in(explanation):
    scores = pd.DataFrame({"fold": [1, 2], "<b>score</b>": [0.5, 0.75]})
    unknown = replace(explanation, y=None, subjects=None)
    found = contents(unknown.to_report(scores=scores))
    assert "pass y to explain" in found["Scores on the explained epochs"]
    assert "Confusion matrix" not in found
    assert "&lt;b&gt;score&lt;/b&gt;" in found["Scores handed in"]
    assert "0.750" in found["Scores handed in"]
    assert "by predicted label" in found["What was explained"]
    with pytest.raises(TypeError, match="scores is a list"):
        explanation.to_report(scores=[0.5])


def test_most_important_channels_come_first(explanation):
    page = contents(explanation.to_report())["Most important channels"]
    named = [row[0] for row in table(page)]
    order = np.argsort(explanation.feature_importances_)[::-1]
    assert named == [NAMES[k] for k in order]


def test_without_positions(explanation):
    found = contents(replace(explanation, info=None, ch_names=None).to_report())
    assert "There is no map" in found["Values by class"]
    assert "channel 3" in found["Most important channels"]


def test_the_file_is_safe_and_loads_nothing(explanation, tmp_path):
    pytest.importorskip("plotly")
    evil = "<script>alert(1)</script>"
    info = explanation.info.copy()
    mne.rename_channels(info, {"Cz": "<img src=x>"})
    labels = np.array([evil, "$a_$"])
    rng = np.random.default_rng(0)
    odd = replace(
        explanation,
        classes=labels,
        y=np.repeat(labels, 10),
        ch_names=list(info.ch_names),
        info=info,
        connections=rng.random((20, N, N)),
        settings={"<script>": evil},
    )
    path = tmp_path / "report.html"
    report = odd.to_report(path, title=f"Mine {evil}")
    page = path.read_text(encoding="utf-8")
    assert report.fname == str(path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert evil not in page
    loaded = Loaded(page)
    outside = [one for one in loaded.addresses if not one.startswith("data:")]
    assert outside == []
    assert loaded.tags.count("iframe") == 1
    assert 'sandbox="allow-scripts' in page


def test_an_existing_file_is_kept(explanation, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        explanation.to_report(path)
    assert path.read_text() == "mine"
    replace(explanation, y=None).to_report(path, overwrite=True)
    assert "Explanation by attention rollout" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"does not end in \.html"):
        explanation.to_report(tmp_path / "report.pdf")


def test_the_classifier_and_its_settings(simulated):
    from skeegformer import AttentionExplainer, EEGTransformerClassifier

    X, y, _, _ = simulated
    X, y = X[:20], y[:20]
    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=1, random_state=3).fit(X, y)
    explanation = AttentionExplainer().explain(classifier, X, y)
    page = contents(explanation.to_report())["Classifier"]
    found = dict(table(page))
    assert (found["n_heads"], found["random_state"]) == ("4", "3")
