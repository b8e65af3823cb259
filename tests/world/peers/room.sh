#!/bin/bash
# usage: unshare --mount --pid --fork --kill-child room.sh WORLD NAME HOME   — the root of a server: its layer over the base, and over
# both a memory file system that takes what it writes. HOME/share is /world inside. Whatever runs inside ends with this process.
set -eu
world=$1 name=$2 home=$3
cd "$home"
mkdir -p fs share
mount -t tmpfs tmpfs fs
mkdir fs/up fs/work fs/root
root=$home/fs/root
mount -t overlay overlay -o "lowerdir=$world/$name:$world/base,upperdir=$home/fs/up,workdir=$home/fs/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for d in null zero full random urandom; do
	touch "$root/dev/$d"
	mount --bind "/dev/$d" "$root/dev/$d"
done
mkdir -m 1777 "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/world"
mount --bind "$home/share" "$root/world"
ln -s /world/syslog "$root/dev/log"
# Some daemons close every descriptor that there may be, one by one.
ulimit -n 4096
exec chroot "$root" /bin/sh -c 'touch /world/ready; exec sleep infinity'
