"""Whether an explanation is true of the model that it explains."""

import copy
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata, spearmanr
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import check_random_state

from skeegformer._validation import check_count
from skeegformer.attention import log_odds
from skeegformer.explain._model import predict_logits
from skeegformer.explain.methods import METHODS
from skeegformer.explain.perturbation import make_substitute, occlude

# From here on, a map counts as independent of what the model learnt, or of what it needs.
_SAME_MAP = 0.5
_AGREEMENT = 0.3
_N_BOOTSTRAP = 1000
_LARGEST_STEPS = 12


@dataclass(frozen=True, repr=False, eq=False)
class Faithfulness:
    """What `Explanation.evaluate` found; printing it gives the verdict and the figures.

    Parameters
    ----------
    curves : pandas.DataFrame
        A row for every point of a curve: ``curve`` ("deletion" or "insertion"), ``order``
        ("explanation", "random" or "oracle"), ``n_channels`` and ``fraction`` of the
        channels that are replaced (inserted), ``mean`` probability of the explained class,
        and ``low`` and ``high``, its 95 % interval over subjects where they are known, else
        over epochs.
    figures : dict of str to float
        The figures; see Notes.
    verdict : str
        Plain sentences.
    faithful : bool
        Whether the order of channels is better than a random one in both curves, and the map
        depends on what the model learnt.

    Notes
    -----
    ``deletion_area`` and ``insertion_area`` are mean probabilities over a curve whose steps
    grow geometrically (few channels matter); ``random_...`` and ``oracle_...`` are those of
    a random order and of the order by what each channel's own removal does.
    ``deletion_gain`` and ``insertion_gain``, with ``_low`` and ``_high``, are by how much the map's
    order is better than the random one; ``deletion_score`` and ``insertion_score`` put the random
    order at 0 and the oracle at 1, and are NaN where the oracle is not better than random for
    certain, which happens in insertion where a model uses channels together.
    ``polarity`` is how much higher the probability stays when the channels of the lowest values
    go first. ``need_correlation`` is Spearman's with permutation importance over channels,
    ``need_top5`` the share of its first five channels that the explanation's first five have.
    ``randomized_model`` and ``randomized_labels`` are rank correlations with the map of a model
    with random parameters, or trained on shuffled labels.
    """

    curves: pd.DataFrame
    figures: dict
    verdict: str
    faithful: bool

    def plot(self, **kwargs):
        """Draw the curves.

        Parameters
        ----------
        **kwargs : dict
            Passed to `FaithfulnessDisplay.plot`.

        Returns
        -------
        FaithfulnessDisplay
            Drawn.
        """
        from skeegformer.plotting import FaithfulnessDisplay

        return FaithfulnessDisplay(self.curves, verdict=self.verdict).plot(**kwargs)

    def __repr__(self):
        width = max(map(len, self.figures))
        lines = [f"  {name:<{width}}  {value:.3g}" for name, value in self.figures.items()]
        return "\n".join([self.verdict, *lines])


