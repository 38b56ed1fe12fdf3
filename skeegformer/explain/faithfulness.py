"""Whether an explanation is true of the model that it explains."""

import copy
import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from sklearn.metrics import recall_score
from sklearn.utils import check_array, check_random_state

from skeegformer._utils.settings import usual_torch
from skeegformer._validation import check_count, in_channel_order, rows_by_subject
from skeegformer.attention import record_attention
from skeegformer.explain._curves import Curves
from skeegformer.explain._model import batches, predict_logits
from skeegformer.explain.methods import METHODS
from skeegformer.nn import EEGTransformer
from skeegformer.plotting.faithfulness import draw_curves
from skeegformer.training._shares import channel_shares

# Rank correlations from here on: maps of a model that has learnt nothing are like the map, and
# the order of single channels' effects agrees with it.
_SAME_MAP = 0.5
_AGREEMENT = 0.3


@dataclass(frozen=True, repr=False, eq=False)
class Faithfulness:
    """The result of `Explanation.evaluate`; printing it gives the verdict and the numbers.

    Parameters
    ----------
    curves : pandas.DataFrame
        One row per point of a curve: ``curve`` ("deletion" or "insertion"), ``order``
        ("explanation", "random" or "oracle"), ``n_channels`` and ``fraction`` of the replaced
        (inserted) channels, ``mean`` probability of the explained class, and ``low`` and ``high``,
        its 95 % interval over subjects if they are known, else over epochs.
    figures : dict of str to float
        The numbers; see Notes.
    verdict : str
        A sentence for each test, with its result.
    passed : dict of str to bool
        Which tests the map passed: "deletion" and "insertion" (better than a random order), "sign"
        (the highest values matter more than the lowest), and, if tested, "randomization" (models
        with random parameters give different maps).

    Notes
    -----
    ``deletion_area`` and ``insertion_area`` are mean probabilities over a curve, whose steps grow
    geometrically because few channels matter; ``random_...`` and ``oracle_...`` are those of a
    random order and of the order by the effect of removing each channel. ``..._gain``, with
    ``_low`` and ``_high``, is the advantage of the map's order over the random one. ``..._score``
    is 0 for the random order and 1 for the oracle, and NaN if the oracle is not clearly better than
    random, as in insertion when a model uses channels together. ``lerf_minus_morf`` is how much
    higher the probability remains when the least relevant channels are removed first (LeRF) than
    with the most relevant ones first (MoRF). ``permutation_correlation`` is the rank correlation
    with the effects of permuting single channels, ``randomized_model`` the mean one with maps of
    models with random parameters, ``randomized_models`` that of these maps with each other, and
    ``amplitude_correlation`` that with the channels' standard deviations: even a random model has a
    map, which follows from the data alone.
    """

    curves: pd.DataFrame
    figures: dict
    verdict: str
    passed: dict

    def plot(self, ax=None):
        """Plot the curves of the map, a random order and an oracle.

        Parameters
        ----------
        ax : sequence of matplotlib.axes.Axes or None, default=None
            Two axes; None creates a figure, with the verdict below.

        Returns
        -------
        ndarray of matplotlib.axes.Axes of shape (2,)
            Deletion and insertion.
        """
        return draw_curves(self.curves, self.verdict, ax)

    def __repr__(self):
        width = max(map(len, self.figures))
        lines = [f"  {name:<{width}}  {value:.3g}" for name, value in self.figures.items()]
        return "\n".join([self.verdict, *lines])


