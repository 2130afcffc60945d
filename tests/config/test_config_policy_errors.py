"""Mistakes in rules, limits, groups, labels, addresses and the places of routes, each by its place.

Every table ends in a whole message: the file, the line, the column, the key and the way out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.providers import load as provider
from tests.config.mistakes import ROUTE, Cases, message, problems

BOTH = "routes: {openai: {secret: env:K}, telegram: {secret: env:T}}\n"
GENERIC = "routes: {g: {provider: generic, secret: null, upstream: 'https://h'}}\n"


def allowing(rule: str, routes: str = BOTH) -> str:
    """Return a file whose line 2 allows a bot what `rule` says, from column 20 on."""
    return f"{routes}bots: {{a: {{allow: [{rule}]}}}}"


def limited(limits: str) -> str:
    """Return a file whose line 2 has `limits`, from column 10 on."""
    return f"{ROUTE}limits: [{limits}]"


def placed(routes: str) -> str:
    """Return a file of routes that all are openai's, from line 2 on."""
    return "routes:\n" + "".join(
        f"  {name}: {{secret: null, provider: openai, {keys}}}\n"
        for name, keys in (line.split(" ", 1) for line in routes.splitlines())
    )


def rule_keys(name: str) -> str:
    """What a rule for this provider may name."""
    known = provider(name)
    keys = ["presets"] * bool(known.presets) + ["methods"] + ["paths"] * (known.method is None)
    return ", ".join([*keys, *(f"{subject.name}s" for subject in known.subjects)])


PRESETS = ", ".join(sorted(provider("openai").presets))

