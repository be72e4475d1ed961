"""Resources and autoscaling of a deployment on Kubernetes, checked before anything is sent.

ResourceAmounts are written as Kubernetes writes them: ``cpu: 500m`` or ``0.5``, ``memory: 2Gi``, ``gpu: 1``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, WithJsonSchema, model_validator

from orchestrator.spec.messages import format_input, suggest_or_list

_UNITS = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")
_QUANTITY = WithJsonSchema({"type": ["string", "number"]})
_LEAST_MEMORY = 64 * 2**20  # no Python process starts in less: the unit is missing


def amount(text: str) -> Decimal | None:
    """Return a Kubernetes quantity as a number of cores, bytes or devices; None if it is no quantity."""
    match = _AMOUNT.fullmatch(text)
    return Decimal(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else None


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _cpu(value: Any) -> str:
    number = amount(_text(value))
    if not number or not re.fullmatch(r"[\d.]+m?", _text(value)):
        raise ValueError(f"should be a number of cores such as 0.5 or 500m{format_input(value)}")
    return _text(value)


def _memory(value: Any) -> str:
    number = amount(_text(value))
    if number is None or _text(value).endswith("m"):
        raise ValueError(f"should be an amount of memory such as 512Mi or 2Gi{format_input(value)}")
    if number < _LEAST_MEMORY:
        raise ValueError(f"is less than a server needs; should have a unit, such as 512Mi or 2Gi{format_input(value)}")
    return _text(value)


def _gpu(value: Any) -> str:
    if not re.fullmatch(r"[1-9]\d*", _text(value)):
        raise ValueError(f"should be a whole number of GPUs, or null for none{format_input(value)}")
    return _text(value)


class _Keys(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and (
            unknown := next((key for key in value if key not in cls.model_fields), None)
        ):
            raise ValueError(f"{unknown}: there is no such key{suggest_or_list(str(unknown), cls.model_fields)}")
        return value


class ResourceAmounts(_Keys):
    """The requests or the limits of one container; null: those of the instance type."""

    cpu: Annotated[str, BeforeValidator(_cpu), _QUANTITY] | None = None
    memory: Annotated[str, BeforeValidator(_memory), _QUANTITY] | None = None
    gpu: Annotated[str, BeforeValidator(_gpu), _QUANTITY] | None = None


class Resources(_Keys):
    """What is reserved for one container (``requests``), and the most that it may use (``limits``)."""

    requests: ResourceAmounts | None = None
    limits: ResourceAmounts | None = None

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Resources:
        requests, limits = self.requests or ResourceAmounts(), self.limits or ResourceAmounts()
        for name in ("cpu", "memory"):
            request, limit = getattr(requests, name), getattr(limits, name)
            if request and limit and (amount(request) or 0) > (amount(limit) or 0):
                raise ValueError(f"requests.{name}: should be at most limits.{name}, which is {limit}, got {request}")
        if requests.gpu and requests.gpu != limits.gpu:
            raise ValueError(
                f"requests.gpu: should be the same as limits.gpu: Kubernetes shares no GPU, got {requests.gpu}"
            )
        return self


class Autoscale(_Keys):
    """The numbers of replicas between which a deployment scales, and their target load; the names are the SDK's."""

    min_instances: Annotated[StrictInt, Field(ge=1)] = 1
    max_instances: Annotated[StrictInt, Field(ge=1)]
    target_utilization_percentage: Annotated[StrictInt, Field(ge=1, le=100)] = 70
    polling_interval: Annotated[StrictInt, Field(ge=1)] = 1  # seconds

    @model_validator(mode="after")
    def _min_within_max(self) -> Autoscale:
        if self.min_instances > self.max_instances:
            most = self.max_instances
            raise ValueError(
                f"min_instances: should be at most max_instances, which is {most}, got {self.min_instances}"
            )
        return self
