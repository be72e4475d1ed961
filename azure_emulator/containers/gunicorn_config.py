"""gunicorn's configuration inside an instance: azmlinfsrv listens on every address and knows no keys, so move it."""

from __future__ import annotations

from typing import Any


def on_starting(server: Any) -> None:
    """Called by gunicorn before it opens its sockets: listen on this machine only, behind the door with the keys."""
    server.cfg.set("bind", [one.replace("0.0.0.0", "127.0.0.1") for one in server.cfg.settings["bind"].get()])  # noqa: S104
