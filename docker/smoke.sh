#!/usr/bin/env bash
# Builds the image around a binary and tries it: health, HTTP/2 through it to two
# backends, no root, SIGTERM. Says SKIPPED where images cannot be built. What it makes
# is removed at the end, except the base image.
#
#   docker/smoke.sh BINARY
#
# BASE_IMAGE  Debian 13 (environment; default: docker/make-base.sh makes one)
set -euo pipefail
binary=$(realpath -e "${1:?which binary of the gateway}")
cd "$(dirname "$0")"

run=qat-gateway-smoke-$$
image=$run:gateway
backend_image=$run:backend
work=$(mktemp -d)

cleanup() {
    docker rm -f "$run-gateway" "$run-backend-1" "$run-backend-2" >/dev/null 2>&1 || true
    docker network rm "$run" >/dev/null 2>&1 || true
    docker rmi "$image" "$backend_image" >/dev/null 2>&1 || true
    rm -rf "$work"
}
limited() { timeout --kill-after=30s "$@"; }
skip() { printf 'SKIPPED: the container image: %s\n' "$1"; exit 0; }
ok() { printf '%s ... ok\n' "$1"; }
fail() {
    printf 'FAILED: %s\n' "$1"
    docker logs --tail 40 "$run-gateway" 2>&1 || true
    exit 1
}

# ------------------------------------------------------------------------- the images

command -v docker >/dev/null || skip "docker is not installed"
limited 30 docker version >/dev/null 2>&1 || skip "no Docker engine answers"
trap cleanup EXIT

base=${BASE_IMAGE:-}
if [ -z "$base" ]; then
    base=qat-gateway-base:trixie
    made=0
    IMAGE=$base limited 900 ./make-base.sh 2>"$work/base" || made=$?
    case $made in
    0) ;;
    69 | 77 | 124) skip "$(tail -n 1 "$work/base")" ;;
    *) cat "$work/base"; fail "make-base.sh ended with $made" ;;
    esac
fi
limited 120 docker run --rm "$base" apt-get update -qq -o APT::Update::Error-Mode=any >"$work/apt" 2>&1 ||
    skip "containers cannot reach Debian's archive: $(tail -n 1 "$work/apt")"

build() { # log, further arguments: shows the log only where it fails
    local log=$work/$1
    shift
    limited 900 docker build --build-arg BASE_IMAGE="$base" "$@" >"$log" 2>&1 ||
        { tail -n 20 "$log"; fail "docker build"; }
}
mkdir "$work/context"
install -m 755 "$binary" "$work/context/qat-gateway"
# Most of a release binary are line tables.
if command -v strip >/dev/null; then strip --strip-debug "$work/context/qat-gateway" || true; fi
build gateway.log -f Dockerfile --target prebuilt -t "$image" "$work/context"
build backend.log -f backend.Dockerfile -t "$backend_image" .
size=$(docker image inspect -f '{{.Size}}' "$image")
ok "the image builds ($((size / 1000000)) MB)"

# --------------------------------------------------------------------- the containers

mkdir "$work/certs"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$work/certs/edge.key" -out "$work/certs/edge.pem" 2>"$work/openssl" ||
    { cat "$work/openssl"; fail "no certificate"; }
# The gateway's user is not this one; the certificate is thrown away.
chmod 755 "$work/certs"
chmod 644 "$work/certs"/*
mounts=(-v "$PWD/gateway.yaml:/etc/qat-gateway/gateway.yaml:ro" -v "$work/certs:/etc/qat-gateway/certs:ro")

docker network create "$run" >/dev/null
for name in backend-1 backend-2; do
    docker run -d --init --name "$run-$name" --network "$run" --network-alias "$name" \
        -e BACKEND_NAME="$name" "$backend_image" >/dev/null
done

limited 60 docker run --rm --network none "${mounts[@]}" "$image" \
    check --config /etc/qat-gateway/gateway.yaml >"$work/check" 2>&1 || { cat "$work/check"; fail "check"; }
ok "check accepts docker/gateway.yaml"

docker run -d --name "$run-gateway" --network "$run" -p 127.0.0.1::8443 --health-interval 1s \
    --read-only --cap-drop ALL --security-opt no-new-privileges "${mounts[@]}" "$image" >/dev/null

health=
for _ in $(seq 60); do
    health=$(docker inspect -f '{{.State.Health.Status}}' "$run-gateway")
    if [ "$health" = healthy ]; then break; fi
    sleep 1
done
[ "$health" = healthy ] || fail "the health check says: $health"
ok "it becomes healthy"

# ------------------------------------------------------------------------- what it does

port=$(docker port "$run-gateway" 8443/tcp | head -n 1)
port=${port##*:}
get() { curl -sS --noproxy '*' --max-time 20 --cacert "$work/certs/edge.pem" "$@" "https://localhost:$port/"; }

version=$(get -o "$work/body" -w '%{http_version} %{response_code}') || fail "curl"
[ "$version" = "2 200" ] || fail "HTTP version and status: $version"
ok "HTTP/2 over TLS"

head -c 1000000 /dev/urandom >"$work/upload"
get -o "$work/echo" --data-binary "@$work/upload" || fail "curl -d"
cmp "$work/upload" "$work/echo" || fail "the echo differs from the upload"
ok "an upload of 1 MB comes back"

for _ in $(seq 40); do get >>"$work/backends" || fail "curl"; done
[ "$(sort -u "$work/backends" | tr '\n' ' ')" = "backend-1 backend-2 " ] ||
    fail "not both backends answered: $(sort "$work/backends" | uniq -c | tr '\n' ' ')"
ok "both backends answer"

docker exec "$run-gateway" busybox wget -q -O - http://127.0.0.1:9901/metrics >"$work/metrics" ||
    fail "/metrics"
grep -q '^gateway_tls_handshakes_total{.*outcome="completed"' "$work/metrics" || fail "no handshake is counted"
ok "/metrics counts the handshakes"

uid=$(docker exec "$run-gateway" sh -c 'while read -r key id _; do [ "$key" != Uid: ] || echo "$id"; done </proc/1/status')
[ "$uid" = 10001 ] || fail "it runs as user $uid"
ok "it does not run as root"

limited 90 docker stop -t 60 "$run-gateway" >/dev/null || fail "docker stop"
ended=$(docker inspect -f '{{.State.ExitCode}}' "$run-gateway")
[ "$ended" -eq 0 ] || fail "SIGTERM: exit code $ended"
ok "SIGTERM ends it with 0"
