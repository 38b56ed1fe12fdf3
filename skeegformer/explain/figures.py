"""From an explanation to its figures: averages by class, subject or band, and units."""

import numpy as np

from skeegformer._validation import check_one_of
from skeegformer.explain.methods import METHODS
from skeegformer.explain.statistics import bootstrap_intervals, subject_means
from skeegformer.plotting import (
    ChannelBarDisplay,
    ConnectionDisplay,
    PatternDisplay,
    TokenMatrixDisplay,
    TopomapDisplay,
)


class FiguresMixin:
    """Figures of an `Explanation`; shares (of 1) are shown in percent."""

    def plot_topomap(self, by="class", *, difference=None, **kwargs):
        """Draw the values over the scalp.

        Parameters
        ----------
        by : {"class", "subject", "part", "class and part", None}, default="class"
            A map for each class, subject, temporal token or band ("part"); for
            "class and part" a grid of classes by parts; for None one map of all epochs.
        difference : tuple of (object, object) or None, default=None
            Two classes (or whatever `by` makes maps of): only they are drawn, and the first
            minus the second. The difference is taken before anything is scaled to percent.
        **kwargs : dict
            See `TopomapDisplay.plot`: ``mask``, ``names``, ``vlim``, ``ax``, ...

        Returns
        -------
        TopomapDisplay
            With the figure in ``figure_`` and the axes in ``axes_``.

        Raises
        ------
        ValueError
            If positions are not known, `by` is something else, or the explanation lacks what
            `by` or `difference` asks for.
        """
        check_one_of("by", by, ("class", "subject", "part", "class and part", None))
        if self.info is None:
            raise ValueError(
                "A topomap needs electrode positions, and the classifier was fitted on data "
                "without them: pass Epochs with a montage (epochs.set_montage), or give explain "
                "an info=."
            )
        means, differences = _contrast(_means(self, by), difference, by)
        return TopomapDisplay(
            **_scaled(self, means, differences), info=self.info, signed=METHODS[self.method].signed
        ).plot(**kwargs)

    def plot_bars(
        self,
        *,
        intervals="bootstrap",
        interval_label=None,
        level=0.95,
        n_resamples=2000,
        random_state=0,
        **kwargs,
    ):
        """Draw a bar with an interval for each channel: the mean over epochs or subjects.

        For a single class use ``explanation.select(label=...).plot_bars()``.

        Parameters
        ----------
        intervals : "bootstrap", ndarray of shape (n_chans, 2) or None, default="bootstrap"
            "bootstrap" draws subjects as ``explanation.confidence_intervals`` does, and bars are
            means over subjects; with fewer than three it draws epochs. An array holds intervals
            in the unit of ``explanation.values``.
        interval_label : str or None, default=None
            What the intervals of an array are.
        level : float, default=0.95
            Coverage of bootstrap intervals.
        n_resamples : int, default=2000
            Number of bootstrap samples.
        random_state : int, RandomState instance or None, default=0
            Seed of the bootstrap.
        **kwargs : dict
            See `ChannelBarDisplay.plot`: ``n_top``, ``regions``, ``ax``.

        Returns
        -------
        ChannelBarDisplay
            Drawn.

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1, `n_resamples` is less than 1, or `intervals` is
            something else.
        """
        means = self.values.mean(axis=0)
        if isinstance(intervals, str):
            check_one_of("intervals", intervals, ("bootstrap",))
            means, intervals, interval_label = _bootstrap(self, level, n_resamples, random_state)
        factor = _factor(self)
        return ChannelBarDisplay(
            factor * means,
            self.ch_names,
            None if intervals is None else factor * np.asarray(intervals, dtype=float),
            unit=_unit(self),
            interval_label=interval_label,
        ).plot(**kwargs)

    def plot_matrix(self, by=None, *, difference=None, **kwargs):
        """Draw the connections between channels as matrices, ordered by region.

        Parameters
        ----------
        by : {"class", "subject", None}, default=None
            A matrix for each class or subject, or one for all epochs.
        difference : tuple of (object, object) or None, default=None
            Two of the classes or subjects: only they are drawn, and the first minus the second.
        **kwargs : dict
            See `TokenMatrixDisplay.plot`: ``diagonal``, ``names``, ``vlim``, ``ax``, ...

        Returns
        -------
        TokenMatrixDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are no connections, or no such conditions.
        """
        check_one_of("by", by, ("class", "subject", None))
        means = _condition_means(self, _connections(self), by)
        means, differences = _contrast(means, difference, by)
        return TokenMatrixDisplay(
            **_scaled(self, means, differences),
            ch_names=self.ch_names,
            signed=METHODS[self.method].signed,
        ).plot(**kwargs)

    def plot_connections(self, by="class", *, baseline="channel", **kwargs):
        """Draw the strongest connections between channels on a head.

        Parameters
        ----------
        by : {"class", "subject", None}, default="class"
            A head for each class or subject, or one for all epochs.
        baseline : {"channel", "condition", None}, default="channel"
            What is subtracted; see `ConnectionDisplay`.
        **kwargs : dict
            See `ConnectionDisplay.plot`: ``top``, ``threshold``, ``names``, ``ax``.

        Returns
        -------
        ConnectionDisplay
            Drawn; its ``to_html`` writes an interactive page.

        Raises
        ------
        ValueError
            If there are no connections, no such conditions, or no positions.
        """
        check_one_of("by", by, ("class", "subject", None))
        means = _condition_means(self, _connections(self), by)
        return ConnectionDisplay(
            _factor(self) * np.array(list(means.values())),
            self.info,
            list(means),
            baseline=baseline,
            unit=_unit(self),
        ).plot(**kwargs)

    def plot_patterns(self, n_sources=5, *, ax=None):
        """Draw filters and patterns of the sources that count most.

        Parameters
        ----------
        n_sources : int, default=5
            Number of sources.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            See `PatternDisplay.plot`.

        Returns
        -------
        PatternDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the explanation does not know its model, or positions are not known.
        """
        found = self.patterns(n_sources)
        shares = zip(found.shares, found.tokens, strict=True)
        return PatternDisplay(
            found.filters,
            found.patterns,
            self.info,
            found.frequencies,
            found.responses,
            found.times,
            found.weights,
            found.classes,
            [f"{100 * share:.0f} %, {token}" for share, token in shares],
        ).plot(ax)

    def to_report(self, path=None, *, title=None, faithfulness=None, scores=None, overwrite=False):
        """Put everything on one page: method, scores, maps, connections, tests and versions.

        Parameters
        ----------
        path : path-like or None, default=None
            Where to write the page (``.html``). It appears only when it is complete, and loads
            nothing from outside.
        title : str or None, default=None
            Title of the page; None names the method.
        faithfulness : Faithfulness, True or None, default=None
            What `evaluate` found; True evaluates now.
        scores : pandas.DataFrame or None, default=None
            Scores to show as a table, such as those of `cross_subject_scores`. Scores on the
            explained epochs are shown in any case where true labels are known.
        overwrite : bool, default=False
            Whether an existing file is replaced.

        Returns
        -------
        mne.Report
            The page, to which more can be added.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is False.
        ValueError
            If `path` does not end in ``.html``.
        TypeError
            If `scores` is no DataFrame.
        """
        from skeegformer.explain._report import explanation_report

        if faithfulness is True:
            faithfulness = self.evaluate(random_state=0)
        return explanation_report(
            self, path, title=title, faithfulness=faithfulness, scores=scores, overwrite=overwrite
        )


