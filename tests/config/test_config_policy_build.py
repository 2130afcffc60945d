"""What bots may do becomes rules, limits and addresses: groups are merged, ids stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway import providers
from gateway.config import load, read
from gateway.config.schema import RuleKeys
from gateway.core.model import Limit, Listener, Proxies, Snapshot

ROUTES = "routes: {openai: {secret: null}, telegram: {secret: null}, anthropic: {secret: null}}\n"


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Snapshot:
    return load(folder / "routes.yaml", environ or {}, text.encode())


def routed(folder: Path, keys: str, environ: Mapping[str, str] | None = None) -> Snapshot:
    return loaded(folder, f"routes: {{openai: {{secret: null, {keys}}}}}", environ)


# Rules


def test_every_key_of_a_rule_is_used(tmp_path: Path) -> None:
    rule = (
        "{route: openai, presets: [inference], methods: [POST], paths: [/v1/**], models: [gpt-*]}"
    )
    (found,) = (
        loaded(tmp_path, f"{ROUTES}bots: {{a: {{allow: [{rule}]}}}}").bots["a"].allow["openai"]
    )
    assert (found.route, found.place) == ("openai", "routes.yaml:2 bots.a.allow[0]")
    assert (found.presets, found.methods) == (("inference",), ("POST",))
    assert (found.paths, found.subjects) == (("/v1/**",), {"model": ("gpt-*",)})


def test_a_bot_may_have_several_rules_for_a_route_in_the_order_of_the_file(tmp_path: Path) -> None:
    rules = "[{route: openai, models: [a]}, telegram, {route: openai, models: [b]}]"
    allow = loaded(tmp_path, f"{ROUTES}bots: {{a: {{allow: {rules}}}}}").bots["a"].allow
    assert list(allow) == ["openai", "telegram"]
    assert [rule.subjects["model"] for rule in allow["openai"]] == [("a",), ("b",)]


def test_ids_of_chats_are_exact_however_large(tmp_path: Path) -> None:
    ids = "[-100123, '@news', 9007199254740993, '1234567890123456789', -1001234567890123456789012]"
    rule = f"{{route: telegram, chats: {ids}}}"
    (found,) = (
        loaded(tmp_path, f"{ROUTES}bots: {{a: {{allow: [{rule}]}}}}").bots["a"].allow["telegram"]
    )
    assert found.subjects == {
        "chat": ("-100123", "@news", "9007199254740993", "1234567890123456789",
                 "-1001234567890123456789012"),
    }  # fmt: skip


def test_every_subject_of_a_provider_has_its_key() -> None:
    for name in providers.known():
        for subject in providers.load(name).subjects:
            assert f"{subject.name}s" in RuleKeys.model_fields, name


# Groups


GROUPED = (
    ROUTES
    + """\
groups:
  g:
    {allow: [openai, {route: telegram, chats: [1]}], addresses: [10.0.0.0/8],
     limits: [{concurrency: 4}]}
  h: {allow: [anthropic, {route: openai, models: [m]}], addresses: ['::1', 10.0.0.0/8]}
bots:
  a: {groups: [g, h], allow: [{route: openai, models: [own]}], addresses: [192.168.1.7],
      limits: [{requests: 5, per: second}]}
  b: {groups: [g, h]}
  c: {groups: [g]}
"""
)


def test_a_bot_gets_what_its_groups_have_after_its_own(tmp_path: Path) -> None:
    bot = loaded(tmp_path, GROUPED).bots["a"]
    places = {
        name: [rule.place.partition(" ")[2] for rule in rules] for name, rules in bot.allow.items()
    }
    assert places == {
        "openai": ["bots.a.allow[0]", "groups.g.allow[0]", "groups.h.allow[1]"],
        "telegram": ["groups.g.allow[1]"],
        "anthropic": ["groups.h.allow[0]"],
    }
    assert bot.addresses == tuple(map(ip_network, ("192.168.1.7/32", "10.0.0.0/8", "::1/128")))
    assert bot.limits == (
        Limit("requests", 5, "routes.yaml:9 bots.a.limits[0]", 1),
        Limit("concurrency", 4, "routes.yaml:5 groups.g.limits[0]"),
    )


def test_bots_of_the_same_groups_share_what_they_have(tmp_path: Path) -> None:
    bots = loaded(tmp_path, GROUPED + "  d: {groups: [g]}\n  e: {groups: [g], labels: [x]}\n").bots
    assert bots["c"].allow is bots["d"].allow is bots["e"].allow
    assert bots["c"].limits[0] is bots["d"].limits[0] is bots["a"].limits[1]
    assert bots["a"].allow["telegram"][0] is bots["c"].allow["telegram"][0]
    assert bots["b"].allow["openai"] is not bots["c"].allow["openai"]


def test_a_group_that_nobody_joins_is_no_mistake_but_noted(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, ROUTES + "groups: {g: {allow: [openai]}}")
    assert snapshot.notes == ("routes.yaml:2 groups.g has no effect: no bot joins it",)
    assert loaded(tmp_path, GROUPED).notes == ()


# Limits, addresses, modes


def test_limits_stand_on_everything_a_label_a_route_and_a_bot(tmp_path: Path) -> None:
    text = """\
