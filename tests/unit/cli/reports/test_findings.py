from tallac.cli.reports.findings import Hit, group_findings
from tallac.interfaces import Finding

LOST = "object 0123 is missing"


def test_snapshots_are_gathered() -> None:
    """The same damage at the same place in several snapshots is one hit, in the newest, that names the others."""
    findings = [
        Finding(b"docs/Archives/1/a/b", LOST, stored="0123"),
        Finding(b"docs/Archives/2/a/b", LOST, stored="0123"),
        Finding(b"docs/Latest/a/b", LOST, stored="0123"),
        Finding(b"docs/Latest/c", LOST, stored="0123"),
        Finding(b"other/Latest/a/b", LOST, stored="0123"),
    ]
    assert group_findings(findings) == [
        Hit(b"docs/Latest/a/b", LOST, damaged=True, stored=["0123"], also=[b"docs/Archives/1", b"docs/Archives/2"]),
        Hit(b"docs/Latest/c", LOST, damaged=True, stored=["0123"]),
        Hit(b"other/Latest/a/b", LOST, damaged=True, stored=["0123"]),
    ]


def test_objects_of_a_file_are_gathered() -> None:
    """A file of which several objects are hit is one hit with all of them."""
    findings = [Finding(b"Archives/1/big", LOST, stored=str(number)) for number in range(3)]
    assert group_findings(findings) == [Hit(b"Archives/1/big", LOST, damaged=True, stored=["0", "1", "2"])]


def test_objects_without_paths_are_gathered_by_their_cause() -> None:
    """What has no path is gathered where the same is wrong, and what is merely worth knowing comes once; the order stays."""
    findings = [
        Finding(None, "pack 1 is damaged", stored="0123"),
        Finding(None, "pack 2 is damaged", stored="packs/2"),
        Finding(None, "pack 1 is damaged", stored="packs/1"),
        Finding(b"Latest/x", "belongs to another grid", damaged=False),
        Finding(b"Latest/x", "belongs to another grid", damaged=False),
    ]
    assert [(hit.path, hit.damaged, hit.stored) for hit in group_findings(findings)] == [
        (None, True, ["0123", "packs/1"]),
        (None, True, ["packs/2"]),
        (b"Latest/x", False, []),
    ]
