"""What the figures of a benchmark share: colours of pipelines, labels, grids of panels."""

import numpy as np

from skeegformer.plotting._style import OKABE_ITO

KIND_COLOURS = {
    "strict": OKABE_ITO[0],
    "transductive": OKABE_ITO[1],
    "calibrated": OKABE_ITO[2],
    "": OKABE_ITO[0],
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINES = ("-", "--", ":")


def pipeline_looks(pipelines):
    """Give each pipeline a colour, a marker and a line, so that 24 can be told apart.

    Parameters
    ----------
    pipelines : sequence of str
        Their names.

    Returns
    -------
    dict of str to dict
        Arguments for `matplotlib.axes.Axes.plot`.
    """
    n_colours = len(OKABE_ITO)
    return {
        name: {
            "color": OKABE_ITO[k % n_colours],
            "marker": _MARKERS[(k + k // n_colours) % len(_MARKERS)],
            "linestyle": _LINES[k // n_colours % len(_LINES)],
        }
        for k, name in enumerate(pipelines)
    }


def p_text(p_value):
    """Write a p value."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def grid_of(n_panels, most_columns=4):
    """Return numbers of rows and columns that hold so many panels."""
    n_columns = min(n_panels, most_columns)
    return int(np.ceil(n_panels / n_columns)), n_columns


def tidy(ax):
    """Take away what carries no information."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
