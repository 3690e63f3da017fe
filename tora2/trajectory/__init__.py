"""Trajectories: the document, its sampling to frames, and the flow that the model reads."""

from .document import TrajectoryDocument, parse
from .sampling import Tracks, sample

__all__ = ["Tracks", "TrajectoryDocument", "parse", "sample"]
