"""Parameters of estimators that are declared and described once, and inherited."""

import inspect
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import dataclass_transform

import numpy as np

from skeegformer._validation import check_number
from skeegformer.training._net import check_callbacks

_ENTRY = re.compile(r"^(\w+(?:, \w+)*) :.*\n(?:^ .*\n|^\n(?= ))*", re.M)


@dataclass_transform(kw_only_default=True, eq_default=False)
def network_estimator(estimator_class):
    """Create ``__init__`` from the annotated parameters of a class and of its base classes.

    Like `dataclasses.dataclass`, but with keyword-only parameters, and with the comparison and
    representation of scikit-learn's estimators. Use ``field(init=False)`` to remove an inherited
    parameter. Descriptions of inherited parameters and attributes are added to the docstring from
    those of the base classes.

    Parameters
    ----------
    estimator_class : type
        A subclass of `NetworkClassifier`.

    Returns
    -------
    type
        The same class.
    """
    cls = dataclass(kw_only=True, eq=False, repr=False)(estimator_class)
    signature = inspect.signature(cls.__init__)
    for section, names in (("Parameters", signature.parameters), ("Attributes", None)):
        own, inherited = _describe(cls, section), {}
        for base in reversed(cls.__mro__[1:]):
            if "__dataclass_fields__" in vars(base):
                inherited |= _describe(base, section)
        missing = [name for name in names or inherited if name in inherited.keys() - own.keys()]
        if own and missing:
            text = inspect.cleandoc(cls.__doc__) + "\n"
            end = list(_entries(text, section))[-1].end()
            added = "".join(dict.fromkeys(inherited[name] for name in missing))
            cls.__doc__ = text[:end].rstrip() + "\n" + added + text[end:]
        if names:  # those of this class come first
            rank = {name: i for i, name in enumerate(["self", *own])}
            order = sorted(names.values(), key=lambda p: (p.kind, rank.get(p.name, np.inf)))
            cls.__init__.__signature__ = signature.replace(parameters=order)
    return cls


def check_training(classifier):
    """Refuse parameters of `NetworkClassifier` that torch would choke on, or take silently."""
    for name in ("batch_size", "n_iter_no_change"):
        check_number(classifier, name, Integral, 1)
    if not isinstance(classifier.max_epochs, str) or classifier.max_epochs != "auto":
        check_number(classifier, "max_epochs", Integral, 1, or_else="'auto'")
    check_number(classifier, "validation_fraction", Real, 0, below=1)
    for name in ("lr", "weight_decay"):
        check_number(classifier, name, Real, 0)
    if classifier.sfreq is not None:
        check_number(classifier, "sfreq", Real, 1, or_else="None")
    check_number(classifier, "verbose", (Integral, bool), 0)
    if not isinstance(classifier.early_stopping, bool | np.bool_):
        raise ValueError(f"early_stopping={classifier.early_stopping!r} is not True or False.")
    check_callbacks(classifier)


def _describe(cls, section):
    """Give the description of each parameter or attribute in the docstring of a class."""
    return {
        name: match.group(0).rstrip() + "\n"
        for match in _entries(inspect.cleandoc(cls.__doc__ or "") + "\n", section)
        for name in match.group(1).split(", ")
    }


def _entries(text, section):
    """Find the entries of a section."""
    start = text.find(f"\n{section}\n---")
    rest = re.compile(r"^\w[\w ]*\n-+$", re.M).search(text, start + len(section) + 4)
    return _ENTRY.finditer(text, start, rest.start() if rest else len(text)) if start >= 0 else ()
