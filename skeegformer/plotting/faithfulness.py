"""Whether an explanation is true of its model: curves of deletion and insertion."""

from skeegformer.plotting._style import GREY, OKABE_ITO, open_axes, tidy, write_caption

_PANELS = {
    "deletion": ("Deletion: lower is better", "channels removed"),
    "insertion": ("Insertion: higher is better", "channels inserted"),
}
_LOOKS = {
    "explanation": {"color": OKABE_ITO[0], "linewidth": 2.0, "zorder": 4},
    "oracle": {"color": OKABE_ITO[1], "linewidth": 1.5, "linestyle": "--", "zorder": 3},
    "random": {"color": GREY, "linewidth": 1.5, "linestyle": ":", "zorder": 2},
}


def draw_curves(curves, verdict, ax=None):
    """Draw the curves of a `Faithfulness`, and its verdict below a figure of their own: axes."""
    axes = open_axes(ax, len(_PANELS), ncols=len(_PANELS), figsize=(7.6, 3.6), sharey=True)
    for panel, (curve, (title, label)) in zip(axes, _PANELS.items(), strict=True):
        rows = curves[curves["curve"] == curve]
        for order, look in _LOOKS.items():
            one = rows[rows["order"] == order]
            counts, mean = one["n_channels"], one["mean"]
            shade = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
            panel.fill_between(counts, one["low"], one["high"], **shade)
            panel.plot(counts, mean, label=f"{order} (area {mean.mean():.2f})", **look)
        panel.set_title(title, fontsize="medium")
        panel.set_xlabel(label)
        # Logarithmic, since few channels matter.
        panel.set_xscale("symlog", linthresh=1, linscale=0.5)
        most = rows["n_channels"].max()
        ticks = [0, *(2**k for k in range(int(most).bit_length()) if 2**k <= most)]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.set_xlim(0, most)
        tidy(panel)
        panel.legend(fontsize="small", frameon=False, loc="best")
    axes[0].set_ylabel("probability of the class\n(bands: 95 % intervals)")
    if ax is None:
        write_caption(axes[0].figure, verdict)
    return axes
