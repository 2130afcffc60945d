"""Telegram Bot API: the key stands in the path, also of file downloads."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from types import MappingProxyType

from gateway.core.errors import Deny
from gateway.core.model import Provider, Refusal, Subject
from gateway.core.places import Path
from gateway.core.shapes import json_refusal, sentence

# Every SDK asks who it is as it starts, and takes the updates away from a webhook to poll them.
_READ = (
    "getMe",
    "getUpdates",
    "deleteWebhook",
    "getWebhookInfo",
    "getFile",
    "getChat",
    "getChatAdministrators",
    "getChatMember",
    "getChatMemberCount",
    "getChatMenuButton",
    "getCustomEmojiStickers",
    "getForumTopicIconStickers",
    "getGameHighScores",
    "getMyCommands",
    "getMyDefaultAdministratorRights",
    "getMyDescription",
    "getMyName",
    "getMyShortDescription",
    "getStickerSet",
    "getUserChatBoosts",
    "getUserProfilePhotos",
)
# Without sendGift, sendInvoice and sendPaidMedia: they spend stars or ask for money.
_SEND = (
    "getMe",
    "answerCallbackQuery",
    "answerInlineQuery",
    "copyMessage",
    "copyMessages",
    "deleteMessage",
    "deleteMessages",
    "editMessageCaption",
    "editMessageChecklist",
    "editMessageLiveLocation",
    "editMessageMedia",
    "editMessageReplyMarkup",
    "editMessageText",
    "forwardMessage",
    "forwardMessages",
    "sendAnimation",
    "sendAudio",
    "sendChatAction",
    "sendChecklist",
    "sendContact",
    "sendDice",
    "sendDocument",
    "sendGame",
    "sendLivePhoto",
    "sendLocation",
    "sendMediaGroup",
    "sendMessage",
    "sendMessageDraft",
    "sendPhoto",
    "sendPoll",
    "sendRichMessage",
    "sendRichMessageDraft",
    "sendSticker",
    "sendVenue",
    "sendVideo",
    "sendVideoNote",
    "sendVoice",
    "setMessageReaction",
    "stopMessageLiveLocation",
    "stopPoll",
)

# Where something is sent to or taken from. A user_id is mostly a member of such a chat, and a
# method that names nothing else names no chat: a rule about chats refuses it.
_NAMES = (
    "chat_id",
    "from_chat_id",
    "new_owner_chat_id",
    "reply_parameters.chat_id",
    "scope.chat_id",
)
_CHAT = Subject(
    "chat",
    fields=_NAMES,
    query=_NAMES,
    form=r"-?[1-9][0-9]{0,19}|@[A-Za-z0-9_]{3,64}",
    fold=True,
    free=(
        "getMe",
        "getUpdates",
        "deleteWebhook",
        "getWebhookInfo",
        "getFile",
        "answerCallbackQuery",
        "getCustomEmojiStickers",
        "getForumTopicIconStickers",
        "getMyDefaultAdministratorRights",
        "getMyDescription",
        "getMyName",
        "getMyShortDescription",
        "getStickerSet",
        "getMyCommands",
        "setMyCommands",
        "deleteMyCommands",
    ),
)


def _refuse(deny: Deny, exchange: str) -> Refusal:
    """Say it in the status and in the body alike: some SDKs read only one of them.

    python-telegram-bot takes 401 and 404 for a wrong token and stops polling for good. That is
    right for 401 alone, so a 404 goes out as 400. A `retry_after` hides the description there,
    so it is sent only where it is exact.
    """
    deny = replace(deny, status=400) if deny.status == 404 else deny
    body: dict[str, object] = {
        "ok": False,
        "error_code": deny.status,
        "description": sentence(deny, exchange),
    }
    if deny.retry_after is not None and deny.status == 429:
        body["parameters"] = {"retry_after": ceil(deny.retry_after)}
    return json_refusal(deny, body)


PLUGIN = Provider(
    name="telegram",
    upstream="https://api.telegram.org",
    tokens=(Path("/bot"), Path("/file/bot")),
    refuse=_refuse,
    subjects=(_CHAT,),
    presets=MappingProxyType({"read": _READ, "send": _SEND}),
    uncarried=("getManagedBotToken", "replaceManagedBotToken"),  # they answer with a real token
    method=r"^/(?:bot[^/]+/([A-Za-z]+)$|file/bot[^/]+/(?P<getFile>.))",
)
