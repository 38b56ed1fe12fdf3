"""Files of models, of interrupted trainings and for other programs; nothing in them is executed."""

from skeegformer.io._resuming import ResumableTraining
from skeegformer.io.export import export_network
from skeegformer.io.models import load_model, save_model

__all__ = ["ResumableTraining", "export_network", "load_model", "save_model"]
