#!/usr/bin/env bash
# Measures a whole run of nightferry beside the scripts one would write instead; see README.md in this folder.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repository="$(cd "$here/../.." && pwd)"
PATH="$PATH:/usr/sbin:/usr/local/sbin"

say() { printf 'bench: %s\n' "$*" >&2; }
die() { printf 'bench: %s\n' "$*" >&2; exit 1; }

peers_only=false
big=false
for argument in "$@"; do
  case "$argument" in
    --peers-only) peers_only=true ;;
    --big) big=true ;;
    *) die "unknown argument $argument; usage: bash tests/bench/run.sh [--peers-only] [--big]" ;;
  esac
done
if $peers_only && $big; then die "--big measures nightferry, and --peers-only leaves it out"; fi

ROWS="${ROWS:-2000000}"
NF_TMP="${NF_TMP:-/dev/shm/nightferry-bench}"
NF_VENV="${NF_VENV:-$NF_TMP/venv}"
NF_USER="$(id -un)"
big_rows="${NF_BIG_ROWS:-38000000}"
big_tmp="${NF_BIG_TMP:-/var/tmp/nightferry-bench-big}"
export NF_TMP NF_USER

for tool in sshd ssh-keygen rustc python3; do
  command -v "$tool" >/dev/null || die "$tool is missing (Debian: openssh-server, rustc, python3-venv)"
done

