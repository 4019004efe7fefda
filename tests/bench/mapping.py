#!/usr/bin/env python3
"""Runs the mapping programs in turn, checks what they made, and prints a Markdown table. Called by mapping.sh.

Whole processes, figures as in measure.py. A figure counts only when the work was done: the number of records and of rejected rows must be those
that the generator printed, and where two programs map the same way their records must be the same, whatever the order of keys.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from measure import fail, whole_process

HERE = Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="scratch on tmpfs, with the files and the programs")
    parser.add_argument("--nightferry", help="the binary; left out: only the others")
    parser.add_argument("--project", help="the project folder")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", type=Path, required=True)
    return parser.parse_args()


def totals(path):
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", path.read_text())}


def lines(path):
    """Lines of a file; the programs write one record or reject on each."""
    if not path.exists():
        return 0
    count = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            count += block.count(b"\n")
    return count


class Program:
    def __init__(self, name, command, rows, made=None, rejected=None, compare=None):
        self.name, self.command, self.rows = name, command, rows
        self.made, self.rejected, self.compare = made, rejected, compare
        self.runs, self.hash = [], None


class Bench:
    def __init__(self, options):
        self.options = options
        folder = options.folder
        self.out, self.rejects = folder / "out.ndjson", folder / "out.rejects"
        orders, grouped = totals(folder / "orders.totals"), totals(folder / "grouped.totals")
        self.orders, self.grouped = orders, grouped
        files = {"orders": str(folder / "orders.csv"), "grouped": str(folder / "grouped.csv")}
        rows, kept = orders["rows"], orders["kept"]
        of_orders = {"rows": rows, "made": kept, "rejected": orders["rejected"]}
        good = grouped["orders"] - grouped["bad"]
        self.programs = []

        def ours(name, mapping, file, threads, **due):
            if options.nightferry:
                command = [options.nightferry, "convert", mapping, "--project", options.project, "--file", files[file], "--threads", str(threads)]
                command += ["--out", str(self.out), "--rejects", str(self.rejects), "--quiet"]
                self.programs.append(Program(f"nightferry, {name}", command, **due))

        def peer(name, script):
            command = [sys.executable, str(HERE / script), files["orders"], str(self.out), str(self.rejects)]
            self.programs.append(Program(name, command, **of_orders, compare="orders"))

        ours("2 threads", "bench-orders", "orders", 2, **of_orders, compare="orders")
        ours("1 thread", "bench-orders", "orders", 1, **of_orders, compare="orders")
        peer("DuckDB, 2 threads", "map_duckdb.py")
        peer("Polars, streaming", "map_polars.py")
        floor = str(folder / "parse_only")
        self.programs.append(Program("parse only, csv crate", [floor, "parse", files["orders"]], rows))
        self.programs.append(Program("read only", [floor, "read", files["orders"]], rows))
        ours("lookup of 10,000, 2 threads", "bench-lookups", "orders", 2, **of_orders)
        ours("unique key, 2 threads", "bench-unique", "orders", 2, **of_orders)
        rows = grouped["rows"]
        ours("grouping, 2 threads", "bench-grouped", "grouped", 2, rows=rows, made=good, rejected=grouped["bad_rows"])
        rejected = grouped["bad_rows"] + grouped["wrong_rows"]
        ours("grouping and checks, 2 threads", "bench-checks", "grouped", 2, rows=rows, made=good - grouped["wrong"], rejected=rejected)
        self.programs.append(Program("parse only, file of the groups", [floor, "parse", files["grouped"]], rows))
        self.hashes = {}

    def run(self, program, label):
        for path in (self.out, self.rejects):
            path.unlink(missing_ok=True)
        code, figures, out, err = whole_process(program.command)
        # Rejects are expected here, and nightferry says so with 5.
        if code not in ((0, 5) if program.name.startswith("nightferry") else (0,)):
            fail(f"{program.name} ended with {code}\n{out[-4000:]}\n{err[-4000:]}")
        if program.made is not None:
            found = {"records": lines(self.out), "rejected rows": lines(self.rejects)}
            due = {"records": program.made, "rejected rows": program.rejected}
            if found != due:
                fail(f"{program.name} did other work than it was given: {found} instead of {due}\n{err[-4000:]}")
        wall, cpu, memory = figures["wall"], figures["cpu"], figures["memory"]
        print(f"  {label:<8} {program.name:<42} {wall:7.2f} s wall  {cpu:7.2f} s CPU  {memory:7.0f} MiB", file=sys.stderr, flush=True)
        return figures

    def same_content(self, program):
        """Compares the records of the run that has just ended with those of the programs before it."""
        done = subprocess.run([sys.executable, str(HERE / "canon_hash.py"), str(self.out)], capture_output=True, text=True, check=True)
        program.hash = done.stdout.split("hash=")[1].strip()
        known = self.hashes.setdefault(program.compare, (program.name, program.hash))
        if known[1] != program.hash:
            fail(f"{program.name} and {known[0]} made different records")

    def all(self):
        for program in self.programs:
            self.run(program, "warm-up")
            if program.compare:
                self.same_content(program)
        for turn in range(self.options.runs):
            for program in self.programs:
                program.runs.append(self.run(program, f"run {turn + 1}"))
        for path in (self.out, self.rejects):
            path.unlink(missing_ok=True)

    def report(self):
        medians = {
            program.name: {what: statistics.median(run[what] for run in program.runs) for what in ("wall", "cpu", "memory")}
            for program in self.programs
        }
        first = self.programs[0].name
        size = self.orders["bytes"] / 1e6
        print(f"{self.orders['rows']:,} rows of {size:.0f} MB (groups: {self.grouped['rows']:,} rows, {self.grouped['orders']:,} orders, "
              f"{self.grouped['bytes'] / 1e6:.0f} MB), {os.cpu_count()} cores, medians of {self.options.runs} runs in turn after a warm-up; "
              f"ratios to \"{first}\" (above 1: needs more)\n")
        print("| program | wall s | CPU s | peak MiB | rows/s | wall × | CPU × | memory × |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for program in self.programs:
            of, base = medians[program.name], medians[first]
            ratios = " | ".join(f"{of[what] / base[what]:.2f}" for what in ("wall", "cpu", "memory"))
            speed = program.rows / of["wall"]
            print(f"| {program.name} | {of['wall']:.2f} | {of['cpu']:.2f} | {of['memory']:.0f} | {speed:,.0f} | {ratios} |")
        same = [program.name for program in self.programs if program.hash]
        print(f"\nThe same {self.orders['kept']:,} records (hash {self.programs[0].hash or next(p.hash for p in self.programs if p.hash)}): {'; '.join(same)}.")
        document = {"cores": os.cpu_count(), "orders": self.orders, "grouped": self.grouped, "medians": medians}
        document["runs"] = {program.name: program.runs for program in self.programs}
        self.options.results.write_text(json.dumps(document, indent=2) + "\n")


def main():
    bench = Bench(arguments())
    bench.all()
    bench.report()


if __name__ == "__main__":
    main()
