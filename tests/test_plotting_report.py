"""The report: what is on the page, safely, and how it is written."""

import base64
import io
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from explanation_factory import Page, make_curves, make_explanation
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from skeegformer import AttentionExplainer, EEGTransformerClassifier
from skeegformer.explain import Faithfulness


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
