"""Which addresses may be dialled: the table of Stripe's smokescreen, and then some."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.addresses import judged, refusal
from gateway.core.errors import GatewayError

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "8.8.9.8", "93.184.216.34", "172.15.255.255", "172.32.0.0", "11.0.0.0",
    "9.255.255.255", "126.255.255.255", "128.0.0.0", "100.63.255.255", "100.128.0.0",
    "192.167.255.255",
    "192.169.0.0", "169.253.255.255", "169.255.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::1", "2620:0:1cff::1",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.0.1.1", "127.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255",
    "172.16.0.0",
    "172.16.0.1", "172.31.255.255", "192.168.0.0", "192.168.0.1", "192.168.255.255", "100.64.0.0",
    "100.127.255.255", "198.18.0.0", "198.19.255.255", "::1", "fc00::", "fd00::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254", "169.254.170.2", "100.100.100.200",
    "192.0.0.0", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254",
    "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1",
    "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001::1", "2001:0:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address: str) -> None:
    assert refusal(address, private=False) is None
    assert refusal(address, private=True) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_needs_leave(address: str) -> None:
    assert refusal(address, private=False) == "private"
    assert refusal(address, private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_address_that_is_never_dialled(address: str) -> None:
    assert refusal(address, private=False)
    assert refusal(address, private=True)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_the_standard_library_calls_local_is_public(
    address: IPv4Address | IPv6Address,
) -> None:
    if refusal(str(address), private=False) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_embedding_hides_an_address(address: IPv4Address) -> None:
    forms = (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", f"::ffff:0:{address}")
    for form in forms:
        if form != "::0.0.0.1":  # that is loopback itself
            assert refusal(form, private=True)


class TestJudged:
    def test_keeps_those_that_may_be_dialled_in_their_order(self) -> None:
        mixed = ["10.0.0.1", "8.8.8.8", "169.254.169.254", "1.1.1.1"]
        assert judged("a.example", mixed, private=False) == ["8.8.8.8", "1.1.1.1"]
        assert judged("a.example", mixed, private=True) == ["10.0.0.1", "8.8.8.8", "1.1.1.1"]

    @pytest.mark.parametrize(
        ("addresses", "why"),
        [
            (["10.0.0.1", "127.0.0.1"], "private"),
            (["169.254.169.254"], "link-local, metadata, multicast or reserved"),
            ([], "missing"),
        ],
    )
    def test_says_why_none_may(self, addresses: list[str], why: str) -> None:
        with pytest.raises(GatewayError) as caught:
            judged("a.example", addresses, private=False)
        deny = caught.value.deny
        assert (deny.status, deny.code) == (502, "upstream_address")
        assert deny.reason == f"The address of a.example is {why}"
