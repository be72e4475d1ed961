"""The files of a new project: made from templates, and written all or none."""

from __future__ import annotations

import importlib.metadata
import os
import re
import string
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path

from orchestrator.bundled import CONF, SCHEMA_FILE
from orchestrator.errors import DataError
from orchestrator.locations.urls import is_url
from orchestrator.project.experiment import choose_model, format_experiment, format_model, printable
from orchestrator.project.survey import Survey
from orchestrator.project.task import Task

_TEMPLATES = {  # by the file in the project
    "conf/model/README.md": "models.template",
    "features.py": "features.template",
    "tests/test_features.py": "test_features.template",
    "requirements.txt": "requirements.template",
    ".gitignore": "gitignore.template",
    "README.md": "readme.template",
    ".github/workflows/train.yml": "train.yml.template",
    "azure-pipelines.yml": "azure-pipelines.yml.template",
}
_VALUES = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"}  # in YAML or on the command line
_LONGEST = 40  # letters of a name
_DISTRIBUTION = "sklearn-orchestrator"


class _Template(string.Template):
    """Placeholders are written ``%%{name}``, as CI files use ``$`` themselves."""

    delimiter = "%%"


def derive_name(file: str) -> str:
    """Return a valid name of an experiment, a model and a service, from the name of a file."""
    stem = file.lstrip(".").partition(".")[0]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    name = name if is_name(name) else f"model-{name}".strip("-")
    return name[:_LONGEST].rstrip("-")


def is_name(name: str) -> bool:
    """Return whether a text may name an experiment; Hydra reads ``experiment=null`` and the like as no name."""
    return re.fullmatch(r"[a-z][a-z0-9_-]*", name) is not None and name not in _VALUES


def reference_table(table: Path, folder: Path) -> tuple[str, bool]:
    """Return the path of a table as the project writes it, and whether the table is in the project's folder.

    A table beside the folder is named relative to it, one elsewhere by its absolute path.

    Raises:
        DataError: its name is no Unicode text, which no file of the project could hold.
    """
    table, folder = table.resolve(), folder.resolve()
    if not _is_unicode(str(table)):
        shown = str(table).encode("utf-8", "backslashreplace").decode()
        raise DataError(f"--data: the name {shown} is not written in UTF-8; rename it")
    if table.is_relative_to(folder):
        return table.relative_to(folder).as_posix(), True
    if table.is_relative_to(folder.parent):
        return Path(os.path.relpath(table, folder)).as_posix(), False
    return table.as_posix(), False


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def make_files(name: str, path: str, survey: Survey, task: Task, *, inside: bool) -> dict[str, str]:
    """Return the text of each file of the project; ``path`` is the table's, and ``inside`` whether it is in the project."""
    model = choose_model(task, survey.rows)
    values = {
        "name": name,
        "data": path,
        "data_note": "# The table is in the repository."
        if inside
        else f"# The table is read from {path}: give the step its credentials as environment variables."
        if is_url(path)
        else f"# The table is not in the repository: add a step that fetches it to {path}, or change data.path.",
        "target": str(survey.target.name),
        "task": {"binary": "one of two classes", "multiclass": "one of several classes", "regression": "a number"}[
            task.kind
        ],
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "requirement": _requirement(),
    }
    values = {key: " ".join(printable(text).split()) for key, text in values.items()}  # whatever a column is called
    values["blank"] = " " * len(name)
    templates = resources.files("orchestrator.project") / "templates"
    files = {
        f"conf/experiment/{name}.yaml": format_experiment(name, path, survey, task, model),
        f"conf/model/{model.option}.yaml": format_model(model),
        "conf/schema.json": (CONF / SCHEMA_FILE).read_text(encoding="utf-8"),
    }
    for file, template in _TEMPLATES.items():
        files[file] = _Template((templates / template).read_text(encoding="utf-8")).substitute(values)
    return files


def _requirement() -> str:
    """Return the requirement of this project: the version at least, if it is one that was released."""
    with suppress(importlib.metadata.PackageNotFoundError):
        version = importlib.metadata.version(_DISTRIBUTION)
        if re.fullmatch(r"\d+(\.\d+)*", version):
            return f"{_DISTRIBUTION}>={version}"
    return _DISTRIBUTION


def check_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Refuse a folder in which a file to be written exists already.

    Raises:
        DataError: the text names these files, or what else is in the way.
    """
    above = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not above.is_dir():
        raise DataError(f"FOLDER: {above} is a file; name a folder")
    if there := [file for file in files if os.path.lexists(folder / file)]:
        plural = "exist" if len(there) > 1 else "exists"
        raise DataError(
            f"FOLDER: {', '.join(there)} {plural} in {folder.resolve()} and would be overwritten; nothing was written; name "
            "another folder"
        )
    for file in files:
        for parent in (folder / file).relative_to(folder).parents:
            if (folder / parent).exists() and not (folder / parent).is_dir():
                raise DataError(f"FOLDER: {folder / parent} is a file, and {file} needs a folder there")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write all files, or none: where one cannot be written, those before it are removed.

    Raises:
        DataError: one cannot be written.
    """
    check_folder(folder, files)
    written: list[Path] = []
    made: list[Path] = []
    try:
        for file, text in files.items():
            path = folder / file
            made += [each for each in reversed([path.parent, *path.parent.parents]) if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()
        if isinstance(error, OSError):
            text = f"FOLDER: {error.filename} cannot be written: {error.strerror}; nothing was written"
            raise DataError(text) from error
        raise
