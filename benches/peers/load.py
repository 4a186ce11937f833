"""The load, by tools that are there already. Each run says what was done, or is Invalid."""

import json
import re
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from contestants import Running
from machine import Invalid, Meter, Places, memory_kib

# Handshakes in progress at any time.
IN_FLIGHT = 64
IDLE = 500
MIB = 1 << 20


@dataclass
class Sample:
    """What a load came to, and what it cost."""

    operations: int
    # Operations in a second.
    rate: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    cpu_us: float = 0.0
    memory_kib: float = 0.0
    # Of the contestant's CPU time: what others used of its CPU.
    others: float = 0.0

    def charge(self, meter: Meter) -> "Sample":
        cpu, others = meter.read()
        if cpu == 0:
            raise Invalid("too short: the CPU time is less than one tick")
        self.cpu_us, self.others = cpu / self.operations * 1e6, others / cpu
        return self


@dataclass
class Tools:
    gateway: str
    places: Places
    # For files that come and go.
    folder: Path

    def run(self, command: list[str], seconds: float) -> str:
        command = [*self.places.command(False), *command]
        try:
            one = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 3 + 60)
        except subprocess.TimeoutExpired as error:
            raise Invalid("the load did not end in time") from error
        if one.returncode != 0:
            last = (one.stderr.strip() or one.stdout.strip() or "no word").splitlines()[-1]
            raise Invalid(f"the load failed ({one.returncode}): {last}")
        return one.stdout

    def meter(self, at: Running) -> Meter:
        return Meter(at.pid, self.places.contestant)


@dataclass
class Handshakes:
    """By `qat-gateway bench handshake`, which offers one version of TLS and X25519."""

    tls: str
    resumed: bool = False
    # Handshakes in a second; None: as many as there can be.
    pace: int | None = None

    def measure(self, tools: Tools, at: Running, seconds: float) -> Sample:
        command = [tools.gateway, "bench", "handshake", "--json", "-", "--tls", self.tls]
        command += ["--connect", f"127.0.0.1:{at.port}", "--sni", "localhost", "--rounds", "1"]
        command += ["--duration", f"{int(seconds * 1000)}ms", "--in-flight", str(IN_FLIGHT)]
        command += ["--max-rate", str(self.pace or 100_000)]
        command += ["--resumed=only"] if self.resumed else []
        meter = tools.meter(at)
        report = json.loads(tools.run(command, seconds))
        return self.judge(report).charge(meter)

    def judge(self, report: dict) -> Sample:
        rows = report["rows"]
        asked = [{"tls": row["tls"], "resumed": row["resumed"]} for row in rows]
        if not report["complete"] or asked != [{"tls": self.tls, "resumed": self.resumed}]:
            raise Invalid("the load did something else")
        row = rows[0]
        if row["failed"] or row["failure"] or not row["handshakes"]:
            raise Invalid(f"handshakes failed: {row['failure']}")
        # The warm-up's cost CPU time as well.
        return Sample(row["handshakes_in_all"], row["rate"], row["p50_us"], row["p99_us"])


@dataclass
class Requests:
    """By h2load, over HTTP/2, TLS 1.3 and X25519."""

    # Of the backend's files, by its size in bytes.
    size: int
    connections: int
    # On each connection.
    streams: int
    # Bytes that each request sends.
    upload: int = 0
    # Requests in a second; None: as many as there can be.
    pace: int | None = None

    def measure(self, tools: Tools, at: Running, seconds: float) -> Sample:
        # A first run tells how many there can be.
        rate = self.pace or self.run(tools, at, self.connections * self.streams * 2, seconds).rate
        rate = self.pace or self.run(tools, at, self.at_least(rate * seconds / 5), seconds).rate
        meter = tools.meter(at)
        return self.run(tools, at, self.at_least(rate * seconds), seconds).charge(meter)

    def at_least(self, requests: float) -> int:
        return max(int(requests), self.connections * self.streams)

    def run(self, tools: Tools, at: Running, requests: int, seconds: float) -> Sample:
        log = tools.folder / "h2load.log"
        log.unlink(missing_ok=True)
        command = ["h2load", "--requests", str(requests), "--clients", str(self.connections)]
        command += ["--max-concurrent-streams", str(self.streams), "--log-file", str(log)]
        command += ["--groups=X25519", f"--tls13-ciphers={SUITE}"]
        if self.upload:
            command += ["--data", str(payload(tools.folder, self.upload))]
        if self.pace:
            command += [f"--rps={self.pace / self.connections}"]
        text = tools.run([*command, f"https://127.0.0.1:{at.port}/{self.size}"], seconds)
        return judge_h2load(text, log.read_text(), requests, self.size)


