"""Draw the figure of the README from real recordings: ``python benchmarks/figures.py``.

Models are trained on some subjects of EEGMMI and explained on the others, in four folds; they adapt
to those (``adapt=True``) by their unlabelled epochs. Open or closed eyes in the alpha band, and
imagined movement of the left or right fist in the mu and beta bands.
"""

from pathlib import Path

import matplotlib
import numpy as np
from prepared import SUBJECTS
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    TopomapDisplay,
    concatenate_explanations,
    load_eegmmi,
)

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PANELS = {
    "baseline-eyes": ("Open or closed eyes\n8-13 Hz", (8.0, 13.0), {}),
    "fist-imagination": ("Left or right fist, imagined\n8-30 Hz", (8.0, 30.0), "auto"),
}


def explain(task, band, mirror):
    """Explain all subjects by models that were trained without them."""
    X, y, metadata = load_eegmmi(task, subjects=SUBJECTS)
    X = X.filter(*band, method="iir", verbose="ERROR").resample(80.0, verbose="ERROR")
    parts = []
    for train, test in GroupKFold(4).split(y, y, metadata["subject"]):
        classifier = EEGTransformerClassifier(mirror=mirror, adapt=True, random_state=0)
        classifier.fit(X[train], y[train])
        parts.append(AttentionExplainer("rollout").explain(classifier, X[test], y[test]))
        print(task, "fold", len(parts), "of 4", flush=True)
    return concatenate_explanations(parts)


def main():
    matplotlib.use("Agg")
    maps, titles = [], []
    for task, (title, band, mirror) in PANELS.items():
        explanation = explain(task, band, mirror)
        score = balanced_accuracy_score(explanation.y, explanation.predictions)
        n_subjects = len(np.unique(explanation.subjects))
        title = f"{title}, {len(explanation)} epochs\n{n_subjects} subjects, accuracy {score:.2f}"
        titles.append(title)
        maps.append(100 * explanation.values.mean(axis=0))
    display = TopomapDisplay(maps, explanation.info, titles).plot(names=6)
    IMAGES.mkdir(exist_ok=True)
    display.figure_.savefig(IMAGES / "attention_topomaps.png", dpi=120)


if __name__ == "__main__":
    main()
