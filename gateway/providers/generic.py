"""Any other HTTP API with a static key: the route says where it is."""

from __future__ import annotations

from gateway.core.model import Provider
from gateway.core.places import Basic, Header
from gateway.core.shapes import plain_refusal

PLUGIN = Provider(
    name="generic",
    upstream=None,
    tokens=(Header("Authorization", "Bearer"), Header("X-Api-Key"), Basic("password")),
    refuse=plain_refusal,
)
