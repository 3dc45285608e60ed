"""The report of a comparison: one HTML file that needs nothing else."""

from likewise.board.report.data import Curve, LatentMap, Latents, ModelReport, NetworkDrawing, ReportData, Suspect
from likewise.board.report.page import write_report

__all__ = ["Curve", "LatentMap", "Latents", "ModelReport", "NetworkDrawing", "ReportData", "Suspect", "write_report"]
