#!/usr/bin/env bash
# Makes the Debian base image out of Debian's packages, where no image registry can be
# reached: debootstrap, then docker import. Needs root. Does nothing where the image is
# already there.
#
#   docker/make-base.sh [--force] [MIRROR]
#
# MIRROR  a Debian mirror; without it the one this machine's apt is set up with
# IMAGE   the image's name (environment; default qat-gateway-base:trixie)
#
# Exit codes: 69 something needed cannot be had here, 77 not root.
set -euo pipefail

image=${IMAGE:-qat-gateway-base:trixie}
suite=trixie

fail() { printf '%s: %s\n' "${0##*/}" "$2" >&2; exit "$1"; }

force=
if [ "${1:-}" = --force ]; then force=1; shift; fi
mirror=${1:-}

docker version >/dev/null 2>&1 || fail 69 "no Docker engine answers"
if [ -z "$force" ] && docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there"
    exit 0
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$(dirname "$0")/make-root.sh" "$root" ${mirror:+"$mirror"}

# A container starts no services while packages are installed, and needs no manuals.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/dpkg/dpkg.cfg.d/container" <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
END
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root"/usr/share/{man,info,locale}/* \
    "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log

tar --numeric-owner --one-file-system -C "$root" -c . |
    docker import --change 'CMD ["bash"]' --message "debootstrap of $suite" - "$image" >/dev/null
echo "$image is made"
