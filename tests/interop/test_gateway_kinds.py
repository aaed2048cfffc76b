"""Every kind of cap, in every request that a node answers sensibly: a gateway over a vault says the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.asking import CONTENT, Ask, Seen, ask_all, form
from tests.interop.gateway import Gateway, of_cap, serving
from tests.interop.tahoe_grid import TahoeGrid

LOST = f"{'a' * 26}:{'a' * 52}"
UNKNOWN = {
    "new": "lafs://from_the_future",
    "ro_new": "ro.lafs://from_the_future",
    "imm_new": "imm.URI:FUTURE:abc",
    "nonsense": "nonsense",
}
TYPED = {
    "lost": f"URI:CHK:{LOST}:1:1:1000",
    "lost_mutable": f"URI:SSK:{LOST}",
    "lost_directory": f"URI:DIR2:{LOST}",
    "lost_fixed": f"URI:DIR2-CHK:{LOST}:1:1:1000",
}
AS_FILES = {"DIR2-MDMF": "MDMF", "DIR2-CHK": "CHK", "DIR2-LIT": "LIT", "DIR2-RO": "SSK-RO", "DIR2:": "SSK:"}
READ = [
    ("GET", suffix) for suffix in ("", "?t=json", "?t=uri", "?t=readonly-uri", "?t=info", "?t=nonsense", "/", "/?t=json", "/none")
]
LOOK = [
    ("POST", suffix)
    for suffix in (
        "?t=check",
        "?t=check&output=JSON",
        "?t=check&repair=true&output=JSON",
        "?t=stream-manifest",
        "?t=stream-deep-check",
        "/?t=check&output=JSON",
    )
]
WRITE = [("PUT", ""), ("PUT", "?t=mkdir"), ("POST", "?t=mkdir"), ("DELETE", "")]


class Asker:
    """Makes one of each kind on a gateway, and remembers the caps by short names."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.caps = UNKNOWN | TYPED
        self._client = httpx2.Client(timeout=PATIENCE_SECONDS)
        self._make_all()
        self._client.close()

    def asks(self, name: str, requests: list[tuple[str, str]]) -> list[Ask]:
        """Give requests to one kind of cap; each ends as it would for any other client."""
        return [
            Ask(method, f"{of_cap(self.caps[name])}{suffix}", CONTENT if method == "PUT" else None) for method, suffix in requests
        ]

    def _made(self, name: str, method: str, path: str, content: bytes | None = None) -> None:
        answer = self._client.request(method, self.url.rstrip("/") + "/" + path, content=content)
        assert answer.status_code in (200, 201), answer.text
        self.caps[name] = answer.text.strip()

    def _facts(self, name: str) -> dict[str, str]:
        answer = self._client.get(f"{self.url.rstrip('/')}/{of_cap(self.caps[name])}?t=json")
        facts = json.loads(answer.text)[1]
        assert isinstance(facts, dict)
        return facts

    def _make_all(self) -> None:
        self._made("file", "PUT", "uri", CONTENT)
        self._made("literal", "PUT", "uri", b"short")
        for name, wanted in (("sdmf", "sdmf"), ("mdmf", "mdmf")):
            self._made(name, "PUT", f"uri?format={wanted}", b"mutable" * 5)
            self._made(f"{name}_dir", "POST", f"uri?t=mkdir&format={wanted}")
            self._made("", "PUT", f"{of_cap(self.caps[f'{name}_dir'])}/inside", CONTENT)
        children = {"a": ["filenode", {"ro_uri": self.caps["file"], "metadata": {"mtime": 1.5}}]}
        self._made("fixed", "POST", "uri?t=mkdir-immutable", json.dumps(children).encode())
        self._made("tiny", "POST", "uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "URI:LIT:ge"}]}')
        for name in ("sdmf", "mdmf", "sdmf_dir", "mdmf_dir"):
            facts = self._facts(name)
            self.caps[f"{name}_ro"], self.caps[f"{name}_verify"] = facts["ro_uri"], facts["verify_uri"]
        self.caps["fixed_verify"] = self._facts("fixed")["verify_uri"]
        self.caps["ro_file"], self.caps["imm_file"] = "ro." + self.caps["file"], "imm." + self.caps["file"]
        self.caps["ro_write"], self.caps["imm_mutable"] = "ro." + self.caps["sdmf"], "imm." + self.caps["sdmf_ro"]
        self.caps["file_line"], self.caps["dir_line"] = self.caps["file"] + "\n", self.caps["sdmf_dir"] + "\n"
        everything = {
            "file": self.caps["file"],
            "literal": self.caps["literal"],
            "tiny": self.caps["tiny"],
            "fixed": self.caps["fixed"],
            "mutable": self.caps["mdmf_ro"],
            "dir": self.caps["sdmf_dir_ro"],
            "new": self.caps["ro_new"],
        }
        listed = {name: ["unknown", {"ro_uri": cap}] for name, cap in everything.items()}
        self._made("all", "POST", "uri?t=mkdir-with-children", json.dumps(listed).encode())


@pytest.fixture(scope="module")
def gateway(make_tallac: Callable[[Path], Tallac], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Give a gateway over an empty vault."""
    with serving(make_tallac(tmp_path_factory.mktemp("kinds"))) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def both(gateway: Gateway, tahoe_grid: TahoeGrid) -> tuple[Asker, Asker]:
    """Give a gateway and a node with one of each kind."""
    return Asker(gateway.url), Asker(tahoe_grid.url)


def alike(ours: Seen, theirs: Seen) -> bool:
    """Whether two answers are the same to a client. An error is a sentence here and a page there: of errors the status counts."""
    if theirs.status >= 400:
        return ours.status == theirs.status
    return ours == theirs


def answers(both: tuple[Asker, Asker], name: str, requests: list[tuple[str, str]]) -> list[tuple[Seen, Seen]]:
    """Send requests to both, and give their answers in pairs, but for what a node answers with its own failure."""
    ours, theirs = (ask_all(asker.url, asker.asks(name, requests)) for asker in both)
    return [(our, their) for our, their in zip(ours, theirs, strict=True) if their.status != 500]


KINDS = ["file", "literal", "tiny", "fixed", "all", *UNKNOWN, "ro_file", "imm_file", "ro_write", "imm_mutable"]
KINDS += ["file_line", "dir_line", "fixed_verify"]
KINDS += [f"{name}{end}" for name in ("sdmf", "mdmf", "sdmf_dir", "mdmf_dir") for end in ("", "_ro", "_verify")]


@pytest.mark.parametrize("name", KINDS)
def test_reading_and_looking(both: tuple[Asker, Asker], name: str) -> None:
    """Status, type and content agree for what a cap of each kind leads to, with a slash behind it and below it too."""
    assert [pair for pair in answers(both, name, READ + LOOK) if not alike(*pair)] == []


@pytest.mark.parametrize("name", [*UNKNOWN, "fixed_verify", "sdmf_verify", "mdmf_dir_verify"])
def test_what_leads_nowhere_can_not_be_written(both: tuple[Asker, Asker], name: str) -> None:
    """A cap of an unknown kind and a verify cap refuse methods as a node does, which is no claim on their health."""
    assert [pair for pair in answers(both, name, WRITE) if not alike(*pair)] == []


@pytest.mark.parametrize("name", ["file", "literal", "sdmf"])
def test_nothing_is_below_a_file(both: tuple[Asker, Asker], name: str) -> None:
    """Most posts would create a directory there and are a conflict; a check would not."""
    requests = [("POST", "/below?t=set_children"), ("POST", "/below?t=mkdir"), ("POST", "/below?t=check")]
    assert [pair for pair in answers(both, name, requests) if not alike(*pair)] == []


@pytest.mark.parametrize("name", TYPED)
def test_what_is_lost_is_told_from_its_cap(both: tuple[Asker, Asker], name: str) -> None:
    """A lost file has JSON, and no size where its cap has none; its content, and a lost directory, are 410."""
    is_file = name in ("lost", "lost_mutable")
    requests = [("GET", "?t=json"), ("GET", "?t=uri"), *([("GET", "")] if is_file else [])]
    assert [pair for pair in answers(both, name, requests) if not alike(*pair)] == []


@pytest.mark.parametrize("name", ["sdmf_dir", "mdmf_dir", "sdmf_dir_ro", "fixed", "tiny"])
def test_a_directory_named_as_a_file(both: tuple[Asker, Asker], name: str) -> None:
    """The file's cap of a directory shows its table, which has all but the write caps."""
    pairs = []
    for asker in both:
        cap = asker.caps[name]
        for kind, as_file in AS_FILES.items():
            cap = cap.replace(f"URI:{kind}", f"URI:{as_file}")
        asker.caps["as_file"] = cap
    pairs = answers(both, "as_file", [("GET", "?t=json"), ("GET", "?t=uri"), ("POST", "?t=check&output=JSON")])
    strip = [[our.body, their.body] for our, their in pairs]
    for bodies in strip:
        for body in bodies:
            if isinstance(body, list) and body[0] == "filenode":
                body[1].pop("size", None)
    assert [pair for pair in strip if pair[0] != pair[1]] == []
    [ours], [theirs] = (ask_all(asker.url, asker.asks("as_file", [("GET", "")])) for asker in both)
    assert (ours.status, ours.kind) == (theirs.status, theirs.kind) == (200, "text/plain")
    assert str(ours.body).split(":")[1:3] == str(theirs.body).split(":")[1:3]


def test_a_tiny_directory_is_one_of_the_vault(gateway: Gateway, tmp_path: Path) -> None:
    """What lies in a cap is listed, checked and restored by Tallac, which stored nothing of it."""
    cap = gateway.cap("POST", "uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "URI:LIT:ge"}]}')
    assert cap.startswith("URI:DIR2-LIT:")
    tallac = gateway.tallac
    tallac("cp", "-r", cap, tmp_path / "copied")
    assert (tmp_path / "copied" / "a").read_bytes() == b"1"
    assert tallac("ls", cap).out == b"a\n"
    tallac("check", cap)
    tallac("restore", cap, tmp_path / "restored")
    assert (tmp_path / "restored" / "a").read_bytes() == b"1"


def test_the_line_before_an_error_names_the_directory(gateway: Gateway) -> None:
    """A stream says which directory can't be read: the line before `ERROR:` describes it, after those of all that came before."""
    children = {f"{number:02}": ["filenode", {"ro_uri": "URI:LIT:ge"}] for number in range(70)}
    children["zz"] = ["dirnode", {"rw_uri": TYPED["lost_directory"]}]
    cap = gateway.cap("POST", "uri?t=mkdir-with-children", json.dumps(children).encode())
    for operation in ("stream-manifest", "stream-deep-check"):
        *lines, error = gateway.ask("POST", f"{of_cap(cap)}?t={operation}").text.splitlines()
        assert error.startswith("ERROR: ")
        assert [json.loads(line)["path"] for line in (lines[1], lines[-1])] == [["00"], ["zz"]]
        assert len(lines) == 72


def test_forms_are_answered_with_pages(both: tuple[Asker, Asker]) -> None:
    """Whoever posts a file gets a page with its cap, or is sent on by a page; of a mutable file it is the bare cap."""
    asks = [
        form("uri", {"t": "upload"}),
        form("uri", {"t": "upload", "format": "mdmf"}),
        form("uri", {"t": "upload", "when_done": "/uri/%(uri)s"}),
        form(f"{of_cap('URI:LIT:ge')}?when_done=/x", {"t": "check"}, None),
    ]
    ours, theirs = (ask_all(asker.url, asks) for asker in both)
    assert ours == theirs
    answer = httpx2.post(both[0].url + "uri/URI%3ALIT%3Age?t=check&when_done=%22%3E", timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.headers["location"]) == (302, '">')
    assert '<a href="&quot;&gt;">' in answer.text


def test_a_stream_is_not_replaced_by_a_redirect(gateway: Gateway) -> None:
    """Whoever asks for a stream gets it, whatever page it names for later."""
    answer = gateway.ask("POST", f"{gateway.directory()}?t=stream-manifest&when_done=/x")
    assert (answer.status_code, json.loads(answer.text.splitlines()[-1])["type"]) == (200, "stats")


def test_clients_that_ask_for_servers_are_told_of_none(gateway: Gateway) -> None:
    """The welcome page has the JSON that clients of a node read."""
    assert gateway.ask("GET", "?t=json").json() == {"introducers": {"statuses": []}, "servers": []}


def test_a_directory_is_not_overwritten_as_a_file(gateway: Gateway) -> None:
    """Who writes to the file's cap of a directory is told what lies there, and it stays."""
    path = gateway.directory()
    gateway.cap("PUT", f"{path}/inside", CONTENT)
    as_file = path.replace("DIR2", "SSK")
    for query in ("", "?offset=1"):
        answer = gateway.ask("PUT", as_file + query, b"x")
        assert (answer.status_code, "a directory lies there" in answer.text) == (400, True)
    assert list(gateway.children(path)) == ["inside"]


def test_a_key_from_elsewhere_is_refused(gateway: Gateway) -> None:
    """A gateway that can't make what a key is for says so, instead of making something else."""
    for method, path in (("PUT", "uri?format=sdmf&private-key=abc"), ("POST", "uri?t=mkdir&private-key=abc")):
        answer = gateway.ask(method, path, b"x" if method == "PUT" else None)
        assert answer.status_code == 400
        assert answer.text.startswith("private-key=")


def test_a_deep_check_counts_what_is_stored(gateway: Gateway, both: tuple[Asker, Asker]) -> None:
    """Literals and caps of unknown kinds are walked and not counted; with a repair there are counts before and after it."""
    found = []
    for asker in both:
        path = of_cap(asker.caps["all"])
        asks = []
        for repair in ("false", "true"):
            handle = f"deep-{quote(repair)}"
            asks.append(Ask("POST", f"{path}?t=start-deep-check&ophandle={handle}&repair={repair}"))
            asks.append(Ask("GET", f"operations/{handle}?output=JSON", until='"finished": true'))
        found.append([seen.body for seen in ask_all(asker.url, asks)[1::2]])
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def over_node(
    make_tallac: Callable[[Path], Tallac], tahoe_grid: TahoeGrid, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Give a gateway over a real node."""
    with serving(make_tallac(tmp_path_factory.mktemp("over-node")), "--node-url", tahoe_grid.url) as gateway:
        yield gateway


def test_nothing_gets_lost_on_the_way_to_a_node(over_node: Gateway, tahoe_grid: TahoeGrid) -> None:
    """By way of the gateway a directory is listed as the node lists it: with times of linking, and write caps of unknown kinds."""
    directory = over_node.directory()
    over_node.cap("PUT", f"{directory}/file", CONTENT)
    over_node.cap("PUT", f"{directory}/file", CONTENT + b"more")
    unknown = {"new": ["unknown", {"rw_uri": "lafs://write", "ro_uri": "ro.lafs://read"}]}
    assert over_node.ask("POST", f"{directory}?t=set_children", json.dumps(unknown).encode()).status_code == 200
    ours = over_node.ask("GET", f"{directory}?t=json").json()
    theirs = httpx2.get(f"{tahoe_grid.url}{directory}?t=json", timeout=PATIENCE_SECONDS).json()
    assert ours == theirs
    times = ours[1]["children"]["file"][1]["metadata"]["tahoe"]
    assert times["linkcrtime"] < times["linkmotime"]
    assert ours[1]["children"]["new"][1]["rw_uri"] == "lafs://write"


def test_what_a_node_has_lost_is_no_fault_of_the_node(over_node: Gateway) -> None:
    """A lost mutable file is 410 by way of the gateway too, and its JSON says what its cap says."""
    lost = of_cap(TYPED["lost_mutable"])
    assert over_node.ask("GET", lost).status_code == 410
    assert over_node.ask("GET", f"{lost}?t=json").json()[1].keys() == {"mutable", "format", "ro_uri", "rw_uri", "verify_uri"}
