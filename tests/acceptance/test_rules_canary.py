"""Row 35, as far as there is something to search: no key and no token in anything that comes out.

tests/security/test_canary.py does the same for what goes wrong at the provider's side and on the
wire; here it is everything that rules, limits, addresses, the switch and the command line say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.core.guesses import FREE
from tests.acceptance.test_rules_scope import CASES, RULES
from tests.support.asking import Ask
from tests.support.needles import traces
from tests.support.running import HEAD, Running, eventually
from tests.support.scripted import Scripted, says, scripted
from tests.support.trail import core

KEYS = {
    "key from the environment": "sk-canary-ENV/8Qw+z7Lr2VtXn5Yp3Kd9",
    "key from a file": "7000000001:canary-FILE-4Hs6Jf1Mb8Wc0Zx7Gv2Tq5",
}
ENVIRON = {"CANARY": KEYS["key from the environment"]}
SECRETS = {"telegram": "file:canary", "slack": "file:canary"}
PROVIDERS = ("openai", "telegram", "discord", "slack", "gemini", "echo")
MORE = """\
  pinched: {allow: [echo], limits: [{requests: 1, per: hour}, {concurrency: 1}]}
  watched: {mode: observe, addresses: [10.0.0.0/8], allow: [echo]}
  cold: {allow: [echo]}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
COMMANDS = (
    ("check",), ("check", "--json"), ("check", "--bot", "sender"), ("routes",),
    ("token", "list"), ("token", "list", "--json"),
    ("bot", "list"), ("bot", "show", "sender"), ("bot", "show", "sender", "--json"),
)  # fmt: skip


@dataclass
class Scene:
    """A gateway with canaries in it, and all that came out of it."""

    running: Running
    provider: Scripted
    told: dict[str, bytes] = field(default_factory=dict)

    @property
    def canaries(self) -> dict[str, str]:
        """The two keys, and two tokens of each bot."""
        bots = {ask.bot for _, ask in CASES.values()} | {"pinched", "watched", "cold"}
        found = {
            f"{shape} token of {bot}": core(self.running.token(bot, shape))
            for bot in sorted(bots)
            for shape in ("plain", "telegram")
        }
        return KEYS | found

    def ask(self, name: str, ask: Ask, token: str = "") -> str:
        """Send it and keep what came back; return the code of its refusal."""
        reply = ask.of(self.running, token)
        self.told[f"answer: {name}"] = json.dumps(dict(reply.headers)).encode() + reply.body
        return reply.code

    def command(self, *words: str) -> None:
        """Run a command and keep what it printed."""
        more = ("--config", str(self.running.config))
        done = CliRunner(env={"CANARY": ENVIRON["CANARY"]}).invoke(cli, [*words, *more])
        assert done.exit_code in (0, 1, 2)
        assert done.output
        self.told[f"gateway {' '.join(words[:2])} {len(self.told)}"] = done.output.encode()

    def assert_clean(self) -> None:
        """Assert that nothing that came out gives anything away."""
        running = self.running
        assert running.child is not None
        self.told |= {
            "stderr": running.stderr().encode(),
            "record": (running.folder / "record.jsonl").read_bytes(),
            "metrics": running.ask("/metrics")[1],
            "readiness": running.ask("/readyz")[1],
            "command line": Path(f"/proc/{running.child.pid}/cmdline").read_bytes(),
        }
        for path in (running.folder / "state").iterdir():
            self.told[f"state: {path.name}"] = path.read_bytes()
        found = {place: traces(text, self.canaries) for place, text in self.told.items()}
        assert {place: traced for place, traced in found.items() if traced} == {}


@pytest.fixture(scope="module")
def scene(
    launcher: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("rules-canary")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "canary").write_text(KEYS["key from a file"] + "\n")
    with scripted() as provider:
        provider.play = says(OK)
        routes = "routes:\n" + "".join(
            f"  {name}: {{provider: {'generic' if name == 'echo' else name}, private: true, "
            f'secret: "{SECRETS.get(name, "env:CANARY")}", upstream: "{provider.url}"}}\n'
            for name in PROVIDERS
        )
        running = launcher(
            routes + RULES + MORE,
            head=HEAD + "secrets_dir: secrets\nreload: 3600\ndeadlines: {wrong_token: 0.05}\n",
            environ=ENVIRON,
            shapes=("plain", "telegram"),
            folder=folder,
        )
        yield Scene(running, provider)


def test_35_the_keys_do_reach_the_provider(scene: Scene) -> None:
    """Or nothing else here would mean anything."""
    for name, (code, ask) in CASES.items():
        if not code:
            assert not scene.ask(name, ask)
    got = b"\n".join(scene.provider.got)
    for name, key in KEYS.items():
        assert traces(got, {name: key})
    assert not traces(got, {n: c for n, c in scene.canaries.items() if "token" in n})


def test_35_no_refusal_says_a_key_or_a_token(scene: Scene) -> None:
    for name, (code, ask) in CASES.items():
        assert scene.ask(name, ask) == code
        near = scene.running.token(ask.bot)[:-1] + "_"
        assert scene.ask(f"{name}, nearly the right token", ask, near)
    echo = Ask("pinched", "GET", "/echo/x")
    assert [scene.ask(f"limit {n}", echo) for n in range(2)] == ["", "rate_limit"]
    assert scene.ask("observed", Ask("watched", "GET", "/echo/x")) == ""
    near = scene.running.token("pinched")[:-1] + "_"
    codes = {scene.ask(f"guess {n}", echo, near) for n in range(FREE + 3)}
    assert "too_many_wrong_tokens" in codes
    scene.command("bot", "freeze", "cold")
    cold = Ask("cold", "GET", "/echo/x")
    eventually(lambda: scene.ask("frozen", cold) == "frozen", "freeze", 2.0)
    scene.assert_clean()


def test_35_no_command_says_a_key_or_a_token(scene: Scene) -> None:
    for words in COMMANDS:
        scene.command(*words)
    for name in ("chat in JSON", "other chat in JSON", "model in Gemini's path", "no route"):
        _, ask = CASES[name]
        target, lines = ask.shown(scene.running.token(ask.bot))
        headers = [word for line in lines for word in ("--header", line)]
        scene.command("explain", ask.method, target, *headers)
        scene.command("explain", "--json", ask.method, target, *headers)
    scene.assert_clean()


def test_35_no_reload_says_a_key_that_was_pasted(scene: Scene) -> None:
    running = scene.running
    good = running.config.read_text()
    for key in KEYS.values():
        for old, new in (
            ('secret: "env:CANARY"', f'secret: "{key}"'),
            ("log: debug", f'log: "{key}"'),
            ("log: debug", f'log: debug\n"{key}": 1'),
            ("addresses: [", f'addresses: ["{key}", '),
            ("chats: [", f'chats: ["{key}\\0", '),
            ("presets: [send]", f'presets: ["{key}"]'),
        ):
            bad = running.reloads()[1]
            running.config.write_text(good.replace(old, new, 1))
            running.hang_up()
            eventually(lambda: running.reloads()[1] > bad, "look at the bad file")  # noqa: B023
            assert running.metrics()["gateway_config_reload_ok"] == 0
            scene.told[f"readiness: {old} {len(scene.told)}"] = running.ask("/readyz")[1]
            scene.command("check")
    running.config.write_text(good)
    running.hang_up()
    eventually(lambda: running.metrics()["gateway_config_reload_ok"], "good configuration")
    scene.assert_clean()
