from pathlib import Path

from tallac.testing.crash_disk import CrashDisk, Survival
from tallac.vault.mirror.rollback_guard import MirrorMemory


def test_what_a_mirror_had_survives_a_power_loss(tmp_path: Path) -> None:
    """The states of a mirror are remembered once `remember` has returned, whatever the disk did not flush of itself."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = CrashDisk(folder)
    memory = MirrorMemory(folder / "mirror.json", disk)
    memory.remember({"slots/a": b"one"})
    memory.remember({"slots/a": b"two"})
    disk.surviving(Survival.NONE).write_to(tmp_path / "after")
    after = MirrorMemory(tmp_path / "after" / "mirror.json")
    assert after.was("slots/a", b"one")
    assert after.was("slots/a", b"two")
    assert not after.was("slots/a", b"three")
