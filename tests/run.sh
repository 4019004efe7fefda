#!/usr/bin/env bash
# Runs every test. Works on a fresh Debian with Rust, a C compiler, perl and make: some tests talk to real SFTP servers, so OpenSSH,
# ProFTPD and asyncssh are installed when they are missing; the tests start their own on free ports.
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

# What the tests talk to, and the Debian packages that have it.
missing=()
command -v sshd >/dev/null || missing+=(openssh-server)
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
command -v proftpd >/dev/null && [ -e /usr/lib/proftpd/mod_sftp.so ] || missing+=(proftpd-core proftpd-mod-crypto)
command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null || die "missing: ${missing[*]} (Debian's names), and no apt-get to install them with; install them and run this again"
  if [ "${#as_root[@]}" -gt 0 ] && ! command -v sudo >/dev/null; then
    die "missing; as root, run: apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  # A server that comes with its package is not to be started: the tests start their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 0755 "$policy"
    # shellcheck disable=SC2064
    trap "${as_root[*]} rm -f $policy" EXIT
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  if [ "$(cat "$policy")" = $'#!/bin/sh\nexit 101' ]; then "${as_root[@]}" rm -f "$policy"; fi
  trap - EXIT
fi

# asyncssh comes from PyPI, into a folder of its own below the build's.
venv="${CARGO_TARGET_DIR:-target}/asyncssh"
if ! "$venv/bin/python3" -c 'import asyncssh' 2>/dev/null; then
  say "installing asyncssh into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q 'asyncssh>=2.14'
fi

if ! command -v xz >/dev/null; then
  command -v apt-get >/dev/null || die "there is no xz, and no apt-get to install it with; install xz and run this again"
  say "installing xz-utils (xz is missing)"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xz-utils >/dev/null
fi

# An sshd that root starts insists on its privilege separation folder.
if [ "$(id -u)" -eq 0 ] && [ ! -d /run/sshd ]; then
  say "making /run/sshd"
  mkdir -m 0755 /run/sshd
fi

say "cargo test --release --locked $*"
exec cargo test --release --locked "$@"
