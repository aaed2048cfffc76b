"""Held snapshots, and others, under the commands that move and remove single things."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest
from tests.command import COMMAND, Tallac
from tests.interop.gateway import serving

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def kept(tallac: Tallac, source: Path, tmp_path: Path) -> Tallac:
    """Give a target `usb:t` with two snapshots, the newer of which is held, and one `usb:free` with one that is not."""
    tallac("create-alias", "usb", "--vault", tmp_path / "usb")
    for target in ("usb:t", "usb:t", "usb:free"):
        (source / "more").write_text(target)
        tallac("-q", "backup", source, target)
    tallac("-q", "hold", "usb:t", "Latest")
    return tallac


def names(tallac: Tallac, target: str) -> list[str]:
    """List the snapshots of a target."""
    return [line.decode() for line in tallac("ls", f"{target}/Archives").lines]


def test_held_means_held(kept: Tallac, tmp_path: Path) -> None:
    """No command removes, moves or replaces a held snapshot, nor what it is in, whatever switches it has."""
    free, held = names(kept, "usb:t")
    other = names(kept, "usb:free")[0]
    before = kept("ls", "-R", "usb:t").out
    kept("mkdir", f"usb:copies/{held}")
    kept("cp", "-r", f"usb:free/Archives/{other}", "usb:renamed/")
    if other != held:
        kept("mv", f"usb:renamed/{other}", f"usb:renamed/{held}")
    for words in (
        ["unlink", f"usb:t/Archives/{held}"],
        ["rm", f"usb:t/Archives/{held}", "--force"],
        ["rm", "usb:t", "--force"],
        ["rm", "usb:t/Archives", "-f"],
        ["mv", f"usb:t/Archives/{held}", "usb:elsewhere", "--force"],
        ["mv", f"usb:t/Archives/{held}", f"usb:t/Archives/{other}x"],
        ["mv", "usb:t/Archives", "usb:elsewhere", "--force"],
        ["cp", "-r", f"usb:renamed/{held}", "usb:t/Archives"],
    ):
        message = kept.fails(*words)
        assert f"{held}: this snapshot is held; `tallac release` removes the hold" in message, words
    for words in (["ln", f"usb:free/Archives/{other}", f"usb:t/Archives/{held}"], ["put", __file__, f"usb:t/Archives/{held}"]):
        assert kept.fails(*words).startswith("tallac: ")
    assert kept("ls", "-R", "usb:t").out == before
    kept("rewrite", "usb:t", "--exclude", "more", status=1)
    assert names(kept, "usb:t") == [free, held]


def test_held_means_held_for_clients_of_the_gateway(kept: Tallac) -> None:
    """Requests to unlink, rename, move or replace a held snapshot are refused, and do nothing."""
    before = names(kept, "usb:t")
    held = before[1]
    archives = kept("cap", "--write", "usb:t/Archives").out.decode().strip()
    with serving(kept) as gateway:
        for method, path in (
            ("DELETE", f"uri/{archives}/{held}"),
            ("POST", f"uri/{archives}?t=unlink&name={held}"),
            ("POST", f"uri/{archives}?t=rename&from_name={held}&to_name=x"),
            ("PUT", f"uri/{archives}/{held}?t=uri&replace=true"),
        ):
            answer = gateway.ask(method, path, b"URI:LIT:" if method == "PUT" else None)
            assert (answer.status_code, "is held" in answer.text) == (400, True), (path, answer.text)
    assert names(kept, "usb:t") == before


def test_a_snapshot_is_not_dropped_by_the_way(kept: Tallac, source: Path) -> None:
    """Other snapshots, and targets, go only with --force, and come back with all that they had."""
    free = names(kept, "usb:t")[0]
    before = {target: kept("ls", "-R", target).out for target in ("usb:t", "usb:free")}
    assert "this is a snapshot; `tallac forget` drops" in kept.fails("rm", f"usb:t/Archives/{free}")
    assert "this is a snapshot" in kept.fails("mv", f"usb:t/Archives/{free}", "usb:elsewhere")
    assert "usb:free: it holds 1 snapshot;" in kept.fails("rm", "usb:free")
    assert before == {target: kept("ls", "-R", target).out for target in before}
    kept("rm", f"usb:t/Archives/{free}", "--force")
    assert free not in names(kept, "usb:t")
    kept("forget", "--undo", "usb:t")
    kept("rm", "usb:free", "-f")
    assert "no such entry" in kept.fails("ls", "usb:free")
    kept("forget", "--undo", "usb:free")
    assert before == {target: kept("ls", "-R", target).out for target in before}
    # What is back is written to as before.
    kept("-q", "backup", source, "usb:free")
    assert len(names(kept, "usb:free")) == 2
    kept("mv", f"usb:t/Archives/{free}", "usb:elsewhere", "-f")
    assert names(kept, "usb:t") == names(kept, "usb:t")[-1:]
    assert kept("ls", "usb:elsewhere").lines
    assert "usb:free/Archives: it holds 2 snapshots;" in kept.fails("mv", "usb:free/Archives", "usb:free/Old")
    # A whole target loses nothing when it is moved.
    kept("mv", "usb:t", "usb:moved")
    assert len(names(kept, "usb:moved")) == 1


def test_undo_where_the_key_is_kept_elsewhere(kept: Tallac, tmp_path: Path) -> None:
    """What local state notes of a removed target holds no cap in plain text, where the configuration holds none."""
    kept("key-source", "usb:", "--file", tmp_path / "key")
    kept("rm", "usb:free", "-f")
    stored = b"".join(path.read_bytes() for path in kept.home.rglob("retention.db*"))
    assert b"sealed:" in stored
    assert b"URI:DIR2:" not in stored
    kept("forget", "--undo", "usb:free")
    assert len(names(kept, "usb:free")) == 1


@pytest.mark.parametrize(("answer", "is_gone"), [(b"n\n", False), (b"y\n", True)])
def test_at_a_terminal_it_asks(kept: Tallac, answer: bytes, is_gone: bool) -> None:
    """Whoever sits at a terminal is asked, and only a yes drops the snapshots."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, "rm", "usb:free"], kept.environment)  # noqa: S606 - there is no shell to want.
    os.write(terminal, answer)
    said = b""
    try:
        while part := os.read(terminal, 1000):
            said += part
    except OSError:
        pass  # The command has ended.
    _, status = os.waitpid(pid, 0)
    assert b"usb:free: it holds 1 snapshot. Go on?" in said
    assert os.waitstatus_to_exitcode(status) == (0 if is_gone else 1)
    assert ("free" in kept("ls", "usb:").out.decode()) is not is_gone
