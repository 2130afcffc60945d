"""What a provider's subjects are seen to be, in a request with the body of a real SDK."""

from __future__ import annotations

from gateway.core.fields import FieldReader, Said, merged
from gateway.core.model import Provider

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"


def said(
    provider: Provider,
    path: str,
    body: bytes = b"",
    content_type: bytes = JSON,
    query: bytes | None = None,
) -> Said:
    """Return all that path, query and body say. Raises Refused where they cannot be read."""
    reader = FieldReader(provider.subjects)
    head = reader.head(path.encode(), query)
    if not body or not reader.wants_body(path.encode()):
        return head
    peek = reader.peek(path.encode(), content_type, b"")
    assert peek.feed(body, True)
    return merged(head, peek.said())
