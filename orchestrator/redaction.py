"""Redaction: mask secrets in text, by how they look or by the name in front of them."""

from __future__ import annotations

import re

MASK = "***"
# Each pattern keeps what stands before the secret, so that a reader still sees which one it was.
_SECRETS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<before>\bBearer\s+)[\w.~+/=-]{8,}",
        r"(?P<before>\bBasic\s+)[\w+/=-]{12,}",
        r"(?P<before>[?&](?:sig|signature|code)=)[^&\s\"'\\]+",
        r"(?P<before>://[^/\s:@]+:)[^/\s@]+(?=@)",  # user:password@host
        r"(?P<before>--password[ =])\S+",
        r"(?P<before>\b\w*(?:AccountKey|SharedAccessSignature|InstrumentationKey|IngestionKey)=)[^;\s\"']+",
        # name: value and name=value, with any quoting, also inside a JSON text that was quoted once more
        (
            r"(?P<before>\b\w*(?:secret|password|(?:primary|secondary|account|api|ssl)_?key|(?:access|refresh|id)_?token)"
            r"\\*[\"']?\s*[=:]\s*\\*[\"']?)[^\s\"'\\,;&}\]]+"
        ),
        r"(?P<before>)\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*",  # a JSON web token, wherever it stands
        r"(?P<before>-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]+(?=-----END)",
    )
)
_SECRET_NAME = re.compile(r"secret|password|token|signature|(?:^|_)(?:keys?|pem|sas)(?:_|$)|key_?file", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text with bearer keys, SAS signatures, client secrets and the like masked."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return text


def is_secret_name(name: str) -> bool:
    """Return whether a value of this name is masked, whatever it looks like."""
    return _SECRET_NAME.search(name) is not None
