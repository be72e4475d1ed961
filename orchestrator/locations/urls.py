"""URLs of files: distinguished from paths, named in messages without credentials, and read from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from orchestrator.redaction import MASK, is_secret_name, redact

ENVIRONMENT = "env:"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::|://)|azureml:", re.IGNORECASE)
_SIGNING = re.compile(  # parameters of signed URLs: Azure's, then S3's and Google's
    r"sig|s[vsptrei]|srt|spr|sip|sdd|sk(?:oid|tid|[tesv])|s[au]oid|scid|(?:x-(?:amz|goog)-)?(?:signature|expires|date|"
    r"algorithm|credential|signedheaders|security-token)|awsaccesskeyid|googleaccessid"
)
_SECRET_PARAMETERS = {"sig", "code", "apikey", "auth", "key", "sas", "credential"}


PUBLIC = "storage.anon=true"  # in remedies: without the section, which knows the key that it was given by


class LocationError(ValueError):
    """A location cannot be listed, read or written; the text is one line without credentials, with the remedy."""

    def of(self, options: str) -> str:
        """Return the text with the whole key of the file system's options, such as ``data.storage``."""
        return str(self).replace(f" {PUBLIC}", f" {options}{PUBLIC.removeprefix('storage')}")


def is_url(text: str) -> bool:
    """Return whether a text is a URL, or names the environment variable that holds one (``env:TABLE_URL``).

    A data asset of Azure ML (``azureml:churn:3``) counts as one.
    """
    return text.startswith(ENVIRONMENT) or _URL.match(text) is not None


@dataclass(frozen=True)
class Url:
    """A URL as it is written in the configuration; ``env:NAME`` stands for the one in an environment variable.

    ``env:NAME#customers`` is what is read of it, for messages: a table of a database.

    Its text holds no credentials: a URL that does is refused when it is typed, and is read from the environment.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def address(self) -> str:
        """The URL itself, which may hold credentials; never print it.

        Raises:
            LocationError: the environment variable is not set, or holds no URL.
        """
        if not self.text.startswith(ENVIRONMENT):
            return self.text
        name = self.text.removeprefix(ENVIRONMENT).partition("#")[0]
        address = os.environ.get(name, "")
        if not address:
            raise LocationError(f"the environment variable {name} is not set; it should hold a URL such as s3://...")
        if _URL.match(address) is None:
            raise LocationError(f"the environment variable {name} holds no URL such as s3://bucket/table.parquet")
        return address

    @property
    def protocol(self) -> str:
        """The part in front of the first colon, in lower case: ``s3``, ``https``."""
        return self.address.partition(":")[0].lower()

    @property
    def name(self) -> str:
        """The last part of the path, for messages; the text itself where that is not known."""
        if self.text.startswith(ENVIRONMENT) and "#" in self.text:
            return self.text.partition("#")[2]
        try:
            path = without_query(self.address)
        except LocationError:
            return self.text
        return unquote(path.rstrip("/").rpartition("/")[2]) or self.text

    def hide(self, text: str) -> str:
        """Return a text in which the credentials of this URL, and what looks like others, are masked."""
        return mask(text, self.address)


def mask(text: str, address: str) -> str:
    """Return a text in which the credentials of a URL, and what looks like others, are masked."""
    for secret in sorted(secrets(address), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return redact(text)


def without_query(address: str) -> str:
    """Return a URL without its query, in which storage services have signatures; other file systems have none."""
    return address.partition("?")[0] if address.lower().startswith(("http://", "https://")) else address


def without_signature(address: str) -> str:
    """Return a URL with its credentials masked, and without what changes in its query when a signature is renewed."""
    place, mark, query = address.partition("?")
    names = [pair.partition("=")[0].lower() for pair in query.split("&")]
    if mark and any(name.rpartition("-")[2] in {"sig", "signature"} for name in names):
        pairs = zip(names, query.split("&"), strict=True)
        address = "?".join(
            filter(None, [place, "&".join(pair for name, pair in pairs if not _SIGNING.fullmatch(name))])
        )
    return mask(address, address)


def secrets(address: str) -> Iterator[str]:
    """Yield the parts of a URL that are credentials, as they are written and decoded: a password, a signature."""
    try:
        parts = urlsplit(address)
    except ValueError:  # half an IPv6 address
        yield from re.findall(r"://[^/@]*?:([^/@]+)@", address)
        return
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    yield from {password, unquote(password)} - {""}
    written = dict(pair.partition("=")[::2] for pair in parts.query.split("&"))
    for name, value in parse_qsl(parts.query):
        plain = name.lower().replace("-", "_")
        if is_secret_name(plain) or plain.rpartition("_")[2] in _SECRET_PARAMETERS:
            yield from {value, written.get(name, value)} - {""}


def refuse_credentials(text: str) -> None:
    """Raise a ValueError, which does not repeat them, if a typed URL holds credentials."""
    if not text.startswith(ENVIRONMENT) and any(True for _ in secrets(text)):
        raise ValueError(
            "holds credentials, which the run's files would keep; put the URL into an environment variable, for example "
            f"TABLE_URL, and write {ENVIRONMENT}TABLE_URL"
        )
