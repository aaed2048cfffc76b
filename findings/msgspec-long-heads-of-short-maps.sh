#!/usr/bin/env bash
# msgspec 0.22.0: a Struct with more than 15 fields of which few are set is written with the long head of a map.
#
# With omit_defaults=True fields that have their default are left out, and the head of the map is filled in afterwards. Its width
# follows from the fields that the class has, not from those that are written. Seen with msgspec 0.22.0 on Python 3.11, one field set:
#
#   class            msgspec.msgpack.encode                    the shortest form, which msgpack and ormsgpack write
#   15 fields        81 a2 66 30 01                            81 a2 66 30 01
#   16 fields        de 00 01 a2 66 30 01                      81 a2 66 30 01
#
# The same values as a dict are written in the shortest form by msgspec too. All of it decodes to the same, also where the decoder is
# msgspec's; but bytes that are hashed, signed or compared change when a 16th field is added to a class, for values that do not have it.
# JSON is not concerned, and without omit_defaults a map of 16 fields needs the long head anyhow.
#
# Consequence for Tallac: docs/format.md fixes the long head for an entry's metadata, and tests/unit/dag/test_metadata_form.py pins it
# with bytes written by hand. Fails when this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install msgspec==0.22.0 msgpack==1.1.1 ormsgpack==1.13.1
export HOME="$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import msgpack
import msgspec
import ormsgpack

print(*(f"{name} {version(name)}" for name in ("msgspec", "msgpack", "ormsgpack")), "Python", sys.version.split()[0])
SHORT, LONG = "81 a2 66 30 01", "de 00 01 a2 66 30 01"
changed = 0
for count, expected in ((15, SHORT), (16, LONG)):
    fields = [(f"f{number}", int, 0) for number in range(count)]
    value = msgspec.defstruct("Value", fields, omit_defaults=True)(f0=1)
    seen = msgspec.msgpack.encode(value)
    others = [encode({"f0": 1}).hex(" ") for encode in (msgspec.msgpack.encode, msgpack.packb, ormsgpack.packb)]
    same = msgspec.msgpack.decode(seen, type=type(value)) == value and msgpack.unpackb(seen) == {"f0": 1}
    is_recorded = seen.hex(" ") == expected and others == [SHORT] * 3 and same
    changed += not is_recorded
    print("as recorded" if is_recorded else "CHANGED", f"{count} fields:", seen.hex(" "), "; as a dict:", *others)
sys.exit(1 if changed else 0)
PYTHON