@usual_torch()
def evaluate(
    self, *, truth=None, n_repeats=3, n_randomizations=3, max_epochs=100, random_state=None
):
    """Test how faithful the explanation is to its model.

    Channels are replaced, most important first (deletion), or put into another epoch (insertion)
    [1]_ [2]_; the probability of the explained class should fall, or rise, faster than with a
    random order. The map should change when the model's parameters are random [3]_, and is compared
    with the effect of permuting single channels.

    Parameters
    ----------
    truth : array-like of shape (n_chans,) or None, default=None
        Known importance of each channel, used as the oracle.
    n_repeats : int, default=3
        Number of other epochs (of the same subject if known) from which channels are taken.
    n_randomizations : int, default=3
        Number of models with random parameters; 0 skips that test.
    max_epochs : int, default=100
        Maximum number of epochs to test, drawn at random with the class frequencies (true classes
        if known) of all epochs.
    random_state : int, RandomState instance or None, default=None
        Seed for epochs, orders and parameters.

    Returns
    -------
    Faithfulness
        Curves, numbers and a verdict.

    Raises
    ------
    ValueError
        If the explanation has no model, because it was loaded from a file or joined from several,
        if it has fewer than two epochs, or if `truth` has the wrong shape.

    Warns
    -----
    UserWarning
        If the map and permutation rank channels differently.

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
    rng = check_random_state(random_state)
    if self.source is None:
        raise ValueError(
            "This explanation does not know its model (it was loaded, or joined from several): "
            "explain the epochs by that model again."
        )
    if len(self) < 2:
        raise ValueError(
            "The test replaces channels by those of other epochs, but this explanation has only "
            "one epoch; explain more."
        )
    explanation = self
    if len(self) > max_epochs:
        explanation = self.select(_draw(self, max_epochs, rng))
    mean_map = explanation.values.mean(axis=0)
    if truth is not None:
        truth = np.ma.filled(truth.astype(float), np.nan) if np.ma.is_masked(truth) else truth
        truth = in_channel_order(truth, explanation.ch_names)
        truth = check_array(truth, ensure_2d=False, input_name="truth").astype(float)
        if truth.shape != mean_map.shape:
            raise ValueError(
                f"truth has shape {truth.shape}, but there are {len(mean_map)} channels, one "
                "number each."
            )

    curves = Curves(explanation, n_repeats, rng)
    points, figures = _compare_orders(explanation, curves, truth)
    drops = curves.drops.mean(axis=0)
    figures["permutation_correlation"] = _rank_correlation(mean_map, drops)
    if n_randomizations:
        models = [randomized_classifier(self, rng) for _ in range(n_randomizations)]
        maps = [_map_by(explanation, model) for model in models]
        figures["randomized_model"] = np.mean([_rank_correlation(mean_map, one) for one in maps])
        if n_randomizations > 1:
            among = [_rank_correlation(*two) for two in combinations(maps, 2)]
            figures["randomized_models"] = np.mean(among)
        amplitudes = explanation.source.data.std(axis=2).mean(axis=0)
        figures["amplitude_correlation"] = _rank_correlation(mean_map, amplitudes)
    figures = {name: float(value) for name, value in figures.items()}
    passed, verdict, disagreement = _judge(explanation, figures)
    if disagreement:
        warnings.warn(disagreement, UserWarning, stacklevel=3)
    verdict = f"{verdict} {_tell_epochs(explanation, len(self), curves)}"
    return Faithfulness(points, figures, verdict, passed)


def _draw(explanation, n_epochs, rng):
    """Draw epochs of all classes, which take turns by their frequency."""
    order = rng.permutation(len(explanation))
    labels = pd.Series(explanation.labels()[order])
    of_class = labels.groupby(labels)
    turns = of_class.cumcount() / of_class.transform("size")
    return np.sort(order[np.argsort(turns, kind="stable")[:n_epochs]])


def _tell_epochs(explanation, n_whole, curves):
    """Say on how many epochs a map was tested, and what the intervals are over."""
    n_epochs, labels = len(explanation), explanation.labels().tolist()
    counts = ", ".join(f"{labels.count(label)} {label}" for label in explanation.classes.tolist())
    of_all = f" of {n_whole}" if n_epochs < n_whole else ""
    units = f"{len(curves.units)} {'subjects' if curves.over_subjects else 'epochs'}"
    return f"Tested on {n_epochs}{of_all} epochs ({counts}); 95 % intervals are over {units}."


def _compare_orders(explanation, curves, truth):
    """Compute curves by the map's order, a random one and the oracle's, and their areas."""
    oracle = curves.drops
    if truth is not None:
        oracle = np.broadcast_to(truth, oracle.shape)
    orders = {"explanation": explanation.values, "random": None, "oracle": oracle}
    areas, points, figures = {}, [], {}
    for name, values in orders.items():
        for curve in ("deletion", "insertion"):
            found = curves.curve(values, curve)
            areas[curve, name] = found.mean(axis=1)
            points.append(curves.table(curve, name, found))
    reverse = curves.curve(-explanation.values, "deletion").mean()
    if explanation.y is not None:
        known = {"labels": np.unique(explanation.y), "average": "macro"}
        score = recall_score(explanation.y, explanation.predictions, **known)
        figures["balanced_accuracy"] = score
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        own, random, best = (areas[curve, name] for name in orders)
        figures[f"{curve}_area"] = own.mean()
        figures[f"random_{curve}_area"] = random.mean()
        figures[f"oracle_{curve}_area"] = best.mean()
        gain = curves.interval(sign * (own - random))
        possible, low, _ = curves.interval(sign * (best - random))
        # An oracle that is no better than random for certain leaves nothing to be measured by.
        score = (np.nan,) * 3 if low <= 0 else tuple(value / possible for value in gain)
        for name, found in (("gain", gain), ("score", score)):
            for suffix, value in zip(("", "_low", "_high"), found, strict=True):
                figures[f"{curve}_{name}{suffix}"] = value
    figures["lerf_minus_morf"] = reverse - areas["deletion", "explanation"].mean()
    return pd.concat(points, ignore_index=True), figures


def randomize_parameters(network, data, random_state):
    """Copy a network and draw every parameter anew, with the mean and spread of its tensor."""
    # What an `EEGTransformer` has learnt of its sources is measured anew.
    rng = check_random_state(random_state)
    network = copy.deepcopy(network).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
            # What is constant, such as biases that never moved, gets a little spread as well.
            values = rng.normal(float(parameter.mean()), max(spread, 0.02), parameter.shape)
            parameter.copy_(torch.as_tensor(values))
        if not isinstance(network, EEGTransformer):
            return network
        network.source_power.fill_(1)
        network.learn_powers(batches(network, data))
        with record_attention(network) as attention:
            predict_logits(network, data)
        network.usual_tokens.copy_(attention.values().tokens.mean(dim=0))
        said, rows = attention.values().contributions, np.arange(len(data))
        network.channel_shares.copy_(channel_shares(network, data, rows, said))
    return network


def randomized_classifier(explanation, random_state):
    """Copy the explained classifier with random parameters, which knows the same subjects."""
    source = explanation.source
    classifier = copy.copy(source.classifier)
    classifier.net_ = copy.copy(classifier.net_)
    network = randomize_parameters(classifier.net_.module_, source.data, random_state)
    classifier.net_.module_ = network
    if source.means is not None:
        powers = classifier._raw_tokens(source.data)[:, :, 0].double()
        classifier.subject_means_ = {
            name: powers[rows].mean(dim=0).float().numpy()
            for name, rows in rows_by_subject(explanation.subjects, len(powers)).items()
        }
    return classifier


def _map_by(explanation, classifier):
    """Explain the same epochs by the same method with another model: the mean over epochs."""
    explainer = copy.copy(explanation.source.explainer).set_params(connections=False)
    if not isinstance(explainer.random_state, int | np.integer | None):
        explainer.set_params(random_state=0)  # each model has equal draws
    channels = {"ch_names": explanation.ch_names, "info": explanation.info}
    data, y = explanation.source.data, explanation.y
    fields, _ = explainer._attribute(classifier, data, y, explanation.subjects, channels)
    return fields["token_values"].sum(axis=-1).mean(axis=0)


def _rank_correlation(a, b):
    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else spearmanr(a, b).statistic


def _judge(explanation, figures):
    """Say in sentences what each test found."""
    sentences, passed = [], {}
    accuracy, n_classes = figures.get("balanced_accuracy"), len(explanation.classes)
    if accuracy is not None and accuracy < 1 / n_classes + 0.05:
        sentences.append(
            f"The model is at chance on these epochs (balanced accuracy {accuracy:.2f}): there is "
            "nothing about the classes to explain."
        )
    for curve, what in (("deletion", "Removing"), ("insertion", "Inserting")):
        gain, low, high = (figures[f"{curve}_gain{end}"] for end in ("", "_low", "_high"))
        passed[curve] = low > 0
        than = "better than" if low > 0 else "worse than" if high < 0 else "no better than"
        score = [figures[f"{curve}_score{end}"] for end in ("", "_low", "_high")]
        detail = "(its gain is {:.2f} times the oracle's, 95 % {:.2f} to {:.2f})".format(*score)
        if np.isnan(score[0]):
            detail = (
                f"(by {gain:.2f} in probability, 95 % {low:.2f} to {high:.2f}); the order by what "
                "each channel does alone is no better than random either, so that there is no "
                "oracle to compare with"
            )
        sentences.append(f"{what} channels in the map's order is {than} random {detail}.")
    passed["sign"] = figures["lerf_minus_morf"] >= 0
    if not passed["sign"]:
        sentences.append(
            "The sign is wrong: the class suffers less from losing the highest values than from "
            "losing the lowest."
        )
    if "randomized_model" in figures:
        passed["randomization"], sentence = _judge_randomization(figures)
        sentences.append(sentence)
    label, correlation = METHODS[explanation.method].label, figures["permutation_correlation"]
    comparison = (
        f"the rank correlation of the {label} map with permutation importance is {correlation:.2f}"
    )
    disagreement = None
    if correlation < _AGREEMENT:
        disagreement = f"Attributions differ by method: {comparison}."
    sentences.append(disagreement or f"{comparison[0].upper()}{comparison[1:]}.")
    return {name: bool(one) for name, one in passed.items()}, " ".join(sentences), disagreement


def _judge_randomization(figures):
    """Tell a map that depends on what was learnt from one that random models agree on as well."""
    same, among = figures["randomized_model"], figures.get("randomized_models", np.nan)
    each_other = "" if np.isnan(among) else f" (these with each other {among:.2f})"
    if same < _SAME_MAP:
        found = "The map differs from those of models that have learnt nothing"
    elif same < among:
        found = (
            "Part of the map follows from the data alone, but it is less like those of random "
            "models than these are like each other"
        )
    else:
        found = (
            "The map is about as much like those of models that have learnt nothing, so that the "
            "data alone may explain it"
        )
    passed = same < _SAME_MAP or same < among
    return passed, (
        f"{found}; its rank correlations: with maps of models with random parameters "
        f"{same:.2f}{each_other}, with the channels' amplitudes "
        f"{figures['amplitude_correlation']:.2f}."
    )
