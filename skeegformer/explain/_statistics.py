"""What explanations say of a group of subjects, who are the units: means and intervals."""

from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.utils import check_consistent_length, check_random_state

from skeegformer._validation import check_count, check_one_of, plain_labels

# Differences below this share of the values are the rounding errors of means over epochs.
ROUNDING = 1e-12


def subject_means(self, by="class"):
    """Average the values of each subject.

    Parameters
    ----------
    by : {"class", "part", None} or array-like of shape (n_epochs,), default="class"
        A table for each class (of the true labels, if known), for each part (band or temporal
        token), for each value of an array of labels, such as the group of the subject or
        ``explanation.predictions``, or a single table (None).

    Returns
    -------
    dict of pandas.DataFrame, or pandas.DataFrame
        A table of subjects x channels for each class that occurs, or each part; subjects without
        epochs of a class have no row. With ``by=None``, one table.

    Raises
    ------
    ValueError
        If subjects are unknown, or values are not finite.
    """
    if isinstance(by, str) or by is None:
        check_one_of("by", by, ("class", "part", None))
    if self.subjects is None:
        raise ValueError("The subjects are not known: pass groups to explain.")
    if not np.isfinite(self.token_values).all():
        raise ValueError("Some values of the explanation are NaN or infinite: it has no means.")

    def means(values, rows=slice(None)):
        table = pd.DataFrame(values[rows], columns=self.channel_names)
        return table.groupby(pd.Index(self.subjects[rows], name="subject")).mean()

    if by is None:
        return means(self.values)
    if isinstance(by, str) and by == "part":
        return {part: means(self.token_values[:, :, k]) for k, part in enumerate(self.parts)}
    if isinstance(by, str):
        y, known = self.labels(), self.classes.tolist()
    else:
        y = plain_labels("by", by)
        check_consistent_length(y, self.subjects)
        known = np.unique(y).tolist()
    return {label: means(self.values, y == label) for label in known if (y == label).any()}


def confidence_intervals(self, *, level=0.95, n_resamples=2000, random_state=None, by="class"):
    """Compute the mean of each channel over subjects, with a bootstrap confidence interval.

    Subjects, not epochs, are resampled, so the interval generalises to other subjects. It is
    bias-corrected and accelerated (BCa) [1]_, and widened for few subjects as in [2]_: otherwise,
    nominal 95 % intervals would cover 90 % with 12 subjects. With fewer than 6, it is too narrow.
    It is not corrected for the number of channels.

    Parameters
    ----------
    level : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap samples.
    random_state : int, RandomState instance or None, default=None
        Seed for the bootstrap samples.
    by : {"class", "part", None} or array-like of shape (n_epochs,), default="class"
        See `subject_means`.

    Returns
    -------
    dict of pandas.DataFrame, or pandas.DataFrame
        For each class or part, a table with a row for each channel and the columns ``mean``,
        ``low`` and ``high``, in the unit of the values. With ``by=None``, one table.

    Raises
    ------
    ValueError
        If there are fewer than 3 subjects, subjects or labels are unknown, values are not finite,
        or `level` is not between 0 and 1.

    References
    ----------
    .. [1] Efron (1987), Better bootstrap confidence intervals. JASA 82.
       doi:10.1080/01621459.1987.10478410
    .. [2] Hesterberg (2015), What teachers should know about the bootstrap. The American
       Statistician 69. doi:10.1080/00031305.2015.1089789
    """
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level={level!r} is not between 0 and 1; 0.95 is usual.")
    check_count("n_resamples", n_resamples, 100)
    options = {"level": level, "n_resamples": n_resamples}
    options["random_state"] = check_random_state(random_state)
    tables = subject_means(self, by=by)
    if by is None:
        return bootstrap_intervals(tables, **options)
    return {name: bootstrap_intervals(table, **options) for name, table in tables.items()}


def bootstrap_intervals(table, *, level=0.95, n_resamples=2000, random_state=None):
    """Compute means of a table over its rows, subjects, with intervals (see above)."""
    values = table.to_numpy()
    n_subjects = len(values)
    if n_subjects < 3:
        raise ValueError(
            f"An interval over subjects needs at least 3, but the values are of {n_subjects}."
        )
    means = values.mean(axis=0)
    low, high = means.copy(), means.copy()
    # Where all subjects are equal, BCa is undefined and the interval is the value itself.
    varies = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(axis=0)
    if varies.any():
        t = stats.t.isf((1 - level) / 2, n_subjects - 1) * np.sqrt(n_subjects / (n_subjects - 1))
        low[varies], high[varies] = stats.bootstrap(
            (values[:, varies],),
            np.mean,
            axis=0,
            vectorized=True,
            method="BCa",
            confidence_level=1 - 2 * stats.norm.sf(t),
            n_resamples=n_resamples,
            batch=max(1, 10**7 // values.size),  # bounds the memory, and changes no number
            random_state=check_random_state(random_state),
        ).confidence_interval
    return pd.DataFrame({"mean": means, "low": low, "high": high}, index=table.columns)
