"""Rules for the log of an image build that failed: pip, conda, docker, the registry, the disk.

All but one are of kind "image_build"; the first rule that matches is used, so specific rules stand before general ones.
"""

from __future__ import annotations

from orchestrator.diagnostics.rules import Confidence, FailureRule

_NETWORK = "{network}, then run the same command again"
_CHOOSE = "install versions here that go together (`pip install`), then run again: the package pins what is installed"
_SOURCE_BUILD = (
    r"metadata-generation-failed|Getting requirements to build \w+ did not run successfully|"
    r"Failed to build '[^']+' when (?:getting requirements|preparing metadata)"
)
_REGISTRY = (
    "let the identity that builds read and write the registry (roles AcrPull and AcrPush), or log in: `az acr login`"
)

_WHEEL_BUILD = r"Failed building wheel for \S+|Could not build wheels for [^ ,]+|Failed to build installable wheels for"

BUILD_RULES = (
    FailureRule(
        "image_build", r"[Nn]o space left on device",
        "the disk of the machine that builds the image is full: {quoted}",
        "free space (`docker system prune`), or take fewer distributions into the package, then run again",
    ),
    FailureRule(
        "throttled_or_server", r"toomanyrequests|pull rate limit",
        "the registry of the base image refuses more downloads for now: {quoted}",
        "wait and run the same command again, or take a base image from another registry",
    ),
    FailureRule(
        "image_build", r"unauthorized: authentication required|denied: requested access|pull access denied|failed to authorize|"
        r"Authentication failed for container registry",
        "the registry does not let the build in: {quoted}", _REGISTRY,
    ),
    FailureRule(
        "image_build", r"manifest (?:for \S+ )?(?:not found|unknown)|failed to solve: \S+: not found",
        "the base image does not exist: {quoted}", "name a base image that exists",
    ),
    FailureRule(
        "image_build", r"connection broken by .*(?:NewConnectionError|NameResolution|ConnectTimeout|ReadTimeout)",
        "the package index could not be reached: {quoted}", _NETWORK, match_warnings=True, requires="from versions: none",
    ),
    FailureRule(
        "image_build", r"Could not resolve host|CONNECTION FAILED for url|Temporary failure resolving|Could not connect to \S+:\d+",
        "the build has no network: {quoted}", _NETWORK,
    ),
    FailureRule(
        "image_build", r"Cannot install (?P<what>.+?) because these package versions have conflicting dependencies",
        "these pins exclude each other: {what}{conflicts}", f"{{without_defaults}}{_CHOOSE}",
    ),
    FailureRule(
        "image_build", r"ResolutionImpossible",
        "the package's pins exclude each other: {quoted}{conflicts}", f"{{without_defaults}}{_CHOOSE}",
    ),
    FailureRule(
        "image_build", r"resolution-too-deep|\bResolutionTooDeep\b",
        "pip found no versions that go with all pins, and gave up after it went back to older and older releases of {backtracked}",
        f"{{without_defaults}}{_CHOOSE}",
    ),
    FailureRule(
        "image_build", rf"{_SOURCE_BUILD}|{_WHEEL_BUILD}",
        "pip found nothing current that goes with all pins, went back to older and older releases of {backtracked}, and failed to build "
        "{distribution} from source{build_error}", f"{{without_defaults}}{_CHOOSE}", requires=r"pip is (?:still )?looking at multiple versions of",
    ),
    FailureRule(
        "image_build", _SOURCE_BUILD,
        "{distribution} has no wheel for this Python, and building it from source failed{build_error}",
        f"use a version of it that has a wheel, or {_CHOOSE}",
    ),
    FailureRule(
        "image_build", r"No matching distribution found for (?P<what>\S+)",
        "the package index has no {what} for this Python", "{other_version}",
    ),
    FailureRule(
        "image_build", r"Package '(?P<what>[^']+)' requires a different Python: (?P<python>\S+) not in '(?P<wanted>[^']+)'",
        "{what} needs Python {wanted}, and the image has {python}",
        "use another version of {what}, or train with a Python that it supports: the image takes the Python that trained",
    ),
    FailureRule(
        "image_build", r"(?:ResolvePackageNotFound|PackagesNotFoundError|UnsatisfiableError|LibMambaUnsatisfiableError)\b",
        "conda finds no such set of packages: {quoted}{list_below}",
        "name versions in conda.yaml that the channels have, or move them to its pip section",
    ),
    FailureRule(
        "image_build", r"Invalid requirement: '(?P<what>[^']+)'", "'{what}' is no requirement",
        "write it as name==version",
    ),
    FailureRule(
        "image_build", r"PACKAGES DO NOT MATCH THE HASHES", "a downloaded file is not the one that was pinned",
        "run again; if it stays, pin the hashes anew",
    ),
    FailureRule(
        "image_build", r"error: command '(?P<what>[^']*(?:gcc|g\+\+|cc|clang|cmake|rustc|cl\.exe)[^']*)' failed",
        "a distribution has no ready wheel for this Python, and the image has no working compiler: {quoted}",
        "use a version of it that has a wheel: the image has no build tools",
    ),
    FailureRule(
        "image_build", _WHEEL_BUILD,
        "a distribution could not be compiled: {quoted}", "use a version of it that has a wheel: the image has no build tools",
    ),
    FailureRule(
        "image_build", r"CondaValueError|YAMLException|Invalid yaml|InvalidMatchSpec|CondaHTTPError",
        "pip or conda could not prepare a distribution: {quoted}", _CHOOSE, confidence=Confidence.HINT,
    ),
    FailureRule(
        "image_build", r"EnvironmentBuildFailed|ImageBuildFailed|[Ff]ailed building the Environment|[Ii]mage build failed|"
        r"failed to run step ID|returned a non-zero code|failed to solve: process|did not complete successfully: exit code|"
        r"pip returned an error|Pip failed",
        "the image could not be built, and no rule matches its log",
        "read the build log; `{command} deploy=local` serves the same package without an image", confidence=Confidence.SYMPTOM,
    ),
)  # fmt: skip
