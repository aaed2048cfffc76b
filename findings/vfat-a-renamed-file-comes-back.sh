#!/usr/bin/env bash
# Linux vfat: after a power failure a file that was renamed from one folder into another has both names, though all that can be
# synced by its descriptor and its new folder was; fsck.fat then empties one of the two.
#
# Seen with Linux 6.1.176 (Debian's user-mode-linux 6.1um4) and fsck.fat 4.2. The program in the virtual machine makes a file in the
# folder `a`, writes 5,000 bytes, syncs it, renames it to `b/file`, syncs it again, syncs the folder `b`, and says so; then the
# machine is killed. Done 5 times with each order:
#
#   synced after the rename                  names on the disk     fsck.fat -n
#   the file, then b                         a/new and b/file      "share clusters. Truncating second to 0 bytes."
#   a, then the file, then b                 b/file                nothing
#
# The folder above `a` was synced after mkdir; without that even the second order leaves both names.
#
# POSIX promises no more: the removal of a name is durable once its folder is synced. On file systems with a journal both halves of a
# rename survive together. Here they are two names for one place on the disk, and whoever deletes one of them frees the other's bytes.
#
# Consequence for Tallac: a vault on FAT lost acknowledged snapshots to fsck (tests/end_to_end/test_real_fat.py); the folder that a
# file leaves is synced first now, where a file can have one name only. Needs root, user-mode-linux and dosfstools. Fails when it changes.
set -euo pipefail
folder=$(mktemp -d /var/tmp/vfat-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/inside.py" <<'PYTHON'
import ctypes, os, signal, sys

libc = ctypes.CDLL(None, use_errno=True)
modules = f"/usr/lib/uml/modules/{os.uname().release}/kernel/fs/"
for name in ("fat/fat", "fat/vfat", "nls/nls_cp437", "nls/nls_iso8859-1", "nls/nls_ascii"):
    libc.syscall(313, os.open(f"{modules}{name}.ko", os.O_RDONLY), b"", 0)
top = sys.argv[1]
assert libc.mount(b"/dev/ubda", top.encode(), b"vfat", 0, None) == 0, os.strerror(ctypes.get_errno())


def sync_folder(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


for name in ("a", "b"):
    os.mkdir(f"{top}/{name}")
# Until the folder above was synced after mkdir, syncing a folder itself writes nothing of its first block.
sync_folder(top)
descriptor = os.open(f"{top}/a/new", os.O_RDWR | os.O_CREAT)
os.write(descriptor, b"x" * 5000)
os.fsync(descriptor)
sync_folder(f"{top}/a")
os.rename(f"{top}/a/new", f"{top}/b/file")
if sys.argv[2] == "former":
    sync_folder(f"{top}/a")
os.fsync(descriptor)
sync_folder(f"{top}/b")
sys.stdout.write("synced\n")
sys.stdout.flush()
signal.pause()
PYTHON
mkdir "$folder/top"
python=$(python3 -c 'import sys; print(sys.executable)')
try() {
    rm -f "$folder/disk" "$folder/said"
    truncate -s 64M "$folder/disk"
    mkfs.vfat -F 32 "$folder/disk" >/dev/null
    printf '#!/bin/sh\nexec %s %s %s %s\n' "$python" "$folder/inside.py" "$folder/top" "$1" >"$folder/init"
    chmod 755 "$folder/init"
    HOME=$folder setsid linux.uml mem=256M root=/dev/root rootfstype=hostfs rw quiet "init=$folder/init" "ubd0=$folder/disk" \
        con=null con0=null,fd:1 </dev/null >"$folder/said" 2>/dev/null &
    machine=$!
    until grep -qs synced "$folder/said"; do sleep 0.1; done
    kill -9 -- "-$machine"
    wait "$machine" 2>/dev/null || true
    fsck.fat -n "$folder/disk" | grep -c "share clusters" || true
}
linux.uml --version
before=0 after=0
for _ in 1 2 3 4 5; do
    before=$((before + $(try latter)))
    after=$((after + $(try former)))
done
echo "two names, of 5: $before without syncing the former folder, $after with it"
[ "$before" = 5 ] && [ "$after" = 0 ]
