#!/usr/bin/env bash
# The gateway with what Debian 13 has for it: qatengine's multi-buffer code (QAT_SW) and
# libcrypto_mb, with every kind of key, for curl and `openssl s_client`. Says SKIPPED where
# the CPU, or this machine, cannot. Needs root.
#
#   tests/real-engine.sh BINARY [ROOT]
#
# ROOT  a folder with Debian 13 and $packages; without it one is made, and removed
set -euo pipefail

packages=qatengine,libcrypto-mb11,openssl,curl,nghttp2-server

skip() { printf 'SKIPPED: %s: %s\n' "$1" "$2"; }
fail() { printf 'FAILED: %s\n' "$1"; exit 1; }
ok() { printf '%s ... ok\n' "$1"; }
limited() { timeout --kill-after=30s "$@"; }

# ------------------------------------------------------------------- outside of the root

outside() {
    local binary root=${2:-} work
    binary=$(realpath -e "${1:?which binary of the gateway}")
    if ! grep -qwE 'avx512ifma|avx_ifma' /proc/cpuinfo; then
        skip "real accelerators" "the CPU has neither AVX512-IFMA nor AVX-IFMA"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        skip "real accelerators" "chroot needs root"
        return
    fi
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # as it is now
    trap "rm -rf --one-file-system '$work'" EXIT
    if [ -z "$root" ]; then
        local made=0
        root=$work/root
        INCLUDE=$packages limited 900 "$(dirname "$0")/../docker/make-root.sh" "$root" 2>"$work/log" || made=$?
        case $made in
        0) ;;
        69 | 77 | 124) skip "real accelerators" "$(tail -n 1 "$work/log")"; return ;;
        *) cat "$work/log"; fail "make-root.sh ended with $made" ;;
        esac
    fi
    if ! unshare --mount true 2>"$work/log"; then
        skip "real accelerators" "$(tail -n 1 "$work/log")"
        return
    fi
    # In a mount namespace of its own: nothing stays mounted, and ROOT is not changed.
    mkdir "$work/tried"
    cp "$binary" "$work/tried/qat-gateway"
    cp "$0" "$work/tried/real-engine.sh"
    # shellcheck disable=SC2016 # for the inner shell
    limited 600 unshare --mount --fork bash -euc '
        for folder in proc sys dev; do mount --rbind "/$folder" "$1/$folder"; done
        mount --bind "$2" "$1/mnt"
        exec chroot "$1" bash /mnt/real-engine.sh --inside' - "$root" "$work/tried"
}

# ------------------------------------------------------------------------- inside of it

# Intel's engine looks at the CPU itself, and takes none but Intel's.
qat_sw_lacks() {
    local vendor flag
    vendor=$(sed -n 's/^vendor_id[^:]*: //p' /proc/cpuinfo | head -n 1)
    if [ "$vendor" != GenuineIntel ]; then
        echo "the CPU's vendor is $vendor, not GenuineIntel"
        return
    fi
    for flag in avx512ifma vaes vpclmulqdq; do
        grep -qw "$flag" /proc/cpuinfo || { echo "the CPU lacks $flag"; return; }
    done
}

certificate() { # rsa:BITS or ec:CURVE
    local kind=(-newkey "$1")
    if [ "${1%:*}" = ec ]; then kind=(-newkey ec -pkeyopt "ec_paramgen_curve:${1#*:}"); fi
    openssl req -x509 "${kind[@]}" -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout edge.key -out edge.pem 2>openssl.log ||
        { cat openssl.log; fail "no certificate"; }
}

configuration() { # accelerator, algorithms
    cat <<END
workers: 1
admin: { address: "127.0.0.1:$admin" }
log: { access: off }
acceleration:
  prefer: [$1]
  require: true
  offload: [$2]
  break_even: 1
  # RSA, ECDSA, X25519.
  qat_engine: { software_algorithms: "0x29" }
listeners:
  - name: edge
    address: 127.0.0.1:$edge
    max_handshakes_per_client: 512
    tls: { certificates: [{ certificate_chain: edge.pem, private_key: edge.key }] }
    routes: [{ cluster: backend }]
clusters: [{ name: backend, endpoints: ["127.0.0.1:$backend"] }]
END
}

get() {
    curl -sS --noproxy '*' --max-time 20 --curves X25519:P-256:P-384 --cacert edge.pem "$@" "https://localhost:$edge/"
}

admin() { curl -sS --noproxy '*' --max-time 20 "http://127.0.0.1:$admin$1"; }

# Operations of an algorithm that went a path.
counted() {
    admin /metrics | sed -n "s/^gateway_accelerator_operations_total{.*algorithm=\"$1\".*path=\"$2\".*} //p"
}

