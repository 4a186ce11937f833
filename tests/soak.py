#!/usr/bin/env python3
"""A gateway with `multibuffer` under clients that vanish, for as long as you like.

    tests/soak.py target/release/qat-gateway --seconds 3600

Bursts of handshakes with TLS 1.2 and 1.3, so that batches form. Most of the clients vanish,
at random: before they speak, within the ClientHello, after it, while an operation is paused,
after the handshake. Every --interval seconds it prints what the gateway holds. Once nothing
is left of the clients, its memory and descriptors must be those of the beginning: exit code
1 if they are not, or if a handshake fails that nobody ended.

QAT_GATEWAY_CRYPTO_MB may name libcrypto_mb, or the folder it is in. Needs openssl(1).
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

# What becomes of a client, and how often. `hello` and `flight` vanish after what they send
# first and second, at once or within PAUSE; so do `connect` and `vanish`, the latter after
# the handshake. `late` speaks when the gateway is about to give it up.
FATES = {"connect": 10, "half a hello": 10, "hello": 24, "flight": 24, "vanish": 10, "complete": 19, "late": 3}
# Seconds: as long as a batch and what surrounds it.
PAUSE = 0.004
# Seconds in which a handshake is to be done that nobody ends.
PATIENCE = 10
HANDSHAKE_TIMEOUT = 2
# What a client leaves behind until it is done with.
LEFT = "in_progress", "in_flight", "graveyard"
# Of growth, for allocators keep the memory of their busiest moment: KiB.
SLACK = 2048

CONFIGURATION = """
workers: 1
admin: {{ address: "127.0.0.1:{admin}" }}
acceleration: {{ prefer: [multibuffer], require: true, multibuffer: {{ {library} }} }}
log: {{ filter: error, access: off }}
listeners:
  - name: edge
    address: "127.0.0.1:{port}"
    handshake_timeout: {timeout}s
    tls: {{ certificates: [ {{ certificate_chain: "{work}/cert.pem", private_key: "{work}/key.pem" }} ] }}
    routes: [ {{ cluster: nobody }} ]
clusters: [ {{ name: nobody, protocol: h2c, endpoints: [ "127.0.0.1:9" ] }} ]
"""


def context(version):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    return made


CONTEXTS = [context(ssl.TLSVersion.TLSv1_3), context(ssl.TLSVersion.TLSv1_2)]


class Closed(Exception):
    """By the gateway."""


class Client:
    def __init__(self, tls):
        self.fate = random.choices(list(FATES), list(FATES.values()))[0]
        self.received, self.to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.received, self.to_send)
        self.socket = socket.socket()
        self.socket.setblocking(False)

    async def visit(self, port, together):
        """What came of it. Speaks when all of its burst can."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await loop.sock_connect(self.socket, ("127.0.0.1", port))
            finished = self.handshake()
            await together.wait()
            async with asyncio.timeout(PATIENCE):
                await self.meet(finished)
            return self.fate
        except (Closed, ConnectionError):
            if self.fate != "complete":
                return self.fate
            # On a busy machine this program may be the one that is late.
            late = loop.time() - began > HANDSHAKE_TIMEOUT / 2
            return "complete, too late" if late else "failed: closed by the gateway"
        except (TimeoutError, ssl.SSLError) as error:
            return f"failed: {error!r}"
        finally:
            self.socket.close()

    async def meet(self, finished):
        """The handshake, up to where its fate meets it."""
        if self.fate == "connect":
            return await self.vanish()
        if self.fate == "late":
            await asyncio.sleep(HANDSHAKE_TIMEOUT - random.uniform(0, PAUSE))
        for flight in ["hello", "flight", "last"]:
            said = self.to_send.read()
            if self.fate == "half a hello":
                self.socket.send(said[: random.randrange(1, len(said))])
                return await self.vanish()
            self.socket.send(said)
            if self.fate == flight:
                return await self.vanish()
            while not finished and not self.to_send.pending:
                await self.receive()
                finished = self.handshake()
        if self.fate == "complete":
            self.end()
        else:
            await self.vanish()

    def handshake(self):
        """Whether it is finished."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    async def receive(self):
        data = await asyncio.get_running_loop().sock_recv(self.socket, 16384)
        if not data:
            raise Closed
        self.received.write(data)

    def end(self):
        """In order."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.socket.send(self.to_send.read())

    async def vanish(self):
        if random.random() < 0.5:
            await asyncio.sleep(random.uniform(0, PAUSE))
        if random.random() < 0.5:
            # Not an end but a reset.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Load:
    def __init__(self, port):
        self.port = port
        self.outcomes = collections.Counter()
        self.clients = set()

    def burst(self, size):
        together = asyncio.Barrier(size)
        for index in range(size):
            client = Client(CONTEXTS[index % 2])
            task = asyncio.create_task(client.visit(self.port, together))
            self.clients.add(task)
            task.add_done_callback(self.count)

    def count(self, task):
        self.clients.discard(task)
        self.outcomes[task.result()] += 1

    async def run(self, until, rate, size):
        """Bursts at random distances, `rate` handshakes a second on average."""
        while time.monotonic() < until:
            self.burst(size)
            await asyncio.sleep(random.uniform(0.5, 1.5) * size / rate)

    def failed(self):
        return {outcome: count for outcome, count in self.outcomes.items() if outcome.startswith("failed")}


