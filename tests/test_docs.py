"""Code blocks of README and docs that are no doctests, because they need recordings, run too."""

import re
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
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
