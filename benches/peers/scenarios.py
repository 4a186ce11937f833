"""What is measured, in the order of the table."""

from dataclasses import dataclass

from load import MIB, Handshakes, Idle, Requests


@dataclass
class Scenario:
    name: str
    title: str
    key: str
    # What the CPU time is of.
    unit: str
    load: Handshakes | Requests | Idle

    @property
    def pace(self) -> int | None:
        """Operations in a second. Without it the latency is a queue's, and not told."""
        return getattr(self.load, "pace", None)

    @property
    def offloads(self) -> bool:
        """Whether there is always something for an accelerator to do."""
        return self.key == "RSA-2048" and self.pace is None


SCENARIOS = [
    Scenario(
        "rsa-1.3", "full handshakes, TLS 1.3, RSA-2048", "RSA-2048", "handshake", Handshakes("1.3")
    ),
    Scenario(
        "p256-1.3", "full handshakes, TLS 1.3, P-256", "P-256", "handshake", Handshakes("1.3")
    ),
    Scenario(
        "rsa-1.2", "full handshakes, TLS 1.2, RSA-2048", "RSA-2048", "handshake", Handshakes("1.2")
    ),
    Scenario(
        "p256-1.2", "full handshakes, TLS 1.2, P-256", "P-256", "handshake", Handshakes("1.2")
    ),
    Scenario(
        "resumed-1.3", "resumed handshakes, TLS 1.3", "P-256", "handshake", Handshakes("1.3", True)
    ),
    Scenario(
        "resumed-1.2", "resumed handshakes, TLS 1.2", "P-256", "handshake", Handshakes("1.2", True)
    ),
    Scenario(
        "paced-handshakes",
        "200 full handshakes a second, TLS 1.3, RSA-2048",
        "RSA-2048",
        "handshake",
        Handshakes("1.3", pace=200),
    ),
    Scenario(
        "requests",
        "requests of 1 KiB, 32 connections × 10 streams",
        "P-256",
        "request",
        Requests(1024, 32, 10),
    ),
    Scenario(
        "paced-requests",
        "2000 requests of 1 KiB a second",
        "P-256",
        "request",
        Requests(1024, 8, 10, pace=2000),
    ),
    Scenario(
        "download",
        "downloads of 1 MiB, 8 connections × 2 streams",
        "P-256",
        "MiB",
        Requests(MIB, 8, 2),
    ),
    Scenario(
        "upload",
        "uploads of 1 MiB, 8 connections × 2 streams",
        "P-256",
        "MiB",
        Requests(1024, 8, 2, upload=MIB),
    ),
    Scenario("idle", "memory of an idle connection", "P-256", "connection", Idle()),
]
