"""The deploy doctor: what a failed deployment left behind in, its cause, the line that proves it and the remedy out.

Pure text work for every target: no SDK, no network. ``diagnose`` reads the evidence by the tables in ``request``
(what the platform answered), ``build`` (the image's log) and ``start`` (the container's log).
"""

from __future__ import annotations

from orchestrator.diagnostics.diagnose import diagnose
from orchestrator.diagnostics.evidence import Diagnosis, Evidence, Kind
from orchestrator.diagnostics.keeping import save
from orchestrator.diagnostics.report import tell

__all__ = ["Diagnosis", "Evidence", "Kind", "diagnose", "save", "tell"]
