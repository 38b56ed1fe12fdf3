"""From an explanation to the numbers that a figure shows."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state


@dataclass(frozen=True)
class Scale:
    """How values are turned into what a figure shows.

    Attributes
    ----------
    factor : float
        100 for shares, which are shown in percent.
    unit : str
        Label of an axis or a colour bar.
    difference_unit : str
        The same for differences between two conditions.
    signed : bool
        Whether values may be negative.
    """

    factor: float
    unit: str
    difference_unit: str
    signed: bool


def scale_of(explanation):
    """Return the Scale of an explanation's values."""
    from skeegformer.explain import METHODS

    unit = explanation.unit
    is_share = unit.endswith("(%)")
    return Scale(
        factor=100.0 if is_share else 1.0,
        unit=unit,
        difference_unit="difference (% points)" if is_share else f"difference in {unit}",
        signed=METHODS[explanation.method].signed,
    )


def explain(estimator, X, y, groups, **params):
    """Explain the predictions of an estimator, by an explainer with these parameters."""
    from skeegformer.explain import AttentionExplainer

    return AttentionExplainer(**params).explain(estimator, X, y, groups=groups)


def condition_means(explanation, values, by):
    """Average values of shape (n_epochs, ...) over the epochs of each class or subject, or all."""
    if by is None:
        return {f"all {len(values)} epochs": values.mean(axis=0)}
    if by == "class":
        labels, names = explanation.labels(), explanation.classes.tolist()
        names = {name: str(name) for name in names if (labels == name).any()}
    else:
        if explanation.subjects is None:
            raise ValueError(
                "by='subject' needs to know the subject of each epoch, and this explanation does "
                "not: give explain groups=, or Epochs whose metadata have a column 'subject'."
            )
        labels = np.asarray(explanation.subjects)
        names = {name: f"subject {name}" for name in np.unique(labels).tolist()}
    return {title: values[labels == name].mean(axis=0) for name, title in names.items()}


def contrast(means, difference, by):
    """Keep two of the conditions, and subtract the second from the first.

    Parameters
    ----------
    means : dict of str or (str, str) to ndarray
        Means by condition, or by (condition, part).
    difference : pair
        Two of the conditions.
    by : str or None
        What the conditions are, for messages.

    Returns
    -------
    two : dict
        What `means` holds of the two conditions.
    differences : dict
        First minus second.
    """
    conditions = list(dict.fromkeys(key[0] if isinstance(key, tuple) else key for key in means))
    if isinstance(difference, str) or np.size(difference) != 2:
        raise ValueError(
            f"difference={difference!r} has to be a pair of what by={by!r} gives: "
            f"{', '.join(conditions)}."
        )
    first, second = (str(name) for name in difference)
    for name in (first, second):
        if name not in conditions:
            raise ValueError(
                f"difference={tuple(difference)!r} names {name!r}, but by={by!r} gives "
                f"{', '.join(conditions)}."
            )
    if first == second:
        raise ValueError(f"difference={tuple(difference)!r} compares {first!r} with itself.")
    title = f"{first} − {second}"
    if first in means:
        two = {name: means[name] for name in (first, second)}
        return two, {title: means[first] - means[second]}
    parts = [part for condition, part in means if condition == first]
    two = {(name, part): means[name, part] for name in (first, second) for part in parts}
    return two, {(title, part): means[first, part] - means[second, part] for part in parts}


def bootstrap_intervals(explanation, *, level, n_resamples, random_state):
    """Bootstrap the mean of every channel over subjects, or over epochs where there is one.

    Parameters
    ----------
    explanation : Explanation
        Its `values` are averaged over all epochs, whatever the size of a subject.
    level : float
        Coverage.
    n_resamples : int
        Number of bootstrap samples.
    random_state : int, RandomState instance or None
        Seed.

    Returns
    -------
    intervals : ndarray of shape (n_chans, 2) or None
        Lower and upper end; None where there is a single epoch.
    label : str or None
        What the interval is.
    """
    values = explanation.values
    units, kind = np.arange(len(values)), "epochs"
    if explanation.subjects is not None:
        subjects = np.unique(explanation.subjects, return_inverse=True)[1]
        if subjects.max() > 0:
            units, kind = subjects, "subjects"
    n_units = units.max() + 1
    if n_units < 2:
        return None, None
    counts = np.bincount(units)
    sums = np.zeros((n_units, values.shape[1]))
    np.add.at(sums, units, values)
    rng = check_random_state(random_state)
    drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_resamples)
    means = drawn @ sums / (drawn @ counts)[:, np.newaxis]
    tails = 50 * (1 - level), 50 * (1 + level)
    label = f"{100 * level:g} % bootstrap interval over {n_units} {kind}"
    return np.percentile(means, tails, axis=0).T, label
