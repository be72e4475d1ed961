"""Failures of a tracking server in words: find the root cause in the chain of exceptions, say it and what would help.

MLflow, requests and urllib3 wrap one error in the next and write the innermost last, behind the whole URL. Exceptions are
recognised by the names of their classes, so that no library is imported for it.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

LONGEST = 300  # characters of an answer that is quoted
CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
GATEWAY = (
    "a gateway answers {status} in place of the MLflow server behind it; is that running? Look at the log of {host}"
)
NO_PATH = "the server has no such path ({status}); is that of tracking.tracking_uri right, and is it an MLflow server?"
STATUSES = {
    401: (
        f"the server does not know who asks ({{status}}); set {CREDENTIALS[0]} and {CREDENTIALS[1]} (or {CREDENTIALS[2]}), "
        "and look whether they are right"
    ),
    403: f"the server refuses this user ({{status}}); ask for the right to write, or set {CREDENTIALS[0]} of another user",
    404: NO_PATH,
    405: NO_PATH,
    413: "the server takes no request of this size ({status}); raise the limit of the gateway before it",
    429: "the server is asked too often ({status}); run fewer jobs at once",
    **dict.fromkeys((502, 503, 504), GATEWAY),
}
OTHER_STATUS = "the server answers {status}; look at the log of {host}"
PASSING = {408, 429, 500, 502, 503, 504}
# Raised where no answer came, or only a part of one.
UNANSWERED = {"ConnectionError", "TimeoutError", "Timeout", "HTTPException", "ProtocolError", "gaierror", "HTTPError"}
CORRECT = "or correct tracking.tracking_uri"


class NoMlflowError(Exception):
    """What answers is no MLflow server, or one of a version that cannot be used; the text says why."""


class ProxyError(OSError):
    """The proxy that the environment names cannot be reached."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything that it was raised from, the outermost first."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inside = (one.__cause__, one.__context__, getattr(one, "reason", None), *getattr(one, "args", ()))
        waiting += [each for each in inside if isinstance(each, BaseException)]


def forget(error: BaseException, handled: BaseException | None) -> None:
    """Take out of an error's chain what was being handled before its work began: it is no cause of it."""
    for one in list(chain(error)) if handled is not None else ():
        if one.__context__ is handled:
            one.__context__ = None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error stems from."""
    for one in chain(error):
        text = str(one)
        for pattern in (r"failed with error code (\d{3})", r"too many (\d{3}) error", r"(?:failed|proxy)\W+(\d{3})\b"):
            if found := re.search(pattern, text):
                return int(found[1])
        response = getattr(one, "response", None)
        if getattr(response, "status_code", None):
            return int(response.status_code)  # type: ignore[union-attr]  # requests' errors carry their response
        if _is(one, "RestException"):
            return int(one.get_http_status_code())  # type: ignore[attr-defined]  # known by its name alone
    return None


def passes(error: BaseException) -> bool:
    """Whether the same call may succeed a little later: no answer came, or one that says so itself."""
    links = list(chain(error))
    if any(_is(one, "SSLError", "SSLCertVerificationError", "NoMlflowError", "InvalidURL") for one in links):
        return False
    status = status_of(error)
    return status in PASSING if status else any(_is(one, *UNANSWERED) for one in links)


def is_down(error: BaseException) -> bool:
    """Whether there is nothing at the address, so that waiting for an answer is of no use."""
    return any(
        _is(one, "ConnectionRefusedError", "gaierror", "ProxyError", "NameResolutionError") for one in chain(error)
    )


def proxy_of(uri: str) -> tuple[str, str] | None:
    """Return the variable of the proxy that requests to ``uri`` go through, and its address without a password."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"}:
        return None
    proxies = urllib.request.getproxies()
    if parts.hostname and urllib.request.proxy_bypass(parts.hostname):
        return None
    for name in (parts.scheme, "all"):
        if proxies.get(name):
            return f"{name}_proxy", re.sub(r"//[^/@]*@", "//", proxies[name])
    return None


