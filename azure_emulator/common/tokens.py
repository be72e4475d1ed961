"""The secrets of one emulator: the service principal's password, its tokens, and signed blob addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote

from azure_emulator.common import addresses


class TokenError(Exception):
    """The caller's token is missing, forged or expired."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Tokens:
    """Signs and checks tokens; the secrets are generated once per folder, in a file that only its owner reads."""

    def __init__(self, folder: Path) -> None:
        path = folder / "secrets.json"
        if not path.exists():
            generated = {"password": token_urlsafe(24), "signing": token_urlsafe(32)}
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(generated, file)
        secrets = json.loads(path.read_text())
        self.password: str = secrets["password"]
        self._signing: bytes = secrets["signing"].encode()

    def token(self, audience: str, seconds: int = 3600) -> str:
        """Return a JWT with the claims that the SDK reads."""
        issued = int(time.time())
        claims: dict[str, Any] = {
            "aud": audience,
            "tid": addresses.TENANT,
            "oid": addresses.CLIENT,
            "appid": addresses.CLIENT,
        }
        claims |= {"iat": issued, "nbf": issued, "exp": issued + seconds}
        body = f"{_encoded({'typ': 'JWT', 'alg': 'HS256'})}.{_encoded(claims)}"
        return f"{body}.{self._sign(body)}"

    def check_token(self, token: str) -> None:
        """Raise TokenError unless this emulator signed the token and it has not expired."""
        body, _, signature = token.rpartition(".")
        if not token:
            raise TokenError("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        if not hmac.compare_digest(signature, self._sign(body)):
            raise TokenError("InvalidAuthenticationToken", "The access token is invalid.")
        claims = json.loads(base64.urlsafe_b64decode(body.partition(".")[2] + "=="))
        if claims["exp"] < time.time():
            raise TokenError("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.")

    def blob_address(self, path: str) -> str:
        """Return the signed address to read and write a blob."""
        return f"https://{addresses.BLOB_HOST}/azureml/{quote(path)}?sv=2019-02-02&sr=b&sp=rcw&sig={self.blob_signature(path)}"

    def blob_signature(self, path: str) -> str:
        """Return the signature of a blob address."""
        return self._sign(f"blob:{path}")

    def container_address(self, container: str) -> str:
        """Return the signed address to list, read and write the blobs of a container."""
        return f"https://{addresses.BLOB_HOST}/{container}?{self.container_query(container)}"

    def container_query(self, container: str) -> str:
        """Return the query of a container address: the shared access signature that SDK v2 asks for."""
        return f"sv=2021-08-06&sr=c&sp=racwdl&sig={self.container_signature(container)}"

    def container_signature(self, container: str) -> str:
        """Return the signature of a container address."""
        return self._sign(f"container:{container}")

    def _sign(self, text: str) -> str:
        return (
            base64.urlsafe_b64encode(hmac.new(self._signing, text.encode(), hashlib.sha256).digest())
            .decode()
            .rstrip("=")
        )


def _encoded(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
