"""Explain failures of a tracking server: find the root cause in the chain of exceptions and name a remedy.

MLflow, requests and urllib3 wrap one error in the next and write the innermost last, after the whole URL. Exceptions
are recognised by their class names, so that no library is imported for it.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

MAX_QUOTED = 300  # characters of an answer
CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
GATEWAY = (
    "a gateway answers {status} in place of the MLflow server behind it; is that running? Look at the log of {host}"
)
NO_PATH = "the server has no such path ({status}); is that of tracking.tracking_uri right, and is it an MLflow server?"
STATUSES = {
    401: (
        f"the server does not know this user ({{status}}); set {CREDENTIALS[0]} and {CREDENTIALS[1]} (or {CREDENTIALS[2]}), "
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
TRANSIENT_STATUSES = {408, 429, 500, 502, 503, 504}
# Raised if no answer came, or only a part of one.
NO_ANSWER = {"ConnectionError", "TimeoutError", "Timeout", "HTTPException", "ProtocolError", "gaierror", "HTTPError"}
CORRECT = "or correct tracking.tracking_uri"


class NotMlflowError(Exception):
    """The server is no MLflow server, or of an unsupported version; the text says why."""


class ProxyError(OSError):
    """The proxy of the environment cannot be reached."""


def iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything that it was raised from, the outermost first."""
    pending, seen = [error], set[int]()
    while pending:
        one = pending.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inside = (one.__cause__, one.__context__, getattr(one, "reason", None), *getattr(one, "args", ()))
        pending += [each for each in inside if isinstance(each, BaseException)]


def drop_handled_context(error: BaseException, handled: BaseException | None) -> None:
    """Remove from an error's chain the exception that was handled when its work began: it is no cause."""
    for one in list(iter_causes(error)) if handled is not None else ():
        if one.__context__ is handled:
            one.__context__ = None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error stems from."""
    for one in iter_causes(error):
        text = str(one)
        for pattern in (r"failed with error code (\d{3})", r"too many (\d{3}) error", r"(?:failed|proxy)\W+(\d{3})\b"):
            if found := re.search(pattern, text):
                return int(found[1])
        response = getattr(one, "response", None)
        if getattr(response, "status_code", None):
            return int(response.status_code)  # type: ignore[union-attr]  # requests' errors carry their response
        if _is_named(one, "RestException"):
            return int(one.get_http_status_code())  # type: ignore[attr-defined]  # known by its class name only
    return None


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later: there was no answer, or one whose status says so."""
    links = list(iter_causes(error))
    if any(_is_named(one, "SSLError", "SSLCertVerificationError", "NotMlflowError", "InvalidURL") for one in links):
        return False
    status = status_of(error)
    return status in TRANSIENT_STATUSES if status else any(_is_named(one, *NO_ANSWER) for one in links)


def is_down(error: BaseException) -> bool:
    """Return whether there is nothing at the address, so that waiting is useless."""
    return any(
        _is_named(one, "ConnectionRefusedError", "gaierror", "ProxyError", "NameResolutionError")
        for one in iter_causes(error)
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


def describe_error(error: BaseException, uri: str) -> str:
    """Describe in one line what went wrong with the server at ``uri``, with a remedy."""
    links = list(iter_causes(error))
    host, proxy = urlsplit(uri).hostname or uri, proxy_of(uri)
    through = f" (asked through {proxy[0]}={proxy[1]})" if proxy else ""
    if tls := next((one for one in reversed(links) if _is_named(one, "SSLError")), None):
        return _explain_tls(str(tls), host)
    status = status_of(error)
    if proxy and any(_is_named(one, "ProxyError") for one in links):
        why = "asks for a user and a password" if status == 407 else "cannot be used"
        return (
            f"the proxy {proxy[1]} ({proxy[0]} in the environment) {why}: {_root_cause(links)}; correct it, "
            f"or add {host} to NO_PROXY"
        )
    explained = any(_is_named(one, "RestException", "NotMlflowError") for one in links) and status not in {401, 403}
    if status is not None and not explained:
        return f"{STATUSES.get(status, OTHER_STATUS).format(status=status, host=host)}{through}"
    if not explained and any(_is_named(one, *NO_ANSWER) for one in links) and uri.startswith(("http:", "https:")):
        return f"{_explain_silence(links, uri, host)}{through}"
    return _own_message(links)


def not_mlflow_error(uri: str, why: str) -> NotMlflowError:
    """Return the error of an address where another application answers."""
    return NotMlflowError(f"there is no MLflow server here: {why}; correct tracking.tracking_uri ({uri})")


def _explain_silence(links: list[BaseException], uri: str, host: str) -> str:
    """Explain why no answer came."""
    if any(_is_named(one, "gaierror", "NameResolutionError") for one in links):
        return f"the server does not answer: there is no host {host!r}; correct tracking.tracking_uri"
    if any(_is_named(one, "ConnectionRefusedError") for one in links):
        return f"the server does not answer; start it, {CORRECT} ({_root_cause(links)})"
    if any(_is_named(one, "Timeout", "TimeoutError") for one in links):
        return f"the server does not answer, though it takes connections; look at its log, {CORRECT}"
    tls = " (does it speak https?)" if uri.startswith("http:") else ""
    return f"the server closed the connection without an answer{tls}: {_root_cause(links)}; look at its log, {CORRECT}"


def _explain_tls(text: str, host: str) -> str:
    """Explain a failed TLS handshake; OpenSSL writes its reason in brackets or after a colon."""
    found = re.search(r"certificate verify failed: ([^(\n]+?)\s*\(_ssl", text) or re.search(
        r"\] ([^(\n]+?)\s*\(_ssl", text
    )
    why = found[1] if found else text[:MAX_QUOTED]
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        return f"{host} speaks no TLS at this port; write http:// in place of https:// in tracking.tracking_uri"
    if "certificate" in text.lower():
        return (
            f"the TLS certificate of {host} is not trusted: {why}; set MLFLOW_TRACKING_SERVER_CERT_PATH (or "
            "REQUESTS_CA_BUNDLE) to a file with its authority's certificate, or write the name that it is made for"
        )
    return f"the TLS handshake with {host} failed: {why}; {CORRECT.removeprefix('or ')}"


def _root_cause(links: list[BaseException]) -> str:
    """Return the innermost error of the system or the network, as text."""
    roots = [one for one in links if isinstance(one, OSError) and str(one) and "object at 0x" not in str(one)]
    deepest = next((one for one in reversed(roots) if one.errno), roots[-1] if roots else links[-1])
    return _first_line(str(deepest) or type(deepest).__name__)


def _own_message(links: list[BaseException]) -> str:
    """Return the message of the server or of MLflow; the exception's name if it has none."""
    return _first_line(str(links[0]).strip() or type(links[0]).__name__)


def _first_line(text: str) -> str:
    first = text.strip().splitlines()[0]
    return first if len(first) <= MAX_QUOTED else f"{first[: MAX_QUOTED // 2]} … {first[-MAX_QUOTED // 2 :]}"


def _is_named(error: BaseException, *names: str) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)
