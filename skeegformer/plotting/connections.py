"""Directed connections between channels on a head: as a figure, and as a page to turn around."""

import numpy as np

from skeegformer._validation import check_one_of
from skeegformer.plotting._connections_figure import VIEWS, draw_connections
from skeegformer.plotting._connections_html import connections_page
from skeegformer.plotting._saving import check_page, replacing

BASELINES = (None, "key", "condition")
_SHOWN = {
    None: "Values are shown as they are.",
    "key": (
        "Shown is the difference to the mean over all other queries of the same key; "
        "self-attention is compared with the mean self-attention."
    ),
    "condition": "Shown is the difference to the mean over all conditions.",
}
_DIRECTION = (
    "Arrows run from the key, the channel that is attended to, to the query, the channel "
    "that attends: the way that information takes. Rings are self-attention, the larger the more."
)
_CAUTION = (
    "Attention tells where the model looks. It is neither what the model needs nor a "
    "connection in the brain."
)


class ConnectionDisplay:
    """Which channels a transformer takes information from, channel by channel, on a head.

    Best made by `from_explanation` or `from_estimator`. `plot` draws a figure, `to_html`
    writes an interactive page that works without a network.

    Parameters
    ----------
    matrices : dict of str to ndarray of shape (n_chans, n_chans)
        Condition to its connections; the row is the query, the column the key, and
        information flows from key to query. Or for each band such a dict, all with the same
        conditions.
    info : mne.Info
        Names and positions of the channels, in the order of the matrices.
    baseline : {"key", "condition", None}, default="key"
        What is subtracted. Rollout is dominated by self-attention, and by keys that every
        channel looks at. "key" subtracts, from each connection, the mean over all other
        queries of its key (and from self-attention the mean self-attention), which leaves
        what one channel takes from another beyond what all take from it. "condition"
        subtracts the mean over conditions, which leaves their differences. None subtracts
        nothing.
    unit : str, default="share of attention (%)"
        Unit of the values.

    Attributes
    ----------
    matrices : dict
        Band to condition to matrix; the only band is called "" if there are no bands.
    strengths : dict
        The same after subtracting the baseline: what is drawn.
    caption : str
        How to read the arrows.
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_bands * n_conditions, n_views)
        Its heads.
    ax_ : matplotlib.axes.Axes
        The first of them.

    Raises
    ------
    ValueError
        If matrices and channels do not fit, values are not finite, positions are missing, or
        the baseline needs more conditions or channels than there are.

    See Also
    --------
    TopomapDisplay : One value per channel.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import mne
    >>> import numpy as np
    >>> from skeegformer.plotting import ConnectionDisplay
    >>> info = mne.create_info(["Fz", "C3", "C4", "Pz"], 160.0, "eeg")
    >>> info = info.set_montage("biosemi64")
    >>> rest, task = np.random.default_rng(0).random((2, 4, 4))
    >>> task[3, 1] += 2  # Pz takes more from C3
    >>> display = ConnectionDisplay({"rest": rest, "task": task}, info).plot(top=5)
    >>> display.axes_.shape
    (2, 3)
    >>> strongest = display.to_dataframe().iloc[0]
    >>> print(strongest["source"], "to", strongest["target"])
    C3 to Pz
    """

    def __init__(self, matrices, info, *, baseline="key", unit="share of attention (%)"):
        check_one_of("baseline", baseline, BASELINES)
        self.info = info
        self.baseline = baseline
        self.unit = unit
        self.positions = _positions(info)
        self.matrices = _by_band(matrices, info["ch_names"])
        self.strengths = {
            band: _subtract(conditions, baseline) for band, conditions in self.matrices.items()
        }

    @classmethod
    def from_explanation(cls, explanation, *, baseline="key", labels="auto", **kwargs):
        """Average the connections of each class, and draw them.

        Parameters
        ----------
        explanation : Explanation or dict of str to Explanation
            Explained with ``connections=True``; or one for each band.
        baseline : {"key", "condition", None}, default="key"
            What is subtracted; see the class.
        labels : {"auto", "true", "predicted"}, default="auto"
            Which label decides on an epoch's class; "auto" takes the true ones where known.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ConnectionDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the explanation has no connections, or no electrode positions.
        """
        bands = explanation if isinstance(explanation, dict) else {"": explanation}
        if not bands:
            raise ValueError("There is no explanation to draw.")
        first = next(iter(bands.values()))
        matrices = {band: _class_means(one, labels) for band, one in bands.items()}
        display = cls(matrices, first.info, baseline=baseline, unit=first.unit)
        return display.plot(**kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, baseline="key", **kwargs):
        """Explain the predictions for X by attention rollout, and draw its connections.

        Parameters
        ----------
        estimator : Pipeline or EEGTransformerClassifier
            Fitted.
        X : mne.Epochs or list of mne.Epochs
            Epochs to explain.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels.
        baseline : {"key", "condition", None}, default="key"
            What is subtracted; see the class.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ConnectionDisplay
            Drawn.
        """
        from skeegformer.explain import AttentionExplainer

        explainer = AttentionExplainer(method="rollout", connections=True)
        return cls.from_explanation(explainer.explain(estimator, X, y), baseline=baseline, **kwargs)

    @property
    def caption(self):
        """How to read the arrows, in a few sentences."""
        return f"{_DIRECTION} {_SHOWN[self.baseline]} {_CAUTION}"

    @property
    def limit(self):
        """Strength of the strongest connection between two channels, of all conditions."""
        return max(_pairs(matrix).max() for _, _, matrix in self._drawn())

    def to_dataframe(self):
        """List all connections, the strongest first.

        Returns
        -------
        pandas.DataFrame of shape (n_bands * n_conditions * n_chans**2, 6)
            ``band``, ``condition``, ``source`` (the key), ``target`` (the query), ``value``
            and ``strength``, which is the value after subtracting the baseline. Sorted by
            the size of the strength, whatever its sign.
        """
        import pandas as pd

        names = np.array(self.info["ch_names"], dtype=object)
        n_chans = len(names)
        tables = [
            pd.DataFrame(
                {
                    "band": band,
                    "condition": condition,
                    "source": np.tile(names, n_chans),
                    "target": np.repeat(names, n_chans),
                    "value": self.matrices[band][condition].ravel(),
                    "strength": matrix.ravel(),
                }
            )
            for band, condition, matrix in self._drawn()
        ]
        table = pd.concat(tables, ignore_index=True)
        return table.sort_values("strength", key=abs, ascending=False, ignore_index=True)

    def plot(
        self,
        ax=None,
        *,
        views=("left", "top", "right"),
        top=30,
        threshold=0.0,
        loops=True,
        names=True,
    ):
        """Draw the strongest connections, each condition in a row of its own.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each band, condition and view, in this order; None makes a figure.
        views : sequence of {"left", "top", "right", "back", "front"}
            From where the head is seen. What lies on its far side is drawn faintly.
        top : int, default=30
            How many connections are drawn in each condition, self-attention not counted.
        threshold : float, default=0.0
            Smallest strength that is drawn, in the unit of the values, whatever its sign.
        loops : bool, default=True
            Whether self-attention is drawn, as rings whose size is its strength.
        names : bool, default=True
            Whether to write channel names beside the electrodes.

        Returns
        -------
        ConnectionDisplay
            Itself, with ``figure_``, ``axes_`` and ``ax_``.

        Raises
        ------
        ValueError
            If a view is unknown, `top` or `threshold` is negative, or there are fewer or more
            axes than heads.
        """
        views = [views] if isinstance(views, str) else list(views)
        for view in views:
            check_one_of("views", view, tuple(VIEWS))
        self._check_selection(top, threshold)
        rows = [
            (
                _title(band, condition),
                self._select(matrix, top, threshold),
                np.where(abs(np.diagonal(matrix)) >= threshold, np.diagonal(matrix), 0) * loops,
            )
            for band, condition, matrix in self._drawn()
        ]
        self.figure_, self.axes_ = draw_connections(
            rows,
            self.positions,
            self.info["ch_names"] if names else None,
            views=views,
            limit=self.limit,
            signed=self._signed,
            label=self._label,
            caption=self.caption,
            ax=ax,
        )
        self.ax_ = self.axes_[0, 0]
        return self

    def to_html(self, path=None, *, title="Connections between channels", top=300, overwrite=False):
        """Make a page with a head to turn around; it loads nothing from outside.

        Condition, band, a threshold, self-attention and names are chosen on the page and
        keep their state when another of them changes.

        Parameters
        ----------
        path : path-like or None, default=None
            Where to write the page. It appears only when it is complete.
        title : str, default="Connections between channels"
            Its title.
        top : int, default=300
            How many connections are drawn at most at a time, the strongest, self-attention
            not counted.
        overwrite : bool, default=False
            Whether an existing file is replaced.

        Returns
        -------
        str
            The page.

        Raises
        ------
        ImportError
            If plotly is not installed.
        FileExistsError
            If the file exists and `overwrite` is False.
        """
        if path is not None:
            check_page(path, overwrite)
        self._check_selection(top, 0.0)
        page = connections_page(
            {
                "names": [str(name) for name in self.info["ch_names"]],
                "positions": self.positions,
                "bands": list(self.matrices),
                "conditions": list(next(iter(self.matrices.values()))),
                "values": [list(one.values()) for one in self.matrices.values()],
                "strengths": [list(one.values()) for one in self.strengths.values()],
                "limit": self.limit,
                "signed": self._signed,
                "baseline": self.baseline,
                "unit": self.unit,
                "label": self._label,
                "top": top,
            },
            title=title,
            caption=self.caption,
        )
        if path is not None:
            with replacing(path, overwrite) as temporary:
                temporary.write_text(page, encoding="utf-8")
        return page

    @property
    def _signed(self):
        return any((matrix < 0).any() for _, _, matrix in self._drawn())

    @property
    def _label(self):
        """Name what the colours mean."""
        beyond = {None: "", "key": ", beyond the key's mean", "condition": ", beyond the mean"}
        return self.unit + beyond[self.baseline]

    def _drawn(self):
        """List band, condition and what is drawn of them."""
        return [
            (band, condition, matrix)
            for band, conditions in self.strengths.items()
            for condition, matrix in conditions.items()
        ]

    def _select(self, matrix, top, threshold):
        """Choose arrows (query, key, strength), the strongest first."""
        pairs = _pairs(matrix)
        order = np.argsort(pairs, axis=None)[::-1][:top]
        return [
            (query, key, matrix[query, key])
            for query, key in zip(*np.unravel_index(order, matrix.shape), strict=True)
            if pairs[query, key] >= threshold and pairs[query, key] > 0
        ]

    @staticmethod
    def _check_selection(top, threshold):
        if top < 1 or top != int(top):
            raise ValueError(
                f"top={top!r} connections cannot be drawn: give a whole number from 1."
            )
        if not threshold >= 0:
            raise ValueError(f"threshold={threshold!r} is not a strength of 0 or more.")


