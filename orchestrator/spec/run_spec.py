"""RunSpec: the whole configuration as one frozen, validated value.

Data only. Objects are made from it in :mod:`orchestrator.pipeline`; the rules that need the data file or the
estimator are in :mod:`orchestrator.config.validate`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    field_validator,
)

from orchestrator.errors import Problem, SpecError
from orchestrator.reading.rows import is_tab_separated, parse_separator
from orchestrator.spec.components import NOT_A_PATH, is_dotted
from orchestrator.spec.messages import describe, near, nearest, place, shown
from score.contract.cells import MISSING, TableFormat, missing_words

ROOT = Path(__file__).resolve().parents[2]

Seed = NewType("Seed", int)
StateDir = NewType("StateDir", Path)


def _matches(pattern: str, said: str) -> AfterValidator:
    """Text of a pattern; ``said`` is the pattern in words, since people read no regular expressions."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"should be {said}, got {shown(text)}")
        return text

    return AfterValidator(check)


def _dotted(path: Any) -> Any:
    if not isinstance(path, str) or not is_dotted(path):
        raise ValueError(f"{NOT_A_PATH}, got {shown(path)}")
    return path


def one_is_a_list(value: Any) -> Any:
    """One value may be written without brackets."""
    return (value,) if isinstance(value, str | int | float | None) else value


