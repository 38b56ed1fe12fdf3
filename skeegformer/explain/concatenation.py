"""Explanations of several folds as one."""

from dataclasses import replace

import numpy as np

from skeegformer.explain.explanation import PER_EPOCH


def concatenate_explanations(explanations):
    """Join explanations of different epochs, for example of the test subjects of each fold.

    Parameters
    ----------
    explanations : list of Explanation
        By one method, of the same channels, parts and classes.

    Returns
    -------
    Explanation
        Of all epochs. It has no model of its own: explanations of several models cannot be
        put to the test together.

    Raises
    ------
    ValueError
        If there is nothing to join, or they do not belong together.
    """
    explanations = list(explanations)
    if not explanations:
        raise ValueError("There are no explanations to join.")
    first = explanations[0]
    for name in ("method", "ch_names", "parts", "part_kind"):
        found = [getattr(explanation, name) for explanation in explanations]
        if any(value != found[0] for value in found):
            raise ValueError(f"The explanations differ in {name}, and cannot be joined.")
    if any(list(one.classes) != list(first.classes) for one in explanations):
        raise ValueError("The explanations differ in classes, and cannot be joined.")
    joined = {}
    for name in PER_EPOCH:
        values = [getattr(explanation, name) for explanation in explanations]
        known = all(value is not None for value in values)
        joined[name] = np.concatenate(values) if known else None
    sources = [explanation.source for explanation in explanations]
    source = None
    if None not in sources and len({id(one.classifier.net_) for one in sources}) == 1:
        data = np.concatenate([one.data for one in sources])
        means = None
        if first.source.means is not None:
            means = np.concatenate([one.means for one in sources])
        source = replace(first.source, data=data, means=means)
    return replace(first, **joined, permutation=None, source=source)
