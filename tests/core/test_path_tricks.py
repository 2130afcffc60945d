"""Path tricks against rules on paths, and the paths of real providers: what is judged is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Deny
from gateway.core.globs import PathGlob
from gateway.core.headers import request_kinds
from gateway.core.model import Origin, Route
from gateway.core.request import read_request
from gateway.core.routing import Router, ambiguity
from gateway.providers.generic import PLUGIN

KINDS = request_kinds([])


def route(prefix: bytes, opaque: tuple[str, ...] = ()) -> Route:
    origin = Origin("https", "api.example", 443)
    made = Route("r", prefix, PLUGIN, origin, b"", None, PLUGIN.tokens, ())
    return replace(made, opaque=opaque)


def carried(route: Route, target: bytes) -> bytes | None:
    """Return the path that goes out for a request as it comes off the wire, None if refused."""
    head = read_request(b"GET %b HTTP/1.1\r\nHost: gateway\r\n\r\n" % target, KINDS, 8)
    if isinstance(head, Deny):
        return None
    found = Router([route]).find(head.target, head.host)
    if isinstance(found, Deny) or ambiguity(head.target, found[0]) is not None:
        return None
    return found[1]


# What any server may make of a path that was let through.

Step = Callable[[bytes], bytes]


def merge(path: bytes) -> bytes:
    return re.sub(rb"/+", b"/", path)


def turn(path: bytes) -> bytes:
    return path.replace(b"\\", b"/")


def resolve(path: bytes) -> bytes:
    """RFC 3986 5.2.4."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments and segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def unparametered(path: bytes) -> bytes:
    """As Java's servers do, where `;` begins a parameter of a segment."""
    return b"/".join(segment.partition(b";")[0] for segment in path.split(b"/"))


def overlong(path: bytes) -> bytes:
    for form in (b"\xc0\xae", b"\xe0\x80\xae", b"\xf0\x80\x80\xae"):
        path = path.replace(form, b".")
    for form in (b"\xc0\xaf", b"\xe0\x80\xaf", b"\xc1\x9c"):
        path = path.replace(form, b"/")
    return path


def decode(path: bytes) -> bytes:
    return overlong(unquote_to_bytes(path))


ORDERS: list[tuple[Step, ...]] = [
    *permutations((decode, merge, turn, resolve, unparametered)),
    (decode, decode, merge, resolve),
    (merge, resolve, decode, decode, turn, merge, resolve),
    (decode, turn, decode, resolve, merge, resolve),
]
TRICKS = [
    b"..", b".", b"%2e%2e", b"%2E%2E", b".%2e", b"%2e.", b"%2e", b"%252e%252e", b"..%2f",
    b"%2f..", b"..%252f", b"..%5c", b"..%255c", b"%5c..", b"%5C", b"%2f", b"%2F%2F", b"", b"/",
    b"..;", b";", b";x=y", b"..;x", b"..%3b", b".%3B", b"%3b", b"..%00", b"%00", b"..%0d%0a",
    b"%0a", b"%09", b"%20", b"..%20", b".%20", b"...", b"....", b"x..", b"..x", b"%c0%ae%c0%ae",
    b"%c0%af", b"%e0%80%af", b"%c1%9c", b"%ef%bc%8f", b"%u002e", b"%", b"%2", b"%%32%65",
    b"%25%32%65", b"\\", b"..\\", b"#", b"?", b"%3f", b"%23", b"*", b"%2A", b"~", b"%7e",
    b"%C3%A9", b"\xe2\x80\xa5", b"%61", b"%66iles", b"FILES", b"..%2f..%2f", b"..%c0%af",
    b"%2e%2e%2f", b".%00.", b". .", b" ", b"\x00", b"\t",
]  # fmt: skip
PREFIXES = [b"", b"/v1", b"/v1/.."]
ALLOWED = ["/files/x", "/files/*", "/files/*/content", "/files/**", "/*", "/**"]


