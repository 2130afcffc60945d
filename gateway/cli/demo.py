"""The gateway without a configuration: a demo provider, one bot, and commands that work."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from gateway.cli.issuing import make
from gateway.config import environment, load
from gateway.demo import process
from gateway.demo.keys import KEYS
from gateway.stores.embedded import Embedded

DIRECTORY = Path(".gateway/demo")
BOT = "demo"
TOKEN_SECONDS = 24 * 3600.0
ROUTES = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "telegram": "telegram",
    "discord": "discord",
    "slack": "slack",
    "echo": "generic",
}
"""Route names and their providers."""

_HEAD = """\
# Written by `gateway run`, which found no routes.yaml. The keys are made up.
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
state: state
secrets_dir: secrets
routes:
"""
_ROUTE = """\
  {name}:
    provider: {provider}
    secret: file:{name}
    upstream: {upstream}
    private: true  # the demo provider runs on this machine
"""
_BOT = """\
bots:
  {bot}:
    allow: [{routes}]
"""
_GREETING = """\
No routes.yaml here, so this is a demo with a provider of its own. Nothing leaves this machine.

  gateway        {base}   bots connect here
  metrics        http://127.0.0.1:{admin}/metrics
  demo provider  {provider}   stands for the APIs of {names}
  configuration  {config}

Token of the bot `{bot}`, valid for a day, worthless outside this gateway:

  {plain}

Try it:

  curl {base}/openai/v1/chat/completions -H "Authorization: Bearer {plain}" \
-H "Content-Type: application/json" \
-d '{{"model": "gpt-5-mini", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  curl {base}/telegram/bot{telegram}/getMe

With OpenAI's SDK, the base URL and the key are all that changes:

  from openai import OpenAI
  client = OpenAI(base_url="{base}/openai/v1", api_key="{plain}")
  messages = [{{"role": "user", "content": "Hello"}}]
  answer = client.chat.completions.create(model="gpt-5-mini", messages=messages)
  print(answer.choices[0].message.content)

For your own keys, copy routes.example.yaml to routes.yaml. Ctrl-C ends the demo.
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that is ready to serve."""

    config: Path
    store: Embedded
    tokens: dict[str, str]
    """By shape."""
    issued: tuple[str, ...]
    """Ids of the tokens."""
    port: int
    admin: int

    def close(self) -> None:
        """Revoke the tokens of this run."""
        for token_id in self.issued:
            self.store.revoke(token_id, time.time())


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Run the demo provider alone; `gateway demo --help` lists its options."""
    module = [sys.executable, "-m", "gateway.demo"]
    os.execv(sys.executable, [*module, *arguments])  # noqa: S606 -- our own interpreter and module


def run_with_demo() -> int:
    """Serve a demo until interrupted; return the exit code."""
    from gateway import server

    with ExitStack() as stack:
        provider = stack.enter_context(process.start())
        ready = prepare(DIRECTORY, provider.url)
        stack.callback(ready.close)
        greeting = _greeting(ready, provider.url)
        return server.run(ready.config, environment(), lambda _: click.echo(greeting))


def prepare(directory: Path, provider: str) -> Demo:
    """Write the configuration and the made-up keys, and issue the bot's tokens."""
    secrets_dir = directory / "secrets"
    # `parents=True` would make it by the umask, and a store there would be refused later on.
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in (directory, secrets_dir):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
        one.chmod(0o700)
    for name in ROUTES:
        _write(secrets_dir / name, KEYS[name] + "\n")
    port, admin = _free_port(8080), _free_port(9091)
    config = directory / "routes.yaml"
    _write(config, _configuration(provider, port, admin))
    store = Embedded(Path(load(config, {}).settings.state))
    now = time.time()
    new = {shape: make(BOT, shape, now, TOKEN_SECONDS) for shape in ("plain", "telegram")}
    store.issue([one.token for one in new.values()])
    texts = {shape: one.text for shape, one in new.items()}
    issued = tuple(one.token.id for one in new.values())
    return Demo(config, store, texts, issued, port, admin)


def _configuration(provider: str, port: int, admin: int) -> str:
    routes = (
        _ROUTE.format(name=name, provider=kind, upstream=_upstream(provider, name))
        for name, kind in ROUTES.items()
    )
    bot = _BOT.format(bot=BOT, routes=", ".join(ROUTES))
    return _HEAD.format(port=port, admin=admin) + "".join(routes) + bot


def _upstream(provider: str, name: str) -> str:
    return f"{provider}/echo" if name == "echo" else provider


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def _free_port(preferred: int) -> int:
    """Return `preferred`, or where that is taken, one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _greeting(ready: Demo, provider: str) -> str:
    return _GREETING.format(
        base=f"http://127.0.0.1:{ready.port}",
        admin=ready.admin,
        provider=provider,
        config=ready.config,
        bot=BOT,
        names=", ".join(ROUTES),
        **ready.tokens,
    )
