"""Maps of channel values over the scalp."""

import numpy as np


class TopomapDisplay:
    """Scalp maps with joint colour limits, one for each class or one in all.

    Best made by `from_explanation` or `from_estimator`.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_chans,)
        What to draw, by title.
    info : mne.Info
        Electrode positions, in the order of the values.
    unit : str, default="share of attention (%)"
        Label of the colour bar.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_maps,)
        The axes of the maps.
    ax_ : matplotlib.axes.Axes
        The first of them.
    images_ : list of matplotlib.image.AxesImage
        The maps.
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar that all maps share.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer import EEGTransformerClassifier, TopomapDisplay, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = TopomapDisplay.from_estimator(classifier, X, y)
    >>> len(display.axes_)
    2
    """

    def __init__(self, values, info, *, unit="share of attention (%)"):
        self.values = values
        self.info = info
        self.unit = unit

    @classmethod
    def from_explanation(cls, explanation, *, by="class", **kwargs):
        """Draw an explanation.

        Parameters
        ----------
        explanation : Explanation
            What to draw.
        by : {"class", None}, default="class"
            A map for each class, or one for all epochs.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TopomapDisplay
            Drawn.

        Raises
        ------
        ValueError
            If positions are not known, or `by` is something else.
        """
        if by not in ("class", None):
            raise ValueError(f"by={by!r} is not 'class' or None.")
        if explanation.positions is None:
            raise ValueError(
                "A topomap needs electrode positions, and the classifier was fitted on data "
                "without them: pass Epochs with a montage (epochs.set_montage), or give explain "
                "an info=."
            )
        if by is None:
            maps = {f"all {len(explanation.values)} epochs": explanation.feature_importances_}
        else:
            predicted = " (predicted)" if explanation.y is None else ""
            means = explanation.class_means()
            maps = {f"{label}{predicted}": mean for label, mean in means.items()}
        percent = {title: 100 * value for title, value in maps.items()}
        return cls(percent, explanation.info).plot(**kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, by="class", **kwargs):
        """Explain the predictions for X by attention rollout, and draw that.

        Parameters
        ----------
        estimator : Pipeline or EEGTransformerClassifier
            Fitted.
        X : mne.Epochs or list of mne.Epochs
            Epochs to explain.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels.
        by : {"class", None}, default="class"
            A map for each class, or one for all epochs.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TopomapDisplay
            Drawn.
        """
        from skeegformer.explain import AttentionExplainer

        explanation = AttentionExplainer().explain(estimator, X, y)
        return cls.from_explanation(explanation, by=by, **kwargs)

    def plot(self, ax=None, *, cmap="viridis", vlim=None, names=False):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            As many as there are maps; None makes a figure.
        cmap : str or matplotlib.colors.Colormap, default="viridis"
            Colours.
        vlim : tuple of (float, float) or None, default=None
            Colour limits of all maps; None spans the values of all of them.
        names : bool, default=False
            Whether to write the channel names beside the electrodes.

        Returns
        -------
        TopomapDisplay
            Itself, with ``figure_``, ``axes_``, ``images_`` and ``colorbar_``.

        Raises
        ------
        ValueError
            If there are fewer or more axes than maps.
        """
        import matplotlib.pyplot as plt
        import mne

        if len(self.info["ch_names"]) < 3:
            raise ValueError(
                f"A topomap needs at least 3 channels, not {len(self.info['ch_names'])}."
            )
        n_maps = len(self.values)
        if ax is None:
            _, ax = plt.subplots(
                1, n_maps, figsize=(3.2 * n_maps + 0.8, 3.4), layout="constrained", squeeze=False
            )
        self.axes_ = np.ravel(ax)
        if len(self.axes_) != n_maps:
            raise ValueError(f"There are {n_maps} maps, but {len(self.axes_)} axes to draw on.")
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        if vlim is None:
            everything = np.concatenate(list(self.values.values()))
            vlim = everything.min(), everything.max()
        self.images_ = []
        for axes, (title, values) in zip(self.axes_, self.values.items(), strict=True):
            image, _ = mne.viz.plot_topomap(
                values,
                self.info,
                axes=axes,
                cmap=cmap,
                vlim=vlim,
                names=self.info["ch_names"] if names else None,
                show=False,
            )
            axes.set_title(title)
            self.images_.append(image)
        self.colorbar_ = self.figure_.colorbar(
            self.images_[0], ax=list(self.axes_), shrink=0.7, label=self.unit
        )
        return self
