"""gunicorn's configuration inside an instance: bind to localhost, as azmlinfsrv binds to every address and checks no keys."""

from __future__ import annotations

from typing import Any


def on_starting(server: Any) -> None:
    """Rewrite the bind addresses; gunicorn calls this before it opens its sockets."""
    server.cfg.set("bind", [address.replace("0.0.0.0", "127.0.0.1") for address in server.cfg.settings["bind"].get()])  # noqa: S104
