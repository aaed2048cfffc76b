from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest
from tests.ticks import settle

import tallac
from tallac.app.operations.key_source import KeyLocation
from tallac.caps import DirectoryReadCap, MutableDirectoryRead
from tallac.errors import AuthorityError, DestinationError, EntryNotFoundError, SourceError, UsageError
from tallac.gateway import GatewaySettings
from tallac.interfaces import Directory
from tallac.look.criteria import Comparison, Criteria, SizeLimit
from tallac.look.snapshot_filter import SnapshotFilter
from tallac.restore import ArchiveKind
from tallac.retention.forget import RetentionPolicy
from tallac.retention.marks import TagChange
from tallac.retention.rules import parse_rules
from tallac.testing.sample_vault import noise
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tallac.Client]:
    """Give a client with a home of its own, and the default alias."""
    with tallac.Client(tallac.Folders.under(tmp_path / "home")) as client:
        client.aliases.create("tallac")
        yield client


SERVICES = {
    "aliases",
    "backups",
    "caches",
    "files",
    "gateway",
    "inspect",
    "job_runner",
    "jobs",
    "keys",
    "notices",
    "restores",
    "scheduling",
    "settings",
    "snapshots",
    "status",
    "vault",
}


def test_the_services(client: tallac.Client) -> None:
    """The client has its services, each made once, and nothing else that does anything."""
    assert sorted(name for name, value in vars(tallac.Client).items() if isinstance(value, cached_property)) == sorted(SERVICES)
    for name in SERVICES:
        assert getattr(client, name) is getattr(client, name)
    assert [name for name, value in vars(tallac.Client).items() if callable(value) and not name.startswith("_")] == ["close"]


