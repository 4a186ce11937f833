#!/usr/bin/env bash
# The page of `bench handshake --report` in a real browser, light and dark, with few rows
# and with many: it renders, nothing is said on the console, and the pictures are kept to
# be looked at.
#
#   tests/report-in-browser.sh target/release/qat-gateway target/ci
set -euo pipefail
gateway=$1 pictures=$2

if ! command -v chromium >/dev/null; then
    echo "SKIPPED: the report in a browser: chromium is not installed"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$pictures"

# 0 and 1 are Blink's names of the schemes; the colours are those of the page's style.
scheme() { if [ "$1" = dark ]; then echo 0; else echo 1; fi; }
background() { if [ "$1" = dark ]; then echo 15191d; else echo ffffff; fi; }

# The first pixel of a PNG with 8 bits a channel: in the first row no filter changes it.
first_pixel() {
    python3 - "$1" <<'PYTHON'
import re, struct, sys, zlib
data, at, pixels = open(sys.argv[1], "rb").read(), 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at : at + 8])
    if kind == b"IDAT":
        pixels += data[at + 8 : at + 8 + size]
    at += size + 12
print(zlib.decompressobj().decompress(pixels, 4)[1:].hex())
PYTHON
}

picture() {
    local page=$1 colours=$2 height=$3 file=$4
    # --no-sandbox: as root, and in containers, it has none.
    timeout --kill-after=10s 120s chromium --headless --no-sandbox --disable-gpu \
        --hide-scrollbars --enable-logging=stderr --user-data-dir="$work/profile" \
        --blink-settings=preferredColorScheme="$(scheme "$colours")" \
        --window-size=1280,"$height" --screenshot="$file" "file://$page" 2>"$work/log" >&2 ||
        { tail -5 "$work/log"; exit 1; }
    if grep CONSOLE "$work/log"; then
        echo "the console is not silent"
        exit 1
    fi
    [ -s "$file" ] || { echo "no picture: $file"; tail -5 "$work/log"; exit 1; }
    local seen
    seen=$(first_pixel "$file")
    [ "$seen" = "$(background "$colours")" ] || { echo "$file: $colours, and its background is $seen"; exit 1; }
    echo "$file"
}

report() {
    local name=$1 height=$2
    shift 2
    "$gateway" bench handshake --rounds 1 --duration 500ms --report "$work/$name.html" "$@" \
        >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
    for colours in light dark; do
        picture "$work/$name.html" "$colours" "$height" "$pictures/report-$name-$colours.png"
    done
}

report few 1150 --key p256 --in-flight 8
report many 8000 --key rsa2048,p256 --tls 1.2,1.3 --resumed --in-flight 1,2,4,8,16,64
