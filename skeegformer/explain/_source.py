"""The model and the epochs behind an explanation."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Source:
    """A copy of the classifier, epochs as they enter its network, and what they are centred on."""

    classifier: Any
    data: np.ndarray
    means: np.ndarray | None = None

    def select(self, epochs):
        """Keep some epochs, by their indices or a mask."""
        means = None if self.means is None else self.means[epochs]
        return replace(self, data=self.data[epochs], means=means)