RULES: Cases = {
    "models of telegram": (
        allowing("{route: telegram, models: [gpt-5]}"),
        "2:38: bots.a.allow[0].models: telegram has no models; "
        f"a rule for it may name: {rule_keys('telegram')}",
    ),
    "paths of telegram": (
        allowing("{route: telegram, paths: [/getMe]}"),
        "2:38: bots.a.allow[0].paths: telegram has no paths; "
        f"a rule for it may name: {rule_keys('telegram')}",
    ),
    "presets of generic": (
        allowing("{route: g, presets: [read]}", GENERIC),
        "2:31: bots.a.allow[0].presets: generic has no presets; "
        "a rule for it may name: methods, paths",
    ),
    "a preset that is not there": (
        allowing("{route: openai, presets: [inferenc]}"),
        "2:46: bots.a.allow[0].presets[0]: unknown preset 'inferenc' (did you mean inference?); "
        f"presets here are: {PRESETS}",
    ),
    "an HTTP method in lower case": (
        allowing("{route: openai, methods: [GET, post]}"),
        "2:51: bots.a.allow[0].methods[1]: HTTP methods are upper case: "
        "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
    ),
    "a method that is a path": (
        allowing("{route: telegram, methods: [/sendMessage]}"),
        "2:48: bots.a.allow[0].methods[0]: a method of telegram is written in letters, digits, "
        "`_`, `.` and `*`",
    ),
    "nothing in a list": (
        allowing("{route: openai, models: []}"),
        "2:44: bots.a.allow[0].models: at least one is needed",
    ),
    "no list": (
        allowing("{route: openai, models: }"),
        "2:44: bots.a.allow[0].models: this is empty: a list is expected; "
        "or leave the key out, which allows all",
    ),
    "no route": (
        allowing("{models: [gpt-5]}"),
        "2:20: bots.a.allow[0]: `route` is required",
    ),
    "a rule of another kind": (
        allowing("5"),
        "2:20: bots.a.allow[0]: a route's name, or `{route: NAME}`, is expected",
    ),
    "an unknown key": (
        allowing("{route: openai, model: [gpt-5]}"),
        "2:36: bots.a.allow[0].model: unknown key 'model' (did you mean models?); "
        "keys here are: channels, chats, methods, models, paths, presets, route",
    ),
    "the same rule twice": (
        allowing("openai, {route: openai, methods: [GET]}, {route: openai}"),
        "2:61: bots.a.allow[2]: this is the same as routes.yaml:2 bots.a.allow[0]",
    ),
    "the same rule twice in a group": (
        ROUTE + "groups: {g: {allow: [openai, openai]}}",
        "2:30: groups.g.allow[1]: this is the same as routes.yaml:2 groups.g.allow[0]",
    ),
    "a fraction for a chat": (
        allowing("{route: telegram, chats: [1.0]}"),
        "2:46: bots.a.allow[0].chats[0]: text or a whole number is expected: "
        "put it in quotes where it is text",
    ),
    "a truth for a chat": (
        allowing("{route: telegram, chats: [5, true]}"),
        "2:49: bots.a.allow[0].chats[1]: text or a whole number is expected: "
        "put it in quotes where it is text",
    ),
    "a number for a model": (
        allowing("{route: openai, models: [5]}"),
        "2:45: bots.a.allow[0].models[0]: text is expected, and YAML reads this otherwise: "
        "put it in quotes",
    ),
    "a path without a slash": (
        allowing("{route: openai, paths: [v1/models]}"),
        "2:44: bots.a.allow[0].paths[0]: a path pattern begins with `/`",
    ),
    "a path that is too long": (
        allowing(f"{{route: openai, paths: [/{'a' * 1024}]}}"),
        "2:44: bots.a.allow[0].paths[0]: a path pattern has at most 1024 characters",
    ),
    "`**` in the middle": (
        allowing("{route: openai, paths: [/**/models]}"),
        "2:44: bots.a.allow[0].paths[0]: `**` stands only at the end of a path pattern; "
        "use `*` for one segment",
    ),
    "a path with a query": (
        allowing("{route: openai, paths: ['/v1?a']}"),
        "2:44: bots.a.allow[0].paths[0]: a path pattern holds only what a path does: printable "
        "ASCII without spaces, `?`, `#`, `;` and `\\`, and `%` only before two hexadecimal digits",
    ),
    "a path that none is": (
        allowing("{route: openai, paths: [/a/../b]}"),
        "2:44: bots.a.allow[0].paths[0]: no path holds `//`, `/./` or `/../`: "
        "such paths are refused before",
    ),
    "an empty model": (
        allowing("{route: openai, models: ['']}"),
        "2:45: bots.a.allow[0].models[0]: a pattern is not empty; `*` stands for anything",
    ),
    "a long model": (
        allowing(f"{{route: openai, models: [{'a' * 1025}]}}"),
        "2:45: bots.a.allow[0].models[0]: a pattern has at most 1024 characters",
    ),
    "a model with a space after it": (
        allowing("{route: openai, models: ['gpt-5 ']}"),
        "2:45: bots.a.allow[0].models[0]: a pattern holds no control characters, "
        "nor spaces at its ends",
    ),
    "a model like a path": (
        allowing("{route: openai, models: [gpt-**]}"),
        "2:45: bots.a.allow[0].models[0]: `**` is for paths; `*` stands for any characters here",
    ),
}

