"""Bounds of the object port's edge: every loop, queue, head, body and wait has one."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds, per worker process.

    Time limits are looked at once per `tick`, so each may be late by that much.
    """

    head_bytes: int = 32 * KIB  # request line and header lines together; beyond: 431
    head_lines: int = 200
    small_body: int = 64 * KIB  # bodies up to this are read whole before the handler is called
    drain_bytes: int = MIB  # body that a handler left unread is read away up to this, so that its answer is seen
    idle_seconds: float = 75.0  # keep-alive without a request
    head_seconds: float = 20.0  # from the first byte of a head to its last
    small_seconds: float = 60.0  # a small body from its head to its last byte
    upload_rate: int = 4 * KIB  # bytes/s that a large body must arrive with, on average over what we waited for it
    stall_seconds: float = 30.0  # a body or an answer without progress
    patience_seconds: float = 0.5  # a thread waits so long for a client to read, then leaves the waiting to the loop
    linger_seconds: float = 2.0  # after the last answer, before the close
    tick_seconds: float = 1.0
    connections: int = 20_000
    threads: int = 64
    upload_threads: int = 48  # of those, for bodies read from the client: slow senders leave the rest to others
    queued_jobs: int = 1024  # requests that wait for a thread; beyond: 503
    held_bytes: int = 64 * MIB  # heads and small bodies in the making, over all connections; beyond: 503
    buffer_bytes: int = 256 * KIB  # one receive buffer of a TLS body
    buffers_total: int = 64 * MIB  # receive buffers of all TLS bodies; beyond: senders wait
    write_high: int = 64 * KIB  # answer bytes that may wait in the transport before pipelined work pauses
    unsent_bytes: int = 256 * MIB  # answers beyond `write_high` that clients do not take, in all; beyond: cut off
    backlog: int = 1024
