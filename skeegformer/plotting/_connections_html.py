"""Connections on heads to turn around, as a figure of plotly."""

import textwrap

import numpy as np

_GROUPS = (10, 30, 100, 300)  # connections of each head that can be shown or hidden together
_N_POINTS = 16  # of an arc
_SHOWN = 2  # groups that are shown at first


def connections_figure(heads, places, names, titles, *, title, caption, label, directed, scale):
    """Make the figure.

    `heads` has for each head its connections (query, key, strength), the strongest first, `places`
    the electrodes on a sphere of radius 1, `scale` the colours of strengths (ScalarMappable).
    """
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise ImportError(
            'The interactive page needs plotly: pip install "skeegformer[viz]".'
        ) from error
    from matplotlib.colors import to_hex

    steps = np.linspace(0, 1, 11)
    low, high = scale.norm.vmin, scale.norm.vmax
    colours = {
        "cmin": low,
        "cmax": high,
        "colorscale": [[float(step), to_hex(scale.cmap(step))] for step in steps],
    }
    names = [_plain(name) for name in names]
    figure = make_subplots(
        cols=len(heads),
        specs=[[{"type": "scene"}] * len(heads)],
        subplot_titles=[_plain(one) for one in titles],
        horizontal_spacing=0.01,
    )
    groups = list(zip((0, *_GROUPS), (*_GROUPS, None), strict=True))
    for column, edges in enumerate(heads, 1):
        first = {"showlegend": column == 1}
        parts = [_head(go), _electrodes(go, places, names, first)]
        for number, (start, stop) in enumerate(groups):
            chosen = edges[start:stop]
            if chosen:
                stop = start + len(chosen)
                text = f"{start + 1} to {stop}" if start else f"strongest {stop}"
                visible = True if number < _SHOWN else "legendonly"
                look = {"legendgroup": f"group {number}", "visible": visible}
                parts += _edges(go, chosen, places, names, colours, directed, look, text, first)
        for part in parts:
            figure.add_trace(part, row=1, col=column)
    title_of_bar = {"text": _plain(label), "side": "right"}
    bar = {**colours, "color": [low], "showscale": True}
    bar["colorbar"] = {"title": title_of_bar, "len": 0.7, "thickness": 14}
    figure.add_trace(go.Scatter3d(x=[None], y=[None], z=[None], marker=bar, showlegend=False))
    hidden = {"visible": False, "range": [-1.45, 1.45]}
    figure.update_scenes(
        xaxis=hidden,
        yaxis=hidden,
        zaxis=hidden,
        aspectmode="manual",
        aspectratio=dict.fromkeys("xyz", 1.7),
        camera={"eye": {"x": 0, "y": -0.5, "z": 1.6}, "projection": {"type": "orthographic"}},
    )
    lines = "<br>".join(_plain(line) for line in textwrap.wrap(caption, 130))
    figure.update_layout(
        title=_plain(title),
        legend={"orientation": "h", "y": -0.02, "groupclick": "togglegroup"},
        margin={"l": 10, "r": 10, "t": 80, "b": 150},
        template="plotly_white",
    )
    figure.add_annotation(
        text=lines, x=0, y=-0.1, xref="paper", yref="paper", xanchor="left", yanchor="top",
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
    points = 0.96 * np.concatenate([np.reshape(sphere, (3, -1)).T, nose])
    light = {"ambient": 0.9, "diffuse": 0.2, "specular": 0.02}
    look = {"alphahull": 0, "color": "#e9e2dc", "hoverinfo": "skip", "lighting": light}
    return go.Mesh3d(**dict(zip("xyz", points.T, strict=True)), **look)


def _electrodes(go, places, names, first):
    """Draw dots with names, a little outside, where the head does not hide them."""
    x, y, z = 1.03 * places.T
    return go.Scatter3d(
        x=x, y=y, z=z, text=names, mode="markers+text", textposition="top center",
        textfont={"size": 11}, marker={"size": 3, "color": "#222222"}, name="electrodes",
        legendgroup="electrodes", hoverinfo="text", **first,
    )  # fmt: skip


def _edges(go, edges, places, names, colours, directed, look, text, first):
    """Draw arcs, and a cone at the end of each where they have a direction."""
    arcs = [_arc(places[key], places[query]) for query, key, _ in edges]
    arrow = " → " if directed else " – "
    said = [f"{names[key]}{arrow}{names[query]}<br>{size:+.3g}" for query, key, size in edges]
    gap = np.full((1, 3), np.nan)
    x, y, z = np.concatenate([np.concatenate([arc, gap]) for arc in arcs]).T
    strengths = [size for _, _, size in edges]
    traces = [
        go.Scatter3d(
            x=x, y=y, z=z, mode="lines", name=text, hoverinfo="text",
            text=np.repeat(said, _N_POINTS + 1),
            line={**colours, "color": np.repeat(strengths, _N_POINTS + 1), "width": 5},
            **look, **first,
        )
    ]  # fmt: skip
    if directed:
        ends = np.array([arc[-1] for arc in arcs])
        along = np.array([arc[-1] - arc[-3] for arc in arcs])
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        low, high = colours["cmin"], colours["cmax"]
        steps = np.round(10 * (np.array(strengths) - low) / (high - low)).astype(int)
        # plotly colours cones by their length, so those of each colour are a trace.
        for step in np.unique(steps):
            colour = colours["colorscale"][step][1]
            cones = np.column_stack([ends, along])[steps == step].T
            traces.append(
                go.Cone(
                    **dict(zip("xyzuvw", cones, strict=True)),
                    anchor="tip", sizemode="raw", sizeref=0.09, showscale=False, hoverinfo="skip",
                    colorscale=[[0, colour], [1, colour]], **look,
                )
            )  # fmt: skip
    return traces


def _arc(start, end):
    """Return points of an arc above the head, bent to one side: (n_points, 3)."""
    share = np.linspace(0, 1, _N_POINTS)[:, np.newaxis]
    angle = np.arccos(np.clip(start @ end, -1, 1))
    if np.sin(angle) > 1e-6:
        way = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
        way /= np.sin(angle)
    else:
        way = (1 - share) * start + share * end
    bump = 4 * share * (1 - share)
    way = way + 0.1 * angle * bump * np.cross(start, end) / (np.sin(angle) or 1.0)
    length = np.linalg.norm(way, axis=1, keepdims=True)
    return way / np.where(length > 0, length, 1) * (1.03 + (0.03 + 0.09 * angle) * bump)
