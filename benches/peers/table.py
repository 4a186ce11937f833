"""From samples to rows, as text and as Markdown."""

import statistics

from load import Sample
from scenarios import Scenario


def row(scenario: Scenario, contestant: str, samples: list[Sample], invalid: list[str]) -> dict:
    """One scenario with one contestant: medians of its rounds, unless one is invalid."""
    found = {
        "scenario": scenario.name,
        "title": scenario.title,
        "unit": scenario.unit,
        "pace": scenario.pace,
        "contestant": contestant,
        "rounds": len(samples),
        "operations": sum(sample.operations for sample in samples),
        "invalid": invalid,
    }
    if not samples or invalid:
        return found
    for name in ("rate", "p50_us", "p99_us", "cpu_us", "memory_kib", "others"):
        values = [getattr(sample, name) for sample in samples]
        found[name] = statistics.median(values)
    values = [figure_of(sample.cpu_us, sample.memory_kib) for sample in samples]
    middle = statistics.median(values)
    found["spread"] = (max(values) - min(values)) / middle if middle else 0.0
    return found


def figure_of(cpu_us: float, memory_kib: float) -> float:
    """What contestants are compared by: the less the better."""
    return cpu_us or memory_kib


def figure(one: dict) -> float:
    return figure_of(one["cpu_us"], one["memory_kib"])


def head(report: dict) -> list[str]:
    machine, settings = report["machine"], report["settings"]
    lines = [
        f"{machine['date']}, {machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}",
        f"rounds: {settings['rounds']}, of {settings['seconds']} s; {machine['places']}; "
        f"congestion control {machine['congestion_control']}",
    ]
    for one in report["contestants"]:
        lines.append(
            f"{one['name']}: "
            + (
                one["lacks"]
                or f"{one.get('version', 'not measured')}, {one.get('tls', '')}".rstrip(", ")
            )
        )
    return lines


def absent(report: dict) -> list[str]:
    return [f"{one['name']}: {one['lacks']}" for one in report["contestants"] if one["lacks"]]


def problems(report: dict) -> list[str]:
    lines = []
    for one in report["rows"]:
        lines += [
            f"INVALID: {one['title']}, {one['contestant']}: {why}" for why in one["invalid"][:1]
        ]
        pace, rate = one["pace"], one.get("rate")
        if pace and rate and rate < pace * 0.9:
            lines.append(
                f"Behind: {one['title']}, {one['contestant']}: {rate:.0f} a second, so its "
                "latency is a queue's."
            )
    disturbed = [one for one in report["rows"] if one.get("others", 0) > 0.1]
    if disturbed:
        most = max(one["others"] for one in disturbed)
        lines.append(
            f"Disturbed: in {len(disturbed)} rows others used the contestant's CPU, more than a "
            f"tenth as much as it did, up to {most:.0%}: measure again on a quiet machine."
        )
    if not report["complete"]:
        lines.append("Not all was measured.")
    return lines


HEADS = ["contestant", "CPU µs", "KiB", "spread", "a second", "p50 µs", "p99 µs"]


def text(report: dict) -> str:
    blocks = ["\n".join(head(report))]
    for title, rows in by_scenario(report):
        lines = [HEADS] + [cells(one) for one in rows]
        # Columns without a value are left out.
        kept = [at for at in range(len(HEADS)) if any(line[at] for line in lines[1:])]
        widths = [max(len(line[at]) for line in lines) for at in kept]
        block = [f"{title}, each {rows[0]['unit']}:"]
        for line in lines:
            first, *rest = (
                line[at].ljust(width) if at == 0 else line[at].rjust(width)
                for at, width in zip(kept, widths, strict=True)
            )
            block.append("  " + "  ".join([first, *rest]).rstrip())
        blocks.append("\n".join(block))
    if lines := problems(report):
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def by_scenario(report: dict) -> list[tuple[str, list[dict]]]:
    titles = dict.fromkeys(one["title"] for one in report["rows"])
    return [(title, [one for one in report["rows"] if one["title"] == title]) for title in titles]


def cells(one: dict) -> list[str]:
    name = one["contestant"]
    if one["invalid"] or not one["rounds"]:
        return [name, "INVALID" if one["invalid"] else "-", "", "", "", "", ""]

    def shown(value: float, known: bool = True) -> str:
        return (
            f"{value:.0f}" if known and value >= 100 else f"{value:.1f}" if known and value else ""
        )

    paced = one["pace"] is not None
    return [
        name,
        shown(one["cpu_us"]),
        shown(one["memory_kib"]),
        f"{one['spread']:.0%}",
        shown(one["rate"]),
        shown(one["p50_us"], paced),
        shown(one["p99_us"], paced),
    ]


def markdown(report: dict) -> str:
    """The README's table: scenarios by contestants, the best in bold."""
    names = [one["name"] for one in report["contestants"] if not one["lacks"]]
    lines = ["| CPU µs of each | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, rows in by_scenario(report):
        unit = rows[0]["unit"]
        what = {"MiB": f"{title}, each MiB", "connection": f"{title}, KiB"}.get(unit, title)
        lines.append(markdown_row(what, names, rows, figure))
        if rows[0]["pace"]:
            lines.append(markdown_row("their p50, µs", names, rows, lambda one: one["p50_us"]))
            lines.append(markdown_row("their p99, µs", names, rows, lambda one: one["p99_us"]))
    notes = [line for line in head(report) if line not in absent(report)] + problems(report)
    return "\n".join(lines) + "\n\n" + "\n".join(f"- {note}" for note in notes)


def markdown_row(title: str, names: list[str], rows: list[dict], value) -> str:
    values = {one["contestant"]: value(one) for one in rows if not one["invalid"] and one["rounds"]}
    best = min(values.values(), default=0)

    def cell(name: str) -> str:
        if name not in values:
            return "invalid" if any(one["contestant"] == name for one in rows) else "–"
        shown = f"{values[name]:.0f}" if values[name] >= 100 else f"{values[name]:.1f}"
        return f"**{shown}**" if values[name] == best else shown

    return f"| {title} | " + " | ".join(map(cell, names)) + " |"
