"""Saved models, resumable training and export; loading a file executes no code from it."""

from skeegformer.io._resuming import ResumableTraining
from skeegformer.io.export import export_network
from skeegformer.io.models import load_model, save_model

__all__ = ["ResumableTraining", "export_network", "load_model", "save_model"]
