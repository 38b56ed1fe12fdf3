"""Datasets: recordings from PhysioNet, and simulated EEG with known sources.

Names are resolved on first use: simulated data and exports need no MOABB.
"""

from importlib import import_module

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


def __getattr__(name):
    """Import the module that holds a public name when the name is first asked for."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
