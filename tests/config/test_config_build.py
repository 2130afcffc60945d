"""A sound file becomes a Snapshot: defaults, the provider's own values, paths, pinned tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway import config
from gateway.config import ConfigError, load, schema, schema_json
from gateway.core.model import (
    Connections,
    Deadlines,
    Listener,
    Origin,
    Settings,
    Sizes,
    Snapshot,
    Token,
)
from gateway.core.places import Header, Query
from gateway.core.secret import SecretRef

ROOT = Path(__file__).parents[2]


def loaded(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Snapshot:
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    return load(file, environ or {})


def test_the_smallest_file_has_every_default(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, "routes: {openai: {secret: env:OPENAI_API_KEY}}")
    route = snapshot.routes["openai"]
    assert route.provider.name == "openai"
    assert route.prefix == b"/openai"
    assert route.origin == Origin("https", "api.openai.com", 443)
    assert route.base == b""
    assert route.secret == SecretRef("env", "OPENAI_API_KEY")
    assert route.tokens == route.provider.tokens
    assert not route.private
    assert (snapshot.deadlines, snapshot.sizes) == (Deadlines(), Sizes())
    assert snapshot.connections == Connections()
    assert snapshot.settings == Settings(state=str(tmp_path / ".gateway"))
    assert snapshot.bots == {}
    assert snapshot.tokens == ()


def test_every_key_of_a_route_is_used(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    text = """
        routes:
          search:
            provider: generic
            secret: file:/run/key
            prefix: /a/b/
            upstream: http://${HOST}:8000/v2/
            private: true
            insecure: true
            compression: false
            ca: ca.pem
            token: [bearer, {header: X-Key}]
            inject: [{query: key}]
    """
    route = loaded(tmp_path, text, {"HOST": "10.1.2.3"}).routes["search"]
    assert route.prefix == b"/a/b"
    assert route.origin == Origin("http", "10.1.2.3", 8000)
    assert route.base == b"/v2"
    assert route.tokens == (Header("Authorization", "Bearer"), Header("X-Key"))
    assert route.inject == (Query("key"),)
    assert route.ca == str(tmp_path / "ca.pem")
    assert route.private
    assert not route.compression


def test_a_route_may_have_no_secret_and_the_whole_listener(tmp_path: Path) -> None:
    route = loaded(tmp_path, "routes: {openai: {secret: null, prefix: /}}").routes["openai"]
    assert route.secret is None
    assert route.prefix == b""


def test_bots_are_allowed_what_the_file_says_and_by_which_line(tmp_path: Path) -> None:
    text = "routes: {openai: {secret: null}, telegram: {secret: null}}\n"
    text += "bots:\n  a:\n    labels: [team]\n    allow:\n    - openai\n    - {route: telegram}\n"
    text += "  b: {}\n"
    bots = loaded(tmp_path, text).bots
    places = {name: [rule.place for rule in rules] for name, rules in bots["a"].allow.items()}
    assert places == {
        "openai": ["routes.yaml:6 bots.a.allow[0]"],
        "telegram": ["routes.yaml:7 bots.a.allow[1]"],
    }
    assert (bots["a"].place, bots["b"].place) == ("routes.yaml:3 bots.a", "routes.yaml:8 bots.b")
    assert bots["a"].labels == ("team",)
    assert not bots["b"].allow


def test_a_pinned_token_knows_where_it_is_pinned(tmp_path: Path) -> None:
    text = "routes: {openai: {secret: null}}\n"
    text += f"bots: {{a: {{tokens: ['sha256:{'0f' * 32}']}}}}\n"
    assert loaded(tmp_path, text).tokens == (
        Token(
            "pin_0f0f0f0f0f0f",
            bytes.fromhex("0f" * 32),
            "a",
            0.0,
            origin="routes.yaml:2 bots.a.tokens[0]",
        ),
    )


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        pytest.param("127.0.0.1:0", [Listener("127.0.0.1", 0)], id="text"),
        pytest.param("'[::]:8080'", [Listener("::", 8080)], id="IPv6"),
        pytest.param("'${ADDRESS}'", [Listener("localhost", 80)], id="from the environment"),
        pytest.param(
            "{address: 'h:1', certificate: c, key: c, reuse_port: true}",
            [Listener("h", 1, "DIR/c", "DIR/c", reuse_port=True)],
            id="mapping",
        ),
        pytest.param(
            "[127.0.0.1:1, {address: '127.0.0.1:2'}]",
            [Listener("127.0.0.1", 1), Listener("127.0.0.1", 2)],
            id="list",
        ),
    ],
)
def test_listeners_have_three_notations(
    tmp_path: Path, listen: str, expected: list[Listener]
) -> None:
    (tmp_path / "c").touch()
    text = f"listen: {listen}\nroutes: {{openai: {{secret: null}}}}"
    found = loaded(tmp_path, text, {"ADDRESS": "localhost:80"}).settings.listeners
    assert repr(list(found)) == repr(expected).replace("DIR", str(tmp_path))


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    text = "state: s\naudit: a.log\nsecrets_dir: keys\nroutes: {openai: {secret: file:k}}"
    settings = loaded(tmp_path, text).settings
    assert settings.state == str(tmp_path / "s")
    assert settings.audit == str(tmp_path / "a.log")
    assert settings.secrets_dir == str(tmp_path / "keys")
    assert settings.env_file == str(tmp_path / ".env")


def test_how_often_the_file_is_looked_at_is_said_in_seconds(tmp_path: Path) -> None:
    text = "reload: 0.5\nroutes: {openai: {secret: null}}"
    assert loaded(tmp_path, text).settings.reload == 0.5


def test_sizes_and_deadlines_are_numbers(tmp_path: Path) -> None:
    text = "sizes: {head: 8KiB, held: 4096}\ndeadlines: {head: 1.5, idle: 3}\n"
    snapshot = loaded(tmp_path, text + "routes: {openai: {secret: null}}")
    assert (snapshot.sizes.head, snapshot.sizes.held) == (8192, 4096)
    assert (snapshot.deadlines.head, snapshot.deadlines.idle) == (1.5, 3.0)


ALLOWED_UPSTREAMS = {
    "https://api.example.com/v1": ("https", "api.example.com", 443, b"/v1"),
    "https://API.example.com:8443/": ("https", "api.example.com", 8443, b""),
    "https://[2606:4700::1111]/": ("https", "2606:4700::1111", 443, b""),
    "https://1.1.1.1": ("https", "1.1.1.1", 443, b""),
}


@pytest.mark.parametrize("url", ALLOWED_UPSTREAMS)
def test_an_upstream_is_taken_apart(tmp_path: Path, url: str) -> None:
    text = f"routes: {{openai: {{secret: null, upstream: '{url}'}}}}"
    route = loaded(tmp_path, text).routes["openai"]
    *origin, base = ALLOWED_UPSTREAMS[url]
    assert [route.origin.scheme, route.origin.host, route.origin.port] == origin
    assert route.base == base


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1",
        "https://localhost",
        "https://a.localhost.",
        "https://192.168.1.1",
        "https://169.254.169.254",
        "https://100.64.0.1",
        "https://[::1]",
        "https://[fd00::1]",
        "https://[::ffff:10.0.0.1]",
        "https://0.0.0.0",
        "https://224.0.0.1",
    ],
)
def test_a_private_upstream_must_be_allowed(tmp_path: Path, url: str) -> None:
    text = f"routes: {{openai: {{secret: null, upstream: '{url}'"
    with pytest.raises(ConfigError, match="private: true"):
        loaded(tmp_path, text + "}}")
    assert loaded(tmp_path, text + ", private: true}}").routes


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.example.com",
        "api.example.com",
        "//api.example.com",
        "https://",
        "https:///v1",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.example.com:x",
        "https://user@api.example.com",
        "https://@api.example.com",
        "https://api.example.com?",
        "https://api.example.com#",
        "https://api.example.com/a//b",
        "https://api.example.com/../b",
        "https://api.example.com/%2e%2e/b",
        "https://api.example.com\\\\@evil.example",
        "https://api.example.com/ b",
        "https://2130706433",
        "https://0x7f000001",
        "https://127.1",
        "https://0177.0.0.1",
        "https://bücher.example",
        "https://[fe80::1%25eth0]",
        "https://[::1",
        "https://a..b",
        "https://-a.example",
        "${",
        "${A B}",
        "https://${UNCLOSED",
    ],
)
def test_an_upstream_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"routes\.openai\.upstream"):
        loaded(tmp_path, f'routes: {{openai: {{secret: null, private: true, upstream: "{url}"}}}}')


@pytest.mark.parametrize("prefix", ["", "a", "/a//b", "//", "/a/../b", "/.", "/a%20b", "/a?b"])
def test_a_prefix_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"routes\.openai\.prefix"):
        loaded(tmp_path, f"routes: {{openai: {{secret: null, prefix: '{prefix}'}}}}")


def test_plain_http_to_this_machine_is_not_insecure(tmp_path: Path) -> None:
    text = "routes: {openai: {secret: env:K, private: true, upstream: 'http://127.0.0.1:1'}}"
    assert loaded(tmp_path, text).routes["openai"].origin.scheme == "http"


def test_the_example_loads_as_it_is() -> None:
    snapshot = load(ROOT / "routes.example.yaml", {})
    names = {"openai", "telegram", "search", "local", "anthropic", "gemini"}
    assert set(snapshot.routes) == names
    assert set(snapshot.bots) == {"support", "research"}
    assert snapshot.deadlines == Deadlines()
    assert snapshot.sizes == Sizes()
    assert snapshot.connections == Connections()


def test_the_example_shows_every_key() -> None:
    text = (ROOT / "routes.example.yaml").read_text()
    models = [one for one in vars(schema).values() if isinstance(one, type)]
    keys = {key for one in models if issubclass(one, schema.Strict) for key in one.model_fields}
    assert len(keys) > 40
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}:", text)] == []


def test_the_committed_schema_is_current() -> None:
    committed = Path(config.__file__).parent / "routes.schema.json"
    assert committed.read_text() == schema_json()
