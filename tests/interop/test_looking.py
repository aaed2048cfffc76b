"""Looking at snapshots on a real Tahoe-LAFS grid in the plain layout."""

from __future__ import annotations

import json
from pathlib import Path

from tests.interop.on_grid import OnGrid
from tests.interop.tahoe_grid import TahoeGrid


def test_snapshots_of_both_tools(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, source: Path) -> None:
    """What `tallac` and `tahoe` backed up is searched, compared and measured as one history."""
    (source / "parent" / "large").write_bytes(b"large" * 30_000)
    on_grid("backup", source, target)
    on_grid.await_next_name(target)
    tahoe_grid.tahoe("backup", str(source), target)
    (source / "parent" / "large").write_bytes(b"other" * 30_000)
    (source / "parent" / "blah.txt").unlink()
    on_grid("backup", source, target)
    first, second, third = on_grid.snapshots(target)
    assert on_grid("diff", "--content", f"{target}/Archives/{first}", f"{target}/Archives/{second}").lines == [
        b"result  no differences"
    ]
    changes = on_grid("diff", "--json", "--content", f"{target}/Archives/{second}", f"{target}/Archives/{third}").lines
    shown = [(record["sign"], record["path"], record.get("old_size")) for record in map(json.loads, changes[:-1])]
    assert shown == [("-", "parent/blah.txt", 4), ("M", "parent/large", 150_000)]
    assert on_grid("diff", f"{target}/Latest", source).lines == [b"result  no differences"]
    found = [json.loads(line) for line in on_grid("find", "--json", target, "large", "--size", "+100k").lines[:-1]]
    assert {snapshot["snapshot"] for record in found for snapshot in record["snapshots"]} == {first, second, third}
    turns = [json.loads(line)["turn"] for line in on_grid("history", "--json", f"{target}/parent/blah.txt").lines]
    assert turns[-1] == "absent"
    assert on_grid("du", "-b", "--max-depth", "0", f"{target}/Latest").out == b"154003\t.\n"
    summary = json.loads(on_grid("stats", "--json", target).lines[-1])
    assert (summary["restore_size"], summary["unique"]) == (3 * 154_003 + 2 * 4, 304_007)
    assert "stored" not in summary
