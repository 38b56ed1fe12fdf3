"""The model in tests/data, which all later versions have to read, and what it was made of.

Run as a program, it makes the files anew: for a new version of the format, under a new name. Of
format 1, whose network is no longer there, the model is kept as one that is refused.
"""

from pathlib import Path

import mne
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from skeegformer import (
    BandPassFilter,
    ChannelDropper,
    EEGTransformerClassifier,
    EuclideanAlignment,
    save_model,
)

FOLDER = Path(__file__).parent / "data"
NAME = "model-3"
CH_NAMES = ["F3", "F4", "C3", "C4", "P3", "P4", "Oz"]


def make_epochs():
    """Make epochs of two subjects with alpha on one side or the other."""
    random = np.random.RandomState(0)
    times = np.arange(160) / 80.0
    data = random.standard_normal((24, len(CH_NAMES), len(times)))
    y = np.array(["left", "right"] * 12)
    for epoch, label in zip(data, y, strict=True):
        side = slice(0, 6, 2) if label == "left" else slice(1, 6, 2)
        epoch[side] += 2 * np.sin(2 * np.pi * 10 * times + random.uniform(0, 2 * np.pi))
    info = mne.create_info(CH_NAMES, 80.0, "eeg").set_montage("standard_1005")
    metadata = pd.DataFrame({"subject": np.arange(24) // 2 % 2 + 1})
    return mne.EpochsArray(1e-5 * data, info, metadata=metadata, verbose="ERROR"), y


def make_model():
    """Make the Pipeline, unfitted."""
    params = {"mirror": {"left": "right"}, "adapt": True, "n_groups": 2, "n_heads": 3}
    params |= {"n_filters": 2, "class_weight": {"left": 1.0, "right": 2.0}, "max_epochs": 20}
    classifier = EEGTransformerClassifier(lr=0.02, random_state=0, **params)
    steps = ChannelDropper(["Oz"]), BandPassFilter(4.0, 30.0), EuclideanAlignment()
    return make_pipeline(*steps, classifier)


if __name__ == "__main__":
    X, y = make_epochs()
    model = make_model().fit(X, y)
    save_model(model, FOLDER / f"{NAME}.safetensors")
    np.save(FOLDER / f"{NAME}-probabilities.npy", model.predict_proba(X))
