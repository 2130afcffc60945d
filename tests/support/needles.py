"""Find a secret in whatever form it may have leaked: as it is, encoded, or in half."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus


def forms(secret: str) -> dict[str, bytes]:
    """Return the byte strings that give `secret` away, by the name of the form."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "percent-encoded": quote(secret, safe="").encode(),
        "percent-encoded whole": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "form-encoded": quote_plus(secret).encode(),
        "escaped in JSON": json.dumps(secret)[1:-1].encode(),
        "escaped by repr": repr(raw)[2:-1].encode(),
        "hex": raw.hex().encode(),
        "backwards": raw[::-1],
        "the first half": raw[: len(raw) // 2],
        "the second half": raw[len(raw) // 2 :],
    }
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + raw)
        # Only the characters that no neighbouring byte has a part in.
        whole = text[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        found[f"base64 at {offset}"] = whole
        found[f"base64url at {offset}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def traces(text: bytes, secrets: dict[str, str]) -> list[str]:
    """Return what gives a secret away in `text`: its name, the form, and what is around it."""
    lower = text.lower()
    return [
        f"{name} ({form}): ...{_around(lower, needle.lower())!r}..."
        for name, secret in secrets.items()
        for form, needle in forms(secret).items()
        if needle.lower() in lower
    ]


def _around(text: bytes, needle: bytes) -> bytes:
    found = re.search(re.escape(needle), text)
    assert found is not None
    return text[max(found.start() - 80, 0) : found.end() + 20]
