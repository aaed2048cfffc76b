"""Object Lock: what is stored gets a lock that lasts, the keeper extends it, and a prune says what is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from tests.command import Tallac
from tests.stores.engines import Engine, client_of_owner
from tests.stores.rough_line import Fate, rough_line

from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.s3_lock import S3Lock
from tallac.errors import ObjectNotFoundError, StoreError, StorePermissionError, StoreUnavailableError, UsageError

SettingsOf = Callable[..., ObjectStoreSettings]
DAY = 86400


def make_bucket(engine: Engine) -> tuple[Any, str]:
    """Make a bucket with Object Lock, and give a client of its owner, and the bucket's name."""
    client = client_of_owner(engine)
    bucket = f"locked-{os.urandom(4).hex()}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return client, bucket


def days_left(client: Any, bucket: str, name: str) -> float:
    """Ask how many days an object is still locked."""
    until = client.head_object(Bucket=bucket, Key=name)["ObjectLockRetainUntilDate"]
    return float(until.timestamp() - time.time()) / DAY


@pytest.mark.slow
def test_ceph_accepts_the_requests(ceph: Engine, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is right; a lock is set, extended, never shortened, and holds; what is missing and what is refused is told."""
    client, bucket = make_bucket(ceph)
    settings = settings_of(ceph, bucket=bucket, prefix="vault")
    lock = S3Lock(settings)
    assert lock.is_on()
    assert not S3Lock(settings_of(ceph)).is_on()
    version = client.put_object(Bucket=bucket, Key="vault/packs/a-b_c.d", Body=b"x")["VersionId"]
    now = int(time.time())
    assert lock.until("packs/a-b_c.d") is None
    lock.lock("packs/a-b_c.d", now + 2 * DAY)
    assert lock.until("packs/a-b_c.d") == pytest.approx(now + 2 * DAY, abs=1)
    lock.lock("packs/a-b_c.d", now + 5 * DAY)
    lock.lock("packs/a-b_c.d", now + 3 * DAY)
    assert lock.until("packs/a-b_c.d") == pytest.approx(now + 5 * DAY, abs=1)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=bucket, Key="vault/packs/a-b_c.d", VersionId=version)
    for call in (lock.until, lambda name: lock.lock(name, now + DAY)):
        with pytest.raises(ObjectNotFoundError):
            call("packs/missing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorePermissionError, match=r"may not lock objects \(SignatureDoesNotMatch\)"):
        S3Lock(settings).lock("packs/a-b_c.d", now + 9 * DAY)
    client.close()


def test_a_vault_in_a_bucket_with_locks(
    moto: Engine, settings_of: SettingsOf, tallac: Tallac, source: Path, tmp_path: Path
) -> None:
    """All that a backup leaves is locked, a check extends what has less than half of its time, and a prune is no error."""
    client, bucket = make_bucket(moto)
    where = settings_of(moto, bucket=bucket, prefix="vault").where
    tallac("init", where, "--store", f"endpoint={moto.endpoint}", "--store", "lock-for=30d")
    result = tallac("-q", "backup", source)
    assert (result.out, result.err) == (b"", "")
    names = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert any("/packs/" in name for name in names)
    for name in names:
        assert days_left(client, bucket, name) == pytest.approx(30, abs=0.1)
    # Less than half of this is left, so all is locked anew; and then of nothing.
    tallac("-q", "check", "tallac:", "--lock-for", "100d")
    assert {round(days_left(client, bucket, name)) for name in names} == {100}
    tallac("-q", "check", "tallac:", "--lock-for", "150d")
    assert {round(days_left(client, bucket, name)) for name in names} == {100}
    (source / "parent" / "subdir" / "bar.txt").write_text("other\n" * 1000)
    tallac("-q", "backup", source)
    tallac("-q", "forget", "tallac:", "--keep-last", "1")
    result = tallac("prune", "--max-unused", "0")
    assert "the store keeps former versions of what was deleted while they are locked, until 20" in result.err
    gone = {name for name in names if "/packs/" in name} - {
        item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]
    }
    assert gone
    for name in gone:
        (version,) = client.list_object_versions(Bucket=bucket, Prefix=name)["Versions"]
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key=name, VersionId=version["VersionId"])
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "restore", "Latest", tmp_path / "out")
    client.close()


def test_where_there_are_no_locks(moto: Engine, settings_of: SettingsOf, tallac: Tallac, source: Path) -> None:
    """A bucket without Object Lock, and another kind of store, are refused before anything is stored."""
    where = settings_of(moto).where
    message = tallac.fails("init", where, "--store", f"endpoint={moto.endpoint}", "--lock-for", "30d", status=2)
    assert "needs a bucket with Object Lock, which is turned on when a bucket is made" in message
    assert "only S3 has locks" in tallac.fails("init", "sftp://127.0.0.1/x", "--lock-for", "30d", status=2)
    assert "write days, as in 30d" in tallac.fails("init", where, "--store", "lock-for=long", status=2)
    tallac("init", where, "--store", f"endpoint={moto.endpoint}")
    assert "see whether its bucket has Object Lock" in tallac.fails("backup", source, "--lock-for", "30d")


def test_a_folder_has_no_locks(moto: Engine, settings_of: SettingsOf, tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Who asks for locks is never left without them silently; what is there is read, and copied to where they are."""
    assert "only S3 has locks" in tallac.fails("init", tmp_path / "vault", "--lock-for", "30d", status=2)
    assert not (tmp_path / "vault").exists()
    tallac("init", tmp_path / "vault")
    assert "only S3 has locks" in tallac.fails("backup", source, "--lock-for", "30d", status=2)
    tallac("backup", source, "--lock-for", "0")
    assert tallac("ls", "Latest", "--lock-for", "30d").out
    client, bucket = make_bucket(moto)
    url = f"s3://{bucket}/{settings_of(moto).prefix}"
    tallac("mirror", "tallac:", url, "--store", f"endpoint={moto.endpoint}", "--lock-for", "30d")
    packs = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"] if "/packs/" in each["Key"]]
    assert packs
    assert all(days_left(client, bucket, name) > 29 for name in packs)
    client.close()


def test_a_line_that_cuts_answers(settings_of: SettingsOf, moto: Engine) -> None:
    """An answer whose end is missing is a broken line, which is waited for, as one that never came."""
    for fate in (Fate.CUT, Fate.LOST_ANSWER, Fate.LOST_REQUEST):
        with rough_line(moto.endpoint, lambda _method, _path, fate=fate: fate) as line, pytest.raises(StoreUnavailableError):  # type: ignore[misc]
            S3Lock(settings_of(moto, endpoint=line.url)).is_on()


def test_what_the_store_may_answer(settings_of: SettingsOf, moto: Engine) -> None:
    """Answers that say neither yes nor no become errors that say whether it may be tried again."""
    lock = S3Lock(settings_of(moto))
    for status, body, kind in (
        (500, b"", StoreUnavailableError),
        (403, b"<Code>AccessDenied</Code>", StorePermissionError),
        (400, b"<Code>InvalidRequest</Code>", StoreError),
    ):
        with pytest.raises(kind):
            lock._require(status, body)
    with pytest.raises(StoreUnavailableError, match="can't be reached"):
        S3Lock(settings_of(moto, endpoint="http://127.0.0.1:9")).is_on()
    with pytest.raises(UsageError, match="only S3 has locks"):
        S3Lock(settings_of(moto, kind="az"))
