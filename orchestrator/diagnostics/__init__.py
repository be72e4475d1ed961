"""Diagnosis of failed deployments: from logs and answers to the cause, the line that proves it and the remedy.

Text in, text out, for every target: no SDK, no network. ``diagnose`` reads the evidence by the tables in ``tables``:
``platform_refusals`` (what the platform answered), ``image_build`` and ``startup`` (the logs of image and container).
"""

from __future__ import annotations

from orchestrator.diagnostics.diagnose import diagnose
from orchestrator.diagnostics.evidence import Diagnosis, Evidence, Kind
from orchestrator.diagnostics.report import format_diagnosis, save_evidence

__all__ = ["Diagnosis", "Evidence", "Kind", "diagnose", "format_diagnosis", "save_evidence"]
