"""Every mistake is named with its line, its column, its place and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import MAX_BYTES, ConfigError, load
from tests.config.mistakes import ROUTE, Cases, message, problems

CASES: Cases = {
    "unknown route": (
        ROUTE + "bots:\n  support:\n    allow:\n      - {route: opena}\n",
        "5:17: bots.support.allow[0].route: unknown route 'opena' (did you mean openai?); "
        "routes here are: openai",
    ),
    "unknown route, short": (
        ROUTE + "bots: {a: {allow: [telegram]}}\n",
        "2:20: bots.a.allow[0]: unknown route 'telegram'; routes here are: openai",
    ),
    "unknown provider": (
        "routes: {x: {secret: null, provider: opnai}}",
        "1:38: routes.x.provider: unknown provider 'opnai' (did you mean openai?); "
        "providers here are: {providers}",
    ),
    "no provider": (
        "routes: {x: {secret: null}}",
        "1:13: routes.x: `provider` is required, as this is not the name of one; "
        "they are: {providers}",
    ),
    "unknown key": (
        ROUTE + "sizes: {heads: 3}\n",
        "2:9: sizes.heads: unknown key 'heads' (did you mean head?); "
        "keys here are: head, headers, held, peek, peeks",
    ),
    "unknown key at the top": (
        ROUTE + "bot: {}\n",
        "2:1: bot: unknown key 'bot' (did you mean bots?); keys here are: addresses, admin, audit, "
        "bots, connections, deadlines, env_file, groups, labels, limits, listen, log, proxies, "
        "reload, routes, secrets_dir, sizes, state",
    ),
    "no secret": (
        "routes:\n  openai: {}\n",
        "2:3: routes.openai: `secret` is required: `env:NAME`, `file:PATH`, "
        "or null for an upstream without a key",
    ),
    "a key where a reference belongs": (
        "routes: {openai: {secret: sk-live-canary}}",
        "1:27: routes.openai.secret: this is not a reference to a secret; "
        "write `env:NAME` or `file:PATH`, never the key",
    ),
    "unknown source": (
        "routes: {openai: {secret: valt:x}}",
        "1:27: routes.openai.secret: unknown source of secrets; sources are: env, file",
    ),
    "relative file without a directory": (
        "routes: {openai: {secret: file:key}}",
        "1:27: routes.openai.secret: a relative `file:` secret needs `secrets_dir`; "
        "or write an absolute path",
    ),
    "file outside its directory": (
        "secrets_dir: /s\nroutes: {openai: {secret: file:../key}}",
        "2:27: routes.openai.secret: what follows `file:` is a path without `..`",
    ),
    "given twice": (
        ROUTE + "log: info\nlog: debug\n",
        "3:1: log: given twice; the first is on line 2",
    ),
    "a switch": (
        "routes: {openai: {secret: env:K, private: yes}}",
        "1:43: routes.openai.private: some YAML readers take this for true or false: "
        "write true or false, or put it in quotes where it is text",
    ),
    "octal": (
        ROUTE + "connections: {total: 010}",
        "2:22: connections.total: some YAML readers take this for a number in another notation: "
        "put it in quotes where it is text, or write a plain decimal number",
    ),
    "a float for text": (
        "routes: {openai: {secret: env:K, prefix: 1.10}}",
        "1:42: routes.openai.prefix: text is expected, and YAML reads this otherwise: "
        "put it in quotes",
    ),
    "a deadline of nothing": (
        ROUTE + "deadlines: {head: 0}",
        "2:19: deadlines.head: more than 0 is expected",
    ),
    "an endless deadline": (
        ROUTE + "deadlines: {head: 86401}",
        "2:19: deadlines.head: at most 86400 is expected",
    ),
    "text for a number": (
        ROUTE + "deadlines: {head: '10'}",
        "2:19: deadlines.head: a number is expected",
    ),
    "a wrong size": (
        ROUTE + "sizes: {peek: 1MB}",
        "2:15: sizes.peek: a size is a number of bytes, or a number with KiB, MiB or GiB: `64KiB`",
    ),
    "too small a budget": (
        ROUTE + "sizes: {peek: 2MiB, peeks: 1MiB}",
        "2:28: sizes.peeks: this is less than `peek`, so no body could be read",
    ),
    "an unset variable": (
        "routes: {openai: {secret: env:K, upstream: '${NOPE}'}}",
        "1:44: routes.openai.upstream: the environment variable NOPE is not set",
    ),
    "credentials in an upstream": (
        "routes: {openai: {secret: env:K, upstream: 'https://user:canary@api.example.com'}}",
        "1:44: routes.openai.upstream: credentials cannot stand in an upstream; "
        "name them with `secret`",
    ),
    "plain http": (
        "routes: {openai: {secret: env:K, upstream: 'http://api.example.com'}}",
        "1:44: routes.openai.upstream: plain http:// would show the secret to the network; "
        "use https://, or allow it with `insecure: true`",
    ),
    "a private address": (
        "routes: {openai: {secret: env:K, upstream: 'https://10.0.0.1'}}",
        "1:44: routes.openai.upstream: this is a private or loopback address; "
        "allow it with `private: true`",
    ),
    "generic without upstream": (
        "routes: {x: {provider: generic, secret: null}}",
        "1:13: routes.x: `upstream` is required: generic has none of its own",
    ),
    "one prefix for two routes": (
        "routes: {openai: {secret: null}, anthropic: {secret: null, prefix: /openai}}",
        "1:68: routes.anthropic.prefix: route openai has the prefix /openai too",
    ),
    "one digest for two bots": (
        ROUTE + "bots:\n"
        f"  a: {{tokens: ['sha256:{'a' * 64}']}}\n"
        f"  b: {{tokens: ['sha256:{'a' * 64}']}}\n",
        "4:16: bots.b.tokens[0]: this token is pinned already, in routes.yaml:3 bots.a.tokens[0]",
    ),
    "a token instead of its digest": (
        ROUTE + "bots: {a: {tokens: [gwt_canary]}}",
        "2:21: bots.a.tokens[0]: a pinned token is written `sha256:` and 64 digits 0-9a-f, "
        "never itself",
    ),
    "a wrong address": (
        ROUTE + "listen: 8080",
        "2:9: listen: an address such as `127.0.0.1:8080`, a mapping with `address`, "
        "or a list of these is expected",
    ),
    "one address for two listeners": (
        ROUTE + "listen: ['127.0.0.1:1', '127.0.0.1:9091']",
        "2:25: listen[1]: another listener, or `admin`, has this address",
    ),
    "a certificate without its key": (
        ROUTE + "listen: {address: '127.0.0.1:1', certificate: routes.yaml}",
        "2:9: listen: `certificate` and `key` go together",
    ),
    "a certificate that is not there": (
        ROUTE + "listen: {address: '127.0.0.1:1', certificate: no.pem, key: routes.yaml}",
        "2:47: listen.certificate: there is no such file",
    ),
    "a wrong name": (
        "routes: {Open AI: {secret: null, provider: openai}}",
        '1:10: routes."Open AI": a name is 1 to 64 of a-z, 0-9, `_`, `.` and `-`, '
        "and starts with a letter or a digit",
    ),
    "no routes": ("bots: {}", "1:1: `routes` is required"),
    "an empty list of routes": ("routes: {}", "1:9: routes: at least one is needed"),
    "nothing given": (
        "routes:\n  openai:\n",
        "2:10: routes.openai: this is empty: a mapping (`key: value` lines) is expected",
    ),
    "a wrong log level": (
        ROUTE + "log: loud",
        "2:6: log: 'debug', 'info', 'warning' or 'error' is expected",
    ),
    "a secret to put nowhere": (
        "routes: {openai: {secret: null, inject: [bearer]}}",
        "1:41: routes.openai.inject: this route has no secret to put anywhere",
    ),
    "a wrong place": (
        "routes: {openai: {secret: null, token: [{header: 'a b'}]}}",
        "1:41: routes.openai.token[0]: this is not a place; it must be the name of a header",
    ),
    "a name of another kind": (
        ROUTE + "bots: {a: {labels: [5]}}",
        "2:21: bots.a.labels[0]: text is expected, and YAML reads this otherwise: put it in quotes",
    ),
    "a mapping for text": (
        ROUTE + "bots: {a: {labels: [{}]}}",
        "2:21: bots.a.labels[0]: text is expected",
    ),
    "text for a switch": (
        "routes: {openai: {secret: env:K, private: maybe}}",
        "1:43: routes.openai.private: true or false is expected",
    ),
    "a fraction for a count": (
        ROUTE + "connections: {total: 1.5}",
        "2:22: connections.total: a whole number is expected",
    ),
    "too many": (
        ROUTE + "connections: {total: 1000001}",
        "2:22: connections.total: at most 1000000 is expected",
    ),
    "a size of another kind": (
        ROUTE + "sizes: {peek: true}",
        "2:15: sizes.peek: a size is expected: a number of bytes, or `64KiB`",
    ),
    "text for a list": (
        ROUTE + "bots: {a: {allow: openai}}",
        "2:19: bots.a.allow: a list is expected",
    ),
    "no path": (ROUTE + "env_file: ''", "2:11: env_file: this cannot be empty"),
    "a listener of another kind": (
        ROUTE + "listen: [8080]",
        "2:10: listen[0]: an address such as `127.0.0.1:8080`, or a mapping with `address`, "
        "is expected",
    ),
    "an address without a port": (
        ROUTE + "admin: localhost",
        "2:8: admin: an address is written `127.0.0.1:8080`, or for IPv6 `[::1]:8080`",
    ),
    "an address that is none": (
        ROUTE + "admin: 127.1:8080",
        "2:8: admin: this is neither an IP address nor a host name",
    ),
    "an IPv6 address that is none": (
        ROUTE + "admin: '[::g]:8080'",
        "2:8: admin: this is not an IPv6 address",
    ),
    "an address with a zone": (
        ROUTE + "admin: '[fe80::1%eth0]:8080'",
        "2:8: admin: an IPv6 address with a zone (`%...`) cannot be used",
    ),
    "an admin listener with keys": (
        ROUTE + "admin: {address: 127.0.0.1:9091, reuse_port: true}",
        "2:8: admin: only an address is allowed, such as 127.0.0.1:9091; it speaks plain HTTP",
    ),
    "a reference that is not closed": (
        ROUTE + "state: '${GOOD'",
        "2:8: state: an environment reference is written `${NAME}`",
    ),
    "a variable that cannot be": (
        "routes: {openai: {secret: 'env:A-B'}}",
        "1:27: routes.openai.secret: what follows `env:` is the name of an environment variable",
    ),
    "a prefix that is none": (
        "routes: {openai: {secret: env:K, prefix: openai}}",
        "1:42: routes.openai.prefix: a prefix is a path such as `/openai`, of letters, digits and "
        "`-._~`, or `/`",
    ),
    "an upstream with a query": (
        "routes: {openai: {secret: env:K, upstream: 'https://h?a'}}",
        "1:44: routes.openai.upstream: an upstream has no `?` query and no `#` fragment",
    ),
    "an upstream with escapes": (
        "routes: {openai: {secret: env:K, upstream: 'https://h/%2e'}}",
        "1:44: routes.openai.upstream: the upstream's path must be plain: no `//`, no `.` or `..`, "
        "no escapes",
    ),
    "an upstream with spaces": (
        "routes: {openai: {secret: env:K, upstream: 'https://h/ '}}",
        "1:44: routes.openai.upstream: an upstream is a URL such as `https://api.example.com`, "
        "in plain ASCII without spaces",
    ),
    "an upstream of another scheme": (
        "routes: {openai: {secret: env:K, upstream: 'ftp://h'}}",
        "1:44: routes.openai.upstream: an upstream is a URL such as `https://api.example.com`; "
        "its scheme is https or http",
    ),
    "an upstream with a wrong port": (
        "routes: {openai: {secret: env:K, upstream: 'https://h:x'}}",
        "1:44: routes.openai.upstream: an upstream is a URL such as `https://api.example.com`",
    ),
    "an upstream at no host": (
        "routes: {openai: {secret: env:K, upstream: 'https://127.1'}}",
        "1:44: routes.openai.upstream: the upstream's host is neither a name nor an IP address",
    ),
    "a place of another kind": (
        "routes: {openai: {secret: null, token: [5]}}",
        "1:41: routes.openai.token[0]: a place is expected, such as `bearer`",
    ),
    "a label twice": (
        ROUTE + "bots: {a: {labels: [x, b, x]}}",
        "2:27: bots.a.labels[2]: this stands in the list already",
    ),
    "a syntax error": ("routes: [", "2:1: this is not YAML: did not find expected node content"),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert found == [message(expected)]


@pytest.mark.parametrize("text", ["[]", "5", "text", "routes: 5", "routes: [openai]"])
def test_what_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    (found,) = problems(tmp_path, text)
    assert "a mapping (`key: value` lines) is expected" in found


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "log: loud\n"
        "routes:\n"
        "  openai: {secret: env:K, prefix: openai}\n"
        "  telegram: {secret: env:K, upstream: 'http://10.0.0.1'}\n"
        "bots:\n"
        "  on: {}\n"
        "  a: {allow: [nope], labls: []}\n",
    )
    places = [line.split(": ")[1] for line in found]
    assert places == [
        "log",
        "routes.openai.prefix",
        "routes.telegram.upstream",
        "routes.telegram.upstream",
        "bots.on",
        "bots.a.allow[0]",
        "bots.a.labls",
    ]


CANARY = "sk-CANARY-0123456789abcdefghijklmnopqrstuvwxyz"
LEAKS = {
    "secret": f"routes: {{openai: {{secret: {CANARY}}}}}",
    "secret with a colon": f"routes: {{openai: {{secret: 'env:{CANARY}'}}}}",
    "secret as a mapping": f"routes: {{openai: {{secret: {{{CANARY}: 1}}}}}}",
    "token": ROUTE + f"bots: {{a: {{tokens: [{CANARY}]}}}}",
    "token as a key": ROUTE + f"bots: {{a: {{{CANARY}: }}}}",
    "key twice": ROUTE + f"bots: {{a: {{{CANARY}: 1, {CANARY}: 2}}}}",
    "token as a place": f"routes: {{openai: {{secret: null, token: [{CANARY}]}}}}",
    "token in a place": f"routes: {{openai: {{secret: null, token: [{{bearer: {CANARY}}}]}}}}",
    "token in a header": f"routes: {{openai: {{secret: null, token: [{{header: 'a {CANARY}'}}]}}}}",
    "upstream": f"routes: {{openai: {{secret: null, upstream: 'https://x:{CANARY}@h'}}}}",
    "upstream's query": f"routes: {{openai: {{secret: null, upstream: 'https://h?key={CANARY}'}}}}",
    "route of a rule": ROUTE + f"bots: {{a: {{allow: [{CANARY}]}}}}",
    "provider": f"routes: {{x: {{secret: null, provider: {CANARY}}}}}",
    "a whole section": f"routes: {CANARY}",
    "syntax error": f"routes: [{CANARY}",
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS)
def test_a_secret_in_the_wrong_place_is_never_repeated(tmp_path: Path, text: str) -> None:
    assert "CANARY-" not in "\n".join(problems(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty; `routes` is needed", id="empty"),
        pytest.param(b"# only a comment\n", "the file is empty; `routes` is needed", id="comment"),
        pytest.param(b"routes: \xff", "this file is not UTF-8 text", id="not text"),
        pytest.param(b"#" * (MAX_BYTES + 1), "this file is larger than 16 MiB", id="too large"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "routes.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert str(caught.value) == f"{file}: {message}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml: this file cannot be read: No such file"):
        load(tmp_path / "x.yaml", {})


def test_of_very_many_mistakes_the_first_hundred_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, ROUTE + "bots:\n" + "".join(f"  a{n}: []\n" for n in range(105)))
    assert len(found) == 101
    assert found[-1] == "and 5 more"
