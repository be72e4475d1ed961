"""ReportSpec: the section ``report``, what report.html shows besides what it always does."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, StrictStr

from orchestrator.spec.field_types import one_is_a_list
from orchestrator.spec.section import Section


class CardSpec(Section):
    """What a reader must know to use the model rightly, in the owner's words: what it is for, and where it ends."""

    intended_use: StrictStr | None = None
    limits: StrictStr | None = None


class ReportSpec(Section):
    """Columns by whose values the hold-out scores are sliced, and the fields of the model card."""

    section = "report"

    slices: Annotated[tuple[StrictStr, ...], BeforeValidator(one_is_a_list)] = ()
    card: CardSpec = CardSpec()

    def ordered(self) -> dict[str, str]:
        """Leave out the model card, of which nothing is computed."""
        return self.parts("card")
