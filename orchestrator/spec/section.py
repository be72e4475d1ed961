"""Section: a frozen part of the spec, and Component: a class with its options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.caching.fingerprints import code_fingerprint
from orchestrator.spec.field_types import DottedPath


class Section(BaseModel):
    """A frozen part of the spec; an unknown key in it is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    section: ClassVar[str] = ""

    def leaves(self, *without: str) -> dict[str, Any]:
        """Return every value that holds no others, by its dotted path in the configuration."""
        return dict(_leaves(self.section, self.model_dump(mode="json", by_alias=True, exclude=set(without))))

    def flat(self) -> dict[str, str]:
        """Return the values as readable text, by the keys of the schema; a mapping that is one value becomes one JSON text.

        Keys of such a mapping may be columns or labels, and MLflow takes few characters in a name.
        """
        found = _entries(self.section, self, self.model_dump(mode="json", by_alias=True))
        return {at: value if isinstance(value, str) else json.dumps(value) for at, value in found}

    def parts(self, *without: str) -> dict[str, str]:
        """Return the leaves as JSON, in which the number 1 differs from the text "1"."""
        return {at: json.dumps(value) for at, value in self.leaves(*without).items()}

    def ordered(self) -> dict[str, str]:
        """Return the parts that decide what is made."""
        return self.parts()

    def cache_parts(self) -> Mapping[str, str]:
        """Return what decides a result, files and code on this machine included (see :mod:`orchestrator.caching.cache`)."""
        return self.ordered()


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), below)
    else:
        yield path, value


def _entries(path: str, model: BaseModel, dumped: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield values by the keys of the schema: fields, names below mappings, and a component's options."""
    for name, field in type(model).model_fields.items():
        key = field.alias or name
        at, value, text = f"{path}.{key}", getattr(model, name), dumped[key]
        below = value.items() if isinstance(value, Mapping) and value else [("", value)]
        for entry, each in below:
            path_of = f"{at}.{entry}" if entry else at
            written = text[entry] if entry else text
            yield from _entries(path_of, each, written) if isinstance(each, BaseModel) else [(path_of, written)]
    for name in model.model_extra or {}:
        yield f"{path}.{name}", dumped[name]


def code_fingerprints(*targets: str) -> dict[str, str]:
    """Return what decides the behaviour of classes named by dotted paths: versions, or digests of local sources."""
    return {k: v for target in targets for k, v in code_fingerprint(target.rpartition(".")[0]).items()}


class Component(BaseModel):
    """``_target_``: the dotted path of a class; every other key is an option of it."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    target: DottedPath = Field(alias="_target_")

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that the class is called with."""
        return self.model_extra or {}
