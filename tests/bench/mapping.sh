#!/usr/bin/env bash
# Measures the mapping of a file alone, beside DuckDB, Polars, a pass that only finds cells and one that only reads; see README.md in this folder.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repository="$(cd "$here/../.." && pwd)"

say() { printf 'bench: %s\n' "$*" >&2; }
die() { printf 'bench: %s\n' "$*" >&2; exit 1; }

peers_only=false
for argument in "$@"; do
  case "$argument" in
    --peers-only) peers_only=true ;;
    *) die "unknown argument $argument; usage: bash tests/bench/mapping.sh [--peers-only]" ;;
  esac
done

ROWS="${ROWS:-2000000}"
NF_TMP="${NF_TMP:-/dev/shm/nightferry-bench-mapping}"
NF_VENV="${NF_VENV:-$NF_TMP/venv}"

for tool in cargo rustc python3; do
  command -v "$tool" >/dev/null || die "$tool is missing (Debian: cargo, rustc, python3-venv)"
done

mkdir -p "$NF_TMP"
chmod 700 "$NF_TMP"
free="$(df --output=avail -k "$NF_TMP" | tail -1 | tr -d ' ')"
needed=$((ROWS * 900 / 1024 + 900 * 1024))
[ "$free" -ge "$needed" ] || die "$NF_TMP has $((free / 1024)) MiB of free space, and $((needed / 1024)) MiB are needed; choose another place with NF_TMP"

# ── Programs ─────────────────────────────────────────────────────────────────────────────────
for program in gen_orders gen_grouped; do
  if [ ! -x "$NF_TMP/$program" ] || [ "$here/$program.rs" -nt "$NF_TMP/$program" ]; then
    say "rustc -O $program.rs"
    rustc -O --edition 2021 -o "$NF_TMP/$program" "$here/$program.rs"
  fi
done
say "cargo build --release --locked (parse_only)"
cargo build --release --locked --quiet --manifest-path "$here/parse_only/Cargo.toml" --target-dir "$NF_TMP/target"
cp "$NF_TMP/target/release/parse_only" "$NF_TMP/parse_only"

if [ ! -e "$NF_VENV/complete-mapping" ]; then
  say "making a Python environment for the peers in $NF_VENV"
  python3 -m venv "$NF_VENV"
  "$NF_VENV/bin/pip" install --quiet --disable-pip-version-check duckdb polars orjson
  touch "$NF_VENV/complete-mapping"
fi

ours=()
if ! $peers_only; then
  if [ -z "${NIGHTFERRY:-}" ]; then
    say "cargo build --release --locked"
    (cd "$repository" && cargo build --release --locked --quiet)
    NIGHTFERRY="${CARGO_TARGET_DIR:-$repository/target}/release/nightferry"
  fi
  [ -x "$NIGHTFERRY" ] || die "$NIGHTFERRY is not a program"
  rm -rf "$NF_TMP/project"
  cp -r "$here/project" "$NF_TMP/project"
  mkdir -p "$NF_TMP/project/lookups"
  { echo "number,name"; seq -f 'x%04.0f' 0 9999 | sed 's/^x\(.*\)/\1,Product number \1/'; } >"$NF_TMP/project/lookups/products.csv"
  ours=(--nightferry "$NIGHTFERRY" --project "$NF_TMP/project")
fi

# ── The files: on tmpfs, so they are in memory, as in the page cache ─────────────────────────
for kind in orders grouped; do
  if [ "$(cat "$NF_TMP/$kind.rows" 2>/dev/null)" != "$ROWS" ] || [ ! -e "$NF_TMP/$kind.csv" ]; then
    say "generating $ROWS rows ($kind)"
    rm -f "$NF_TMP/$kind.rows"
    "$NF_TMP/gen_$kind" "$ROWS" "$NF_TMP/$kind.csv" >"$NF_TMP/$kind.totals"
    printf '%s\n' "$ROWS" >"$NF_TMP/$kind.rows"
  fi
  say "$kind: $(cat "$NF_TMP/$kind.totals")"
done

exec "$NF_VENV/bin/python" "$here/mapping.py" --folder "$NF_TMP" "${ours[@]}" --runs "${RUNS:-5}" --results "$NF_TMP/results-mapping.json"
