#!/bin/bash
# usage: tools/unpack.sh FOLDER PACKAGE…   — unpacks Debian packages into FOLDER/root, with the libraries that they name and the
# system lacks, without installing any: some exclude what is installed. Nothing happens for those that are there; one line
# says what cannot be had within a minute.
set -eu
folder=$(realpath -m "$1")
shift
mkdir -p "$folder/root"

download() { timeout 60 apt-get -qq -o APT::Sandbox::User=root download "$1" >apt.log 2>&1; }
installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

unpack() { # PACKAGE
	[ ! -e "$folder/$1" ] || return 0
	# Its lists may be missing where every other package was there already.
	if ! download "$1" && ! { [ "$(id -u)" = 0 ] && timeout 60 apt-get -qq update >apt.log 2>&1 && download "$1"; }; then
		echo "unpack.sh: the package $1 cannot be had: $(tail -n 1 apt.log)" >&2
		return 1
	fi
	dpkg-deb -x "$1"_*.deb "$folder/root"
	local library
	for library in $(dpkg-deb -f "$1"_*.deb Depends | grep -oE '\blib[a-z0-9.+-]+'); do
		installed "$library" || unpack "$library" || return 1
	done
	touch "$folder/$1"
}

scratch=$(mktemp -d "$folder/apt.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failed=
for package in "$@"; do
	unpack "$package" || failed=yes
done
[ -z "$failed" ]