def describe(error: BaseException, uri: str) -> str:
    """Say in one line what went wrong with the server at ``uri`` and what would help."""
    links = list(chain(error))
    host, proxy = urlsplit(uri).hostname or uri, proxy_of(uri)
    through = f" (asked through {proxy[0]}={proxy[1]})" if proxy else ""
    if tls := next((one for one in reversed(links) if _is(one, "SSLError")), None):
        return _tls(str(tls), host)
    status = status_of(error)
    if proxy and any(_is(one, "ProxyError") for one in links):
        why = "asks for a user and a password" if status == 407 else "cannot be used"
        return (
            f"the proxy {proxy[1]} ({proxy[0]} in the environment) {why}: {_root(links)}; correct it, "
            f"or add {host} to NO_PROXY"
        )
    explained = any(_is(one, "RestException", "NoMlflowError") for one in links) and status not in {401, 403}
    if status is not None and not explained:
        return f"{STATUSES.get(status, OTHER_STATUS).format(status=status, host=host)}{through}"
    if not explained and any(_is(one, *UNANSWERED) for one in links) and uri.startswith(("http:", "https:")):
        return f"{_unanswered(links, uri, host)}{through}"
    return _said(links)


def no_mlflow(uri: str, why: str) -> NoMlflowError:
    """Return the error of an address where something else answers."""
    return NoMlflowError(f"there is no MLflow server here: {why}; correct tracking.tracking_uri ({uri})")


def _unanswered(links: list[BaseException], uri: str, host: str) -> str:
    """What it means that no answer came."""
    if any(_is(one, "gaierror", "NameResolutionError") for one in links):
        return f"the server does not answer: there is no host {host!r}; correct tracking.tracking_uri"
    if any(_is(one, "ConnectionRefusedError") for one in links):
        return f"the server does not answer; start it, {CORRECT} ({_root(links)})"
    if any(_is(one, "Timeout", "TimeoutError") for one in links):
        return f"the server does not answer, though it takes connections; look at its log, {CORRECT}"
    tls = " (does it speak https?)" if uri.startswith("http:") else ""
    return f"the server closed the connection without an answer{tls}: {_root(links)}; look at its log, {CORRECT}"


def _tls(text: str, host: str) -> str:
    """What a failed TLS handshake means; OpenSSL puts its reason in brackets or behind a colon."""
    found = re.search(r"certificate verify failed: ([^(\n]+?)\s*\(_ssl", text) or re.search(
        r"\] ([^(\n]+?)\s*\(_ssl", text
    )
    why = found[1] if found else text[:LONGEST]
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        return f"{host} speaks no TLS at this port; write http:// in place of https:// in tracking.tracking_uri"
    if "certificate" in text.lower():
        return (
            f"the TLS certificate of {host} is not trusted: {why}; set MLFLOW_TRACKING_SERVER_CERT_PATH (or "
            "REQUESTS_CA_BUNDLE) to a file with its authority's certificate, or write the name that it is made for"
        )
    return f"the TLS handshake with {host} failed: {why}; {CORRECT.removeprefix('or ')}"


def _root(links: list[BaseException]) -> str:
    """The innermost error that is the system's or the network's, in its own words."""
    roots = [one for one in links if isinstance(one, OSError) and str(one) and "object at 0x" not in str(one)]
    deepest = next((one for one in reversed(roots) if one.errno), roots[-1] if roots else links[-1])
    return _line(str(deepest) or type(deepest).__name__)


def _said(links: list[BaseException]) -> str:
    """What the server or MLflow itself says; for an exception without a text its name."""
    return _line(str(links[0]).strip() or type(links[0]).__name__)


def _line(text: str) -> str:
    first = text.strip().splitlines()[0]
    return first if len(first) <= LONGEST else f"{first[: LONGEST // 2]} … {first[-LONGEST // 2 :]}"


def _is(error: BaseException, *names: str) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)
