"""Draw the figure of the README from real recordings: ``python benchmarks/figures.py``."""

from pathlib import Path

import matplotlib

from skeegformer import AttentionExplainer, load_eegmmi, make_eeg_pipeline

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def main():
    matplotlib.use("Agg")
    X, y, _ = load_eegmmi("baseline-eyes", subjects=range(1, 9))
    pipeline = make_eeg_pipeline(random_state=0).fit(X, y)
    explanation = AttentionExplainer(method="rollout").explain(pipeline, X, y)
    display = explanation.plot_topomap(by="class")
    IMAGES.mkdir(exist_ok=True)
    display.figure_.savefig(IMAGES / "eyes_topomap.png", dpi=120)
    print(explanation)


if __name__ == "__main__":
    main()
