#!/bin/bash
# usage: tools/promtool.sh FILE   — takes Prometheus's promtool out of Debian's package, without installing that (it would bring
# a service). Nothing happens where it is there; where the package cannot be had within a minute, one line says so.
set -eu
target=$(realpath -m "$1")
[ ! -x "$target" ] && ! command -v promtool >/dev/null || exit 0
mkdir -p "$(dirname "$target")"
folder=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"

download() { timeout 60 apt-get -qq -o APT::Sandbox::User=root download prometheus >apt.log 2>&1; }
# Its lists may be missing where every other package was there already.
if ! download && ! { [ "$(id -u)" = 0 ] && timeout 60 apt-get -qq update >apt.log 2>&1 && download; }; then
	echo "promtool.sh: the package prometheus cannot be had: $(tail -n 1 apt.log)" >&2
	exit 1
fi
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
mv usr/bin/promtool "$target"
