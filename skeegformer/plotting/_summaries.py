"""From an explanation to the numbers that a figure shows."""

from dataclasses import dataclass

import numpy as np


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


def means_with_intervals(explanation, *, level, n_resamples, random_state):
    """Average every channel over subjects, or over epochs where fewer than three are known.

    Parameters
    ----------
    explanation : Explanation
        What to average.
    level : float
        Coverage of the intervals.
    n_resamples : int
        Number of bootstrap samples.
    random_state : int, RandomState instance or None
        Seed.

    Returns
    -------
    means : ndarray of shape (n_chans,)
        Means.
    intervals : ndarray of shape (n_chans, 2) or None
        Lower and upper ends; None where there are fewer than three epochs.
    label : str or None
        What the interval is.
    """
    from skeegformer.explain import bootstrap_intervals, subject_means

    units, kind = explanation.values, "epochs"
    if explanation.subjects is not None and len(np.unique(explanation.subjects)) >= 3:
        units, kind = subject_means(explanation, by=None).to_numpy(), "subjects"
    if len(units) < 3:
        return units.mean(axis=0), None, None
    table = bootstrap_intervals(
        units, level=level, n_resamples=n_resamples, random_state=random_state
    )
    label = f"{100 * level:g} % bootstrap interval over {len(units)} {kind}"
    return table["mean"].to_numpy(), table[["low", "high"]].to_numpy(), label
