#!/bin/bash
# usage: unshare -m room.sh PACKAGES ROOM COMMAND…  — runs a mail server from unpacked Debian packages, in a root of its own: the
# system's libraries, the packages' programs, and what ROOM holds already (etc, var, mail). Nothing is installed, the mounts
# are this process's alone, and it becomes the command, so its id is the server's.
set -eu
packages=$1 room=$2
shift 2
cd "$room"
mkdir -p dev mnt proc run tmp usr/bin usr/lib usr/lib64 usr/libexec usr/sbin usr/share
for d in bin lib lib64 sbin; do
	[ -e $d ] || ln -s usr/$d $d
done
for d in /dev /proc /usr/bin /usr/lib /usr/lib64 /usr/share; do
	[ ! -d $d ] || mount --bind $d ."$d"
done
for d in sbin libexec; do
	mount --bind "$packages/usr/$d" usr/$d
done
mount --bind "$packages/usr" mnt
for d in mnt/lib/*-linux-gnu*; do
	[ ! -d "$d" ] || export LD_LIBRARY_PATH="/$d"
done
# Their children close every descriptor that there may be, one by one.
ulimit -n 1024
exec chroot . "$@"
