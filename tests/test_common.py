"""scikit-learn's own checks, in full and with 2-D input left switched on."""

from collections import Counter

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator
from test_preprocessing import TRANSFORMERS
from torch import nn

from skeegformer import EEGTransformerClassifier, NetworkClassifier, OriginalTransformerClassifier
from skeegformer.preprocessing import MirroredClassifier
from skeegformer.selection import ChannelSelector


class Perceptron(nn.Sequential):
    """One hidden layer on all samples."""

    def __init__(self, n_chans, n_outputs, n_times):
        hidden = nn.Linear(n_chans * n_times, 16)
        super().__init__(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(16, n_outputs))


def first_and_only(estimator, X, y):
    return [1.0]


ESTIMATORS = [
    EEGTransformerClassifier(),
    NetworkClassifier(Perceptron, max_epochs=60, lr=0.02),
    *TRANSFORMERS,
    MirroredClassifier(LogisticRegression(max_iter=1000)),
    ChannelSelector(LogisticRegression(), importance_getter=first_and_only),
    OriginalTransformerClassifier(
        **{"n_time_tokens": 1, "n_layers": 1, "embed_dim": 16, "max_epochs": 20, "lr": 3e-3},
        **{"warmup_steps": 5, "early_stopping": False},
    ),
]
# As of scikit-learn's SGDClassifier: a repeated epoch is in other batches than one of weight 2.
UNEQUAL = {"check_sample_weight_equivalence_on_dense_data": "training in batches"}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_checks(estimator, report):
    assert estimator.__sklearn_tags__().input_tags.two_d_array
    expected = UNEQUAL if isinstance(estimator, NetworkClassifier) else {}
    options = {"on_fail": None, "on_skip": None, "expected_failed_checks": expected}
    results = check_estimator(estimator, **options)
    counts = Counter(result["status"] for result in results)
    report(f"check_estimator({estimator!r}): {counts['passed']} of {len(results)} checks passed")
    failed = [one for one in results if one["status"] not in ("passed", "xfail")]
    assert not [(one["check_name"], repr(one["exception"])) for one in failed]
    assert counts["passed"] > 40