def targets(prefix: bytes) -> Iterator[bytes]:
    for trick in TRICKS:
        for template in (
            b"/files/{}/admin", b"/files/{}admin", b"/files/x{}/admin", b"/files{}/admin",
            b"/files{}", b"/files/{}", b"/{}/files/x", b"/{}/admin", b"{}/files/x", b"/files/x/{}",
            b"/files/{}/{}/admin", b"/files/x/{}/{}/admin", b"/files/{}/content", b"/files/x{}",
            b"/admin/{}/files/x", b"/admin{}/files/x", b"/{}files/x", b"/files/x/{}content",
        ):  # fmt: skip
            yield prefix + template.replace(b"{}", trick)
    yield from (b"http://api.example" + prefix + b"/files/x", b"api.example:443", b"*")
    yield from (b"//api.example/files/x", b"http:/files/x", b"/\\api.example/files/x")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("allowed", ALLOWED)
def test_no_server_reads_another_path_than_the_one_that_was_judged(
    prefix: bytes, allowed: str
) -> None:
    """Whatever it does to paths, and in whatever order: row 29 of the scoreboard."""
    rule = PathGlob(allowed)
    through = 0
    for target in targets(prefix):
        for one in (route(b""), route(prefix)):
            path = carried(one, target)
            if path is not None and rule.matches(path.decode("latin-1")):
                assert target.partition(b"?")[0].endswith(path)
                judge(rule, path)
                through += 1
    assert through or prefix == b"/v1/.."


def judge(rule: PathGlob, path: bytes) -> None:
    read = {run(order, path) for order in ORDERS}
    assert len(read) == 1, (path, read)
    assert rule.matches(read.pop().decode("latin-1"))


def run(order: tuple[Step, ...], path: bytes) -> bytes:
    for step in order:
        path = step(path)
    return path


pieces = st.sampled_from([*TRICKS, b"/", b"/", b"/", b"files", b"admin", b"x", b"content"])


@given(st.lists(pieces, max_size=9).map(b"".join), st.sampled_from(ALLOWED))
def test_nor_of_a_path_that_was_made_up(tail: bytes, allowed: str) -> None:
    rule = PathGlob(allowed)
    path = carried(route(b""), b"/" + tail)
    if path is not None and rule.matches(path.decode("latin-1")):
        judge(rule, path)


# Paths that the providers' own SDKs send, or their documentation shows.

