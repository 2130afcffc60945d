"""Slack's Web API: a Bearer or a form's `token`, and failures that are HTTP 200."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from gateway.core.errors import Deny
from gateway.core.model import Provider, Refusal, Subject
from gateway.core.places import FormField, Header
from gateway.core.shapes import is_short_wait, json_refusal, sentence

_ABOUT_NO_CHANNEL = (
    "api.test",
    "auth.test",
    "bots.info",
    "conversations.list",
    "dnd.info",
    "dnd.teamInfo",
    "emoji.list",
    "team.info",
    "usergroups.list",
    "usergroups.users.list",
    "users.conversations",
    "users.getPresence",
    "users.info",
    "users.list",
    "users.lookupByEmail",
    "users.profile.get",
)
_READ = (
    *_ABOUT_NO_CHANNEL,
    "bookmarks.list",
    "chat.getPermalink",
    "chat.scheduledMessages.list",
    "conversations.history",
    "conversations.info",
    "conversations.members",
    "conversations.replies",
    "files.info",
    "files.list",
    "pins.list",
    "reactions.get",
    "reactions.list",
)
_SEND = (
    "api.test",
    "auth.test",
    "assistant.threads.setStatus",
    "assistant.threads.setSuggestedPrompts",
    "assistant.threads.setTitle",
    "chat.appendStream",
    "chat.delete",
    "chat.deleteScheduledMessage",
    "chat.getPermalink",
    "chat.meMessage",
    "chat.postEphemeral",
    "chat.postMessage",
    "chat.scheduleMessage",
    "chat.startStream",
    "chat.stopStream",
    "chat.unfurl",
    "chat.update",
    "conversations.open",
    "files.completeUploadExternal",
    "files.getUploadURLExternal",
    "files.upload",
    "reactions.add",
    "reactions.remove",
    "views.open",
    "views.publish",
    "views.push",
    "views.update",
)

_NAMES = ("channel", "channels,", "channel_id", "channel_ids,")
_CHANNEL = Subject(
    "channel",
    fields=_NAMES,
    query=_NAMES,
    form=r"[A-Za-z0-9#@_.-]{1,80}",
    free=(*_ABOUT_NO_CHANNEL, "files.getUploadURLExternal"),
)


def _refuse(deny: Deny, exchange: str) -> Refusal:
    """Say it as Slack does, with status 200: @slack/web-api repeats any other for half an hour.

    It shows `error` alone and logs the messages; slack_sdk shows the whole body. A 429 is sent
    where its wait is exact and short, which is what their rate-limit handlers wait for.
    """
    status = 429 if is_short_wait(deny) else 200
    body = {
        "ok": False,
        "error": deny.code,
        "response_metadata": {"messages": [f"[ERROR] {sentence(deny, exchange)}"]},
    }
    return json_refusal(replace(deny, status=status), body)


PLUGIN = Provider(
    name="slack",
    upstream="https://slack.com",
    tokens=(Header("Authorization", "Bearer"), FormField("token")),
    refuse=_refuse,
    subjects=(_CHANNEL,),
    presets=MappingProxyType({"read": _READ, "send": _SEND}),
    method=r"^/api/([A-Za-z0-9]+(?:\.[A-Za-z0-9]+)+)$",
    # They answer with the address of a WebSocket, whose ticket is as good as the token.
    uncarried=("apps.connections.open", "rtm.connect", "rtm.start"),
)
