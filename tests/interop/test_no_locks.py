"""A Tahoe-LAFS grid has no locks: whoever asks for them is not left without them silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.command import Tallac
from tests.interop.gateway import serving


def test_a_grid_has_no_locks(tallac: Tallac, make_tallac: Callable[[Path], Tallac], source: Path, tmp_path: Path) -> None:
    """Each change is refused before the node hears of it; what is there is read."""
    (tmp_path / "put").write_text("x")
    with serving(tallac) as gateway:
        client = make_tallac(tmp_path / "client")
        client("create-alias", "node", "--node-url", gateway.url)
        client("backup", source, "node:")
        before = sorted((path, path.stat().st_size) for path in tallac.vault.rglob("*") if path.is_file())
        for command in (
            ("backup", source, "node:"),
            ("put", tmp_path / "put", "node:put"),
            ("mkdir", "node:made"),
            ("rm", "node:Latest"),
        ):
            message = client.fails(*command, "--lock-for", "30d", status=2)
            assert "only S3 has locks that Tallac can set; leave out --lock-for" in message
        assert sorted((path, path.stat().st_size) for path in tallac.vault.rglob("*") if path.is_file()) == before
        assert client("ls", "node:Latest", "--lock-for", "30d").out
        assert client("ls", "node:", "--lock-for", "30d").out
        client("backup", source, "node:", "--lock-for", "0")
