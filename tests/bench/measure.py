#!/usr/bin/env python3
"""Runs whole processes in turn, checks what they did, and prints medians and ratios. Called by run.sh.

Wall time is from start to exit. CPU time and peak resident memory are what the kernel accounted to that one process (wait4); the memory of the
servers and of this script does not count, but what this script occupies itself (about 20 MiB) is the least that can show.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORDS_IN_A_REQUEST = 500


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ssh-port", type=int, required=True)
    parser.add_argument("--sink-port", type=int, required=True)
    parser.add_argument("--file", required=True, help="the remote path")
    parser.add_argument("--totals", type=Path, required=True, help="what gen_orders printed")
    parser.add_argument("--nightferry", help="the binary; left out: only the peers")
    parser.add_argument("--project", help="the project folder")
    parser.add_argument("--data", type=Path, help="its data folder: removed before every run")
    parser.add_argument("--peers", nargs="*", default=[], choices=["polars", "stdlib"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stdlib-runs", type=int, default=2)
    parser.add_argument("--no-warm-up", action="store_true")
    parser.add_argument("--most-memory", type=int, help="fail above this many MiB of peak resident memory")
    parser.add_argument("--results", type=Path, required=True)
    return parser.parse_args()


def fail(message):
    sys.exit(f"bench: {message}")


def whole_process(command):
    """Runs the command to its end: exit code, figures, standard output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        figures = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}
        return child.returncode, figures, out.read().decode(), err.read().decode(errors="replace")


class Bench:
    def __init__(self, options):
        self.options = options
        totals = dict(re.findall(r"(\w+)=(\d+)", options.totals.read_text()))
        self.kept, self.rejected, self.rows = int(totals["kept"]), int(totals["rejected"]), int(totals["rows"])
        self.url = f"http://127.0.0.1:{options.sink_port}/in"
        self.bytes = {}
        self.runs = {}
        self.notes = {}

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.options.sink_port}/stats") as reply:
            return json.load(reply)

    def command(self, name):
        if name == "nightferry":
            return [self.options.nightferry, "run", "bench-orders", "--json", "--project", self.options.project]
        return [sys.executable, str(HERE / f"e2e_{name}.py"), str(self.options.ssh_port), self.options.file, self.url]

    def run(self, name, label):
        if name == "nightferry":
            shutil.rmtree(self.options.data, ignore_errors=True)
        before = self.stats()
        code, figures, out, err = whole_process(self.command(name))
        after = self.stats()
        # Rejects are expected here, and nightferry says so with 5.
        if code not in ((0, 5) if name == "nightferry" else (0,)):
            fail(f"{name} ended with {code}\n{out[-4000:]}\n{err[-4000:]}")
        requests, sent = after["requests"] - before["requests"], after["bytes"] - before["bytes"]
        self.check(name, out, requests, sent)
        figures |= {"requests": requests, "bytes": sent}
        print(
            f"  {label:<9} {name:<11} {figures['wall']:7.2f} s wall  {figures['cpu']:7.2f} s CPU  {figures['memory']:7.0f} MiB"
            f"  {requests} requests, {sent} body bytes",
            flush=True,
        )
        return figures

    def check(self, name, out, requests, sent):
        """The work has to be whole, or its time means nothing."""
        if name == "nightferry":
            try:
                report = json.loads(out)
                found = {
                    "rows read": report["rows"]["read"],
                    "rows rejected": report["rows"]["rejected"],
                    "records accepted": report["records"]["accepted"],
                    "balanced": report["balanced"],
                }
            except (ValueError, KeyError, TypeError) as error:
                fail(f"nightferry printed no report ({error!r}): {out[:2000]}")
            due = {"rows read": self.rows, "rows rejected": self.rejected, "records accepted": self.kept, "balanced": True}
            if "batches" in report:
                self.notes[name] = f"{report['batches']} batches sealed and settled in the ledger, {report.get('attempts')} attempts"
                due["requests"], found["requests"] = report.get("attempts", report["batches"]), requests
        else:
            counts = dict(re.findall(r"(\w+)=(\d+)", out))
            due, found = {"records sent": self.kept}, {"records sent": int(counts.get("sent", -1))}
        if found != due:
            fail(f"{name} did other work than it was given: {found} instead of {due}")
        least = math.ceil(self.kept / RECORDS_IN_A_REQUEST)
        if not least <= requests <= least + 4:
            fail(f"{name}: {requests} requests arrived, and {least} were due")
        if self.bytes.setdefault(name, sent) != sent:
            fail(f"{name}: {sent} body bytes arrived, and {self.bytes[name]} the time before")

    def all(self):
        options = self.options
        turns = {"nightferry": options.runs} if options.nightferry else {}
        turns |= {peer: options.stdlib_runs if peer == "stdlib" else options.runs for peer in options.peers}
        if not options.no_warm_up:
            for name in turns:
                if name != "stdlib":
                    self.run(name, "warm-up")
        for turn in range(max(turns.values())):
            for name, runs in turns.items():
                if turn < runs:
                    self.runs.setdefault(name, []).append(self.run(name, f"run {turn + 1}"))

    def report(self):
        medians = {
            name: {what: statistics.median(run[what] for run in runs) for what in ("wall", "cpu", "memory")}
            for name, runs in self.runs.items()
        }
        print(f"\n{self.rows} rows, {self.kept} records, {os.cpu_count()} cores; medians")
        print(f"  {'':<11} {'runs':>4} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9} {'records/s':>11}")
        for name, of in medians.items():
            speed = self.kept / of["wall"]
            print(f"  {name:<11} {len(self.runs[name]):>4} {of['wall']:>9.2f} {of['cpu']:>9.2f} {of['memory']:>9.0f} {speed:>11,.0f}")
        first, *others = medians
        if others:
            print(f"\nratios (below 1: {first} needs less)")
            for other in others:
                ratio = {what: medians[first][what] / medians[other][what] for what in medians[first]}
                print(f"  {first} : {other:<9} wall {ratio['wall']:.2f}   CPU {ratio['cpu']:.2f}   memory {ratio['memory']:.2f}")
        for name, note in self.notes.items():
            print(f"\n{name}: {note}")
        document = {"rows": self.rows, "records": self.kept, "cores": os.cpu_count(), "medians": medians, "runs": self.runs}
        self.options.results.write_text(json.dumps(document, indent=2) + "\n")

    def memory(self):
        limit = self.options.most_memory
        if limit is None:
            return
        peak = max(run["memory"] for run in self.runs["nightferry"])
        if peak >= limit:
            fail(f"nightferry needed {peak:.0f} MiB, and {limit} MiB is the limit")
        print(f"\npeak memory {peak:.0f} MiB, below the limit of {limit} MiB")


def main():
    bench = Bench(arguments())
    bench.all()
    bench.report()
    bench.memory()


if __name__ == "__main__":
    main()