def evaluate_explanation(
    explanation,
    estimator=None,
    X=None,
    *,
    truth=None,
    n_repeats=3,
    n_randomizations=3,
    label_randomization=False,
    max_epochs=100,
    random_state=None,
):
    """Put an explanation to the test on its own model and epochs.

    Channels are replaced, most important first (deletion), or put into another epoch
    (insertion) [1]_ [2]_; the probability of the explained class has to fall, or rise,
    faster than with a random order. The map has to change when the model's parameters, or
    the labels that it learns, are random [3]_, and is compared with permutation importance.

    Parameters
    ----------
    explanation : Explanation
        What to test.
    estimator, X : optional
        Model and epochs for an explanation that was loaded from a file; the others remember
        theirs. `X` as it was given to `AttentionExplainer.explain`.
    truth : array-like of shape (n_chans,) or None, default=None
        Known importance of each channel; its order becomes the oracle.
    n_repeats : int, default=3
        How many other epochs (of the same subject where known) channels are taken from;
        the random order is another one for each.
    n_randomizations : int, default=3
        How many models with random parameters; 0 leaves that test out.
    label_randomization : bool, default=False
        Whether a clone of the classifier is trained on the explained epochs with shuffled
        labels (within subjects where known). Takes as long as `fit`.
    max_epochs : int, default=100
        How many epochs are used, drawn at random; the cost grows with them.
    random_state : int, RandomState instance or None, default=None
        Draws epochs, orders and parameters.

    Returns
    -------
    Faithfulness
        Curves, figures and a verdict.

    Raises
    ------
    ValueError
        If the explanation knows no model, has less than two epochs, or `truth` does not fit.

    Warns
    -----
    UserWarning
        Where the map and what the model needs disagree.

    References
    ----------
    .. [1] Samek et al. (2017), Evaluating the visualization of what a deep neural network
       has learned. IEEE TNNLS 28(11). doi:10.1109/TNNLS.2016.2599820
    .. [2] Petsiuk, Das and Saenko (2018), RISE: Randomized input sampling for explanation of
       black-box models. BMVC. arXiv:1806.07421
    .. [3] Adebayo et al. (2018), Sanity checks for saliency maps. NeurIPS. arXiv:1810.03292
    """
    check_count("n_repeats", n_repeats, 1)
    check_count("n_randomizations", n_randomizations, 0)
    check_count("max_epochs", max_epochs, 2)
    explanation = _with_source(explanation, estimator, X)
    rng = check_random_state(random_state)
    if len(explanation) < 2:
        raise ValueError(
            "The test replaces channels by those of other epochs, but this explanation has only "
            "one epoch; explain more."
        )
    if len(explanation) > max_epochs:
        explanation = explanation.select(rng.permutation(len(explanation))[:max_epochs])
    n_chans = explanation.values.shape[1]
    if truth is not None:
        truth = np.asarray(truth, dtype=float)
        if truth.shape != (n_chans,):
            raise ValueError(
                f"truth has shape {truth.shape}, but there are {n_chans} channels, one number each."
            )

    test = _Deletion(explanation, n_repeats, rng)
    need = test.drops.mean(axis=0)
    oracle = test.drops if truth is None else np.tile(truth, (len(explanation), 1))
    orders = {"explanation": explanation.values, "random": None, "oracle": oracle}
    areas, points = {}, []
    for name, values in orders.items():
        for curve in ("deletion", "insertion"):
            found = test.curve(values, curve)
            areas[curve, name] = found.mean(axis=1)
            points.append(test.summary(curve, name, found))
    reverse = test.curve(-explanation.values, "deletion").mean()

    figures = {}
    if explanation.y is not None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
            figures["balanced_accuracy"] = balanced_accuracy_score(
                explanation.y, explanation.predictions
            )
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        own, random, best = (areas[curve, name] for name in ("explanation", "random", "oracle"))
        figures[f"{curve}_area"] = own.mean()
        figures[f"random_{curve}_area"] = random.mean()
        figures[f"oracle_{curve}_area"] = best.mean()
        gain = test.interval(sign * (own - random))
        score = test.score(gain, sign * (best - random))
        for name, found in (("gain", gain), ("score", score)):
            for suffix, value in zip(("", "_low", "_high"), found, strict=True):
                figures[f"{curve}_{name}{suffix}"] = value
    figures["polarity"] = reverse - areas["deletion", "explanation"].mean()
    overall = explanation.values.mean(axis=0)
    figures["need_correlation"] = _rank_correlation(overall, need)
    figures["need_top5"] = _top_in_common(overall, need, 5)
    if n_randomizations:
        figures["randomized_model"] = _randomized_models(explanation, n_randomizations, rng)
    if label_randomization:
        figures["randomized_labels"] = _randomized_labels(explanation, rng)
    figures = {name: float(value) for name, value in figures.items()}
    faithful, verdict, disagreement = _judge(explanation, figures)
    if disagreement:
        warnings.warn(disagreement, UserWarning, stacklevel=3)
    return Faithfulness(pd.concat(points, ignore_index=True), figures, verdict, faithful)


def randomize_parameters(network, random_state=None):
    """Copy a network and draw every one of its parameters anew.

    Each tensor (attention projections, norms, class token, positions, all of them) gets
    normal values with its own mean and standard deviation, so that the signal keeps its size
    on the way through the layers while all that was learnt is gone. Statistics for
    standardisation, which are no parameters, stay.

    Parameters
    ----------
    network : torch.nn.Module
        The network; not changed.
    random_state : int, RandomState instance or None, default=None
        Draws the values.

    Returns
    -------
    torch.nn.Module
        The copy.
    """
    rng = check_random_state(random_state)
    network = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
            # What is constant, such as biases that never moved, gets a little spread as well.
            values = rng.normal(float(parameter.mean()), max(spread, 0.02), parameter.shape)
            parameter.copy_(torch.as_tensor(values))
    return network


