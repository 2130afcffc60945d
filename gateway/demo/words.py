"""The demo's counting rule: one token for each word that is separated by white space.

Input is every text that carries content: a plain string, or the strings found under the
``CARRIERS`` keys of messages, parts and items, at any depth. Output is the text that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

CARRIERS = frozenset(
    ("arguments", "content", "description", "input", "output", "parts", "system", "text")
)
_PIECE = re.compile(r"\s*\S+")


def count(text: str) -> int:
    """Tokens in a text."""
    return len(text.split())


def pieces(text: str) -> list[str]:
    """Split into pieces of one token each; joined again they are the text (less trailing space)."""
    return _PIECE.findall(text)


def texts(node: object) -> Iterator[str]:
    """Every text that carries content inside a piece of parsed JSON, in order."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in CARRIERS:
                yield from texts(value)


def count_all(*nodes: object) -> int:
    """Tokens in all texts of some pieces of parsed JSON."""
    return sum(count(text) for node in nodes for text in texts(node))
