"""Tables of results that grow piece by piece, and how their means are written."""

import pandas as pd

from skeegformer._utils.files import replacing
from skeegformer.evaluation._subjects import averaged_seeds


def finished(result):
    """Give the scores of a benchmark, or stop before a table loses rows for those that failed.

    Parameters
    ----------
    result : BenchmarkResult
        What was found; fits that are finished stay in the store.
    """
    if len(result.failures):
        first = result.failures.iloc[0]
        raise SystemExit(
            f"{len(result.failures)} fits failed, so the table was left as it is; the first one:\n"
            f"{first['traceback']}"
        )
    return result.scores


def merged(scores, table, key, alike=("subject",)):
    """Put new rows in place of older ones with the same key: both together, older ones first.

    Stops where rows would lie side by side that cannot be compared.

    Parameters
    ----------
    scores : DataFrame
        New rows.
    table : path-like
        CSV with the older rows; it need not exist.
    key : list of str
        Columns that say what a row is about.
    alike : sequence of str
        Columns whose values have to be the same for every key, the test subjects first of all.
    """
    if not table.exists():
        return scores
    old = pd.read_csv(table)
    again = pd.MultiIndex.from_frame(old[key]).isin(pd.MultiIndex.from_frame(scores[key]))
    scores = pd.concat([old[~again], scores], ignore_index=True)
    for name in alike:
        values = scores.groupby(key)[name].agg(lambda own: ", ".join(map(str, sorted(set(own)))))
        if values.nunique() > 1:
            raise SystemExit(
                f"{table} was left as it is: its rows are of {name} {values.mode()[0]}, and "
                f"others of {' or '.join(sorted(set(values) - set(values.mode()[:1])))}. Repeat "
                "its options, or move it away. The fits are in the store."
            )
    return scores


def said_seeds(scores, key):
    """Say over which seeds which pipelines are averaged, and where they have others.

    Parameters
    ----------
    scores : DataFrame
        All rows of a table.
    key : list of str
        Columns that say which mean a row is part of.

    Returns
    -------
    list of str
        Sentences, without their full stops.
    """
    seeds = scores.groupby([*key, "pipeline"])["seed"].agg(lambda own: tuple(sorted(set(own))))
    uneven = seeds.groupby("pipeline").nunique()
    uneven = list(uneven[uneven > 1].index)
    said = averaged_seeds(scores[~scores["pipeline"].isin(uneven)])
    return said + [f"Not all rows of {name} have as many seeds" for name in uneven]


def whole(scores, tasks):
    """Take the rows of those pipelines that have every task.

    Parameters
    ----------
    scores : DataFrame
        Rows.
    tasks : collection of str
        The tasks.
    """
    n_tasks = scores.groupby("pipeline")["task"].nunique()
    return scores[scores["pipeline"].map(n_tasks) == len(tasks)]


def ahead(row):
    """Write how far the reference is ahead of a pipeline.

    Parameters
    ----------
    row : Series
        Of `compare_pipelines`.
    """
    low, high, p = -row["high"], -row["low"], row["p_holm"]
    p_text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"{-row['difference']:+.3f} [{low:.3f}, {high:.3f}], {p_text}"


def digits(value):
    """Write a mean with three digits, as `scores_table` does.

    What is half a digit up to rounding is half a digit, in whatever order it was averaged.

    Parameters
    ----------
    value : float
        The mean.
    """
    return f"{round(value, 10):.3f}"


def keep(scores, table):
    """Write a table whole or not at all, and scores to their last digit: tests count ties.

    Parameters
    ----------
    scores : DataFrame
        All rows.
    table : path-like
        CSV to write.
    """
    seconds = [name for name in scores if name.endswith("_seconds")]
    with replacing(table) as path:
        scores.round(dict.fromkeys(seconds, 3)).to_csv(path, index=False)