class _Deletion:
    """Curves over replaced channels: other epochs to take them from, drawn once for all."""

    def __init__(self, explanation, n_repeats, rng):
        classifier, self.data = explanation.source.classifier, explanation.source.data
        self.network = classifier.net_.module_
        targets = explanation.predictions if explanation.targets is None else explanation.targets
        self.codes = torch.as_tensor(np.searchsorted(explanation.classes, targets))
        self.subjects = explanation.subjects
        self.rng = rng
        substitute = make_substitute(
            "swap", self.data, subjects=explanation.subjects, random_state=rng
        )
        n_chans = self.data.shape[1]
        everything = list(range(n_chans))
        self.donors = [substitute(everything, repeat) for repeat in range(n_repeats)]
        drops, _ = occlude(
            self.network,
            self.data,
            self.codes,
            substitute=lambda channels, repeat: self.donors[repeat][:, channels],
            parts={"epoch": lambda signal: signal},
            sets=[[channel] for channel in everything],
            n_repeats=n_repeats,
        )
        self.drops = drops[..., 0].mean(axis=0)
        steps = np.geomspace(1, n_chans, min(n_chans, _LARGEST_STEPS)).round().astype(int)
        self.counts = np.unique([0, *steps])

    def curve(self, values, kind):
        """Compute the probability of the class, channel count by channel count.

        Channels go by their values, epoch by epoch, or at random where there are none.
        """
        found = np.zeros((len(self.data), len(self.counts)))
        for donor in self.donors:
            ties = self.rng.random_sample(self.drops.shape)  # equal values go in any order
            ranks = (
                rankdata(
                    ties if values is None else -values - 1e-12 * ties, method="ordinal", axis=1
                )
                - 1
            )
            for k, count in enumerate(self.counts):
                own = ranks >= count if kind == "deletion" else ranks < count
                mixed = np.where(own[:, :, None], self.data, donor)
                scores = log_odds(predict_logits(self.network, mixed), self.codes)
                found[:, k] += torch.sigmoid(scores).numpy() / len(self.donors)
        return found

    def summary(self, curve, order, found):
        """List the points of a curve with their intervals."""
        means = np.array([found[rows].mean(axis=0) for rows in self._resample()])
        low, high = np.percentile(means, [2.5, 97.5], axis=0)
        return pd.DataFrame(
            {
                "curve": curve,
                "order": order,
                "n_channels": self.counts,
                "fraction": self.counts / self.data.shape[1],
                "mean": found.mean(axis=0),
                "low": low,
                "high": high,
            }
        )

    def interval(self, gain):
        """Average over epochs, with a 95 % interval."""
        means = [gain[rows].mean() for rows in self._resample()]
        return gain.mean(), *np.percentile(means, [2.5, 97.5])

    def score(self, gain, possible):
        """Tell how far from random to the oracle a gain and the limits of its interval are."""
        best, low, _ = self.interval(possible)
        # An oracle that is no better than random for certain leaves nothing to be measured by.
        return (np.nan,) * 3 if low <= 0 else tuple(value / best for value in gain)

    def _resample(self):
        """Draw epochs, or all epochs of drawn subjects, with replacement."""
        rng = np.random.RandomState(0)  # the same draws for all orders, which are compared
        subjects = np.arange(len(self.data)) if self.subjects is None else self.subjects
        members = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
        if len(members) < 3:
            members = [np.array([row]) for row in range(len(self.data))]
        for _ in range(_N_BOOTSTRAP):
            drawn = rng.randint(len(members), size=len(members))
            yield np.concatenate([members[one] for one in drawn])


def _with_source(explanation, estimator, X):
    if estimator is None and explanation.source is not None:
        _refuse_adapting(explanation)
        return explanation
    if estimator is None or X is None:
        raise ValueError(
            "This explanation does not know its model (it was loaded, or joined from several): "
            "pass the fitted estimator and X to evaluate."
        )
    from skeegformer.explain.explainer import AttentionExplainer

    options = {"correct_only": False, "min_confidence": 0.0, "method": "rollout"}
    source = AttentionExplainer(**options).explain(estimator, X).source
    if len(source.data) != len(explanation):
        raise ValueError(
            f"X has {len(source.data)} epochs, but the explanation {len(explanation)}; pass the "
            "epochs that were explained."
        )
    explanation = replace(explanation, source=source)
    _refuse_adapting(explanation)
    return explanation


def _refuse_adapting(explanation):
    """Channels are deleted from the signal, which would move a subject's mean features."""
    if getattr(explanation.source.classifier, "adapt", False):
        raise ValueError(
            "evaluate deletes channels from the signal, and adapt=True centres features on what is "
            "left of it: that would not be a test of the explanation. Evaluate one of a classifier "
            "with adapt=False."
        )


def _rank_correlation(a, b):
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return spearmanr(a, b).statistic


def _top_in_common(a, b, k):
    k = min(k, len(a))
    return len(set(np.argsort(a)[-k:]) & set(np.argsort(b)[-k:])) / k


