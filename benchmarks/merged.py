"""Tables of results that grow piece by piece, and how their means are written."""

import pandas as pd

from skeegformer._files import replacing


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


def merged(scores, table, key):
    """Put new rows in place of older ones with the same key: both together, older ones first.

    Parameters
    ----------
    scores : DataFrame
        New rows.
    table : path-like
        CSV with the older rows; it need not exist.
    key : list of str
        Columns that say what a row is about.
    """
    if not table.exists():
        return scores
    old = pd.read_csv(table)
    again = pd.MultiIndex.from_frame(old[key]).isin(pd.MultiIndex.from_frame(scores[key]))
    return pd.concat([old[~again], scores], ignore_index=True)


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
