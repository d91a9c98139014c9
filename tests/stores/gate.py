"""A gate before an object store: makes it slow, and makes it answer what it would not. Runs in a container of its own.

    gate.py serve PORT UPSTREAM     all that comes to PORT goes to UPSTREAM, an address on the same port
    gate.py tell '{"delay_ms": 50}' what to do from now on; connections that stand are ended

Without rules it passes bytes on and sees nothing of them. With rules, or told to record, it ends TLS itself and reads
requests: the certificate and its key are /store/server.pem and /store/server.key.

    delay_ms     added to every round trip, half of it each way
    rules        [{"method": "PUT|POST", "path": "regular expression", "share": 0.1, "status": 503, "code": "SlowDown",
                   "date_shift": 0}]: the first one that fits answers; no status: passed on, with the date shifted
    record       true: every request is a line of JSON in /tmp/requests: method, path, status, bytes up, bytes down
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

CONTROL = "/tmp/gate.sock"
REQUESTS = Path("/tmp/requests")
PIECE = 64 * 1024
CONNECTION_ENDED = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, OSError, EOFError)


class Gate:
    def __init__(self, port: int, upstream: str) -> None:
        self.port, self.upstream = port, upstream
        self.told: dict[str, Any] = {}
        self.connections: set[asyncio.Task[None]] = set()
        self.ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ours.load_cert_chain("/store/server.pem", "/store/server.key")
        self.theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.theirs.check_hostname, self.theirs.verify_mode = False, ssl.CERT_NONE

    async def serve(self) -> None:
        Path(CONTROL).unlink(missing_ok=True)
        await asyncio.start_unix_server(self.control, CONTROL)
        loop, listening = asyncio.get_running_loop(), socket.create_server(("", self.port), backlog=256)
        listening.setblocking(False)
        while True:
            connection, _ = await loop.sock_accept(listening)
            task = asyncio.create_task(self.accept(connection))
            self.connections.add(task)
            task.add_done_callback(self.connections.discard)

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.told = json.loads(await reader.read())
        for connection in tuple(self.connections):
            connection.cancel()
        writer.write(b"told\n")
        await writer.drain()
        writer.close()

    async def accept(self, connection: socket.socket) -> None:
        """Decide whether to look inside before the first byte is read: TLS begins with the client's."""
        loop, reads_requests = asyncio.get_running_loop(), bool(self.told.get("rules") or self.told.get("record"))
        await asyncio.sleep(self.told.get("delay_ms", 0) / 1000)  # the round trip of the connection itself
        with contextlib.suppress(*CONNECTION_ENDED):
            reader = asyncio.StreamReader()
            transport, protocol = await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader), connection, ssl=self.ours if reads_requests else None
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                await (self.relay if reads_requests else self.splice)(reader, writer)
                writer.close()
            finally:
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    transport.abort()

    async def splice(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self.upstream, self.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self.pass_on(reader, server_writer))
                both.create_task(self.pass_on(server_reader, writer))
        except* CONNECTION_ENDED:
            pass
        finally:
            server_writer.close()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on, each piece half a round trip after it came; many may be on their way at once."""
        half = self.told.get("delay_ms", 0) / 2000
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

        async def arrive() -> None:
            while True:
                due, piece = await way.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not piece:
                    with contextlib.suppress(*CONNECTION_ENDED):
                        writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()

        async with asyncio.TaskGroup() as both:
            both.create_task(arrive())
            while True:
                piece = await reader.read(PIECE)
                await way.put((time.monotonic() + half, piece))
                if not piece:
                    break

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests one after the other, and answer them or pass them on."""
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while head := await head_of(reader):
                method, path = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")[:2]
                rule = self.rule(method, path)
                await asyncio.sleep(self.told.get("delay_ms", 0) / 1000)
                if rule and rule.get("status"):
                    up = sum([len(piece) async for piece in body_of(reader, head, may_last=False)])
                    answer = refusal(rule)
                    writer.write(answer)
                    self.record(method, path, rule["status"], up, len(answer))
                    await writer.drain()
                    continue
                if server is None:
                    server = await asyncio.open_connection(self.upstream, self.port, ssl=self.theirs)
                server_reader, server_writer = server
                up = await copy(head, body_of(reader, head, may_last=False), server_writer)
                answer_head = await head_of(server_reader)
                status = int(answer_head.split(b" ", 2)[1])
                if rule and rule.get("date_shift"):
                    answer_head = shifted(answer_head, rule["date_shift"])
                has_body = method != "HEAD" and status not in {204, 304}
                down = await copy(
                    answer_head, body_of(server_reader, answer_head, may_last=True) if has_body else nothing(), writer
                )
                self.record(method, path, status, up, down)
                if b"connection: close" in answer_head.lower():
                    return
        finally:
            if server:
                server[1].close()

    def rule(self, method: str, path: str) -> dict[str, Any] | None:
        for rule in self.told.get("rules", ()):
            fits = re.fullmatch(rule.get("method", ".*"), method) and re.search(rule.get("path", ""), path)
            if fits and random.random() < rule.get("share", 1.0):
                found: dict[str, Any] = rule
                return found
        return None

    def record(self, method: str, path: str, status: int, up: int, down: int) -> None:
        if self.told.get("record"):
            with REQUESTS.open("a", encoding="utf-8") as file:
                line = {"method": method, "path": path, "status": status, "up": up, "down": down}
                file.write(json.dumps(line) + "\n")


async def head_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def body_of(reader: asyncio.StreamReader, head: bytes, *, may_last: bool) -> AsyncIterator[bytes]:
    """Yield what follows a head; `may_last`: without a length it goes on until the connection ends."""
    headers = head.lower()
    if b"transfer-encoding: chunked" in headers:
        while True:
            size = await reader.readuntil(b"\r\n")
            rest = int(size.split(b";")[0], 16)
            yield size + await reader.readexactly(rest + 2)
            if rest == 0:
                return
    found = re.search(rb"content-length: *(\d+)", headers)
    left = int(found[1]) if found else 0
    if found is None and may_last:
        while piece := await reader.read(PIECE):
            yield piece
    while left:
        piece = await reader.read(min(left, PIECE))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def copy(head: bytes, body: AsyncIterator[bytes], writer: asyncio.StreamWriter) -> int:
    writer.write(head)
    count = len(head)
    async for piece in body:
        writer.write(piece)
        count += len(piece)
        await writer.drain()
    await writer.drain()
    return count


def refusal(rule: dict[str, Any]) -> bytes:
    code = rule.get("code", "SlowDown")
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said by the gate</Message></Error>".encode()
    lines = (
        f"HTTP/1.1 {rule['status']} {code}",
        f"Date: {formatdate(time.time() + rule.get('date_shift', 0), usegmt=True)}",
        "Content-Type: application/xml",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def shifted(head: bytes, seconds: float) -> bytes:
    def later(found: re.Match[bytes]) -> bytes:
        moment = parsedate_to_datetime(found[2].decode()).timestamp() + seconds
        return found[1] + formatdate(moment, usegmt=True).encode()

    return re.sub(rb"(?i)(\r\ndate: *)([^\r]+)", later, head)


async def tell(text: str) -> None:
    reader, writer = await asyncio.open_unix_connection(CONTROL)
    writer.write(text.encode())
    writer.write_eof()
    assert await reader.read() == b"told\n"


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(Gate(int(sys.argv[2]), sys.argv[3]).serve())
    else:
        asyncio.run(tell(sys.argv[2]))
