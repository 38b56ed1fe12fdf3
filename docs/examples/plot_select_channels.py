"""
How many channels does it take?
===============================

Fewer electrodes are quicker to apply. A selector in the Pipeline chooses channels with the
training data of each fold alone, so that the score of the selection is honest.
"""

# %%
# Simulated subjects: a rhythm below C3 or C4, and five electrodes that carry nothing but loud
# noise.

import matplotlib.pyplot as plt
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from skeegformer import (
    AttentionExplainer,
    ChannelSelector,
    EEGTransformerClassifier,
    RecursiveChannelElimination,
    TopomapDisplay,
    cross_subject_scores,
    make_simulated_eeg,
)
from skeegformer.evaluation import summarize_scores

X, y, metadata, truth = make_simulated_eeg(case="distractors", snr=10.0, random_state=0)
subjects = metadata["subject"].to_numpy()
classifier = EEGTransformerClassifier(max_epochs=30, random_state=0)

# %%
# Choose once
# -----------
# By default channels are ranked by ``feature_importances_``, their share in what moves the output.
# ``importance_getter`` takes any other measure: here attention, which follows where the model
# looks.


def looked_at(estimator, X, y):
    """Return the share of each channel in the attention."""
    return AttentionExplainer("rollout").explain(estimator, X, y).feature_importances_


pipelines = {
    "all 64 channels": classifier,
    "8 it uses": make_pipeline(ChannelSelector(classifier, n_channels=8), classifier),
    "8 it looks at": make_pipeline(
        ChannelSelector(classifier, n_channels=8, importance_getter=looked_at), classifier
    ),
}
scores = cross_subject_scores(pipelines, X, y, subjects, cv=2)
summarize_scores(scores)[["mean", "sd", "worst", "best"]].round(2)

# %%
# Eight of 64 channels, chosen without the people who are scored, tell nearly as much as all of
# them, or as much. With two halves of eight people, means differ by some 0.05 for no other reason
# than who is in which half: look at the worst and the best as well.

# %%
# Take away, fit again
# --------------------
# Recursive elimination takes the least important channels away, fits again, and so on. With
# ``cv`` it scores each number of channels on subjects that were left out.

elimination = RecursiveChannelElimination(classifier, step=15, min_channels=4, cv=GroupKFold(2))
elimination.fit(X, y, groups=subjects)
print(f"Best with {elimination.n_channels_} channels: {', '.join(elimination.kept_ch_names_)}")

# %%
# The highest point of the curve is the best of several noisy numbers, and so too good: the score of
# a selection is that of the table above, where the people who are scored had no say in it.

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
# What was kept (discs), on the map of what is relevant in truth. Where few are enough, some are
# kept that would not be needed.

TopomapDisplay({"truth": truth.relevance.to_numpy()}, X.info, unit="difference of classes").plot(
    mask=elimination.support_
)