REAL = [
    b"/v1/chat/completions", b"/v1/responses/resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b4",
    b"/v1/models/ft:gpt-4o-mini-2024-07-18:acme::9abc", b"/v1/files/file-abc123/content",
    b"/v1/files", b"/v1/realtime?model=gpt-realtime", b"/v1/threads/thread_a-B_1/messages",
    b"/v1/messages/batches/msgbatch_1/results", b"/v1/messages/count_tokens?beta=true",
    b"/v1beta/models/gemini-2.5-pro:generateContent",
    b"/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
    b"/v1beta/models/gemini-x:generateContent?%24alt=json%3Benum-encoding%3Dint",
    b"/v1beta/tunedModels/my-model-abc:generateContent", b"/v1beta/files/abc-123",
    b"/upload/v1beta/files?upload_id=FAKEUPLOAD&upload_protocol=resumable",
    b"/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    b"/v1beta1/projects/proj/locations/us-central1/publishers/google/models/gemini-x:generateContent",
    b"/projects/proj/locations/us-east5/publishers/anthropic/models/claude-x@20250101:rawPredict",
    b"/openai/deployments/dep-x/chat/completions?api-version=2025-01-01-preview",
    b"/model/anthropic.claude-3-5-sonnet-20241022-v2:0/converse-stream",
    b"/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/invoke",
    b"/bot123456789:AAFakeFake_Fake-Fake/sendMessage", b"/bot123:x/test/getMe",
    b"/file/bot123456789%3AAAFake_Fa-ke/photos/file_0.jpg",
    b"/file/bot1:x/documents/file_1.tar.gz",
    b"/file/bot1:x/music/My%20Song%20(live)%20%5B2020%5D.mp3", b"/api/chat.postMessage",
    b"/api/files.getUploadURLExternal", b"/files-host/upload/v1/CwABAAAAWAoAAQ",
    b"/link/?ticket=FAKETICKET&app_id=FAKEAPP", b"/api/v10/users/@me", b"/api/v10/gateway/bot",
    b"/api/v10/channels/123/messages/456/reactions/%F0%9F%91%8D/@me",
    b"/api/v10/channels/123/messages/456/reactions/name%3A789/@me",
    b"/api/v10/webhooks/1/tok_-en/messages/@original", b"/api/v10/invites/a-b_C?with_counts=true",
    b"/api/v10/interactions/1/aW50ZXJhY3Rpb246MQ/callback", b"/v21.0/123/messages", b"/v21.0/MID",
    b"/2010-04-01/Accounts/ACfake00000000000000000000000000/Messages.json",
    b"/2010-04-01/Accounts/AC0/Messages.json?PageSize=50&To=%2B15551234567",
    b"/v1/PhoneNumbers/%2B15551234567?Fields=line_type", b"/v1/customers/cus_123/sources",
    b"/v1/payment_intents/pi_3-x_secret/confirm",
    b"/v1/prices/search?query=metadata%5B'a'%5D:'b'", b"/user/repos",
    b"/repos/o/r.github.io/contents/docs/a%20b/%C3%A9.md", b"/repos/o/.github",
    b"/repos/o/r/compare/main...feature", b"/repos/o/r/compare/v1.0...o2:main",
    b"/users/dep[bot]", b"/users/dependabot%5Bbot%5D", b"/repos/o/r/git/refs/heads/feature/x",
    b"/repos/o/r/tarball/v1.2", b"/search/issues?q=repo%3Ao%2Fr+is%3Aopen",
    b"/v2/bot/message/123/content", b"/v2/bot/message/push",
    b"/_matrix/client/v3/rooms/!r:b/send/m.room.message/1c40401e-1c25-4fad-b4f3-af0c738edef7",
    b"/_matrix/client/v3/rooms/!r%3Ab.example/state/m.room.name/",
    b"/_matrix/client/v3/sync?timeout=3",
    b"/_matrix/client/v3/directory/room/%23room%3Ab.example", b"/_matrix/client/v3/profile/@u:b",
    b"/_matrix/client/v1/media/download/b/x?allow_remote=true", b"/v3/mail/send", b"/api/tags",
    b"/v1/text-to-speech/v/stream-input?model_id=m&output_format=mp3_44100_128", b"/api/chat",
    b"/v1/listen?model=nova-3", b"/openai/v1/chat/completions", b"/v2/chat", b"/api/v1/agents/me",
    b"/v3/contactdb/recipients/dXNlckBleGFtcGxlLmNvbQ==", b"/v3/suppression/bounces/a@b.example",
    b"/v3/suppression/bounces/a%40b.example", b"/a/b.c~d_e-f/$batch(1)", b"/odata/X('a')",
]  # fmt: skip
REAL_OPAQUE = [
    (
        "/model/*/invoke",
        b"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/invoke",
    ),
    ("/model/*/converse", b"/model/arn%3Aaws%3Abedrock%3A%3A1%3Aprovisioned-model%2Fx/converse"),
    ("/v1/models/*", b"/v1/models/meta-llama%2FLlama-3.3-70B-Instruct-Turbo"),
    ("/repos/*/*/git/ref/**", b"/repos/o/r/git/ref/heads%2Ffeature%2Fx"),
    ("/repos/*/*/contents/**", b"/repos/o/r/contents/100%25/a%2Fb"),
    ("/repos/*/*/branches/*", b"/repos/o/r/branches/release%2F1.2"),
    ("/api/v4/projects/*/**", b"/api/v4/projects/group%2Fproject/repository/files/a%2Eb%2Fc/raw"),
    ("/_matrix/client/v3/rooms/*/state/*/*", b"/_matrix/client/v3/rooms/!r%3Ab/state/m.x/a%2Fb"),
    (
        "/webmasters/v3/sites/*/sitemaps",
        b"/webmasters/v3/sites/https%3A%2F%2Fx.example%2F/sitemaps",
    ),
]


@pytest.mark.parametrize("target", REAL, ids=repr)
@pytest.mark.parametrize("prefix", [b"", b"/gw", b"/v1"])
def test_no_real_path_is_refused(target: bytes, prefix: bytes) -> None:
    path = target.partition(b"?")[0]
    assert carried(route(prefix), prefix + target) == path


@pytest.mark.parametrize(("opaque", "path"), REAL_OPAQUE)
@pytest.mark.parametrize("prefix", [b"", b"/gw"])
def test_no_real_path_with_opaque_slots_is_refused(opaque: str, path: bytes, prefix: bytes) -> None:
    assert carried(route(prefix, (opaque,)), prefix + path) == path
