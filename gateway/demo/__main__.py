"""Runs the demo provider: ``python -m gateway.demo``."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping

from gateway.demo import server
from gateway.demo.keys import KEYS, overridden

STDIN = 0


def main() -> None:
    """Read the command line, then serve until interrupted."""
    parser = _parser()
    given = parser.parse_args()
    try:
        keys = overridden(dict(given.key))
    except ValueError as exc:
        parser.error(str(exc))
    _allow_many_connections()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(given, keys))


async def _run(given: argparse.Namespace, keys: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if given.until_stdin_closes:
        _watch_stdin(loop, stop)
    await server.serve(given.host, given.port, keys, _announce, stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.demo",
        description="A demo provider: speaks the providers' protocols, accepts fake keys only.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        type=_pair,
        metavar="PROVIDER=VALUE",
        help=f"replace a provider's key; providers: {', '.join(KEYS)}; may be repeated",
    )
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="stop when standard input ends, that is when the process that started this one ends",
    )
    return parser


def _pair(text: str) -> tuple[str, str]:
    provider, equals, value = text.partition("=")
    if not equals or not value:
        raise argparse.ArgumentTypeError(f"expected PROVIDER=VALUE, got {text!r}")
    return provider, value


def _announce(url: str) -> None:
    sys.stdout.write(f"demo provider on {url}\n")
    sys.stdout.flush()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    try:
        loop.add_reader(STDIN, _stop_at_end, loop, stop)
    except OSError:
        sys.exit("--until-stdin-closes: standard input must be a pipe, a socket or a terminal")


def _stop_at_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(STDIN, 4096):
        loop.remove_reader(STDIN)
        stop.set()


def _allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