LIMITS: Cases = {
    "both": (
        limited("{requests: 60, per: minute, concurrency: 4}"),
        "2:10: limits[0]: a limit has either `requests` or `concurrency`, and not both",
    ),
    "neither": (
        limited("{per: minute}"),
        "2:10: limits[0]: a limit has either `requests` or `concurrency`, and not both",
    ),
    "no time": (
        limited("{requests: 60}"),
        "2:10: limits[0]: `per` is required with `requests`: second, minute, hour or day",
    ),
    "another time": (
        limited("{requests: 60, per: week}"),
        "2:30: limits[0].per: 'second', 'minute', 'hour' or 'day' is expected",
    ),
    "a time at once": (
        limited("{concurrency: 4, per: minute}"),
        "2:32: limits[0].per: `per` goes with `requests`, not `concurrency`",
    ),
    "a burst at once": (
        limited("{concurrency: 4, burst: 2}"),
        "2:34: limits[0].burst: `burst` goes with `requests`, not `concurrency`",
    ),
    "no requests": (
        limited("{requests: 0, per: minute}"),
        "2:21: limits[0].requests: at least 1 is expected",
    ),
    "too many": (
        limited("{requests: 1000000001, per: second, burst: 1}"),
        "2:21: limits[0].requests: at most 1000000000 is expected",
    ),
    "too many to keep": (
        limited("{requests: 100001, per: day}"),
        "2:21: limits[0].requests: more than 100000 need `burst`: "
        "without it the time of each is kept",
    ),
    "twice": (
        limited("{concurrency: 4}, {requests: 5, per: minute}, {requests: 6, per: minute}"),
        "2:56: limits[2]: this is limited already, in routes.yaml:2 limits[1]",
    ),
    "at once twice": (
        ROUTE + "bots: {a: {limits: [{concurrency: 4}, {concurrency: 5}]}}",
        "2:39: bots.a.limits[1]: this is limited already, in routes.yaml:2 bots.a.limits[0]",
    ),
    "an unknown key": (
        ROUTE + "bots: {a: {limits: [{request: 4}]}}",
        "2:22: bots.a.limits[0].request: unknown key 'request' (did you mean requests?); "
        "keys here are: burst, concurrency, per, requests",
    ),
    "a label that no bot has": (
        ROUTE + "labels:\n  team: {limits: [{concurrency: 4}]}\nbots: {a: {labels: [teem]}}",
        "3:3: labels.team: no bot has this label, so it limits nothing",
    ),
    "a label without limits": (
        ROUTE + "labels: {team: {limits: []}}\nbots: {a: {labels: [team]}}",
        "2:25: labels.team.limits: at least one is needed",
    ),
    "a label with nothing": (
        ROUTE + "labels: {team: {}}\nbots: {a: {labels: [team]}}",
        "2:10: labels.team: `limits` is required",
    ),
}

GROUPS: Cases = {
    "an unknown group": (
        ROUTE + "groups: {workers: {}}\nbots: {a: {groups: [worker]}}",
        "3:21: bots.a.groups[0]: unknown group 'worker' (did you mean workers?); "
        "groups here are: workers",
    ),
    "a group twice": (
        ROUTE + "groups: {g: {allow: [openai]}}\nbots: {a: {groups: [g, g]}}",
        "3:24: bots.a.groups[1]: this stands in the list already",
    ),
    "a route that is not there": (
        ROUTE + "groups: {g: {allow: [openia]}}",
        "2:22: groups.g.allow[0]: unknown route 'openia' (did you mean openai?); "
        "routes here are: openai",
    ),
    "a limit that the bot has too": (
        ROUTE + "groups: {g: {limits: [{concurrency: 4}]}}\n"
        "bots: {a: {groups: [g], limits: [{concurrency: 5}]}}",
        "3:20: bots.a.groups: routes.yaml:2 groups.g.limits[0] limits what is limited already, "
        "in routes.yaml:3 bots.a.limits[0]",
    ),
    "a limit of two groups": (
        ROUTE + "groups:\n  g: {limits: [{concurrency: 4}]}\n  h: {limits: [{concurrency: 5}]}\n"
        "bots: {a: {groups: [g, h]}}",
        "5:20: bots.a.groups: routes.yaml:4 groups.h.limits[0] limits what is limited already, "
        "in routes.yaml:3 groups.g.limits[0]",
    ),
    "an unknown key": (
        ROUTE + "groups: {g: {tokens: []}}",
        "2:14: groups.g.tokens: unknown key 'tokens'; keys here are: addresses, allow, limits",
    ),
    "another mode": (
        ROUTE + "bots: {a: {mode: watch}}",
        "2:18: bots.a.mode: 'enforce' or 'observe' is expected",
    ),
}

