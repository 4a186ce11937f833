#!/usr/bin/env bash
# Builds the gateway twice: one that counts which way its code goes under a mixed load,
# and, knowing that, the one to ship (profile-guided optimisation). Takes twice as long as
# `cargo build --release` and makes a binary that does with fewer instructions.
#
#   docker/optimized.sh
#
# The binary is target/optimized/qat-gateway. Besides what a build needs this takes h2load
# (Debian: nghttp2-client) and LLVM's llvm-profdata, not much older than rustc's LLVM:
# `rustup component add llvm-tools`, or Debian's llvm-19.
#
# LLVM_PROFDATA  which llvm-profdata (environment)
#
# Exit codes: 69 something needed is not here.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
demo=
finish() {
    if [ -n "$demo" ]; then kill -KILL "$demo" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
fail() { printf '%s: %s\n' "${0##*/}" "$2" >&2; exit "$1"; }
limited() { timeout --kill-after=10s "$@"; }

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=
for tool in "${LLVM_PROFDATA:-}" "$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata" \
    llvm-profdata-{23,22,21,20,19} llvm-profdata; do
    if [ -n "$tool" ] && command -v "$tool" >/dev/null; then profdata=$tool; break; fi
done
[ -n "$profdata" ] || fail 69 "llvm-profdata is not installed: rustup component add llvm-tools"
command -v h2load >/dev/null || fail 69 "h2load is not installed: apt install nghttp2-client"

folder=$PWD/target/optimized
build() { # name, flag: with --target, build scripts and macros do without it
    CARGO_ENCODED_RUSTFLAGS=$2 cargo build --locked --release --bin qat-gateway \
        --target "$host" --target-dir "$folder/$1"
}

# ------------------------------------------------------------------ the one that counts

rm -rf "$folder/counts"
build counting "-Cprofile-generate=$folder/counts"
binary=$folder/counting/$host/release/qat-gateway

"$binary" demo --port 0 --admin-port 0 >"$work/demo" 2>"$work/demo.err" &
demo=$!
for _ in $(seq 300); do
    if grep -q /metrics "$work/demo"; then break; fi
    kill -0 "$demo" 2>/dev/null || { cat "$work/demo.err" >&2; fail 1 "the demo does not start"; }
    sleep 0.1
done
url=$(grep -o -m 1 'https://localhost:[0-9]*' "$work/demo") || fail 1 "the demo is not ready"

load() { # h2load's arguments: every request must be answered with 2xx
    local path=$1 asked
    shift
    limited 120 h2load "$@" "$url$path" >"$work/load" 2>&1 || { cat "$work/load" >&2; fail 1 "h2load"; }
    asked=$(sed -n 's/^requests: \([0-9]*\) total.*/\1/p' "$work/load")
    grep -q "^status codes: $asked 2xx" "$work/load" || { cat "$work/load" >&2; fail 1 "$path"; }
}
head -c 1024 /dev/zero >"$work/1k"
head -c 65536 /dev/zero >"$work/64k"
head -c 1048576 /dev/zero >"$work/1m"
printf '\0\0\0\0\7\n\5hello' >"$work/grpc" # a message with field 1, five bytes
printf '{"messages":[{"role":"user","content":"hello"}]}' >"$work/json"
grpc=(-H 'content-type: application/grpc' -H 'te: trailers')

# As much of each as its like weighs at an edge: small requests are most of them.
load /echo/headers -n 40000 -c 32 -m 10
load /echo -n 20000 -c 32 -m 10 -d "$work/1k"
load /inference.InferenceService/Predict -n 20000 -c 32 -m 10 "${grpc[@]}" -d "$work/grpc"
load /v1/chat/completions -n 2000 -c 8 -m 4 -d "$work/json"
load /echo -n 2000 -c 8 -m 4 -w 20 -W 24 -d "$work/64k"
load /echo -n 200 -c 8 -m 2 -w 20 -W 24 -d "$work/1m"
load /echo -n 4000 -c 8 --h1 -d "$work/1k"
kill -INT "$demo"
wait "$demo" || fail 1 "the demo ended with $?"
demo=

# What it measures does not matter, nor whether an accelerator has enough to do.
limited 120 "$binary" bench handshake --tls 1.2,1.3 --resumed --in-flight 16 \
    --duration 500ms --rounds 1 >"$work/bench" 2>&1 || tail -n 1 "$work/bench" >&2

# ------------------------------------------------------------------------ and the other

"$profdata" merge -o "$folder/profile.profdata" "$folder/counts" ||
    fail 69 "$profdata cannot read what rustc's LLVM has counted: rustup component add llvm-tools"
build final "-Cprofile-use=$folder/profile.profdata"
install -m 755 "$folder/final/$host/release/qat-gateway" "$folder/qat-gateway"
echo "$folder/qat-gateway"