SUITE = "TLS_AES_128_GCM_SHA256"


def judge_h2load(text: str, log: str, requests: int, size: int) -> Sample:
    """What it says must be what was asked of it."""
    n = requests
    for line in (
        "TLS Protocol: TLSv1.3",
        f"Cipher: {SUITE}",
        "Server Temp Key: X25519 253 bits",
        "Application protocol: h2",
        f"status codes: {n} 2xx, 0 3xx, 0 4xx, 0 5xx",
        f"requests: {n} total, {n} started, {n} done, {n} succeeded, "
        "0 failed, 0 errored, 0 timeout",
    ):
        if line not in text.splitlines():
            begin = line.partition(":")[0]
            said = re.search(rf"^{begin}:.*$", text, re.M)
            raise Invalid(f"h2load: not {line!r}, but {said[0] if said else 'nothing'!r}")
    if f"({n * size}) data" not in text:
        raise Invalid(f"h2load: not {n * size} bytes of data came")
    # Of each request: its start, its status and how long it took, in microseconds.
    took = sorted(map(int, re.findall(r"^\d+\t200\t(\d+)$", log, re.M)))
    if len(took) != n or log.count("\n") != n:
        raise Invalid(f"h2load: of {n} requests its log has {len(took)} with status 200")
    rate = re.search(r"^finished in .*, ([\d.]+) req/s", text, re.M)
    return Sample(n, float(rate[1]), took[n // 2], took[n * 99 // 100])


def payload(folder: Path, size: int) -> Path:
    file = folder / f"{size}"
    if not file.exists():
        file.write_bytes(bytes(size))
    return file


class Idle:
    """Memory of connections over TLS 1.3 and HTTP/2 that do nothing once they are open."""

    # A preface with empty SETTINGS (RFC 9113 section 3.4), and their acknowledgement.
    HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    ACK = bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])

    def measure(self, tools: Tools, at: Running, seconds: float) -> Sample:
        # What the first connections cost stays.
        self.close(self.open(at, IDLE // 10))
        time.sleep(min(seconds, 1))
        before = memory_kib(at.pid)
        held = self.open(at, IDLE)
        try:
            time.sleep(min(seconds, 1))
            each = (memory_kib(at.pid) - before) / IDLE
            if lost := sum(self.closed(one) for one in held):
                raise Invalid(f"{lost} of {IDLE} connections were closed")
        finally:
            self.close(held)
        return Sample(IDLE, memory_kib=each)

    def open(self, at: Running, count: int) -> list[ssl.SSLSocket]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        held: list[ssl.SSLSocket] = []
        try:
            for _ in range(count):
                tcp = socket.create_connection(("127.0.0.1", at.port), 10)
                held.append(context.wrap_socket(tcp, server_hostname="localhost"))
                held[-1].sendall(self.HELLO + self.ACK)
                if held[-1].selected_alpn_protocol() != "h2" or not held[-1].recv(9):
                    raise Invalid("HTTP/2 was not agreed on")
        except OSError as error:
            self.close(held)
            raise Invalid(f"connection {len(held)}: {error}") from error
        return held

    def closed(self, one: ssl.SSLSocket) -> bool:
        one.settimeout(0)
        try:
            while one.recv(1 << 14):
                pass
            return True
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True

    def close(self, held: list[ssl.SSLSocket]) -> None:
        for one in held:
            one.close()
