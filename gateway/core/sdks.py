"""What to change in a bot so that it talks to the gateway: the one table, SDK by SDK."""

from __future__ import annotations

from dataclasses import dataclass, replace

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK. `change` is code to paste, `env` what to set instead where the SDK reads it.

    Both hold `{base}`, the route's public base URL such as http://127.0.0.1:8080/openai, and
    `{token}`. Python code makes a `client` or a `bot`.
    """

    provider: str
    name: str
    language: str
    change: str
    env: Pairs = ()


_OPENAI_ENV = (("OPENAI_BASE_URL", "{base}/v1"), ("OPENAI_API_KEY", "{token}"))
_ANTHROPIC_ENV = (("ANTHROPIC_BASE_URL", "{base}"), ("ANTHROPIC_API_KEY", "{token}"))
_GEMINI_ENV = (("GOOGLE_GEMINI_BASE_URL", "{base}"), ("GEMINI_API_KEY", "{token}"))

SDKS = (
    Sdk(
        "openai",
        "openai",
        "python",
        'from openai import OpenAI\nclient = OpenAI(base_url="{base}/v1", api_key="{token}")',
        _OPENAI_ENV,
    ),
    Sdk(
        "openai",
        "openai",
        "node",
        'import OpenAI from "openai";\n'
        'const client = new OpenAI({ baseURL: "{base}/v1", apiKey: "{token}" });',
        _OPENAI_ENV,
    ),
    Sdk(
        "openai",
        "curl",
        "shell",
        'curl "{base}/v1/models" -H "Authorization: Bearer {token}"',
    ),
    Sdk(
        "anthropic",
        "anthropic",
        "python",
        'from anthropic import Anthropic\nclient = Anthropic(base_url="{base}", api_key="{token}")',
        _ANTHROPIC_ENV,
    ),
    Sdk(
        "anthropic",
        "@anthropic-ai/sdk",
        "node",
        'import Anthropic from "@anthropic-ai/sdk";\n'
        'const client = new Anthropic({ baseURL: "{base}", apiKey: "{token}" });',
        _ANTHROPIC_ENV,
    ),
    Sdk(
        "anthropic",
        "curl",
        "shell",
        'curl "{base}/v1/models" -H "x-api-key: {token}" -H "anthropic-version: 2023-06-01"',
    ),
    Sdk(
        "telegram",
        "python-telegram-bot",
        "python",
        "from telegram import Bot\n"
        'bot = Bot("{token}", base_url="{base}/bot", base_file_url="{base}/file/bot")',
    ),
    Sdk(
        "telegram",
        "aiogram",
        "python",
        "from aiogram import Bot\n"
        "from aiogram.client.session.aiohttp import AiohttpSession\n"
        "from aiogram.client.telegram import TelegramAPIServer\n"
        'session = AiohttpSession(api=TelegramAPIServer.from_base("{base}"))\n'
        'bot = Bot("{token}", session=session)',
    ),
    Sdk(
        "telegram",
        "pyTelegramBotAPI",
        "python",
        "from telebot import TeleBot, apihelper\n"
        'apihelper.API_URL = "{base}/bot{0}/{1}"\n'
        'apihelper.FILE_URL = "{base}/file/bot{0}/{1}"\n'
        'bot = TeleBot("{token}")',
    ),
    Sdk(
        "telegram",
        "telegraf",
        "node",
        "// The slash at the end is needed.\n"
        'import { Telegraf } from "telegraf";\n'
        'const bot = new Telegraf("{token}", { telegram: { apiRoot: "{base}/" } });',
    ),
    Sdk(
        "telegram",
        "grammY",
        "node",
        "// There must be no slash at the end.\n"
        'import { Bot } from "grammy";\n'
        'const bot = new Bot("{token}", { client: { apiRoot: "{base}" } });',
    ),
    Sdk("telegram", "curl", "shell", 'curl "{base}/bot{token}/getMe"'),
    Sdk(
        "gemini",
        "google-genai",
        "python",
        "from google import genai\n"
        'client = genai.Client(api_key="{token}", http_options={"base_url": "{base}"})',
        _GEMINI_ENV,
    ),
    Sdk(
        "gemini",
        "@google/genai",
        "node",
        'import { GoogleGenAI } from "@google/genai";\n'
        'const httpOptions = { baseUrl: "{base}" };\n'
        'const client = new GoogleGenAI({ apiKey: "{token}", httpOptions });',
        _GEMINI_ENV,
    ),
    Sdk(
        "gemini",
        "curl",
        "shell",
        'curl "{base}/v1beta/models" -H "x-goog-api-key: {token}"',
    ),
    Sdk(
        "discord",
        "discord.py",
        "python",
        '# Then: await client.login("{token}"). Its WebSocket is not carried yet.\n'
        "import discord\n"
        'discord.http.Route.BASE = "{base}/api/v10"\n'
        "client = discord.Client(intents=discord.Intents.default())",
    ),
    Sdk(
        "discord",
        "hikari",
        "python",
        '# Then: await client.start(), and client.acquire("{token}", "Bot").\n'
        "import hikari\n"
        'client = hikari.RESTApp(url="{base}/api/v10")',
    ),
    Sdk(
        "discord",
        "disnake",
        "python",
        '# Then: await client.login("{token}"). Its WebSocket is not carried yet.\n'
        "import disnake\n"
        'disnake.http.Route.BASE = "{base}/api/v10"\n'
        "client = disnake.Client()",
    ),
    Sdk(
        "discord",
        "discord.js",
        "node",
        "// Its WebSocket is not carried yet, so this is for REST alone.\n"
        'import { REST } from "discord.js";\n'
        'const rest = new REST({ api: "{base}/api" }).setToken("{token}");',
    ),
    Sdk(
        "discord",
        "curl",
        "shell",
        'curl "{base}/api/v10/users/@me" -H "Authorization: Bot {token}"',
    ),
    Sdk(
        "slack",
        "slack_sdk",
        "python",
        "from slack_sdk import WebClient\n"
        'client = WebClient(token="{token}", base_url="{base}/api/")',
    ),
    Sdk(
        "slack",
        "@slack/web-api",
        "node",
        'import { WebClient } from "@slack/web-api";\n'
        'const client = new WebClient("{token}", { slackApiUrl: "{base}/api/" });',
    ),
    Sdk(
        "slack",
        "curl",
        "shell",
        'curl "{base}/api/auth.test" -H "Authorization: Bearer {token}"',
    ),
    Sdk(
        "generic",
        "curl",
        "shell",
        'curl "{base}/" -H "Authorization: Bearer {token}"',
    ),
)


def lines(provider: str, base: str, token: str) -> list[Sdk]:
    """Return the rows of `provider` with the route's base URL and the token filled in."""
    return [
        replace(
            sdk,
            change=_filled(sdk.change, base, token),
            env=tuple((name, _filled(value, base, token)) for name, value in sdk.env),
        )
        for sdk in SDKS
        if sdk.provider == provider
    ]


def _filled(text: str, base: str, token: str) -> str:
    # Not str.format: {0} and {1} belong to pyTelegramBotAPI.
    return text.replace("{base}", base.rstrip("/")).replace("{token}", token)