def _explain_again(explanation, classifier):
    """Explain the same epochs by the same method with another model."""
    from skeegformer.explain.explainer import AttentionExplainer

    names = AttentionExplainer().get_params()
    settings = {name: explanation.settings[name] for name in names if name in explanation.settings}
    settings |= {"correct_only": False, "min_confidence": 0.0, "connections": False}
    if isinstance(settings.get("random_state"), str):  # of a generator only its name is kept
        settings["random_state"] = 0
    explainer = AttentionExplainer(**(settings | {"method": explanation.method}))
    return explainer.explain(
        classifier,
        explanation.source.data,
        explanation.y,
        groups=explanation.subjects,
        info=explanation.info,
    ).values.mean(axis=0)


def _randomized_models(explanation, n_randomizations, rng):
    """Correlate the map with those of models whose parameters are random."""
    few = explanation.select(np.arange(min(len(explanation), 40)))
    own = few.values.mean(axis=0)
    found = []
    for _ in range(n_randomizations):
        classifier = copy.copy(few.source.classifier)
        classifier.net_ = copy.copy(classifier.net_)
        classifier.net_.module_ = randomize_parameters(classifier.net_.module_, rng)
        found.append(_rank_correlation(own, _explain_again(few, classifier)))
    return np.mean(found)


def _randomized_labels(explanation, rng):
    """Correlate the map with that of a model that was trained on shuffled labels."""
    if explanation.y is None:
        raise ValueError("label_randomization=True shuffles true labels: pass y to explain.")
    import mne

    fitted = explanation.source.classifier
    y = explanation.y.copy()
    subjects = np.zeros(len(y)) if explanation.subjects is None else explanation.subjects
    for subject in np.unique(subjects):
        rows = np.flatnonzero(subjects == subject)
        y[rows] = rng.permutation(y[rows])
    classifier = clone(fitted).set_params(sfreq=fitted.sfreq_)
    X = explanation.source.data
    if fitted.info_ is not None:  # names and places decide on mirroring and the like
        X = mne.EpochsArray(np.asarray(X, dtype=float) / 1e6, fitted.info_, verbose="ERROR")
    classifier.fit(X, y, groups=explanation.subjects)
    return _rank_correlation(
        explanation.values.mean(axis=0), _explain_again(explanation, classifier)
    )


def _judge(explanation, figures):
    """Say in sentences what the figures mean."""
    method = METHODS[explanation.method]
    sentences = []
    better = True
    for curve, what in (("deletion", "Removing"), ("insertion", "Inserting")):
        gain, low, high = (figures[f"{curve}_gain{end}"] for end in ("", "_low", "_high"))
        better &= low > 0
        than = "better than" if low > 0 else "worse than" if high < 0 else "no better than"
        subject = f"{what} channels in the map's order is {than} random"
        score, low, high = (figures[f"{curve}_score{end}"] for end in ("", "_low", "_high"))
        if not np.isnan(score):
            sentences.append(
                f"{subject} ({score:.2f} of the way to the oracle, 95 % {low:.2f} to {high:.2f})."
            )
        elif than == "better than":
            sentences.append(
                f"{subject} (by {gain:.2f} in probability), while the order of what each channel "
                "does alone is not for certain: the model uses channels together."
            )
        else:
            sentences.append(
                f"{subject}, and the order of what each channel does alone is not better for "
                "certain: the model does not use single channels, or nothing at all."
            )
    same_map = max(figures.get("randomized_model", 0), figures.get("randomized_labels", 0))
    if same_map >= _SAME_MAP:
        sentences.append(
            f"The map hardly depends on what the model learnt: without it, a map with a rank "
            f"correlation of {same_map:.2f} comes out."
        )
    if figures["polarity"] < 0:
        sentences.append(
            "The sign is wrong: the class suffers less from losing the highest values than from "
            "losing the lowest."
        )
    disagreement = None
    correlation = figures["need_correlation"]
    if correlation < _AGREEMENT:
        disagreement = (
            f"The {method.label} map and what the model needs disagree: its rank correlation with "
            f"permutation importance is {correlation:.2f}, and {figures['need_top5']:.0%} of the "
            "five most needed channels are among its first five."
        )
        sentences.append(disagreement)
    accuracy, n_classes = figures.get("balanced_accuracy"), len(explanation.classes)
    if accuracy is not None and accuracy < 1 / n_classes + 0.05:
        better = False
        sentences.append(
            f"The model is at chance on these epochs (balanced accuracy {accuracy:.2f}): there is "
            "nothing about the classes to explain."
        )
    faithful = bool(better and same_map < _SAME_MAP and figures["polarity"] >= 0)
    return (
        faithful,
        " ".join(["Faithful." if faithful else "Not faithful.", *sentences]),
        (disagreement),
    )
