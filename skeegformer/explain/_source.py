"""What an explanation was made from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Source:
    """What an explanation was made from, for those who want to put it to the test.

    The classifier, a copy that a later `fit` does not change; the epochs as they enter its network,
    (n_epochs, n_chans, n_times); and what log powers are centred on with ``adapt=True``, or None.
    """

    classifier: Any
    data: np.ndarray
    means: np.ndarray | None = None

    def select(self, epochs):
        """Keep some epochs, by their indices or a mask."""
        means = None if self.means is None else self.means[epochs]
        return replace(self, data=self.data[epochs], means=means)