limits: [{requests: 200000, per: day, burst: 7}, {concurrency: 9}]
labels: {team: {limits: [{requests: 60, per: minute}]}}
routes: {openai: {secret: null, limits: [{requests: 3, per: hour}]}}
bots: {a: {labels: [team], limits: [{requests: 1, per: second, burst: 10}]}}
"""
    snapshot = loaded(tmp_path, text)
    assert snapshot.limits == (
        Limit("requests", 200_000, "routes.yaml:1 limits[0]", 86_400, 7),
        Limit("concurrency", 9, "routes.yaml:1 limits[1]"),
    )
    label = Limit("requests", 60, "routes.yaml:2 labels.team.limits[0]", 60)
    assert snapshot.labels == {"team": (label,)}
    route = Limit("requests", 3, "routes.yaml:3 routes.openai.limits[0]", 3600)
    assert snapshot.routes["openai"].limits == (route,)
    bot = Limit("requests", 1, "routes.yaml:4 bots.a.limits[0]", 1, 10)
    assert snapshot.bots["a"].limits == (bot,)


def test_addresses_are_networks_or_single_ones(tmp_path: Path) -> None:
    text = ROUTES + "addresses: [10.0.0.0/8, 192.168.1.7, 'fd00::/8', '::1', 0.0.0.0/0, '${NET}']"
    found = loaded(tmp_path, text, {"NET": "172.16.0.0/12"}).addresses
    networks = ("10.0.0.0/8", "192.168.1.7/32", "fd00::/8", "::1/128", "0.0.0.0/0", "172.16.0.0/12")
    assert found == tuple(map(ip_network, networks))


@pytest.mark.parametrize(
    ("keys", "header"),
    [("", b"x-forwarded-for"), (", header: Forwarded", b"forwarded")],
)
def test_proxies_are_trusted_for_one_header(tmp_path: Path, keys: str, header: bytes) -> None:
    found = loaded(tmp_path, f"{ROUTES}proxies: {{trusted: [10.0.0.5]{keys}}}").proxies
    assert found == Proxies((ip_network("10.0.0.5/32"),), header)


def test_nobody_is_trusted_by_default(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, ROUTES)
    assert (snapshot.proxies, snapshot.addresses) == (Proxies(), ())


def test_a_bot_or_a_route_may_be_watched_only(tmp_path: Path) -> None:
    text = (
        "routes: {openai: {secret: null, mode: observe}, telegram: {secret: null, mode: enforce}}\n"
    )
    snapshot = loaded(tmp_path, text + "bots: {a: {mode: observe}, b: {}}")
    assert [route.observe for route in snapshot.routes.values()] == [True, False]
    assert [bot.observe for bot in snapshot.bots.values()] == [True, False]


# Places of routes


@pytest.mark.parametrize(
    ("keys", "host", "listener", "prefix"),
    [
        ("", b"", "", b"/openai"),
        ("host: OpenAI.Example", b"openai.example", "", b""),
        ("host: '${HOST}', prefix: /a", b"h.example", "", b"/a"),
        ("host: 10.0.0.7", b"10.0.0.7", "", b""),
        ("listen: '127.0.0.1:8443'", b"", "openai", b""),
        ("listen: '127.0.0.1:8443', prefix: /a/", b"", "openai", b"/a"),
        ("listen: '127.0.0.1:8443', host: h", b"h", "openai", b""),
    ],
)
def test_a_route_is_reached_by_prefix_host_or_port(
    tmp_path: Path, keys: str, host: bytes, listener: str, prefix: bytes
) -> None:
    route = routed(tmp_path, keys, {"HOST": "H.example"}).routes["openai"]
    assert (route.host, route.listener, route.prefix) == (host, listener, prefix)
    assert route.place == "routes.yaml:1 routes.openai"


def test_a_route_s_own_listener_is_one_of_the_gateway_s(tmp_path: Path) -> None:
    (tmp_path / "c").touch()
    keys = "listen: {address: '127.0.0.1:8443', certificate: c, key: c}"
    pem = str(tmp_path / "c")
    assert routed(tmp_path, keys).settings.listeners == (
        Listener("127.0.0.1", 8080),
        Listener("127.0.0.1", 8443, pem, pem, name="openai"),
    )


def test_routes_in_different_places_do_not_meet(tmp_path: Path) -> None:
    keys = ("prefix: /", "host: a", "host: b", "listen: '127.0.0.1:1'", "listen: '127.0.0.1:0'",
            "host: a, listen: '127.0.0.1:0'", "host: a, prefix: /b")  # fmt: skip
    lines = "".join(
        f"  r{n}: {{provider: openai, secret: null, {one}}}\n" for n, one in enumerate(keys)
    )
    assert len(loaded(tmp_path, "routes:\n" + lines).routes) == len(keys)


def test_opaque_paths_are_the_provider_s_and_the_route_s(tmp_path: Path) -> None:
    route = routed(tmp_path, "opaque: ['/model/*/invoke']").routes["openai"]
    assert route.opaque == (*route.provider.opaque, "/model/*/invoke")


# Bytes


def test_what_was_read_is_what_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES)
    raw = read(file)
    file.write_text("no configuration any more")
    assert raw == ROUTES.encode()
    assert set(load(file, {}, raw).routes) == {"openai", "telegram", "anthropic"}


def test_very_many_bots_of_a_group_cost_one_rule(tmp_path: Path) -> None:
    bots = "".join(f"  b{n}: {{groups: [g]}}\n" for n in range(5_000))
    text = (
        f"{ROUTES}groups: {{g: {{allow: [openai], limits: [{{concurrency: 1}}]}}}}\nbots:\n{bots}"
    )
    found = loaded(tmp_path, text).bots
    assert len(found) == 5_000
    assert len({id(bot.allow) for bot in found.values()}) == 1
    assert len({id(bot.limits) for bot in found.values()}) == 1
    assert found["b4999"].place == "routes.yaml:5003 bots.b4999"
