"""`env:` secrets: the environment goes before the file, and nothing is written anywhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from gateway.core.errors import SecretUnavailable
from gateway.sources.env import Env


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    file.write_text("KEY=from-file\n")
    file.chmod(0o600)
    return file


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def replace_alike(file: Path, content: bytes) -> None:
    """Put another file in its place, of the same size and age."""
    status = file.stat()
    other = file.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


async def test_the_environment_goes_before_the_file(env_file: Path) -> None:
    assert await Env({"KEY": "from-environment"}, env_file).fetch("KEY") == b"from-environment"
    assert await Env({}, env_file).fetch("KEY") == b"from-file"


async def test_an_empty_variable_leaves_it_to_the_file(env_file: Path) -> None:
    assert await Env({"KEY": ""}, env_file).fetch("KEY") == b"from-file"


async def test_the_file_is_read_again_when_it_changes(env_file: Path) -> None:
    source = Env({}, env_file)
    assert await source.fetch("KEY") == b"from-file"
    write(env_file, b"KEY=changed-and-longer\n")
    assert await source.fetch("KEY") == b"changed-and-longer"


async def test_a_file_of_the_same_size_and_age_put_in_its_place_is_read(env_file: Path) -> None:
    source = Env({}, env_file)
    await source.fetch("KEY")
    replace_alike(env_file, b"KEY=from-moon\n")
    assert await source.fetch("KEY") == b"from-moon"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("KEY=a$HOME${HOME}", b"a$HOME${HOME}"),
        ("export KEY=a", b"a"),
        ("KEY='a b'", b"a b"),
        ('KEY="a#b"', b"a#b"),
        ("KEY=a # comment", b"a"),
    ],
)
async def test_lines_are_read_without_interpolation(
    env_file: Path, line: str, expected: bytes
) -> None:
    write(env_file, line.encode() + b"\n")
    assert await Env({"HOME": "/root"}, env_file).fetch("KEY") == expected


async def test_the_process_environment_is_not_written(env_file: Path) -> None:
    before = dict(os.environ)
    await Env(os.environ, env_file).fetch("KEY")
    assert dict(os.environ) == before


async def test_a_missing_variable_is_named(env_file: Path) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        await Env({}, env_file).fetch("NOPE")
    assert caught.value.deny.status == 503
    assert caught.value.deny.reason == (
        "the environment variable NOPE is not set or is empty, and .env gives it no value"
    )
    with pytest.raises(SecretUnavailable, match=r"NOPE is not set or is empty$"):
        await Env({}, None).fetch("NOPE")


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match=r"\.env cannot be read: No such file"):
        await Env({}, tmp_path / ".env").fetch("KEY")


async def test_an_unreadable_file_never_shows_its_content(env_file: Path) -> None:
    write(env_file, b"KEY=canary\xff\n")
    with pytest.raises(SecretUnavailable) as caught:
        await Env({}, env_file).fetch("KEY")
    assert caught.value.deny.reason == ".env is not UTF-8 text"
    assert caught.value.__cause__ is None
    assert "canary" not in repr(caught.value)


async def test_one_trailing_newline_is_dropped() -> None:
    assert await Env({"KEY": "a\n"}, None).fetch("KEY") == b"a"
    assert await Env({"KEY": "a\n\n"}, None).fetch("KEY") == b"a\n"


async def test_a_file_that_all_can_read_is_warned_about_once(
    env_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.chmod(env_file, 0o644)
    source = Env({}, env_file)
    with caplog.at_level(logging.WARNING):
        await source.fetch("KEY")
        await source.fetch("KEY")
    assert [record.getMessage() for record in caplog.records] == [
        f"{env_file} can be read by every user of this machine; chmod 600 it"
    ]
