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
[ "$(id -u)" -eq 0 ] || fail 77 "debootstrap needs root"

# The archive of this label that apt knows here: "Debian" or "Debian-Security".
apt_mirror() {
    # shellcheck disable=SC2016 # apt's own variable
    apt-get indextargets --format '$(REPO_URI)' "Identifier: Packages" "Origin: Debian" "Label: $1" \
        2>/dev/null | head -n 1
}

# apt knows labels only once it has the lists; debootstrap is one of Debian's packages.
if command -v apt-get >/dev/null; then
    if ! command -v debootstrap >/dev/null || [ -z "${mirror:-$(apt_mirror Debian)}" ]; then
        apt-get update -qq >/dev/null 2>&1 || true
    fi
    if ! command -v debootstrap >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            debootstrap debian-archive-keyring >/dev/null 2>&1 || true
    fi
    mirror=${mirror:-$(apt_mirror Debian)}
    security=$(apt_mirror Debian-Security)
fi
command -v debootstrap >/dev/null || fail 69 "debootstrap is not installed and cannot be"
[ -n "$mirror" ] || fail 69 "apt knows no Debian mirror here: name one as the argument"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail 69 "$keyring is missing (package debian-archive-keyring)"

root=$(mktemp -d)
log=$(mktemp)
trap 'rm -rf "$root" "$log"' EXIT

echo "debootstrap of $suite ..."
debootstrap --variant=minbase --keyring="$keyring" "$suite" "$root" "$mirror" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; fail 69 "debootstrap failed"; }

# What apt uses in the image: the same archives, with Debian's key.
source_of() {
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$keyring"
}
: >"$root/etc/apt/sources.list"
{
    source_of "$mirror" "$suite $suite-updates"
    if [ -n "${security:-}" ]; then source_of "$security" "$suite-security"; fi
} >"$root/etc/apt/sources.list.d/debian.sources"

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
# The name of the machine that made it, and its resolver, are none of the image's.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"

tar --numeric-owner --one-file-system -C "$root" -c . |
    docker import --change 'CMD ["bash"]' --message "debootstrap of $suite" - "$image" >/dev/null
echo "$image is made"
