"""Bodies as SDKs put them on the wire, read for their providers' subjects: none is refused."""

from __future__ import annotations

import pytest

from gateway.core.fields import FieldReader, Said, merged
from gateway.providers import load

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"

PTB = (
    b"--6b05dcf6e5d7f12599f8a646d2c9de2b\r\n"
    b'Content-Disposition: form-data; name="chat_id"\r\n\r\n1\r\n'
    b"--6b05dcf6e5d7f12599f8a646d2c9de2b\r\n"
    b'Content-Disposition: form-data; name="document"; filename="d.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\ndoc\r\n"
    b"--6b05dcf6e5d7f12599f8a646d2c9de2b--\r\n"
)
GRAMMY = (
    b"------------q37ohm8m26vwbsvt5vryc6xgevo4hgtm\r\n"
    b'content-disposition:form-data;name="chat_id"\r\n\r\n1\r\n'
    b"------------q37ohm8m26vwbsvt5vryc6xgevo4hgtm\r\n"
    b'content-disposition:form-data;name="document"\r\n\r\nattach://x7jj07kbguqs0v6x\r\n'
    b"------------q37ohm8m26vwbsvt5vryc6xgevo4hgtm\r\n"
    b'content-disposition:form-data;name="x7jj07kbguqs0v6x";filename=d.txt\r\n'
    b"content-type:application/octet-stream\r\n\r\nx\r\n"
    b"------------q37ohm8m26vwbsvt5vryc6xgevo4hgtm--\r\n"
)
TELEGRAF = (
    b"--78b4e70ec22728be50e86e718fc10df19fd0df6198449ad4ecf7a5693c7f567e\r\n"
    b'content-disposition:form-data; name="method"\r\n\r\nsendDocument\r\n'
    b"--78b4e70ec22728be50e86e718fc10df19fd0df6198449ad4ecf7a5693c7f567e\r\n"
    b'content-disposition:form-data; name="chat_id"\r\n\r\n1\r\n'
    b"--78b4e70ec22728be50e86e718fc10df19fd0df6198449ad4ecf7a5693c7f567e\r\n"
    b'content-disposition:form-data; name="document"; filename="d.txt"\r\n\r\nx\r\n'
    b"--78b4e70ec22728be50e86e718fc10df19fd0df6198449ad4ecf7a5693c7f567e--\r\n"
)
TELEBOT = (
    b"--d529a55734d4c42c806e856505991855\r\n"
    b'Content-Disposition: form-data; name="document"; filename=d.txt\r\n\r\nx\r\n'
    b"--d529a55734d4c42c806e856505991855--\r\n"
)
OPENAI_FILE = (
    b"--26ecc171034cd87e8243a66edf4ba0f4\r\n"
    b'Content-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    b"--26ecc171034cd87e8243a66edf4ba0f4\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nhello\r\n"
    b"--26ecc171034cd87e8243a66edf4ba0f4--\r\n"
)
HI = b'"messages":[{"role":"user","content":"hi"}]'


def form(body: bytes) -> bytes:
    return b"multipart/form-data; boundary=" + body.partition(b"\r\n")[0][2:]


@pytest.mark.parametrize(
    ("provider", "path", "query", "kind", "body", "said"),
    [
        pytest.param(
            "telegram", b"/sendMessage", None, FORM, b"chat_id=1&text=hi", {"chat": ("1",)},
            id="ptb-aiogram-form",
        ),
        pytest.param(
            "telegram", b"/sendDocument", None, form(PTB), PTB, {"chat": ("1",)}, id="ptb-multipart"
        ),
        pytest.param(
            "telegram", b"/sendDocument", None, form(GRAMMY), GRAMMY, {"chat": ("1",)}, id="grammy"
        ),
        pytest.param(
            "telegram", b"/sendDocument", None, form(TELEGRAF), TELEGRAF, {"chat": ("1",)},
            id="telegraf",
        ),
        pytest.param(
            "telegram", b"/sendDocument", b"chat_id=1", form(TELEBOT), TELEBOT, {"chat": ("1",)},
            id="telebot",
        ),
        pytest.param(
            "telegram", b"/sendMessage", None, JSON, b'{"chat_id":1,"text":"hi"}',
            {"chat": ("1",)}, id="grammy-json",
        ),
        pytest.param("telegram", b"/getMe", None, JSON, b"{}", {}, id="telegraf-json-empty"),
        pytest.param("telegram", b"/getFile", None, FORM, b"file_id=F", {}, id="ptb-no-chat"),
        pytest.param(
            "openai", b"/v1/chat/completions", None, JSON, b"{" + HI + b',"model":"gpt-x"}',
            {"model": ("gpt-x",)}, id="openai",
        ),
        pytest.param(
            "openai", b"/v1/files", None, form(OPENAI_FILE), OPENAI_FILE, {}, id="openai-file"
        ),
        pytest.param(
            "openai", b"/v1/images/generations", None, JSON,
            b'{"prompt":"p","model":"gpt-image","moderation":"low"}', {"model": ("gpt-image",)},
            id="openai-a-word-where-others-have-an-object",
        ),
        pytest.param(
            "anthropic", b"/v1/messages", None, JSON, b'{"max_tokens":5,' + HI +
            b',"model":"claude-x"}', {"model": ("claude-x",)}, id="anthropic",
        ),
        pytest.param(
            "gemini", b"/v1/models/gemini-x:generateContent", None, JSON,
            b'{"contents": [{"parts": [{"text": "hi"}], "role": "user"}]}',
            {"model": ("gemini-x",)}, id="gemini",
        ),
        pytest.param(
            "slack", b"/api/chat.postMessage", None, b"application/json;charset=utf-8",
            b'{"channel": "C", "text": "hi"}', {"channel": ("C",)}, id="slack-json",
        ),
        pytest.param(
            "slack", b"/api/chat.postMessage", None, FORM, b"channel=C&text=hi",
            {"channel": ("C",)}, id="slack-form",
        ),
        pytest.param(
            "slack", b"/api/files.completeUploadExternal", None, FORM,
            b"files=%5B%7B%22id%22%3A+%22F1%22%2C+%22title%22%3A+%22a.txt%22%7D%5D&channel_id=C",
            {"channel": ("C",)}, id="slack-upload",
        ),
    ],
)  # fmt: skip
def test_what_sdks_send_is_read(
    provider: str, path: bytes, query: bytes | None, kind: bytes, body: bytes, said: Said
) -> None:
    reader = FieldReader(load(provider).subjects)
    found = reader.head(path, query)
    if reader.wants_body(path):
        reading = reader.reading(path, kind, b"")
        if not reading.streams:
            assert merged(found, reading.read(body)) == said
            return
        for size in (1, 7, len(body)):
            scan = reading.scan()
            pieces = [body[at : at + size] for at in range(0, len(body), size)]
            for piece in pieces[:-1]:
                scan.feed(piece, ended=False)
            assert scan.feed(pieces[-1], ended=True)
            assert merged(found, scan.said()) == said
    else:
        assert found == said
