"""One request and its answer, on their way through: the only mutable noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Coroutine

    from gateway.core.answer import AnswerHead
    from gateway.core.model import Provider, Route, Token
    from gateway.core.places import Place
    from gateway.core.request import RequestHead
    from gateway.core.secret import Secret
    from gateway.core.tap import Tap
    from gateway.downstream import BotConnection
    from gateway.policy import Policy
    from gateway.stores import Hold
    from gateway.upstream import ProviderConnection


class Exchange:
    """Everything known of one exchange. Times are `perf_counter`'s seconds but `wall`, Unix.

    `parts` are body pieces that wait for a provider's connection; `head_out` is the answer's
    head, written together with the first piece of its body.
    """

    __slots__ = (
        "address",
        "answer",
        "attempts",
        "bot",
        "bot_side",
        "chunked_out",
        "code",
        "complete",
        "first_byte",
        "head",
        "head_out",
        "hold",
        "id",
        "inject",
        "journey",
        "over",
        "parts",
        "path",
        "peeked",
        "peeking",
        "policy",
        "provider_side",
        "query",
        "received",
        "replayable",
        "request_id",
        "reused",
        "route",
        "rule",
        "secret",
        "sent",
        "started",
        "status",
        "subject",
        "taps",
        "token",
        "wall",
    )

    def __init__(
        self,
        id: str,
        policy: Policy,
        head: RequestHead | None,
        bot_side: BotConnection,
        address: str,
        started: float,
        wall: float,
    ) -> None:
        self.id = id
        self.policy = policy
        self.head = head
        self.bot_side = bot_side
        self.address = address
        self.started = started
        self.wall = wall

        # Found on the way.
        self.route: Route | None = None
        self.path = b""
        self.query: bytes | None = None
        self.bot = ""
        self.token: Token | None = None
        self.rule = ""
        self.subject = ""
        self.inject: tuple[Place, ...] = ()
        self.hold: Hold | None = None
        self.secret: Secret | None = None

        # The request's body.
        self.parts: list[bytes] = []
        self.received = 0
        self.complete = False
        self.replayable = True
        self.peeking: Future[None] | None = None
        self.peeked = 0

        # The provider's side, and the answer.
        self.journey: Coroutine[Any, Any, None] | None = None
        self.provider_side: ProviderConnection | None = None
        self.attempts = 0
        self.reused = False
        self.taps: tuple[Tap, ...] = ()
        self.answer: AnswerHead | None = None
        self.head_out = b""
        self.chunked_out = False
        self.first_byte = 0.0
        self.sent = 0
        self.status = 0
        self.code = ""
        self.request_id = ""
        self.over = False

    @property
    def provider(self) -> Provider | None:
        """The provider whose shape refusals take, once the route is known."""
        return self.route.provider if self.route is not None else None

    def __repr__(self) -> str:
        return f"Exchange({self.id})"
