"""
How many channels does it take?
===============================

Fewer electrodes are quicker to apply. A selector in the Pipeline chooses channels with the
training data of each fold alone, so that the score of the selection is honest.
"""

# %%
# Simulated subjects: a rhythm below C3 or C4, and five electrodes that carry only loud noise.

import matplotlib.pyplot as plt
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from skeegformer import (
    AttentionExplainer,
    ChannelSelector,
    EEGTransformerClassifier,
    RecursiveChannelElimination,
    cross_subject_scores,
    make_simulated_eeg,
)
from skeegformer.evaluation import summarize_scores
from skeegformer.plotting import TopomapDisplay

X, y, metadata, truth = make_simulated_eeg(case="distractors", snr=10.0, random_state=0)
subjects = metadata["subject"].to_numpy()
classifier = EEGTransformerClassifier(max_epochs=30, random_state=0)

# %%
# Choose once
# -----------
# By default channels are ranked by ``feature_importances_``, the mean attention rollout.
# ``importance_getter`` takes any other measure: here integrated gradients, what channels contribute
# to the log odds of the true class.


def used(estimator, X, y):
    """Return the share of each channel in the contributions to the true class."""
    explainer = AttentionExplainer("integrated-gradients", target="true")
    return explainer.explain(estimator, X, y).feature_importances_


pipelines = {
    "all 64 channels": classifier,
    "8 it looks at": make_pipeline(ChannelSelector(classifier, n_channels=8), classifier),
    "8 it uses": make_pipeline(
        ChannelSelector(classifier, n_channels=8, importance_getter=used), classifier
    ),
}
scores = cross_subject_scores(pipelines, X, y, subjects, cv=2)
summarize_scores(scores)[["mean", "sd", "worst", "best"]].round(2)

# %%
# The channels were chosen without the people who are scored. With two halves of eight people, means
# differ by some 0.05 only because of who is in which half: look at the worst and the best as well.

# %%
# Remove, fit again
# -----------------
# Recursive elimination removes the least important channels, fits again, and so on. With ``cv``
# it scores each number of channels on held-out subjects.

elimination = RecursiveChannelElimination(classifier, step=15, min_channels=4, cv=GroupKFold(2))
elimination.fit(X, y, groups=subjects)
print(f"Best with {elimination.n_channels_} of {len(X.ch_names)} channels")

# %%
# The highest point of the curve is the best of several noisy numbers, and therefore too optimistic:
# the honest score of a selection is that of the table above, where the people who are scored had no
# part in it.

results = elimination.cv_results_
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.errorbar(
    results["n_channels"],
    results["mean_test_score"],
    results["std_test_score"],
    marker="o",
    capsize=3,
)
ax.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
ax.set(
    xlabel="number of channels",
    ylabel="accuracy on unseen subjects\n(mean and SD of folds)",
    ylim=(0.4, 1.02),
)
ax.spines[["top", "right"]].set_visible(False)

# %%
# The last four channels of the first fold (discs), on the map of the true relevance.

last = results["split0_ch_names"][0]
print("Left in the first fold:", ", ".join(last))
TopomapDisplay(truth.relevance, X.info, ["truth"], unit="difference of classes").plot(
    mask=[name in last for name in X.ch_names]
)
