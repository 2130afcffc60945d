"""Places in bodies: what is found and written, what is refused, and not one other byte changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError
from gateway.core.places import (
    FormField,
    JsonField,
    Outgoing,
)

URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=XX"
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


def as_json(body: bytes | None, content_type: bytes = b"application/json") -> Outgoing:
    return outgoing(content_type=content_type, body=body)


def refused(action: Any, *args: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        action(*args)
    deny = caught.value.deny
    assert (deny.status, deny.code) == (400, "token_place")
    return deny.reason


class TestJsonField:
    @pytest.mark.parametrize(
        ("pointer", "body", "found"),
        [
            pytest.param("/key", b'{"key":"T"}', (b"T",), id="plain"),
            pytest.param(
                "/key", b' { "a" : [1, {"key":"no"}] , "key" : "T" } ', (b"T",), id="spaced"
            ),
            pytest.param("/clientKey", b'{"client\\u004bey":"T"}', (b"T",), id="escaped-key"),
            pytest.param("/key", b'{"key":"\\u0054\\n"}', (b"T\n",), id="escaped-value"),
            pytest.param("/a/key", b'{"key":"x","a":{"key":"T"}}', (b"T",), id="nested"),
            pytest.param("/a/1/key", b'{"a":[{},{"key":"T"}]}', (b"T",), id="index"),
            pytest.param("/a~1b/m~0n", b'{"a/b":{"m~n":"T"}}', (b"T",), id="pointer-escapes"),
            pytest.param("/key", '{"ä":"€","key":"T"}'.encode(), (b"T",), id="utf-8"),
            pytest.param(
                "/key",
                b'{"key":"A","other":{"key":"B","key":"C"}}',
                (b"A",),
                id="duplicate-elsewhere",
            ),
            pytest.param("/key", b"{}", (), id="absent"),
            pytest.param("/key", b'{"key":""}', (), id="empty"),
            pytest.param("/a/key", b'{"a":"text"}', (), id="parent-is-text"),
            pytest.param("/a/key", b"{}", (), id="no-parent"),
            pytest.param("/key", b"[1]", (), id="array"),
            pytest.param("/key", b"", (), id="no-bytes"),
            pytest.param("/key", None, (), id="no-body"),
        ],
    )
    def test_finds_the_string(
        self, pointer: str, body: bytes | None, found: tuple[bytes, ...]
    ) -> None:
        assert JsonField(pointer).find(as_json(body)) == found

    @pytest.mark.parametrize(
        ("content_type", "body", "found"),
        [
            pytest.param(
                b"application/json; charset=utf-8", b'{"key":"T"}', (b"T",), id="parameters"
            ),
            pytest.param(b"Application/JSON", b'{"key":"T"}', (b"T",), id="case"),
            pytest.param(b"application/vnd.api+json", b'{"key":"T"}', (b"T",), id="suffix"),
            pytest.param(b"", b' {"key":"T"}', (b"T",), id="no-type"),
            pytest.param(b"", b"key=T", (), id="no-type-no-object"),
            pytest.param(b"text/plain", b'{"key":"T"}', (), id="text"),
        ],
    )
    def test_looks_into_json_only(
        self, content_type: bytes, body: bytes, found: tuple[bytes, ...]
    ) -> None:
        assert JsonField("/key").find(as_json(body, content_type)) == found

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            pytest.param(b'{"key":"A","key":"B"}', "more than once", id="duplicate"),
            pytest.param(
                b'{"key":"A","k\\u0065y":"B"}', "more than once", id="duplicate-in-disguise"
            ),
            pytest.param(b'{"key":1}', "must be a string", id="number"),
            pytest.param(b'{"key":null}', "must be a string", id="null"),
            pytest.param(b'{"key":{"a":1}}', "must be a string", id="object"),
            pytest.param(b'{"key":"\\ud800"}', "must be a string", id="half-surrogate"),
            pytest.param(b"\xef\xbb\xbf{}", "not a readable JSON", id="bom"),
            pytest.param(b'{"key":"\xff"}', "not a readable JSON", id="not-utf-8"),
            pytest.param(b'{"key":"\xed\xa0\x80"}', "not a readable JSON", id="utf-8-surrogate"),
            pytest.param('{"key":"T"}'.encode("utf-16"), "not a readable JSON", id="utf-16"),
            pytest.param(b'{"key":"T"', "not a readable JSON", id="cut-short"),
            pytest.param(b"{'key':'T'}", "not a readable JSON", id="single-quotes"),
            pytest.param(b'{"key":"T",}', "not a readable JSON", id="trailing-comma"),
            pytest.param(b'{"key":"T"/**/}', "not a readable JSON", id="comment"),
            pytest.param(b'{"key":"a\nb"}', "not a readable JSON", id="raw-newline"),
            pytest.param(b'{"n":NaN,"key":"T"}', "not a readable JSON", id="nan"),
            pytest.param(b'{"n":' + b"9" * 500_000 + b"}", "not a readable JSON", id="long-number"),
            pytest.param(b'{"key":"T"}{"key":"U"}', "more than one", id="two-texts"),
            pytest.param(b"[" * 200_000, "not a readable JSON", id="depth-bomb"),
            pytest.param(b'{"a":' * 100_000, "not a readable JSON", id="object-depth-bomb"),
            pytest.param(
                b"{" + b'"":0,' * 10_001 + b'"key":"T"}', "side by side", id="member-bomb"
            ),
        ],
    )
    def test_an_unclear_body_is_refused(self, body: bytes, why: str) -> None:
        place = JsonField("/key")
        assert why in refused(place.find, as_json(body))
        assert why in refused(place.remove, as_json(body))
        assert why in refused(place.put, as_json(body), b"S")

    def test_a_duplicate_on_the_way_is_refused(self) -> None:
        body = b'{"a":{"key":"T"},"a":{}}'
        assert '"a" more than once' in refused(JsonField("/a/key").find, as_json(body))

    @pytest.mark.parametrize(
        ("pointer", "body", "sent"),
        [
            pytest.param(
                "/key",
                b'{ "b":1.0, "key" : "T" ,"c":"\\u00e4"}',
                b'{ "b":1.0, "key" : "S\\"\\\\" ,"c":"\\u00e4"}',
                id="in-place",
            ),
            pytest.param("/key", b'{"b":1}', b'{"key":"S\\"\\\\","b":1}', id="inserted"),
            pytest.param("/key", b" { }\n", b' {"key":"S\\"\\\\" }\n', id="into-nothing"),
            pytest.param(
                "/a/k~1y",
                b'{"a":{"x":[]}}',
                b'{"a":{"k/y":"S\\"\\\\","x":[]}}',
                id="inserted-nested",
            ),
            pytest.param("/a/0", b'{"a":["T",2]}', b'{"a":["S\\"\\\\",2]}', id="array-element"),
            pytest.param(
                "/key",
                '{"ä":"€","key":"T","ü":"𝄞"}'.encode(),
                '{"ä":"€","key":"S\\"\\\\","ü":"𝄞"}'.encode(),
                id="utf-8",
            ),
        ],
    )
    def test_puts_the_string_and_changes_no_other_byte(
        self, pointer: str, body: bytes, sent: bytes
    ) -> None:
        request = as_json(body)
        JsonField(pointer).put(request, b'S"\\')
        assert request.body == sent

    @pytest.mark.parametrize(
        ("pointer", "request_"),
        [
            pytest.param("/a/key", as_json(b"{}"), id="no-parent"),
            pytest.param("/a/key", as_json(b'{"a":1}'), id="parent-is-number"),
            pytest.param("/1", as_json(b'["a"]'), id="past-the-array"),
            pytest.param("/key", as_json(None), id="no-body"),
            pytest.param("/key", as_json(b'{"key":"T"}', b"text/plain"), id="not-json"),
        ],
    )
    def test_a_body_without_room_is_refused(self, pointer: str, request_: Outgoing) -> None:
        assert "JSON body" in refused(JsonField(pointer).put, request_, b"S")

    @pytest.mark.parametrize(
        ("pointer", "body", "left"),
        [
            pytest.param("/key", b'{"key":"T"}', b"{}", id="only"),
            pytest.param("/key", b'{"key":"T" , "b":1}', b'{ "b":1}', id="first"),
            pytest.param("/key", b'{"a":1 , "key":"T" }', b'{"a":1 }', id="last"),
            pytest.param("/key", b'{"a":1,"key":"T","b":2}', b'{"a":1,"b":2}', id="between"),
            pytest.param(
                "/a/key", b'{"a":{"key":"T"},"key":"x"}', b'{"a":{},"key":"x"}', id="nested"
            ),
            pytest.param("/a/0", b'{"a":["T","b"]}', b'{"a":["b"]}', id="array-element"),
            pytest.param("/key", b'{"a":1}', b'{"a":1}', id="absent"),
            pytest.param("/key", b"", b"", id="no-bytes"),
        ],
    )
    def test_removes_the_member_with_one_comma(
        self, pointer: str, body: bytes, left: bytes
    ) -> None:
        request = as_json(body)
        JsonField(pointer).remove(request)
        assert request.body == left

    @given(
        value=VALUES,
        key=st.text(min_size=1, max_size=6),
        others=st.dictionaries(
            st.text(max_size=6),
            st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)),
            max_size=4,
        ),
        at_end=st.booleans(),
        spaces=st.sampled_from([None, 2]),
        ascii_only=st.booleans(),
    )
    def test_round_trip(
        self,
        value: bytes,
        key: str,
        others: Mapping[str, Any],
        at_end: bool,
        spaces: int | None,
        ascii_only: bool,
    ) -> None:
        kept = {name: other for name, other in others.items() if name != key}
        body = {**kept, key: "T"} if at_end else {key: "T", **kept}
        try:
            text = json.dumps(body, indent=spaces, ensure_ascii=ascii_only).encode()
        except UnicodeEncodeError:  # a half surrogate cannot be sent unescaped
            return
        place = JsonField("/" + key.replace("~", "~0").replace("/", "~1"))
        request = as_json(text)
        place.put(request, value)
        assert place.find(request) == (value,)
        assert request.body == text.replace(b'"T"', json.dumps(value.decode()).encode(), 1) or (
            b'"T"' in json.dumps(kept).encode()
        )
        assert json.loads(request.body or b"") == {**kept, key: value.decode()}
        place.remove(request)
        assert json.loads(request.body or b"") == kept
        place.put(request, value)
        assert json.loads(request.body or b"") == {**kept, key: value.decode()}


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    return (
        b'--XX\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n' % (name, more)
        + content
        + b"\r\n"
    )


END = b"--XX--\r\n"
FILE = part(b"file", b"\x00\xff--X\r\n\r\n-XX", b'; filename="a;b.bin"\r\nContent-Type: x/y')


class TestFormUrlencoded:
    @pytest.mark.parametrize(
        ("body", "found"),
        [
            pytest.param(b"a=1&secret=T%21+", (b"T! ",), id="decoded"),
            pytest.param(b"secre%74=T", (b"T",), id="disguised-name"),
            pytest.param(b"a=secret", (), id="absent"),
            pytest.param(b"", (), id="empty"),
            pytest.param(None, (), id="none"),
        ],
    )
    def test_finds_the_field(self, body: bytes | None, found: tuple[bytes, ...]) -> None:
        request = outgoing(content_type=URLENCODED + b"; charset=utf-8", body=body)
        assert FormField("secret").find(request) == found

    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            pytest.param(b"a=+&secret=T&b=%7e", b"a=+&secret=S%26%20&b=%7e", id="in-place"),
            pytest.param(b"a=1", b"a=1&secret=S%26%20", id="appended"),
            pytest.param(b"", b"secret=S%26%20", id="into-nothing"),
        ],
    )
    def test_puts_the_field(self, body: bytes, sent: bytes) -> None:
        request = outgoing(content_type=URLENCODED, body=body)
        FormField("secret").put(request, b"S& ")
        assert request.body == sent

    def test_removes_the_field(self) -> None:
        request = outgoing(content_type=URLENCODED, body=b"a=+&secret=T&b=%7e")
        FormField("secret").remove(request)
        assert request.body == b"a=+&b=%7e"

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            pytest.param(b"secret=A&secret=B", "more than once", id="twice"),
            pytest.param(b"secret=A&%73ecret=B", "more than once", id="twice-in-disguise"),
            pytest.param(b"&" * 1_000, "more than 1000 fields", id="many"),
        ],
    )
    def test_an_unclear_form_is_refused(self, body: bytes, why: str) -> None:
        place = FormField("secret")
        request = outgoing(content_type=URLENCODED, body=body)
        assert why in refused(place.find, request)
        assert why in refused(place.remove, request)
        assert why in refused(place.put, request, b"S")

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            pytest.param(b"application/json", b"{}", id="json"),
            pytest.param(b"", b"secret=T", id="no-type"),
            pytest.param(URLENCODED, None, id="no-body"),
        ],
    )
    def test_without_a_form_there_is_no_room(self, content_type: bytes, body: bytes | None) -> None:
        request = outgoing(content_type=content_type, body=body)
        assert FormField("secret").find(request) == ()
        FormField("secret").remove(request)
        assert request.body == body
        assert "form body" in refused(FormField("secret").put, request, b"S")

    @given(value=VALUES)
    def test_round_trip(self, value: bytes) -> None:
        place, request = FormField("secret"), outgoing(content_type=URLENCODED, body=b"a=%41&b")
        place.put(request, value)
        assert place.find(request) == (value,)
        place.remove(request)
        assert request.body == b"a=%41&b"


class TestFormMultipart:
    @pytest.mark.parametrize(
        ("body", "found"),
        [
            pytest.param(part(b"secret", b"T") + END, (b"T",), id="alone"),
            pytest.param(
                FILE + part(b"secret", b"T") + part(b"z", b"") + END, (b"T",), id="second"
            ),
            pytest.param(
                b"--XX \t\r\ncontent-disposition:form-data;name=secret\r\n\r\nT\r\n--XX--",
                (b"T",),
                id="bare",
            ),
            pytest.param(part(b"Secret", b"T") + END, (), id="other-name"),
            pytest.param(part(b"secret", b"") + END, (), id="empty"),
            pytest.param(END, (), id="no-parts"),
        ],
    )
    def test_finds_the_field(self, body: bytes, found: tuple[bytes, ...]) -> None:
        assert FormField("secret").find(outgoing(content_type=MULTIPART, body=body)) == found

    @pytest.mark.parametrize(
        "content_type",
        [
            pytest.param(b'Multipart/Form-Data; charset=utf-8; Boundary="XX"', id="quoted"),
            pytest.param(b"multipart/form-data;boundary=XX ", id="tight"),
        ],
    )
    def test_reads_the_boundary(self, content_type: bytes) -> None:
        body = part(b"secret", b"T") + END
        assert FormField("secret").find(outgoing(content_type=content_type, body=body)) == (b"T",)

    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            pytest.param(
                FILE + part(b"secret", b"T") + END,
                FILE + part(b"secret", b"S\xff") + END,
                id="in-place",
            ),
            pytest.param(FILE + END, part(b"secret", b"S\xff") + FILE + END, id="inserted-first"),
            pytest.param(END, part(b"secret", b"S\xff") + END, id="into-nothing"),
        ],
    )
    def test_puts_the_field_and_changes_no_other_byte(self, body: bytes, sent: bytes) -> None:
        request = outgoing(content_type=MULTIPART, body=body)
        FormField("secret").put(request, b"S\xff")
        assert request.body == sent

    @pytest.mark.parametrize(
        ("body", "left"),
        [
            pytest.param(
                FILE + part(b"secret", b"T") + FILE + END, FILE + FILE + END, id="between"
            ),
            pytest.param(part(b"secret", b"T") + END, END, id="only"),
            pytest.param(FILE + END, FILE + END, id="absent"),
        ],
    )
    def test_removes_the_field(self, body: bytes, left: bytes) -> None:
        request = outgoing(content_type=MULTIPART, body=body)
        FormField("secret").remove(request)
        assert request.body == left

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            pytest.param(
                part(b"secret", b"A") + part(b"secret", b"B") + END, "more than once", id="twice"
            ),
            pytest.param(
                part(b"secret", b"A", b'; filename="f"') + END, "holds a file", id="as-file"
            ),
            pytest.param(
                part(b"secret", b"A", b"; filename*=utf-8''f") + END,
                "holds a file",
                id="as-file-encoded",
            ),
            pytest.param(part(b"x", b"A", b'; name="secret"') + END, "unclear", id="two-names"),
            pytest.param(
                part(b"x", b"A", b"; name*=utf-8''secret") + END, "plainly named", id="encoded-name"
            ),
            pytest.param(part(b"sec\\ret", b"A") + END, "plainly named", id="escaped-name"),
            pytest.param(
                part(b"x", b"A", b"; filename=a b") + END, "unclear", id="loose-parameter"
            ),
            pytest.param(
                part(b"x", b"A", b"\r\nContent-Disposition: form-data; name=secret") + END,
                "unclear headers",
                id="two-dispositions",
            ),
            pytest.param(part(b"x", b"A", b"\r\n folded") + END, "unclear headers", id="folded"),
            pytest.param(
                part(b"x", b"A", b"\nX: y") + END, "unclear headers", id="half-line-end-in-head"
            ),
            pytest.param(
                part(b"x", b"A", b"\r\nContent-Transfer-Encoding: base64") + END,
                "transfer encoding",
                id="base64",
            ),
            pytest.param(
                part(b"x", b"A").replace(b"form-data", b"attachment") + END,
                "plainly named",
                id="attachment",
            ),
            pytest.param(b"--XX\r\n\r\nA\r\n" + END, "unclear headers", id="no-headers"),
            pytest.param(
                b"--XX\r\nContent-Disposition: form-data; name=x\r\n" + END,
                "without headers or end",
                id="no-blank-line",
            ),
            pytest.param(
                b"hello\r\n" + part(b"secret", b"T") + END, "start with its boundary", id="preamble"
            ),
            pytest.param(
                part(b"secret", b"T") + END + part(b"secret", b"U"),
                "closing boundary",
                id="after-the-end",
            ),
            pytest.param(part(b"secret", b"T"), "closing boundary", id="no-end"),
            pytest.param(part(b"secret", b"T")[:-2] + END, "closing boundary", id="no-line-end"),
            pytest.param(
                part(b"a", b"\n--XX\nContent-Disposition: form-data; name=secret\n\nU") + END,
                "half a line end",
                id="bare-lf",
            ),
            pytest.param(part(b"a", b"\r--XX") + END, "half a line end", id="bare-cr"),
            pytest.param(
                part(b"a", b"\r\n--XXX") + END, "without headers or end", id="longer-boundary"
            ),
            pytest.param(part(b"a", b"") + END + END, "without headers or end", id="two-ends"),
            pytest.param(part(b"a", b"") * 1_001 + END, "more than 1000 fields", id="many"),
            pytest.param(b"", "start with its boundary", id="empty"),
        ],
    )
    def test_an_unclear_form_is_refused(self, body: bytes, why: str) -> None:
        place = FormField("secret")
        request = outgoing(content_type=MULTIPART, body=body)
        assert why in refused(place.find, request)
        assert why in refused(place.remove, request)
        assert why in refused(place.put, request, b"S")
        assert request.body == body

    @pytest.mark.parametrize(
        "content_type",
        [
            pytest.param(b"multipart/form-data", id="none"),
            pytest.param(b'multipart/form-data; boundary=""', id="empty"),
            pytest.param(b"multipart/form-data; boundary=A; boundary=XX", id="two"),
            pytest.param(b"multipart/form-data; boundary=" + b"X" * 71, id="long"),
            pytest.param(b'multipart/form-data; boundary="X\\X"', id="escaped"),
            pytest.param(b"multipart/form-data; boundary=XX; =", id="loose"),
            pytest.param(b"multipart/form-data; boundary=XX,Y", id="comma"),
            pytest.param(b'multipart/form-data; boundary="XX Y"', id="space"),
            pytest.param(b"multipart/form-data; boundary=XX(Y)", id="comment"),
        ],
    )
    def test_an_unclear_boundary_is_refused(self, content_type: bytes) -> None:
        request = outgoing(content_type=content_type, body=part(b"secret", b"T") + END)
        refused(FormField("secret").find, request)

    def test_a_field_cannot_become_a_boundary(self) -> None:
        request = outgoing(content_type=MULTIPART, body=FILE + END)
        assert "boundary" in refused(FormField("secret").put, request, b"--XX--")

    @given(value=VALUES.filter(lambda value: not value.startswith(b"--XX")), there=st.booleans())
    def test_round_trip(self, value: bytes, there: bool) -> None:
        before = FILE + part(b"a", b"1")
        body = before + (part(b"secret", b"T") if there else b"") + END
        place, request = FormField("secret"), outgoing(content_type=MULTIPART, body=body)
        place.put(request, value)
        assert place.find(request) == (value,)
        place.remove(request)
        assert request.body == before + END

    @given(body=st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        for text in (body, b"--XX\r\n" + body + b"\r\n--XX--"):
            request = outgoing(content_type=MULTIPART, body=text)
            try:
                FormField("secret").put(request, b"S")
            except GatewayError:
                assert request.body == text
            else:
                assert FormField("secret").find(request) == (b"S",)


@given(
    body=st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u0 key', max_size=40).map(str.encode)
)
def test_any_json_bytes_are_read_or_refused(body: bytes) -> None:
    request = as_json(body)
    try:
        JsonField("/key").put(request, b"S")
    except GatewayError:
        assert request.body == body
    else:
        assert JsonField("/key").find(request) == (b"S",)
        assert json.loads(request.body or b"")["key"] == "S"