def _factor(explanation):
    """Return 100 for shares, which figures show in percent."""
    return 100.0 if METHODS[explanation.method].is_share else 1.0


def _unit(explanation):
    """Say what figures show."""
    return f"{explanation.unit} (%)" if _factor(explanation) == 100 else explanation.unit


def _scaled(explanation, means, differences):
    """Return what displays of maps take: arrays, titles and units."""
    factor, unit = _factor(explanation), _unit(explanation)
    return {
        "values": factor * np.array(list(means.values())),
        "titles": list(means),
        "unit": unit,
        "differences": factor * np.array(list(differences.values())) if differences else None,
        "difference_titles": list(differences),
        "difference_unit": "difference (% points)" if factor == 100 else f"difference in {unit}",
    }


def _connections(explanation):
    if explanation.connections is None:
        raise ValueError(
            "This explanation has no connections between channels: make it by "
            "AttentionExplainer(connections=True)."
        )
    return explanation.connections


def _means(explanation, by):
    """Average channel values as `by` says, by title; pairs (class, part) for the grid."""
    if by == "part":
        return explanation.part_means()
    if by == "class and part":
        means = _condition_means(explanation, explanation.token_values, "class")
        return {
            (label, part): mean[:, k]
            for label, mean in means.items()
            for k, part in enumerate(explanation.parts)
        }
    return _condition_means(explanation, explanation.values, by)


