"""Tables of results that grow piece by piece."""

import pandas as pd


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
