"""The documents say what the code does: every name is explained, every command exists."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from gateway import providers
from gateway.audit import Record
from gateway.cli import cli
from gateway.config import load, schema
from gateway.config.values import size
from gateway.core import scope
from gateway.core.model import Connections, Deadlines
from gateway.core.places.parse import _KINDS
from gateway.core.sdks import SDKS, Sdk, lines
from gateway.demo.keys import KEYS
from gateway.demo.process import DemoProcess
from gateway.metrics import NAMES
from tests.support.running import Running

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(file for file in (ROOT / "gateway").rglob("*.py") if "demo" not in file.parts)
FENCED = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
BASE = "http://127.0.0.1:8080/"
EVERY = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.stem)


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text()


@cache
def rows(name: str) -> dict[str, list[str]]:
    """The rows of a document's tables, by their first cell, which is `code`."""
    found = {}
    for line in text(name).splitlines():
        match = re.match(r"\| `([^`]+)` \|(.*)\|$", line)
        if match:
            found[match[1]] = [cell.strip() for cell in match[2].split("|")]
    return found


def headings(name: str) -> list[str]:
    return re.findall(r"(?m)^#+ (.+)$", text(name))


# Configuration

MODELS: dict[str, type[BaseModel]] = {
    "": schema.FileKeys,
    "listen[].": schema.ListenerKeys,
    "deadlines.": schema.DeadlineKeys,
    "sizes.": schema.SizeKeys,
    "connections.": schema.ConnectionKeys,
    "routes.*.": schema.RouteKeys,
    "limits[].": schema.LimitKeys,
    "proxies.": schema.ProxyKeys,
    "labels.*.": schema.LabelKeys,
    "groups.*.": schema.GroupKeys,
    "bots.*.": schema.BotKeys,
    "bots.*.allow[].": schema.RuleKeys,
}


def test_every_model_of_the_schema_is_looked_at() -> None:
    models = {one for one in vars(schema).values() if isinstance(one, type)}
    ours = {one for one in models if issubclass(one, schema.Strict)} - {schema.Strict}
    assert ours == set(MODELS.values())


@pytest.mark.parametrize(("start", "model"), list(MODELS.items()))
def test_every_key_is_documented_and_no_other(start: str, model: type[BaseModel]) -> None:
    keys = {f"{start}{name}" for name in model.model_fields}
    documented = {
        key for key in rows("docs/configuration.md") if key.rpartition(".")[0] + "." == start
    }
    if not start:
        documented = {key for key in rows("docs/configuration.md") if "." not in key}
    assert documented == keys


@pytest.mark.parametrize(
    ("start", "values"), [("deadlines", Deadlines()), ("connections", Connections())]
)
def test_defaults_are_documented(start: str, values: Deadlines | Connections) -> None:
    for field in fields(values):
        default = rows("docs/configuration.md")[f"{start}.{field.name}"][0]
        assert default == f"{getattr(values, field.name):g}", field.name


def test_default_sizes_are_documented() -> None:
    for name, field in schema.SizeKeys.model_fields.items():
        default = rows("docs/configuration.md")[f"sizes.{name}"][0]
        assert size(default) == field.default, name


def test_the_example_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    example = ROOT / "routes.example.yaml"
    snapshot = load(example, {})
    assert set(snapshot.routes) >= {"openai", "telegram"}
    assert snapshot.deadlines == Deadlines()
    assert snapshot.connections == Connections()


@EVERY
def test_configurations_in_documents_load(document: Path, tmp_path: Path) -> None:
    blocks = [block for kind, block in FENCED.findall(document.read_text()) if kind == "yaml"]
    for number, block in enumerate(blocks):
        whole = block if "bots:" in block else f"{block}bots: {{}}\n"
        file = tmp_path / f"{number}.yaml"
        file.write_text(
            whole if "routes:" in whole else f"{whole}routes: {{openai: {{secret: null}}}}\n"
        )
        load(file, {})


# Providers, metrics, record, refusals


def test_every_provider_has_its_heading() -> None:
    found = [heading for heading in headings("docs/providers.md") if heading in providers.known()]
    assert sorted(found) == sorted(providers.known())


