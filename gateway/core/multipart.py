"""Read the parts of a multipart/form-data body so strictly that no other reader sees others."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.errors import GatewayError

# One parameter of a header value (RFC 9110 5.6.6). Values without quotes are taken more widely
# than a token, because mail libraries write boundary=----=_Part_1.
_PARAMETER = re.compile(
    rb"[ \t]*;[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    rb'(?:"((?:[^"\\\r\n]|\\[^\r\n])*)"|([^\s";\\]+))[ \t]*'
)
# RFC 2046 5.1.1 allows more, but readers disagree where such a boundary ends: PHP's at a comma.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'+_.=-]{1,70}")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_NAMING = re.compile(rb"(?i)name[ \t]*=")
_AFTER = re.compile(rb"[ \t]*\r\n")
MOST = 1_000  # fields, as in most form readers
_PLAIN = (b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class PartHead:
    """What the header lines of one part say. `content_type` is b"" where there is none."""

    name: bytes
    is_file: bool
    content_type: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One field: from its delimiter line to the CRLF that ends its content."""

    name: bytes
    is_file: bool
    start: int
    content: int
    end: int


def refusal(why: str) -> GatewayError:
    """Return the refusal of a form that is not plain to everybody who reads it."""
    return GatewayError(400, "token_place", why)


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a multipart/form-data content type names."""
    kind, given = parameters(content_type)
    boundary = given.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise refusal("the content type names no usable multipart boundary")
    return boundary


def parts(body: bytes, boundary: bytes) -> list[Part]:
    """Return every part of `body`, in order."""
    marks = _delimiters(body, b"--" + boundary)
    size = len(boundary) + 2
    if not marks or marks[0] != 0:
        raise refusal("the multipart body does not start with its boundary")
    last = marks[-1] + size
    if not body.startswith(b"--", last) or body[last + 2 :].strip(b"\r\n"):
        raise refusal("the multipart body does not end with its closing boundary")
    return [_part(body, mark, size, marks[i + 1]) for i, mark in enumerate(marks[:-1])]


def part_of(name: bytes, value: bytes, boundary: bytes) -> bytes:
    """Write a part with its delimiter line, to stand before another delimiter line."""
    if value.startswith(b"--" + boundary):
        raise refusal("the multipart boundary stands within a field")
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n' % (boundary, name)
    return head + value + b"\r\n"


def _delimiters(body: bytes, delimiter: bytes) -> list[int]:
    """Return where delimiter lines start. One after half a line end is a delimiter to some."""
    line = b"\r\n" + delimiter
    count = body.count(line)
    if body.count(b"\n" + delimiter) != count or b"\r" + delimiter in body:
        raise refusal("the multipart body holds its boundary after half a line end")
    if count > MOST:
        raise refusal(f"the form holds more than {MOST} fields")
    found = [0] if body.startswith(delimiter) else []
    at = body.find(line)
    while at >= 0:
        found.append(at + 2)
        at = body.find(line, at + 1)
    return found


def _part(body: bytes, mark: int, size: int, following: int) -> Part:
    line = _AFTER.match(body, mark + size)
    blank = body.find(b"\r\n\r\n", mark, following)
    if line is None or blank < line.end() - 2 or following - 2 < blank + 4:
        raise refusal("the multipart body has a part without headers or end")
    head = head_of(body[line.end() : blank])
    return Part(head.name, head.is_file, mark, blank + 4, following - 2)


def head_of(block: bytes) -> PartHead:
    """Read the header lines of a part, with neither its delimiter line nor its blank line."""
    headers = _headers(block)
    disposition = headers.get(b"content-disposition", b"")
    kind, given = parameters(disposition)
    name = given.get(b"name")
    is_split = any(one.startswith(b"name*") for one in given)
    # Readers that know no quotes, or no escapes in them, would find a name within a value.
    is_hidden = len(_NAMING.findall(disposition)) != len(given.keys() & {b"name", b"filename"})
    if kind != b"form-data" or name is None or b"\\" in name or is_split or is_hidden:
        raise refusal("the multipart body has a part that is not a plainly named form field")
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in _PLAIN:
        raise refusal("the multipart body has a part with a transfer encoding")
    is_file = any(one == b"filename" or one.startswith(b"filename*") for one in given)
    return PartHead(name, is_file, headers.get(b"content-type", b""))


def _headers(block: bytes) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in block.split(b"\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None or match[1].lower() in headers:
            raise refusal("the multipart body has a part with unclear headers")
        headers[match[1].lower()] = match[2].strip(b" \t")
    return headers


def parameters(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Split `kind; a=b; c="d"`; a name that comes twice has no meaning and is refused."""
    kind = value.partition(b";")[0]
    found: dict[bytes, bytes] = {}
    at = len(kind)
    while at < len(value):
        match = _PARAMETER.match(value, at)
        if match is None or match[1].lower() in found:
            raise refusal("the form has a header whose parameters are unclear")
        found[match[1].lower()] = match[3] if match[2] is None else match[2]
        at = match.end()
    return kind.strip(b" \t").lower(), found
