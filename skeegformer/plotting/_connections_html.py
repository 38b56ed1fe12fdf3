"""Connections on heads to turn around, as a figure of plotly."""

import textwrap

import numpy as np

_GROUPS = (10, 30, 100, 300)  # connections of each head that can be shown or hidden together
_N_POINTS = 16  # of an arc
_SHOWN = 2  # groups that are shown at first


def connections_figure(heads, places, names, titles, *, title, caption, label, directed, colours):
    """Make the figure."""
    # `heads` has for each its connections (query, key, strength), the strongest first, `places` the
    # electrodes on a sphere of radius 1, `colours` those of strengths, and their limits.
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise ImportError(
            'The interactive page needs plotly: pip install "skeegformer[viz]".'
        ) from error

    names = [_plain(name) for name in names]
    figure = make_subplots(
        cols=len(heads),
        specs=[[{"type": "scene"}] * len(heads)],
        subplot_titles=[_plain(one) for one in titles],
        horizontal_spacing=0.01,
    )
    groups = list(zip((0, *_GROUPS), (*_GROUPS, None), strict=True))
    for column, edges in enumerate(heads, 1):
        parts = [_head(go), _electrodes(go, places, names)]
        for number, (start, stop) in enumerate(groups):
            if chosen := edges[start:stop]:
                stop = start + len(chosen)
                text = f"{start + 1} to {stop}" if start else f"strongest {stop}"
                visible = True if number < _SHOWN else "legendonly"
                look = {"name": text, "legendgroup": f"group {number}", "visible": visible}
                parts += _edges(go, chosen, places, names, directed, look)
        for part in parts:
            part.showlegend = column == 1 and part.type == "scatter3d"
            figure.add_trace(part, row=1, col=column)
    colours, (low, high) = colours
    bar = {"title": {"text": _plain(label), "side": "right"}, "len": 0.7, "thickness": 14}
    hidden = {"visible": False, "range": [-1.45, 1.45]}
    figure.update_scenes(
        **dict.fromkeys(("xaxis", "yaxis", "zaxis"), hidden),
        aspectmode="manual",
        aspectratio=dict.fromkeys("xyz", 1.7),
        camera={"eye": {"x": 0, "y": -0.5, "z": 1.6}, "projection": {"type": "orthographic"}},
    )
    figure.update_layout(
        title=_plain(title),
        coloraxis={"cmin": low, "cmax": high, "colorscale": colours, "colorbar": bar},
        legend={"orientation": "h", "y": -0.02, "groupclick": "togglegroup"},
        margin={"l": 10, "r": 10, "t": 80, "b": 150},
        template="plotly_white",
    )
    figure.add_annotation(
        text="<br>".join(_plain(line) for line in textwrap.wrap(caption, 130)),
        x=0, y=-0.1, xref="paper", yref="paper", xanchor="left", yanchor="top",
        showarrow=False, align="left", font={"size": 12},
    )  # fmt: skip
    return figure


def _plain(text):
    """Keep plotly from reading tags and entities in a name: a mark without width parts them."""
    return str(text).replace("<", "<\u200c").replace("&", "&\u200c")


def _head(go):
    """Draw a sphere below the electrodes, and a nose."""
    polar, turn = np.meshgrid(np.linspace(0, 2.1, 15), np.linspace(0, 2 * np.pi, 31))
    sphere = np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)
    nose = [[-0.16, 0.98, -0.1], [0.16, 0.98, -0.1], [0, 0.9, 0.3], [0, 1.22, -0.1]]
    x, y, z = 0.94 * np.concatenate([np.reshape(sphere, (3, -1)).T, nose]).T
    light = {"ambient": 0.9, "diffuse": 0.2, "specular": 0.02}
    look = {"alphahull": 0, "color": "#e9e2dc", "hoverinfo": "skip", "lighting": light}
    return go.Mesh3d(x=x, y=y, z=z, **look)


def _electrodes(go, places, names):
    """Draw dots with names, a little outside, where the head does not hide them."""
    x, y, z = 1.03 * places.T
    return go.Scatter3d(
        x=x, y=y, z=z, text=names, mode="markers+text", textposition="top center",
        textfont={"size": 11}, marker={"size": 3, "color": "#222222"}, name="electrodes",
        legendgroup="electrodes", hoverinfo="text",
    )  # fmt: skip


def _edges(go, edges, places, names, directed, look):
    """Draw arcs, and a cone at the end of each where they have a direction."""
    arcs = [_arc(places[key], places[query]) for query, key, _ in edges]
    arrow = " → " if directed else " – "
    said = [f"{names[key]}{arrow}{names[query]}<br>{size:+.3g}" for query, key, size in edges]
    x, y, z = np.concatenate([[*arc, [np.nan] * 3] for arc in arcs]).T
    strengths = np.repeat([size for _, _, size in edges], _N_POINTS + 1)
    line = {"color": strengths, "coloraxis": "coloraxis", "width": 5}
    text = np.repeat(said, _N_POINTS + 1)
    lines = {"x": x, "y": y, "z": z, "mode": "lines", "hoverinfo": "text", "text": text}
    traces = [go.Scatter3d(**lines, line=line, **look)]
    if directed:
        x, y, z = np.array([arc[-1] for arc in arcs]).T
        along = np.array([arc[-1] - arc[-3] for arc in arcs])
        u, v, w = (along / np.linalg.norm(along, axis=1, keepdims=True)).T
        grey = {"colorscale": ["#777777"] * 2, "showscale": False, "hoverinfo": "skip"}
        cones = {"anchor": "tip", "sizemode": "raw", "sizeref": 0.09} | grey
        traces.append(go.Cone(x=x, y=y, z=z, u=u, v=v, w=w, **cones, **look))
    return traces


def _arc(start, end):
    """Return points of a Bézier curve above the head, bent to one side: (n_points, 3)."""
    share = np.linspace(0, 1, _N_POINTS)[:, np.newaxis]
    middle = start + end + [0, 0, 1e-3]  # from one side of the head to the other over the vertex
    angle = np.arccos(np.clip(start @ end, -1, 1))
    height = 2.06 + 0.16 * angle - np.cos(angle / 2)
    middle = height * middle / np.linalg.norm(middle) + 0.2 * np.cross(start, end)
    curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * middle + share**2 * end
    return 1.03 * curve
