"""What a target on this machine lets its server take on: the options of ``python -m score.server``, as YAML keys."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Each of these is an option of the server, which has the same defaults; its ``--help`` tells what they mean."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_bytes: Annotated[int, Field(ge=1)] = 64 * 2**20
    max_waiting: Annotated[int, Field(ge=1)] = 128
    body_seconds: Annotated[float, Field(gt=0)] = 20
    scoring_seconds: Annotated[float, Field(gt=0)] = 60

    @property
    def limits(self) -> str:
        """The command line of those that are not the default: a server of an older package may not know them."""
        chosen = {field.name: getattr(self, field.name) for field in fields(Serving)}
        return " ".join(
            f"--{field.name.replace('_', '-')} {chosen[field.name]}"
            for field in fields(Serving)
            if chosen[field.name] != field.default
        )


def told(model_version: str, run_id: str | None) -> dict[str, str]:
    """The environment that lets ``/meta`` tell the version and its run, which a package cannot know of itself."""
    return {"SCORE_MODEL_VERSION": model_version, "SCORE_RUN_ID": run_id or ""}
