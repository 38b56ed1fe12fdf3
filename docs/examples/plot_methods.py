"""
Comparing five explanation methods where the truth is known
===========================================================

Explanation methods answer different questions. In simulated EEG, the correct answer is known:
here, some electrodes have a high amplitude but contain no information.
"""

# %%
# Data with distractors
# ---------------------
# Two classes differ in a rhythm of 10 Hz below C3 and C4. Five other electrodes contain only
# noise, with eight times the amplitude of the others. The model is trained on six subjects, and the
# other two are explained.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from skeegformer import AttentionExplainer, EEGTransformerClassifier, make_simulated_eeg
from skeegformer.explain import METHODS
from skeegformer.plotting import TopomapDisplay

X, y, metadata, truth = make_simulated_eeg(case="distractors", snr=5.0, random_state=0)
train = (metadata["subject"] <= 6).to_numpy()
classifier = EEGTransformerClassifier(max_epochs=40, random_state=0)
classifier.fit(X[train], y[train])
score = balanced_accuracy_score(y[~train], classifier.predict(X[~train]))
distractors = np.array(truth.ch_names)[truth.is_distractor]
print(f"Simulated: balanced accuracy on unseen subjects {score:.2f} (chance 0.50)")
print("Electrodes with noise only:", ", ".join(distractors))

# %%
# What each method answers
# ------------------------
# **Where does the model look?** Rollout multiplies what the class token takes from the sources by
# what the sources take from the channels. It is the same for all classes.
#
# **What does the model use?** Gradient rollout and integrated gradients show what changes the
# output, the log odds of a class. They show what enters the decision, but not whether the model
# could do without it.
#
# **What does the model need?** Occlusion replaces a channel by the same channel of another epoch;
# permutation shuffles it across epochs. Both show what is lost without the channel. If two channels
# contain the same information, neither is needed, since each can substitute for the other.

explanations = {
    method: AttentionExplainer(method, n_repeats=2, random_state=0).explain(
        classifier, X[~train], y[~train]
    )
    for method in METHODS
}

# %%
# White discs mark the electrodes above the sources; the two channels with the largest values are
# named.

figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
axes = axes.ravel()
TopomapDisplay(truth.relevance, X.info, ["truth"], unit="difference of classes").plot(
    axes[0], names=2, mask=truth.is_source
)
for ax, (method, explanation) in zip(axes[1:], explanations.items(), strict=True):
    explanation.plot_topomap(by=None, ax=ax, names=2, mask=truth.is_source)
    ax.set_title(f"{METHODS[method].label}\n({METHODS[method].family})")

# %%
# The table gives the share of each map on relevant electrodes (above half the relevance of the best
# one) and on distractors. It is computed from the mean absolute values over epochs,
# ``feature_importances_``. The first row is a map of equal values.

relevant = (truth.relevance > 0.5).to_numpy()
rows = {"equal values": ["", relevant.mean(), truth.is_distractor.mean()]}
for method, explanation in explanations.items():
    shares = explanation.feature_importances_
    rows[METHODS[method].label] = [
        METHODS[method].family,
        shares[relevant].sum(),
        shares[truth.is_distractor].sum(),
    ]
columns = ["by", "share on relevant", "share on distractors"]
pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(3)

# %%
# Since the model classifies held-out subjects well, it depends little on the distractors, whose
# shares are little larger than with equal values. Integrated gradients concentrate most on the
# relevant electrodes. Their values are signed: in single epochs, noise also contributes, sometimes
# to one class and sometimes to the other, which counts in the table but cancels in the mean maps
# above. Shorter training or a weaker rhythm gives different maps: try ``max_epochs=10``.

# %%
# Is the explanation faithful to its model?
# -----------------------------------------
# If the truth is unknown, a map can be tested on the model itself. Channels are replaced (deletion)
# or put into another epoch (insertion) in the order of the explanation; the probability of the
# class should fall or rise faster than with a random order. Here, the oracle is the order of the
# truth. The map should also change with the parameters of the model: a map in which channels of
# high amplitude stand out whatever the model has learnt fails this test.

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
# Which method to use
# -------------------
# Use rollout, labelled as such, to describe what a model attends to. Use integrated gradients to
# show which channels contribute to a decision. Use occlusion or permutation to find out which
# channels could be left out, with ``neighbors=True`` if neighbouring electrodes record similar
# signals. Report ``explanation.evaluate()`` with any of them.
