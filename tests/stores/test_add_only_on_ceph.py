"""A client that can only add, by the policy that the guide gives, on a real Ceph RADOS gateway; and buckets that keep versions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from tests.command import Tallac
from tests.end_to_end.comparing import differences, look
from tests.stores.engines import Engine

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.errors import StorePermissionError

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "add-only.md"
ADDER = {"AWS_ACCESS_KEY_ID": "ADDKEYID", "AWS_SECRET_ACCESS_KEY": "ADDSECRET"}


def policy_of_the_guide(bucket: str) -> str:
    """Read the policy on the page, and make it one for the client `adder` and for a bucket.

    The statement on overwriting is left out: Ceph 16 does not know its condition.
    """
    code = "\n".join(line[4:] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("    "))
    found = re.search(r"\{\s*\"Version\".*?^\}", code, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    policy = json.loads(found[0].replace("my-bucket", bucket))
    allowed = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert len(allowed) == len(policy["Statement"]) - 1
    for statement in allowed:
        statement["Principal"] = {"AWS": ["arn:aws:iam:::user/adder"]}
    # As the page says of Ceph: an object belongs to whoever stored it, and its bucket's owner needs a right to it too.
    things = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    owner = {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/tallac"]}, "Action": "s3:*", "Resource": things}
    return json.dumps(policy | {"Statement": [*allowed, owner]})


def client_of(ceph: Engine, environment: dict[str, str]) -> Any:
    """Give Amazon's own client with these keys."""
    return boto3.client(
        "s3",
        endpoint_url=ceph.endpoint,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )


@pytest.fixture
def owner(ceph: Engine) -> Iterator[Any]:
    """Give a client of the bucket's owner."""
    client = client_of(ceph, ceph.environment)
    yield client
    client.close()


@pytest.fixture
def thief(ceph: Engine) -> Iterator[Any]:
    """Give a client of whoever got hold of the keys that can only add."""
    client = client_of(ceph, ADDER)
    yield client
    client.close()


@pytest.fixture
def settings(owner: Any, ceph: Engine, settings_of: Callable[..., ObjectStoreSettings]) -> ObjectStoreSettings:
    """Name a place in a bucket of this test's own, under the policy of the page."""
    bucket = f"add-only-{os.urandom(4).hex()}"
    owner.create_bucket(Bucket=bucket)
    owner.put_bucket_policy(Bucket=bucket, Policy=policy_of_the_guide(bucket))
    return settings_of(ceph, bucket=bucket, prefix="vault")


