"""That a figure stands for what was done, or for nothing: `python3 -B -m unittest tests`."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import table
from contestants import (
    KEYS,
    Contestant,
    Identity,
    contestants,
    free_port,
    process,
    running,
)
from load import Handshakes, Requests, Sample, Tools, judge_h2load, payload
from machine import Invalid, Meter, Places, cpu_list
from scenarios import SCENARIOS

H2LOAD = """\
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
progress: 100% done

finished in 9.63ms, 207.50 req/s, 10.45MB/s
requests: 2 total, 2 started, 2 done, 2 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 2 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 3.02KB (3096) total, 1.22KB (1248) headers (space savings 92.00%), 2.00KB (2048) data
"""
LOG = "1000\t200\t31\n1001\t200\t47\n"
ROW = {"tls": "1.3", "resumed": False, "failed": 0, "failure": None, "handshakes": 90}
ROW |= {"handshakes_in_all": 100, "rate": 45.0, "p50_us": 700, "p99_us": 900}


class H2load(unittest.TestCase):
    def test_what_was_asked_for_counts(self):
        sample = judge_h2load(H2LOAD, LOG, 2, 1024)
        self.assertEqual((sample.operations, sample.rate), (2, 207.5))
        self.assertEqual((sample.p50_us, sample.p99_us), (47, 47))

    def test_anything_else_does_not(self):
        for before, after in [
            ("TLSv1.3", "TLSv1.2"),
            ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"),
            ("X25519 253", "P-256 256"),
            ("protocol: h2", "protocol: http/1.1"),
            ("2 succeeded, 0 failed", "1 succeeded, 1 failed"),
            ("0 timeout", "1 timeout"),
            ("2 2xx, 0 3xx, 0 4xx", "1 2xx, 0 3xx, 1 4xx"),
            ("(2048) data", "(1024) data"),
            ("Cipher", "Nothing"),
        ]:
            with self.subTest(after), self.assertRaises(Invalid):
                judge_h2load(H2LOAD.replace(before, after), LOG, 2, 1024)
        for log in ["", LOG[: len(LOG) // 2 + 1], LOG.replace("200", "503", 1)]:
            with self.subTest(log), self.assertRaises(Invalid):
                judge_h2load(H2LOAD, log, 2, 1024)


class Bench(unittest.TestCase):
    def test_the_warm_up_is_paid_for_too(self):
        sample = Handshakes("1.3").judge({"complete": True, "rows": [ROW]})
        self.assertEqual((sample.operations, sample.p99_us), (100, 900))

    def test_failures_and_other_handshakes_do_not_count(self):
        for change in [
            {"failed": 1, "failure": "reset"},
            {"failure": "in the warm-up"},
            {"handshakes": 0},
            {"tls": "1.2"},
            {"resumed": True},
        ]:
            with self.subTest(change), self.assertRaises(Invalid):
                Handshakes("1.3").judge({"complete": True, "rows": [ROW | change]})
        for report in [
            {"complete": False, "rows": [ROW]},
            {"complete": True, "rows": []},
            {"complete": True, "rows": [ROW, ROW]},
        ]:
            with self.subTest(report), self.assertRaises(Invalid):
                Handshakes("1.3").judge(report)


class Machine(unittest.TestCase):
    def test_descendants_are_counted_and_must_last(self):
        # The shell waits for its child, which works until it is told to end.
        command = ["sh", "-c", f"{sys.executable} -c 'while True: pass' & echo; wait"]
        one = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        try:
            one.stdout.readline()
            meter = Meter(one.pid, None)
            (child,) = set(meter.before) - {one.pid}
            while meter.read()[0] < 0.05:
                pass
            subprocess.run(["kill", str(child)], check=True)
            one.wait(10)
            with self.assertRaises(Invalid):
                meter.read()
        finally:
            one.kill()
            one.stdout.close()

    def test_nothing_is_measured_in_no_time(self):
        one = subprocess.Popen(["sleep", "60"])
        try:
            with self.assertRaises(Invalid):
                Sample(100).charge(Meter(one.pid, None))
        finally:
            one.kill()
            one.wait()

    def test_lists_of_cpus(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("0-2,8\n")
            file.flush()
            self.assertEqual(cpu_list(file.name), {0, 1, 2, 8})
        self.assertEqual(cpu_list("/nonexistent"), set())


class Table(unittest.TestCase):
    def report(self, *rows: dict) -> dict:
        machine = dict.fromkeys(
            ["date", "cpu", "cpus", "kernel", "places", "congestion_control"], "?"
        )
        them = [
            {"name": name, "lacks": None, "version": "1.0", "tls": "T 2"} for name in ("a", "b")
        ]
        them.append({"name": "c", "lacks": "not installed (apt install c, or --install)"})
        settings = {"rounds": 2, "seconds": 1.0}
        return dict(
            machine=machine, settings=settings, contestants=them, rows=list(rows), complete=True
        )

    def test_medians_and_their_spread(self):
        samples = [Sample(10, cpu_us=cpu) for cpu in (90.0, 120.0, 100.0)]
        row = table.row(SCENARIOS[0], "a", samples, [])
        self.assertEqual((row["cpu_us"], row["spread"], row["operations"]), (100.0, 0.3, 30))

    def test_one_failure_takes_the_figure_away(self):
        good = table.row(SCENARIOS[0], "a", [Sample(10, cpu_us=70.5)], [])
        bad = table.row(SCENARIOS[0], "b", [Sample(10, cpu_us=60.0)], ["status 503"])
        report = self.report(good, bad)
        for text in (table.text(report), table.markdown(report)):
            self.assertIn("70.5", text)
            self.assertNotIn("60.0", text)
            self.assertIn("status 503", text)
        self.assertIn("| **70.5** | invalid |", table.markdown(report))
        self.assertIn("c: not installed", table.text(report))

    def test_latency_is_told_where_the_pace_was_kept(self):
        (scenario,) = (one for one in SCENARIOS if one.name == "paced-requests")
        sample = Sample(10, rate=1990.0, p50_us=345.0, cpu_us=70.5)
        report = self.report(table.row(scenario, "a", [sample], []))
        self.assertIn("345", table.text(report))
        self.assertNotIn("Behind", table.text(report))
        sample.rate = 1200.0
        report = self.report(table.row(scenario, "a", [sample], []))
        self.assertIn("Behind: 2000 requests of 1 KiB a second, a: 1200", table.text(report))

    def test_a_disturbed_row_says_so(self):
        row = table.row(SCENARIOS[0], "a", [Sample(10, cpu_us=70.5, others=0.4)], [])
        self.assertIn("up to 40%", table.text(self.report(row)))


@unittest.skipUnless(
    all(shutil.which(tool) for tool in ("haproxy", "h2load", "nghttpd", "openssl")),
    "haproxy, h2load, nghttpd or openssl is not installed",
)
class Whole(unittest.TestCase):
    """With HAProxy, which is told wrong things."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.them = {one.name: one for one in contestants("")}
        self.identity = Identity.make(self.folder, "one", KEYS["P-256"])

    def haproxy(self, identity: Identity, backend: int):
        return running(self.them["haproxy"], identity, backend, Places(None, []), self.folder)

    def test_a_response_that_is_not_200_does_not_count(self):
        files = self.folder / "files"
        files.mkdir()
        payload(files, 1024)
        port = free_port()
        backend = ["nghttpd", "--no-tls", "--address=127.0.0.1", f"--htdocs={files}", str(port)]
        tools = Tools("", Places(None, []), self.folder)
        with process("nghttpd", backend, port, self.folder / "backend.log"):
            with self.haproxy(self.identity, port) as at:
                sample = Requests(1024, 2, 2).measure(tools, at, 0.2)
                self.assertGreater(sample.cpu_us, 0)
                with self.assertRaisesRegex(Invalid, "0 2xx"):
                    Requests(7, 2, 2).measure(tools, at, 0.2)

    def test_another_certificate_does_not_count(self):
        other = Identity.make(self.folder, "other", KEYS["P-256"])
        lie = Identity(self.identity.certificate, other.key, other.both)
        with self.assertRaisesRegex(Invalid, "another certificate"), self.haproxy(lie, 1):
            pass

    def test_what_does_not_start_says_why(self):
        broken = Contestant("x", "sh", ["-c", "echo no such thing; exit 1"], "gateway.yaml", [])
        with self.assertRaisesRegex(Invalid, "x does not listen: no such thing"):
            with running(broken, self.identity, 1, Places(None, []), self.folder):
                pass


if __name__ == "__main__":
    unittest.main()
