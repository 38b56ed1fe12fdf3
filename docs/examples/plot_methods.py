"""
Six ways to explain, and a truth to compare them with
=====================================================

Methods of explanation answer different questions. In simulated EEG the right answer is known:
here each method meets electrodes that are loud and of no use at all.
"""

# %%
# Data with a trap
# ----------------
# Two classes differ in a rhythm of 10 Hz below C3 and C4. Five electrodes elsewhere carry nothing
# but noise, eight times as strong as all else. The model learns from six subjects; the other two
# are explained.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    TopomapDisplay,
    make_simulated_eeg,
)
from skeegformer.explain import METHODS

X, y, metadata, truth = make_simulated_eeg(case="distractors", snr=5.0, random_state=0)
train = (metadata["subject"] <= 6).to_numpy()
classifier = EEGTransformerClassifier(max_epochs=40, random_state=0)
classifier.fit(X[train], y[train])
score = balanced_accuracy_score(y[~train], classifier.predict(X[~train]))
distractors = np.array(truth.ch_names)[truth.is_distractor]
print(f"Simulated: balanced accuracy on unseen subjects {score:.2f} (chance 0.50)")
print("Electrodes that carry only noise:", ", ".join(distractors))

# %%
# What each method answers
# ------------------------
# **Where does it look?** Rollout and flow follow attention through the layers. They know no
# class, and what is looked at can be ignored afterwards.
#
# **What does it use?** Gradient rollout and integrated gradients follow what moves the output:
# the log odds of a class. They say what goes into the decision, but not whether it could be done
# without.
#
# **What does it need?** Occlusion replaces a channel by the same channel in another epoch,
# permutation shuffles it over epochs. They say what is lost without the channel; of two that know
# the same, each can be missed.

explanations = {
    method: AttentionExplainer(method, n_repeats=2, random_state=0).explain(
        classifier, X[~train], y[~train]
    )
    for method in METHODS
}

# %%
# White discs mark the electrodes above the sources; the two largest values of each map are named.

figure, axes = plt.subplots(2, 4, figsize=(13, 6), layout="constrained")
axes = axes.ravel()
TopomapDisplay({"truth": truth.relevance.to_numpy()}, X.info, unit="difference of classes").plot(
    axes[0], names=2, mask=truth.is_source
)
for ax, (method, explanation) in zip(axes[1:], explanations.items(), strict=False):
    explanation.plot_topomap(by=None, ax=ax, names=2, mask=truth.is_source)
    ax.set_title(f"{METHODS[method].label}\n({METHODS[method].question})")
axes[-1].remove()

# %%
# As numbers: which share of the map lies on electrodes that are relevant (above half of the best
# one), and which on the distractors. A map of nothing would have as much there as the electrodes'
# number suggests.

relevant = (truth.relevance > 0.5).to_numpy()
rows = {"nothing": ["", relevant.mean(), truth.is_distractor.mean()]}
for method, explanation in explanations.items():
    shares = explanation.feature_importances_
    rows[METHODS[method].label] = [
        METHODS[method].question,
        shares[relevant].sum(),
        shares[truth.is_distractor].sum(),
    ]
columns = ["tells what the model", "share on relevant", "share on distractors"]
pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(3)

# %%
# The model is right about people it has not seen, so that it can hardly rest on the loud
# electrodes; but rollout, flow and gradient rollout give them the share of any other electrode:
# a channel counts by how loudly it votes, and loud noise votes for one class now and for another
# then. What cancels out is left out by integrated gradients, whose map is the sharpest here. A
# model that was trained more briefly, or a weaker rhythm, makes for other maps: try
# ``max_epochs=10``.

# %%
# Is the explanation true of its model?
# -------------------------------------
# Where no truth is known, the model itself can be asked. Channels are taken away (or put into
# another epoch) in the order of the explanation; the probability of the class has to fall (or
# rise) faster than with a random order. The oracle is here the order of the truth.

tests = {
    method: explanations[method].evaluate(truth=truth.relevance, max_epochs=40, random_state=0)
    for method in ("rollout", "integrated-gradients")
}

print(tests["rollout"].verdict)
tests["rollout"].plot()

# %%

print(tests["integrated-gradients"].verdict)
tests["integrated-gradients"].plot()

# %%
# What to use
# -----------
# To describe what a model attends to: rollout, shown as that. To say which channels a decision
# rests on: integrated gradients. To say which channels could be left out: occlusion or
# permutation, with ``neighbors=True`` where neighbouring electrodes see the same. And print
# ``explanation.evaluate()`` beside any of them.
