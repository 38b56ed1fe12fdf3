"""
Figures of attention, with closed and with open eyes
====================================================

The figures that the original eeg-transformer [1]_ was read by, drawn from models that are
trained on this page: confusions, scores, maps of attention by class, time and frequency band,
and attention between channels.

What is explained are epochs of people whom the model has not seen: it learns from one half of
them and is asked about the other half, and the other way round.
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
    ConnectionDisplay,
    TopomapDisplay,
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
# Each channel is cut into two temporal tokens. ``connections=True`` keeps what each channel has
# taken from each other one when the class token reads it, which takes two blocks: what channels
# do in the last one nobody reads. Explanations of the two halves are joined to one of all people.

pipeline = make_eeg_pipeline(n_time_tokens=2, n_layers=2, max_epochs=20, random_state=0)
rollout = AttentionExplainer("rollout", connections=True)
gradients = AttentionExplainer("integrated-gradients", parts="band")

halves, halves_by_band = [], []
for train, test in GroupKFold(2).split(y, y, subjects):
    pipeline.fit(X[train], y[train])
    halves.append(rollout.explain(pipeline, X[test], y[test]))
    few = test[::3]  # gradients are slower, and fewer epochs tell as much
    halves_by_band.append(gradients.explain(pipeline, X[few], y[few]))
everything = concatenate_explanations(halves)
by_band = concatenate_explanations(halves_by_band)

# %%
# Is the model any good?
# ----------------------
# A map of a model that cannot tell the classes apart is a map of nothing. Of the epochs that were
# given one label, the table says how many have it.

score = balanced_accuracy_score(everything.y, everything.predictions)
print(f"Balanced accuracy on unseen subjects: {score:.2f} (chance 0.50)")
figure, ax = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
confusion = ConfusionMatrixDisplay.from_predictions(
    everything.y, everything.predictions, normalize="pred", values_format=".0%", cmap="Blues", ax=ax
)
confusion.im_.set_clim(0, 1)

# %%
# Scores by frequency band
# ------------------------
# The original trained one model per band. So do we, with its way to make tokens of raw samples
# (``tokenizer="linear"``) and to decide by the class token alone (``votes=False``). The last bar is
# the classifier as it comes, with tokens of covariance. Dots are people, bars their mean with the
# standard deviation.

bands = {
    "delta": (None, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "all": (None, 30.0),
}
models = {
    name: make_eeg_pipeline(
        l_freq=low,
        h_freq=high,
        tokenizer="linear",
        votes=False,
        drop_prob=0.2,
        max_epochs=12,
        random_state=0,
    )
    for name, (low, high) in bands.items()
}
models["all, covariance"] = make_eeg_pipeline(max_epochs=20, random_state=0)
scores = cross_subject_scores(models, X, y, subjects, cv=2)
table = scores.pivot(index="pipeline", columns="subject", values="balanced_accuracy").loc[[*models]]
table.round(2)

# %%

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
places = np.arange(len(table))
ax.bar(places, table.mean(axis=1), yerr=table.std(axis=1), capsize=4, color="#56B4E9")
ax.plot(places, table, ".", color="black", alpha=0.5)
ax.axhline(0.5, color="0.4", linestyle="--", linewidth=1, label="chance")
ax.set_xticks(places, [name.replace(", ", "\n") for name in table.index])
ax.set(ylim=(0, 1.05), ylabel="balanced accuracy\non unseen subjects")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right")

# %%
# Where the model looks
# ---------------------
# Like the original we go on with epochs that were recognised, and with confidence. Attention
# towards the class token, by class and temporal token:

explanation = everything.select(correct=True, min_confidence=0.75)
print(f"{len(explanation)} of {len(everything)} epochs are correct with confidence of 0.75")
explanation.plot_topomap(by="class and part")

# %%
# Temporal tokens together, and the difference between the classes. It is taken before anything is
# scaled, and its colours are symmetric about zero. Resting EEG has no time course, so the tokens
# need not differ.

explanation.plot_topomap(by="class", difference=("eyes-open", "eyes-closed"), names=3)

# %%
# Attention says where the model looks, and hardly differs between the classes: rollout knows no
# class. :ref:`sphx_glr_gallery_plot_methods.py` shows what does, and how far to trust each of
# them.
#
# The same by frequency band
# --------------------------
# For maps there is no need of a model for each band: integrated gradients say what each band of
# each channel contributes to the decision of one model. Values are in log odds of the predicted
# class; "other" are frequencies outside the bands, "waveform" is the signal's outline.

chosen = by_band.select(correct=True, min_confidence=0.75)
chosen.plot_topomap(by="class and part", difference=("eyes-open", "eyes-closed"))

# %%
# :ref:`sphx_glr_gallery_plot_bands.py` goes further into bands.
#
# Attention between channels
# --------------------------
# How much a channel is attended to by the others, on average:

n_chans = len(explanation.ch_names)
others = ~np.eye(n_chans, dtype=bool)


def attended(connections):
    """Average over queries, in percent, without what a channel takes from itself."""
    return 100 * connections.mean(axis=0, where=others)


matrices = {
    label: explanation.connections[explanation.y == label].mean(axis=0)
    for label in ("eyes-open", "eyes-closed")
}
difference = matrices["eyes-open"] - matrices["eyes-closed"]
TopomapDisplay(
    {label: attended(matrix) for label, matrix in matrices.items()},
    explanation.info,
    unit="attention by other channels (%)",
    differences={"eyes-open − eyes-closed": attended(difference)},
).plot()

# %%
# From which channel to which? Drawn are the twenty strongest connections of each class, beyond
# what all channels take from the same one.

explanation.plot_connections(top=20, loops=False)

# %%
# And the difference between the classes, red where it is larger with open eyes:

connections = ConnectionDisplay(
    {"open − closed": 100 * difference},
    explanation.info,
    baseline=None,
    unit="difference (% points)",
)
connections.plot(top=20, loops=False)

# %%
# The same on a head to turn around. The page works without a network, and can be sent to a
# colleague as it is.

display = ConnectionDisplay(
    {label: 100 * matrix for label, matrix in matrices.items()}, explanation.info
)
display.to_html("connections.html", title="Attention between channels", overwrite=True)

# %%
# .. raw:: html
#
#    <iframe src="connections.html" title="Connections between channels"
#            style="width: 100%; height: 820px; border: 0"></iframe>
#
# All connections, ordered by region. Rows are the channels that attend, columns those that they
# attend to; columns that stand out are channels that all others look at.

explanation.plot_matrix(by="class", difference=("eyes-open", "eyes-closed"))

# %%
# References
# ----------
# .. [1] Thoelke et al. (2022), Conference on Cognitive Computational Neuroscience.
#    doi:10.32470/CCN.2022.1240-0

# sphinx_gallery_thumbnail_number = 4
