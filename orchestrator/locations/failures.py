"""What went wrong with a location, in one line without credentials and with the remedy; what passes is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from orchestrator.errors import one_line
from orchestrator.locations.urls import ENVIRONMENT, PUBLIC, LocationError, Url
from orchestrator.locations.workspace_files import PROTOCOL

T = TypeVar("T")


class _Service(NamedTuple):
    extra: str
    credentials: str


_AZURE = _Service(
    "azure-storage",
    "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or "
    "AZURE_STORAGE_CONNECTION_STRING",
)
_S3 = _Service("s3", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role")
_GCS = _Service("gcs", "GOOGLE_APPLICATION_CREDENTIALS, the file of a service account")
_WORKSPACE = _Service(
    "managed",
    "the datastore's, or where it has none of its own the login of azure.auth, which needs the role Storage Blob Data "
    "Reader, or Contributor to write",
)
_SERVICES = {
    PROTOCOL: _WORKSPACE,
    **dict.fromkeys(("s3", "s3a"), _S3),
    **dict.fromkeys(("abfs", "abfss", "az", "adl"), _AZURE),
    **dict.fromkeys(("gs", "gcs"), _GCS),
}
_DATABASES = {"duckdb", "mariadb", "mssql", "mysql", "oracle", "postgres", "postgresql", "snowflake", "sqlite"}
_WEB = ("http", "https")
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ClientAuthenticationError", "GoogleAuthError")
_LIBRARIES = ("fsspec", "aiohttp", "s3fs", "aiobotocore", "botocore", "adlfs", "azure", "gcsfs", "google", "requests")
_CHATTY = ("aiobotocore", "botocore", "azure")  # they log where credentials were found, and every request
_WAITS = (0.5, 1.0, 2.0)  # seconds between tries of what has no tries of its own
_LONGEST = 300  # letters of a library's text


@contextmanager
def explained(url: Url, verb: str, *, opened: bool = False) -> Iterator[None]:
    """Translate what fsspec and the libraries below it raise; for an ``opened`` file, not what is done with its bytes.

    Raises:
        LocationError: ``url`` cannot be ``verb``: why, and what to do.
    """
    for name in _CHATTY:
        if not logging.getLogger(name).level:
            logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except LocationError:
        raise
    except Exception as error:
        if opened and not isinstance(error, OSError) and not _is_of_library(error):
            raise
        raise LocationError(url.hide(_explain(url, verb, error))) from None  # the cause may quote the credentials


def retried(url: Url, call: Callable[[], T]) -> T:
    """Call, and again after what may pass if it is a web server: the libraries of the buckets try again themselves."""
    for wait in _WAITS if url.protocol in _WEB else ():
        try:
            return call()
        except Exception as error:
            if not may_pass(error):
                raise
            time.sleep(wait)
    return call()


def may_pass(error: BaseException) -> bool:
    """Return whether a web server that failed so may answer the next time."""
    status = _status(error)
    if status is not None:
        return status >= 500 or status in {408, 429}
    causes = (error, error.__cause__)
    return any(_is_of(each, "ClientError", "TimeoutError", "ConnectionError") for each in causes if each is not None)


def _explain(url: Url, verb: str, error: Exception) -> str:
    protocol = url.protocol
    service = _SERVICES.get(protocol)
    if isinstance(error, ImportError):
        name = service.extra if service else ""
        remedy = f"pip install 'sklearn-orchestrator[{name}]'" if name else f"install it ({_short(url, error)})"
        return f"{url} cannot be {verb}: the library for {protocol}:// is not installed; {remedy}"
    if protocol.partition("+")[0] in _DATABASES:
        name = url.text.removeprefix(ENVIRONMENT)
        remedy = f"write data=sql data.connection_env={name} to learn from one; batch scores files, so export the rows"
        return f"{url} cannot be {verb}: it names a database ({protocol}); {remedy}"
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        known = "s3, abfs, gs, https and file"
        return (
            f"{url} cannot be {verb}: there is no file system '{protocol}://'; there are {known}, and others of fsspec"
        )
    status = _status(error)
    if is_forbidden(error) or _asks_for_credentials(error):
        asked = service.credentials if service else "a URL with its signature, as env:NAME of a variable"
        public = f"; for a public one write {PUBLIC}" if service in {_S3, _AZURE} else ""
        answer = f"the server answers {status}" if status else _short(url, error)
        origin = "the credential is" if service is _WORKSPACE else "credentials come from the environment:"
        return f"{url} may not be {verb} ({answer}); {origin} {asked}{public}"
    return _explain_place(url, verb, error, status)


def is_forbidden(error: BaseException) -> bool:
    """Return whether a file system refused what it was asked for."""
    return isinstance(error, PermissionError) or _status(error) in {401, 403}


def _asks_for_credentials(error: Exception) -> bool:
    return _is_of(error, *_NO_CREDENTIALS) or "account_name with credentials" in str(error)  # adlfs's, a ValueError


def _explain_place(url: Url, verb: str, error: Exception, status: int | None) -> str:
    if any(each in str(error) for each in ("NoSuchBucket", "bucket does not exist", "ContainerNotFound")):
        return f"there is no bucket of {url}; look at its name, and whether the endpoint and the region are right"
    if isinstance(error, FileNotFoundError) and status is None and error.__cause__ is None:
        return f"there is no file {url}; look at the bucket and the path"
    if status == 404:
        return f"there is no file {url} (the server answers 404)"
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    answer = f"the server answers {status}" if status else _short(url, cause)
    return f"{url} cannot be {verb}: {answer}; look at the address and the network"


def _short(url: Url, error: BaseException) -> str:
    text = url.hide(one_line(error))  # before it is cut: half a password is none that could be found
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of a web server's answer that became an error."""
    for each in (error, error.__cause__):
        status = getattr(each, "status", None)
        if isinstance(status, int):
            return status
    return None


def _is_of_library(error: BaseException) -> bool:
    """Return whether a file system's library raised an error, or what one of Python's own stands for, as adlfs does."""
    causes = (error, error.__cause__)
    return any(type(each).__module__.partition(".")[0] in _LIBRARIES for each in causes)


def _is_of(error: BaseException, *names: str) -> bool:
    """Return whether an error is of a class with one of these names: the libraries are not imported for it."""
    return any(kind.__name__ in names for kind in type(error).__mro__)
