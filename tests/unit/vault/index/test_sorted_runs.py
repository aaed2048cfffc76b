import random
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tallac.errors import LocalStateError
from tallac.file_calls import RealFileCalls
from tallac.vault.format.footers import FinishedPack, ObjectLocation, encode_body
from tallac.vault.index.sorted_runs import WRITE_TRIES, SortedRun, merge_runs, write_run

Model = dict[bytes, set[ObjectLocation]]


def pack_of(number: int, names: list[bytes]) -> tuple[FinishedPack, Model]:
    """Make up a pack's footer, and say where its objects lie."""
    chance = random.Random(number)
    lengths = [chance.randrange(1, 1 << 20) for _ in names]
    hashes = [chance.randbytes(16) for _ in names]
    links = [chance.choice((0, 0, 100)) for _ in names]
    name = number.to_bytes(32, "big")
    model: Model = {}
    offset = 0
    for object_name, stored_hash, length, links_length in zip(names, hashes, lengths, links, strict=True):
        model.setdefault(object_name, set()).add(ObjectLocation(name, offset, length, links_length, stored_hash))
        offset += length + links_length
    return FinishedPack(name, offset + 100, encode_body(names, hashes, lengths, links)), model


def united(*models: Model) -> Model:
    """Unite models."""
    union: Model = {}
    for model in models:
        for name, places in model.items():
            union.setdefault(name, set()).update(places)
    return union


def assert_finds(run: SortedRun, model: Model, absent: list[bytes]) -> None:
    """See that a run finds what the model has, and nothing else."""
    assert run.count == sum(len(places) for places in model.values())
    for name, places in model.items():
        assert set(run.locations(name)) == places
        assert run.name_at(run.find(name)) == name
    for name in absent:
        assert list(run.locations(name)) == []
    names = [record[:32] for record in run.records()]
    assert names == sorted(names)
    columns = list(run.columns())
    assert [name + stored_hash for name, stored_hash, *_ in columns] == names
    for name, stored_hash, pack, offset, length, links_length in columns:
        assert ObjectLocation(run.packs[pack][0], offset, length, links_length, stored_hash) in model[name]
    numbers = {name: run.number_of(name[:16], name[16:]) for name in names}
    assert all(number is not None and names[number] == name for name, number in numbers.items())
    assert all(run.number_of(name[:16], bytes(16)) is None for name in names)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 66, 100, 1000, 5000])
def test_uniform_names_are_found(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 0 to 5,000 records each is found, and no other name is; a pass lets go of them 64 at a time."""
    monkeypatch.setattr("tallac.vault.index.sorted_runs._PASS_COUNT", 64)
    chance = random.Random(count)
    pack, model = pack_of(1, [chance.randbytes(16) for _ in range(count)])
    run = write_run(tmp_path, [bytes(32)], [pack])
    assert run.covers == {bytes(32)}
    assert run.packs == [(pack.name, pack.size)]
    absent = [chance.randbytes(16) for _ in range(500)] + [bytes(16), b"\xff" * 16]
    assert_finds(run, model, [name for name in absent if name not in model])
    run.close()


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(st.binary(min_size=16, max_size=16), st.integers(0, 200).map(lambda n: n.to_bytes(16, "big"))), max_size=200
    ),
    st.lists(st.binary(min_size=16, max_size=16), max_size=20),
    st.integers(1, 5),
)
@settings(max_examples=80)
def test_any_names_are_found(tmp_path: Path, names: list[bytes], absent: list[bytes], parts: int) -> None:
    """Names that are anything but uniform, and twice there, are found too, and after merging runs as well."""
    made = [pack_of(number, list(dict.fromkeys(names[number::parts]))) for number in range(parts)]
    model = united(*(each for _, each in made))
    runs = [write_run(tmp_path, [bytes((number,)) * 32], [pack]) for number, (pack, _) in enumerate(made)]
    merged = merge_runs(tmp_path, runs)
    whole = write_run(tmp_path, [], [pack for pack, _ in made])
    for run in (merged, whole):
        assert_finds(run, model, [name for name in absent if name not in model])
    assert merged.covers == {bytes((number,)) * 32 for number in range(parts)}
    for run in (*runs, merged, whole):
        run.close()
        run.path.unlink()


def test_a_run_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """A file that is cut, longer, empty or of another version is no run."""
    path = write_run(tmp_path, [bytes(32)], [pack_of(1, [bytes(16)])[0]]).path
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[:-1], whole + b"x", b"tlcrun99" + whole[8:], bytes(len(whole))):
        path.write_bytes(damaged)
        with pytest.raises(LocalStateError):
            SortedRun(path)


def test_a_run_appears_whole_and_private(tmp_path: Path) -> None:
    """What can't be written leaves nothing, and what is written is the user's own."""
    path = write_run(tmp_path, [], []).path
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(LocalStateError, match="can't write the index copy"):
        write_run(tmp_path / "absent", [], [])
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("thrown_away", [1, 3, WRITE_TRIES])
def test_another_process_throws_a_new_run_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thrown_away: int) -> None:
    """A run that is gone before it could be opened is written again; who loses for ever says so."""
    rename, left = RealFileCalls.rename, [None] * thrown_away

    def lose(calls: RealFileCalls, source: str, destination: str) -> None:
        rename(calls, source, destination)
        if left:
            left.pop()
            Path(destination).unlink()

    monkeypatch.setattr(RealFileCalls, "rename", lose)
    pack = pack_of(1, [bytes(16)])[0]
    if thrown_away == WRITE_TRIES:
        with pytest.raises(LocalStateError, match="other processes"):
            write_run(tmp_path, [], [pack])
    else:
        assert write_run(tmp_path, [], [pack]).count == 1
        assert len(list(tmp_path.iterdir())) == 1