def test_every_notation_of_a_place_is_documented() -> None:
    said = text("docs/providers.md")
    for word in ("`bearer`", "`bot`", "`token`"):
        assert word in said
    for kind in _KINDS:
        assert f"`{{{kind}: " in said, kind


def test_every_metric_is_documented_and_no_other() -> None:
    found = {name for name in rows("docs/operations.md") if name.startswith("gateway_")}
    assert found == set(NAMES)


def test_every_field_of_the_record_is_documented_in_order() -> None:
    section = text("docs/operations.md").partition("## The record")[2].partition("\n##")[0]
    found = re.findall(r"(?m)^\| `(\w+)` \|", section)
    assert found == list(Record.__struct_fields__)


def codes() -> Iterator[tuple[str, int]]:
    """Each refusal in the source: its code and status."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                yield from refusal_in(node)
    yield from ((code, 403) for code in scope._CODES.values())


def refusal_in(node: ast.Call) -> Iterator[tuple[str, int]]:
    values = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
    if getattr(node.func, "id", "") == "_bad":
        values = [values[2] if len(values) > 2 else 400, values[0]]
    match values:
        case [int(status), str(code), *_] if 400 <= status < 600 and re.fullmatch(r"[a-z_]+", code):
            yield code, status


def test_refusals_are_found_in_the_source() -> None:
    found = dict(codes())
    assert found["no_route"] == 404
    assert found["secret_unavailable"] == 503
    assert found["host"] == 400
    assert len(found) > 30


def test_every_refusal_is_documented_with_its_status() -> None:
    documented = rows("docs/operations.md")
    for code, status in codes():
        assert code in documented, code
        assert str(status) in documented[code][0].split(", "), code


def test_no_other_refusal_is_documented() -> None:
    section = text("docs/operations.md").partition("## Refusals")[2].partition("\n## ")[0]
    found = set(re.findall(r"(?m)^\| `(\w+)` \| \d", section))
    assert found <= {code for code, _ in codes()}


def test_dashboards_ask_only_for_refusals_that_exist() -> None:
    known = {code for code, _ in codes()}
    for file in ROOT.glob("grafana/dashboards/*.json"):
        for asked in re.findall(r'code=~\\"([^"\\]+)\\"', file.read_text()):
            for pattern in asked.split("|"):
                assert any(re.fullmatch(pattern, code) for code in known), pattern


def test_every_way_to_end_early_is_documented() -> None:
    found = set(re.findall(r'_cut\([^"\n]+, "(\w+)"\)|_GONE, "(\w+)"', text("gateway/proxy.py")))
    names = {one or other for one, other in found}
    names |= set(re.findall(r'Deny\(\s*\d+, "(\w+)"', text("gateway/cuts.py")))
    assert {"upstream_incomplete", "token_revoked", "client_gone", "frozen"} <= names
    assert names <= set(rows("docs/operations.md"))


def test_every_failure_of_a_provider_is_documented() -> None:
    source = text("gateway/proxy.py").partition("_FAILURES = {")[2]
    kinds = re.findall(r'(?m)^    "(\w+)": Deny', source)
    assert kinds
    for kind in kinds:
        assert f"`{kind}`" in rows("docs/operations.md")["gateway_upstream_failures_total"][-1]


# README


def table() -> str:
    """The table of SDKs as README must show it."""
    head = "| provider | SDK | in the code | or in the environment |\n|---|---|---|---|\n"
    return head + "\n".join(row(sdk) for sdk in SDKS)


def row(sdk: Sdk) -> str:
    place = "echo" if sdk.provider == "generic" else sdk.provider
    (filled,) = [
        one
        for one in lines(sdk.provider, BASE + place, "TOKEN")
        if (one.name, one.language) == (sdk.name, sdk.language)
    ]
    code = [
        line for line in filled.change.splitlines() if not line.startswith(("from ", "import "))
    ]
    cell = "<br>".join(
        line[2:].lstrip() if line.startswith(("//", "# ")) else f"`{line}`" for line in code
    )
    env = "<br>".join(f"`{name}={value}`" for name, value in filled.env)
    return f"| {sdk.provider} | {sdk.name} ({sdk.language}) | {cell} | {env} |"


def test_readme_shows_the_table_of_sdks() -> None:
    shown = re.search(
        r"<!-- sdks:[^\n]*-->\n(.*?)\n<!-- end of sdks -->", text("README.md"), re.DOTALL
    )
    assert shown is not None
    assert shown[1] == table()


SHELL = [sdk for sdk in SDKS if sdk.language == "shell"]


@pytest.mark.parametrize("sdk", SHELL, ids=lambda sdk: sdk.provider)
def test_the_rows_for_curl_reach_the_provider_with_its_key(
    sdk: Sdk, launcher: Callable[..., Running], demo: DemoProcess
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    running = served(launcher)
    route = "echo" if sdk.provider == "generic" else sdk.provider
    token = running.token("curl-bot", "telegram" if sdk.provider == "telegram" else "plain")
    rows = lines(sdk.provider, running.base(route), token)
    (filled,) = [one for one in rows if one.name == "curl"]
    command = [*shlex.split(filled.change), "-s", "--noproxy", "*", "-w", "\n%{http_code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    (seen,) = demo.seen()
    assert done.stdout.splitlines()[-1] == str(seen.status), done.stdout
    assert seen.holds(KEYS[route])
    assert not seen.holds(token)
    assert seen.key_ok


_SERVED: list[Running] = []


def served(launcher: Callable[..., Running]) -> Running:
    """One gateway for all the rows."""
    if not _SERVED:
        bots = {"curl-bot": list(KEYS)}
        _SERVED.append(launcher(bots=bots, shapes=("plain", "telegram")))
    return _SERVED[0]


# Commands and links

COMMAND = re.compile(r"(?:\./dev\b|(?<![\w-])gateway(?! gateway)(?= [a-z]))[^#]*")


def commands(document: Path) -> Iterator[list[str]]:
    """Every `gateway ...` and `./dev ...` that a document prints, as words."""
    said = document.read_text()
    blocks = [block for kind, block in FENCED.findall(said) if kind in ("", "ini")]
    lines = [line for block in blocks for line in block.splitlines()]
    spoken = re.findall(r"`([^`\n]+)`", re.sub(FENCED, "", said))
    for line in [*lines, *(words for words in spoken if COMMAND.match(words))]:
        match = COMMAND.search(line)
        if match:
            yield match[0].split()


def options_of(command: click.Command) -> set[str]:
    known = {"-h", "--help"}
    return known.union(*(parameter.opts for parameter in command.params))


def test_commands_are_found_in_documents() -> None:
    found = [" ".join(words) for document in DOCUMENTS for words in commands(document)]
    assert "./dev run" in found
    assert "gateway token issue support" in found


@EVERY
def test_every_command_in_a_document_exists(document: Path) -> None:
    for words in commands(document):
        if words[0] == "./dev":
            assert not words[1:] or f"./dev {words[1]}" in dev_help(), words
        else:
            check(words)


@cache
def dev_help() -> str:
    return text("dev").partition('"""')[2].partition('"""')[0]


def check(words: list[str]) -> None:
    command: Any = cli
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in command.commands, words
        command = command.commands[name]
    if command.name == "demo":
        return
    for word in rest:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in options_of(command), words


def paths_of_commands(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from paths_of_commands(below, f"{path} {name}")
    else:
        yield path


@pytest.mark.parametrize("path", list(paths_of_commands(cli, "gateway")))
def test_every_command_is_documented(path: str) -> None:
    assert f"`{path}" in text("docs/operations.md")


@EVERY
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(FENCED, "", document.read_text())):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        if anchor:
            names = re.findall(r"(?m)^#+ (.+)$", file.read_text())
            slugs = {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in names}
            assert anchor in slugs, target


@EVERY
def test_a_document_names_nobodys_machine(document: Path) -> None:
    assert not re.search(r"/(?:home|Users|root)/\w", document.read_text())
