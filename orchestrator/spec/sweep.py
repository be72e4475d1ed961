"""SweepSpec: what happens with the jobs of a sweep (``-m``) when all have ended."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictBool

from orchestrator.spec.section import Section


class SweepSpec(Section):
    """Whether the best job of a sweep is deployed, and how it is chosen. It decides nothing of what a job makes."""

    section = "sweep"

    deploy_best: StrictBool = False
    choose: Literal["one_standard_error", "best"] = "one_standard_error"
