"""Reading a request's body before it is sent on: bounded one by one, and all together."""

from __future__ import annotations

from asyncio import AbstractEventLoop

from gateway.core.errors import Deny, Refused
from gateway.core.fields import FormScan, Reading, Said
from gateway.exchange import Exchange

_LONG = 64 * 1024


class Bodies:
    """The bodies being read at this moment. What is read is kept in the exchange's `parts`.

    `loop` is None in a rehearsal: bodies are whole then, and nobody else waits.
    """

    def __init__(self, loop: AbstractEventLoop | None) -> None:
        self._loop = loop
        self._reading = 0

    async def whole(self, x: Exchange) -> bytes:
        """Wait for the whole body and return it. Raises Refused (413, 503) where it is too much."""
        self._account(x, x.received, max(x.head.length, x.received))
        if not x.complete:
            await self._more(x)
        body = b"".join(x.parts)
        x.parts = [body]
        return body

    async def read(self, reading: Reading, body: bytes) -> Said:
        """Return what a whole body says. Raises Refused; a long one keeps nobody else waiting."""
        if len(body) <= _LONG or self._loop is None:
            return reading.read(body)
        said = await self._loop.run_in_executor(None, _attempt, reading, body)
        if isinstance(said, Deny):
            raise Refused(said)
        return said

    async def beginning(self, x: Exchange, scan: FormScan) -> None:
        """Wait until `scan` has seen all that it needs. What follows is watched as it passes."""
        self._account(x, x.received, x.received)
        x.watch = scan
        if not scan.feed(b"".join(x.parts), x.complete):
            await self._more(x)

    async def _more(self, x: Exchange) -> None:
        if x.head.expect and not x.received:
            x.bot_side.invite_body()
        assert self._loop is not None
        x.reading = self._loop.create_future()
        try:
            await x.reading
        finally:
            x.reading = None

    def arrived(self, x: Exchange, data: bytes, *, ended: bool) -> None:
        """Look at more of the body. Raises Refused where one that is passed on must not be."""
        reading = x.reading
        if reading is None or reading.done():
            if x.watch is not None:
                x.watch.feed(data, ended)
            return
        try:
            self._account(x, len(data), x.received)
            if ended if x.watch is None else x.watch.feed(data, ended):
                reading.set_result(None)
        except Refused as refused:  # the journey waits, so it is told
            reading.set_exception(refused)

    def _account(self, x: Exchange, more: int, expected: int) -> None:
        sizes = x.policy.snapshot.sizes
        if expected > sizes.peek:
            reason = f"The request's body must be read, of which at most {sizes.peek} bytes are"
            raise Refused(Deny(413, "body_too_large", reason, repeatable=False))
        # Who has shown no token yet leaves room for those who have.
        room = sizes.peeks if x.bot else max(sizes.peeks // 2, sizes.peek)
        if self._reading + more > room:
            raise Refused(_NO_MEMORY)
        self._reading += more
        x.read += more

    def forget(self, x: Exchange) -> None:
        """Count what was read of this exchange's body no longer."""
        self._reading -= x.read
        x.read = 0


_NO_MEMORY = Deny(503, "busy", "Too many request bodies are being read", repeatable=True)


def _attempt(reading: Reading, body: bytes) -> Said | Deny:
    """Read in a thread. Nobody may be left to hear of a refusal, so it is a value."""
    try:
        return reading.read(body)
    except Refused as refused:
        return refused.deny