def _pairs(matrix):
    """Sizes of the connections between different channels; -1 for self-attention."""
    sizes = np.abs(matrix)
    np.fill_diagonal(sizes, -1)
    return sizes


def _title(band, condition):
    return f"{condition}, {band}" if band else condition


def _positions(info):
    positions = np.array([channel["loc"][:3] for channel in info["chs"]]) if info else None
    if positions is None or not np.isfinite(positions).all() or not positions.any():
        raise ValueError(
            "Connections on a head need electrode positions, and these are not known: fit the "
            "classifier on Epochs with a montage (epochs.set_montage), or give explain an info=."
        )
    return positions


def _class_means(explanation, labels):
    """Average the connections of each class, in the unit of the explanation."""
    if explanation.connections is None:
        raise ValueError(
            "The explanation has no connections: pass connections=True to AttentionExplainer."
        )
    y = explanation.labels(labels)
    predicted = " (predicted)" if labels == "predicted" or explanation.y is None else ""
    scale = 100 if explanation.unit.endswith("(%)") else 1
    return {
        f"{label}{predicted}": scale * explanation.connections[y == label].mean(axis=0)
        for label in explanation.classes
        if label in y
    }


def _by_band(matrices, ch_names):
    """Bring matrices into the form band, condition, matrix, and check them."""
    if not matrices:
        raise ValueError("There are no connections to draw: matrices is empty.")
    if not isinstance(next(iter(matrices.values())), dict):
        matrices = {"": matrices}
    first = [str(condition) for condition in next(iter(matrices.values()))]
    checked = {}
    for band, conditions in matrices.items():
        if [str(condition) for condition in conditions] != first or not first:
            raise ValueError(
                f"The band {band!r} has other conditions, {', '.join(map(str, conditions))}, than "
                f"the first one, {', '.join(first)}; give all bands the same."
            )
        checked[str(band)] = {
            str(condition): _check_matrix(matrix, str(condition), len(ch_names))
            for condition, matrix in conditions.items()
        }
    return checked


