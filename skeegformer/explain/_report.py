"""The method of `Explanation` that puts everything on one page."""

import html
from importlib.metadata import version

import mne
import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from skeegformer._utils.files import check_output_file, replacing
from skeegformer.explain.methods import METHODS
from skeegformer.io._format import versions

_READING = {
    "attention": "where the model looks, whether or not it matters: loud channels draw attention.",
    "gradient": "what moves the output of the model; of a gradient rollout, what speaks for a "
    "class alone.",
    "perturbation": "what the model needs: what its output loses without a channel.",
}
_LONGEST = 300  # letters of a setting


def to_report(self, path=None, *, title=None, faithfulness=None, overwrite=False):
    """Make a report with method, scores, maps, connections, tests and versions.

    Parameters
    ----------
    path : path-like or None, default=None
        Where to write the report (``.html``), which loads nothing from the internet.
    title : str or None, default=None
        Title of the report; None for the name of the method.
    faithfulness : Faithfulness or None, default=None
        The result of `evaluate`.
    overwrite : bool, default=False
        Whether to replace an existing file.

    Returns
    -------
    mne.Report
        The report, to which sections can be added, such as tables (``add_html``).

    Raises
    ------
    FileExistsError, ValueError
        If the file exists, or `path` does not end in ``.html``.
    """
    import matplotlib.pyplot as plt

    if path is not None:
        path = check_output_file(path, (".html", ".htm"), overwrite)
    if faithfulness is not None and not hasattr(faithfulness, "verdict"):
        raise TypeError(f"faithfulness={faithfulness!r} is no result of evaluate.")
    title = title or f"Explanation by {METHODS[self.method].label}"
    report = mne.Report(title=title, img_max_width=None, verbose="ERROR")
    for section, name, content in _contents(self, faithfulness):
        place = {"title": name, "section": section, "tags": (section.lower(),)}
        if isinstance(content, plt.Figure):
            # Where MNE and matplotlib cut a fraction of a pixel off differently, figures shear.
            content.set_figwidth((int(100 * content.get_figwidth()) + 0.5) / 100)
            report.add_figure(content, **place)
            plt.close(content)
        else:
            report.add_html(_to_html(content), **place)
    if path is not None:
        with replacing(path) as temporary:
            report.save(temporary, open_browser=False, overwrite=True, verbose="ERROR")
        report.fname = str(path)
    return report


def _contents(explanation, faithfulness):
    """Yield section, title and content: a figure, a table, a dict or a text."""
    one, method = explanation, METHODS[explanation.method]
    kind = "true" if one.y is not None else "predicted"
    counts = [f"{label} ({np.sum(one.labels() == label)})" for label in one.classes]
    yield "Summary", "What was explained", {
        "Method": method.label,
        "Paper": method.reference,
        "What it tells": _READING[method.family],
        "Unit": method.unit,
        "Subjects": "not known" if one.subjects is None else len(np.unique(one.subjects)),
        f"Epochs by {kind} label": ", ".join(counts),
        "Parts of a channel": ", ".join(one.parts),
    }  # fmt: skip
    yield "Scores", "Scores on the explained epochs", _scores(one)
    if one.y is not None:
        labels = pd.Series(one.y, name="true"), pd.Series(one.predictions, name="predicted")
        yield "Scores", "Confusion matrix", pd.crosstab(*labels)
    try:
        yield "Channels", "Values by class", one.plot_topomap().figure_
        if len(one.parts) > 1:
            yield "Channels", f"Values by {one.part_kind}", one.plot_topomap("part").figure_
        if one.connections is not None:
            yield "Channels", "Strongest connections", one.plot_connections().figure_
    except ValueError as error:
        yield "Channels", "Values by class", f"There is no map. {error}"
    share = "Share of all channels (%)"
    table = pd.DataFrame({"Channel": one.channel_names, share: 100 * one.feature_importances_})
    yield "Channels", "Most important channels", table.nlargest(10, share)
    if faithfulness is not None:
        yield "Faithfulness", "Is the explanation true of the model?", faithfulness.verdict
        yield "Faithfulness", "Deletion and insertion", faithfulness.plot()[0].figure
        yield "Faithfulness", "Figures", {k: f"{v:.3g}" for k, v in faithfulness.figures.items()}
    yield "Settings", "Explainer", one.settings
    if one.source is not None:
        yield "Settings", "Classifier", one.source.classifier.get_params(deep=False)
    yield "Settings", "Versions", versions() | {"moabb": version("moabb")}


def _scores(explanation):
    """Score all epochs and those of each subject."""
    if explanation.y is None:
        return "The true labels of the explained epochs are not known: pass y to explain."
    parts = {"all": explanation}
    if explanation.subjects is not None:
        subjects = np.unique(explanation.subjects)
        parts |= {subject: explanation.select(subject=subject) for subject in subjects}
    return pd.DataFrame(
        {
            "Subject": subject,
            "Epochs": len(part),
            "Accuracy": accuracy_score(part.y, part.predictions),
            "Balanced accuracy": balanced_accuracy_score(part.y, part.predictions),
        }
        for subject, part in parts.items()
    )


def _to_html(content):
    """Write a text, names and values, or a table, in which row numbers mean nothing."""
    if isinstance(content, str):
        return f"<p>{html.escape(content)}</p>"
    is_table = isinstance(content, pd.DataFrame)
    if not is_table:
        # The repr of NumPy's scalars names their type.
        values = [getattr(value, "item", lambda value=value: value)() for value in content.values()]
        texts = [value if isinstance(value, str) else repr(value) for value in values]
        content = pd.DataFrame({"name": list(content), "value": pd.Series(texts).str[:_LONGEST]})
    look = {"float_format": "{:.3f}".format, "border": 0, "classes": "table table-sm w-auto"}
    index = content.index.name is not None or not pd.api.types.is_integer_dtype(content.index)
    with pd.option_context("display.max_colwidth", None):
        return content.to_html(index=index, header=is_table, **look)
