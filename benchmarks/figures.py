"""Draw the figures of README and documentation: ``python benchmarks/figures.py``.

Models are trained on some subjects of EEGMMI and explained on the others; they adapt to those
(``adapt=True``) by their unlabelled epochs. Maps are of all subjects, in four folds: open or closed
eyes in the alpha band, and imagined movement of the left or right fist in the mu and beta bands,
from 0.5 s after the cue, when eyes have moved to it.
Patterns are of one model, for the fists, on the last four subjects. That of the quickstart is of
simulated people.
"""

import doctest
from pathlib import Path

import matplotlib
import numpy as np
from prepared import SUBJECTS, in_band
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    concatenate_explanations,
)
from skeegformer.plotting import TopomapDisplay

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PANELS = {
    "baseline-eyes": ("Open or closed eyes\n8-13 Hz", (8.0, 13.0), {}, 0.0),
    "fist-imagination": (
        "Left or right fist, imagined\n8-30 Hz, from 0.5 s",
        (8.0, 30.0),
        "auto",
        0.5,
    ),
}


def explain(task, band, mirror, start, splits):
    """Explain subjects by models that were trained without them: an explanation for each split."""
    X, y, subjects = in_band(task, band, start)
    for train, test in splits(y, y, subjects):
        classifier = EEGTransformerClassifier(mirror=mirror, adapt=True, random_state=0)
        classifier.fit(X[train], y[train])
        yield AttentionExplainer("rollout").explain(classifier, X[test], y[test])
        print(task, "explained", len(test), "epochs", flush=True)


def last_four(X, y, subjects):
    """Split off the last four subjects."""
    test = np.isin(subjects, SUBJECTS[-4:])
    yield np.flatnonzero(~test), np.flatnonzero(test)


def quickstart():
    """Draw what the quickstart draws."""
    page = (IMAGES.parent / "quickstart.rst").read_text()
    names = {}
    doctest.register_optionflag("NUMBER")  # of pytest
    for example in doctest.DocTestParser().get_examples(page):
        is_map = not any(
            word in example.source
            for word in ("scores", "pipelines", "make_baseline", "config_context")
        )
        if is_map and doctest.SKIP not in example.options:
            exec(compile(example.source, "quickstart.rst", "exec"), names)
    names["display"].figure_.savefig(IMAGES / "quickstart.png", dpi=80, bbox_inches="tight")


def main():
    matplotlib.use("Agg")
    quickstart()
    maps, titles = [], []
    for task, (title, *how) in PANELS.items():
        parts = list(explain(task, *how, GroupKFold(4).split))
        explanation = concatenate_explanations(parts)
        score = balanced_accuracy_score(explanation.y, explanation.predictions)
        n_subjects = len(np.unique(explanation.subjects))
        title = f"{title}, {len(explanation)} epochs\n{n_subjects} subjects, accuracy {score:.2f}"
        titles.append(title)
        maps.append(100 * explanation.values.mean(axis=0))
    display = TopomapDisplay(maps, explanation.info, titles).plot(names=6)
    IMAGES.mkdir(exist_ok=True)
    display.figure_.savefig(IMAGES / "attention_topomaps.png", dpi=120)
    (explanation,) = explain("fist-imagination", *PANELS["fist-imagination"][1:], last_four)
    axes = explanation.plot_patterns(n_sources=3)
    axes[0, 0].figure.savefig(IMAGES / "patterns.png", dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    main()