def _check_matrix(matrix, condition, n_chans):
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (n_chans, n_chans):
        raise ValueError(
            f"The connections of {condition!r} have shape {matrix.shape}, but info has {n_chans} "
            f"channels; they have to be ({n_chans}, {n_chans}), queries by keys."
        )
    if n_chans < 2:
        raise ValueError("Connections need at least 2 channels, not 1.")
    if not np.isfinite(matrix).all():
        raise ValueError(f"The connections of {condition!r} contain NaN or infinity.")
    return matrix


def _subtract(conditions, baseline):
    """Subtract the baseline from the matrices of one band."""
    if baseline == "condition":
        if len(conditions) < 2:
            raise ValueError(
                "baseline='condition' compares conditions, but there is only "
                f"{next(iter(conditions))!r}; use baseline='key' or None."
            )
        mean = np.mean(list(conditions.values()), axis=0)
        return {condition: matrix - mean for condition, matrix in conditions.items()}
    if baseline == "key":
        return {condition: _beyond_key(matrix) for condition, matrix in conditions.items()}
    return {condition: matrix.copy() for condition, matrix in conditions.items()}


def _beyond_key(matrix):
    """Subtract from each connection what the other channels take from the same key."""
    n_chans = len(matrix)
    if n_chans < 3:
        raise ValueError(
            "baseline='key' compares channels that attend to the same one, and needs at least 3 "
            f"channels, not {n_chans}; use baseline=None."
        )
    own = np.diagonal(matrix)
    # Leaving out the connection itself: the mean then does not depend on what it is compared with.
    others = (matrix.sum(axis=0) - own - matrix) / (n_chans - 2)
    beyond = matrix - others
    np.fill_diagonal(beyond, own - own.mean())
    return beyond
