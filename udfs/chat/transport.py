"""Bytes to a server and back: the one place that knows HTTP. A transport is anything with ``post``."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

MAX_REPLY = 4 << 20
"""Longest reply that is read, in bytes: a text of a few hundred tokens has a few thousand."""


class HttpReply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ReplyTooLong(Exception):
    """The server sends more than MAX_REPLY."""


class Unreachable(Exception):
    """No connection could be made: nothing was sent."""


class Broken(Exception):
    """The connection ended, or was answered by something that is no HTTP, after the request was on its way."""


class Transport(Protocol):
    """Sends one request; the caller sets the deadline."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        """Return the reply; raise ReplyTooLong, Unreachable or Broken."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(self, *error: object) -> None:
        """Close what is open."""


class AiohttpTransport:
    """The default: 0.3 to 1 ms of CPU a request, where OpenAI's own client takes 4 to 12 (docs/decisions/0007)."""

    async def __aenter__(self) -> Self:
        import aiohttp

        self._aiohttp = aiohttp
        # The window is the limit; a keep-alive shorter than most servers', which close what was idle for a while.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json", "User-Agent": "multigrain"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        """Return the reply to one POST; redirects are not followed, for they would carry the image elsewhere."""
        aiohttp = self._aiohttp
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
                return HttpReply(reply.status, reply.headers, await _capped(reply))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable(str(error)) from error
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise Broken(str(error) or type(error).__name__) from error


async def _capped(reply: Any) -> bytes:
    parts, size = [], 0
    async for part in reply.content.iter_any():
        size += len(part)
        if size > MAX_REPLY:
            reply.close()
            raise ReplyTooLong(f"the reply has over {MAX_REPLY:,} bytes")
        parts.append(part)
    return b"".join(parts)
