"""
From epochs to a statement about people
=======================================

Epochs of one person resemble each other, and a model depends on the seed of its training. This
page takes people as the units, and says how much the map could vary.
"""

# %%
# Explanations of people the model has not seen
# ---------------------------------------------
# Each person is explained by a model that was trained on others, and the folds' explanations are
# joined. The models see the alpha rhythm, 8 to 13 Hz, in units of each person's own mean. This is
# done with three seeds, over which each person's values are then averaged. Rollout is the same for
# every class, so conditions can be compared; gradient rollout, for comparison, is computed for one
# class: what is evidence for closed eyes?

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
print(f"{kind}: {len(y)} epochs of {len(set(subjects))} people")

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
# Intervals over people
# ---------------------
# Bootstrap intervals resample people, not epochs: they say what other people might give. They are
# bias-corrected, and wider for few people.

intervals = explanation.confidence_intervals(random_state=0)["eyes-closed"]
largest = 100 * intervals.nlargest(15, "mean")[::-1]
figure, ax = plt.subplots(figsize=(4.6, 4.0), layout="constrained")
ax.barh(largest.index, largest["mean"], color="#56B4E9")
ax.hlines(largest.index, largest["low"], largest["high"], color="black")
ax.set_xlabel("share of attention (%)\nlines: 95 % bootstrap intervals over people")

# %%
# As a table:

intervals.nlargest(8, "mean").round(3)

# %%
# Do the conditions differ?
# -------------------------
# The cluster permutation test compares the conditions within people, over all channels at once.
# With eight people there are 128 ways to flip signs, so p cannot be below 0.008. A difference would
# mean that the model looks at other channels when the eyes are closed; finding more or less of a
# rhythm at the same channels is no difference. For the gradient rollout the test raises an error:
# its maps depend on what the models of the other fold learnt from these people's labels, and it
# would find differences by chance too often.

test = explanation.compare("eyes-closed", "eyes-open")
print(test)

# %%
# Discs mark the channels of significant clusters, if there are any.

explanation.plot_topomap(difference=("eyes-closed", "eyes-open"), mask=test.mask)

# %%
# Does the seed matter?
# ---------------------
# Rank correlations between the maps of models that differ only in the seed of training. Near 1,
# any of them will do. Near 0, most details of a single map are chance, however well the model
# predicts: neighbouring electrodes carry the same information, and each model picks others.

for name, seeds in by_seed.items():
    closed = [one.select(label="eyes-closed").feature_importances_ for one in seeds]
    print(f"{name}:\n{pd.DataFrame(dict(enumerate(closed))).corr('spearman')}\n")

# %%
# The lower they are, the more seeds should be averaged, and the more a statement should be about
# regions rather than electrodes.