def test_a_restore_looks_once_at_its_target(client: tallac.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a snapshot lies, what it is, and where it came from is told by one reading of each directory that may change."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    client.backups.run(source, "docs", workers=0)
    read: list[MutableDirectoryRead] = []
    read_directory = Vault.read_directory

    def note(self: Vault, cap: DirectoryReadCap) -> Directory:
        if isinstance(cap, MutableDirectoryRead):
            read.append(cap)
        return read_directory(self, cap)

    monkeypatch.setattr(Vault, "read_directory", note)
    client.restores.restore("docs/Latest", tmp_path / "out")
    assert (tmp_path / "out" / "file").read_bytes() == b"content"
    assert len(read) == len(set(read)) > 0


def test_what_the_package_offers() -> None:
    """All that is announced is there, and nothing else is made up."""
    assert all(hasattr(tallac, name) for name in tallac.__all__)
    assert not hasattr(tallac, "nonsense")


def test_a_backup_and_back(client: tallac.Client, tmp_path: Path) -> None:
    """A program backs up, looks, and restores."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    summary = client.backups.run(source, "docs", workers=0)
    assert summary.files.new == 1
    [snapshot] = client.snapshots.list("docs")
    assert snapshot.name == summary.name
    assert snapshot.metadata.snapshot is not None
    assert snapshot.metadata.snapshot.version == tallac.__version__
    assert [entry.name for entry in client.inspect.ls("docs/Latest")] == [b"file"]
    assert client.files.cap("docs/Latest") == summary.cap
    client.restores.restore("docs/Latest", tmp_path / "out")
    assert (tmp_path / "out" / "file").read_bytes() == b"content"
    assert client.vault.check("docs", read_data=True).is_healthy


def test_a_missing_source_makes_nothing(tmp_path: Path) -> None:
    """A first backup of what is not there makes no vault."""
    with tallac.Client(tallac.Folders.under(tmp_path / "home")) as client, pytest.raises(SourceError):
        client.backups.run(tmp_path / "nowhere")
    assert not (tmp_path / "home").exists()


def test_streams(client: tallac.Client) -> None:
    """Content comes from any stream, and goes to any."""
    cap = client.files.put(io.BytesIO(b"x" * 100), "a/b")
    sink = io.BytesIO()
    assert client.files.get("a/b", sink) == 100
    assert client.files.cap("a/b") == cap
    assert [(path, entry.is_directory) for path, entry in client.inspect.ls_recursive("")] == [
        ((b"a",), True),
        ((b"a", b"b"), False),
    ]


def test_a_backup_needs_a_write_cap(client: tallac.Client, tmp_path: Path) -> None:
    """A target that can only be read is refused before anything is read."""
    cap = client.files.cap("").danger_whole_text()
    with pytest.raises(AuthorityError, match="a write cap is needed"):
        client.backups.run(tmp_path, cap, workers=0)


def test_two_grids(client: tallac.Client, tmp_path: Path) -> None:
    """Between two vaults there is no linking."""
    folders = client.workspace.folders
    with tallac.Client(folders, vault=str(tmp_path / "other")) as other:
        other.aliases.create("other")
    client.files.mkdir("a")
    with pytest.raises(UsageError, match="another grid"):
        client.files.mv("a", "other:a")
    with pytest.raises(UsageError, match="another grid"):
        client.files.cp(["tallac:a"], "other:", recursive=True)


@pytest.fixture
def docs(client: tallac.Client, tmp_path: Path) -> Path:
    """Return a folder that has been backed up to docs."""
    source = tmp_path / "docs"
    source.mkdir()
    (source / "letter").write_bytes(noise(1, 5_000))
    (source / "notes").mkdir()
    (source / "notes" / "one").write_bytes(noise(2, 3_000))
    settle(source)
    client.backups.run(source, "docs", workers=0)
    return source


def test_backups(client: tallac.Client, docs: Path) -> None:
    """Options leave files out and name the snapshot; a dry run stores nothing; a stream and a command's output are files."""
    (docs / "new").write_bytes(b"n" * 50)
    (docs / "film.iso").write_bytes(b"f" * 500)
    options = tallac.BackupOptions(selection=tallac.Exclusions(exclude=["*.iso"]).selection(), tags=("work",), host="laptop")
    planned = client.backups.dry_run(docs, "docs", options=options)
    assert (planned.files.new, planned.size_to_read) == (1, 50)
    assert len(client.snapshots.list("docs")) == 1
    summary = client.backups.run(client.backups.find_sources([docs]), "docs", options=options, workers=0)
    assert (summary.files.new, summary.files.unchanged) == (1, 2)
    facts = client.snapshots.list("docs")[-1].metadata.snapshot
    assert facts is not None
    assert (facts.host, facts.tags) == ("laptop", ("work",))
    client.backups.run_stream("stream", io.BytesIO(b"streamed"), "streams")
    client.backups.run_command("output", ["printf", "written"], "outputs")
    assert [entry.name for entry in client.inspect.ls("streams/Latest")] == [b"stream"]
    assert [entry.name for entry in client.inspect.ls("outputs/Latest")] == [b"output"]
    with pytest.raises(SourceError, match="exit status 1"):
        client.backups.run_command("output", ["false"], "outputs")
    assert len(client.snapshots.list("outputs")) == 1


def test_restores(client: tallac.Client, docs: Path, tmp_path: Path) -> None:
    """A directory comes back into a folder, and as an archive."""
    assert client.restores.restore("docs/Latest/notes", tmp_path / "out").is_complete
    assert (tmp_path / "out" / "one").read_bytes() == (docs / "notes" / "one").read_bytes()
    archive = io.BytesIO()
    assert client.restores.archive("docs/Latest", archive, ArchiveKind.TAR).is_complete
    archive.seek(0)
    with tarfile.open(fileobj=archive) as opened:
        assert sorted(name for name in opened.getnames() if name != ".") == ["letter", "notes", "notes/one"]


def test_snapshots(client: tallac.Client, docs: Path) -> None:
    """Snapshots are tagged, held, released, forgotten and brought back, and a path is taken out of them."""
    client.backups.run(docs, "docs", workers=0)
    old, new = (os.fsdecode(entry.name) for entry in client.snapshots.list("docs"))
    client.snapshots.tag("docs", [old], TagChange(add=("first",)))
    [tagged] = client.snapshots.list("docs", SnapshotFilter(tags=(("first",),)))
    assert os.fsdecode(tagged.name) == old
    policy = RetentionPolicy(parse_rules({"last": "1"}))
    client.snapshots.hold("docs", [old])
    assert client.snapshots.forget("docs", policy).forgotten == set()
    client.snapshots.release("docs", [old])
    assert list(map(os.fsdecode, client.snapshots.forget("docs", policy, dry_run=True).forgotten)) == [old]
    client.snapshots.forget("docs", policy)
    assert [os.fsdecode(entry.name) for entry in client.snapshots.list("docs")] == [new]
    client.snapshots.undo_forget(["docs"])
    assert client.snapshots.names_snapshot(f"docs/Archives/{old}")
    assert client.snapshots.forget_named([f"docs/Archives/{old}"], dry_run=True) == [os.fsencode(old)]
    assert len(client.snapshots.list("docs")) == 2
    assert len(client.snapshots.rewrite("docs", ["letter"])) == 2
    assert [entry.name for entry in client.inspect.ls("docs/Latest")] == [b"notes"]


def test_inspect(client: tallac.Client, docs: Path) -> None:
    """What is stored is compared with local files, searched, followed over snapshots, and counted."""
    problems: list[object] = []
    (docs / "letter").write_bytes(noise(3, 6_000))
    changed = {change.path for change in client.inspect.diff("tallac:docs/Latest", str(docs), problems.append)}
    assert b"letter" in changed
    client.backups.run(docs, "docs", workers=0)
    criteria = Criteria(sizes=[SizeLimit(Comparison.AT_LEAST, 5_000)])
    ((_, snapshots, found),) = client.inspect.find("docs", SnapshotFilter(), criteria, problems.append)
    assert len(snapshots) == 2
    assert {path.path for path in found} == {b"letter"}
    history = client.inspect.history("docs/letter", SnapshotFilter())
    assert len(history.periods) == 2
    assert history.place(history.periods[-1].first).path[-1] == b"letter"
    assert [usage.path for usage in client.inspect.du("docs/Latest", problems.append)][-1] == b""
    assert len(client.inspect.stats("docs", problems.append)[0]) == 2
    assert {listed.path for listed in client.inspect.manifest("docs/Latest")} >= {(b"letter",), (b"notes", b"one")}
    assert client.inspect.deep_stats("docs/Latest")["count-directories"] == 2
    assert problems == []


def test_files(client: tallac.Client, tmp_path: Path) -> None:
    """Files go in and out, get other names, and leave; only what can be changed has a write cap."""
    (tmp_path / "in").write_bytes(b"content")
    client.files.put_path(tmp_path / "in", "dir/file")
    assert client.files.download("dir/file", tmp_path / "out") == 7
    client.files.ln("dir/file", "dir/link")
    client.files.mv("dir/link", "dir/moved")
    client.files.cp(["tallac:dir/moved"], str(tmp_path / "copy"))
    assert (tmp_path / "out").read_bytes() == (tmp_path / "copy").read_bytes() == b"content"
    client.files.unlink("dir/moved")
    assert [entry.name for entry in client.inspect.ls("dir")] == [b"file"]
    assert client.files.write_cap("dir").read_cap == client.files.cap("dir")
    with pytest.raises(AuthorityError, match="it has no write cap"):
        client.files.write_cap("dir/file")


def test_vault(client: tallac.Client, docs: Path, tmp_path: Path) -> None:
    """A vault is checked in all ways, counted, pruned, mirrored, and repaired from its mirror."""
    location = str(client.workspace.folders.vault)
    assert client.vault.check("tallac:", read_data=True).is_healthy
    assert client.vault.deep_check("docs").is_healthy
    assert client.vault.scrub(location).is_healthy
    (docs / "letter").unlink()
    client.backups.run(docs, "docs", workers=0)
    client.snapshots.forget("docs", RetentionPolicy(parse_rules({"last": "1"})))
    assert client.vault.prune("tallac:", PruneOptions(is_dry_run=True)).dead_bytes > 0
    assert client.vault.stats("tallac:").stored["packs"].count > 0
    assert client.vault.mirror("tallac:", str(tmp_path / "mirror")).packs > 0
    [pack, *_] = sorted(path for path in (client.workspace.folders.vault / "packs").rglob("*") if path.is_file())
    pack.unlink()
    client.vault.repair("tallac:", mirror=str(tmp_path / "mirror"))
    assert client.vault.check("tallac:", read_data=True).is_healthy


def test_aliases(client: tallac.Client, tmp_path: Path) -> None:
    """An alias is made, stands for a cap that somebody else gave, and is removed; a vault is made with one."""
    client.aliases.create("home")
    client.aliases.add("gift", client.files.cap("home:").danger_whole_text())
    assert client.aliases.remove("home:") == "home"
    assert client.aliases.init(str(tmp_path / "usb"), "usb") == str(tmp_path / "usb")
    vault = str(client.workspace.folders.vault)
    assert client.aliases.list() == [("gift", vault), ("tallac", vault), ("usb", str(tmp_path / "usb"))]
    assert client.aliases.has_default
    assert client.aliases.ensure_default() == ""


@pytest.mark.slow
def test_keys(client: tallac.Client, docs: Path, tmp_path: Path) -> None:
    """Another machine gets at a vault by passphrase and by recovery kit; keys are handed out, and kept elsewhere."""
    location = str(client.workspace.folders.vault)
    assert client.keys.passphrases.add("tallac:", lambda: "several words drawn by lot", "main") == "main"
    client.keys.recovery.write_kit(client.keys.recovery.kit("tallac:"), str(tmp_path / "kit.txt"))
    with tallac.Client(tallac.Folders.under(tmp_path / "one")) as one:
        [alias] = one.keys.recovery.connect(location, lambda: "several words drawn by lot")
        assert (alias.alias, alias.is_new) == ("tallac", True)
        assert [entry.name for entry in one.inspect.ls("docs/Latest")] == [b"letter", b"notes"]
    with tallac.Client(tallac.Folders.under(tmp_path / "two")) as two:
        two.keys.recovery.connect_with_kit(two.keys.recovery.read_kit(str(tmp_path / "kit.txt")))
        assert two.keys.keeper_key("tallac:") == client.keys.keeper_key("tallac:")
        assert two.keys.locator_key("tallac:") == client.keys.locator_key("tallac:")
    assert client.keys.sources.use("tallac:") == "the configuration"
    client.keys.sources.use("tallac:", KeyLocation(file=str(tmp_path / "key")))
    assert client.keys.sources.use("tallac:") == f"the file {tmp_path / 'key'}"
    assert client.keys.passphrases.remove("tallac:", allow_none=True) == "main"
    assert client.keys.passphrases.list("tallac:") == []


def test_gateway(client: tallac.Client) -> None:
    """Another process can serve the vault; here it says what it does not do."""
    with pytest.raises(UsageError, match="TLS"):
        client.gateway.serve(GatewaySettings(host="0.0.0.0"), pytest.fail)  # noqa: S104 - it is refused.
    with pytest.raises(EntryNotFoundError, match="no such entry"):
        client.gateway.webopen("tallac:nothing")


def test_nothing_is_copied_over_keys_and_vaults(client: tallac.Client, tmp_path: Path) -> None:
    """Neither a file nor a tree is written over a configuration, or into a vault; what else is in the tree comes."""
    with tallac.Client(tallac.Folders.under(tmp_path / "second")) as second:
        second.aliases.create("tallac")
    configuration = tallac.Folders.under(tmp_path / "home").configuration / "tallac.json"
    before, folder, other = configuration.read_bytes(), configuration.parent, tmp_path / "second" / "vault"
    (tmp_path / "in").write_bytes(b"{}")
    for name in (f"{folder.name}/{configuration.name}", "vault/header", "vault/packs/x", "letter"):
        client.files.put_path(tmp_path / "in", f"tallac:t/{name}")
    for path in (configuration, folder / "new", other / "header", other / "packs" / "new"):
        with pytest.raises(DestinationError, match="nothing is written here: it is"):
            client.files.download("tallac:t/letter", path)
        with pytest.raises(DestinationError, match="nothing is written here: it is"):
            client.files.cp(["tallac:t/letter"], str(path))
    for place in (folder.parent, other.parent):
        report = client.files.cp([f"tallac:t/{name}" for name in (folder.name, "vault", "letter")], str(place), recursive=True)
        assert not report.is_complete
        assert (place / "letter").read_bytes() == b"{}"
    assert configuration.read_bytes() == before
    assert (other / "header").read_bytes() == (other / "header.copy").read_bytes()
