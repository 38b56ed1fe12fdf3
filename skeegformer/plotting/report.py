"""Everything about an explanation on one page."""

import html
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
from sklearn.metrics import confusion_matrix

from skeegformer._validation import name_channels
from skeegformer.explain.methods import METHODS
from skeegformer.plotting._saving import check_page, replacing

_READING = {
    "looks": (
        "where the model looks. Attention is not need: loud channels draw attention whether or "
        "not they matter."
    ),
    "uses": "what moves the output of the model.",
    "needs": "what the model needs: what its output loses without a channel.",
}
_PACKAGES = ("skeegformer", "torch", "skorch", "scikit-learn", "mne", "moabb", "numpy")
_N_CHANNELS = 10  # in the table of the most important ones
_LONGEST = 300  # letters of a setting


def explanation_report(
    explanation, path=None, *, title=None, faithfulness=None, scores=None, overwrite=False
):
    """Put an explanation on one page: method, scores, maps, connections, tests and versions.

    Parameters
    ----------
    explanation : Explanation
        What to report.
    path : path-like or None, default=None
        Where to write the page. It appears only when it is complete, and loads nothing from
        outside.
    title : str or None, default=None
        Title of the page; None names the method.
    faithfulness : Faithfulness or None, default=None
        What ``explanation.evaluate()`` found.
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

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer import AttentionExplainer, EEGTransformerClassifier
    >>> from skeegformer import make_simulated_eeg
    >>> from skeegformer.plotting import explanation_report
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> explanation = AttentionExplainer().explain(classifier, X, y)
    >>> report = explanation_report(explanation)
    >>> report.title
    'Explanation by attention rollout'
    """
    import mne
    import pandas as pd

    if path is not None:
        path = check_page(path, overwrite)
    if scores is not None and not isinstance(scores, pd.DataFrame):
        raise TypeError(f"scores is a {type(scores).__name__}, but has to be a pandas.DataFrame.")
    method = METHODS[explanation.method]
    report = mne.Report(title=title or f"Explanation by {method.label}", verbose="ERROR")
    _add_summary(report, explanation, method)
    _add_scores(report, explanation, scores)
    _add_maps(report, explanation)
    _add_connections(report, explanation)
    if faithfulness is not None:
        _add_faithfulness(report, faithfulness)
    _add_settings(report, explanation)
    if path is not None:
        with replacing(path, overwrite) as temporary:
            report.save(temporary, open_browser=False, overwrite=True, verbose="ERROR")
        report.fname = str(path)
    return report


def _add_summary(report, explanation, method):
    n_epochs, n_chans, n_parts = explanation.token_values.shape
    labels = explanation.labels()
    kind = "true" if explanation.y is not None else "predicted"
    counts = [f"{label} ({np.sum(labels == label)})" for label in explanation.classes]
    rows = {
        "Method": method.label,
        "Paper": method.reference,
        "What it tells": _READING[method.question],
        "Unit": method.unit,
        "Epochs": n_epochs,
        "Subjects": (
            "not known"
            if explanation.subjects is None
            else len(np.unique(explanation.subjects.astype(str)))
        ),
        f"Classes (epochs by {kind} label)": ", ".join(counts),
        "Channels": n_chans,
        "Parts of a channel": "none" if n_parts == 1 else ", ".join(map(str, explanation.parts)),
    }
    _add_html(report, _table(rows.items()), "What was explained", "Summary")
    importances = explanation.feature_importances_
    names = name_channels(explanation.ch_names, n_chans)
    order = np.argsort(importances)[::-1][:_N_CHANNELS]
    _add_html(
        report,
        _table(
            [(names[k], f"{100 * importances[k]:.2f}") for k in order],
            header=("Channel", "Share of all channels (%)"),
        ),
        "Most important channels",
        "Summary",
    )


def _add_scores(report, explanation, scores):
    if scores is not None:
        _add_html(report, _frame(scores), "Scores handed in", "Scores")
    if explanation.y is None:
        _add_html(
            report,
            _text("The true labels of the explained epochs are not known: pass y to explain."),
            "Scores on the explained epochs",
            "Scores",
        )
        return
    rows = [("all", *_score(explanation))]
    if explanation.subjects is not None:
        for subject in np.unique(explanation.subjects):
            rows.append((subject, *_score(explanation.select(subject=subject))))
    _add_html(
        report,
        _text(
            f"Chance is {1 / len(explanation.classes):.3f} for balanced accuracy. Only epochs of "
            "subjects that the model has not seen in training tell how well it will do."
        )
        + _table(rows, header=("Subject", "Epochs", "Accuracy", "Balanced accuracy")),
        "Scores on the explained epochs",
        "Scores",
    )
    _add_figure(report, _plot_confusion(explanation), "Confusion matrix", "Scores")


