"""Discord's REST API: `Authorization: Bot`, and SDKs that repeat some refusals without end."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from types import MappingProxyType

from gateway.core.errors import Deny
from gateway.core.model import Provider, Refusal, Subject
from gateway.core.places import Header
from gateway.core.shapes import is_short_wait, json_refusal, sentence

# What an SDK asks as it logs in.
_LOGIN = ("GET /api/v*/users/@me", "GET /api/v*/oauth2/applications/@me")
_ABOUT_NO_CHANNEL = (
    *_LOGIN,
    "GET /api/v*/applications/@me",
    "GET /api/v*/users/*",
    "GET /api/v*/users/@me/guilds",
    "GET /api/v*/guilds/*",
    "GET /api/v*/guilds/*/channels",
    "GET /api/v*/guilds/*/emojis",
    "GET /api/v*/guilds/*/emojis/*",
    "GET /api/v*/guilds/*/members",
    "GET /api/v*/guilds/*/members/*",
    "GET /api/v*/guilds/*/roles",
    "GET /api/v*/guilds/*/roles/*",
    "GET /api/v*/guilds/*/stickers",
    "GET /api/v*/guilds/*/stickers/*",
    "GET /api/v*/sticker-packs",
    "GET /api/v*/stickers/*",
)
_READ = (
    *_ABOUT_NO_CHANNEL,
    "GET /api/v*/guilds/*/threads/active",
    "GET /api/v*/channels/*",
    "GET /api/v*/channels/*/messages",
    "GET /api/v*/channels/*/messages/*",
    "GET /api/v*/channels/*/messages/*/reactions/*",
    "GET /api/v*/channels/*/messages/pins",
    "GET /api/v*/channels/*/pins",
    "GET /api/v*/channels/*/polls/*/answers/*",
    "GET /api/v*/channels/*/thread-members",
    "GET /api/v*/channels/*/threads/archived/public",
    "GET /api/v*/channels/*/threads/archived/private",
)
_SEND = (
    *_LOGIN,
    "POST /api/v*/users/@me/channels",
    "POST /api/v*/channels/*/messages",
    "PATCH /api/v*/channels/*/messages/*",
    "DELETE /api/v*/channels/*/messages/*",
    "POST /api/v*/channels/*/messages/*/crosspost",
    "PUT /api/v*/channels/*/messages/*/reactions/*/@me",
    "DELETE /api/v*/channels/*/messages/*/reactions/*/@me",
    "POST /api/v*/channels/*/messages/*/threads",
    "POST /api/v*/channels/*/threads",
    "POST /api/v*/channels/*/polls/*/expire",
    "POST /api/v*/channels/*/typing",
)

_CHANNEL = Subject(
    "channel",
    # A message can be forwarded out of another channel, and a member moved into one.
    fields=(
        "channel_id",
        "webhook_channel_id",
        "message_reference.channel_id",
        "payload_json.message_reference.channel_id",
    ),
    path=r"^/api(?:/v\d+)?/(?:channels|stage-instances)/([^/]+)",
    form=r"[0-9]{1,20}",
    free=_ABOUT_NO_CHANNEL,
)


def _refuse(deny: Deny, exchange: str) -> Refusal:
    """Say it with a status that no SDK repeats for ever, and whose body each of them shows."""
    status = _status(deny)
    body: dict[str, object] = {"code": 0, "message": sentence(deny, exchange)}
    if status == 429 and deny.retry_after is not None:
        body |= {"retry_after": ceil(round(deny.retry_after * 1000, 3)) / 1000, "global": False}
    return json_refusal(replace(deny, status=status), body)


def _status(deny: Deny) -> int:
    """Return the status that stands for `deny` here.

    hikari and discord.js obey a 429 again and again, discord.js even without a wait, so only an
    exact, short one is sent. What may be tried again at any time is a 503, which both try three
    times more; what may not is a 403, as is a 501: of a 5xx discord.js does not show the message.
    """
    if deny.status == 429 and not is_short_wait(deny):
        return 503 if deny.retry_after is None and deny.repeatable else 403
    return 403 if deny.status == 501 else deny.status


PLUGIN = Provider(
    name="discord",
    upstream="https://discord.com",
    tokens=(Header("Authorization", "Bot"),),
    refuse=_refuse,
    subjects=(_CHANNEL,),
    presets=MappingProxyType({"read": _READ, "send": _SEND}),
    # They answer with the address of a WebSocket, which wants the real token.
    uncarried=(
        "GET /api/gateway",
        "GET /api/gateway/bot",
        "GET /api/v*/gateway",
        "GET /api/v*/gateway/bot",
    ),
)
