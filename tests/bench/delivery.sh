#!/usr/bin/env bash
# Measures delivery alone, as the target sees it: from its first request to its last. nightferry beside the same HTTP client with no ledger
# and no mapping (500 records a request), and beside that client with a log that is synced in groups (one record a request, 16 at once); and
# its peak memory with many pending batches. See README.md in this folder.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repository="$(cd "$here/../.." && pwd)"

say() { printf 'bench: %s\n' "$*" >&2; }
die() { printf 'bench: %s\n' "$*" >&2; exit 1; }

# On a disk, and not in memory: what is measured is what a sync costs.
NF_DELIVERY_TMP="${NF_DELIVERY_TMP:-/var/tmp/nightferry-bench-delivery}"
RUNS="${RUNS:-3}"
BIG_ROWS="${BIG_ROWS:-4000000}"     # records of 500 a request
SMALL_ROWS="${SMALL_ROWS:-60000}"   # records of one a request
PENDING="${PENDING:-1000000}"       # pending batches
work="$NF_DELIVERY_TMP"
mkdir -p "$work"

for tool in rustc cargo python3 curl; do
  command -v "$tool" >/dev/null || die "$tool is missing"
done

# Only what this script started is ended, by its own process id.
sink_pid=""
clean_up() {
  if [ -n "$sink_pid" ]; then kill "$sink_pid" 2>/dev/null || true; fi
  rm -rf "$work/project" "$work/in" "$work/data" "$work/log"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

rustc -O --edition 2021 -o "$work/sink" "$here/sink.rs"
(cd "$here/client_only" && cargo build --release --locked --quiet --target-dir "$work/target")
client="$work/target/release/client_only"
if [ -z "${NIGHTFERRY:-}" ]; then
  (cd "$repository" && cargo build --release --locked --quiet)
  NIGHTFERRY="${CARGO_TARGET_DIR:-$repository/target}/release/nightferry"
fi
[ -x "$NIGHTFERRY" ] || die "$NIGHTFERRY is not a program"

# sink: a fresh one, so that its figures are those of one program.
sink() {
  if [ -n "$sink_pid" ]; then kill "$sink_pid"; wait "$sink_pid" 2>/dev/null || true; fi
  port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
  "$work/sink" "$port" >/dev/null 2>&1 &
  sink_pid=$!
  for _ in $(seq 100); do curl -s "http://127.0.0.1:$port/stats" >/dev/null && return; sleep 0.05; done
  die "the sink did not start"
}

stat() { curl -s "http://127.0.0.1:$port/stats" | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }

# rows COUNT: the file; about 120 bytes a record when mapped.
rows() {
  rm -rf "$work/in"
  mkdir -p "$work/in"
  awk -v n="$1" 'BEGIN { print "id,customer,day,amount"
    for (i = 1; i <= n; i++) printf "SO-%08d,Customer number %d,23.11.2026,%d.%02d\n", i, i % 9973, i % 5000, i % 100 }' > "$work/in/orders.csv"
}

# project RECORDS CONCURRENCY: the job, towards the sink of now.
project() {
  rm -rf "$work/project" "$work/data"
  mkdir -p "$work/project/jobs" "$work/project/mappings"
  printf '[organisation]\nname = "Bench"\ntimezone = "UTC"\n' > "$work/project/nightferry.toml"
  printf '[in]\nkind = "folder"\npath = "%s/in"\n\n[api]\nkind = "http"\nbase_url = "http://127.0.0.1:%s"\nrate = { concurrency = %s }\n' \
    "$work" "$port" "$2" > "$work/project/connections.toml"
  cat > "$work/project/jobs/orders.toml" <<TOML
[job]
name = "orders"
mapping = "orders"

[source]
connection = "in"
files      = "*.csv"
ready_when = "at_once"

[target]
connection  = "api"
path        = "/in"
batch       = { records = $1 }
idempotency = { header = "Idempotency-Key" }
TOML
  cat > "$work/project/mappings/orders.toml" <<'TOML'
[mapping]
name = "orders"

[fields]
"id"       = { from = "id", required = true }
"customer" = { from = "customer" }
"day"      = { from = "day", type = "date", format = "%d.%m.%Y" }
"amount"   = { from = "amount", type = "number", decimals = 2 }
TOML
}

nightferry() { NIGHTFERRY_PROJECT="$work/project" NIGHTFERRY_DATA="$work/data" "$NIGHTFERRY" run orders --date 2026-11-23 --quiet "$@"; }

median() { printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"; }

# compare TITLE RECORDS CONCURRENCY GOAL [LOG]: medians of requests a second, in turn, and the ratio.
compare() {
  local ours=() floor=() requests bytes
  for _ in $(seq "$RUNS"); do
    sink
    project "$2" "$3"
    nightferry >/dev/null
    requests="$(stat requests)"
    bytes=$(($(stat bytes) / requests))
    ours+=("$(python3 -c "print(round($requests / $(stat took_us) * 1e6, 1))")")
    sink
    "$client" "http://127.0.0.1:$port/in" "$requests" "$bytes" "$3" ${5:+"$work/log"}
    floor+=("$(python3 -c "print(round($requests / $(stat took_us) * 1e6, 1))")")
  done
  say "$1: nightferry ${ours[*]} · the client ${floor[*]} requests/s"
  python3 - "$1" "$(median "${ours[@]}")" "$(median "${floor[@]}")" "$4" <<'PYTHON'
import sys
title, ours, floor, goal = sys.argv[1], *map(float, sys.argv[2:])
print(f"| {title} | {ours:,.0f} | {floor:,.0f} | {ours / floor:.2f} | {goal} |")
PYTHON
}

# memory ROWS: sets `peak`, resident MiB, while so many batches are pending; stopped after a few thousand requests.
memory() {
  rows "$1"
  sink
  project 1 16
  NIGHTFERRY_PROJECT="$work/project" NIGHTFERRY_DATA="$work/data" "$NIGHTFERRY" run orders --date 2026-11-23 --quiet >/dev/null &
  local pid=$!
  while [ "$(stat requests)" -lt 10000 ] && kill -0 "$pid" 2>/dev/null; do sleep 0.3; done
  peak="$(awk '/VmHWM/ { printf "%.0f", $2 / 1024 }' "/proc/$pid/status")"
  kill -TERM "$pid"
  wait "$pid" || true
}

printf '| delivery | nightferry, requests/s | the client alone, requests/s | ratio | goal |\n| --- | --- | --- | --- | --- |\n'
rows "$BIG_ROWS"
compare "500 records a request, 4 at once" 500 4 0.8
rows "$SMALL_ROWS"
compare "1 record a request, 16 at once, beside a synced log" 1 16 0.5 log
if [ "$PENDING" -gt 0 ]; then
  memory $((PENDING / 10))
  few="$peak"
  memory "$PENDING"
  many="$peak"
  printf '\npeak resident memory with %s pending batches: %s MiB, with %s: %s MiB\n' $((PENDING / 10)) "$few" "$PENDING" "$many"
fi
