"""Build a package's Docker image from the Dockerfile in the package, and remove such images."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from orchestrator.artifacts import Package
from orchestrator.deploy.docker.labels import PREFIX, ContainerLabels
from orchestrator.deploy.failure import failure
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence
from orchestrator.errors import DeployError, one_line
from orchestrator.packaging.dockerfile import DOCKERFILE, LIBRARIES
from orchestrator.progress import Heartbeat
from orchestrator.resolving.libraries import Libraries

if TYPE_CHECKING:
    from docker import DockerClient

BASE = "BASE_IMAGE"  # the Dockerfile's argument that names the image it starts from
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"})  # every Dockerfile takes them
END_SECONDS = 20
ATTEMPTS = 3
LOG = "building.log"  # exists while an image is built, and after a command that was killed during it
REQUIREMENTS = "requirements.txt"
_MADE = re.compile(r"^Step \d+/\d+ : (?!FROM)[^\n]*\n(?:(?!^Step ).*\n)*? ---> ([0-9a-f]{12})$", re.MULTILINE)
_RAN = re.compile(r"^ ---> Running in ([0-9a-f]{12})$", re.MULTILINE)
# Another command removed a layer that this build had taken from the engine's cache; the next attempt builds it again
_LAYER_LOST = re.compile(r"unknown parent image ID|failed to set parent|No such image: sha256")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def build(
    client: DockerClient,
    wanted: ContainerLabels,
    args: Mapping[str, str],
    network: str | None,
    home: ServiceDirectory,
    say: Heartbeat,
) -> None:
    """Build the image, the libraries first; existing layers are reused.

    Raises:
        DeployError: the base image cannot be pulled, or a step of the Dockerfile failed; its log lies in ``home``.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    _pull_base(client, args[BASE], say)
    options = {"buildargs": dict(args), "network_mode": network, "labels": _labels(wanted)}
    say(f"building image {wanted.image}")
    with (home.path / LOG).open("w") as log:
        # Their own tag keeps the libraries, which take longest, for the next model and out of `docker image prune`
        for files, extra in (
            ([DOCKERFILE, REQUIREMENTS], {"tag": libraries(wanted.image), "target": LIBRARIES}),
            (None, {"tag": wanted.image}),
        ):
            for _ in range(ATTEMPTS):
                error = ""
                with _context(wanted.package, files) as context:
                    steps = client.api.build(
                        fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True, **options, **extra
                    )
                    for step in steps:
                        text = _COLOUR.sub("", str(step.get("stream") or step.get("error") or ""))
                        error = str(step.get("error") or error)
                        log.write(text)
                        log.flush()  # what is built is known, also if this command is killed now
                        say.update(text)
                if not _LAYER_LOST.search(error):
                    break
            if error:
                break
    text = (home.path / LOG).read_text()
    if not error:
        (home.path / LOG).unlink()
        return
    settings = {"service_name": wanted.service, "network_mode": network, "base_image": args[BASE]}
    evidence = Evidence("docker", "no image", f"image build failed: {error}", build_log=text, settings=settings)
    diagnosed = failure(evidence, "the image cannot be built", home)
    with contextlib.suppress(DockerException, RequestException):  # the next command clears what stays
        clear(client, home)
    raise diagnosed


def clear(client: DockerClient, home: ServiceDirectory) -> None:
    """Remove the containers and untagged layers that a failed or killed build has left."""
    from docker.errors import APIError

    log = home.path / LOG
    if not log.exists():
        return
    text = log.read_text()
    for container in _RAN.findall(text):
        _end(client, container)
    layers = _MADE.findall(text)
    # The SDK's images.list makes another request for each, and fails for one that another command has removed meanwhile
    for image in client.api.images(filters={"dangling": True}):
        image_id, parent = ((image.get(key) or "").removeprefix("sha256:")[:12] for key in ("Id", "ParentId"))
        if image_id in layers or parent in layers[-1:]:  # the engine may have finished a step after the log ended
            with contextlib.suppress(APIError):  # another build uses it
                client.images.remove(image["Id"])
    log.unlink()