NETWORK = "a network is written `10.0.0.0/8` or `fd00::/8`, a single address without the `/`"
ADDRESSES: Cases = {
    "a name": (ROUTE + "addresses: [localhost]", f"2:13: addresses[0]: {NETWORK}"),
    "a netmask": (
        ROUTE + "addresses: ['10.0.0.0/255.0.0.0']",
        f"2:13: addresses[0]: {NETWORK}",
    ),
    "too long a prefix": (ROUTE + "addresses: ['10.0.0.0/33']", f"2:13: addresses[0]: {NETWORK}"),
    "a zone": (ROUTE + "addresses: ['fe80::%1/64']", f"2:13: addresses[0]: {NETWORK}"),
    "host bits": (
        ROUTE + "bots: {a: {addresses: [10.1.0.0/16, 10.1.2.3/16]}}",
        "2:37: bots.a.addresses[1]: this is an address within a network; "
        "write 10.1.0.0/16 for the network, or the address without what follows the `/`",
    ),
    "host bits of IPv6": (
        ROUTE + "groups: {g: {addresses: ['fd00::1/8']}}",
        "2:26: groups.g.addresses[0]: this is an address within a network; "
        "write fd00::/8 for the network, or the address without what follows the `/`",
    ),
    "IPv4 in IPv6": (
        ROUTE + "addresses: ['::ffff:10.0.0.1/104']",
        "2:13: addresses[0]: IPv4 addresses are compared as such; write 10.0.0.0/8",
    ),
    "nowhere": (ROUTE + "addresses: []", "2:12: addresses: at least one is needed"),
    "every IPv4 proxy": (
        ROUTE + "proxies: {trusted: [0.0.0.0/0]}",
        "2:21: proxies.trusted[0]: if every address were trusted, everybody could claim any "
        "address; name the proxies",
    ),
    "every IPv6 proxy": (
        ROUTE + "proxies: {trusted: [10.0.0.5, '::/0']}",
        "2:31: proxies.trusted[1]: if every address were trusted, everybody could claim any "
        "address; name the proxies",
    ),
    "no proxies": (
        ROUTE + "proxies: {trusted: []}",
        "2:20: proxies.trusted: at least one is needed",
    ),
    "proxies without addresses": (
        ROUTE + "proxies: {header: Forwarded}",
        "2:1: proxies: `trusted` is required",
    ),
    "another header": (
        ROUTE + "proxies: {trusted: [10.0.0.5], header: X-Real-IP}",
        "2:40: proxies.header: 'X-Forwarded-For' or 'Forwarded' is expected",
    ),
}

PLACES: Cases = {
    "one host for two routes": (
        placed("a host: h.example\nb host: H.example"),
        "3:6: routes.b.prefix: route a has the prefix / at h.example too",
    ),
    "one host and prefix for two routes": (
        placed("a host: h.example, prefix: /p\nb host: h.example, prefix: /p/"),
        "3:64: routes.b.prefix: route a has the prefix /p at h.example too",
    ),
    "one listener for two routes": (
        placed("a listen: '127.0.0.1:1'\nb listen: '127.0.0.1:1'"),
        "3:47: routes.b.listen: another listener, or `admin`, has this address",
    ),
    "the listener of all for a route": (
        placed("a listen: '127.0.0.1:8080'"),
        "2:47: routes.a.listen: another listener, or `admin`, has this address",
    ),
    "a certificate without its key": (
        placed("a listen: {address: '127.0.0.1:1', key: routes.yaml}"),
        "2:47: routes.a.listen: `certificate` and `key` go together",
    ),
    "a key that is not there": (
        placed("a listen: {address: '127.0.0.1:1', certificate: routes.yaml, key: no.pem}"),
        "2:103: routes.a.listen.key: there is no such file",
    ),
    "a listener of another kind": (
        placed("a listen: 8443"),
        "2:47: routes.a.listen: an address such as `127.0.0.1:8080`, or a mapping with `address`, "
        "is expected",
    ),
    "a listener with an unknown key": (
        placed("a listen: {adress: '127.0.0.1:1', address: '127.0.0.1:1'}"),
        "2:48: routes.a.listen.adress: unknown key 'adress' (did you mean address?); "
        "keys here are: address, certificate, key, reuse_port",
    ),
    "a host with a port": (
        placed("a host: 'h.example:8443'"),
        "2:45: routes.a.host: a host is a name such as `openai.example.com`, "
        "without scheme or port",
    ),
    "a host with a dot at its end": (
        placed("a host: h.example."),
        "2:45: routes.a.host: a host is a name such as `openai.example.com`, "
        "without scheme or port",
    ),
    "an opaque path without a slash": (
        placed("a opaque: ['model/*']"),
        "2:48: routes.a.opaque[0]: a path pattern begins with `/`",
    ),
    "an opaque path with nothing opaque": (
        placed("a opaque: [/v1/models]"),
        "2:48: routes.a.opaque[0]: a `*` is needed, for the part of the path that may hold `%2F`",
    ),
    "a limit of a route": (
        placed("a limits: [{requests: 5}]"),
        "2:48: routes.a.limits[0]: `per` is required with `requests`: second, minute, hour or day",
    ),
}