def _condition_means(explanation, values, by):
    """Average values of shape (n_epochs, ...) over the epochs of each class or subject, or all.

    Titles say of classes that they are predicted, where the true ones are not known.
    """
    if by is None:
        return {f"all {len(values)} epochs": values.mean(axis=0)}
    if by == "class":
        labels = explanation.labels()
        names = [name for name in explanation.classes.tolist() if (labels == name).any()]
        form = "{}" if explanation.y is not None else "{} (predicted)"
    else:
        if explanation.subjects is None:
            raise ValueError(
                "by='subject' needs to know the subject of each epoch, and this explanation does "
                "not: give explain groups=, or Epochs whose metadata have a column 'subject'."
            )
        labels = np.asarray(explanation.subjects)
        names, form = np.unique(labels).tolist(), "subject {}"
    return {form.format(name): values[labels == name].mean(axis=0) for name in names}


def _contrast(means, difference, by):
    """Keep two of the conditions, and subtract the second from the first.

    Keys of `means` are conditions, or pairs of condition and part. Without a difference all
    means are kept.
    """
    if difference is None:
        return means, {}
    titles = list(dict.fromkeys(key[0] if isinstance(key, tuple) else key for key in means))
    conditions = {title.removesuffix(" (predicted)"): title for title in titles}
    conditions |= {title.removeprefix("subject "): title for title in titles if by == "subject"}
    if isinstance(difference, str) or np.size(difference) != 2:
        raise ValueError(
            f"difference={difference!r} has to be a pair of what by={by!r} gives: "
            f"{', '.join(titles)}."
        )
    pair = []
    for name in map(str, difference):
        if name not in {*conditions, *titles}:
            raise ValueError(
                f"difference={tuple(difference)!r} names {name!r}, but by={by!r} gives "
                f"{', '.join(titles)}."
            )
        pair.append(conditions.get(name, name))
    first, second = pair
    if first == second:
        raise ValueError(f"difference={tuple(difference)!r} compares {first!r} with itself.")
    title = " − ".join(name.removesuffix(" (predicted)") for name in pair)
    if first in means:
        return {name: means[name] for name in pair}, {title: means[first] - means[second]}
    parts = [part for condition, part in means if condition == first]
    two = {(name, part): means[name, part] for name in pair for part in parts}
    return two, {(title, part): means[first, part] - means[second, part] for part in parts}


def _bootstrap(explanation, level, n_resamples, random_state):
    """Average channels over subjects, or over epochs where fewer than three are known.

    Returns means, intervals of shape (n_chans, 2), and what they are; the latter two are None
    where there are fewer than three epochs.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} is not between 0 and 1; 0.95 is usual.")
    if n_resamples < 1:
        raise ValueError(f"n_resamples={n_resamples!r} has to be at least 1.")
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
