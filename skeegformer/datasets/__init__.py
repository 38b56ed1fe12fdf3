"""Datasets: recordings from PhysioNet, and simulated EEG with known sources.

Names are resolved on first use: simulated data and exports need no MOABB.
"""

from skeegformer._utils.lazy import import_on_use

_HOMES = {
    "load_eegmmi": "eegmmi",
    "PhysionetEyes": "eyes",
    "EyesParadigm": "eyes",
    "make_simulated_eeg": "simulated",
    "SIMULATED_CASES": "simulated",
    "SimulatedTruth": "simulated",
    "export_memmap": "memmap",
    "write_memmap": "memmap",
    "load_memmap": "memmap",
    "MappedEpochs": "memmap",
}

__all__ = list(_HOMES)
__getattr__, __dir__ = import_on_use(__name__, _HOMES)
