"""Where a request comes from: the walk from right to left, and what is never believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clients import Allowlist, Client, client, denied, plain
from gateway.core.errors import Deny
from gateway.core.model import Network, Proxies

NOBODY = Proxies()
PROXY, SECOND = "10.0.0.5", "10.0.0.6"
TRUSTED = (ip_network("10.0.0.5/32"), ip_network("10.0.0.6/32"), ip_network("fd00::/64"))
XFF = Proxies(TRUSTED)
RFC7239 = Proxies(TRUSTED, b"forwarded")
ODD = [
    "", " ", "127.1", "0x7f.1", "0x7f000001", "2130706433", "010.0.0.1", "10.0.0.01", "10.0.0",
    "10.0.0.0.1", "10.0.0.256", "10.0.0.1/32", "10.0.0.-1", "1\u0660.0.0.1", "\uff11.0.0.1",
    "localhost",
    "10.0.0.1 ", "10.0.0.1\n", "10.0.0.1%eth0", "10.0.0.1%", "fe80::1%", "fd00::1%eth0",
    "::ffff:10.0.0.1%eth0", "[::1]", ":::1", "::1::", "12345::1", "1:2:3:4:5:6:7", "::10.0.0.256",
    "::ffff:010.0.0.1", "*", "10.0.0.*",
]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:10.0.0.1", "10.0.0.1"),
        ("::ffff:a00:1", "10.0.0.1"),
        ("0:0:0:0:0:ffff:0a00:0001", "10.0.0.1"),
        ("::1", "::1"),
        ("0:0::1", "::1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%3", "fe80::1"),
        ("::10.0.0.1", "::a00:1"),  # compatible, not mapped: no socket says this of an IPv4 client
        ("64:ff9b::10.0.0.1", "64:ff9b::a00:1"),
        ("2002:a00:1::", "2002:a00:1::"),
    ],
)
def test_one_text_for_each_address(address: str, text: str) -> None:
    assert plain(address) == text
    assert plain(text) == text


@pytest.mark.parametrize("address", ODD, ids=repr)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        plain(address)
    assert address not in Allowlist((ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert client(address, [], NOBODY) == Deny(
        403, "address_unreadable", "The address of the connection cannot be read"
    )


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (
            ["10.0.0.0/8", "192.168.1.7/32"],
            ["10.0.0.0", "10.255.255.255", "192.168.1.7", "::ffff:10.1.2.3", "::ffff:c0a8:107"],
            ["11.0.0.0", "9.255.255.255", "192.168.1.8", "::10.0.0.1", "::a00:1", "64:ff9b::a00:1"],
        ),
        (
            ["fd00::/8", "fe80::/10"],
            ["fd00::1", "fdff::", "fe80::1%eth0", "FE80::1"],
            ["fc00::1", "fec0::1", "10.0.0.1", "::1"],
        ),
        (["::ffff:10.0.0.0/104"], ["10.9.9.9", "::ffff:10.9.9.9"], ["11.0.0.1", "::a00:1"]),
        (["0.0.0.0/0"], ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], ["::1", "::"]),
        (["::/0"], ["::", "::1", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]),
        (["10.0.0.1/32", "::1/128"], ["10.0.0.1", "::1"], ["10.0.0.0", "::", "::2"]),
        ([], [], ["10.0.0.1", "::1"]),
    ],
)
def test_allowlist(networks: list[str], inside: list[str], outside: list[str]) -> None:
    allowed = Allowlist(tuple(ip_network(one) for one in networks))
    assert bool(allowed) is bool(networks)
    for _ in range(2):  # what is remembered says the same
        assert [one for one in inside + outside if one in allowed] == inside


MAPPED = ip_network("::ffff:0:0/96")
addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(network="10.0.0.0/28"),
    st.ip_addresses(v=6),
    st.ip_addresses(network=MAPPED),
)
networks = st.builds(
    lambda address, part: ip_network(
        f"{address}/{address.max_prefixlen - part % (address.max_prefixlen + 1)}", strict=False
    ),
    addresses,
    st.integers(0, 128),
)


@given(st.lists(networks, max_size=30).map(tuple), st.lists(addresses.map(str)))
def test_allowlist_against_the_standard_library(
    some: tuple[Network, ...], asked: list[str]
) -> None:
    allowed = Allowlist(some)
    for text in asked:
        folded = ip_address(plain(text))
        forms = [folded, ip_address(f"::ffff:{folded}")] if folded.version == 4 else [folded]
        assert (text in allowed) == any(
            form in network
            for form in forms
            for network in some
            if form == folded or network.prefixlen >= 96
        )


@pytest.mark.parametrize("element", [b":" * 60_000 + b"g", b"1." * 30_000, b"[" + b":" * 60_000])
def test_a_long_element_costs_little(element: bytes) -> None:
    started = time.perf_counter()
    who = client(PROXY, [element], XFF)
    assert isinstance(who, Deny)
    assert who.code == "address_unreadable"
    assert time.perf_counter() - started < 1


def test_allowlist_remembers_boundedly() -> None:
    allowed = Allowlist((ip_network("10.0.0.0/8"),))
    for number in range(20_000):
        assert str(ip_address(0x0A000000 + number)) in allowed
        assert f"fd00::{number:x}" not in allowed
    assert len(allowed._known) <= 4096


def test_a_thousand_networks_are_a_few_look_ups() -> None:
    many = tuple(ip_network(f"10.{n // 256}.{n % 256}.0/24") for n in range(1000))
    allowed = Allowlist(many)
    assert len(allowed._networks) == 1
    assert "10.3.231.9" in allowed
    assert "10.3.232.9" not in allowed


Y = "203.0.113.9"
WALKS = [
    ("no-header", [], PROXY, ""),
    ("one", ["203.0.113.9"], Y, PROXY),
    ("rightmost", ["1.1.1.1, 203.0.113.9"], Y, PROXY),
    ("through-the-second", ["1.1.1.1, 203.0.113.9, 10.0.0.6"], Y, SECOND),
    ("lines-are-one-list", ["1.1.1.1", "203.0.113.9", "10.0.0.6"], Y, SECOND),
    ("no-space", ["1.1.1.1,203.0.113.9,10.0.0.6"], Y, SECOND),
    ("port", ["203.0.113.9:4711"], Y, PROXY),
    ("bracketed", ["[2001:db8::1]"], "2001:db8::1", PROXY),
    ("bracketed-port", ["[2001:db8::1]:80"], "2001:db8::1", PROXY),
    ("bare-ipv6", ["2001:DB8::1"], "2001:db8::1", PROXY),
    ("mapped", ["::ffff:203.0.113.9"], Y, PROXY),
    ("mapped-bracketed", ["[::ffff:203.0.113.9]:1"], Y, PROXY),
    ("mapped-proxy", ["203.0.113.9, ::ffff:10.0.0.6"], Y, SECOND),
    ("ipv6-proxy", ["203.0.113.9, [fd00::1]:99"], Y, "fd00::1"),
    ("all-trusted", ["10.0.0.6, fd00::1, 10.0.0.5"], SECOND, "fd00::1"),
    ("unreadable-further-left", ["unknown, ,,x;\", 203.0.113.9"], Y, PROXY),
    ("obfuscated-port", ["203.0.113.9:_x1"], Y, PROXY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "address", "by"), [w[1:] for w in WALKS], ids=[w[0] for w in WALKS]
)
def test_x_forwarded_for(lines: list[str], address: str, by: str) -> None:
    found = f"X-Forwarded-For, by way of {by}" if by else ""
    assert client(PROXY, [line.encode() for line in lines], XFF) == Client(address, found)


FORWARDED = [
    ("one", ["for=203.0.113.9"], Y, PROXY),
    ("case", ["FOR=203.0.113.9"], Y, PROXY),
    ("others", ["by=10.0.0.1;for=203.0.113.9;proto=https;host=x"], Y, PROXY),
    ("spaces", ["for=203.0.113.9; proto=https , for=10.0.0.6 ;by=x"], Y, SECOND),
    ("quoted", ['for="203.0.113.9"'], Y, PROXY),
    ("quoted-port", ['for="203.0.113.9:4711"'], Y, PROXY),
    ("bare-port", ["for=203.0.113.9:4711"], Y, PROXY),
    ("ipv6", ['for="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17", PROXY),
    ("escaped", [r'for="203\.0.113.\9"'], Y, PROXY),
    ("comma-in-quotes", ['for=1.1.1.1;host="a, for=2.2.2.2", for=203.0.113.9'], Y, PROXY),
    ("semicolon-in-quotes", ['host="a;for=2.2.2.2";for=203.0.113.9'], Y, PROXY),
    ("quote-in-quotes", [r'host="a\", for=2.2.2.2;x=\"";for=203.0.113.9'], Y, PROXY),
    ("second", ["for=1.1.1.1, for=203.0.113.9, for=10.0.0.6"], Y, SECOND),
    ("lines", ["for=1.1.1.1", "for=203.0.113.9", 'for="10.0.0.6"'], Y, SECOND),
    ("lines-do-not-share-quotes", ['for=1.1.1.1;x="', "for=203.0.113.9"], Y, PROXY),
    ("all-trusted", ['for="[fd00::7]", for=10.0.0.6'], "fd00::7", SECOND),
    ("unreadable-further-left", ["for=unknown, for=203.0.113.9"], Y, PROXY),
]


@pytest.mark.parametrize(
    ("lines", "address", "by"), [w[1:] for w in FORWARDED], ids=[w[0] for w in FORWARDED]
)
def test_forwarded(lines: list[str], address: str, by: str) -> None:
    found = client(PROXY, [line.encode() for line in lines], RFC7239)
    assert found == Client(address, f"Forwarded, by way of {by}")


READABLE = ("[::1]", "10.0.0.1 ")  # in a header


@pytest.mark.parametrize(
    "element",
    [*(one for one in ODD if one not in READABLE), "unknown", "_hidden", "10.0.0.6;x",
     "[10.0.0.6]", "10.0.0.6:", "10.0.0.6:x", "10.0.0.6:123456", "[::1", "::1]", "[fe80::1%eth0]",
     "fe80::1%eth0", "[]", "[::1]x", '"10.0.0.6"', "for=10.0.0.6", "10.0.0.6 10.0.0.7", "1:2",
     "::x"],
    ids=repr,
)  # fmt: skip
def test_x_forwarded_for_that_cannot_be_read(element: str) -> None:
    for line, vouching in ((element, PROXY), (f"1.1.1.1, {element} , 10.0.0.6", SECOND)):
        reason = f"X-Forwarded-For holds no readable address where {vouching} vouches for one"
        assert client(PROXY, [line.encode()], XFF) == Deny(403, "address_unreadable", reason)


@pytest.mark.parametrize(
    "line",
    ["", ",", "for=", "for", "for=unknown", "for=_hidden", 'for="_hidden"', "proto=https",
     "by=1.1.1.1", "for=1.1.1.1;for=2.2.2.2", "for =1.1.1.1", "for= 1.1.1.1",
     'for="1.1.1.1', 'for=1.1.1.1"',
     "for=1.1.1.1,", "for=1.1.1.1;", ",for=1.1.1.1,,", 'for="1.1.1.1"x', "1.1.1.1", "x-for=1.1.1.1",
     'for="1.1.1.1, for=2.2.2.2', 'for=9.9.9.9;x=", for="1.1.1.1"', r'for="1.1.1.1\"', "for=127.1",
     "for=010.0.0.1", 'for="[10.0.0.6]"', "for=1.1.1.1 2.2.2.2", "for='1.1.1.1'"],
    ids=repr,
)  # fmt: skip
def test_forwarded_that_cannot_be_read(line: str) -> None:
    reason = f"Forwarded holds no readable address where {PROXY} vouches for one"
    assert client(PROXY, [line.encode()], RFC7239) == Deny(403, "address_unreadable", reason)


def test_at_most_64_proxies_are_believed() -> None:
    chain = [b"1.1.1.1", *[b"10.0.0.6"] * 63]
    assert client(PROXY, [b",".join(chain)], XFF) == Client(
        "1.1.1.1", f"X-Forwarded-For, by way of {SECOND}"
    )
    longer = client(PROXY, [b",".join([b"1.1.1.1", b"10.0.0.6", *chain[1:]])], XFF)
    assert isinstance(longer, Deny)
    assert longer.code == "address_unreadable"


def test_the_peer_itself_where_no_proxy_is_trusted() -> None:
    assert client("203.0.113.9", [b"10.0.0.1"], NOBODY) == Client("203.0.113.9", "")
    assert client("203.0.113.9", [b"10.0.0.1"], XFF) == Client("203.0.113.9", "")
    assert client("::ffff:203.0.113.9", [b"x"], XFF) == Client("203.0.113.9", "")
    assert client("fe80::1%eth0", [], XFF) == Client("fe80::1", "")
    assert client("::ffff:10.0.0.5", [b"1.1.1.1"], XFF) == Client(
        "1.1.1.1", f"X-Forwarded-For, by way of {PROXY}"
    )


def test_a_trusted_network_may_be_mapped() -> None:
    proxies = Proxies((ip_network("::ffff:10.0.0.0/104"),))
    found = client("10.0.0.5", [b"1.1.1.1"], proxies)
    assert found == Client("1.1.1.1", f"X-Forwarded-For, by way of {PROXY}")


INSIDE = Allowlist((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
ANYWHERE = Allowlist(())
STRANGER = "203.0.113.66"


def spoofed() -> Iterator[bytes]:
    """Give forwarding headers that claim an allowed address, in every way we can think of."""
    claims = [
        "10.0.0.1", "10.0.0.5", "fd00::1", "::ffff:10.0.0.1", "127.0.0.1", "::1", "10.0.0.1:80",
        "[fd00::1]", "[fd00::1]:80", "0.0.0.0", "localhost", "unknown", "10.1", "0x0a000001",
    ]  # fmt: skip
    shapes = [
        "{}", "{}, {}", "{},{},{}", " {} ", "\t{}", "{}:1", '"{}"', "[{}]", "{}, unknown",
        "unknown, {}", "for={}", 'for="{}"', "for={};for={}", "for={}, for={}",
        "For={};proto=https;by={}", "{}, 203.0.113.66", "203.0.113.66, {}", ",{}", "{},", "{}, ",
        "{};", "{} {}", "{}%00", "{}\x00", "{}, 203.0.113.66, {}",
    ]  # fmt: skip
    for claim in claims:
        for shape in shapes:
            text = shape.replace("{}", claim)
            yield text.encode()
            yield b"for=" + text.encode()
            yield ", ".join([text] * 70).encode()
            yield f'for="{text}", for={text}'.encode()
            yield f'for="{text}, {text}'.encode()


def test_no_spoofed_header_of_a_denied_peer_is_believed() -> None:
    tried = passed = 0
    for value in spoofed():
        for proxies in (NOBODY, XFF, RFC7239):
            for lines in ([value], [value, value]):
                who = client(STRANGER, lines, proxies)
                assert isinstance(who, Client)
                passed += denied(who, INSIDE, ANYWHERE) is None
                tried += 1
    assert tried > 1_717
    assert passed == 0


def test_no_spoofed_header_passes_through_a_trusted_proxy() -> None:
    """Each proxy adds the address that it saw, to the line that came or in a line of its own."""
    tried = passed = 0
    for value in spoofed():
        for proxies, added in ((XFF, b"203.0.113.66"), (RFC7239, b'for="203.0.113.66"')):
            for lines in ([value + b", " + added], [value, added], [b"10.0.0.1", value, added]):
                who = client(PROXY, lines, proxies)
                passed += isinstance(who, Client) and denied(who, INSIDE, ANYWHERE) is None
                tried += 1
    assert tried > 1_717
    assert passed == 0


def obvious(peer: str, elements: list[str]) -> str:
    for element in [peer, *reversed(elements)]:
        if element not in (PROXY, SECOND):
            return element
    return (elements or [peer])[0]


walk = st.lists(st.sampled_from([PROXY, SECOND, "1.1.1.1", "fe80::9", "10.0.0.7"]), max_size=6)


@given(st.sampled_from([PROXY, SECOND, "9.9.9.9"]), walk, st.lists(st.integers(0, 6), max_size=3))
def test_walk_against_the_obvious_model(peer: str, elements: list[str], cuts: list[int]) -> None:
    """However the elements are spread over lines."""
    edges = [0, *sorted(min(cut, len(elements)) for cut in cuts), len(elements)]
    groups = [elements[a:b] for a, b in pairwise(edges) if a < b]
    for proxies, shape in ((XFF, "{}"), (RFC7239, 'for="{}"')):
        bracketed = [[one if "." in one else f"[{one}]" for one in group] for group in groups]
        lines = [", ".join(shape.format(one) for one in group).encode() for group in bracketed]
        who = client(peer, lines, proxies)
        assert isinstance(who, Client)
        assert who.address == obvious(peer, elements)


@given(st.lists(st.binary(max_size=40), max_size=4), st.sampled_from([XFF, RFC7239]))
def test_anything_in_a_header_is_an_address_or_refused(
    lines: list[bytes], proxies: Proxies
) -> None:
    who = client(PROXY, lines, proxies)
    if isinstance(who, Client):
        assert plain(who.address) == who.address
    else:
        assert who.code == "address_unreadable"


@pytest.mark.parametrize(
    ("found", "everybody", "own", "reason"),
    [
        ("", "10.0.0.0/8", "10.1.0.0/16", None),
        ("", "", "", None),
        ("", "10.0.0.0/8", "", None),
        ("", "", "10.1.0.0/16", None),
        (
            "X-Forwarded-For, by way of 10.0.0.5",
            "10.0.0.0/8",
            "10.2.0.0/16",
            "Address 10.1.2.3 (from X-Forwarded-For, by way of 10.0.0.5) is not among those "
            "this bot may call from",
        ),
        (
            "",
            "192.168.0.0/16",
            "10.1.0.0/16",
            "Address 10.1.2.3 (the connection's own) is not among those "
            "this gateway may be called from",
        ),
    ],
)
def test_both_lists_must_hold_it(found: str, everybody: str, own: str, reason: str | None) -> None:
    lists = [Allowlist((ip_network(one),) if one else ()) for one in (everybody, own)]
    deny = denied(Client("10.1.2.3", found), *lists)
    assert deny == (reason and Deny(403, "address_not_allowed", reason))
