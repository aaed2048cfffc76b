"""`tallac manifest`."""

from __future__ import annotations

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, base32
from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import json_name
from tallac.cli.output.stderr import show_name
from tallac.errors import UsageError


@define(
    "manifest",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("-s", "--storage-index", text="Print storage indexes alone."),
        flag("--verify-cap", text="Print verify caps alone, with which others can check all of it, and read nothing."),
    ],
    examples=("tallac manifest home:docs/Latest", "tallac manifest --verify-cap home:docs"),
)
def command(run: CommandContext, place: str, storage_index: bool, verify_cap: bool) -> None:
    """List all that hangs below a place, with its caps.

    Each thing comes once, with its read cap and the path by which it was found first. Whoever has the list can read it all.
    """
    if storage_index and verify_cap:
        raise UsageError("--storage-index and --verify-cap are two different lists; ask for one")
    for listed in run.client.manifest(place):
        path = b"/".join(listed.path)
        if run.output.is_json:
            run.output.record(
                type=_kind(listed.cap),
                cap=listed.cap.danger_whole_text(),
                verify_cap=_verify_cap(listed.cap),
                storage_index=_storage_index(listed.cap),
                **json_name(path, "path"),
            )
        elif storage_index or verify_cap:
            text = _storage_index(listed.cap) if storage_index else _verify_cap(listed.cap)
            if text is not None:
                run.output.line(text)
        else:
            run.output.line(f"{listed.cap.danger_whole_text()} {show_name(path)}".rstrip())


def _kind(cap: Cap) -> str:
    return "directory" if isinstance(cap, DirectoryReadCap) else "file" if isinstance(cap, FileReadCap) else "unknown"


def _verify_cap(cap: Cap) -> str | None:
    return None if cap.verify_cap is None else cap.verify_cap.danger_whole_text()


def _storage_index(cap: Cap) -> str | None:
    index = getattr(cap, "storage_index", None)
    return base32.encode(index) if isinstance(index, bytes) else None
