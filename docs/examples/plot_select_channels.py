"""
Channel selection without leakage
=================================

Fewer electrodes are quicker to apply. A selector in the Pipeline selects channels with the training
data of each fold only, so that scores are unbiased.
"""

# %%
# Simulated subjects: a rhythm below C3 or C4, and five electrodes with noise of high amplitude.

import pandas as pd
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from skeegformer import (
    AttentionExplainer,
    ChannelSelector,
    EEGTransformerClassifier,
    cross_subject_scores,
    make_simulated_eeg,
)
from skeegformer.evaluation import summarize_scores
from skeegformer.plotting import TopomapDisplay

X, y, metadata, truth = make_simulated_eeg(case="distractors", snr=10.0, random_state=0)
subjects = metadata["subject"].to_numpy()
# Selected channels may lack their partners on the other side, which mirroring would need.
classifier = EEGTransformerClassifier(max_epochs=30, mirror=None, random_state=0)

# %%
# A fixed number of channels
# --------------------------
# By default, channels are ranked by ``feature_importances_``, the mean attention rollout.
# ``importance_getter`` accepts other measures, here integrated gradients: the contributions of
# channels to the log odds of the true class.


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
# The channels were selected without the test subjects. With two halves of eight subjects, means
# vary by about 0.05 with the assignment of subjects to halves, so also consider the worst and best
# subject.

# %%
# The number of channels
# ----------------------
# A search over ``n_channels`` scores each number of channels on held-out subjects. Its best score
# is a maximum over several noisy scores and therefore too optimistic. The scores in the table above
# are unbiased, since the test subjects had no influence on the selection.

search = GridSearchCV(
    pipelines["8 it uses"],
    {"channelselector__n_channels": [4, 8, 16, 32]},
    cv=GroupKFold(2),
)
search.fit(X, y, groups=subjects)
results = pd.DataFrame(search.cv_results_)
results[["param_channelselector__n_channels", "mean_test_score", "std_test_score"]].round(2)

# %%
# The channels that the best search result selected (discs), on a map of the true relevance.

kept = search.best_estimator_[0].support_
TopomapDisplay(truth.relevance, X.info, ["truth"], unit="difference of classes").plot(mask=kept)
