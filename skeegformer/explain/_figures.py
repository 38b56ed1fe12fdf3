"""Methods of `Explanation` that draw: averages by class, subject or part, and their units."""

import numpy as np

from skeegformer._validation import check_one_of
from skeegformer.explain.methods import METHODS
from skeegformer.plotting import ConnectionDisplay, TopomapDisplay
from skeegformer.plotting.patterns import draw_patterns


def plot_topomap(self, by="class", *, difference=None, **kwargs):
    """Plot the values as topographic maps; shares are in percent.

    Parameters
    ----------
    by : {"class", "subject", "part", "class and part", None}, default="class"
        One map for each class, subject, or temporal token or band ("part"); "class and part": a row
        of parts for each class; None: one map for all epochs.
    difference : tuple of (object, object) or None, default=None
        Two classes, subjects or parts: only the difference, first minus second, is drawn.
    **kwargs : dict
        See `TopomapDisplay.plot`: ``mask``, ``names``, ``vlim``, ``ax``, ...

    Returns
    -------
    TopomapDisplay
        With the figure in ``figure_`` and the axes in ``axes_``.

    Raises
    ------
    ValueError
        If positions, subjects or the conditions of `difference` are unknown.
    """
    check_one_of("by", by, ("class", "subject", "part", "class and part", None))
    signed, unit = METHODS[self.method].signed, _unit(self)
    if by == "class and part":
        kwargs = {"n_columns": len(self.parts)} | kwargs
        means = {
            f"{title}\n{part}": mean[:, k]
            for title, mean in _means(self, self.token_values, "class", difference).items()
            for k, part in enumerate(self.parts)
        }
    else:
        means = _means(self, self.values, by, difference)
    if difference is not None:
        signed = True
        unit = "difference (% points)" if _factor(self) == 100 else f"difference in {unit}"
    maps = _factor(self) * np.array(list(means.values()))
    display = TopomapDisplay(maps, self.info, list(means), unit=unit, signed=signed)
    return display.plot(**kwargs)


def plot_connections(self, by="class", **kwargs):
    """Plot the strongest connections between channels.

    Parameters
    ----------
    by : {"class", "subject", None}, default="class"
        One head for each class or subject, or one for all epochs.
    **kwargs : dict
        See `ConnectionDisplay.plot`: ``top``, ``ax``.

    Returns
    -------
    ConnectionDisplay
        The display; its ``to_html`` writes an interactive page.
    """
    check_one_of("by", by, ("class", "subject", None))
    if self.connections is None:
        raise ValueError(
            "This explanation has no connections between channels: make it by "
            "AttentionExplainer(connections=True)."
        )
    means = _means(self, self.connections, by)
    maps = _factor(self) * np.array(list(means.values()))
    display = ConnectionDisplay(maps, self.info, list(means), unit=_unit(self))
    return display.plot(**kwargs)


def plot_patterns(self, n_sources=5, *, ax=None):
    """Plot filters, patterns, spectra and weights of the sources with the largest shares.

    Electrodes without a position, or at the position of another one, are left out with a warning.

    Parameters
    ----------
    n_sources : int, default=5
        Number of sources.
    ax : matplotlib.axes.Axes, sequence of them or None, default=None
        Four axes for each source, row by row; None creates a figure, with an explanatory caption.

    Returns
    -------
    ndarray of matplotlib.axes.Axes of shape (n_sources, 4)
        Filter, pattern, frequencies and weights of each source.

    Raises
    ------
    ValueError, TypeError
        As for `patterns`, or if fewer than three electrodes have a position.
    """
    found = self.patterns(n_sources)
    shares = zip(found.shares, found.tokens, strict=True)
    titles = [f"{100 * share:.0f} %, {token}" for share, token in shares]
    return draw_patterns(found, self.info, titles, ax)


def _factor(explanation):
    """Return 100 for shares, which figures show in percent."""
    return 100.0 if METHODS[explanation.method].unit.startswith("share") else 1.0


def _unit(explanation):
    targets = [] if explanation.targets is None else np.unique(explanation.targets)
    if len(targets) == 1 and _factor(explanation) == 1:  # of all epochs, whatever their own class
        return explanation.unit.replace("of the class", f"of {targets[0]}")
    return f"{explanation.unit} (%)" if _factor(explanation) == 100 else explanation.unit


def _means(explanation, values, by, difference=None):
    """Average values of shape (n_epochs, ...) by condition, or subtract two of these, by title."""
    form = "{}"
    if by is None:
        title = f"all {len(values)} epochs"
        if explanation.subjects is not None:
            n_subjects = len(np.unique(explanation.subjects))
            title += f" of {n_subjects} subject{'s' * (n_subjects > 1)}"
        if (n_models := explanation.settings.get("n_models", 1)) > 1:
            title += f", {n_models} models"
        if len(values) == 1:
            title = f"one epoch, predicted: {explanation.predictions[0]}"
        means = {title: values.mean(axis=0)}
    elif by == "part":
        means = explanation.part_means()
    else:
        labels = explanation.labels() if by == "class" else explanation.subjects
        if labels is None:
            raise ValueError("The subjects are not known: pass groups to explain.")
        names = explanation.classes if by == "class" else np.unique(labels)
        means = {str(name): values[labels == name].mean(axis=0) for name in names if name in labels}
        if by == "subject":
            form = "subject {}"
        elif explanation.y is None:
            form = "{} (predicted)"
    if difference is None:
        return {form.format(name): mean for name, mean in means.items()}
    pair = [difference] if isinstance(difference, str) else [str(one) for one in difference]
    if len(pair) != 2 or not set(pair) <= set(means):
        raise ValueError(
            f"difference={difference!r} has to be a pair of what by={by!r} gives: "
            f"{', '.join(means)}."
        )
    if pair[0] == pair[1]:
        raise ValueError(f"difference={difference!r} compares {pair[0]!r} with itself.")
    return {" − ".join(pair): means[pair[0]] - means[pair[1]]}
