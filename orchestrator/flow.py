"""What a stage may say about the flow of a run: an input that it may not need, an input that may end the run.

    def gate(version: ModelVersion, split: Lazy[Split]) -> Verdict: ...
    def deploy(version: ModelVersion, verdict: Passed[Verdict]) -> Endpoint: ...

``Lazy[Split]`` is a callable that returns the artifact: it is made, or loaded from the cache, when it is called. Of
``Passed[Verdict]`` the stage gets None where no stage of the run gives one; where one does, it may say that the stage, and
what takes from it, is skipped (:class:`EndsRun`). The run then ends well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol, TypeAlias, TypeVar, runtime_checkable

T = TypeVar("T")

LAZY, PASSED = "lazy", "passed"  # marks of an annotation
Lazy: TypeAlias = Annotated[Callable[[], T], LAZY]
Passed: TypeAlias = Annotated[T | None, PASSED]


@runtime_checkable
class EndsRun(Protocol):
    """An artifact that may end a run before its last stages."""

    @property
    def ends(self) -> str:
        """Why stages that take it as :data:`Passed` are skipped; "" if they run."""
        ...