CASES = {
    f"{table}: {name}": case
    for table, cases in {
        "rules": RULES, "limits": LIMITS, "groups": GROUPS,
        "addresses": ADDRESSES, "places": PLACES,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [message(expected)]


TEN = """\
addresses: [10.0.0.1/8]
proxies: {trusted: [0.0.0.0/0]}
limits: [{requests: 5}, {concurrency: 1}, {concurrency: 2}]
routes:
  openai: {secret: sk-key, mode: watch, upstream: 'http://api.example.com'}
  telegram: {secret: env:T, opaque: [x]}
labels:
  team: {limits: [{concurrency: none}]}
groups:
  g: {allow: [{route: telegram, models: [m]}], limits: [{requests: 5, per: week}]}
bots:
  a: {groups: [h], labels: [teem], allow: [{route: opena, modls: [m]}, 5, {methods: [x]}]}
"""


def test_a_file_with_many_mistakes_names_them_all_at_once(tmp_path: Path) -> None:
    places = [line.split(": ")[1] for line in problems(tmp_path, TEN)]
    assert places == [
        "addresses[0]",
        "proxies.trusted[0]",
        "limits[0]",
        "limits[2]",
        "routes.openai.secret",
        "routes.openai.mode",
        "routes.openai.upstream",
        "routes.telegram.opaque[0]",
        "labels.team",
        "labels.team.limits[0].concurrency",
        "groups.g.allow[0].models",
        "groups.g.limits[0].per",
        "bots.a.groups[0]",
        "bots.a.allow[0].route",
        "bots.a.allow[0].modls",
        "bots.a.allow[1]",
        "bots.a.allow[2]",
    ]


FOLLOWING: Cases = {
    "a limit's wrong key is not also a missing one": (
        limited("{requests: many, per: minute}"),
        "2:21: limits[0].requests: a whole number is expected",
    ),
    "a rule's wrong key does not make it another's twin": (
        allowing("openai, {route: openai, models: [5]}"),
        "2:53: bots.a.allow[1].models[0]: text is expected, and YAML reads this otherwise: "
        "put it in quotes",
    ),
    "a route's wrong key does not put it in another's place": (
        placed("a prefix: /b\nb prefix: c"),
        "3:47: routes.b.prefix: a prefix is a path such as `/openai`, of letters, digits and "
        "`-._~`, or `/`",
    ),
    "a wrong provider is not also a missing one": (
        "routes: {x: {secret: null, provider: 5}}",
        "1:38: routes.x.provider: text is expected, and YAML reads this otherwise: "
        "put it in quotes",
    ),
    "a wrong upstream is not also a missing one": (
        "routes: {x: {provider: generic, secret: null, upstream: 'x:'}}",
        "1:57: routes.x.upstream: an upstream is a URL such as `https://api.example.com`; "
        "its scheme is https or http",
    ),
    "a wrong key file is not also a missing one": (
        ROUTE + "listen: {address: '127.0.0.1:1', certificate: routes.yaml, key: 5}",
        "2:65: listen.key: text is expected, and YAML reads this otherwise: put it in quotes",
    ),
    "a wrong group is still one to join": (
        ROUTE + "groups: {g: 5}\nbots: {a: {groups: [g]}}",
        "2:13: groups.g: a mapping (`key: value` lines) is expected",
    ),
    "a label in a wrong bot is still one": (
        ROUTE + "labels: {team: {limits: [{concurrency: 1}]}}\nbots: {a: {labels: [team], x: 1}}",
        "3:28: bots.a.x: unknown key 'x'; keys here are: addresses, allow, groups, labels, "
        "limits, mode, tokens",
    ),
}


@pytest.mark.parametrize(("text", "expected"), FOLLOWING.values(), ids=FOLLOWING)
def test_one_mistake_is_named_once(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [message(expected)]
