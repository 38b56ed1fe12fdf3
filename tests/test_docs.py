"""Code blocks of README and docs that are no doctests, because they need recordings, run too."""

import re
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import sklearn

ROOT = Path(__file__).parent.parent


def _run(code, replacements, tmp_path, monkeypatch):
    """Run code as printed, but for fewer subjects and passes."""
    for printed, shorter in replacements.items():
        assert printed in code
        code = code.replace(printed, shorter)
    monkeypatch.chdir(tmp_path)
    names = {}
    with sklearn.config_context():
        exec(code, names)
    plt.close("all")
    return names


def test_the_example_of_the_readme(recorded_subjects, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = _run(
        code,
        {
            "range(1, 9)": "range(1, 5)",
            "<= 6": "<= 3",
            "random_state=0": "random_state=0, max_epochs=2",
        },
        tmp_path,
        monkeypatch,
    )
    assert names["explanation"].values.shape == (60, 61)
    assert names["explanation"].method == "rollout"


def test_the_moabb_example_of_the_guide(recorded_subjects, tmp_path, monkeypatch):
    guide = (ROOT / "docs" / "guide.rst").read_text()
    (code,) = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", guide)
    names = _run(
        textwrap.dedent(code),
        {"range(1, 9)": "[1, 2, 3]", "random_state=0": "random_state=0, max_epochs=2"},
        tmp_path,
        monkeypatch,
    )
    assert len(names["results"]) == 3
    assert (tmp_path / "results").exists()


def test_scores_to_expect_are_those_of_the_results():
    """Ours and the best of the others, and seconds, in the rows of "Recommended settings"."""
    page = (ROOT / "docs" / "own_data.rst").read_text()
    rows = page.split("Scores to expect")[1].split("   * - ")
    rows = [" ".join(row.replace("*", "").split()) for row in rows]
    results = ROOT / "benchmarks" / "results"
    scores = pd.read_csv(results / "cross_subject.csv")
    fists = {"fists of more people": "fists", "without eye movements": "fists_late"}
    for task, name in fists.items():
        more = pd.read_csv(results / f"{name}.csv").assign(task=task)
        scores = pd.concat([scores, more], ignore_index=True)
    keys = ["task", "information", "pipeline"]
    means = scores.groupby([*keys, "subject"])["balanced_accuracy"].mean().groupby(keys).mean()
    ours = scores[(scores["pipeline"] == "skeegformer") & (scores["information"] != "calibrated")]
    fits = ours.drop_duplicates([*keys, "seed", "fold"])
    seconds = fits.groupby("task")["fit_seconds"].median()
    for task, name in {
        "fist-imagination": "Left or right fist, imagined - ",
        "fists of more people": "Left or right fist, imagined, 39",
        "without eye movements": "The same 39",
        "fist_feet-imagination": "Fists or feet,",
        "four-class-imagination": "Left, right,",
        "baseline-eyes": "Eyes",
    }.items():
        (row,) = (row for row in rows if row.startswith(name))
        for information in ("strict", "transductive"):
            found = means[task, information]
            others = found.drop("skeegformer")
            best = f"{others.idxmax()} {others.max():.3f}, {found['skeegformer']:.3f}"
            assert best in row
            if task in fists:
                both = f"({others.max():.3f}, skeegformer {found['skeegformer']:.3f})"
                assert both in " ".join((ROOT / "README.md").read_text().split())
        # Fits of the one ran beside others.
        is_timed = task != "without eye movements"
        assert row.endswith(f"{seconds[task]:.0f} s" if is_timed else "not measured")
    lines = (results / "event_related.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    evoked = dict(zip(table[0], table[-1], strict=True))
    (row,) = (row for row in rows if row.startswith("Evoked"))
    best = "means in windows+LDA"
    assert float(evoked[best]) >= float(evoked["Xdawn+tangent space+LR"])
    assert f"{best} {evoked[best]}, {evoked['skeegformer']}" in row