# Only what this script started is ended, by its own process id.
sshd_pid=""
sink_pid=""
big_made=false
clean_up() {
  for pid in $sink_pid $sshd_pid; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$NF_TMP/project"
  if $big_made; then rm -rf "$big_tmp"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir -p "$NF_TMP/outbound"
chmod 700 "$NF_TMP"

# room FOLDER KIBIBYTES: fails early instead of in the middle of a run.
room() {
  local free
  free="$(df --output=avail -k "$1" | tail -1 | tr -d ' ')"
  [ "$free" -ge "$2" ] || die "$1 has $((free / 1024)) MiB of free space, and $(($2 / 1024)) MiB are needed; choose another place with NF_TMP (or NF_BIG_TMP)"
}
room "$NF_TMP" $((ROWS * 700 / 1024 + 600 * 1024))

# ── Programs ─────────────────────────────────────────────────────────────────────────────────
for program in gen_orders sink; do
  if [ ! -x "$NF_TMP/$program" ] || [ "$here/$program.rs" -nt "$NF_TMP/$program" ]; then
    say "rustc -O $program.rs"
    rustc -O --edition 2021 -o "$NF_TMP/$program" "$here/$program.rs"
  fi
done

if [ ! -e "$NF_VENV/complete" ]; then
  say "making a Python environment for the peers in $NF_VENV"
  python3 -m venv "$NF_VENV"
  "$NF_VENV/bin/pip" install --quiet --disable-pip-version-check paramiko requests asyncssh polars httpx orjson
  touch "$NF_VENV/complete"
fi

if ! $peers_only; then
  if [ -z "${NIGHTFERRY:-}" ]; then
    say "cargo build --release --locked"
    (cd "$repository" && cargo build --release --locked --quiet)
    NIGHTFERRY="${CARGO_TARGET_DIR:-$repository/target}/release/nightferry"
  fi
  [ -x "$NIGHTFERRY" ] || die "$NIGHTFERRY is not a program"
fi

# ── The file ─────────────────────────────────────────────────────────────────────────────────
# orders ROWS FOLDER: makes FOLDER/orders_bench.csv and the totals beside it, unless they are there already.
orders() {
  if [ "$(cat "$2/rows" 2>/dev/null)" != "$1" ] || [ ! -e "$2/orders_bench.csv" ]; then
    say "generating $1 rows in $2"
    rm -f "$2/rows"
    "$NF_TMP/gen_orders" "$1" "$2/orders_bench.csv" >"$2/totals"
    printf '%s\n' "$1" >"$2/rows"
  fi
  say "$(cat "$2/totals")"
}
orders "$ROWS" "$NF_TMP/outbound"

# ── The servers ──────────────────────────────────────────────────────────────────────────────
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

ssh_folder="$NF_TMP/ssh"
mkdir -p "$ssh_folder"
chmod 700 "$ssh_folder"
for key in host_key client_key; do
  [ -e "$ssh_folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "nightferry benchmark" -f "$ssh_folder/$key"
done
cp "$ssh_folder/client_key.pub" "$ssh_folder/authorized_keys"
ssh_port="$(free_port)"
cat >"$ssh_folder/sshd_config" <<CONFIG
Port $ssh_port
ListenAddress 127.0.0.1
HostKey $ssh_folder/host_key
AuthorizedKeysFile $ssh_folder/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
LogLevel ERROR
CONFIG
if [ "$(id -u)" -eq 0 ]; then mkdir -p -m 0755 /run/sshd; fi
"$(command -v sshd)" -D -e -f "$ssh_folder/sshd_config" 2>"$ssh_folder/log" &
sshd_pid=$!

sink_port="$(free_port)"
"$NF_TMP/sink" "$sink_port" 2>"$NF_TMP/sink.log" &
sink_pid=$!

python3 - "$ssh_port" "$sink_port" <<'PYTHON' || die "a server did not start: $(cat "$ssh_folder/log" "$NF_TMP/sink.log")"
import socket, sys, time
for port in sys.argv[1:]:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", int(port)), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit(1)
PYTHON
export NF_KEY="$ssh_folder/client_key"
export NIGHTFERRY_SECRET_BENCH_KEY_FILE="$NF_KEY"

# project FOLDER DATA FILES: the project with the places of this sitting filled in.
project() {
  rm -rf "$1"
  cp -r "$here/project" "$1"
  local host_key
  host_key="$(ssh-keygen -lf "$ssh_folder/host_key.pub" | awk '{ print $2 }')"
  sed -i -e "s|^port .*|port     = $ssh_port|" -e "s|^user .*|user     = \"$NF_USER\"|" -e "s|^host_key .*|host_key = \"$host_key\"|" \
    -e "s|^base_url .*|base_url = \"http://127.0.0.1:$sink_port\"|" "$1/connections.toml"
  sed -i -e "s|^data .*|data = \"$2\"|" "$1/nightferry.toml"
  sed -i -e "s|^folder .*|folder      = \"$3\"|" "$1/jobs/bench-orders.toml"
}

# ── The runs ─────────────────────────────────────────────────────────────────────────────────
# A first failure ends it all: a figure of a program that did not do its work is worth nothing.
common=(--ssh-port "$ssh_port" --sink-port "$sink_port")
if ! $peers_only; then
  project "$NF_TMP/project" "$NF_TMP/project/data" "$NF_TMP/outbound"
  common+=(--nightferry "$NIGHTFERRY")
  ours=(--project "$NF_TMP/project" --data "$NF_TMP/project/data")
else
  ours=()
fi
"$NF_VENV/bin/python" "$here/measure.py" "${common[@]}" "${ours[@]}" --file "$NF_TMP/outbound/orders_bench.csv" --totals "$NF_TMP/outbound/totals" \
  --runs "${RUNS:-5}" --stdlib-runs "${STDLIB_RUNS:-2}" --peers polars stdlib --results "$NF_TMP/results.json"

if $big; then
  [ ! -e "$big_tmp" ] || die "$big_tmp exists already; remove it, or choose another place with NF_BIG_TMP"
  mkdir -p "$big_tmp/outbound"
  chmod 700 "$big_tmp"
  big_made=true
  room "$big_tmp" $((big_rows * 800 / 1024))
  orders "$big_rows" "$big_tmp/outbound"
  project "$big_tmp/project" "$big_tmp/data" "$big_tmp/outbound"
  "$NF_VENV/bin/python" "$here/measure.py" "${common[@]}" --project "$big_tmp/project" --data "$big_tmp/data" \
    --file "$big_tmp/outbound/orders_bench.csv" --totals "$big_tmp/outbound/totals" --runs 1 --no-warm-up --most-memory 128 --results "$NF_TMP/results-big.json"
fi
