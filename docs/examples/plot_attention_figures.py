"""
Attention figures for open and closed eyes
==========================================

This example reproduces the kinds of figures published with eeg-transformer [1]_, from models that
are trained on this page: a confusion matrix, scores, maps of attention by class and frequency band,
and connections between channels. The last section shows maps over time for the original network.

All explained epochs are from subjects that the model was not trained on: models are trained on one
half of the subjects and explain the other half, and vice versa.
"""

# %%
# Data, model and explanation
# ---------------------------
# Eight subjects at rest, for one minute with open and one minute with closed eyes, in epochs of two
# seconds.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from skeegformer import (
    AttentionExplainer,
    OriginalTransformerClassifier,
    concatenate_explanations,
    cross_subject_scores,
    load_eegmmi,
    make_eeg_pipeline,
    make_simulated_eeg,
)

recorded = Path(os.environ.get("MNE_DATA", "."), "MNE-eegbci-data").is_dir()
if recorded:
    X, y, metadata = load_eegmmi("baseline-eyes", subjects=range(1, 9))
else:
    # An alpha rhythm at the back of the head, which open eyes lack.
    X, y, metadata, truth = make_simulated_eeg(
        n_epochs=60,
        sources={"eyes-closed": ["O1", "O2"], "eyes-open": []},
        snr=20.0,
        random_state=0,
    )
subjects = metadata["subject"].to_numpy()
kind = "Recorded" if recorded else "SIMULATED"
print(f"{kind}: {len(y)} epochs of {len(set(subjects))} subjects")

# %%
# One model uses only the alpha band, 8 to 13 Hz, with log powers centred on the mean of each
# subject (``adapt=True``); another one uses everything up to 30 Hz, for maps by frequency band.
# ``connections=True`` also keeps how much the class token takes from two channels through the same
# sources. To compare classes, both must be explained for the same target: here, closed eyes. The
# explanations of the two halves are joined into one of all subjects.

options = {"max_epochs": 20, "random_state": 0}
alpha = make_eeg_pipeline(l_freq=8.0, h_freq=13.0, adapt=True, **options)
whole = make_eeg_pipeline(**options)
rollout = AttentionExplainer("rollout", connections=True)
bands_needed = AttentionExplainer(
    "occlusion", target="eyes-closed", parts="band", n_repeats=1, random_state=0
)

halves, halves_by_band = [], []
for train, test in GroupKFold(2).split(y, y, subjects):
    alpha.fit(X[train], y[train])
    halves.append(rollout.explain(alpha, X[test], y[test]))
    whole.fit(X[train], y[train])
    few = test[::3]  # occlusion is slower, and every third epoch is enough for a mean
    halves_by_band.append(bands_needed.explain(whole, X[few], y[few]))
everything = concatenate_explanations(halves)
by_band = concatenate_explanations(halves_by_band)

# %%
# How well does the model classify?
# ---------------------------------
# A map is meaningful only if the model can distinguish the classes. Each row of the confusion
# matrix shows how the epochs of one class were classified.

score = balanced_accuracy_score(everything.y, everything.predictions)
print(f"Balanced accuracy on unseen subjects: {score:.2f} (chance 0.50)")
figure, ax = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
confusion = ConfusionMatrixDisplay.from_predictions(
    everything.y, everything.predictions, normalize="true", values_format=".0%", cmap="Blues", ax=ax
)
confusion.im_.set_clim(0, 1)

# %%
# Scores by frequency band
# ------------------------
# Like the original, this section trains one model per band, with fewer training epochs. Dots are
# subjects, bars their mean, and error bars the standard deviation.

