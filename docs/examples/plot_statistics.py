"""
Statistics of explanations across subjects
==========================================

Epochs of one subject are not independent, and a trained model depends on its random seed. This
example computes statistics over subjects and shows how much a map varies between seeds.
"""

# %%
# Explanations of held-out subjects
# ---------------------------------
# Each subject is explained with a model that was trained on others, and the explanations of the
# folds are joined. The models use the alpha band, 8 to 13 Hz, with log powers centred on the mean
# of each subject. This is repeated with three seeds, over which the values of each subject are
# averaged. Rollout is the same for every class, so conditions can be compared; gradient rollout is
# computed for one class, closed eyes.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from skeegformer import (
    AttentionExplainer,
    concatenate_explanations,
    load_eegmmi,
    make_eeg_pipeline,
    make_simulated_eeg,
)

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
kind = "Recorded" if recorded else "SIMULATED"
print(f"{kind}: {len(y)} epochs of {len(set(subjects))} subjects")

explainers = {
    "rollout": AttentionExplainer(),
    "gradient rollout": AttentionExplainer("gradient-rollout", target="eyes-closed"),
}
options = {"l_freq": 8.0, "h_freq": 13.0, "adapt": True, "max_epochs": 20}
by_seed = {name: [] for name in explainers}
for seed in range(3):
    folds = {name: [] for name in explainers}
    for train, test in GroupKFold(2).split(y, y, subjects):
        pipeline = make_eeg_pipeline(**options, random_state=seed)
        pipeline.fit(X[train], y[train])
        for name, explainer in explainers.items():
            folds[name].append(explainer.explain(pipeline, X[test], y[test]))
    for name, parts in folds.items():
        by_seed[name].append(concatenate_explanations(parts))
    joined = by_seed["rollout"][-1]
    score = balanced_accuracy_score(joined.y, joined.predictions)
    print(f"seed {seed}: balanced accuracy on unseen subjects {score:.2f} (chance 0.50)")

explanation = concatenate_explanations(by_seed["rollout"])

# %%
# Confidence intervals over subjects
# ----------------------------------
# Bootstrap intervals resample subjects, not epochs, so they generalise to other subjects. They are
# bias-corrected, and widened for few subjects.

intervals = explanation.confidence_intervals(random_state=0)["eyes-closed"]
largest = 100 * intervals.nlargest(15, "mean")[::-1]
figure, ax = plt.subplots(figsize=(4.6, 4.0), layout="constrained")
ax.barh(largest.index, largest["mean"], color="#56B4E9")
ax.hlines(largest.index, largest["low"], largest["high"], color="black")
ax.set_xlabel("share of attention (%)\nlines: 95 % bootstrap intervals over subjects")

# %%
# As a table:

intervals.nlargest(8, "mean").round(3)

# %%
# Do the conditions differ?
# -------------------------
# A cluster permutation test compares the conditions within subjects, over all channels at once.
# With eight subjects, there are 128 distinct sign flips, so p cannot be below 0.008. A difference
# would mean that the model looks at other channels when the eyes are closed; more or less power at
# the same channels does not count. For gradient rollout, the test raises an error: each map depends
# on what its model learnt from the labels of other subjects, which would lead to too many false
# positives.

test = explanation.compare("eyes-closed", "eyes-open")
print(test)

# %%
# Discs mark the channels of significant clusters, if any.

explanation.plot_topomap(difference=("eyes-closed", "eyes-open"), mask=test.mask)

# %%
# Variation between seeds
# -----------------------
# Rank correlations between the maps of models that differ only in the random seed. If they are
# near 1, one seed is enough. If they are near 0, most details of a single map are random, however
# well the model classifies: neighbouring electrodes contain the same information, and models differ
# in which of them they use.

for name, seeds in by_seed.items():
    closed = [one.select(label="eyes-closed").feature_importances_ for one in seeds]
    print(f"{name}:\n{pd.DataFrame(dict(enumerate(closed))).corr('spearman')}\n")

# %%
# The lower the correlations, the more seeds should be averaged, and the more conclusions should be
# about regions rather than electrodes.
