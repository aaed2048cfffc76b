"""Recovery kits as text, and as a page to print, with QR codes, that refers to nothing outside itself."""

from __future__ import annotations

import html
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path

from tallac.app.configuration.folders import write_new_private_file
from tallac.app.keys.recovery_kit import BEGIN, END, RecoveryKit
from tallac.app.locations.urls import show_location
from tallac.dag import LATEST
from tallac.errors import UsageError

_WHAT = """This is all that is needed, beside the vault's files, to read and to go on with these backups. Whoever holds it and the
files can do what you can: keep it where you keep a passport, away from the computer, and give no copy to anybody who may not
read everything."""
_USE = """On a new machine: install Tallac, attach the vault's disk, and type the lines of the kit (or scan them) into a file,
kit.txt. Then:"""
_NOTES = """If the vault lies elsewhere by then, say where, as in `tallac connect /media/disk/vault --recovery-kit kit.txt`. The
lines may stand in any order, and one with a typing error is named. An alias that was made after this kit is not in it: make a new
kit then. `tallac ls ALIAS:` lists what was backed up to an alias since."""
_CONNECT = "tallac connect --recovery-kit kit.txt"

_STYLE = """
body { font: 11pt/1.4 sans-serif; max-width: 18cm; margin: 1cm auto; color: #000; background: #fff }
h1 { font-size: 18pt } h2 { font-size: 12pt; margin: 0 0 .3em }
pre { font: 9pt/1.5 monospace; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #000; padding: .5em }
figure { break-inside: avoid; margin: 0 0 1em; display: flex; gap: 1em; align-items: center; border: 1px solid #999; padding: .5em }
figure svg { flex: none; width: 5cm; height: 5cm } figcaption { overflow-wrap: anywhere; font: 9pt/1.5 monospace }
@media print { body { margin: 0 } }
"""


def kit_text(kit: RecoveryKit, made: datetime | None = None) -> str:
    """Write a kit as text; `made` is the date that it bears, UTC."""
    parts = [_title(kit, made), _WHAT, _USE, "\n".join(f"    {line}" for line in _commands(kit)), _NOTES.replace("`", "")]
    return "\n\n".join([*map(_filled, parts), _block(kit)]) + "\n"


def kit_page(kit: RecoveryKit, made: datetime | None = None) -> str:
    """Write a kit as an HTML page that refers to nothing outside itself; `made` is the date that it bears, UTC."""
    codes = [("the vault", kit.danger_vault_lines())]
    codes += [(f"alias {name}", [line]) for (name, _), line in zip(kit.aliases, kit.danger_alias_lines(), strict=True)]
    figures = "\n".join(_figure(title, lines) for title, lines in codes)
    commands = "\n".join(map(html.escape, _commands(kit)))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>Tallac recovery kit</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{html.escape(_title(kit, made))}</h1>
<p>{_marked(_WHAT)}</p>
<p>{_marked(_USE)}</p>
<pre>{commands}</pre>
<p>{_marked(_NOTES)}</p>
<pre>{html.escape(_block(kit))}</pre>
{figures}
</body>
</html>
"""


def write_kit(kit: RecoveryKit, path: Path) -> None:
    """Write a kit into a new file that only the user can read: a page where its name ends in .html, text where it ends in .txt.

    Raises:
        UsageError: The name has another ending, or there is such a file.
        OutputError: It can't be written.
    """
    writers = {".html": kit_page, ".htm": kit_page, ".txt": kit_text}
    if path.suffix.lower() not in writers:
        raise UsageError(f"{path}: a recovery kit goes into a file whose name ends in .html or .txt")
    write_new_private_file(path, writers[path.suffix.lower()](kit, datetime.now(UTC)).encode())


def _title(kit: RecoveryKit, made: datetime | None) -> str:
    date = "" if made is None else f", {made:%Y-%m-%d}"
    return f"Tallac recovery kit: the vault at {show_location(kit.location)}{date}"


def _commands(kit: RecoveryKit) -> list[str]:
    """Return what to type: for each target of the kit, how to list its snapshots and how to restore the newest."""
    if not kit.targets:
        # Nothing is backed up yet, or the vault could not be asked: what lies below an alias is listed then.
        return [_CONNECT, *(f"tallac ls {_quoted(name + ':')}" for name, _ in kit.aliases)]
    commands = [_CONNECT]
    for target in kit.targets:
        newest = target + (LATEST.decode() if target.endswith(":") else f"/{LATEST.decode()}")
        folder = "restored" if len(kit.targets) == 1 else "restored-" + target.rstrip(":").replace(":", "-").replace("/", "-")
        commands += [f"tallac snapshots {_quoted(target)}", f"tallac restore {_quoted(newest)} {_quoted(folder)}"]
    return commands


def _quoted(text: str) -> str:
    """Return a word of a command as a shell takes it; what is not printable ASCII is escaped where it could not be typed."""
    if text.isprintable():
        return shlex.quote(text)
    letters = (chr(byte) if 0x20 < byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return f"$'{''.join(letters)}'"


def _block(kit: RecoveryKit) -> str:
    return "\n".join([BEGIN, *kit.danger_vault_lines(), *kit.danger_alias_lines(), END])


def _figure(title: str, lines: list[str]) -> str:
    # lazy import: only this page needs it.
    import segno

    code = segno.make("\n".join(lines), error="m", micro=False).svg_inline(scale=1, border=4, omitsize=True)
    return f"<figure>{code}<figcaption><h2>{html.escape(title)}</h2>{'<br>'.join(map(html.escape, lines))}</figcaption></figure>"


def _marked(text: str) -> str:
    """Write a sentence in HTML; what stands in backquotes is code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _filled(text: str) -> str:
    if text.startswith("    "):
        return text
    # lazy import: only this text needs it.
    import textwrap

    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)
