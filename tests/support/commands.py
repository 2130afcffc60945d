"""The command line, called within the test's own process, in a folder with a configuration."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.core import tokens
from gateway.core.model import Token
from gateway.stores.embedded import Embedded

PINNED = tokens.mint(b"p" * 32)
CONFIG = f"""\
secrets_dir: keys
routes:
  openai: {{secret: env:OPENAI_API_KEY}}
  telegram: {{secret: file:telegram}}
bots:
  support:
    labels: [team-a]
    allow: [openai]
    tokens: ["sha256:{tokens.digest(PINNED.encode()).hex()}"]
  research: {{allow: [openai, telegram]}}
"""


def gateway(*arguments: str, given: str | bytes | None = None) -> Result:
    """Run `gateway ARGUMENTS`, with `given` on standard input."""
    return CliRunner().invoke(cli, arguments, input=given)


def stored(here: Path) -> list[Token]:
    """Return the tokens in the folder's store, oldest first."""
    return [one.token for one in Embedded(here / ".gateway").list_tokens()]