def prune(client: DockerClient, name: str, keep: Iterable[str] = ()) -> None:
    """Remove the images of ``name``, a service's name in the engine, except those to keep and those in use."""
    from docker.errors import APIError

    for image in client.api.images(filters={"label": f"{PREFIX}name={name}"}):
        tags = _tags(image)
        own = [tag for tag in tags if tag.startswith(f"{name}:")]
        for reference in own or ([] if tags else [image["Id"]]):  # a tag of another name is not this project's
            if reference not in set(keep):
                with contextlib.suppress(APIError):
                    client.images.remove(reference)


def has_image(client: DockerClient, image: str) -> bool:
    """Return whether the engine has the image."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def libraries(image: str) -> str:
    """Return the tag of the libraries' image, which the service's images share."""
    return f"{image.partition(':')[0]}:{LIBRARIES}"


def libraries_of(package: Package, args: Mapping[str, str]) -> Libraries:
    """Return what the image installs; the build's arguments decide its Python and where its packages come from."""
    here = platform.python_version()
    named = re.search(r"(?:^|/)python:(\d+\.\d+(?:\.\d+)?)", args[BASE])
    python = here if named is None or here.startswith(f"{named[1]}.") else named[1]
    settings = {name: value for name, value in args.items() if name != BASE}
    lines = (package.path / REQUIREMENTS).read_text().splitlines()
    machine = "aarch64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    return Libraries(lines, python, machine, settings)


def arguments(package: Package, base_image: str | None, asked: Mapping[str, str | None]) -> dict[str, str]:
    """Return the build's arguments; one without a value gets this machine's variable of its name.

    Raises:
        DeployError: the Dockerfile takes no such argument, or the machine has no such variable.
    """
    try:
        dockerfile = (package.path / DOCKERFILE).read_text()
    except OSError:
        raise DeployError(
            f"deploy: {package.path} carries no {DOCKERFILE}; make the package again with stages=package"
        ) from None
    known = dict(re.findall(r"^ARG (\w+)=?(\S*)", dockerfile, re.MULTILINE))
    if unknown := [name for name in asked if name not in known and name.upper() not in PROXIES]:
        raise DeployError(
            f"deploy.build_args: the package's Dockerfile takes no {', '.join(unknown)}; it takes {', '.join(known)}"
        )
    if unset := [name for name, value in asked.items() if value is None and name not in os.environ]:
        raise DeployError(f"deploy.build_args: {', '.join(unset)} is not set; export it or give it a value")
    values = {name: os.environ[name] if value is None else value for name, value in asked.items()}
    return {BASE: base_image or known.get(BASE, ""), **values}


def _end(client: DockerClient, container: str) -> None:
    """Remove the container of a build step, which keeps its image in use; the engine may be removing it as well."""
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            client.api.remove_container(container, force=True)
        except NotFound:
            return
        except APIError:
            time.sleep(0.2)


def _labels(wanted: ContainerLabels) -> dict[str, str]:
    """Return the image's labels, without anything of this machine: an image may be pushed."""
    labels = {
        "name": wanted.image.partition(":")[0],
        "fingerprint": wanted.fingerprint,
        "model_name": wanted.model_name,
    }
    return {f"{PREFIX}{name}": value for name, value in labels.items()}


def _pull_base(client: DockerClient, name: str, say: Heartbeat) -> None:
    """Pull the base image if the engine has none, before the build, so that its absence is reported as such."""
    from docker.errors import APIError

    try:
        if has_image(client, name):
            return
        say(f"pulling the base image {name}")
        client.images.pull(name)
    except APIError as error:
        has = sorted(tag for image in client.api.images() for tag in _tags(image) if "python" in tag)
        raise DeployError(
            f"deploy.base_image: the engine has no '{name}' and cannot pull it ({one_line(error.explanation)}); "
            "let it reach a registry, `docker load` the image, or name another with deploy.base_image="
            + (f" (it has {', '.join(has[:5])})" if has else "")
        ) from error


def _tags(image: Mapping[str, Any]) -> list[str]:
    """Return the tags of an image; the engine lists `<none>` for none."""
    return [tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]


def _context(package: Package, files: Sequence[str] | None) -> IO[bytes]:
    """Return the build context as a tar file. Owner and mode are always the same: they are part of a layer's cache key."""
    context = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller's; a model may be larger than memory
    paths: Sequence[Path] = package.cache_files() if files is None else [package.path / name for name in files]
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path in paths:
            archive.add(path, path.relative_to(package.path).as_posix(), filter=_plain)
    context.seek(0)
    return context


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644  # the server, which is not the files' owner in the image, may read them
    return member
