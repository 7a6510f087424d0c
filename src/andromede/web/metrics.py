"""Counters in the Prometheus text format (version 0.0.4). Labels come from routes, so their number is bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
Gauges = Callable[[], Iterable[tuple[str, float]]]


class Metrics:
    """Requests by service, method and status, and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: dict[tuple[str, str, int], int] = {}
        self._sum: dict[str, float] = {}
        self._buckets: dict[str, list[int]] = {}
        self._gauges: list[Gauges] = []

    def observe(self, service: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        verb = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "OTHER"
        with self._lock:
            key = (service, verb, status)
            self._count[key] = self._count.get(key, 0) + 1
            self._sum[service] = self._sum.get(service, 0.0) + seconds
            row = self._buckets.setdefault(service, [0] * (len(BUCKETS) + 1))
            row[next((n for n, top in enumerate(BUCKETS) if seconds <= top), len(BUCKETS))] += 1

    def add(self, gauges: Gauges) -> None:
        """Register a source of (name with labels, value) read at each scrape."""
        self._gauges.append(gauges)

    def render(self) -> str:
        """The exposition."""
        with self._lock:
            counts, sums = dict(self._count), dict(self._sum)
            rows = {service: list(row) for service, row in self._buckets.items()}
        lines = ["# TYPE andromede_http_requests_total counter"]
        for (service, verb, status), count in sorted(counts.items()):
            labels = f'service="{service}",method="{verb}",status="{status}"'
            lines.append(f"andromede_http_requests_total{{{labels}}} {count}")
        lines.append("# TYPE andromede_http_request_seconds histogram")
        for service, row in sorted(rows.items()):
            total = 0
            for top, count in zip((*map(str, BUCKETS), "+Inf"), row, strict=True):
                total += count
                lines.append(f'andromede_http_request_seconds_bucket{{service="{service}",le="{top}"}} {total}')
            lines.append(f'andromede_http_request_seconds_sum{{service="{service}"}} {sums[service]:.6f}')
            lines.append(f'andromede_http_request_seconds_count{{service="{service}"}} {total}')
        for source in self._gauges:
            lines += [f"{name} {value}" for name, value in source()]
        return "\n".join(lines) + "\n"
