"""The house rules that no linter knows: who imports whom, and who may touch what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "gateway").rglob("*.py"))
PURE_ROOMS = ("gateway.core", "gateway.providers")
# asyncio, clocks, sockets and the environment are not among what pure code may import.
PURE_STDLIB = frozenset((
    "__future__", "array", "base64", "binascii", "bisect", "collections", "dataclasses", "email",
    "enum", "functools", "hashlib", "hmac", "html", "http", "importlib",
    "ipaddress", "itertools", "json", "math", "operator", "pkgutil", "re",
    "string", "struct", "textwrap", "types", "typing", "unicodedata", "urllib",
    "zlib",
))  # fmt: skip
PURE_LIBRARIES = frozenset(("msgspec", "yarl", "httptools", "idna"))
SIBLINGS = ("gateway.providers", "gateway.sources", "gateway.stores", "gateway.core.places")
# What siblings share, and what has to know them all.
SHARED = frozenset(("base", "parse", "__init__"))
KINDS = ("gateway.providers", "gateway.sources", "gateway.stores", "gateway.channels")
COMPOSERS = ("gateway.server", "gateway.cli", "gateway.demo")
REVEALERS = {"gateway.core.inject"}
ENVIRONMENT = {"gateway.config", "gateway.sources.env"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    """Return every module and name that a file imports, but for what only type checkers see."""
    unseen = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(found)


def within(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def files(*rooms: str) -> list[Path]:
    return [path for path in FILES if within(name_of(path), *rooms)]


def kind(name: str) -> str:
    """Return the sibling that a file belongs to, which may be a folder; elsewhere the file."""
    for room in (*SIBLINGS, *KINDS):
        if within(name, room):
            return ".".join(name.split(".")[: room.count(".") + 2])
    return name


def uses(path: Path, dotted: str) -> Iterator[int]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == dotted:
            yield node.lineno


def test_pure_rooms_import_nothing_that_acts() -> None:
    for path in files(*PURE_ROOMS):
        for one in imports(path):
            top = one.partition(".")[0]
            allowed = within(one, "gateway.core") or one == "gateway"
            allowed = allowed or top in PURE_STDLIB | PURE_LIBRARIES
            assert allowed, f"{name_of(path)} imports {one}"
            assert not within(one, "urllib.request", "http.client", "http.server"), path


def test_siblings_do_not_know_each_other() -> None:
    for room in SIBLINGS:
        for path in files(room):
            if path.stem in SHARED:
                continue
            others = {name_of(one) for one in files(room) if one.stem not in SHARED}
            own = {name for name in others if kind(name) == kind(name_of(path))}
            assert not imports(path) & (others - own), name_of(path)


def test_only_the_roots_know_the_configuration() -> None:
    for path in FILES:
        if not within(name_of(path), *COMPOSERS, "gateway.config"):
            assert not [one for one in imports(path) if within(one, "gateway.config")], path


def test_only_the_roots_know_a_concrete_kind() -> None:
    concrete = {name_of(one) for one in files(*KINDS)} - set(KINDS) | {"gateway.server"}
    for path in FILES:
        if not within(name_of(path), *COMPOSERS):
            own = {name for name in concrete if kind(name) == kind(name_of(path))}
            assert not imports(path) & (concrete - own), path


def test_who_may_reveal_a_secret() -> None:
    found = {
        name_of(path)
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    }
    assert found == REVEALERS
    hidden = [path for path in FILES if "_Secret__value" in path.read_text()]
    assert not hidden


def test_who_may_read_the_environment() -> None:
    for path in FILES:
        touched = [*uses(path, "os.environ"), *uses(path, "os.getenv")]
        touched += ["import"] if imports(path) & {"os.environ", "os.getenv"} else []  # type: ignore[list-item]
        assert not touched or within(name_of(path), *ENVIRONMENT), f"{path}:{touched}"


def test_only_one_module_knows_prometheus() -> None:
    found = {
        name_of(path)
        for path in FILES
        if any(within(i, "prometheus_client") for i in imports(path))
    }
    assert found == {"gateway.metrics"}


@pytest.mark.parametrize("banned", ["asyncio.create_task", "asyncio.wait_for"])
def test_no_task_without_an_owner(banned: str) -> None:
    for path in FILES:
        assert not list(uses(path, banned)), path
        assert banned not in imports(path), path


def test_no_file_is_longer_than_can_be_read() -> None:
    places = [*FILES, *(ROOT / "scripts").rglob("*.py")]
    long = {
        str(p.relative_to(ROOT)): n for p in places if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long


def test_every_kind_has_a_test_file() -> None:
    for room, stem in (("providers", "provider"), ("sources", "source"), ("stores", "store")):
        for path in (ROOT / "gateway" / room).glob("[a-z]*"):
            test = ROOT / "tests" / room / f"test_{stem}_{path.stem}.py"
            assert test.exists(), f"{test} is missing"


def test_every_provider_exports_its_plugin() -> None:
    from gateway import providers
    from gateway.core.model import Provider

    for name in providers.known():
        plugin = providers.load(name)
        assert isinstance(plugin, Provider)
        assert plugin.name == name


def test_no_module_holds_state() -> None:
    """Whatever stands at the top of a module is a constant, also in what it holds."""
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.Global):
                raise AssertionError(f"{path}:{node.lineno}")
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            target = (
                node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            )
            targets = ast.unparse(target) if target is not None else ""
            mutable = isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp))
            is_constant = targets.lstrip("_").isupper()  # a table: nothing writes to it, see below
            assert not mutable or is_constant or targets == "__all__", f"{path}:{node.lineno}"
        written = [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Global)]
        assert not written, f"{path}:{written}"
        assert not list(_written_tables(path)), f"{path}:{list(_written_tables(path))}"


def _written_tables(path: Path) -> Iterator[int]:
    """Lines that change a module's table: `_TABLE[x] = y`, `_TABLE.append(x)`."""
    changing = {
        "append",
        "add",
        "update",
        "pop",
        "clear",
        "extend",
        "setdefault",
        "insert",
        "remove",
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            changed: ast.expr = node.value
        elif isinstance(node, ast.Attribute) and node.attr in changing:
            changed = node.value
        else:
            continue
        if isinstance(changed, ast.Name) and changed.id.lstrip("_").isupper():
            yield node.lineno


def test_nothing_happens_at_import() -> None:
    """A statement at the top of a module that is a bare call does something."""
    for path in FILES:
        for node in tree(path).body:
            called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            assert not called, f"{path}:{node.lineno}"
            looping = isinstance(node, ast.While | ast.With | ast.Try)
            assert not looping, f"{path}:{node.lineno}"


# What others wrote is imported once, before the fork: it is only slow.
_ALONE = """
import importlib, os, sys
import aiohttp.web, click, dotenv, hashlib, httptools, msgspec, prometheus_client, pydantic, yaml
failed = []
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(bool(failed))
"""


def test_every_module_imports_alone() -> None:
    """Each in a process of its own, forked from one that has imported nothing of ours."""
    names = [name_of(path) for path in FILES if path.stem != "__main__"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ALONE, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
