"""EvaluateSpec: at which probability a row gets the positive of two labels."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictFloat, WithJsonSchema, model_validator

from orchestrator.spec.messages import format_value, suggest
from orchestrator.spec.section import Section

RULES = ("max_f1", "cost", "recall_at")
OWN = 0.5  # the estimator's own predict decides


def _threshold(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    if value in RULES:
        return value
    text = f"should be a number between 0 and 1, {', '.join(RULES[:-1])} or {RULES[-1]}, got {format_value(value)}"
    raise ValueError(f"{text}{suggest(str(value), RULES)}")


class CostSpec(Section):
    """What the two kinds of wrong labels cost, in any unit; one that costs nothing would be given to every row."""

    false_positive: StrictFloat = Field(default=1.0, gt=0, allow_inf_nan=False)
    false_negative: StrictFloat = Field(default=5.0, gt=0, allow_inf_nan=False)


class EvaluateSpec(Section):
    """The threshold of the positive label's probability, or the rule that chooses it on the training rows."""

    section = "evaluate"

    threshold: Annotated[
        float | str,
        BeforeValidator(_threshold),
        WithJsonSchema(
            {"anyOf": [{"enum": list(RULES)}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]}
        ),
    ] = OWN
    cost: CostSpec = CostSpec()
    recall: StrictFloat = Field(default=0.9, gt=0, le=1)

    @property
    def decides(self) -> bool:
        """Whether a threshold decides labels, and not the estimator's own ``predict``."""
        return self.threshold != OWN

    @model_validator(mode="after")
    def _is_read(self) -> EvaluateSpec:
        for key, rule in (("cost", "cost"), ("recall", "recall_at")):
            if self.threshold != rule and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key}: is read with evaluate.threshold={rule} alone; add that, or leave this out")
        return self

    def ordered(self) -> dict[str, str]:
        """Leave out what does not decide: without a threshold of its own, a run is what it was before there were any."""
        unused = [key for key, rule in (("cost", "cost"), ("recall", "recall_at")) if self.threshold != rule]
        return self.parts(*unused) if self.decides else {}

    def flat(self) -> dict[str, str]:
        """Leave out what :meth:`ordered` does."""
        known, texts = self.ordered(), super().flat()
        return {at: text for at, text in texts.items() if at in known}
