"""Every metric: plain counters on the hot path, given to Prometheus when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.exchange import Exchange

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

NAMES = frozenset(
    {
        "gateway_exchanges_total",
        "gateway_exchange_seconds",
        "gateway_first_byte_seconds",
        "gateway_bytes_total",
        "gateway_refusals_total",
        "gateway_upstream_failures_total",
        "gateway_upstream_connections",
        "gateway_stale_retries_total",
        "gateway_unsolicited_total",
        "gateway_bot_connections",
        "gateway_open_exchanges",
        "gateway_audit_backlog_bytes",
        "gateway_observed_total",
        "gateway_freezes",
        "gateway_config_reload_ok",
        "gateway_config_reloads_total",
        "gateway_config_loaded_timestamp_seconds",
        "gateway_build_info",
    }
)


class _Route:
    """One route's figures. Arrays of numbers, so that those of several workers can be added."""

    __slots__ = ("first_byte", "received", "seconds", "sent", "total_first", "total_seconds")

    def __init__(self) -> None:
        self.seconds = [0] * (len(BUCKETS) + 1)
        self.first_byte = [0] * (len(BUCKETS) + 1)
        self.total_seconds = 0.0
        self.total_first = 0.0
        self.received = 0
        self.sent = 0


class Metrics(Collector):
    """The process's figures. Label values come from the configuration or from closed lists."""

    def __init__(self) -> None:
        self._exchanges: Counter[tuple[str, str, int]] = Counter()
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._observed: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._retries: Counter[str] = Counter()
        self._routes: defaultdict[str, _Route] = defaultdict(_Route)
        self.gauges: dict[str, Callable[[], float]] = {}
        """Read at scrape time: what other objects count anyway."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def exchange(self, x: Exchange, seconds: float) -> None:
        """Count one finished exchange, which took `seconds`."""
        self._exchanges[x.route.name, x.bot, x.status] += 1
        figures = self._routes[x.route.name]
        figures.seconds[bisect_left(BUCKETS, seconds)] += 1
        figures.total_seconds += seconds
        if x.first_byte:
            first = x.first_byte - x.started
            figures.first_byte[bisect_left(BUCKETS, first)] += 1
            figures.total_first += first
        if x.observed:
            self._observed[x.route.name, x.observed] += 1
        figures.received += x.received
        figures.sent += x.sent

    def refusal(self, route: str, code: str) -> None:
        """Count one refusal; `code` is a `Deny`'s."""
        self._refusals[route, code] += 1

    def failure(self, route: str, kind: str) -> None:
        """Count one failure at the provider's side; `kind` is a `Failure`'s."""
        self._failures[route, kind] += 1

    def retry(self, route: str) -> None:
        """Count one repeat over a fresh connection."""
        self._retries[route] += 1

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Give the current figures; called by prometheus_client at scrape time."""
        yield from self._counters()
        yield from self._by_route()
        yield from self._gauges()
        info = GaugeMetricFamily("gateway_build_info", "The running version", labels=["version"])
        info.add_metric([__version__], 1.0)
        yield info

    def _counters(self) -> Iterator[Metric]:
        yield _counter(
            "gateway_exchanges",
            "Exchanges by the status that the bot saw (499: it left first)",
            ["route", "bot", "status"],
            ((r, b, str(s), n) for (r, b, s), n in self._exchanges.items()),
        )
        yield _counter(
            "gateway_refusals",
            "Refusals made by the gateway",
            ["route", "code"],
            ((r, c, n) for (r, c), n in self._refusals.items()),
        )
        yield _counter(
            "gateway_observed",
            "What would have been refused, and was let pass by `mode: observe`",
            ["route", "code"],
            ((r, c, n) for (r, c), n in self._observed.items()),
        )
        yield _counter(
            "gateway_upstream_failures",
            "What went wrong at the provider's side",
            ["route", "kind"],
            ((r, k, n) for (r, k), n in self._failures.items()),
        )
        yield _counter(
            "gateway_stale_retries",
            "Requests repeated because a kept connection had gone stale",
            ["route"],
            self._retries.items(),
        )

    def _by_route(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "gateway_exchange_seconds", "From the request's head to the end", labels=["route"]
        )
        first = HistogramMetricFamily(
            "gateway_first_byte_seconds",
            "From the request's head to the answer's",
            labels=["route"],
        )
        size = CounterMetricFamily(
            "gateway_bytes", "Body bytes carried", labels=["route", "direction"]
        )
        for name, figures in self._routes.items():
            seconds.add_metric([name], _buckets(figures.seconds), figures.total_seconds)
            first.add_metric([name], _buckets(figures.first_byte), figures.total_first)
            size.add_metric([name, "request"], figures.received)
            size.add_metric([name, "response"], figures.sent)
        yield from (seconds, first, size)

    def _gauges(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "gateway_upstream_connections", "Connections to providers", labels=["state"]
        )
        for state in ("idle", "busy"):
            states.add_metric([state], self._read(f"upstream_{state}"))
        yield states
        yield GaugeMetricFamily(
            "gateway_open_exchanges", "Exchanges under way", value=self._read("open_exchanges")
        )
        yield GaugeMetricFamily(
            "gateway_bot_connections", "Connections from bots", value=self._read("bot_connections")
        )
        yield GaugeMetricFamily(
            "gateway_audit_backlog_bytes",
            "Record not yet written",
            value=self._read("audit_backlog"),
        )
        yield GaugeMetricFamily(
            "gateway_freezes", "Bots and routes that are frozen", value=self._read("freezes")
        )
        yield from self._config()
        yield _counter(
            "gateway_unsolicited",
            "Provider connections dropped for bytes nobody asked for",
            [],
            [(self._read("unsolicited"),)],
        )

    def _config(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "gateway_config_reload_ok",
            "Whether the newest configuration file is the one in use",
            value=self._read("reload_ok"),
        )
        yield _counter(
            "gateway_config_reloads",
            "Configuration files looked at since the start",
            ["result"],
            [(result, self._read(f"reloads_{result}")) for result in ("good", "bad")],
        )
        yield GaugeMetricFamily(
            "gateway_config_loaded_timestamp_seconds",
            "When the configuration in use was loaded",
            value=self._read("config_loaded"),
        )

    def _read(self, name: str) -> float:
        gauge = self.gauges.get(name)
        return float(gauge()) if gauge is not None else 0.0


def _counter(
    name: str, text: str, labels: list[str], rows: Iterable[tuple[object, ...]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for row in rows:
        family.add_metric([str(label) for label in row[:-1]], float(str(row[-1])))
    return family


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    rows: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], counts, strict=True):
        total += count
        rows.append((bound, float(total)))
    return rows
