#!/bin/sh
# Install the Debian packages that tests call (a C compiler, cron, systemd, setfacl, setfattr, strace, zsh, fish, mandoc, mergerfs, exFAT, PostgreSQL, MariaDB, Redis, Btrfs, Ceph, sshd, a kernel with FAT), where they are missing and this is root on a Debian system.
# Elsewhere it says what is missing and goes on: the tests that need a tool skip themselves and say so.
set -eu

missing=""
for pair in cc:gcc cc:libc6-dev cron:cron systemd-analyze:systemd psql:postgresql mariadbd:mariadb-server redis-server:redis-server mkfs.btrfs:btrfs-progs setfacl:acl setfattr:attr strace:strace zsh:zsh fish:fish mandoc:mandoc mergerfs:mergerfs mount.exfat-fuse:exfat-fuse mkfs.exfat:exfatprogs radosgw:radosgw ceph-mon:ceph-mon ceph-osd:ceph-osd sshd:openssh-server linux.uml:user-mode-linux mkfs.vfat:dosfstools; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "tests: without$missing some tests are skipped" >&2
    exit 0
fi
echo "tests: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # The list is meant to split.
install_missing() { apt-get install --yes --no-install-recommends $missing; }
log="$(mktemp)"
# Tests start the servers that they need by themselves, on ports and folders of their own.
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then
    trap 'rm -f "$log"' EXIT
else
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
if ! { apt-get update && install_missing; } </dev/null >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "tests: could not install$missing; some tests are skipped" >&2
fi
