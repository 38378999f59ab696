"""Hermes and the webhooks' platforms as nginx sees them: they answer, and everything that reaches them is written down."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from lab import spaces

MARK = "answered by the stand-in"
ORDERS = {
    0: ["X-Accel-Redirect: @hermes_right", "X-Accel-Limit-Rate: 1000000"],
    1: ["X-Accel-Redirect: @hermes_welcome", "X-Accel-Charset: utf-7"],
    2: ["X-Accel-Redirect: /.hermes/sign-in", "Refresh: 0; url=https://evil.example/", 'Clear-Site-Data: "*"'],
    3: ["Service-Worker-Allowed: /", "X-Accel-Expires: 3600"],
}
"""What nothing behind nginx may have it do, by the number of the request modulo 7 (ngx_http_upstream.c, X-Accel-*)."""


@dataclass(frozen=True)
class Reached:
    """A request as it came out of nginx."""

    port: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """The values of that header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class StandIn:
    """Listens on these ports (each with its address) inside a network namespace until it is closed."""

    def __init__(self, net: int, upstreams: Mapping[int, str]) -> None:
        self.reached: dict[int, list[Reached]] = defaultdict(list)
        """By the number of the request, which stands in its User-Agent; -1: nobody's."""
        self._upstreams = upstreams
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: spaces.in_net(net, lambda: asyncio.run(self._serve())))
        self._thread.start()
        self._ready.wait(10)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        servers = []
        for port, address in self._upstreams.items():

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
                try:
                    while await self._one(port, reader, writer):
                        pass
                except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    pass
                finally:
                    writer.close()

            servers.append(await asyncio.start_server(talk, address, port, limit=1 << 20))
        self._ready.set()
        await self._end.wait()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _one(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, _, rest = first.partition(" ")
        headers = tuple((key, value.strip(" ")) for key, _, value in (line.partition(":") for line in lines))
        one = Reached(port, method, rest.rpartition(" ")[0], headers)
        named = [re.match(r"law/(\d+)", value) for value in one.all("User-Agent")]
        number = int(named[0][1]) if len(named) == 1 and named[0] else -1
        self.reached[number].append(one)
        length, chunked = one.all("Content-Length"), one.all("Transfer-Encoding")
        if len(length) > 1 or (length and chunked):
            self.reached[-1].append(one)  # two readings: a request could hide in it
            return False
        if length:
            await reader.readexactly(int(length[0]))
        while chunked:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            await reader.readexactly(size + 2)
            if not size:
                break
        if one.all("Upgrade") == ["websocket"]:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            writer.write(f"{MARK} {number}".encode())
            await writer.drain()
            return False
        status = int((re.search(r"[?&]status=(\d{3})", one.target) or ["", "200"])[1])
        body = f"{MARK} {number}".encode()
        said = [
            f"HTTP/1.1 {status} As Asked",
            f"Content-Length: {len(body)}",
            "Content-Type: text/html",
            "X-Stand-In: yes",
            "Set-Cookie: theirs=1; Path=/",
            "X-Frame-Options: DENY",
            "Content-Security-Policy: default-src 'self'",
            "WWW-Authenticate: Hermes",
            *(["Cache-Control: max-age=60"] if number % 2 else []),
            *ORDERS.get(number % 7, []),
        ]
        writer.write("\r\n".join(said).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body))
        await writer.drain()
        return True
