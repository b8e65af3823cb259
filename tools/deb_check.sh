#!/bin/bash
# usage: tools/deb_check.sh FOLDER   — tries the package of FOLDER in a Debian of its own: installed, served from,
# upgraded, removed, purged. Needs root, debootstrap, and the package mirror that this machine's apt uses.
# Ends in `N passed, N failed`.
set -u
debs=$(realpath "$1")
[ "$(id -u)" = 0 ] || { echo "deb_check.sh: needs root, for debootstrap and chroot" >&2 && exit 1; }
root=$(mktemp -d /tmp/ofm.deb.XXXXXX)
chmod 755 "$root"
gateway=
passed=0
failed=0

finish() {
	[ -z "$gateway" ] || kill "$gateway" 2>/dev/null
	umount -q "$root/proc"
	rm -rf --one-file-system "$root"
}
trap finish EXIT

ok() {
	local what=$1
	shift
	if "$@" >"$root/tmp/out" 2>&1; then
		passed=$((passed + 1))
		echo "ok   $what"
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		sed 's/^/     /' "$root/tmp/out" | tail -n 15
	fi
}
not() { ! "$@"; }
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
modes() { [ "$(inside stat -c '%U:%G %a' "$1")" = "$2" ] || { inside stat -c '%U:%G %a %n' "$1" && false; }; }

runs_as() {
	local wanted
	wanted=$(inside id -u "$1") && grep -E "^Uid:	$wanted	$wanted	$wanted	" "/proc/$gateway/status"
}

# The gateway in a network of its own, so that it has ports 25 and 110.
start() {
	unshare --net -- bash -c "ip link set lo up; exec chroot '$root' /usr/sbin/ofmsrv" </dev/null >"$root/tmp/gateway" 2>&1 &
	gateway=$!
	for _ in $(seq 100); do
		inside ofmctl status >/dev/null 2>&1 && return
		sleep 0.1
	done
	cat "$root/tmp/gateway"
	false
}
stop() {
	inside ofmctl stop && wait "$gateway"
	local status=$?
	gateway=
	return $status
}
# shellcheck disable=SC2016 # the inner shell expands these
# $1 = subject: a message to postmaster, by SMTP.
send() {
	nsenter --target "$gateway" --net -- timeout 20 bash -c '
		exec 3<>/dev/tcp/127.0.0.1/25
		say() { printf "%s\r\n" "$1" >&3; }
		hear() { local l; while IFS= read -r l <&3; do case $l in "$1"-*) ;; "$1"*) return 0 ;; *) echo "$l"; return 1 ;; esac; done; return 1; }
		hear 220 && say "EHLO x" && hear 250 && say "MAIL FROM:<scanner@office.lan>" && hear 250 &&
		say "RCPT TO:<postmaster>" && hear 250 && say DATA && hear 354 && say "Subject: $1" && say "" && say . && hear 250 && say QUIT
	' send "$1"
}
mail_with() { grep -rqs "Subject: $1" "$root/var/lib/ofmsrv/mailboxes/postmaster/"; }

# shellcheck disable=SC2016 # apt-get expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
debootstrap --variant=minbase bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
	tail -n 5 "$root.log" >&2
	exit 1
}
rm -f "$root.log"
mount -t proc proc "$root/proc"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp /etc/apt/sources.list "$root/etc/apt/sources.list" 2>/dev/null
cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/" 2>/dev/null
cp "$debs"/ofmsrv_*.deb "$root/tmp/new.deb"

# What an earlier version was: the same, with a lower number and another configuration file.
dpkg-deb -R "$root/tmp/new.deb" "$root/tmp/old"
sed -i 's/^Version: .*/Version: 0.0.1/' "$root/tmp/old/DEBIAN/control"
echo '; an earlier version' >>"$root/tmp/old/etc/ofmsrv/ofmsrv.ini"
dpkg-deb -b "$root/tmp/old" "$root/tmp/old.deb" >/dev/null

ok "package lists" inside apt-get -qq update
ok "an earlier version installs, with what it depends on" inside apt-get -qq -y --no-install-recommends install /tmp/old.deb
ok "the user ofmsrv exists" inside id ofmsrv
ok "the configuration is its group's alone" modes /etc/ofmsrv/ofmsrv.ini "root:ofmsrv 640"
ok "mail is its owner's alone" modes /var/lib/ofmsrv/mailboxes "ofmsrv:ofmsrv 700"
ok "the configuration is without fault" inside ofmctl check
ok "it starts as installed" start
ok "it has become the user ofmsrv" runs_as ofmsrv
ok "it takes mail" send before-the-upgrade
ok "it stops" stop
echo '; a line of the administrator' >>"$root/etc/ofmsrv/ofmsrv.ini"

ok "it is upgraded" inside apt-get -qq -y -o Dpkg::Options::=--force-confold --no-install-recommends install /tmp/new.deb
ok "the version is the new one" bash -c "chroot '$root' dpkg-query -W -f '\${Version}' ofmsrv | grep -qv 0.0.1"
ok "the administrator's line survived the upgrade" grep -q "line of the administrator" "$root/etc/ofmsrv/ofmsrv.ini"
ok "the mail survived the upgrade" mail_with before-the-upgrade
ok "it starts after the upgrade" start
ok "it takes mail after the upgrade" send after-the-upgrade
ok "it stops again" stop
ok "man pages, completion and the service are there" inside sh -c \
	'ls /usr/share/man/man?/ofm* /usr/share/bash-completion/completions/ofmctl /lib/systemd/system/ofmsrv.service 2>&1 ||
	 dpkg -L ofmsrv | grep -q man8'

ok "it is removed" inside apt-get -qq -y remove ofmsrv
ok "the program is gone" not test -e "$root/usr/sbin/ofmsrv"
ok "the mail survived the removal" mail_with after-the-upgrade
ok "the configuration survived the removal" test -e "$root/etc/ofmsrv/ofmsrv.ini"
ok "it is purged" inside apt-get -qq -y purge ofmsrv
ok "the configuration is gone" not test -e "$root/etc/ofmsrv"
ok "the mail survived even that" mail_with after-the-upgrade

ok "it installs again over the mail" inside apt-get -qq -y --no-install-recommends install /tmp/new.deb
ok "it starts over the mail" start
ok "it stops a last time" stop
rm -rf "$root"/var/lib/ofmsrv/mailboxes/*
ok "without mail it is purged" inside apt-get -qq -y purge ofmsrv
ok "and leaves nothing behind" not test -e "$root/var/lib/ofmsrv"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
