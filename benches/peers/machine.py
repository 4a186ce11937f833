"""What the kernel tells: CPU time and memory of processes, CPUs, facts of the machine."""

import ctypes
import datetime
import fcntl
import os
import platform
import re
import resource
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Invalid(Exception):
    """A measurement that does not count, and why."""


def family(pid: int) -> list[int]:
    """A process and its descendants; needs the kernel's CONFIG_PROC_CHILDREN."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:  # that thread has ended
                pass
    return found


def ticks(pid: int) -> int:
    """User and system time of a process, all of its threads: proc_pid_stat(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError as error:
        raise Invalid(f"process {pid} has ended") from error
    # The second field may have blanks; it ends with the last bracket.
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_kib(pid: int) -> int:
    """Resident memory of a process and its descendants: proc_pid_smaps(5)."""
    texts = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in family(pid))
    return sum(int(re.search(r"^Rss:\s+(\d+) kB", text, re.M)[1]) for text in texts)


def busy(cpu: int | None) -> int:
    """Ticks that a CPU was not idle: proc_stat(5)."""
    if cpu is None:
        return 0
    fields = re.search(rf"^cpu{cpu} (.*)$", Path("/proc/stat").read_text(), re.M)[1].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return user + nice + system + irq + softirq + steal


class Meter:
    """The CPU time of a process and its descendants since this was made."""

    def __init__(self, pid: int, cpu: int | None):
        self.pid, self.cpu = pid, cpu
        self.before = {one: ticks(one) for one in family(pid)}
        self.busy = busy(cpu)

    def read(self) -> tuple[float, float]:
        """Seconds; and those that others used of its CPU."""
        now = {one: ticks(one) for one in {*family(self.pid), *self.before}}
        used = sum(now.values()) - sum(self.before.values())
        others = max(busy(self.cpu) - self.busy - used, 0) if self.cpu is not None else 0
        return used / TICKS, others / TICKS


@dataclass
class Places:
    """Where the two sides run; None: wherever the kernel puts them."""

    contestant: int | None
    load: list[int]

    @staticmethod
    def find() -> "Places":
        """The last CPU is the contestant's; its hyper-threads stay idle if others are left."""
        *rest, last = sorted(os.sched_getaffinity(0))
        if not rest:
            return Places(None, [last])
        near = cpu_list(f"/sys/devices/system/cpu/cpu{last}/topology/thread_siblings_list")
        return Places(last, [cpu for cpu in rest if cpu not in near] or rest)

    def command(self, contestant: bool) -> list[str]:
        """What pins a command that follows it."""
        if self.contestant is None:
            return []
        cpus = [self.contestant] if contestant else self.load
        return ["taskset", "--cpu-list", ",".join(map(str, cpus))]

    def told(self) -> str:
        if self.contestant is None:
            return "one CPU for all: load and contestants slow each other down"
        load = ",".join(map(str, self.load))
        return f"contestants on CPU {self.contestant}, load and backend on {load}"


def cpu_list(file: str) -> set[int]:
    """`0-1,8`."""
    try:
        text = Path(file).read_text().strip()
    except OSError:
        return set()
    ranges = (part.partition("-") for part in text.split(",") if part)
    return {cpu for low, _, high in ranges for cpu in range(int(low), int(high or low) + 1)}


def prepare() -> None:
    """Room for connections; and, where that is allowed, a network of our own.

    In it the congestion control is reno: bbr, which paces, makes loopback several times slower.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    new_network = 0x40000000  # CLONE_NEWNET, unshare(2)
    if ctypes.CDLL(None).unshare(new_network) != 0:
        return
    with socket.socket() as one:
        set_flags, up = 0x8914, 0x1  # SIOCSIFFLAGS and IFF_UP, netdevice(7)
        fcntl.ioctl(one, set_flags, struct.pack("16sH14x", b"lo", up))
    try:
        CONGESTION.write_text("reno")
    except OSError:  # it is told with the results
        pass


CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def facts(places: Places) -> dict[str, str]:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpu": model[1] if model else platform.machine(),
        "cpus": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "congestion_control": CONGESTION.read_text().strip(),
        "places": places.told(),
    }
