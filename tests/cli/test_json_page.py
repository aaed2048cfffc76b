"""The page on JSON describes what commands print with `--json`: each kind of object, each key and its type, and nothing else."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tallac.backends.store_cache import StoreCache, cache_path
from tallac.cli.group import group

if TYPE_CHECKING:
    from tests.command import Result, Tallac

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "json.md"
ENTRY = ""
"""Stands for objects without a `type` of their own."""

# Progress is written once a second; here, each time that there is some.
EAGER = """
import sys
from tallac.cli.output import progress
progress.JSON_INTERVAL_SECONDS = 0
del sys.argv[1:4]
from tallac.cli.main import main
main()
"""


@dataclass(frozen=True)
class Key:
    """What the page says about a key."""

    types: frozenset[str]
    is_optional: bool


Kinds = Mapping[str, Mapping[str, Key]]


def _expand(text: str) -> Iterator[str]:
    """Write out `a{b,c}`, as a shell does."""
    parts = [part.split(",") for part in re.split(r"[{}]", text)]
    yield from ("".join(combination) for combination in itertools.product(*parts))


def _keys(table: str) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for names, kind, _ in (line.strip("| ").split(" | ", 2) for line in table.splitlines() if line.startswith("| `")):
        plain = kind.removesuffix(", optional")
        keys = [key for name in re.findall(r"`([^`]+)`", names) for key in _expand(name)]
        types = plain.split(", ") if ", " in plain else [plain] * len(keys)
        for key, each in zip(keys, types, strict=True):
            assert key not in found
            found[key] = Key(frozenset(each.split(" or ")), kind != plain)
    return found


def _described() -> dict[str, Kinds]:
    """Give for each command the kinds of objects with their keys."""
    commands: dict[str, Kinds] = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        kinds: dict[str, Mapping[str, Key]] = {}
        for part in re.split(r"^(?=\*\*)", text, flags=re.MULTILINE)[1:]:
            title = part.partition("\n| key")[0]
            for name in re.findall(r"\*\*(?:`([a-z]+)`|Entries)\*\*", title):
                kinds[name] = _keys(part)
        for name in re.findall(r"`([^`]+)`", heading):
            commands[name] = kinds
    return commands


DESCRIBED = _described()


def _flatten(value: object, prefix: str) -> Iterator[tuple[str, object]]:
    """Give the keys of an object with their values, and of those within it, as the page writes them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.removesuffix("_hex") == key or key.removesuffix("_hex") not in value:
                yield from _flatten_one(inner, f"{prefix}{key}")


def _flatten_one(value: object, key: str) -> Iterator[tuple[str, object]]:
    yield key, value
    yield from _flatten(value, f"{key}.")
    for element in value if isinstance(value, list) else []:
        yield from _flatten(element, f"{key}[].")


def _is(value: object, kind: str) -> bool:
    match kind:
        case "any":
            return True
        case "null":
            return value is None
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "list of strings":
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, {"string": str, "boolean": bool, "list": list, "object": dict}[kind])


@dataclass
class Seen:
    """What the commands have printed: for each command and kind of object, the keys."""

    keys: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    wrong: list[str] = field(default_factory=list)

    def read(self, command: str, output: bytes) -> None:
        """Compare what a command has printed with the page."""
        for line in output.splitlines():
            self._compare(command, json.loads(line))

    def _compare(self, command: str, record: dict[str, object]) -> None:
        described = DESCRIBED[command]
        kind = str(record.get("type", ENTRY))
        if kind in described and kind != ENTRY:
            record = {key: value for key, value in record.items() if key != "type"}
        else:
            kind = ENTRY
        keys = described.get(kind)
        if keys is None:
            self.wrong.append(f"{command}: not on the page: {record}")
            return
        present: set[str] = set()
        for key, value in _flatten(record, ""):
            present.add(key)
            if key not in keys:
                self.wrong.append(f"{command} {kind}: the page lacks {key}")
            elif not any(_is(value, each) for each in keys[key].types):
                self.wrong.append(f"{command} {kind}: {key} is {value!r}")
        required = {key for key, about in keys.items() if not about.is_optional and "[]" not in key}
        self.wrong += [f"{command} {kind}: {key} is missing" for key in sorted(required - present)]
        self.keys[command, kind] |= present

    def never_seen(self) -> list[str]:
        """Name what is on the page and was printed by no command; commands that share a section do so together."""
        missing: dict[tuple[str, int], set[str]] = {}
        for command, kinds in DESCRIBED.items():
            for kind, keys in kinds.items():
                lacking = keys.keys() - self.keys[command, kind]
                section = f"{command} {kind}", id(keys)
                shared = next((known for known in missing if known[1] == section[1]), section)
                missing[shared] = missing.get(shared, set(lacking)) & lacking
        return sorted(f"{name}: {key}" for (name, _), keys in missing.items() for key in keys)


