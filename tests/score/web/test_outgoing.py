"""What a connection sends: one piece a turn, in order, and after what was to be done before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from score.web.outgoing import CoalescingTransport
from tests.score.conftest import Serve, port_of


class Wire(asyncio.Transport):
    """A transport that remembers what happened to it."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[Any] = []

    def write(self, data: Any) -> None:
        self.happened.append(data)

    def close(self) -> None:
        self.happened.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.happened

    def pause_reading(self) -> None:
        self.happened.append("paused")

    def resume_reading(self) -> None:
        self.happened.append("resumed")


def happened(*turns: Callable[[CoalescingTransport, Wire], None]) -> list[Any]:
    """What reaches the wire, turn by turn; ``None`` stands between two turns."""

    async def run() -> list[Any]:
        wire = Wire()
        out = CoalescingTransport(wire, asyncio.get_running_loop())
        for turn in turns:
            turn(out, wire)
            await asyncio.sleep(0)
            wire.happened.append(None)
        return wire.happened

    return asyncio.run(run())


def test_what_is_written_in_a_turn_leaves_in_one_piece() -> None:
    def answer(out: CoalescingTransport, _: Wire) -> None:
        out.write(b"head ")
        out.write(b"body")

    assert happened(answer, lambda *_: None, answer) == [b"head body", None, None, b"head body", None]


def test_what_was_to_be_done_is_done_first() -> None:
    def answer(out: CoalescingTransport, wire: Wire) -> None:
        asyncio.get_running_loop().call_soon(wire.happened.append, "told")
        out.write(b"answer")

    assert happened(answer) == ["told", b"answer", None]


def test_it_closes_behind_what_it_keeps_and_at_once_without() -> None:
    def answer(out: CoalescingTransport, wire: Wire) -> None:
        out.write(b"answer")
        out.close()
        assert out.is_closing()
        assert not wire.is_closing()

    assert happened(answer) == ["paused", b"answer", "closed", None]
    assert happened(lambda out, _: out.close()) == ["closed", None]


def test_nothing_is_read_any_more_that_comes_behind_a_close() -> None:
    def answer(out: CoalescingTransport, _: Wire) -> None:
        out.write(b"answer")
        out.close()
        out.resume_reading()

    assert happened(answer) == ["paused", b"answer", "closed", None]


def test_nothing_is_written_to_what_is_closed() -> None:
    def answer(out: CoalescingTransport, wire: Wire) -> None:
        out.write(b"answer")
        wire.close()

    assert happened(answer) == ["closed", None]


def test_all_else_is_the_transports() -> None:
    def pause(out: CoalescingTransport, _: Wire) -> None:
        out.pause_reading()
        out.resume_reading()
        assert out.get_extra_info("peername", "nobody") == "nobody"

    assert happened(pause) == ["paused", "resumed", None]


def test_an_answer_has_been_logged_when_it_arrives(pima: Path, serve: Serve) -> None:
    async def asked(port: int) -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        logged = []
        for number in range(50):
            writer.write(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nx-request-id: this-%d\r\n\r\n" % number)
            await reader.readuntil(b"\r\n\r\n")
            logged.append(len(re.findall(rb'"id":"this-%d"' % number, (pima / "server.log").read_bytes())))
            await reader.readexactly(len(b'{"live":true}'))
        writer.close()
        return logged

    with serve(pima) as (_, process):
        assert asyncio.run(asked(port_of(process))) == [1] * 50
