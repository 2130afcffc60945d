"""Puts the demo together: every provider on one port, behind one log of what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.demo.anthropic import Anthropic
from gateway.demo.discord import Discord
from gateway.demo.echo import Echo
from gateway.demo.gemini import Gemini
from gateway.demo.models import Models
from gateway.demo.openai import OpenAI
from gateway.demo.seen import Log, recorder
from gateway.demo.shelf import Shelf
from gateway.demo.slack import Slack
from gateway.demo.telegram import Telegram

BACKLOG = 4096
HEAD_BYTES = 64 * 1024
BODY_BYTES = 10 * 1024**3
SHUTDOWN_SECONDS = 0.2


def build(keys: Mapping[str, str], shelf: Shelf) -> web.Application:
    """The application with the keys that it accepts."""
    log = Log()
    app = web.Application(middlewares=[recorder(log)], client_max_size=BODY_BYTES)
    app.add_routes(log.routes())
    app.add_routes(Models(keys).routes())
    app.add_routes(OpenAI(keys["openai"], shelf).routes())
    app.add_routes(Anthropic(keys["anthropic"]).routes())
    app.add_routes(Gemini(keys["gemini"]).routes())
    app.add_routes(Telegram(keys["telegram"], shelf).routes())
    app.add_routes(Discord(keys["discord"], shelf).routes())
    app.add_routes(Slack(keys["slack"], shelf).routes())
    app.add_routes(Echo(keys["echo"]).routes())
    return app


@asynccontextmanager
async def serving(host: str, port: int, keys: Mapping[str, str]) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port, which is a free one where 0 was asked for."""
    shelf = Shelf()
    runner = web.AppRunner(
        build(keys, shelf),
        handle_signals=False,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        max_line_size=HEAD_BYTES,
        max_field_size=HEAD_BYTES,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
        shelf.close()


async def serve(
    host: str,
    port: int,
    keys: Mapping[str, str],
    announce: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    """Serve until told to stop; announce the address when connections are accepted."""
    async with serving(host, port, keys) as bound:
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{bound}")
        await stop.wait()