@pytest.fixture
def connected(
    settings: ObjectStoreSettings, ceph: Engine, tallac: Tallac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tallac:
    """Give the machine that can only add, connected to a vault that the owner, `tallac`, has made; from here on its keys count."""
    options = ("--store", f"endpoint={ceph.endpoint}")
    words = tmp_path / "words"
    words.write_text("five words drawn by lot")
    tallac("init", settings.where, *options)
    tallac("add-passphrase", "tallac:", "--passphrase-file", words)
    for name, value in ADDER.items():
        monkeypatch.setenv(name, value)
    adder = Tallac(tmp_path / "adder")
    adder("connect", settings.where, *options, "--passphrase-file", words)
    return adder


def as_owner(ceph: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the owner's keys in the environment."""
    for name, value in ceph.environment.items():
        monkeypatch.setenv(name, value)


def test_a_client_that_can_only_add(
    ceph: Engine,
    settings: ObjectStoreSettings,
    connected: Tallac,
    tallac: Tallac,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It backs up, checks and restores without a word, and deletes nothing; the owner prunes what it has left, and it goes on."""
    for number in range(3):
        (source / "parent" / "blah.txt").write_text(f"version {number}")
        result = connected("-q", "backup", source)
        assert (result.out, result.err) == (b"", "")
    result = connected("-q", "check", "--read-data", "tallac:")
    assert (result.out, result.err) == (b"", "")
    connected("-q", "restore", "Latest", tmp_path / "restored")
    assert differences(look(source), look(tmp_path / "restored")) == {}
    store = ObjectStoreBackend(settings)
    before = {item.name for item in store.list("")}
    # What tries out the store is tidied up.
    assert not [name for name in before if name.startswith("probe/")]
    for name in before:
        with pytest.raises(StorePermissionError, match="may not do this"):
            store.delete(name)
    connected("-q", "forget", "tallac:", "--keep-last", "1")
    assert "may not do this" in connected.fails("prune", "-q", "--max-unused", "0")
    packs = {name for name in before if name.startswith("packs/")}
    assert packs <= {item.name for item in store.list("packs/")}

    as_owner(ceph, monkeypatch)
    assert json.loads(tallac("prune", "--json", "--max-unused", "0").lines[-1])["deleted_packs"] > 0
    assert not packs <= {item.name for item in ObjectStoreBackend(settings).list("packs/")}
    tallac("check", "--read-data", "tallac:")
    for name, value in ADDER.items():
        monkeypatch.setenv(name, value)
    (source / "parent" / "blah.txt").write_text("after the prune")
    result = connected("-q", "backup", source)
    assert (result.out, result.err) == (b"", "")
    connected("-q", "restore", "Latest", tmp_path / "restored again")
    assert differences(look(source), look(tmp_path / "restored again")) == {}


def test_what_its_keys_can_not_do(settings: ObjectStoreSettings, connected: Tallac, owner: Any, thief: Any, source: Path) -> None:
    """Whoever has them deletes nothing, changes no rule of the bucket, and stores nothing beside the vault."""
    connected("-q", "backup", source)
    bucket = settings.bucket
    names = [item["Key"] for item in owner.list_objects_v2(Bucket=bucket, Prefix=f"{settings.prefix}/")["Contents"]]
    assert any("/packs/" in name for name in names)
    rule = {"ID": "all", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 1}}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
        ("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": [rule]}}),
        ("put_bucket_policy", {"Policy": policy_of_the_guide(bucket)}),
        ("delete_bucket_policy", {}),
        ("put_object", {"Key": "elsewhere", "Body": b"x"}),
        *(("delete_object", {"Key": name}) for name in names),
        ("delete_objects", {"Delete": {"Objects": [{"Key": name} for name in names]}}),
    ]
    for call, arguments in calls:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(thief, call)(Bucket=bucket, **arguments)
    assert names == [item["Key"] for item in owner.list_objects_v2(Bucket=bucket, Prefix=f"{settings.prefix}/")["Contents"]]


def test_ceph_with_versions_is_refused(
    ceph: Engine, owner: Any, settings_of: Callable[..., ObjectStoreSettings], tallac: Tallac
) -> None:
    """In a bucket that keeps versions Ceph 16 ignores that an object must not exist yet; that is found before the first write."""
    settings = settings_of(ceph, bucket=f"versions-{os.urandom(4).hex()}", prefix="vault")
    owner.create_bucket(Bucket=settings.bucket)
    owner.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    message = tallac.fails("init", settings.where, "--store", f"endpoint={ceph.endpoint}")
    assert "it ignores the condition that an object must not exist yet, and overwrites it" in message
    assert "Contents" not in owner.list_objects_v2(Bucket=settings.bucket)


def test_versions_bring_back_what_was_overwritten(
    moto: Engine, settings_of: Callable[..., ObjectStoreSettings], tallac: Tallac, source: Path, tmp_path: Path
) -> None:
    """As the guide says: everything that came after a moment goes, and what was there before is there again, and restores."""
    settings = settings_of(moto, bucket=f"versions-{os.urandom(4).hex()}", prefix="vault")
    client = client_of(moto, moto.environment)
    bucket = settings.bucket
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    tallac("init", settings.where, "--store", f"endpoint={moto.endpoint}")
    tallac("-q", "backup", source)
    (source / "parent" / "blah.txt").write_text("changed")
    tallac("-q", "backup", source)
    tallac("-q", "check", "--read-data", "tallac:")
    good = {item["VersionId"] for item in client.list_object_versions(Bucket=bucket)["Versions"]}
    names = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
    for number, name in enumerate(names):
        if number % 2:
            client.delete_object(Bucket=bucket, Key=name)
        else:
            client.put_object(Bucket=bucket, Key=name, Body=b"pay, or else")
    tallac("ls", "Latest", status=1)
    listed = client.list_object_versions(Bucket=bucket)
    for item in listed["Versions"] + listed.get("DeleteMarkers", []):
        if item["IsLatest"] and item["VersionId"] not in good and item["Key"] in names:
            client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    client.close()
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "restore", "Latest", tmp_path / "restored")
    assert differences(look(source), look(tmp_path / "restored")) == {}
