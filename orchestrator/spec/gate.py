"""GateSpec: what a new version must show before it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StrictFloat, StrictStr, model_validator

from orchestrator.spec.section import Section

Limit = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Limits = Mapping[StrictStr, Limit]


class GateSpec(Section):
    """What a new version must show: that it is better than the champion, keeps limits, or nothing.

    It decides nothing of what is made, so it is part of no digest and of no cache key.
    """

    section = "gate"

    kind: Literal["champion", "threshold", "none"] = "champion"
    rule: Literal["better", "not_worse"] = "better"
    margin: StrictFloat = Field(default=0.0, ge=0, allow_inf_nan=False)
    alpha: StrictFloat = Field(default=0.05, gt=0, le=0.5)
    minimum: Limits = Field(default={})
    maximum: Limits = Field(default={})
    by: Literal["estimate", "bound"] = "estimate"  # "on" would be true in YAML

    @model_validator(mode="after")
    def _a_loss_is_allowed(self) -> GateSpec:
        if self.rule == "not_worse" and self.margin == 0:
            raise ValueError("margin: should be above 0 with gate.rule=not_worse: it is the loss that is accepted")
        return self

    @model_validator(mode="after")
    def _something_decides(self) -> GateSpec:
        if self.kind == "none" and (self.minimum or self.maximum):
            raise ValueError("kind: none checks no limits (gate.minimum, gate.maximum); choose gate=threshold")
        if self.kind == "threshold" and (self.rule != "better" or self.margin):
            raise ValueError("kind: threshold compares with no champion (gate.rule, gate.margin); choose gate=champion")
        return self
