"""Ruled fields of JSON: what one reader may find another must not miss, whatever the tricks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Refused
from gateway.core.fields import Said
from gateway.core.fields.jsonfields import JsonFields
from gateway.core.fields.ruled import Ruled, folded
from gateway.core.model import Subject

MODEL = Subject("model", form="[ -~]{1,64}")
FIELDS = JsonFields(
    [
        Ruled(written, MODEL)
        for written in ("model", "tools[].model", "names[]", "reply.to.id", "task")
    ]
)


def read(body: bytes) -> tuple[str, ...]:
    return FIELDS.read(body).get("model", ())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"{}", (), id="nothing"),
        pytest.param(b' \t\r\n{"model" : "m" }\n', ("m",), id="spaces"),
        pytest.param(b'{"model":null}', (), id="null"),
        pytest.param(b'{"model":-12}', ("-12",), id="integer"),
        pytest.param(b'{"model":0}', ("0",), id="zero"),
        pytest.param(b'{"model":-0}', ("0",), id="minus-zero"),
        pytest.param(b'{"model":12345678901234567890123}', ("12345678901234567890123",), id="big"),
        pytest.param(b'{"x":"\\u00e9","model":"m"}', ("m",), id="escape-elsewhere"),
        pytest.param(b'{"mod\\u0065l":"m"}', ("m",), id="escaped-key"),
        pytest.param(b'{"model":"g\\u0070t"}', ("gpt",), id="escaped-value"),
        pytest.param(b'{"model":"a\\/b"}', ("a/b",), id="escaped-slash"),
        pytest.param(b'{"model":"m","x":{"model":["other"]}}', ("m",), id="deeper"),
        pytest.param(b'{"model":"m","role":"model"}', ("m",), id="value-like-the-name"),
        pytest.param('{"model":"m","é":"你好 \u017fK"}'.encode(), ("m",), id="not-ascii"),
        pytest.param(b'{"tools":[{"model":"a"},{},{"model":null},{"model":"b"}]}', ("a", "b"),
                     id="in-an-array"),
        pytest.param(b'{"tools":[],"names":["a","b"]}', ("a", "b"), id="array-of-values"),
        pytest.param(b'{"tools":"auto","reply":true,"names":5}', (), id="words-on-the-way"),
        pytest.param(b'{"tools":["auto",null,7]}', (), id="words-in-the-array"),
        pytest.param(b'{"reply":{"to":{"id":"m"}}}', ("m",), id="nested"),
        pytest.param(b'{"reply":"{\\"to\\":{\\"id\\":5}}"}', ("5",), id="json-in-a-string"),
        pytest.param(b'{"reply":{"to":"{\\"id\\":\\"m\\"}"}}', ("m",), id="json-in-a-string-below"),
        pytest.param(b'{"x":1,"x":2,"model":"m"}', ("m",), id="another-key-twice"),
    ],
)  # fmt: skip
def test_what_is_said(body: bytes, said: tuple[str, ...]) -> None:
    assert read(body) == said


TRICKS = {
    "twice": b'{"model":"a","model":"b"}',
    "twice-the-same": b'{"model":"a","model":"a"}',
    "twice-and-null": b'{"model":null,"model":"b"}',
    "twice-escaped": b'{"model":"a","mod\\u0065l":"b"}',
    "twice-escaped-first": b'{"\\u006dodel":"a","model":"b"}',
    "twice-escaped-both": b'{"\\u006dodel":"a","mode\\u006c":"b"}',
    "case": b'{"Model":"b"}',
    "case-beside": b'{"model":"a","MODEL":"b"}',
    "case-escaped": b'{"model":"a","\\u004dodel":"b"}',
    "long-s": '{"ta\u017fk":"b"}'.encode(),
    "long-s-escaped": b'{"task":"a","ta\\u017fk":"b"}',
    "kelvin": '{"task":"a","tas\u212a":"b"}'.encode(),
    "turkish": '{"reply":{"to":{"id":"a","\u0131d":"b"}}}'.encode(),
    "turkish-capital": '{"reply":{"to":{"\u0130d":"b"}}}'.encode(),
    "nul-in-key": b'{"model\\u0000x":"b"}',
    "array": b'{"model":["a","b"]}',
    "object": b'{"model":{"a":"b"}}',
    "true": b'{"model":true}',
    "fraction": b'{"model":1.0}',
    "exponent": b'{"model":1e2}',
    "leading-zero": b'{"model":0123}',
    "plus": b'{"model":+1}',
    "nan": b'{"model":NaN}',
    "nan-elsewhere": b'{"model":"a","x":NaN}',
    "huge-integer": b'{"model":' + b"9" * 10_000 + b"}",
    "huge-integer-elsewhere-and-twice": b'{"model":1,"model":2,"x":' + b"9" * 10_000 + b"}",
    "half-a-surrogate": b'{"model":"\\ud800"}',
    "empty": b'{"model":""}',
    "nested-twice": b'{"reply":{"to":{"id":"a","id":"b"}}}',
    "nested-case": b'{"reply":{"to":{"ID":"b"}}}',
    "on-the-way-twice": b'{"reply":{"to":{"id":"a"},"to":{"id":"b"}}}',
    "on-the-way-case": b'{"Reply":{"to":{"id":"b"}}}',
    "in-an-array-twice": b'{"tools":[{"model":"a"},{"model":"a","model":"b"}]}',
    "object-for-array": b'{"tools":{"model":"b"}}',
    "array-for-object": b'{"reply":[{"to":{"id":"b"}}]}',
    "array-in-array": b'{"tools":[[{"model":"b"}]]}',
    "array-of-arrays": b'{"names":[["b"]]}',
    "array-of-objects": b'{"names":[{}]}',
    "string-twice": b'{"reply":"{\\"to\\":{\\"id\\":\\"a\\",\\"id\\":\\"b\\"}}"}',
    "string-broken": b'{"reply":"{\\"to\\":{id:5}}"}',
    "string-with-bom": '{"reply":"\ufeff{\\"to\\":{\\"id\\":5}}"}'.encode(),
    "string-then-more": b'{"reply":"{} {\\"to\\":{\\"id\\":5}}"}',
    "bom": b'\xef\xbb\xbf{"model":"a"}',
    "utf-16": '{"model":"a"}'.encode("utf-16"),
    "utf-16-le": '{"model":"a"}'.encode("utf-16-le"),
    "utf-32": '{"model":"a"}'.encode("utf-32"),
    "not-utf-8": b'{"model":"a","x":"\xff"}',
    "not-utf-8-swallows-a-quote": b'{"x":"\xc3","model":"b"}',
    "overlong": b'{"m\xc1\xafdel":"b"}',
    "surrogates-in-utf-8": b'{"x":"\xed\xa0\x80","model":"a"}',
    "nul-after": b'{"model":"a"}\0',
    "nul-within": b'{"model":"a\0"}',
    "another-text": b'{"model":"a"}{"model":"b"}',
    "comment": b'{/*"model":"b"*/"model":"a"}',
    "single-quotes": b"{'model':'b'}",
    "no-quotes": b"{model:'b'}",
    "hex-escape": b'{"\\x6dodel":"b"}',
    "trailing-comma": b'{"model":"a",}',
    "list": b'[{"model":"a"}]',
    "null": b"null",
    "string": b'"model"',
    "words": b"model=a",
    "space": b" ",
    "cut": b'{"model":"a"',
    "deep": b'{"model":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep-ruled": b'{"tools":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep-and-cut": b'{"model":"a","x":' + b"[" * 100_000,
    "deep-objects": b'{"reply":' + b'{"to":' * 100_000,
    "deep-in-a-string": b'{"reply":"' + b"[" * 100_000 + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_are_refused(trick: str) -> None:
    with pytest.raises(Refused) as caught:
        read(TRICKS[trick])
    assert caught.value.deny.code == "scope_unreadable"


JOINED = JsonFields([Ruled("chat_id", MODEL), Ruled("reply.chat_id", MODEL)])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"chat_id":"a","chatId":"b"}', id="camel"),
        pytest.param(b'{"chat_id":"a","chatid":"b"}', id="joined"),
        pytest.param(b'{"chat_id":"a","x":"\\u0041","chatid":"b"}', id="joined-slow"),
        pytest.param(b'{"chat_id":"a","reply":{"chatId":"b"}}', id="camel-below"),
        pytest.param(b'{"chat_id":"a","reply":{"chat_id":"a","chatId":"b"}}', id="both-below"),
    ],
)
def test_a_name_without_its_underscores_is_a_disguise(body: bytes) -> None:
    """Whoever reads JSON for Protocol Buffers takes both."""
    with pytest.raises(Refused, match="another spelling"):
        JOINED.read(body)


def test_a_name_with_more_underscores_is_another() -> None:
    assert JOINED.read(b'{"chat_id":"a","chat__id":"b","mod_el":"c"}') == {"model": ("a",)}


MANY = 10_001


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"names": ["a"] * MANY}, id="values"),
        pytest.param({"tools": [{}] * MANY}, id="objects"),
        pytest.param({"ids": "a," * MANY}, id="pieces"),
        pytest.param({f"x{number}": 0 for number in range(MANY)}, id="members"),
        pytest.param({"reply": {f"x{number}": 0 for number in range(MANY)}}, id="members-below"),
        pytest.param({"reply": json.dumps({"x": "y" * 70_000})}, id="json-in-a-string"),
    ],
)
def test_too_much_to_look_at_is_refused(body: dict[str, Any]) -> None:
    fields = JsonFields(
        [Ruled(name, MODEL) for name in ("names[]", "tools[].m", "reply.m", "ids,")]
    )
    with pytest.raises(Refused, match=r"more than 10000 things|longer than 65536"):
        fields.read(json.dumps(body).encode())
    few = {key: value for key, value in body.items() if isinstance(value, list)}
    assert fields.read(json.dumps({key: value[:-1] for key, value in few.items()}).encode()) in (
        {},
        {"model": ("a",)},
    )


def test_many_values_are_gathered_in_time_that_grows_with_their_number() -> None:
    def seconds(count: int) -> float:
        body = json.dumps({"names": [f"m{number}" for number in range(count)]}).encode()
        started = time.perf_counter()
        assert len(FIELDS.read(body)["model"]) == count
        return time.perf_counter() - started

    assert min(seconds(10_000) for _ in range(3)) < 50 * min(seconds(1_000) for _ in range(3))


def test_every_lookalike_is_folded() -> None:
    """No character reads as ASCII without case, in Unicode's way or Java's, but is folded so."""
    for code in range(0x80, sys.maxunicode + 1):
        character = chr(code)
        readings = {character.lower(), character.upper().lower(), character.casefold()}
        if any(reading.isascii() for reading in readings) or "i\u0307" in readings:
            assert folded(character).isascii(), hex(code)


def outcome(read: Callable[[], Said | None]) -> Said | str | None:
    try:
        return read()
    except Refused as refused:
        return refused.deny.reason


KEYS = st.sampled_from(
    ["model", "tools", "names", "reply", "to", "id", "task", "x", "Model", "TOOLS", "mod\\u0065l",
     "\\u0054ools", "ta\u017fk", "tas\u212a", "\u0131d", "\u0130d", "model ", "model\\u0000",
     "é", "\\/", "x\\ny", "serverModel", ""]
)  # fmt: skip
TEXTS = st.sampled_from(
    ['"a"', '"b"', '"model"', '"\\u0061"', '"\\"model\\""', '"é"', '"{}"', '"[]"', '""',
     '"\\ud800"',
     '"{\\"model\\":\\"c\\"}"', '"{\\"to\\":{\\"id\\":1,\\"id\\":2}}"', '"{\\"id\\":\\"c\\"}"',
     "1", "0", "-0", "-5", "1.0", "1e2", "12345678901234567890123", "true", "false", "null"]
)  # fmt: skip


PAIRS = st.sampled_from(
    ['"model":"a"', '"model":"b"', '"model" : 7', '"Model":"b"', '"mod\\u0065l":"b"', '"task":null',
     '"tools":[{"model":"a"},{"x":"model"}]', '"tools":["{\\"model\\":5}"]', '"tools":"auto"',
     '"reply":{"to":{"id":"c"}}', '"reply":"{\\"to\\":{\\"id\\":\\"c\\"}}"', '"reply":5',
     '"reply":{"to":{"id":"c","ID":"d"}}', '"names":["a",1]', '"task":-0', '"ta\u017fk":1',
     '"x":{"model":[]}', '"role":"model"', '"text":"\\"model\\":"', '"é":"\u212a"', '"y":"\\u0061"']
)  # fmt: skip


def _object(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(KEYS, values).map(lambda pair: f'"{pair[0]}" :{pair[1]}')
    return st.lists(PAIRS | PAIRS | pair, max_size=4).map(lambda pairs: f"{{{','.join(pairs)}}}")


VALUES = st.recursive(
    TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda some: f"[{', '.join(some)}]") | _object(inner)
    ),
    max_leaves=8,
)
BODIES = _object(VALUES).map(str.encode)
BROKEN = st.tuples(BODIES, st.integers(0, 60), st.binary(max_size=3)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)


@given(BODIES | BROKEN)
def test_the_fast_way_never_differs_from_the_slow_one(body: bytes) -> None:
    if FIELDS._quickly(body) is not None:
        slow = outcome(lambda: FIELDS._said(FIELDS._slowly(body)))
        assert outcome(lambda: FIELDS.read(body)) == slow
        assert outcome(lambda: FIELDS.read(body)) == slow, "and again, when it is remembered"


Reader = Callable[[list[tuple[str, Any]]], dict[str, Any]]
READERS: list[Reader] = [
    dict,  # the last wins: Python, JavaScript
    lambda pairs: dict(reversed(pairs)),  # the first wins
    lambda pairs: {folded(key.partition("\0")[0]): value for key, value in pairs},  # Go, C
    lambda pairs: {folded(key): value for key, value in reversed(pairs)},
]


@given(BODIES)
def test_no_other_reader_finds_another_value(body: bytes) -> None:
    try:
        said = read(body)
    except Refused:
        return
    for reader in READERS:
        top = json.loads(body, object_pairs_hook=reader)
        found = {str(one) for steps in PATHS for one in _look(top, steps, reader)}
        assert found <= set(said)


PATHS = (("model",), ("task",), ("names", ""), ("tools", "", "model"), ("reply", "to", "id"))


def _look(value: Any, steps: tuple[str, ...], reader: Reader) -> list[Any]:
    """Read as forgivingly as anybody might: a text may be JSON, what does not fit is not there."""
    if not steps:
        return [] if value is None else [value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value, object_pairs_hook=reader)
    if not steps[0]:
        elements = value if isinstance(value, list) else []
        return [one for element in elements for one in _look(element, steps[1:], reader)]
    return _look(value.get(steps[0]), steps[1:], reader) if isinstance(value, dict) else []


@given(st.binary(max_size=60))
def test_nothing_but_refusals_is_raised(body: bytes) -> None:
    for text in (body, b"{" + body, b'{"model":' + body + b"}", b'{"reply":"' + body + b'"}'):
        assert outcome(lambda: FIELDS.read(text)) is not None  # noqa: B023
