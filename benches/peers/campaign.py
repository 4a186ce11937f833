"""All measurements, the contestants taking turns.

```text
round 1: scenario A: X, Y, Z   scenario B: X, Y, Z
round 2: scenario A: Y, Z, X   ...
```
"""

import contextlib
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import machine
import table
from contestants import KEYS, Contestant, Identity, free_port, process, running, say
from load import MIB, Sample, Tools, payload
from machine import Invalid
from scenarios import Scenario


@dataclass
class Campaign:
    scenarios: list[Scenario]
    contestants: list[Contestant]
    tools: Tools
    rounds: int
    # Of one measurement.
    seconds: float
    complete: bool = False
    # By scenario and contestant.
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    invalid: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self) -> None:
        """Ends early at Ctrl-C; what is done stays."""
        with contextlib.suppress(KeyboardInterrupt), self.backend() as port:
            keys = KEYS.items()
            identities = {name: Identity.make(self.tools.folder, name, key) for name, key in keys}
            each = len(self.scenarios) * len(self.contestants)
            done, begun = 0, time.monotonic()
            for turn in range(self.rounds):
                for scenario in self.scenarios:
                    for who in turned(self.contestants, turn):
                        told = self.measure(scenario, who, identities[scenario.key], port)
                        done += 1
                        left = (time.monotonic() - begun) / done * (each * self.rounds - done)
                        place = f"{done}/{each * self.rounds}, {left / 60:.0f} min left"
                        say(f"{place}: {scenario.name}, {who.name}: {told}")
            self.complete = True

    @contextlib.contextmanager
    def backend(self):
        """The one that all contestants forward to; its port."""
        files, port = self.tools.folder / "files", free_port()
        files.mkdir()
        for size in (1024, MIB):
            payload(files, size)
        command = ["nghttpd", "--no-tls", "--address=127.0.0.1", f"--htdocs={files}"]
        # Windows as large as an upload, so that none waits for it.
        command += ["--window-bits=20", "--connection-window-bits=24", str(port)]
        command = [*self.tools.places.command(False), *command]
        with process("nghttpd", command, port, self.tools.folder / "backend.log"):
            yield port

    def measure(self, scenario: Scenario, who: Contestant, identity: Identity, port: int) -> str:
        """One scenario with one contestant, started for it; what came of it, for people."""
        place, tools = (scenario.name, who.name), self.tools
        try:
            with (
                tempfile.TemporaryDirectory(dir=tools.folder) as folder,
                running(who, identity, port, tools.places, Path(folder)) as at,
            ):
                sample = scenario.load.measure(tools, at, self.seconds)
                if who.accelerated and scenario.offloads:
                    at.must_have_offloaded()
                self.versions[who.name] = {"version": who.told(), "tls": at.library()}
        except Invalid as why:
            self.invalid.setdefault(place, []).append(str(why))
            return f"INVALID: {why}"
        self.samples.setdefault(place, []).append(sample)
        unit = "µs" if sample.cpu_us else "KiB"
        return f"{table.figure_of(sample.cpu_us, sample.memory_kib):.1f} {unit}"

    def report(self, lacks: dict[str, str]) -> dict:
        """`lacks`: who does not take part, and why."""
        there = [{"name": one.name, "lacks": None} for one in self.contestants]
        told = [one | self.versions.get(one["name"], {}) for one in there]
        rows = []
        for scenario in self.scenarios:
            for who in self.contestants:
                place = (scenario.name, who.name)
                samples, invalid = self.samples.get(place, []), self.invalid.get(place, [])
                rows.append(table.row(scenario, who.name, samples, invalid))
        return {
            "complete": self.complete,
            "machine": machine.facts(self.tools.places),
            "settings": {"rounds": self.rounds, "seconds": self.seconds},
            "contestants": told + [{"name": name, "lacks": why} for name, why in lacks.items()],
            "rows": rows,
        }


def turned(them: list[Contestant], turn: int) -> list[Contestant]:
    at = turn % max(len(them), 1)
    return them[at:] + them[:at]
