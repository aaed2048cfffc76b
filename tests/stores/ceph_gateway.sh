#!/usr/bin/env bash
# A Ceph RADOS gateway of one node on loopback, its objects in memory, everything else in a temporary folder. Needs root, and Debian's
# radosgw, ceph-mon and ceph-osd. Prints "http://127.0.0.1:PORT KEYID SECRET" when it answers, after some 20 s, and runs until the
# process whose id it was given has ended, or until SIGTERM; then nothing is left of it.       ceph_gateway.sh PID
set -eu
watched="$1"
folder="$(mktemp -d)"
started=""
cleanup() {
    for process in $started; do kill -KILL "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 0' TERM INT HUP

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
monitor="$(free_port)"
port="$(free_port)"
cluster="$(cat /proc/sys/kernel/random/uuid)"
mkdir "$folder/mon" "$folder/osd" "$folder/rgw" "$folder/run"
cd "$folder"

cat >ceph.conf <<TEXT
[global]
fsid = $cluster
mon host = 127.0.0.1:$monitor
mon initial members = a
public network = 127.0.0.0/8
keyring = $folder/keyring
run dir = $folder/run
admin socket = $folder/run/\$name.asok
log file = $folder/run/\$name.log
crash dir = $folder/run
ms bind msgr2 = false
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
osd pool default pg num = 1
osd pool default pgp num = 1
mon max pg per osd = 1000
mon data avail crit = 1
osd objectstore = memstore
memstore device bytes = 4294967296
auth allow insecure global id reclaim = false
[mon.a]
mon data = $folder/mon
[osd.0]
osd data = $folder/osd
[client.rgw]
rgw data = $folder/rgw
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
TEXT

answers() { python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null; }
{
    ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
    ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    ceph-authtool keyring --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
    monmaptool --create --addv a "[v1:127.0.0.1:$monitor]" --fsid "$cluster" monmap
    ceph-mon -c ceph.conf --mkfs -i a --monmap monmap --keyring keyring
    ceph-mon -c ceph.conf -i a -f &
    started="$started $!"
    for _ in $(seq 30); do
        timeout 20 ceph -c ceph.conf --connect-timeout 2 osd new "$(cat osd.uuid 2>/dev/null || tee osd.uuid </proc/sys/kernel/random/uuid)" 0 && break
        sleep 0.5
    done
    ceph-osd -c ceph.conf -i 0 --mkfs --osd-uuid "$(cat osd.uuid)" --keyring keyring
    ceph-osd -c ceph.conf -i 0 -f --keyring keyring &
    started="$started $!"
    radosgw -c ceph.conf -n client.rgw -f --keyring keyring &
    started="$started $!"
    for _ in $(seq 240); do
        answers && break
        sleep 0.5
    done
    timeout 60 radosgw-admin -c ceph.conf user create --uid=tallac --display-name=tallac --access-key=KEYID --secret-key=SECRET
    timeout 60 radosgw-admin -c ceph.conf user create --uid=adder --display-name=adder --access-key=ADDKEYID --secret-key=ADDSECRET
} >"$folder/log" 2>&1 || {
    tail -n 40 "$folder/log" >&2
    exit 1
}
echo "http://127.0.0.1:$port KEYID SECRET"
while kill -0 "$watched" 2>/dev/null; do sleep 1; done
