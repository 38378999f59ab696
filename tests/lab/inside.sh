# Started by tests/run in new namespaces (all but the network's): makes the layers this process's root, and runs in it.
# $1 repository, $2 cache, $3 layers, $4 their names, $5 "static", "shell" (then a command) or "pytest" (then its arguments)
set -euo pipefail
. "$1/tests/lab/registry.sh"
repo=$1 cache=$2 lower=$3 names=$4 what=$5; shift 5
mkdir -p "$cache/state" "$cache/mount"
mount -t tmpfs -o size=90%,mode=755 lab "$cache/mount"
cd "$cache/mount"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=upper,workdir=work" root
cd root
mkdir -p repo lab state old
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for d in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229"; do
    set -- "$@" # keeps pytest's arguments
    read -r name major minor <<<"$d"; mknod -m 666 "dev/$name" c "$major" "$minor"
done
mkdir -p dev/pts dev/shm dev/net; mknod -m 666 dev/net/tun c 10 200
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin; ln -s /proc/self/fd/1 dev/stdout; ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount --bind "$repo" repo; mount -o remount,bind,ro repo
mount --bind "$cache/layers" lab; mount -o remount,bind,ro lab
mount --bind "$cache/state" state
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id # systemd-nspawn wants one
# The kernel's older way to limit memory, where the newer one does not have it.
mkdir run/memory; mount -t cgroup -o memory cgroup run/memory 2>/dev/null || rmdir run/memory
mkdir run/host; registry_files run/host; cp run/host/resolv.conf etc/resolv.conf
hostname lab
pivot_root . old
umount -l old
cd /repo
export PATH=/opt/tests/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export PYTHONPATH=/repo:/repo/tests PYTHONDONTWRITEBYTECODE=1 HERMES_SETUP_LAYERS=$names
export MYPY_CACHE_DIR=/state/mypy RUFF_CACHE_DIR=/state/ruff HYPOTHESIS_STORAGE_DIRECTORY=/state/hypothesis
if [ "$what" = shell ]; then [ $# -gt 0 ] || set -- bash; "$@"; exit; fi
if [ "$what" = static ]; then bash tests/lab/static.sh; exit; fi
# No exec: process 1 has to reap what tests leave behind, and bash does.
python -m pytest -o cache_dir=/state/pytest "$@"
