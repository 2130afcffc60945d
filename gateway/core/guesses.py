"""Wrong tokens by address: who guesses is slowed, and never a bot that shows a right one."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

FREE = 20
"""Wrong tokens from one address within `SECONDS` that cost nothing."""
SECONDS = 60.0
_MOST = 10_000


class Guesses:
    """Counts the wrong tokens of each address; a bounded number of addresses, newest kept.

    Of an IPv6 address its /64 counts, which is what one host gets to choose from.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wrong(self, address: str, now: float) -> int:
        """Count one wrong token; return how many beyond the free ones there were of late."""
        key = _network(address)
        since, count = self._counts.pop(key, (now, 0))
        if now - since >= SECONDS:
            since, count = now, 0
        self._counts[key] = since, count + 1
        if len(self._counts) > _MOST:
            self._counts.popitem(last=False)
        return max(0, count + 1 - FREE)

    def __len__(self) -> int:
        return len(self._counts)


def _network(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Address(int(ip) >> 64 << 64)) if isinstance(ip, IPv6Address) else address
