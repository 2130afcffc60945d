"""`file:` secrets: one file, one secret, read anew each time; a refusal never holds content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.core.errors import SecretUnavailable
from gateway.sources.file import MAX_BYTES, File


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"key", b"key"),
        (b"key\n", b"key"),
        (b"key\r\n", b"key"),
        (b"key\n\n", b"key\n"),
        (b"key\r", b"key\r"),
        (b" key ", b" key "),
        (b"\x00\xff", b"\x00\xff"),
        (b"k" * MAX_BYTES, b"k" * MAX_BYTES),
    ],
    ids=["bare", "newline", "CRLF", "two newlines", "CR", "blanks", "bytes", "largest"],
)
async def test_only_one_trailing_newline_is_dropped(
    tmp_path: Path, content: bytes, expected: bytes
) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert await File(tmp_path).fetch("secret") == expected
    assert await File(None).fetch(str(tmp_path / "secret")) == expected


async def test_a_changed_file_is_read_anew_also_through_kubernetes_links(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "key").write_text(f"value-{version}\n")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "key").symlink_to("..data/key")
    source = File(tmp_path)
    assert await source.fetch("key") == b"value-1"
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    assert await source.fetch("key") == b"value-2"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nope", "the secret file nope cannot be read: No such file or directory"),
        ("folder", "the secret file folder is not a regular file"),
        ("pipe", "the secret file pipe is not a regular file"),
        ("empty", "the secret file empty is empty"),
        ("newline", "the secret file newline is empty"),
        ("large", "the secret file large is larger than 64 KiB"),
        ("folder/../large", "the path of a file secret cannot hold `..` or a NUL"),
        ("../x", "the path of a file secret cannot hold `..` or a NUL"),
        ("/etc/../etc/passwd", "the path of a file secret cannot hold `..` or a NUL"),
        ("a\0b", "the path of a file secret cannot hold `..` or a NUL"),
        ("loop", "the secret file loop cannot be read: Too many levels of symbolic links"),
    ],
)
async def test_what_cannot_be_read_is_named_without_its_content(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "newline").write_bytes(b"\n")
    (tmp_path / "large").write_bytes(b"k" * (MAX_BYTES + 1))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SecretUnavailable) as caught:
        await File(tmp_path).fetch(name)
    assert caught.value.deny.reason == why


async def test_a_relative_path_needs_a_directory() -> None:
    with pytest.raises(SecretUnavailable, match="the path key is relative and no secrets_dir"):
        await File(None).fetch("key")


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"k" * (MAX_BYTES + 1))
    source = File(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for name in ("large", ".", "nope") * 20:
        with pytest.raises(SecretUnavailable):
            await source.fetch(name)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
