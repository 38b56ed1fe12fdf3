"""
Figures of attention, with closed and with open eyes
====================================================

The kinds of figures that eeg-transformer [1]_ was published with, drawn from models that are
trained on this page: confusion matrices, scores, maps of attention by class and frequency band,
and connections between channels; finally the same over time for the original's network.

All explained epochs are of people whom the model has not seen: it learns from one half of them and
explains the other half, and vice versa.
"""

# %%
# Data, model and explanation
# ---------------------------
# Eight people rest, one minute with open and one with closed eyes, in epochs of two seconds.

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
print(f"{kind}: {len(y)} epochs of {len(set(subjects))} people")

# %%
# One model sees the alpha rhythm alone, 8 to 13 Hz, in units of each person's own mean
# (``adapt=True``); another one everything up to 30 Hz, for maps by frequency band.
# ``connections=True`` also keeps how much the class token takes of two channels from the same
# sources. Differences between classes need one target for both: here the evidence for closed eyes.
# The explanations of the two halves are joined into one of all people.

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
# Is the model any good?
# ----------------------
# A map of a model that cannot tell the classes apart is a map of nothing. Each row of the matrix
# shows how the epochs of one class were labelled.

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
# The original trained one model per band, and so does this section, for fewer epochs. Dots are
# people, bars their mean and standard deviation.

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
# Like the original, we keep epochs that were classified correctly and with confidence. The
# difference between the classes is computed before anything is scaled, and its colours are
# symmetric about zero.

explanation = everything.select(correct=True, min_confidence=0.75)
print(f"{len(explanation)} of {len(everything)} epochs are correct with confidence of 0.75")
explanation.plot_topomap(by="class", names=3)
explanation.plot_topomap(difference=("eyes-open", "eyes-closed"), names=3)

# %%
# Attention shows where the model looks, whatever the class: rollout differs between epochs,
# because their sources differ, but an epoch has one map for all classes.
# :ref:`sphx_glr_gallery_plot_methods.py` shows methods that explain a class, and how far to trust
# each.
#
# The same by frequency band
# --------------------------
# Maps do not need a model for each band: occlusion replaces one band of a channel by that of
# another epoch. Values are in log odds of closed eyes: what a channel's band says for them is
# positive, and what it says against them negative. A model of all bands also uses electrodes over
# the eyes (delta) and over muscles (beta), which behave differently with closed eyes.

chosen = by_band.select(correct=True, min_confidence=0.75)
chosen.plot_topomap(by="class and part")
chosen.plot_topomap(by="class and part", difference=("eyes-open", "eyes-closed"))

# %%
# :ref:`sphx_glr_gallery_plot_bands.py` goes further into bands.
#
# Channels from the same sources
# ------------------------------
# A head gathers a source from several channels, as their sum or their difference. Lines
# show how much the class token takes of two channels from the same sources, beyond what it takes of
# each of them with others. ``explanation.connections`` has all of these numbers.

explanation.plot_connections(top=20)

# %%
# The original's network
# ----------------------
# :class:`~skeegformer.OriginalTransformerClassifier` has self-attention in several blocks. Its
# tokens are segments of channels, here two of each, so that maps can be divided in time.
# Connections show what each channel has taken from every other when the class token reads it.
# Trained on everything below 30 Hz, it looks most at the forehead, where blinks and eye movements
# are.

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
# From which channel to which? The figure shows the twenty strongest connections of each class,
# beyond what all channels take from the same one.

display = by_time.plot_connections(top=20)

# %%
# The same on heads that can be rotated. The page works without an internet connection and can be
# sent to a colleague as it is.

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
