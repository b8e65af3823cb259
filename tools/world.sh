#!/bin/bash
# usage: tools/world.sh FOLDER   — the mail servers that tests/world talks to, each in a root of its own below FOLDER, since their
# packages exclude each other: one small Debian 12 (FOLDER/base), and over it a layer for each server (FOLDER/NAME). Needs root,
# debootstrap and overlayfs. What is there already stays; a root that could not be made is told of, and its tests fail.
set -eu
[ "$(id -u)" = 0 ] || { echo 'world.sh: needs root, for debootstrap and chroot' >&2 && exit 1; }
mkdir -p "$1"
folder=$(realpath "$1")
suite=bookworm

packages() {
	case $1 in
	clients) echo default-jdk-headless libmail-java perl libio-socket-ssl-perl libauthen-sasl-perl nodejs node-nodemailer ;;
	courier) echo courier-pop courier-authlib-userdb ;;
	cyrus) echo cyrus-pop3d cyrus-admin sasl2-bin ;;
	exim) echo exim4-daemon-light ;;
	nullclient) echo postfix libsasl2-modules ;;
	mailutils) echo mailutils-pop3d ;;
	opensmtpd) echo opensmtpd ;;
	popa3d) echo popa3d openbsd-inetd stunnel4 ;;
	solid) echo solid-pop3d openbsd-inetd ;;
	esac
}

# One at a time, also where two checkouts share the folder.
exec 9>"$folder/lock"
flock 9

base() {
	[ ! -e "$folder/base.done" ] || return 0
	rm -rf --one-file-system "$folder/base"
	local mirror
	# shellcheck disable=SC2016 # apt-get expands it
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1)
	debootstrap --variant=minbase $suite "$folder/base" ${mirror:+"$mirror"} >"$folder/base.log" 2>&1 || return 1
	printf '#!/bin/sh\nexit 101\n' >"$folder/base/usr/sbin/policy-rc.d"
	chmod 755 "$folder/base/usr/sbin/policy-rc.d"
	echo force-unsafe-io >"$folder/base/etc/dpkg/dpkg.cfg.d/world"
	touch "$folder/base.done"
}

# $1 = name: its packages, installed into the layer.
layer() {
	local name=$1
	[ ! -e "$folder/$name.done" ] || return 0
	local list
	read -ra list <<<"$(packages "$name")"
	rm -rf --one-file-system "${folder:?}/$name" "$folder/$name.work" "$folder/$name.root"
	mkdir "$folder/$name" "$folder/$name.work" "$folder/$name.root"
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount -- bash -c '
		set -eu
		cd "$1"
		mount -t overlay overlay -o "lowerdir=base,upperdir=$2,workdir=$2.work" "$2.root"
		mount -t proc proc "$2.root/proc"
		mount --bind /dev "$2.root/dev"
		root=$2.root
		shift 2
		apt() {
			chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
				apt-get -qq -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 --no-install-recommends "$@"
		}
		apt install "$@" || { apt update && apt install "$@"; }
		apt clean
	' world "$folder" "$name" "${list[@]}" </dev/null >"$folder/$name.log" 2>&1 || return 1
	rm -rf --one-file-system "$folder/$name.work" "$folder/$name.root"
	touch "$folder/$name.done"
}

# nodemailer as its users install it. Where there is no npm, Debian's own package of it in the clients' root is used.
npm() {
	[ ! -e "$folder/npm.done" ] && command -v npm >/dev/null || return 0
	rm -rf "${folder:?}/npm"
	command npm install --prefix "$folder/npm" --cache "$folder/npm/cache" --no-audit --no-fund --no-update-notifier --ignore-scripts \
		nodemailer@7 </dev/null >"$folder/npm.log" 2>&1 || return 1
	rm -rf "$folder/npm/cache"
	touch "$folder/npm.done"
}

failed=
for name in base clients courier cyrus exim mailutils nullclient opensmtpd popa3d solid npm; do
	case $name in
	base | npm) make=$name ;;
	*) make="layer $name" ;;
	esac
	if ! $make; then
		echo "world.sh: $name could not be made; the last words of $folder/$name.log:" >&2
		tail -n 3 "$folder/$name.log" >&2
		failed=yes
	fi
done
[ -z "$failed" ]
