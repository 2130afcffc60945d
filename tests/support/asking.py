"""A bot's request, from an address of its choice, and what came back: nothing is guessed."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.running import DEADLINE, Running

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
_CODE = re.compile(rb"\(code (\w+), exchange [0-9a-f]{20}\)")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names in lower case. `code` is a refusal's, "" where it is none of ours."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = _CODE.search(self.body)
        return found[1].decode() if found else ""

    @property
    def exchange(self) -> str:
        return self.headers["x-gateway-exchange"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `@@` in target or lines is where the token goes; nowhere: Bearer, or Bot."""

    bot: str
    method: str
    target: str
    body: bytes = b""
    lines: tuple[str, ...] = ()
    source: str = "127.0.0.1"
    """Address on loopback that the connection comes from."""

    def shown(self, token: str) -> tuple[str, list[str]]:
        """Return the target and the header lines, but for Host and Content-Length."""
        lines = list(self.lines)
        if "@@" not in " ".join([self.target, *lines]):
            scheme = "Bot" if self.target.startswith("/discord/") else "Bearer"
            lines.append(f"Authorization: {scheme} @@")
        return self.target.replace("@@", token), [line.replace("@@", token) for line in lines]

    def of(self, running: Running, token: str = "", port: int = 0) -> Reply:
        """Send it, as the bot if no other token is given; to the bots' port if no other is."""
        token = token or running.token(self.bot)
        connection = http.client.HTTPConnection(
            "127.0.0.1", port or running.port, timeout=DEADLINE, source_address=(self.source, 0)
        )
        target, lines = self.shown(token)
        named = any(line.lower().startswith("host:") for line in lines)
        try:
            connection.putrequest(self.method, target, named, skip_accept_encoding=True)
            for line in lines:
                name, _, value = line.partition(":")
                connection.putheader(name, value.strip())
            if self.body:
                connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body or None)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()


def form_of(*fields: tuple[str, str], file: bytes = b"", after: bytes = b"") -> bytes:
    """Return a multipart body of boundary `b`: fields, a file called `file`, parts after it."""
    out = b"".join(part_of(name, value) for name, value in fields)
    if file:
        out += b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        out += file + b"\r\n"
    return out + after + b"--b--\r\n"


def part_of(name: str, value: str) -> bytes:
    """Return one field of such a body."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
