"""
Five ways to explain, and a truth to compare them with
======================================================

Methods of explanation answer different questions. In simulated EEG the right answer is known:
here some electrodes are loud but carry no information at all.
"""

# %%
# Data with a trap
# ----------------
# Two classes differ in a rhythm of 10 Hz below C3 and C4. Five electrodes elsewhere carry only
# noise, eight times as strong as everything else. The model learns from six subjects; the other two
# are explained.

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
print("Electrodes that carry only noise:", ", ".join(distractors))

# %%
# What each method answers
# ------------------------
# **Where does it look?** Rollout multiplies what the class token takes from the sources by what
# the sources take from the channels. It is the same for all classes.
#
# **What does it use?** Gradient rollout and integrated gradients follow what moves the output:
# the log odds of a class. They show what goes into the decision, but not whether the model could do
# without it.
#
# **What does it need?** Occlusion replaces a channel by the same channel in another epoch,
# permutation shuffles it over epochs. They show what is lost without the channel; of two channels
# with the same information, each can be replaced by the other.

explanations = {
    method: AttentionExplainer(method, n_repeats=2, random_state=0).explain(
        classifier, X[~train], y[~train]
    )
    for method in METHODS
}

# %%
# White discs mark the electrodes above the sources; the two largest values of each map are named.

figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
axes = axes.ravel()
TopomapDisplay(truth.relevance, X.info, ["truth"], unit="difference of classes").plot(
    axes[0], names=2, mask=truth.is_source
)
for ax, (method, explanation) in zip(axes[1:], explanations.items(), strict=True):
    explanation.plot_topomap(by=None, ax=ax, names=2, mask=truth.is_source)
    ax.set_title(f"{METHODS[method].label}\n({METHODS[method].family})")

# %%
# As numbers: which share of the map lies on electrodes that are relevant (above half of the best
# one), and which on the distractors. Shares are those of the mean size of the values over epochs,
# ``feature_importances_``. With equal values everywhere, they are the electrodes' share in number.

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
# The model is right about people it has not seen, so it hardly depends on the loud electrodes,
# which get little more than their share in number. Integrated gradients concentrate most on the
# relevant electrodes. They have signs: in single epochs noise contributes as well, now to one class
# and now to another, which counts in the table and cancels in the mean that is drawn above. Shorter
# training or a weaker rhythm gives other maps: try ``max_epochs=10``.

# %%
# Is the explanation true of its model?
# -------------------------------------
# Where the truth is not known, a map can be tested on the model itself. Channels are removed (or
# put into another epoch) in the order of the explanation; the probability of the class has to fall
# (or rise) faster than with a random order. The oracle here is the order of the truth. The map also
# has to change with the parameters of the model: a map in which loud channels stand out whatever
# was learnt fails this test.

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
# To describe what a model attends to: rollout, labelled as such. To say which channels a decision
# rests on: integrated gradients. To say which channels could be left out: occlusion or
# permutation, with ``neighbors=True`` where neighbouring electrodes record the same signal. Report
# ``explanation.evaluate()`` with any of them.
