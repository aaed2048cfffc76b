"""Options of restic 0.19 that have another name here, or none.

A synonym is accepted where it means the same, and shown nowhere. Any other is refused with what there is in its place, because an
option that does nearly the same is worse than none.
"""

from __future__ import annotations

EVERYWHERE = ""
"""Stands for all commands."""

ACCEPTED: dict[str, dict[str, str]] = {
    EVERYWHERE: {"--repo": "--vault"},
    "backup": {
        "-e": "--exclude",
        "--exclude-file": "--exclude-from",
        "--files-from-verbatim": "--files-from",
        "--files-from-raw": "--files-from0",
        "--stdin-filename": "--stdin-name",
        "-H": "--host",
        "-f": "--ignore-timestamps",
        "--force": "--ignore-timestamps",
    },
    "snapshots": {"-H": "--host", "--path": "--source", "-g": "--group-by"},
    "find": {
        "-H": "--host",
        "--path": "--source",
        "-s": "--snapshot",
        "-O": "--newer",
        "--oldest": "--newer",
        "-N": "--older",
        "--newest": "--older",
    },
    "ls": {"-H": "--host", "--path": "--source"},
    "get": {"-H": "--host", "--path": "--source"},
    "restore": {"-t": "--target", "-i": "--include", "-e": "--exclude", "-H": "--host", "--path": "--source"},
    "rewrite": {"-e": "--exclude"},
    "forget": {
        "-l": "--keep-last",
        "-H": "--keep-hourly",
        "-w": "--keep-weekly",
        "-m": "--keep-monthly",
        "-y": "--keep-yearly",
        "-g": "--group-by",
        "--unsafe-allow-remove-all": "--allow-empty",
    },
    "connect": {"--password-file": "--passphrase-file", "--password-command": "--passphrase-command"},
    "add-passphrase": {"--new-password-file": "--passphrase-file"},
    "change-passphrase": {"--new-password-file": "--passphrase-file"},
}
"""Command -> restic's option -> ours."""

_NO_LOCKS = "there are no locks"
_NOT_ADJUSTABLE = "this can't be adjusted"
_LOCATION = "keep locations in aliases, or name one with --vault"
_NOT_NEEDED = "daily commands need no password; `tallac connect` and `tallac add-passphrase` take one"

REFUSED: dict[str, dict[str, str]] = {
    EVERYWHERE: {
        "--repository-file": _LOCATION,
        "--password-file": _NOT_NEEDED,
        "--password-command": _NOT_NEEDED,
        "--insecure-no-password": _NOT_NEEDED,
        "--key-hint": "the vault's key is in your configuration; see `tallac key-source`",
        "--no-lock": _NO_LOCKS,
        "--retry-lock": _NO_LOCKS,
        "--no-cache": "--cache-size 0 keeps nothing of a distant vault on this machine",
        "--cache-dir": "TALLAC_HOME moves all of Tallac's folders",
        "--cleanup-cache": "the cache is bounded by itself; `tallac cache clear` deletes it",
        "--compression": "`tallac compression` sets it for a vault, and `backup --compression` for one run",
        "--pack-size": _NOT_ADJUSTABLE,
        "--option": _NOT_ADJUSTABLE,
        "--no-extra-verify": _NOT_ADJUSTABLE,
    },
    "backup": {
        "--iexclude-file": "give patterns with --iexclude",
        "--parent": "a backup is always compared with the latest snapshot of its target",
        "--with-atime": "access times are not kept",
        "--ignore-inode": "here it is --unchanged-by size,mtime,ctime; devices are never compared",
        "--ignore-ctime": "here it is --unchanged-by size,mtime; devices are never compared",
        "--read-concurrency": _NOT_ADJUSTABLE,
        "--group-by": "a backup is always compared with the latest snapshot of its target",
    },
    "snapshots": {"--compact": "the table has one line for each snapshot already"},
    "find": {
        "--long": "versions are always shown in full",
        "--reverse": "paths are sorted by name",
        "--human-readable": "sizes always have units; --json has bytes",
        "--blob": "caps name objects; see `tallac manifest`",
        "--pack": "caps name objects; see `tallac manifest`",
        "--tree": "caps name objects; see `tallac manifest`",
    },
    "ls": {"--human-readable": "-l shows sizes with units already", "--ncdu": "see `tallac du`"},
    "diff": {"--metadata": "changed metadata is always shown; --content leaves it out"},
    "stats": {"--mode": "all sizes are shown at once; `tallac vault-stats` has those of the whole vault"},
    "restore": {
        "--sparse": "holes are restored as they were",
        "--ownership-by-name": "owners are set by name unless --numeric-owner is given",
        "--include-file": "give patterns with --include",
        "--exclude-file": "give patterns with --exclude",
        "--tag": "name the snapshot; `tallac snapshots --tag` finds it",
    },
    "forget": {
        "--host": "rules apply to each host by itself; see --group-by",
        "--path": "rules apply to each source by itself; see --group-by",
        "--tag": "rules apply to all snapshots of a target; see --keep-tag and --group-by",
        "--compact": "the table has one line for each snapshot already",
    },
    "prune": {
        "--max-repack-size": "--max-unused says what is worth repacking",
        "--repack-cacheable-only": "--max-unused says what is worth repacking",
        "--repack-uncompressed": "everything is compressed already",
        "--unsafe-recover-no-free-space": "a prune works on a full disk by itself",
    },
    "check": {"--with-cache": "there is no cache that could be used"},
    "rewrite": {
        "--forget": "snapshots keep their names, and the former ones are replaced",
        "--iexclude": "give patterns with --exclude",
        "--exclude-file": "give patterns with --exclude",
    },
    "init": {"--copy-chunker-params": "each vault has its own; `tallac mirror` copies a vault with them"},
}
"""Command -> restic's option, without a counterpart that means the same -> what to do instead."""


def hint(command: str, option: str) -> str:
    """Return what to do instead of giving an option of restic's; "" where it is none."""
    return REFUSED.get(command, {}).get(option) or REFUSED[EVERYWHERE].get(option, "")