def _score(explanation):
    """Count epochs, and measure accuracy and mean recall of the classes that occur."""
    counts = _confusion(explanation)
    occurs = counts.sum(axis=1) > 0
    recalls = np.diagonal(counts)[occurs] / counts.sum(axis=1)[occurs]
    accuracy = np.trace(counts) / counts.sum()
    return len(explanation), f"{accuracy:.3f}", f"{recalls.mean():.3f}"


def _confusion(explanation):
    return confusion_matrix(explanation.y, explanation.predictions, labels=explanation.classes)


def _plot_confusion(explanation):
    import matplotlib.pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    # A dollar sign would start a formula.
    names = [str(label).replace("$", r"\$") for label in explanation.classes]
    size = 2.6 + 0.5 * len(names)
    figure, ax = plt.subplots(figsize=(size + 0.8, size), layout="constrained")
    display = ConfusionMatrixDisplay(_confusion(explanation), display_labels=names)
    display.plot(ax=ax, cmap="Blues", colorbar=False)
    return figure


def _add_maps(report, explanation):
    from skeegformer.plotting.topomap import TopomapDisplay

    n_chans = explanation.token_values.shape[1]
    if explanation.positions is None or n_chans < 3:
        _add_html(
            report,
            _text("There is no map: it needs at least 3 channels with known positions."),
            "Values by class",
            "Topomaps",
        )
        return
    kinds = {"class": "Values by class"}
    if len(explanation.parts) > 1:
        kinds["part"] = {"time": "Values by time", "band": "Values by band"}[explanation.part_kind]
    for by, title in kinds.items():
        display = TopomapDisplay.from_explanation(explanation, by=by)
        _add_figure(report, display.figure_, title, "Topomaps")


def _add_connections(report, explanation):
    from skeegformer.plotting.connections import ConnectionDisplay

    if explanation.connections is None or explanation.positions is None:
        return
    n_chans = explanation.token_values.shape[1]
    display = ConnectionDisplay.from_explanation(
        explanation, baseline="key" if n_chans >= 3 else None
    )
    _add_figure(report, display.figure_, "Strongest connections between channels", "Connections")
    if find_spec("plotly") is None:
        page = _text('For a head to turn around, install plotly: pip install "skeegformer[viz]".')
    else:
        # In a frame of its own, what runs in it cannot touch the report.
        page = (
            f'<iframe title="Connections" srcdoc="{html.escape(display.to_html())}" '
            'sandbox="allow-scripts allow-downloads" '
            'style="width: 100%; height: 820px; border: 0"></iframe>'
        )
    _add_html(report, page, "Connections on a head to turn around", "Connections")


def _add_faithfulness(report, faithfulness):
    from skeegformer.plotting.faithfulness import FaithfulnessDisplay

    section = "Faithfulness"
    _add_html(report, _text(faithfulness.verdict), "Is the explanation true of the model?", section)
    display = FaithfulnessDisplay(faithfulness.curves).plot()
    _add_figure(report, display.figure_, "Deletion and insertion", section)
    figures = [(name, f"{value:.3g}") for name, value in faithfulness.figures.items()]
    _add_html(report, _table(figures), "Figures", section)


def _add_settings(report, explanation):
    section = "Settings"
    if explanation.settings:
        _add_html(report, _table(explanation.settings.items()), "Explainer", section)
    if explanation.source is not None:
        parameters = explanation.source.classifier.get_params(deep=False)
        _add_html(report, _table(parameters.items()), "Classifier", section)
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    _add_html(report, _table(versions.items()), "Versions", section)


def _add_html(report, page, title, section):
    report.add_html(page, title, section=section, tags=(section.lower(),))


def _add_figure(report, figure, title, section):
    import matplotlib.pyplot as plt

    report.add_figure(figure, title, section=section, tags=(section.lower(),))
    plt.close(figure)


def _text(text):
    return f"<p>{html.escape(text)}</p>"


def _table(rows, header=None):
    """Write rows as a table, whatever the texts in it are."""

    def cells(row, tag):
        texts = [value if isinstance(value, str) else repr(value) for value in map(_plain, row)]
        short = [text if len(text) <= _LONGEST else text[:_LONGEST] + " ..." for text in texts]
        return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in short)

    head = "" if header is None else f"<thead><tr>{cells(header, 'th')}</tr></thead>"
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<table class="table table-sm w-auto">{head}<tbody>{body}</tbody></table>'


def _plain(value):
    """Unwrap NumPy's scalars, whose repr names their type."""
    return value.item() if isinstance(value, np.generic) else value


def _frame(frame):
    """Write a DataFrame as a table; row numbers that mean nothing are left out."""
    import pandas as pd

    numbered = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    return frame.to_html(
        index=not numbered, float_format="{:.3f}".format, border=0, classes="table table-sm w-auto"
    )