class Session:
    """Runs commands with `--json` and has all that they print compared."""

    def __init__(self, tallac: Tallac) -> None:
        self.tallac = tallac
        self._eager = type(tallac)(tallac.home, (sys.executable, "-c", EAGER))
        self.seen = Seen()
        self.commands: set[str] = set()

    def __call__(self, *arguments: str | bytes | Path, status: int = 0, stdin: bytes = b"", as_user: bool = False) -> Result:
        """Run a command, whose name comes first."""
        name = str(arguments[0])
        # To be eager takes a start of its own; the first of each command suffices.
        is_eager = "progress" in DESCRIBED[name] and not self.seen.keys[name, "progress"]
        tallac = self._eager if is_eager else self.tallac
        result = tallac("--json", *arguments, status=status, stdin=stdin, as_user=as_user)
        self.commands.add(name)
        self.seen.read(name, result.out)
        return result


@pytest.fixture
def run(tallac: Tallac) -> Session:
    """Give a session in which a command's first run writes progress after every step."""
    return Session(tallac)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with all that a listing may show."""
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(bytes(range(256)) * 40)
    (folder / "large").write_bytes(b"".join(number.to_bytes(4, "big") for number in range(800_000)))
    (folder / "text").write_text("text")
    (folder / "link").symlink_to("text")
    (folder / os.fsdecode(b"\xff")).write_text("a name that is not UTF-8")
    return folder


def _names(run: Session, target: str) -> list[str]:
    return [str(json.loads(line)["snapshot"]) for line in run("snapshots", target).lines]


def _look(run: Session, folder: Path, tmp_path: Path) -> None:
    first, *_, last = _names(run, "tallac:")
    kept = StoreCache(cache_path(run.tallac.home / "cache", "s3://bucket/vault"), "s3://bucket/vault", 1_000_000)
    kept.put(bytes(16), b"a directory", b"")
    kept.close()
    for command in (
        ("ls", "tallac:Latest"),
        ("find", "tallac:", "*"),
        ("history", "tallac:text"),
        ("history", "tallac:sub/file"),
        ("history", "tallac:link"),
        ("diff", f"tallac:Archives/{first}", f"tallac:Archives/{last}"),
        ("diff", "tallac:Latest", folder),
        ("du", "tallac:Latest"),
        ("stats", "tallac:"),
        ("stats", "--deep", "tallac:"),
        ("manifest", "tallac:Latest"),
        ("restore", "tallac:Latest", tmp_path / "restored"),
        ("restore", "tallac:Latest", tmp_path / "restored", "--overwrite", "always", "--verify"),
        ("check", "tallac:"),
        ("check", "--read-data", "tallac:"),
        ("deep-check", "tallac:"),
        ("scrub", "tallac:"),
        ("check-store", tmp_path / "store"),
        ("cache",),
        ("cache", "limit", "1M"),
        ("cache", "clear"),
    ):
        run(*command)


def _change(run: Session, folder: Path, tmp_path: Path) -> None:
    run("put", folder / "large", "tallac:large")
    run("put", folder / "text")
    run("get", "tallac:large", tmp_path / "got")
    run("mkdir", "tallac:made")
    run("cp", "-r", folder, "tallac:made", status=1)  # Symbolic links are skipped.
    run("ln", "tallac:made", "tallac:other")
    run("mv", "tallac:made", "tallac:moved")
    run("unlink", "tallac:other")


def _forget(run: Session, folder: Path) -> None:
    name, taken, *_ = _names(run, "tallac:")
    run("hold", "tallac:", name, "--reason", "why")
    run("release", "tallac:", name)
    run("tag", "tallac:", name, "--add", "a", "--note", "a note")
    run("rewrite", "tallac:", "--exclude", "/text")
    run("forget", "tallac:", "--keep-last", "1", "--group-by", "host,source,tags", "--dry-run")
    run("forget", "tallac:", "--keep-last", "1", "--group-by", "none", "--dry-run")
    run("forget", f"tallac:Archives/{taken}", f"tallac:Archives/{name}", "--allow-empty")
    (folder / "text").unlink()
    run("backup", folder, "tallac:", "--time", taken)
    run("forget", "--undo", "tallac:", status=1)
    run("forget", f"tallac:Archives/{name}", "--allow-empty")
    run("forget", "tallac:", "--keep-last", "unlimited", "--prune", "--max-unused", "0")
    run("prune", "tallac:", "--max-unused", "0")
    run("forget", "--undo", "tallac:", status=1)
    run("vault-stats", "tallac:")
    run("compression", "tallac:", "max", "-n")


def _hand_on(run: Session, tmp_path: Path) -> None:
    cap = json.loads(run("cap", "tallac:").out)["cap"]
    run("create-alias", "usb", "--vault", tmp_path / "usb")
    run("create-alias", "again")
    run("init", tmp_path / "made", "--alias", "made")
    run("add-alias", "read", cap)
    run("list-aliases")
    run("remove-alias", "read")
    words = tmp_path / "words"
    words.write_text("five words drawn by lot")
    for command in ("add-passphrase", "change-passphrase"):
        run(command, "tallac:", "--passphrase-file", words)
    run("list-passphrases", "tallac:")
    elsewhere = Session(type(run.tallac)(tmp_path / "elsewhere"))
    elsewhere.seen = run.seen
    elsewhere("connect", run.tallac.vault, "--passphrase-file", words)
    run.commands |= elsewhere.commands
    run("remove-passphrase", "tallac:", "--allow-none")
    for command in ("recovery-kit", "key-source", "locator-key", "keeper-key"):
        run(command, "tallac:")


def _run_jobs(run: Session, folder: Path, tmp_path: Path) -> None:
    other = Session(type(run.tallac)(tmp_path / "jobs"))
    other.seen = run.seen
    _run_some(other, folder, tmp_path)
    run.commands |= other.commands


def _run_some(run: Session, folder: Path, tmp_path: Path) -> None:
    run("job", "add", "--source", folder, "--target", "tallac:job", "--name", "docs", "--every", "hour", "--yes")
    file = run.tallac.home / "config" / "jobs.toml"
    file.write_text(f'{file.read_text()}prune = "each run"\ncopies = ["{tmp_path}/copy"]\n')
    run("jobs")
    run("run", "--dry-run")
    (folder / "sub" / "file").chmod(0)
    run("run", status=3, as_user=True)
    (folder / "sub" / "file").chmod(0o600)
    run("run", "docs")
    run("jobs")
    folder_of_units = tmp_path / "units"
    planned = Session(type(run.tallac)(run.tallac.home, ("env", f"XDG_CONFIG_HOME={folder_of_units}", f"PATH={tmp_path}")))
    planned.seen = run.seen
    (tmp_path / "systemctl").write_text("#!/bin/sh\n")
    (tmp_path / "systemctl").chmod(0o755)
    planned("schedule", "show", "--with", "systemd", "--user")
    planned("schedule", "install", "--with", "systemd", "--user", "--yes")
    run.commands |= planned.commands


def _serve(run: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "true")
    cap = json.loads(run("cap", "tallac:").out)["cap"]
    gateway = run.tallac.start("--json", "serve", "--port", "0")
    assert gateway.stdout is not None
    try:
        line = gateway.stdout.readline()
        run.commands.add("serve")
        run.seen.read("serve", line)
        run("webopen", "--node-url", json.loads(line)["url"], cap)
    finally:
        gateway.terminate()
        gateway.communicate()


def _move(run: Session, folder: Path, tmp_path: Path) -> None:
    file = run.tallac.home / "config" / "jobs.toml"
    file.write_text(f'[job.a]\nsources = ["{folder}"]\ntarget = "tallac:"\ncopies = ["{tmp_path}/moved"]\n')
    run("move-vault", "tallac:", tmp_path / "moved")
    run("move-vault", "tallac:", run.tallac.vault)
    file.unlink()


def _damage(run: Session, tmp_path: Path) -> None:
    """Have everything that can go wrong be told: a large pack is damaged, and the others are gone."""
    largest, *others = sorted(
        (run.tallac.vault / "packs").rglob("*"), key=lambda path: -path.stat().st_size if path.is_file() else 1
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(content)
    run("check", "--read-data", "tallac:", status=1)
    run("deep-check", "--read-data", "tallac:", status=1)
    run("scrub", "tallac:", status=1)
    run("restore", "tallac:Latest", tmp_path / "damaged", status=1)
    run("mirror", "tallac:", tmp_path / "mirror-of-damage", status=1)
    run("repair", "tallac:", "--dry-run")
    for path in others:
        path.unlink()
    for command in (("find", "tallac:", "*"), ("du", "tallac:Latest"), ("stats", "tallac:"), ("history", "tallac:large")):
        run(*command, status=1)
    first, *_, last = _names(run, "tallac:")
    run("diff", f"tallac:Archives/{first}", f"tallac:Archives/{last}", status=1)
    run("vault-stats", "tallac:", status=1)


@pytest.mark.slow
def test_the_page_on_json(run: Session, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command prints the objects, keys and types that the page describes; and each that it describes is printed by one."""
    run("backup", folder, "--dry-run")
    run("backup", folder)
    (folder / "sub" / "file").chmod(0o600)
    (folder / "text").write_text("another text")
    (folder / "new").write_text("new")
    run("backup", folder, "--tag", "a")
    run("backup", folder, "--skip-if-unchanged")
    (folder / "sub" / "file").chmod(0)
    (folder / "text").write_text("text")
    run("backup", folder, status=3, as_user=True)
    _look(run, folder, tmp_path)
    _change(run, folder, tmp_path)
    run("mirror", "tallac:", tmp_path / "mirror")
    _move(run, folder, tmp_path)
    run("repair", "tallac:")
    _forget(run, folder)
    _hand_on(run, tmp_path)
    _serve(run, monkeypatch)
    _run_jobs(run, folder, tmp_path)
    run("status", "tallac:")
    (tmp_path / "home" / "config" / "jobs.toml").write_text(f'[job.a]\nsources = ["{folder}"]\ntarget = "tallac:"\nevery = "day"\n')
    run("status")
    (tmp_path / "home" / "config" / "jobs.toml").write_text(
        f'[job.a]\nsources = ["{folder}"]\ntarget = "tallac:"\nnotify = ["http://127.0.0.1:1/x"]\n'
    )
    run("notify-test", status=1)
    run("completion", "bash")
    run("man", "ls")
    _damage(run, tmp_path)
    assert run.seen.wrong == []
    assert run.seen.never_seen() == []
    assert run.commands == DESCRIBED.keys() == set(group.list_commands(click.Context(group)))


def test_the_comparison_can_fail() -> None:
    """A key that is missing, unknown, or of another type is found, and so is an object that the page does not know."""
    seen = Seen()
    seen.read("remove-alias", b'{"alias":"a","alias_hex":"61","dry_run":true}')
    assert seen.wrong == []
    assert not any(missing.startswith("remove-alias") for missing in seen.never_seen())
    assert "prune summary: skipped" in seen.never_seen()
    for count, text in enumerate(('{"alias":"a"}', '{"alias":"a","dry_run":1}', '{"alias":"a","dry_run":true,"more":1}')):
        seen.read("remove-alias", text.encode())
        assert len(seen.wrong) == count + 1, text
    seen.read("backup", b'{"type":"news"}')
    assert len(seen.wrong) == 4
