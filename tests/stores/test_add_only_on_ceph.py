"""A client that can only add, by the policy that the guide gives, on a real Ceph RADOS gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import pytest
from tests.command import Tallac
from tests.stores.engines import BUCKET, Engine

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.errors import StorePermissionError

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "add-only.md"
ADDER = {"AWS_ACCESS_KEY_ID": "ADDKEYID", "AWS_SECRET_ACCESS_KEY": "ADDSECRET"}


def policy_of_the_guide(prefix: str) -> str:
    """Read the policy on the page, and make it one for the client `adder` and for this test's bucket and prefix.

    The statement on overwriting is left out: Ceph 16 does not know its condition.
    """
    code = "\n".join(line[4:] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("    "))
    found = re.search(r"\{\s*\"Version\".*?^\}", code, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    policy = json.loads(found[0].replace("my-bucket/vault", f"{BUCKET}/{prefix}").replace("my-bucket", BUCKET))
    allowed = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert len(allowed) == len(policy["Statement"]) - 1
    for statement in allowed:
        statement["Principal"] = {"AWS": ["arn:aws:iam:::user/adder"]}
    # As the page says of Ceph: an object belongs to whoever stored it, and its bucket's owner needs a right to it too.
    things = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    owner = {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/tallac"]}, "Action": "s3:*", "Resource": things}
    return json.dumps(policy | {"Statement": [*allowed, owner]})


def test_a_client_that_can_only_add(
    ceph: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    prefix: str,
    tallac: Tallac,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It backs up and restores without a word, deletes nothing, and the owner prunes what it has left."""
    settings = settings_of(ceph)
    options = ("--store", f"endpoint={ceph.endpoint}")
    words = tmp_path / "words"
    words.write_text("five words drawn by lot")
    tallac("init", settings.where, *options)
    tallac("add-passphrase", "tallac:", "--passphrase-file", words)
    client = boto3.client(
        "s3",
        endpoint_url=ceph.endpoint,
        aws_access_key_id=ceph.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ceph.environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    client.put_bucket_policy(Bucket=BUCKET, Policy=policy_of_the_guide(prefix))
    client.close()

    with monkeypatch.context() as patch:
        for name, value in ADDER.items():
            patch.setenv(name, value)
        adder = Tallac(tmp_path / "adder")
        adder("connect", settings.where, *options, "--passphrase-file", words)
        for number in range(3):
            (source / "parent" / "blah.txt").write_text(f"version {number}")
            result = adder("backup", source)
            assert not [line for line in result.error_lines if line.startswith("tallac:")]
        adder("restore", "Latest", tmp_path / "restored")
        assert (tmp_path / "restored" / "parent" / "blah.txt").read_text() == "version 2"
        store = ObjectStoreBackend(settings)
        packs = [item.name for item in store.list("packs/")]
        assert packs
        for name in [*packs, "header"]:
            with pytest.raises(StorePermissionError, match="may not do this"):
                store.delete(name)
        assert "may not do this" in adder("prune", "--max-unused", "0", status=None).err or packs == [
            item.name for item in store.list("packs/")
        ]
        # What tries out the store is tidied up.
        assert list(store.list("probe/")) == []

    tallac("forget", "tallac:", "--keep-last", "1")
    tallac("prune", "--max-unused", "0")
    tallac("check", "--read-data", "tallac:")
    assert {item.name for item in ObjectStoreBackend(settings).list("packs/")} != set(packs)
