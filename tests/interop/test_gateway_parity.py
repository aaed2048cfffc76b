"""A gateway over a vault answers as a real node does: the same requests to both, the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.asking import CONTENT, Ask, ask_all, form
from tests.interop.gateway import serving
from tests.interop.tahoe_grid import TahoeGrid

KIDS = (
    b'{"k1": ["filenode", {"ro_uri": "{f}", "metadata": {"a": 1, "mtime": 1.5}}],'
    b' "k2": ["dirnode", {"rw_uri": "{dm}", "metadata": {"tahoe": {"linkcrtime": 5}}}]}'
)
LOCKED = b'{"k3": ["dirnode", {"rw_uri": "{dm}", "metadata": {"no-write": true}}]}'
FIXED = b'{"k1": ["filenode", {"ro_uri": "{f}", "metadata": {"a": 1, "tahoe": {"x": 1}}}], "k2": ["filenode", {"ro_uri": "{lit}"}]}'
LOST = "aaaaaaaaaaaaaaaaaaaaaaaaaa%3A" + "a" * 52

STORING = [
    Ask("POST", "uri?t=mkdir", keep="d"),
    Ask("POST", "uri?t=mkdir&format=mdmf", keep="dm"),
    Ask("POST", "uri?t=mkdir&format=chk"),
    Ask("POST", "uri?t=mkdir", b"{}"),
    Ask("PUT", "uri?t=mkdir"),
    Ask("PUT", "uri", CONTENT, keep="f"),
    Ask("PUT", "uri", b"short", keep="lit"),
    Ask("PUT", "uri", b"", keep="empty"),
    Ask("PUT", "uri?t=nonsense", b""),
    Ask("PUT", "uri?mutable=true", b"mutable", keep="m"),
    Ask("PUT", "uri?format=mdmf", b"mdmf", keep="mm"),
    Ask("PUT", "uri?format=nonsense", b""),
    Ask("GET", "uri"),
    Ask("GET", "uri?uri=nonsense"),
    Ask("PUT", "uri/{d}/a", CONTENT),
    Ask("PUT", "uri/{d}/a", CONTENT),
    Ask("PUT", "uri/{d}/a?replace=false", CONTENT),
    Ask("PUT", "uri/{d}/a?replace=maybe", CONTENT),
    Ask("PUT", "uri/{d}/x/y/z", CONTENT),
    Ask("PUT", "uri/{d}/x", CONTENT),
    Ask("PUT", "uri/{d}/x?replace=false", CONTENT),
    Ask("PUT", "uri/{d}/cr", b"x", {"content-range": "bytes 0-0/1"}),
    Ask("PUT", "uri/{d}/mut?mutable=true", b"first"),
    Ask("PUT", "uri/{d}/mut", b"second"),
    Ask("PUT", "uri/{d}/mut?offset=3", b"XX"),
    Ask("GET", "uri/{d}/mut"),
    Ask("PUT", "uri/{d}/mut?offset=10", b"YY"),
    Ask("GET", "uri/{d}/mut"),
    Ask("PUT", "uri/{d}/mut?offset=-1", b"XX"),
    Ask("PUT", "uri/{d}/a?offset=1", b"XX"),
    Ask("PUT", "uri/{mm}?offset=2", b"ZZZZ"),
    Ask("GET", "uri/{mm}"),
    Ask("PUT", "uri/{d}/a%CC%88", b"x"),
    Ask("GET", "uri/{d}/%C3%A4"),
    Ask("PUT", "uri/{d}/p%2Fq", b"x"),
    Ask("PUT", "uri/{d}/%2E%2E", b"x"),
    Ask("PUT", "uri/{d}/a%0Ab", b"x"),
    Ask("GET", "uri/{d}?t=json"),
]
READING = [
    *(Ask("GET", f"uri/{{{cap}}}?t={t}") for cap in ("f", "lit", "m", "mm") for t in ("json", "uri", "readonly-uri")),
    *(Ask(method, f"uri/{{{cap}}}") for method in ("GET", "HEAD") for cap in ("f", "lit", "empty", "m")),
    Ask("GET", "uri/{f}?t=nonsense"),
    Ask("HEAD", "uri/{f}?t=json"),
    *(
        Ask("GET", "uri/{f}", headers={"range": f"bytes={text}"})
        for text in ("10-19", "10-19,30-", "100-", "-5", "-500", "5-1", "90-1000", "nonsense")
    ),
    Ask("GET", "uri/{empty}", headers={"range": "bytes=0-"}),
    Ask("GET", "uri/{f}", headers={"if-none-match": "*"}),
    Ask("GET", "uri/{lit}", headers={"if-none-match": "*"}),
    Ask("GET", "uri/{f}?filename=a.html"),
    Ask("GET", "uri/{f}?filename=a.html&save=true"),
    Ask("HEAD", "uri/{f}?filename=a.txt.gz"),
    Ask("GET", "file/{f}/@@named=/foo.jpg"),
    Ask("GET", "file/{f}/foo.txt?save=true"),
    Ask("GET", "file/{f}"),
    Ask("GET", "uri/{d}?t=uri"),
    Ask("GET", "uri/{d}?t=readonly-uri", keep="dro"),
    Ask("GET", "uri/{d}/"),
    Ask("GET", "uri/{d}?t=nonsense"),
    Ask("GET", "uri/{d}/x/?t=json"),
    Ask("GET", "uri/{d}/a?t=json"),
    Ask("GET", "uri/{d}/mut?t=json"),
    Ask("GET", "uri/{d}/x/y?t=json"),
    Ask("GET", "uri/{dro}?t=json"),
    Ask("PUT", "uri/{dro}/mut", b"zz"),
    Ask("GET", "uri/nonsense"),
    Ask("GET", "uri/nonsense?t=json"),
    Ask("GET", "uri/URI%3ACHK%3Aaaaa%3Abbbb%3A1%3A1%3A1?t=json"),
    Ask("GET", "uri/ro.lafs?t=json"),
    Ask("GET", "uri/imm.lafs?t=json"),
    Ask("GET", f"uri/URI%3ASSK%3A{LOST}"),
]
CHANGING = [
    Ask("POST", "uri/{d}/s1/s2?t=mkdir"),
    Ask("POST", "uri/{d}/s1/s2?t=mkdir"),
    Ask("POST", "uri/{d}/a?t=mkdir"),
    Ask("PUT", "uri/{d}/s1/s3?t=mkdir"),
    Ask("POST", "uri/{d}?t=mkdir&name=n1"),
    Ask("POST", "uri/{d}?t=mkdir&name=n1"),
    Ask("POST", "uri/{d}?t=mkdir&name=n1&replace=false"),
    Ask("PUT", "uri/{d}/u1?t=uri", b"{f}"),
    Ask("PUT", "uri/{d}/u1?t=uri", b"{lit}"),
    Ask("PUT", "uri/{d}/u1?t=uri&replace=false", b"{f}"),
    Ask("PUT", "uri/{d}/ud?t=uri", b"{dm}"),
    Ask("PUT", "uri/{d}/ud?t=uri&replace=only-files", b"{f}"),
    Ask("PUT", "uri/{d}/ud?t=uri", b"{f}"),
    Ask("PUT", "uri/{d}/unknown?t=uri", b"lafs://foo"),
    Ask("PUT", "uri/{d}/unknown?t=uri", b"ro.lafs://foo"),
    Ask("PUT", "uri/{d}/fixed?t=uri", b"imm.lafs://foo"),
    Ask("GET", "uri/{d}/unknown?t=json"),
    Ask("GET", "uri/{d}/fixed?t=json"),
    Ask("GET", "uri/{d}/unknown"),
    Ask("PUT", "uri/{d}/zz?t=uri", b"ro.{m}"),
    Ask("POST", "uri/{d}?t=uri&name=pu&uri={f}"),
    Ask("POST", "uri/{d}?t=uri&uri={f}"),
    Ask("POST", "uri/{d}?t=uri&name=pu"),
    Ask("DELETE", "uri/{d}/u1"),
    Ask("POST", "uri/{d}?t=unlink&name=pu"),
    Ask("POST", "uri/{d}?t=unlink&name=pu"),
    Ask("POST", "uri/{d}?t=delete&name=n1"),
    Ask("POST", "uri/{d}?t=rename&from_name=a&to_name=b"),
    Ask("POST", "uri/{d}?t=rename&from_name=a&to_name=b"),
    Ask("POST", "uri/{d}?t=rename&from_name=b&to_name=mut&replace=false"),
    Ask("POST", "uri/{d}?t=rename&from_name=b"),
    Ask("POST", "uri/{d}?t=rename&from_name=b&to_name=c/d"),
    Ask("POST", "uri/{d}?t=rename&from_name=b&to_name=b"),
    Ask("POST", "uri/{d}?t=relink&from_name=b&to_dir={dm}&to_name=rb"),
    Ask("POST", "uri/{dm}?t=relink&from_name=rb&to_dir={d}/x&to_name=rb"),
    Ask("POST", "uri/{d}?t=relink&from_name=mut&to_dir=nonsense"),
    Ask("POST", "uri/{d}?t=relink&from_name=mut&to_name=x&replace=only-files"),
    Ask("POST", "uri/{d}?t=relink&from_name=mut&to_dir={f}"),
    Ask("POST", "uri/{d}?t=relink&to_name=x"),
    Ask("POST", "uri/{d}?t=set_children", KIDS),
    Ask("POST", "uri/{d}?t=set_children&replace=false", KIDS),
    Ask("POST", "uri/{d}?t=set_children", LOCKED),
    Ask("GET", "uri/{d}/k1?t=json"),
    Ask("GET", "uri/{d}/k3?t=json"),
    Ask("POST", "uri?t=mkdir-with-children", KIDS, keep="dk"),
    Ask("GET", "uri/{dk}?t=json"),
    Ask("POST", "uri/{d}/dk?t=mkdir-with-children", KIDS),
    Ask("POST", "uri/{d}?t=mkdir-with-children&name=dk2", KIDS),
    Ask("POST", "uri/{d}?t=mkdir-with-children&name=dk2", KIDS),
    Ask("POST", "uri?t=mkdir-with-children", b""),
    Ask("POST", "uri?t=mkdir-immutable", FIXED, keep="di"),
    Ask("GET", "uri/{di}?t=json"),
    Ask("GET", "uri/{di}?t=json", headers={"if-none-match": "*"}),
    Ask("POST", "uri?t=mkdir-immutable", KIDS),
    Ask("POST", "uri?t=mkdir-immutable", b"", keep="nothing"),
    Ask("GET", "uri/{nothing}?t=json"),
    Ask("POST", "uri/{d}/di?t=mkdir-immutable", FIXED),
    Ask("POST", "uri/{d}/di?t=mkdir-immutable", FIXED),
    Ask("POST", "uri/{d}?t=mkdir-immutable&name=di2", FIXED),
    Ask("POST", "uri/{d}?t=mkdir-immutable&name=di2", FIXED),
    form("uri/{d}", {"t": "upload"}),
    form("uri/{d}", {"t": "upload"}),
    form("uri/{d}?replace=false", {"t": "upload"}),
    form("uri/{d}?name=up2.txt", {"t": "upload"}),
    form("uri/{d}/up.txt", {"t": "upload"}),
    form("uri/{d}?name=a/b", {"t": "upload"}),
    Ask("POST", "uri/{d}?t=nonsense"),
    Ask("POST", "uri/{d}"),
    Ask("POST", "uri/{d}/mut?t=nonsense"),
    Ask("GET", "uri/{d}?t=json"),
]
LOOKING = [
    *(Ask("POST", f"uri/{{{cap}}}?t=check&output=JSON") for cap in ("d", "f", "lit", "di", "mm")),
    Ask("POST", "uri/{m}?t=check&output=JSON&verify=true"),
    Ask("POST", "uri/{f}?t=check&output=JSON&repair=true"),
    Ask("POST", "uri/{d}?t=start-deep-stats"),
    Ask("POST", "uri/{f}?t=stream-manifest"),
    Ask("POST", "uri/{dk}?t=start-manifest&ophandle=h2"),
    Ask("POST", "uri/{dk}?t=start-deep-check&ophandle=h4&output=JSON"),
    Ask("GET", "operations/h2?output=JSON", until='"finished": true'),
    Ask("GET", "operations/h2?output=text"),
    Ask("GET", "operations/h4?output=JSON", until='"finished": true'),
    Ask("GET", "operations/h4?t=status&output=JSON&release-after-complete=true"),
]
MORE = [
    Ask("POST", "uri?t=mkdir", keep="e"),
    Ask("POST", "uri?t=mkdir&format=mdmf", keep="em"),
    *(form(f"uri?t=upload{suffix}", {}) for suffix in ("", "&mutable=true", "&format=mdmf", "&format=nope")),
    form("uri", {"t": "upload", "when_done": "/x"}),
    form("uri/{e}", {"t": "upload", "mutable": "true"}),
    form("uri/{e}?name=mu&format=mdmf", {"t": "upload"}),
    form("uri/{e}?name=when", {"t": "upload", "when_done": "."}),
    Ask("POST", "uri?t=mkdir&when_done=/x"),
    Ask("POST", "uri/{e}?t=mkdir&name=wd&when_done=/x"),
    *(Ask("PUT", f"uri/{{e}}/{kind}?format={kind}", b"x") for kind in ("mdmf", "sdmf", "chk")),
    Ask("PUT", "uri/{e}/mdmf?format=chk", b"y"),
    Ask("PUT", "uri/{e}/sub?t=mkdir&format=mdmf"),
    Ask("PUT", "uri/{e}/sub/deep/er?t=mkdir"),
    Ask("POST", "uri/{e}?t=mkdir-p&path=a/b/c"),
    Ask("GET", "uri?uri={f}"),
    Ask("GET", "uri?uri={e}&t=json"),
    Ask("GET", "named/{f}/x"),
    Ask("HEAD", "file/{f}/x"),
    Ask("HEAD", "uri/{e}?t=json"),
    *(Ask("GET", f"uri/{{e}}/{name}?t={t}") for name in ("mdmf", "sub", "chk") for t in ("uri", "readonly-uri", "info")),
    *(Ask("POST", f"uri/{{e}}?t={t}") for t in ("deep-size", "deep-stats", "deep-check", "manifest")),
    Ask("POST", "uri/{e}?t=set-children", b"{}"),
    Ask("POST", "uri/{f}?t=check&add-lease=true&output=JSON"),
    Ask("POST", "uri/{e}/mdmf?t=check&output=JSON&verify=true&repair=true"),
    Ask("PUT", "uri/{e}/lk?t=uri&replace=only-files", b"{f}"),
    Ask("PUT", "uri/{e}/bad?t=uri", b"nonsense"),
    Ask("POST", "uri/{e}/sub?t=uri&name=in&uri={f}&replace=false"),
    Ask("POST", "uri/{e}/sub?t=uri&name=in&uri={f}&replace=false"),
    Ask("POST", "uri/{e}?t=rename&from_name=sub&to_name=mdmf&replace=only-files"),
    Ask("POST", "uri/{e}?t=relink&from_name=mdmf&to_name=sub&replace=only-files"),
    Ask("POST", "uri/{e}?t=relink&from_name=mdmf&to_dir={em}"),
    Ask("POST", "uri/{e}?t=relink&from_name=sdmf&to_dir={e}/sub/deep"),
    Ask("POST", "uri/{e}/sub?t=set_children&overwrite=false", b'{"in": ["filenode", {"ro_uri": "{lit}"}]}'),
    Ask("POST", "uri/{e}/sub?t=set_children&overwrite=only-files", b'{"in": ["filenode", {"ro_uri": "{lit}"}]}'),
    *(Ask("GET", f"uri/{{{cap}}}?t=json") for cap in ("e", "em")),
    Ask("GET", "uri/{f}", headers={"range": "items=0-1"}),
    Ask("GET", "uri/{f}", headers={"range": "bytes=0-1", "if-range": "x"}),
    Ask("GET", "uri/{m}", headers={"range": "bytes=2-"}),
    Ask("PUT", "uri/{m}", b"new"),
    Ask("PUT", "uri/{m}?offset=1", b"Z"),
    Ask("GET", "uri/{m}"),
    form("uri/{m}?t=upload", {}),
    Ask("DELETE", "uri/{e}/sub"),
    Ask("POST", "uri/{e}?t=mkdir"),
]
# A node answers these with a page where a client wants a sentence, or with 500 where nothing broke, or it breaks off.
MISSING = [
    (Ask("GET", "uri/{d}/nope"), 404),
    (Ask("GET", "uri/{d}/nope?t=json"), 404),
    (Ask("GET", "uri/{d}/nope/nope"), 404),
    (Ask("DELETE", "uri/{d}/nope"), 404),
    (Ask("PUT", "uri/{d}/b-file", CONTENT), 201),
    (Ask("PUT", "uri/{d}/b-file/below", CONTENT), 409),
    (Ask("POST", "uri/{d}/b-file/below?t=mkdir"), 409),
    (Ask("GET", "uri/{d}/b-file/below"), 400),
    (Ask("GET", "uri/{d}//a"), 400),
    (Ask("GET", "operations/none"), 404),
    (Ask("GET", "nonsense"), 404),
    (Ask("GET", f"uri/URI%3ACHK%3A{LOST}%3A1%3A1%3A1000"), 410),
    (Ask("GET", f"uri/URI%3ADIR2%3A{LOST}?t=json"), 410),
    (Ask("PUT", f"uri/URI%3ADIR2%3A{LOST}/x", b"x"), 410),
]
STRICTER = [
    (Ask("PUT", "uri/{dro}/new", CONTENT), 403),
    (Ask("POST", "uri/{dro}/new?t=mkdir"), 403),
    (Ask("DELETE", "uri/{dro}/mut"), 403),
    (Ask("PUT", "uri/{di}/new", CONTENT), 403),
    (Ask("PUT", "uri/{f}", CONTENT), 400),
    (Ask("PUT", "uri/{f}?t=uri", b"{f}"), 400),
    (Ask("DELETE", "uri/{d}"), 400),
    (Ask("POST", "uri/{d}?t=set_children", b"nonsense"), 400),
    (Ask("POST", "uri/{d}?t=set_children", b"[]"), 400),
    (Ask("PUT", "uri/{d}/%FF", b"x"), 400),
    (Ask("PUT", "uri/{d}/nul%00", b"x"), 400),
    (Ask("PUT", "uri/{mm}?offset=100", b"x"), 400),
    (Ask("PATCH", "uri"), 405),
    (form("uri/{d}", {"t": "upload"}, file=None), 400),
]


@pytest.mark.usefixtures("with_tahoe")
def test_answers_are_alike(tahoe_grid: TahoeGrid, tmp_path: Path, make_tallac: Callable[[Path], Tallac]) -> None:
    """Status, kind, ETag, headers that say something and JSON agree for all that a node answers sensibly."""
    common = [*STORING, *READING, *CHANGING, *LOOKING, *MORE]
    asks = [*common, *(ask for ask, _ in MISSING)]
    strict = [ask for ask, _ in STRICTER]
    with serving(make_tallac(tmp_path / "home")) as gateway:
        ours = ask_all(gateway.url, [*asks, *strict])
    theirs = ask_all(tahoe_grid.url, asks)
    unlike = [(ask, our, their) for ask, our, their in zip(common, ours, theirs, strict=False) if our != their]
    assert unlike == []
    statuses = [seen.status for seen in ours[len(common) :]]
    assert statuses == [status for _, status in [*MISSING, *STRICTER]]
    assert [seen.status for seen in theirs[len(common) :]] == [status for _, status in MISSING]
