#!/bin/bash
# usage: tools/deb.sh FOLDER   — builds the Debian packages there from what git tracks, and asks lintian and systemd.
set -eu
out=$(realpath -m "$1")
rm -rf "$out"
mkdir -p "$out/ofmsrv"
git ls-files -z | xargs -0 cp --parents -t "$out/ofmsrv"
cd "$out/ofmsrv"
if ! dpkg-buildpackage --no-sign -b >"$out/build.log" 2>&1; then
	tail -n 30 "$out/build.log" >&2
	exit 1
fi
cd ..
lintian --fail-on error,warning --suppress-tags bad-distribution-in-changes-file --tag-display-limit 0 ./*.changes
# systemd's own measure of what the service could still do: 0 is nothing, 10 all. As a plain user in a container without
# systemd it cannot be taken, which is no fault of the package.
fine=yes
systemd-analyze security --offline=true --threshold=20 --no-pager ofmsrv/debian/ofmsrv.service >security.txt 2>&1 || fine=no
if grep -q 'Overall exposure' security.txt; then
	tail -n 1 security.txt | sed 's/^[^O]*//'
	[ $fine = yes ] || exit 1
else
	echo "deb.sh: how far the service is confined was not measured: $(tail -n 1 security.txt)" >&2
fi
rm -rf ofmsrv
ls ./*.deb