bands = {
    "delta": (None, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "all": (None, 30.0),
}
models = {
    name: make_eeg_pipeline(l_freq=low, h_freq=high, max_epochs=12, random_state=0)
    for name, (low, high) in bands.items()
}
scores = cross_subject_scores(models, X, y, subjects, cv=2)
table = scores.pivot(index="pipeline", columns="subject", values="balanced_accuracy").loc[[*models]]
table.round(2)

# %%

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
places = np.arange(len(table))
ax.bar(places, table.mean(axis=1), yerr=table.std(axis=1), capsize=4, color="#56B4E9")
ax.plot(places, table, ".", color="black", alpha=0.5)
ax.axhline(0.5, color="0.4", linestyle="--", linewidth=1, label="chance")
ax.set_xticks(places, table.index)
ax.set(ylim=(0, 1.05), ylabel="balanced accuracy\non unseen subjects")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1))

# %%
# Where the model looks
# ---------------------
# Like the original, we keep epochs that were classified correctly and with high confidence. The
# second figure shows the difference between the classes, with a colour scale symmetric about zero.

explanation = everything.select(correct=True, min_confidence=0.75)
print(f"{len(explanation)} of {len(everything)} epochs: correct, confidence at least 0.75")
explanation.plot_topomap(by="class", names=3)
explanation.plot_topomap(difference=("eyes-open", "eyes-closed"), names=3)

# %%
# Attention shows where the model looks, independent of the class: rollout differs between epochs,
# because different sources contribute, but each epoch has one map for all classes.
# :ref:`sphx_glr_gallery_plot_methods.py` shows methods that explain a class, and how to test them.
#
# Maps by frequency band
# ----------------------
# Maps by band do not need a model for each band: occlusion replaces one band of a channel by that
# of another epoch. Values are log odds of closed eyes: evidence for closed eyes is positive, and
# evidence against them negative. A model of all bands also uses electrodes near the eyes (delta)
# and over muscles (beta), whose signals differ between open and closed eyes.

chosen = by_band.select(correct=True, min_confidence=0.75)
chosen.plot_topomap(by="class and part")
chosen.plot_topomap(by="class and part", difference=("eyes-open", "eyes-closed"))

# %%
# :ref:`sphx_glr_gallery_plot_bands.py` shows more on frequency bands.
#
# Channels that contribute to the same sources
# --------------------------------------------
# A head extracts a source from several channels, as a sum or difference. Lines show how much the
# class token takes from two channels through the same sources, beyond what it takes from each of
# them together with other channels. ``explanation.connections`` contains all values.

explanation.plot_connections(top=20)

# %%
# The original network
# --------------------
# :class:`~skeegformer.OriginalTransformerClassifier` has several blocks of self-attention. Its
# tokens are segments of channels, here two per channel, so that maps are resolved in time.
# Connections show what each channel has taken from every other before the class token attends to
# it. With everything below 30 Hz as input, it attends most to frontal channels, where blinks and
# eye movements are recorded.

original = make_eeg_pipeline(
    OriginalTransformerClassifier(
        n_time_tokens=2,
        embed_dim=32,
        n_heads=4,
        max_epochs=20,
        warmup_steps=50,
        early_stopping=False,
        random_state=0,
    ),
    resample=80.0,
)
train, test = next(GroupKFold(2).split(y, y, subjects))
original.fit(X[train], y[train])
by_time = rollout.explain(original, X[test], y[test])
score = balanced_accuracy_score(by_time.y, by_time.predictions)
print(f"Balanced accuracy on unseen subjects: {score:.2f} (chance 0.50)")
by_time.plot_topomap(by="class and part")

# %%
# The figure shows the twenty strongest connections of each class, relative to the mean over all
# channels that attend to the same channel.

display = by_time.plot_connections(top=20)

# %%
# The same connections in 3-D, on heads that can be rotated. The HTML page needs no internet
# connection, so it can be sent by e-mail.

page = display.to_html("connections.html", title="Attention between channels", overwrite=True)

# %%
# .. raw:: html
#
#    <iframe src="connections.html" title="Connections between channels"
#            style="width: 100%; height: 820px; border: 0"></iframe>

# %%
# References
# ----------
# .. [1] Thoelke et al. (2022), Conference on Cognitive Computational Neuroscience.
#    doi:10.32470/CCN.2022.1240-0

# sphinx_gallery_thumbnail_number = 3
