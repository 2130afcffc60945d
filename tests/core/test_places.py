"""Places: what is found, what is written, and that not one other byte changes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError
from gateway.core.places import (
    Basic,
    FormField,
    Header,
    JsonField,
    Outgoing,
    Path,
    Place,
    Query,
)
from gateway.core.places.parse import parse_place

# What a Secret may hold (core/secret.py).
VALUES = st.from_regex(rb"[\x21-\x7e]([\x20-\x7e]{0,40}[\x21-\x7e])?", fullmatch=True)


def outgoing(
    path: bytes = b"/",
    query: bytes | None = None,
    credentials: tuple[tuple[bytes, bytes], ...] = (),
    content_type: bytes = b"",
    body: bytes | None = None,
) -> Outgoing:
    return Outgoing(path, query, credentials, [], content_type, body)


def basic(text: bytes) -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + b64encode(text)


def refused(action: Any, *args: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        action(*args)
    deny = caught.value.deny
    assert (deny.status, deny.code) == (400, "token_place")
    return deny.reason


class TestHeader:
    @pytest.mark.parametrize(
        ("place", "name", "value", "found"),
        [
            pytest.param(
                Header("Authorization", "Bearer"),
                b"authorization",
                b"Bearer T",
                (b"T",),
                id="bearer",
            ),
            pytest.param(
                Header("Authorization", "Bearer"),
                b"authorization",
                b"bEARER   T",
                (b"T",),
                id="case-spaces",
            ),
            pytest.param(
                Header("Authorization", "Bot"), b"authorization", b"Bot T", (b"T",), id="bot"
            ),
            pytest.param(
                Header("Authorization", "Bearer"), b"authorization", b"Bot T", (), id="other-scheme"
            ),
            pytest.param(
                Header("Authorization", "Bearer"), b"authorization", b"Bearer", (), id="no-token"
            ),
            pytest.param(
                Header("Authorization", "Bearer"), b"authorization", b"BearerT", (), id="no-space"
            ),
            pytest.param(
                Header("Authorization", "Bearer"), b"x-api-key", b"Bearer T", (), id="other-header"
            ),
            pytest.param(Header("X-Api-Key"), b"x-api-key", b"T", (b"T",), id="whole-value"),
            pytest.param(Header("X-Api-Key"), b"x-api-key", b"", (), id="empty"),
        ],
    )
    def test_finds_what_follows_the_scheme(
        self, place: Header, name: bytes, value: bytes, found: tuple[bytes, ...]
    ) -> None:
        assert place.find(outgoing(credentials=((name, value),))) == found

    def test_finds_every_line(self) -> None:
        lines = ((b"x-api-key", b"A"), (b"authorization", b"Bearer B"), (b"x-api-key", b"C"))
        assert Header("X-Api-Key").find(outgoing(credentials=lines)) == (b"A", b"C")

    @pytest.mark.parametrize(
        ("place", "line"),
        [
            pytest.param(
                Header("Authorization", "Bearer"), b"Authorization: Bearer S", id="scheme"
            ),
            pytest.param(Header("X-Api-Key"), b"X-Api-Key: S", id="plain"),
            pytest.param(
                Header("authorization", "token"), b"authorization: token S", id="as-given"
            ),
        ],
    )
    def test_puts_one_line(self, place: Header, line: bytes) -> None:
        request = outgoing(credentials=((b"authorization", b"Bearer T"),))
        request.lines.append(b"Accept: */*")
        place.remove(request)
        place.put(request, b"S")
        assert request.lines == [b"Accept: */*", line]

    def test_is_a_plain_value(self) -> None:
        one, same = Header("Authorization", "Bearer"), Header("Authorization", "Bearer")
        assert one == same
        assert hash(one) == hash(same)
        assert repr(one) == "Header(name='Authorization', scheme='Bearer')"


class TestBasic:
    @pytest.mark.parametrize(
        ("part", "value", "found"),
        [
            pytest.param("password", b"Basic " + b64encode(b"AC1:T"), (b"T",), id="password"),
            pytest.param("user", b"Basic " + b64encode(b"T:"), (b"T",), id="user"),
            pytest.param("password", b"basic  " + b64encode(b"AC1:T"), (b"T",), id="case-spaces"),
            pytest.param("password", b"Basic " + b64encode(b"u:a:b"), (b"a:b",), id="first-colon"),
            pytest.param("password", b"Basic " + b64encode(b"u:"), (), id="empty-half"),
            pytest.param("password", b"Basic " + b64encode(b"nocolon"), (), id="no-colon"),
            pytest.param("password", b"Basic !!!!", (), id="garbage"),
            pytest.param("password", b"Basic QUMxOlQ", (), id="no-padding"),
            pytest.param("password", b"Basic QUMx\tOlQ=", (), id="whitespace-inside"),
            pytest.param("password", b"Basic QUMxOlR=", (), id="stray-bits"),
            pytest.param("password", b"Basic QUMxOlQ=QUMx", (), id="after-padding"),
            pytest.param("password", b"Basic", (), id="nothing"),
            pytest.param("password", b"Bearer QUMxOlQ=", (), id="other-scheme"),
        ],
    )
    def test_finds_only_in_strict_base64(
        self, part: Any, value: bytes, found: tuple[bytes, ...]
    ) -> None:
        assert Basic(part).find(outgoing(credentials=((b"authorization", value),))) == found

    @pytest.mark.parametrize(
        ("place", "sent", "line"),
        [
            pytest.param(Basic("password"), b"AC1:T", b"AC1:S", id="keeps-user"),
            pytest.param(Basic("user"), b"T:pw", b"S:pw", id="keeps-password"),
            pytest.param(Basic("password", "AC9"), b"AC1:T", b"AC9:S", id="constant-user"),
            pytest.param(Basic("user", "x"), b"T:", b"S:x", id="constant-password"),
            pytest.param(Basic("password"), b"T:T", b":S", id="token-twice"),
            pytest.param(Basic("password"), None, b":S", id="nothing-sent"),
        ],
    )
    def test_puts_the_other_half_beside_it(
        self, place: Basic, sent: bytes | None, line: bytes
    ) -> None:
        request = outgoing(credentials=(basic(sent),) if sent else ())
        place.put(request, b"S")
        assert request.lines == [b"Authorization: Basic " + b64encode(line)]

    def test_a_removed_half_does_not_travel_with_the_other(self) -> None:
        request = outgoing(credentials=((b"x-api-key", b"K"), basic(b"T:")))
        Basic("user").remove(request)
        Basic("password").put(request, b"S")
        assert request.lines == [b"Authorization: Basic " + b64encode(b":S")]
        request = outgoing(credentials=(basic(b"AC1:T"),))
        Basic("password").remove(request)
        Basic("user").put(request, b"S")
        assert request.lines == [b"Authorization: Basic " + b64encode(b"S:")]

    def test_a_user_with_a_colon_is_refused(self) -> None:
        with pytest.raises(GatewayError) as caught:
            Basic("user").put(outgoing(), b"a:b")
        assert caught.value.deny.code == "secret_unusable"
        assert "a:b" not in str(caught.value)

    @given(value=VALUES, user=st.binary(max_size=10).filter(lambda user: b":" not in user))
    def test_round_trip(self, value: bytes, user: bytes) -> None:
        request = outgoing(credentials=(basic(user + b":T"),))
        Basic("password").put(request, value)
        sent = request.lines[0].partition(b": ")[2]
        assert Basic("password").find(outgoing(credentials=((b"authorization", sent),))) == (value,)


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            pytest.param(b"key=T", (b"T",), id="alone"),
            pytest.param(b"a=1&key=T&b=2", (b"T",), id="between"),
            pytest.param(b"%6bey=T", (b"T",), id="disguised-name"),
            pytest.param(b"key=a%2Bb+c", (b"a+b c",), id="decoded-value"),
            pytest.param(b"key=A&key=B", (b"A", b"B"), id="twice"),
            pytest.param(b"key=a=b", (b"a=b",), id="equals-in-value"),
            pytest.param(b"key=&key", (), id="empty"),
            pytest.param(b"Key=T&keys=T", (), id="other-names"),
            pytest.param(b"", (), id="no-pairs"),
            pytest.param(None, (), id="no-query"),
        ],
    )
    def test_finds_every_value(self, query: bytes | None, found: tuple[bytes, ...]) -> None:
        assert Query("key").find(outgoing(query=query)) == found

    @pytest.mark.parametrize(
        ("query", "left"),
        [
            pytest.param(b"a=%7e&key=T&&b=+", b"a=%7e&&b=+", id="others-byte-exact"),
            pytest.param(b"key=A&%6Bey=B&key", None, id="nothing-left"),
            pytest.param(b"a=1", b"a=1", id="absent"),
            pytest.param(b"", b"", id="empty"),
            pytest.param(None, None, id="none"),
        ],
    )
    def test_removes_every_occurrence(self, query: bytes | None, left: bytes | None) -> None:
        request = outgoing(query=query)
        Query("key").remove(request)
        assert request.query == left

    @pytest.mark.parametrize(
        ("query", "sent"),
        [
            pytest.param(b"a=%7e&key=T&&b=+", b"a=%7e&key=S%2F%2B&&b=+", id="in-place"),
            pytest.param(b"%6bey=T&a&key=U", b"key=S%2F%2B&a", id="first-of-many"),
            pytest.param(b"a=1", b"a=1&key=S%2F%2B", id="appended"),
            pytest.param(None, b"key=S%2F%2B", id="no-query"),
        ],
    )
    def test_puts_one_value(self, query: bytes | None, sent: bytes) -> None:
        request = outgoing(query=query)
        Query("key").put(request, b"S/+")
        assert request.query == sent

    @given(
        value=VALUES,
        name=st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable()),
        before=st.lists(st.from_regex(rb"[a-z%0-9=+]{0,6}", fullmatch=True), max_size=4),
    )
    def test_round_trip(self, value: bytes, name: str, before: list[bytes]) -> None:
        place, request = Query(name), outgoing(query=b"&".join(before) or None)
        place.put(request, value)
        assert place.find(request) == (value,)
        assert (name, value.decode()) in parse_qsl((request.query or b"").decode())
        place.remove(request)
        assert place.find(request) == ()


class TestPath:
    @pytest.mark.parametrize(
        ("prefix", "path", "found"),
        [
            pytest.param("/bot", b"/bot12:T/getMe", (b"12:T",), id="telegram"),
            pytest.param(
                "/file/bot", b"/file/bot12%3AT/photos/a.jpg", (b"12:T",), id="encoded-colon"
            ),
            pytest.param("/echo/key/", b"/echo/key/T/x", (b"T",), id="whole-segment"),
            pytest.param("/bot", b"/botT", (b"T",), id="last-segment"),
            pytest.param("/bot", b"/bot/getMe", (), id="empty"),
            pytest.param("/bot", b"/file/botT/x", (), id="other-prefix"),
            pytest.param("/bot", b"/bota%2Fb/x", (), id="encoded-slash"),
            pytest.param("/bot", b"/bota%2541/x", (), id="encoded-twice"),
            pytest.param("/bot", b"/bota%00/x", (), id="control"),
            pytest.param("/bot", b"/bota%20b/x", (), id="space"),
            pytest.param("/bot", b"/bota%C3%A9/x", (), id="not-ascii"),
            pytest.param("/bot", b"/bota%zz/x", (), id="no-escape"),
        ],
    )
    def test_finds_the_rest_of_the_segment(
        self, prefix: str, path: bytes, found: tuple[bytes, ...]
    ) -> None:
        assert Path(prefix).find(outgoing(path)) == found

    @pytest.mark.parametrize(
        ("prefix", "path", "sent"),
        [
            pytest.param("/bot", b"/botT/getMe%20", b"/bot12:a%2Fb%25/getMe%20", id="first"),
            pytest.param("/bot", b"/bot%54", b"/bot12:a%2Fb%25", id="last"),
            pytest.param("/bot", b"/bot/getMe", b"/bot12:a%2Fb%25/getMe", id="empty"),
            pytest.param("/k/", b"/k/a%2Fb/x", b"/k/12:a%2Fb%25/x", id="whole-segment"),
        ],
    )
    def test_puts_it_there(self, prefix: str, path: bytes, sent: bytes) -> None:
        request = outgoing(path)
        Path(prefix).put(request, b"12:a/b%")
        assert request.path == sent

    def test_a_path_without_the_prefix_is_refused(self) -> None:
        assert "/bot" in refused(Path("/bot").put, outgoing(b"/getMe"), b"S")

    @pytest.mark.parametrize(
        ("prefix", "path", "left"),
        [
            pytest.param("/bot", b"/botT/getMe", b"/bot/getMe", id="keeps-prefix"),
            pytest.param("/k/", b"/k/T/v1/chat", b"/k/v1/chat", id="whole-segment-goes"),
            pytest.param("/k/", b"/k/T", b"/k/", id="last-segment"),
            pytest.param("/bot", b"/bot/getMe", b"/bot/getMe", id="no-token"),
            pytest.param("/bot", b"/v1/chat", b"/v1/chat", id="no-prefix"),
        ],
    )
    def test_remove_takes_the_token_and_leaves_the_prefix(
        self, prefix: str, path: bytes, left: bytes
    ) -> None:
        request = outgoing(path)
        Path(prefix).remove(request)
        assert request.path == left

    @given(value=st.from_regex(rb"[!-$&-.0-~]{1,40}", fullmatch=True))
    def test_round_trip(self, value: bytes) -> None:
        request = outgoing(b"/botT/getMe")
        Path("/bot").put(request, value)
        assert Path("/bot").find(request) == (value,)
        assert request.path.endswith(b"/getMe")
        assert request.path.count(b"/") == 2


PLACES = [
    pytest.param("bearer", Header("Authorization", "Bearer"), "bearer", id="bearer"),
    pytest.param("bot", Header("Authorization", "Bot"), "bot", id="bot"),
    pytest.param("token", Header("Authorization", "Token"), "token", id="token"),
    pytest.param({"scheme": "Key"}, Header("Authorization", "Key"), "scheme: Key", id="scheme"),
    pytest.param({"header": "X-Api-Key"}, Header("X-Api-Key"), "header: X-Api-Key", id="header"),
    pytest.param(
        {"header": "X-A", "scheme": "K"},
        Header("X-A", "K"),
        "header: X-A, scheme: K",
        id="header-scheme",
    ),
    pytest.param(
        {"header": "Authorization"},
        Header("Authorization"),
        "header: Authorization",
        id="whole-authorization",
    ),
    pytest.param({"basic": "password"}, Basic("password"), "basic: password", id="basic"),
    pytest.param(
        {"basic": "password", "user": "AC1"},
        Basic("password", "AC1"),
        "basic: password, user: AC1",
        id="basic-user",
    ),
    pytest.param(
        {"basic": "user", "password": "x"},
        Basic("user", "x"),
        "basic: user, password: x",
        id="basic-password",
    ),
    pytest.param({"query": "key"}, Query("key"), "query: key", id="query"),
    pytest.param({"path": "/bot"}, Path("/bot"), "path: /bot", id="path"),
    pytest.param({"json": "/a/key"}, JsonField("/a/key"), "json: /a/key", id="json"),
    pytest.param(
        {"form": "client_secret"}, FormField("client_secret"), "form: client_secret", id="form"
    ),
]


@pytest.mark.parametrize(("spec", "place", "text"), PLACES)
def test_the_notation_reads_and_writes(
    spec: str | Mapping[str, object], place: Place, text: str
) -> None:
    parsed = parse_place(spec)
    assert parsed == place
    assert hash(parsed) == hash(place)
    assert str(parsed) == text
    assert parsed.in_body is isinstance(place, JsonField | FormField)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param("Bearer", "it must be bearer, bot, token, {scheme", id="unknown-word"),
        pytest.param(
            {"cookie": "a"}, "{cookie: a} is not a place; it must be bearer", id="unknown-kind"
        ),
        pytest.param({}, "{} is not a place", id="nothing"),
        pytest.param({"header": "X Y"}, "the name of a header", id="header-space"),
        pytest.param({"header": "X\r\nY"}, "the name of a header", id="header-injection"),
        pytest.param({"header": "Content-Length"}, "HTTP itself needs", id="framing"),
        pytest.param({"header": "host"}, "HTTP itself needs", id="host"),
        pytest.param({"scheme": "a b"}, "one word", id="scheme"),
        pytest.param({"basic": "both"}, "user or password", id="basic"),
        pytest.param({"basic": "password", "user": "a:b"}, "no colon", id="basic-colon"),
        pytest.param(
            {"basic": "user", "user": "x"}, "user has no meaning here", id="basic-same-half"
        ),
        pytest.param({"header": "A", "query": "b"}, "query has no meaning here", id="two-kinds"),
        pytest.param({"query": ""}, "the name of a parameter", id="query"),
        pytest.param({"query": 5}, "every value must be a text", id="number"),
        pytest.param({"path": "bot"}, "a path prefix such as /bot", id="path-relative"),
        pytest.param({"path": "/a?b"}, "a path prefix such as /bot", id="path-query"),
        pytest.param({"json": "key"}, "is not a JSON pointer", id="pointer"),
        pytest.param({"json": ""}, "is not a JSON pointer", id="pointer-to-all"),
        pytest.param({"json": "/a~2"}, "is not a JSON pointer", id="pointer-escape"),
        pytest.param({"form": 'a"b'}, "the name of a form field", id="form"),
    ],
)
def test_a_wrong_notation_says_what_is_allowed(spec: str | Mapping[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=r"place|pointer|colon") as caught:
        parse_place(spec)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["Cookie", "X-Forwarded-For", "X-Gateway-Key", "Proxy-Authorization", "X_Key", "User-Agent"],
)
def test_a_header_that_never_travels_is_no_place(name: str) -> None:
    with pytest.raises(ValueError, match="is not a place"):
        parse_place({"header": name})
