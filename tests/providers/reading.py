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
    reading = reader.reading(path.encode(), content_type, b"")
    if not reading.streams:
        return merged(head, reading.read(body))
    scan = reading.scan()
    assert scan.feed(body, True)
    return merged(head, scan.said())
