#!/usr/bin/env bash
# Runs every test. Works on a fresh Debian with Rust, a C compiler, perl and make: some tests talk to a real OpenSSH server, so
# openssh-server is installed when it is missing (nothing is started or changed; the tests start their own on a free port).
#
#     bash tests/run.sh [ARGUMENTS FOR cargo test]
#     bash tests/run.sh --fuzz        mutated files, mappings and TOML, NF_FUZZ_SECONDS (60) for each of the two targets
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'tests: %s\n' "$*" >&2; }
die() { printf 'tests: %s\n' "$*" >&2; exit 1; }

command -v cargo >/dev/null || die "there is no cargo; see https://rustup.rs"

if [ "${1:-}" = "--fuzz" ]; then
  shift
  say "fuzzing, ${NF_FUZZ_SECONDS:-60} s for each target"
  exec cargo test --release --locked --test fuzz "$@" -- --ignored --nocapture --test-threads 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi

# sshd lies in a folder that is not in the path of ordinary users.
PATH="$PATH:/usr/sbin:/usr/local/sbin"
export PATH

if ! command -v sshd >/dev/null; then
  command -v apt-get >/dev/null || die "there is no sshd, and no apt-get to install it with; install OpenSSH's server and run this again"
  if [ "${#as_root[@]}" -gt 0 ] && ! command -v sudo >/dev/null; then
    die "there is no sshd; as root, run: apt-get install -y --no-install-recommends openssh-server"
  fi
  say "installing openssh-server (sshd is missing)"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssh-server >/dev/null
fi

# An sshd that root starts insists on its privilege separation folder.
if [ "$(id -u)" -eq 0 ] && [ ! -d /run/sshd ]; then
  say "making /run/sshd"
  mkdir -m 0755 /run/sshd
fi

say "cargo test --release --locked $*"
exec cargo test --release --locked "$@"
