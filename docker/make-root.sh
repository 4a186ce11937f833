#!/usr/bin/env bash
# Makes a folder with Debian 13 in it, by debootstrap. Needs root.
#
#   docker/make-root.sh FOLDER [MIRROR]
#
# MIRROR   a Debian mirror; without it the one this machine's apt is set up with
# INCLUDE  packages beside the least there can be, with commas between (environment)
#
# Exit codes: 69 something needed cannot be had here, 77 not root.
set -euo pipefail

root=${1:?which folder}
mirror=${2:-}
suite=trixie

fail() { printf '%s: %s\n' "${0##*/}" "$2" >&2; exit "$1"; }

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

log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo "debootstrap of $suite ..."
debootstrap --variant=minbase --keyring="$keyring" ${INCLUDE:+"--include=$INCLUDE"} \
    "$suite" "$root" "$mirror" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; fail 69 "debootstrap failed"; }

# What apt uses in there: the same archives, with Debian's key.
source_of() {
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$keyring"
}
: >"$root/etc/apt/sources.list"
{
    source_of "$mirror" "$suite $suite-updates"
    if [ -n "${security:-}" ]; then source_of "$security" "$suite-security"; fi
} >"$root/etc/apt/sources.list.d/debian.sources"
# The name of the machine that made it, and its resolver, are none of the root's.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
