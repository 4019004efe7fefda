#!/usr/bin/env bash
# How fast files are pulled from a local OpenSSH, beside sftp, lftp and rclone, in one run: wall and CPU seconds of the client.
#
#     bash tests/bench/sftp.sh [--rounds N] [--big MIB] [--small FILES]
#
# Needs sshd, sftp, lftp and rclone (Debian: openssh-server openssh-client lftp rclone), about 4 GB in $NF_BENCH_DIR (/dev/shm), and
# a build with full optimisation. Every client uses aes128-gcm; nothing outside the bench folder is touched, and only loopback is used.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$root"
PATH="$PATH:/usr/sbin"

rounds=3 big=1024 small=2000
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds="$2"; shift 2 ;;
    --big) big="$2"; shift 2 ;;
    --small) small="$2"; shift 2 ;;
    *) echo "usage: $0 [--rounds N] [--big MIB] [--small FILES]" >&2; exit 2 ;;
  esac
done
for tool in sshd sftp lftp rclone; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install -y openssh-server openssh-client lftp rclone" >&2; exit 1; }
done

pull="$(cargo test --release --locked --test sftp_pull --no-run 2>&1 | sed -n 's/.*(\(.*sftp_pull-[0-9a-f]*\)).*/\1/p')"
work="$(mktemp -d "${NF_BENCH_DIR:-/dev/shm}/nf-sftp.XXXXXX")"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
port=$((20000 + RANDOM % 20000)) far=$((40000 + RANDOM % 10000))

mkdir -p "$work/big" "$work/small" "$work/into" "$work/many"
ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
cp "$work/key.pub" "$work/authorized"
cat >"$work/sshd_config" <<EOF
Port $port
ListenAddress 127.0.0.1
HostKey $work/host_key
AuthorizedKeysFile $work/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
MaxStartups 200
EOF
"$(command -v sshd)" -D -f "$work/sshd_config" & pids+=($!)
user="$(id -un)"
pin="$(ssh-keygen -lf "$work/host_key.pub" | cut -d' ' -f2)"

# The proxy that adds 10 ms each way is the one of the fault tests.
NF_PROXY="$far:$port:10" "$pull" --ignored --exact proxy --nocapture >/dev/null & pids+=($!)
sleep 1

head -c "$((big << 20))" /dev/urandom >"$work/big/big.bin"
head -c $((51200 * 100)) /dev/urandom >"$work/noise"
for at in $(seq "$small"); do
  dd if="$work/noise" of="$work/small/file_$at.csv" bs=51200 skip=$((at % 100)) count=1 status=none
done

# Tests print their own lines; `pulled` is the one that counts.
say() { printf '%s\n' "$*"; }
cat >"$work/ssh" <<EOF
Host near far
  HostName 127.0.0.1
  User $user
  IdentityFile $work/key
  Ciphers aes128-gcm@openssh.com
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
Host near
  Port $port
Host far
  Port $far
EOF

with_sftp() { # near|far folder
  echo "get -r $work/$2 $work/into/" | sftp -q -F "$work/ssh" -b - "$1" >/dev/null
}
with_lftp() {
  local at="$port"; [ "$1" = far ] && at="$far"
  lftp -c "set sftp:connect-program 'ssh -a -x -F $work/ssh'; open -p $at -u $user,x sftp://$1; mirror --parallel=4 --no-perms $work/$2 $work/into/$2" >/dev/null
}
with_rclone() {
  local at="$port"; [ "$1" = far ] && at="$far"
  rclone --config /dev/null copy ":sftp,host=127.0.0.1,port=$at,user=$user,key_file=$work/key,ciphers='aes128-gcm@openssh.com',shell_type=none,md5sum_command=none,sha1sum_command=none:$work/$2" "$work/into/$2"
}
ours() { # engine sessions near|far folder
  local at="$port"; [ "$3" = far ] && at="$far"
  NF_HOST="127.0.0.1:$at" NF_USER="$user" NF_KEY="$work/key" NF_PIN="$pin" NF_ENGINE="$1" NF_SESSIONS="$2" \
    NF_FOLDER="$work/$4" NF_INTO="$work/into" "$pull" --ignored --exact pull --nocapture | grep '^pulled'
}

# Times a command: the shortest of the rounds, wall and CPU of the client with its children.
measure() { # label command...
  local label="$1" best="" line note
  shift
  for _ in $(seq "$rounds"); do
    rm -rf "$work/into"; mkdir "$work/into"
    note="$( { TIMEFORMAT='%R %U %S'; time "$@" >"$work/out" 2>"$work/err"; } 2>&1 )" || { cat "$work/err" >&2; say "$label failed"; return; }
    if [ -z "$best" ] || awk "BEGIN { exit !(${note%% *} < ${best%% *}) }"; then best="$note"; fi
  done
  line="$(sed -n 's/.*peak/peak/p' "$work/out")"
  awk -v label="$label" -v line="$line" '{ printf "| %-22s | %6.2f | %6.2f | %s\n", label, $1, $2 + $3, line }' <<<"$best"
}

table() { # title near|far folder
  say; say "$1"; say; say '| client                 | wall s |  CPU s |'; say '|---|---|---|'
  measure 'sftp' with_sftp "$2" "$3"
  measure 'lftp, 4 parallel' with_lftp "$2" "$3"
  measure 'rclone' with_rclone "$2" "$3"
  measure 'ssh2, 1 session' ours ssh2 1 "$2" "$3"
  measure 'ssh2, 2 sessions' ours ssh2 2 "$2" "$3"
  measure 'ssh2, 4 sessions' ours ssh2 4 "$2" "$3"
  measure 'russh' ours russh 2 "$2" "$3"
}

table "One file of $big MiB, loopback" near big
table "One file of $big MiB, 20 ms round trip" far big
table "$small files of 50 KiB, loopback" near small

say; say "Listing 100,000 entries"; say
( cd "$work/many" && seq 100000 | xargs -n 1000 touch )
export NF_LIST=1
measure 'ssh2' ours ssh2 1 near many
measure 'russh' ours russh 1 near many