class Gateway:
    def __init__(self, binary, work):
        with socket.socket() as one, socket.socket() as other:
            ports = []
            for free in one, other:
                free.bind(("127.0.0.1", 0))
                ports.append(free.getsockname()[1])
        self.port, self.admin = ports
        library = os.environ.get("QAT_GATEWAY_CRYPTO_MB")
        configuration = CONFIGURATION.format(
            port=self.port,
            admin=self.admin,
            work=work,
            timeout=HANDSHAKE_TIMEOUT,
            library=f'library: "{library}"' if library else "",
        )
        (work / "gateway.yaml").write_text(configuration)
        key = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 30 -keyout key.pem -out cert.pem"
        subprocess.run(key.split(), cwd=work, check=True, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen([binary, "run", "--config", work / "gateway.yaml"])

    def metrics(self):
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=PATIENCE).read().decode()
        return re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", page, re.M)

    async def ready(self):
        """None if it serves; else its exit code."""
        while self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=PATIENCE)
                return None
            except OSError:
                await asyncio.sleep(0.1)
        return self.process.returncode

    def sample(self):
        """What it holds and what it has done."""
        metrics = self.metrics()

        def total(name, label=None):
            """The sum, or the sum for each value of a label."""
            sums = collections.Counter()
            for found, labels, value in metrics:
                if found == f"gateway_{name}":
                    key = re.search(rf'{label}="(\w*)"', labels)[1] if label else None
                    sums[key] += int(float(value))
            return dict(sums) if label else sums[None]

        proc = pathlib.Path(f"/proc/{self.process.pid}")
        ticks = (proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        return {
            "rss_kib": int(re.search(r"VmRSS:\s*(\d+)", (proc / "status").read_text())[1]),
            "descriptors": len(os.listdir(proc / "fd")),
            "in_progress": total("tls_handshakes_in_progress"),
            "in_flight": total("accelerator_operations_in_flight"),
            "graveyard": total("tls_graveyard_handshakes"),
            "buried": total("tls_graveyard_buried_total"),
            "pauses": total("accelerator_pauses_total"),
            "handshakes": total("tls_handshakes_total", "outcome"),
            "operations": total("accelerator_operations_total", "path"),
            "cpu_s": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        }

    async def quiet(self, idle):
        """A sample when nothing is left of any client, or after a while."""
        for _ in range(10 * PATIENCE):
            await asyncio.sleep(0.1)
            sample = self.sample()
            left = any(sample[what] for what in LEFT)
            if not left and sample["descriptors"] <= idle:
                break
        return sample


async def soak(gateway, arguments):
    """The samples, the last of them without clients, and the load."""
    load, start, samples = Load(gateway.port), time.monotonic(), []
    running = asyncio.create_task(load.run(start + arguments.seconds, arguments.rate, arguments.burst))
    idle = gateway.sample()["descriptors"]
    while not running.done():
        await asyncio.wait([running], timeout=arguments.interval)
        sample = {"seconds": round(time.monotonic() - start), **gateway.sample(), "clients": dict(load.outcomes)}
        used = resource.getrusage(resource.RUSAGE_SELF)
        sample["load_cpu_s"] = round(used.ru_utime + used.ru_stime, 2)
        print(json.dumps(sample), flush=True)
        samples.append(sample)
    await running
    if load.clients:
        await asyncio.wait(load.clients)
    samples.append(await gateway.quiet(idle))
    return idle, samples, load


def problems(idle, samples, load):
    """What has grown, what has stayed, what has failed."""
    *during, end = samples
    found = [f"{count} of {outcome}" for outcome, count in load.failed().items()]
    found += [f"{end[what]} {what} stay" for what in LEFT if end[what]]
    if end["descriptors"] > idle:
        found.append(f"{end['descriptors']} descriptors, {idle} before any client")
    # The first sample is of caches and pools that fill.
    sixth = max(1, len(during) // 6)
    parts = during[1 : 1 + sixth], during[-sixth:]
    early, late = (statistics.mean(sample["rss_kib"] for sample in part) for part in parts)
    print(f"memory: {early:.0f} KiB early, {late:.0f} KiB late, {end['rss_kib']} KiB in the end")
    if late > early + SLACK:
        found.append("memory has grown")
    for path, least in ("accelerated", 1), ("redone", 0):
        count = end["operations"].get(path, 0)
        if (count == 0) if least else count:
            found.append(f"{count} operations {path}")
    return found


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gateway", type=pathlib.Path, help="its binary")
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--interval", type=float, help="seconds between samples (default: a twelfth of all)")
    parser.add_argument("--rate", type=float, default=64, help="handshakes a second")
    parser.add_argument("--burst", type=int, default=16, help="handshakes at once")
    arguments = parser.parse_args()
    arguments.interval = arguments.interval or arguments.seconds / 12
    with tempfile.TemporaryDirectory() as work:
        gateway = Gateway(arguments.gateway.resolve(), pathlib.Path(work))
        try:
            code = await gateway.ready()
            if code == 69:
                return print("SKIPPED: multibuffer under vanishing clients: it cannot be used here (above)")
            if code is not None:
                sys.exit(f"the gateway ended with {code}")
            found = problems(*await soak(gateway, arguments))
        finally:
            gateway.process.send_signal(signal.SIGTERM)
            code = gateway.process.wait(timeout=60)
    if code:
        found.append(f"it ended with {code}")
    if found:
        sys.exit("\n".join(found))
    print("nothing has grown, nothing stays, nothing failed")


if __name__ == "__main__":
    asyncio.run(main())
