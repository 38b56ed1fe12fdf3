"""The report: what is on the page, safely, and how it is written."""

import re
from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from explanation_factory import Page, make_curves, make_explanation
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from skeegformer import AttentionExplainer, EEGTransformerClassifier
from skeegformer.explain import Faithfulness


@pytest.fixture
def explanation():
    settings = {"method": "rollout", "random_state": 7}
    one = make_explanation(parts=("0.0-1.0 s", "1.0-2.0 s"))
    return replace(one, connections=None, settings=settings)


def contents(report):
    return {element.name: element.html for element in report._content}


def table(page):
    """Return the cells of a table, row by row."""
    rows = re.findall(r"<tr.*?>(.*?)</tr>", page, re.DOTALL)
    return [cells for row in rows if (cells := re.findall(r"<td>(.*?)</td>", row))]


def sections(report):
    return list(dict.fromkeys(element.section for element in report._content))


def test_sections(explanation):
    assert sections(explanation.to_report()) == ["Summary", "Scores", "Topomaps", "Settings"]
    verdict = "Faithful. <i>Really</i>."
    faithfulness = Faithfulness(make_curves(), {"deletion_area": 0.123}, verdict, {})
    connected = replace(explanation, connections=make_explanation().connections)
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
    assert [row[:2] for row in rows] == [("all", "24"), *((k, "6") for k in "3589")]
    parts = [explanation, *(explanation.select(subject=subject) for subject in (3, 5, 8, 9))]
    for (_, _, accuracy, balanced), one in zip(rows, parts, strict=True):
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
    order = np.argsort(explanation.feature_importances_)[::-1]
    bare = replace(explanation, info=None, ch_names=None)
    for one in (explanation, bare):
        found = contents(one.to_report())
        named = [row[0] for row in table(found["Most important channels"])]
        assert named == [one.channel_names[k] for k in order[:10]]
    assert "There is no map" in found["Values by class"]


def test_the_file_is_safe_and_loads_nothing(explanation, tmp_path):
    pytest.importorskip("plotly")
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
    loaded = Page(page)
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
    X, y, _, _ = simulated
    X, y = X[:20], y[:20]
    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=1, random_state=3).fit(X, y)
    explanation = AttentionExplainer().explain(classifier, X, y)
    page = contents(explanation.to_report())["Classifier"]
    found = dict(table(page))
    assert (found["n_heads"], found["random_state"]) == ("4", "3")