def _no_value_twice(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: set[str] = set()
    for value in values:
        if (text := f"{type(value)} {value!r}") in seen:
            raise ValueError(f"{shown(value)} stands twice")
        seen.add(text)
    return values


def _free(name: str) -> str:
    if name in {"model", "branches"}:
        raise ValueError("the pipeline has a step of this name already; choose another")
    return name


def _separates(typed: str) -> str:
    if not typed:
        raise ValueError("should not be empty")
    return parse_separator(typed)


Separator = Annotated[StrictStr, AfterValidator(_separates)]
Decimal = Literal[".", ","]
Thousands = Literal[",", ".", "'", " ", "_"]
Name = Annotated[
    StrictStr, _matches(r"[A-Za-z][A-Za-z0-9_-]*", "a name of letters, digits, - and _, beginning with a letter")
]
StepName = Annotated[Name, AfterValidator(_free)]
Values = Annotated[
    tuple[Any, ...], Field(min_length=1), BeforeValidator(one_is_a_list), AfterValidator(_no_value_twice)
]
DottedPath = Annotated[StrictStr, BeforeValidator(_dotted)]


class Section(BaseModel):
    """A frozen part of the spec; an unknown key in it is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    section: ClassVar[str] = ""

    def leaves(self, *without: str) -> dict[str, Any]:
        """Every value that holds no others, by its dotted path in the configuration."""
        return dict(_leaves(self.section, self.model_dump(mode="json", by_alias=True, exclude=set(without))))

    def flat(self) -> dict[str, str]:
        """The values as people read them, by their keys; a mapping that is a value of a user's own is one JSON text.

        Keys of such a mapping may be columns or labels, and MLflow takes few characters in a name.
        """
        found = _entries(self.section, self, self.model_dump(mode="json", by_alias=True))
        return {at: value if isinstance(value, str) else json.dumps(value) for at, value in found}

    def parts(self, *without: str) -> dict[str, str]:
        """The leaves as text that tells the number 1 from the text "1"."""
        return {at: json.dumps(value) for at, value in self.leaves(*without).items()}

    def ordered(self) -> dict[str, str]:
        """Of these parts, those that have a say in what is made."""
        return self.parts()

    def cache_parts(self) -> Mapping[str, str]:
        """What decides a result (see :mod:`orchestrator.caching.cache`): what is ordered, and what of this machine counts."""
        return self.ordered()


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), below)
    else:
        yield path, value


def _entries(path: str, model: BaseModel, dumped: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values by the keys that the schema knows: fields, their names below mappings, and a component's options."""
    for name, field in type(model).model_fields.items():
        key = field.alias or name
        at, value, text = f"{path}.{key}", getattr(model, name), dumped[key]
        below = value.items() if isinstance(value, Mapping) and value else [("", value)]
        for entry, each in below:
            place = f"{at}.{entry}" if entry else at
            written = text[entry] if entry else text
            yield from _entries(place, each, written) if isinstance(each, BaseModel) else [(place, written)]
    for name in model.model_extra or {}:
        yield f"{path}.{name}", dumped[name]


def _origins(*targets: str) -> dict[str, str]:
    """What decides what the classes named by dotted paths do: versions, or digests of local sources."""
    return {k: v for target in targets for k, v in origin_of(target.rpartition(".")[0]).items()}


@functools.lru_cache(maxsize=8)
def _file_digest(path: Path, _size: int, _modified: int) -> str:
    return file_digest(path)


def _looked_for(path: Path) -> Path:
    """A relative path is looked for from where the command runs, then from the repository."""
    path = path.expanduser()
    beside = not path.is_absolute() and not path.exists() and (ROOT / path).exists()
    return (ROOT / path).resolve() if beside else path.resolve()


class Component(BaseModel):
    """``_target_``: the dotted path of a class; every other key is an option of it."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    target: DottedPath = Field(alias="_target_")

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that the class is called with."""
        return self.model_extra or {}


class DataSpec(Section):
    """Which table to learn from, what is to be predicted, and how many rows are held out."""

    section = "data"

    path: Path
    format: Literal["csv", "parquet"]
    target: StrictStr
    test_size: StrictFloat
    stratify: StrictBool = True
    drop: tuple[StrictStr, ...] = ()
    positive: Any = None
    separator: Separator = Field(default=None, validate_default=True)  # null: by the file's name
    encoding: StrictStr = "utf-8"
    decimal: Decimal = "."
    thousands: Thousands | None = None
    missing_values: tuple[StrictStr, ...] = ()
    keep_default_na: StrictBool = True
    text_columns: tuple[StrictStr, ...] = ()
    index: Literal["auto", "keep", "drop"] = "auto"
    max_one_hot: StrictInt = Field(default=2000, ge=1)

    def table_format(self) -> TableFormat:
        """How the table is written, for others of its kind."""
        if self.format == "parquet":
            return TableFormat(format="parquet", missing=(), text_columns=self.text_columns)
        return TableFormat(
            separator=self.separator,
            encoding=self.encoding,
            decimal=self.decimal,
            thousands=self.thousands,
            missing=missing_words(self.keep_default_na, self.missing_values),
            text_columns=self.text_columns,
        )

    def ordered(self) -> dict[str, str]:
        """Not where the file lies, nor how many columns it may become."""
        return self.parts("path", "max_one_hot")

    def cache_parts(self) -> Mapping[str, str]:
        """The file's contents count, too."""
        found = self.path.stat()
        return {**self.ordered(), "data file": _file_digest(self.path, found.st_size, found.st_mtime_ns)}

    @field_validator("separator", mode="before")
    @classmethod
    def _by_the_name(cls, separator: Any, info: ValidationInfo) -> Any:
        if separator is not None:
            return separator
        path = info.data.get("path")
        return "\t" if isinstance(path, Path) and is_tab_separated(path) else ","

    @model_validator(mode="after")
    def _two_signs(self) -> DataSpec:
        if self.decimal == self.thousands:
            raise ValueError(f"thousands: {self.thousands!r} is data.decimal already; one sign cannot be both")
        return self

    @field_validator("test_size", mode="before")
    @classmethod
    def _share(cls, share: Any) -> Any:
        if isinstance(share, int | float) and not 0 < share < 1:
            raise ValueError(f"should be a share between 0 and 1, such as 0.2, got {shown(share)}")
        return share

    @field_validator("positive")
    @classmethod
    def _label(cls, label: Any) -> Any:
        if not isinstance(label, str | int | float | None):
            raise ValueError(f"should be one label of the target, got {shown(label)}")  # noqa: TRY004 - pydantic's way
        return label

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return _looked_for(path)


Columns = Annotated[
    Annotated[Literal["numeric", "categorical"], Tag("[kind]")] | Annotated[tuple[StrictStr, ...], Tag("[names]")],
    Discriminator(lambda value: "[kind]" if isinstance(value, str) else "[names]"),
]


class Branch(Section):
    """Some columns and the transformers they go through, one after another."""

    columns: Columns
    steps: Mapping[Name, Component] = Field(min_length=1)


class PreprocessSpec(Section):
    """Transformers of the whole table in order (``steps``), then of groups of columns side by side (``branches``)."""

    section = "preprocess"

    steps: Mapping[StepName, Component] = {}
    branches: Mapping[Name, Branch] = {}
    remainder: Literal["drop", "passthrough"] = "drop"

    def ordered(self) -> dict[str, str]:
        """The order in which the transformers stand counts, too."""
        return {**self.parts(), "preprocess order": " ".join([*self.steps, *self.branches])}

    def cache_parts(self) -> Mapping[str, str]:
        """The transformers' own code counts too."""
        return {**self.ordered(), **_origins(*(found.target for _, found in self.components()))}

    def components(self) -> Iterator[tuple[str, Component]]:
        """Every transformer with its place in the configuration."""
        for name, step in self.steps.items():
            yield f"preprocess.steps.{name}", step
        for branch_name, branch in self.branches.items():
            for name, step in branch.steps.items():
                yield f"preprocess.branches.{branch_name}.steps.{name}", step


class ModelSpec(Section):
    """An estimator's dotted path, its parameters, and the grid of parameters to search; all names are bare."""

    section = "model"

    estimator: DottedPath
    params: Mapping[StrictStr, Any] = {}
    param_grid: Mapping[StrictStr, Values] = {}

    def cache_parts(self) -> Mapping[str, str]:
        """The estimator's own code counts too."""
        return {**self.ordered(), **_origins(self.estimator)}


class SearchSpec(Section):
    """How candidates are compared; ``target`` is a search estimator such as scikit-learn's GridSearchCV.

    Every other key is an option of that class.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    section = "search"

    target: DottedPath = Field(alias="_target_")
    cv: StrictInt = Field(ge=2)
    scoring: tuple[StrictStr, ...] = Field(min_length=1)
    refit: StrictStr
    n_jobs: StrictInt | None = None
    backend: Literal["loky", "threading", "dask", "ray"] | None = None  # joblib's
    scheduler: StrictStr | None = None  # of a cluster that is there
    on_error: Literal["stop", "skip"] = "stop"  # what a candidate that fails does to the search

    @property
    def options(self) -> Mapping[str, Any]:
        """What this search takes and others do not, such as how many candidates are drawn."""
        return self.model_extra or {}

    def candidates(self, grid: int) -> int:
        """How many of a grid's candidates are looked at."""
        drawn = self.options.get("n_iter")
        return min(grid, drawn) if isinstance(drawn, int) else grid

    def ordered(self) -> dict[str, str]:
        """Where, in how many processes and how loudly it runs changes no result."""
        return self.parts("n_jobs", "backend", "scheduler", "pre_dispatch", "verbose")

    def cache_parts(self) -> Mapping[str, str]:
        """The search's own code counts too."""
        return {**self.ordered(), **_origins(self.target)}

    @field_validator("scoring", mode="before")
    @classmethod
    def _one_is_a_list(cls, scoring: Any) -> Any:
        return (scoring,) if isinstance(scoring, str) else scoring

    @field_validator("n_jobs")
    @classmethod
    def _some_jobs(cls, n_jobs: int | None) -> int | None:
        if n_jobs == 0:
            raise ValueError("0 processes do nothing; write 1, or -1 for all cores")
        return n_jobs

    @model_validator(mode="after")
    def _a_cluster_has_a_backend(self) -> SearchSpec:
        if self.scheduler is not None and self.backend not in {"dask", "ray"}:
            raise ValueError("scheduler: is the address of a cluster; say of which: search.backend=dask or ray")
        if self.scheduler is not None and self.n_jobs not in {None, -1}:
            raise ValueError(
                "n_jobs: counts processes of this machine; a cluster that is there is used whole: write null"
            )
        return self

    @model_validator(mode="after")
    def _refit_is_scored(self) -> SearchSpec:
        if self.refit not in self.scoring:
            raise ValueError(f"refit: {self.refit!r} is not one of search.scoring{near(self.refit, self.scoring)}")
        return self


WHICH = ("auto", "last", "champion", "live", "best")


def _which(version: Any) -> Any:
    text = str(version) if isinstance(version, int) and not isinstance(version, bool) else version
    if not isinstance(text, str) or not (text in WHICH or re.fullmatch("[1-9][0-9]*", text)):
        known = f"should be {', '.join(WHICH)} or the number of a version, got {shown(version)}"
        raise ValueError(f"{known}{nearest(str(version), WHICH)}")
    return text


class PackageSpec(Section):
    """What the package is called, which requests its endpoint takes, and whether its model is compiled."""

    section = "package"

    model_name: Annotated[
        StrictStr,
        _matches(
            r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", "letters, digits, '.', - and _, beginning with a letter or digit"
        ),
    ]
    golden_rows: StrictInt = Field(default=5, ge=1, le=1000)
    extra_columns: Literal["forbid", "ignore"] = "forbid"
    unseen: Literal["auto", "accept", "refuse"] = "auto"
    max_refused: StrictFloat = Field(default=0.01, ge=0, le=1)
    category_share: StrictFloat = Field(default=0.5, gt=0, le=1)
    max_categories: StrictInt = Field(default=1000, ge=1)
    compile: Literal["auto", "never", "required"] = "auto"
    version: Annotated[StrictStr, BeforeValidator(_which)] = "auto"

    def ordered(self) -> dict[str, str]:
        """Not which of the versions an act takes."""
        return self.parts("version")


class BatchSpec(Section):
    """A table to be scored, and the one that its rows go to with their predictions."""

    section = "batch"

    input: Path
    output: Path
    chunk_rows: StrictInt = Field(default=10_000, ge=1)
    keep: tuple[StrictStr, ...] | None = None
    separator: Separator | None = None  # null here and below: as training's table was written
    encoding: StrictStr | None = None
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    missing_values: tuple[StrictStr, ...] | None = None
    keep_default_na: StrictBool | None = None

    def table_format(self, trained: TableFormat | None) -> TableFormat:
        """How the input is written, where it is a CSV file; ``trained`` is how training's table was."""
        form = trained if trained is not None and trained.format == "csv" else TableFormat()
        more = tuple(set(form.missing) - MISSING) if self.missing_values is None else self.missing_values
        default = set(form.missing) >= MISSING if self.keep_default_na is None else self.keep_default_na
        decimal = self.decimal or form.decimal
        thousands = self.thousands or (form.thousands if form.thousands != decimal else None)
        return TableFormat(
            separator=self.separator or ("\t" if is_tab_separated(self.input) else form.separator),
            encoding=self.encoding or form.encoding,
            decimal=decimal,
            thousands=thousands,
            missing=missing_words(default, more),
            text_columns=(trained or form).text_columns,
        )

    @property
    def rejected(self) -> Path:
        """Where the reasons of rows that the package refuses go."""
        return self.output.with_suffix(".rejected.csv")

    @field_validator("input")
    @classmethod
    def _readable(cls, path: Path) -> Path:
        return _looked_for(path)

    @field_validator("output")
    @classmethod
    def _writable(cls, path: Path) -> Path:
        return _table(path, ".csv", ".parquet").expanduser().resolve()

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError:
            raise ValueError(f"there is no encoding {shown(encoding)}; try utf-8 or latin-1") from None
        return encoding


def _table(path: Path, *endings: str) -> Path:
    if not path.name.lower().endswith(endings):
        raise ValueError(f"should end in {' or '.join(endings)}, got {shown(path.name)}")
    return path


class Workspace(NamedTuple):
    """What names a workspace."""

    subscription_id: str
    resource_group: str
    workspace_name: str


class AzureSpec(Section):
    """Which Azure ML workspace, and how to get in: all three names, or a ``config.json``. Never a secret.

    ``emulator`` is the folder of a stand-in on this machine that is met instead of Azure.
    """

    section = "azure"

    config_path: Path | None = None
    subscription_id: StrictStr | None = None
    resource_group: StrictStr | None = None
    workspace_name: StrictStr | None = None
    auth: Literal["auto", "service_principal", "managed_identity", "cli", "interactive"] = "auto"
    emulator: Path | None = None
    images: Path | None = None
    faults: tuple[StrictStr, ...] = ()

    def ids(self) -> Workspace | None:
        """The three names; None: a ``config.json`` has them, also where the environment has only some."""
        if self.subscription_id and self.resource_group and self.workspace_name:
            return Workspace(self.subscription_id, self.resource_group, self.workspace_name)
        return None

    @model_validator(mode="after")
    def _faults_are_emulated(self) -> AzureSpec:
        if self.faults and self.emulator is None:
            raise ValueError("faults: only an emulator has faults; write azure=emulator")
        return self


Stage = Annotated[
    Annotated[DottedPath, Tag("[path]")] | Annotated[Component, Tag("[class]")],
    Discriminator(lambda value: "[class]" if isinstance(value, Mapping | Component) else "[path]"),
]


class RunSpec(Section):
    """Everything that configures a run."""

    name: Annotated[
        StrictStr,
        matches(r"[a-z][a-z0-9_-]*", "lower case letters, digits, - and _, beginning with a letter"),
    ]
    seed: StrictInt = Field(ge=0, lt=2**32)
    state_dir: Path
    dry_run: StrictBool = False
    verbose: StrictBool = False
    data: DataSpec
    preprocess: PreprocessSpec
    model: ModelSpec
    search: SearchSpec
    package: PackageSpec
    batch: BatchSpec | None = None
    azure: AzureSpec = AzureSpec()
    tracking: Component
    deploy: Component
    stages: Mapping[Name, Stage | None]

    @property
    def digest(self) -> str:
        """The digest of what is made: the same on any machine, wherever it is tracked and served."""
        sections = (self.data, self.preprocess, self.model, self.search, self.package)
        parts = {"seed": str(self.seed)}
        for section in sections:
            parts |= section.ordered()
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @field_validator("state_dir", mode="before")
    @classmethod
    def _named(cls, path: Any) -> Any:
        if isinstance(path, str) and not path.strip():  # as a path it would be the repository's own folder
            raise ValueError("should name a folder, such as state")
        return path

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return (ROOT / path.expanduser()).resolve()

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> RunSpec:
        """Validate a composed configuration.

        Raises:
            SpecError: every mistake that can be found without looking at files or importing an estimator.
        """
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            found = [_problem(dict(each)) for each in error.errors(include_url=False)]
        raise SpecError(found)


_SECTIONS: Mapping[str, type[BaseModel]] = {
    name: kind
    for name, field in RunSpec.model_fields.items()
    for kind in (field.annotation, *get_args(field.annotation))
    if isinstance(kind, type) and issubclass(kind, BaseModel)
}


def _problem(found: Mapping[str, Any]) -> Problem:
    path = found["loc"]
    if found["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in _owner(path).model_fields.items()]
        return Problem(format_path(*path), f"there is no such key{suggest_or_list(str(path[-1]), known)}")
    text = describe_error(found)
    key, colon, rest = text.partition(": ")
    if found["type"] == "value_error" and colon and re.fullmatch(r"[\w-]+", key):
        return Problem(format_path(*path, key), rest)  # a rule about several keys says itself which of them is wrong
    return Problem(format_path(*path), text)


def _owner(path: tuple[str | int, ...]) -> type[BaseModel]:
    """Return the section that forbids an unknown key."""
    if len(path) == 1:
        return RunSpec
    return Branch if path[:2] == ("preprocess", "branches") else _SECTIONS[str(path[0])]
