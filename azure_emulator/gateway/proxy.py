"""HTTP CONNECT proxy between the SDK and the emulator: every tunnel leads to the emulator's own server."""

from __future__ import annotations

import asyncio
import contextlib
import logging

_log = logging.getLogger("emulator")
_CHUNK = 256 * 1024


class Proxy:
    """Pipes every tunnel to the HTTPS server on ``127.0.0.1:backend``, which presents the requested certificate."""

    def __init__(self, backend: int) -> None:
        self._backend = backend
        self._tunnels: dict[int, asyncio.StreamWriter] = {}

    async def listen(self, port: int) -> asyncio.Server:
        """Start to accept connections; ``port`` 0 picks a free one."""
        return await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_CHUNK)

    def cut(self, backend_client: int) -> None:
        """Abort the tunnel with this client port at the backend, so that the SDK sees a connection reset."""
        if writer := self._tunnels.get(backend_client):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await self._pipe(reader, writer)
                else:  # Azure speaks TLS only; plain HTTP is a virtual machine's metadata address, or a call to no service
                    _log.warning("%s %s: plain HTTP is not imitated, 404", method, target)
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    await writer.drain()
            finally:
                writer.close()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backend_reader, backend_writer = await asyncio.open_connection("127.0.0.1", self._backend)
        client: int = backend_writer.get_extra_info("sockname")[1]
        self._tunnels[client] = writer
        try:
            ends = [
                asyncio.create_task(_copy(reader, backend_writer)),
                asyncio.create_task(_copy(backend_reader, writer)),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        finally:
            del self._tunnels[client]
            backend_writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()
