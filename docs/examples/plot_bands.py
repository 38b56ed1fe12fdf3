"""
Explaining one model by frequency band and channel
==================================================

On which rhythms at which electrodes does a decision depend? With ``parts="band"``, a single model
is explained by frequency band, without training one model per band. Each band of each channel is
replaced in turn by the same band of another epoch of the same subject.
"""

# %%
# Closed and open eyes
# --------------------
# Models are trained on one half of eight subjects and explain the other half, and vice versa. Each
# electrode is replaced together with its neighbours (``neighbors=True``), since they record similar
# signals; this slightly favours electrodes with many neighbours, such as those on the midline.

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    concatenate_explanations,
    load_eegmmi,
    make_eeg_pipeline,
    make_simulated_eeg,
)
from skeegformer.plotting import TopomapDisplay

recorded = Path(os.environ.get("MNE_DATA", "."), "MNE-eegbci-data").is_dir()
if recorded:
    X, y, metadata = load_eegmmi("baseline-eyes", subjects=range(1, 9))
else:
    # An alpha rhythm at the back of the head, which is absent with open eyes.
    X, y, metadata, truth = make_simulated_eeg(
        n_epochs=60,
        sources={"eyes-closed": ["O1", "O2"], "eyes-open": []},
        snr=20.0,
        random_state=0,
    )
subjects = metadata["subject"].to_numpy()

pipeline = make_eeg_pipeline(max_epochs=20, random_state=0)
explainer = AttentionExplainer(
    "occlusion", parts="band", target="true", neighbors=True, n_repeats=1, random_state=0
)
halves = []
for train, test in GroupKFold(2).split(y, y, subjects):
    pipeline.fit(X[train], y[train])
    few = test[::3]  # every third epoch is enough for a mean, and quicker
    halves.append(explainer.explain(pipeline, X[few], y[few]))
explanation = concatenate_explanations(halves)
score = balanced_accuracy_score(explanation.y, explanation.predictions)
kind = "Recorded" if recorded else "SIMULATED"
print(f"{kind}: {len(y)} epochs of {len(set(subjects))} subjects")
print(f"Balanced accuracy on unseen subjects: {score:.2f} (chance 0.50)")

# %%
# The maps show the decrease in log odds of the true class when a band is replaced. The model needs
# what is red; what is blue impairs its predictions.

explanation.plot_topomap(by="part")

# %%
# Maps by class. The alpha rhythm is expected at occipital electrodes, blinks and eye movements at
# frontal electrodes below 8 Hz, and muscle activity at frontal and temporal electrodes above 13 Hz.

explanation.plot_topomap(by="class and part")

# %%
# Maps of single subjects
# -----------------------
# Means hide differences between subjects. The alpha band of each subject, with its score:

alpha = explanation.subject_means(by="part")["alpha"]
titles = []
for subject in alpha.index:
    one = explanation.select(subject=subject)
    accuracy = balanced_accuracy_score(one.y, one.predictions)
    titles.append(f"subject {subject} ({accuracy:.0%})")
display = TopomapDisplay(alpha, explanation.info, titles, unit=explanation.unit, signed=True)
display.plot()

# %%
# How much each band matters, averaged over channels, with 95 % intervals over subjects:

over_head = pd.DataFrame(
    {band: table.mean(axis=1) for band, table in explanation.subject_means(by="part").items()}
)
spread = 1.96 * over_head.sem()
pd.DataFrame(
    {"mean": over_head.mean(), "low": over_head.mean() - spread, "high": over_head.mean() + spread}
).round(3)

# %%
# Validation on simulated data
# ----------------------------
# In this simulation, "left" has a rhythm of 6 Hz (theta) below C3, and "right" one of 20 Hz (beta)
# below C4. Does the method find both?

X, y, metadata, truth = make_simulated_eeg(case="bands", snr=10.0, random_state=0)
train = (metadata["subject"] <= 6).to_numpy()
classifier = EEGTransformerClassifier(max_epochs=30, random_state=0)
classifier.fit(X[train], y[train])
score = balanced_accuracy_score(y[~train], classifier.predict(X[~train]))
print(f"Simulated: balanced accuracy on unseen subjects {score:.2f}")
explanation = AttentionExplainer(
    "occlusion", parts="band", target="true", n_repeats=2, random_state=0
).explain(classifier, X[~train], y[~train])
explanation.plot_topomap(by="part", mask=truth.is_source, names=2)

# %%
# The truth: the difference between the classes in each band at each electrode.

TopomapDisplay(
    truth.band_relevance,
    X.info,
    list(truth.band_relevance.index),
    unit="difference of classes",
).plot(mask=truth.is_source, names=2)

# %%

found = explanation.token_values.mean(axis=0).T
rank = np.corrcoef(found.ravel(), truth.band_relevance.to_numpy().ravel())[0, 1]
print(f"Correlation over bands and electrodes: {rank:.2f}")

# sphinx_gallery_thumbnail_number = 4
