"""Builds a Snapshot from a parsed file, and finds what only shows across several keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway import providers
from gateway.config import messages
from gateway.config.errors import Problem, Trail
from gateway.config.schema import BotKeys, FileKeys, ListenerKeys, RouteKeys, RuleKeys
from gateway.config.values import Upstream, upstream
from gateway.config.yaml import Document
from gateway.core.model import (
    Bot,
    Connections,
    Deadlines,
    Listener,
    Provider,
    Route,
    Rule,
    Settings,
    Sizes,
    Snapshot,
    Token,
)
from gateway.core.secret import SecretRef

Model = TypeVar("Model", bound=BaseModel)


class Builder:
    """Builds one file. `problems` holds what was found on the way."""

    def __init__(
        self, document: Document, environ: Mapping[str, str], directory: Path, label: str
    ) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._environ = environ
        self._directory = directory
        self._label = label

    def build(self) -> Snapshot | None:
        """Return the snapshot, None where the keys themselves are wrong."""
        keys = self._validate()
        routes = self._routes(keys)
        bots, tokens = self._bots(keys)
        if keys is None:
            return None
        return Snapshot(
            routes=MappingProxyType(routes),
            bots=MappingProxyType(bots),
            tokens=tokens,
            deadlines=Deadlines(**keys.deadlines.model_dump()),
            sizes=self._sizes(keys),
            connections=Connections(**keys.connections.model_dump()),
            settings=self._settings(keys),
        )

    def _validate(self) -> FileKeys | None:
        try:
            return self._read(FileKeys, self._document.value)
        except ValidationError as exc:
            self.problems += messages.problems(self._document, exc)
            return None

    def _read(self, model: type[Model], value: object) -> Model:
        return model.model_validate(value, context={"environ": self._environ})

    def _problem(self, trail: Trail, message: str) -> None:
        self.problems.append(self._document.problem(trail, message))

    def _section(self, name: str) -> dict[str, object]:
        """Return what stands under a top-level key, as far as it is a mapping."""
        value = self._document.value
        section = value.get(name) if isinstance(value, dict) else None
        return section if isinstance(section, dict) else {}

    def _parts(self, name: str, model: type[Model]) -> dict[str, Model]:
        """Return what is sound in a file that as a whole is not, so that all of it is checked."""
        parts = {key: self._part(model, value) for key, value in self._section(name).items()}
        return {key: part for key, part in parts.items() if part is not None}

    def _part(self, model: type[Model], value: object) -> Model | None:
        """Return an entry without its wrong keys, which are among the problems already."""
        try:
            return self._read(model, value)
        except ValidationError as exc:
            wrong = {error["loc"][0] for error in exc.errors() if error["loc"]}
        if not isinstance(value, dict) or wrong.isdisjoint(value):
            return None
        return self._part(model, {key: one for key, one in value.items() if key not in wrong})

    # Routes

    def _routes(self, keys: FileKeys | None) -> dict[str, Route]:
        entries = keys.routes if keys else self._parts("routes", RouteKeys)
        found = {name: self._route(name, entry) for name, entry in entries.items()}
        routes = {name: route for name, route in found.items() if route is not None}
        self._check_prefixes(routes)
        return routes

    def _route(self, name: str, keys: RouteKeys) -> Route | None:
        trail: Trail = ("routes", name)
        provider = self._provider(name, keys, trail)
        self._check_secret(keys, trail)
        ca = self._file(keys.ca, (*trail, "ca"))
        if provider is None:
            return None
        target = self._upstream(keys, provider, trail)
        if target is None:
            return None
        return Route(
            name=name,
            prefix=f"/{name}".encode() if keys.prefix is None else keys.prefix,
            provider=provider,
            origin=target.origin,
            base=target.base,
            secret=keys.secret,
            tokens=tuple(keys.token) if keys.token else provider.tokens,
            inject=tuple(keys.inject) if keys.inject else provider.inject,
            private=keys.private,
            ca=ca,
            compression=keys.compression,
        )

    def _provider(self, name: str, keys: RouteKeys, trail: Trail) -> Provider | None:
        known = providers.known()
        wanted = keys.provider or name
        if wanted in known:
            return providers.load(wanted)
        if keys.provider is None:
            listed = ", ".join(sorted(known))
            message = f"`provider` is required, as this is not the name of one; they are: {listed}"
            self._problem(trail, message)
        else:
            message = messages.unknown("provider", wanted, known)
            self._problem((*trail, "provider"), message)
        return None

    def _check_secret(self, keys: RouteKeys, trail: Trail) -> None:
        if keys.secret is None and keys.inject:
            self._problem((*trail, "inject"), "this route has no secret to put anywhere")
        if keys.secret and keys.secret.source == "file":
            self._check_secret_file(keys.secret, (*trail, "secret"))

    def _check_secret_file(self, ref: SecretRef, trail: Trail) -> None:
        value = self._document.value
        has_directory = isinstance(value, dict) and value.get("secrets_dir")
        if not Path(ref.name).is_absolute() and not has_directory:
            message = "a relative `file:` secret needs `secrets_dir`; or write an absolute path"
            self._problem(trail, message)

    def _upstream(self, keys: RouteKeys, provider: Provider, trail: Trail) -> Upstream | None:
        target = keys.upstream
        if target is None and provider.upstream is not None:
            target = upstream(provider.upstream)
        if target is None:
            self._problem(trail, f"`upstream` is required: {provider.name} has none of its own")
            return None
        inside = (*trail, "upstream")
        if target.origin.scheme == "http" and not target.is_loopback and not keys.insecure:
            message = "plain http:// would show the secret to the network; use https://"
            self._problem(inside, f"{message}, or allow it with `insecure: true`")
        if target.is_private and not keys.private:
            message = "this is a private or loopback address; allow it with `private: true`"
            self._problem(inside, message)
        return target

    def _check_prefixes(self, routes: Mapping[str, Route]) -> None:
        first: dict[bytes, str] = {}
        for name, route in routes.items():
            if route.prefix in first:
                shown = route.prefix.decode("ascii") or "/"
                message = f"route {first[route.prefix]} has the prefix {shown} too"
                self._problem(("routes", name, "prefix"), message)
            first.setdefault(route.prefix, name)

    # Bots

    def _bots(self, keys: FileKeys | None) -> tuple[dict[str, Bot], tuple[Token, ...]]:
        entries = keys.bots if keys else self._parts("bots", BotKeys)
        bots = {
            name: Bot(name, MappingProxyType(self._rules(name, entry)), tuple(entry.labels))
            for name, entry in entries.items()
        }
        return bots, self._tokens(entries)

    def _rules(self, bot: str, keys: BotKeys) -> dict[str, Rule]:
        routes = self._section("routes")
        rules: dict[str, Rule] = {}
        for index, entry in enumerate(keys.allow):
            route = entry.route if isinstance(entry, RuleKeys) else entry
            trail: Trail = ("bots", bot, "allow", index)
            at = (*trail, "route") if isinstance(entry, RuleKeys) else trail
            if route not in routes:
                self._problem(at, messages.unknown("route", route, routes))
            elif route in rules:
                self._problem(at, f"route {route} is allowed already, in {rules[route].place}")
            else:
                rules[route] = Rule(route, self._place(trail))
        return rules

    def _tokens(self, entries: Mapping[str, BotKeys]) -> tuple[Token, ...]:
        tokens: dict[bytes, Token] = {}
        for bot, keys in entries.items():
            for index, digest in enumerate(keys.tokens):
                trail: Trail = ("bots", bot, "tokens", index)
                if digest in tokens:
                    message = f"this token is pinned already, in {tokens[digest].origin}"
                    self._problem(trail, message)
                    continue
                token_id = f"pin_{digest.hex()[:12]}"
                tokens[digest] = Token(token_id, digest, bot, 0.0, origin=self._place(trail))
        return tuple(tokens.values())

    def _place(self, trail: Trail) -> str:
        """Return what names a place of the file in a record: `routes.yaml:12 bots.x.allow[0]`."""
        problem = self._document.problem(trail, "")
        return f"{self._label}:{problem.line} {problem.place}"

    # The rest

    def _sizes(self, keys: FileKeys) -> Sizes:
        if keys.sizes.peeks < keys.sizes.peek:
            self._problem(("sizes", "peeks"), "this is less than `peek`, so no body could be read")
        return Sizes(**keys.sizes.model_dump())

    def _settings(self, keys: FileKeys) -> Settings:
        listeners = self._listeners(keys)
        secrets_dir = keys.secrets_dir and self._absolute(keys.secrets_dir)
        return Settings(
            listeners=tuple(listeners),
            admin=self._listener(keys.admin, ("admin",)),
            state=self._absolute(keys.state),
            audit=keys.audit if keys.audit == "-" else self._absolute(keys.audit),
            log=keys.log,
            env_file=self._env_file(keys),
            secrets_dir=secrets_dir,
        )

    def _listeners(self, keys: FileKeys) -> list[Listener]:
        if not isinstance(keys.listen, list):
            listeners = [self._listener(keys.listen, ("listen",))]
        else:
            listeners = [
                self._listener(one, ("listen", index)) for index, one in enumerate(keys.listen)
            ]
        self._check_addresses(keys, listeners)
        return listeners

    def _check_addresses(self, keys: FileKeys, listeners: list[Listener]) -> None:
        if isinstance(keys.admin, ListenerKeys):
            message = "only an address is allowed, such as 127.0.0.1:9091; it speaks plain HTTP"
            self._problem(("admin",), message)
        admin = keys.admin.address if isinstance(keys.admin, ListenerKeys) else keys.admin
        seen = {admin} if admin[1] else set()
        for index, listener in enumerate(listeners):
            trail: Trail = ("listen", index) if isinstance(keys.listen, list) else ("listen",)
            at = (listener.host, listener.port)
            if at in seen:
                self._problem(trail, "another listener, or `admin`, has this address")
            if listener.port:
                seen.add(at)

    def _listener(self, keys: tuple[str, int] | ListenerKeys, trail: Trail) -> Listener:
        if isinstance(keys, tuple):
            return Listener(*keys)
        if (keys.certificate is None) != (keys.key is None):
            self._problem(trail, "`certificate` and `key` go together")
        certificate = self._file(keys.certificate, (*trail, "certificate"))
        key = self._file(keys.key, (*trail, "key"))
        return Listener(*keys.address, certificate, key, keys.reuse_port)

    def _env_file(self, keys: FileKeys) -> str | None:
        if keys.env_file is not None:
            return self._file(keys.env_file, ("env_file",))
        beside = self._directory / ".env"
        return str(beside) if beside.is_file() else None

    def _file(self, path: str | None, trail: Trail) -> str | None:
        if path is None:
            return None
        absolute = self._absolute(path)
        if not Path(absolute).is_file():
            self._problem(trail, "there is no such file")
        return absolute

    def _absolute(self, path: str) -> str:
        return str((self._directory / path).absolute())
