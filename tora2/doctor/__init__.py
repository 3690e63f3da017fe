"""What is installed, which weights are there, what they enable, and what is missing.

Facts come in, a report comes out; nothing is loaded, downloaded or run.
"""

from .report import Facts, Report, examine
from .scanning import Scan, scan
from .system import Device, Package, packages

__all__ = ["Device", "Facts", "Package", "Report", "Scan", "examine", "packages", "scan"]