answers() {
    local version got
    for version in 1.2 1.3; do
        got=$(get --tlsv$version --tls-max $version) || fail "curl, TLS $version"
        [ "$got" = backend ] || fail "curl, TLS $version: $got"
        printf 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' |
            limited 20 openssl s_client -connect "127.0.0.1:$edge" -servername localhost "-tls${version/./_}" \
                -groups X25519:P-256:P-384 -CAfile edge.pem -verify_return_error -quiet -ign_eof >s_client 2>&1 || true
        grep -q 'HTTP/1.1 200' s_client || { cat s_client; fail "s_client, TLS $version"; }
    done
}

crowd() {
    local version count
    export -f get
    export edge
    for version in 1.2 1.3; do
        seq 64 | xargs -P 16 -I{} bash -c "get --tlsv$version --tls-max $version" >crowd || true
        count=$(grep -c backend crowd || true)
        [ "$count" -eq 64 ] || fail "a crowd, TLS $version: $count answers of 64"
        # curl starts too slowly for a batch to fill on every machine.
        limited 60 ./qat-gateway bench handshake --connect "127.0.0.1:$edge" --sni localhost \
            --tls $version --in-flight 64 --max-rate 100000 --duration 500ms --rounds 1 >load 2>&1 ||
            { cat load; fail "a crowd of handshakes, TLS $version"; }
    done
}

try() { # accelerator, key, what is offloaded of it
    local ended=0 gateway offload=x25519
    if [ -n "$3" ]; then offload="$3, x25519"; fi
    certificate "$2"
    configuration "$1" "$offload" >gateway.yaml
    ./qat-gateway run --config gateway.yaml >log 2>&1 &
    gateway=$!
    for _ in $(seq 300); do
        if admin /readyz >/dev/null 2>&1; then break; fi
        kill -0 "$gateway" 2>/dev/null || { cat log; fail "$1: it does not start"; }
        sleep 0.1
    done
    admin /accelerators | grep -q "^$1: in use" || { cat log; fail "$1 is not in use"; }
    answers
    local algorithm rsa ecdsa x25519 again paused
    # Until enough came at once to fill a batch: what is alone is quicker in software.
    for _ in $(seq 10); do
        crowd
        rsa=$(counted rsa accelerated) ecdsa=$(counted ecdsa accelerated) x25519=$(counted x25519 accelerated)
        if [ "$x25519" -gt 0 ] && { [ -z "$3" ] || [ "${!3}" -gt 0 ]; }; then break; fi
    done
    again=$(($(counted rsa redone) + $(counted ecdsa redone) + $(counted x25519 redone)))
    [ "$x25519" -gt 0 ] || fail "$1: no X25519 was offloaded"
    [ "$again" -eq 0 ] || fail "$1: $again operations were done again"
    # What an engine does by itself, in software, does not pause.
    paused=$(admin /metrics | sed -n 's/^gateway_accelerator_pauses_total{.*} //p')
    [ "$paused" -ge $((rsa + ecdsa + x25519)) ] || fail "$1: $paused pauses are too few"
    for algorithm in rsa ecdsa; do
        if [ "$algorithm" = "$3" ]; then
            [ "${!algorithm}" -gt 0 ] || fail "$1: no $algorithm was offloaded"
        else
            [ "${!algorithm}" -eq 0 ] || fail "$1: $algorithm was offloaded without such a key"
        fi
    done
    kill -TERM "$gateway"
    wait "$gateway" || ended=$?
    [ "$ended" -eq 0 ] || { cat log; fail "$1: SIGTERM: exit code $ended"; }
    ok "$1, $2: TLS 1.2 and 1.3; offloaded: $rsa of RSA, $ecdsa of ECDSA, $x25519 of X25519"
}

inside() {
    local accelerator key ecdsa lacks
    cd /mnt
    unset OPENSSL_CONF SSL_CERT_FILE
    # Below the ports that the kernel gives away.
    edge=$((20000 + $$ % 4000)) admin=$((24000 + $$ % 4000)) backend=$((28000 + $$ % 4000))
    mkdir -p www
    echo backend >www/index.html
    nghttpd --no-tls --address=127.0.0.1 --htdocs=www "$backend" >nghttpd 2>&1 &
    for accelerator in multibuffer qat_engine; do
        lacks=$(qat_sw_lacks)
        if [ $accelerator = qat_engine ] && [ -n "$lacks" ]; then
            skip "qatengine's QAT_SW" "$lacks"
            continue
        fi
        for key in rsa:2048 rsa:3072 rsa:4096; do try $accelerator $key rsa; done
        # libcrypto_mb is given no signatures with these.
        ecdsa=
        if [ $accelerator = qat_engine ]; then ecdsa=ecdsa; fi
        for key in ec:P-256 ec:P-384; do try $accelerator $key "$ecdsa"; done
    done
    kill %1
}

case ${1:-} in
--inside) inside ;;
*) outside "$@" ;;
esac
