"""One request and its answer, on their way through: the only mutable noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.core.model import Origin, Provider, Route, Token
from gateway.core.shapes import plain_refusal

if TYPE_CHECKING:
    from asyncio import Future
    from types import CoroutineType

    from gateway.core.answer import AnswerHead
    from gateway.core.fields import FormScan
    from gateway.core.places import Place
    from gateway.core.request import RequestHead
    from gateway.core.secret import Secret
    from gateway.core.tap import Tap
    from gateway.policy import Policy
    from gateway.sides import BotSide, ProviderSide
    from gateway.standing import Standing
    from gateway.stores import Hold


NOWHERE = Route(
    name="",
    prefix=b"",
    provider=Provider("", None, (), plain_refusal),
    origin=Origin("http", "", 0),
    base=b"",
    secret=None,
    tokens=(),
    inject=(),
)
"""The route of a request that no route takes."""

NOBODY = Token("", b"", "", 0.0)
"""The token of a request that shows none."""


class Exchange:
    """Everything known of one exchange. Times are `perf_counter`'s seconds but `wall`, Unix.

    `parts` are body pieces that wait for a provider's connection; `reading` is set while the
    journey waits for more of them, `read` counts the bytes so read, and `watch` looks at the
    pieces that pass. `found` is how the `address` was found, "" for the connection's own;
    `observed` is the code of a refusal that was let pass. `head_out` is the answer's head,
    written together with the first piece of its body. What is not known yet is the class's
    default, so that beginning an exchange costs little.
    """

    # Found on the way.
    route = NOWHERE
    path = b""
    query: bytes | None = None
    bot = ""
    token = NOBODY
    standing: Standing | None = None
    rule = ""
    subject = ""
    observed = ""
    found = ""
    inject: tuple[Place, ...] = ()
    hold: Hold | None = None
    secret: Secret | None = None

    # The request's body.
    received = 0
    complete = False
    replayable = True
    reading: Future[None] | None = None
    watch: FormScan | None = None
    read = 0

    # The provider's side, and the answer.
    journey: CoroutineType[Any, Any, None] | None = None
    waiting: Future[Any] | None = None
    provider_side: ProviderSide | None = None
    attempts = 0
    reused = False
    answer: AnswerHead | None = None
    taps: tuple[Tap, ...] = ()
    head_out = b""
    chunked_out = False
    first_byte = 0.0
    sent = 0
    status = 0
    code = ""
    request_id = ""
    over = False

    def __init__(
        self,
        name: str,
        policy: Policy,
        head: RequestHead,
        bot_side: BotSide,
        started: float,
        wall: float,
    ) -> None:
        self.id = name
        self.policy = policy
        self.head = head
        self.bot_side = bot_side
        self.address = bot_side.address
        self.started = started
        self.wall = wall
        self.parts: list[bytes] = []

    def __repr__(self) -> str:
        return f"Exchange({self.id})"
