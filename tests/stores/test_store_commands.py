"""The commands on vaults in object stores, as users type them."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.stores.engines import BUCKET, Engine, free_port
from tests.stores.rough_line import Fate, rough_line, wait_until

from tallac.backends.object_store_settings import ObjectStoreSettings

SettingsOf = Callable[..., ObjectStoreSettings]
ENGINES = ("moto", "azurite", pytest.param("ceph", marks=pytest.mark.slow))


@pytest.fixture
def place(request: pytest.FixtureRequest, settings_of: SettingsOf) -> tuple[Engine, str]:
    """Give an engine, and a new place in it as users write it; parametrise it with an engine's name."""
    engine: Engine = request.getfixturevalue(str(request.param))
    return engine, settings_of(engine).where


def options(engine: Engine) -> tuple[str, ...]:
    """Return what has to be said of an engine once."""
    account = engine.environment.get("AZURE_STORAGE_ACCOUNT_NAME")
    return ("--store", f"endpoint={engine.endpoint}", *(("--store", f"account={account}") if account else ()))


@pytest.mark.parametrize("place", ENGINES, indirect=True)
def test_a_vault_from_beginning_to_end(place: tuple[Engine, str], tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Everything works as in a folder, and the location is given once."""
    engine, url = place
    assert url in tallac("init", url, *options(engine)).err
    tallac("backup", source)
    (source / "parent" / "blah.txt").write_text("changed")
    tallac("backup", source)
    assert len(tallac("snapshots").lines) == 3
    assert tallac("ls", "Latest/parent").lines == [b"blah.txt", b"subdir"]
    tallac("restore", "Latest", tmp_path / "restored")
    assert (tmp_path / "restored" / "parent" / "blah.txt").read_text() == "changed"
    assert (tmp_path / "restored" / "parent" / "subdir" / "bar.txt").read_text() == "bar\n" * 1000
    tallac("check", "--read-data", "tallac:")
    tallac("forget", "tallac:", "--keep-last", "1")
    tallac("prune", "--max-unused", "0")
    tallac("scrub", "tallac:")
    tallac("check", "--read-data", "tallac:")
    assert url in tallac("list-aliases").out.decode()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["ceph"], indirect=True)
def test_out_of_a_provider_and_back(place: tuple[Engine, str], tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A vault goes from a folder into a store and from there into another folder, and restores what was backed up."""
    engine, url = place
    tallac("backup", source)
    tallac("mirror", "tallac:", url, *options(engine))
    tallac("mirror", url, tmp_path / "back", *options(engine))
    other = Tallac(tmp_path / "other")
    kit = tmp_path / "kit.txt"
    tallac("recovery-kit", "tallac:", "--output", kit)
    other("connect", tmp_path / "back", "--recovery-kit", kit)
    other("restore", "Latest", tmp_path / "restored")
    assert (tmp_path / "restored" / "parent" / "subdir" / "foo.txt").read_text() == "foo"
    there = Tallac(tmp_path / "there")
    there("connect", url, *options(engine), "--recovery-kit", kit)
    there("restore", "Latest", tmp_path / "restored-there")
    assert (tmp_path / "restored-there" / "parent" / "blah.txt").read_text() == "blah"


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_the_environment_does_not_send_a_vault_elsewhere(
    place: tuple[Engine, str], tallac: Tallac, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint in the environment is taken when a location is first written, and kept; another one later changes nothing."""
    engine, url = place
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", engine.endpoint)
    tallac("init", url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    tallac("backup", source)
    tallac("ls", "Latest", "--vault", url)
    assert "nothing answers" in tallac.fails("init", f"{url}-other", "--alias", "other", "--retry-for", "0s")


@pytest.mark.parametrize("place", ["azurite"], indirect=True)
def test_a_connection_string_of_azure(
    place: tuple[Engine, str], tallac: Tallac, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives the account, the key and the server of a new vault; later on the server in another one counts no more."""
    engine, url = place
    key = engine.environment["AZURE_STORAGE_ACCOUNT_KEY"]
    account = engine.environment["AZURE_STORAGE_ACCOUNT_NAME"]
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    string = f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={{}};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string.format(engine.endpoint))
    tallac("init", url)
    assert key not in (tallac.home / "config" / "tallac.json").read_text()
    elsewhere = f"http://127.0.0.1:{free_port()}/{account}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string.format(elsewhere))
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", elsewhere)
    tallac("backup", source)
    assert "nothing answers" in tallac.fails("init", f"{url}-other", "--alias", "other", "--retry-for", "0s")


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_keys_in_a_profile(
    place: tuple[Engine, str], tallac: Tallac, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, region and endpoint come from the files of Amazon's tools; a named profile is remembered, and its keys are not."""
    engine, url = place
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "astray")
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text("[work]\naws_access_key_id = KEYID\naws_secret_access_key = SECRET\n[half]\naws_access_key_id = KEYID\n")
    config.write_text(
        f"[profile work]\nregion = eu-west-9\nendpoint_url = {engine.endpoint}\n[profile sso]\nsso_start_url = https://x.example\n"
        f"[profile asks]\nendpoint_url = {engine.endpoint}\ncredential_process = {sys.executable} -c "
        """'print("{\\"Version\\": 1, \\"AccessKeyId\\": \\"A\\", \\"SecretAccessKey\\": \\"B\\"}")'\n"""
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    tallac("init", url, "--store", "profile=work")
    tallac("backup", source)
    text = (tallac.home / "config" / "tallac.json").read_text()
    assert f"endpoint={engine.endpoint}&profile=work&region=eu-west-9" in text
    assert "SECRET" not in text
    monkeypatch.setenv("AWS_PROFILE", "work")
    tallac("init", f"{url}-2", "--alias", "second")
    tallac("init", f"{url}-3", "--alias", "third", "--store", "profile=asks")
    fails = [
        ("none", "no profile 'none' in"),
        ("half", "profile 'half' lacks aws_secret_access_key"),
        ("sso", "sso_start_url, which Tallac does not read; use a profile that has `credential_process"),
    ]
    for profile, words in fails:
        line = tallac.fails(
            "init", f"{url}-4", "--alias", "x", "--store", f"profile={profile}", "--store", f"endpoint={engine.endpoint}"
        )
        assert words in line


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_what_is_written_wrongly(place: tuple[Engine, str], tallac: Tallac) -> None:
    """Each mistake in a location or an option is one line, before anything is asked."""
    cases = {
        ("init", "s3://"): "names no bucket; write s3://BUCKET/PREFIX",
        ("init", "az:///x"): "names no container",
        ("init", "s3://bucket/a/../b"): "'..' can't be a part of a vault's name",
        ("init", "s3://bucket", "--store", "endpoint=127.0.0.1:9000"): "this is no URL; write https://127.0.0.1:9000, or http://",
        ("init", "s3://bucket", "--store", "endpoint=https://a:b@host"): "holds a user's name or password",
        ("init", "s3://bucket", "--store", "region"): "write KEY=VALUE",
        ("init", "s3://bucket", "--store", "colour=red"): "there is no such option; there are account, addressing",
        ("init", "s3://bucket", "--store", "secret-key=x"): "secrets are not remembered",
        ("init", "s3://bucket", "--store", "account=x"): "s3:// has no such option; it has endpoint",
        ("init", "s3://bucket", "--store", "addressing=both"): "give path or virtual",
        ("init", "s3://bucket?colour=red"): "there is no such option",
        ("init", "sftp://host"): "write sftp://USER@HOST/PATH",
        ("init", "sftp://a:b@host/x"): "a password can't stand in a location",
        ("init", "sftp://host:99999/x"): "'99999' is no port",
    }
    for arguments, words in cases.items():
        assert words in tallac.fails(*arguments, status=2)
    # A secret is not shown, whatever else is wrong.
    assert "hush" not in tallac.fails("init", "s3://bucket", "--store", "password=hush", status=2)
    tallac("init", "s3://bucket", "--retry-for", "soon", status=2)


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_what_is_there_already(place: tuple[Engine, str], tallac: Tallac, settings_of: SettingsOf, tmp_path: Path) -> None:
    """A vault is not made over another one, nor over other things, nor found where none is."""
    engine, url = place
    assert "no vault found" in tallac.fails("check", "--vault", url, *options(engine))
    tallac("init", url, *options(engine))
    assert "there is a vault already" in tallac.fails("init", url, "--alias", "other", status=2)
    above = url.rpartition("/")[0]
    assert "not a vault, and not empty; give a new or empty prefix" in tallac.fails("init", above, "--alias", "x", *options(engine))
    stranger = Tallac(tmp_path / "stranger")
    assert "its key is not known here" in stranger.fails("check", "--vault", url, *options(engine), status=2)
    assert stranger.fails("check", "--vault", f"s3://nobody/{BUCKET}", *options(engine)).count("'nobody'") == 1


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_requests_are_counted(place: tuple[Engine, str], tallac: Tallac, tmp_path: Path) -> None:
    """With -v a line, and with --json the summary, say what was asked of the store, worker processes included."""
    engine, url = place
    tallac("init", url, *options(engine))
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number}").write_bytes(b"%d" % number * 50)
    summary = json.loads(tallac("backup", folder, "--json").lines[-1])
    assert 5 <= summary["requests"] <= 25
    assert summary["bytes_sent"] > summary["bytes_stored"] > 10_000
    line = tallac("ls", "Latest", "-v").error_lines[-1]
    assert line.endswith("received")
    assert int(line.split()[0]) <= 3
    assert "to the store" not in tallac("ls", "Latest").err
    tallac("create-alias", "here", "--vault", tmp_path / "vault")
    assert "to the store" not in tallac("backup", folder, "here:", "-v").err


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_a_store_is_checked(place: tuple[Engine, str], tallac: Tallac) -> None:
    """`check-store` prints a row for each thing that a vault relies on."""
    engine, url = place
    result = tallac("check-store", "--quick", url, *options(engine))
    assert [line.split()[0] for line in result.lines[:-1]] == [b"yes"] * 5
    assert b"safe for a vault" in result.lines[-1]
    records = [json.loads(line) for line in tallac("check-store", "--quick", "--json", url, *options(engine)).lines]
    assert [record["outcome"] for record in records[:-1]] == ["yes"] * 5
    assert records[-1]["safe"] is True
    # Nothing is left of it.
    tallac("init", url, *options(engine))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["ceph"], indirect=True)
def test_ceph_is_safe_with_a_workaround(place: tuple[Engine, str], tallac: Tallac) -> None:
    """At length, with races, Ceph passes all; what it needs is found and remembered with the vault."""
    engine, url = place
    result = tallac("check-store", url, *options(engine))
    assert b"workaround" in b"".join(result.lines)
    assert b"safe for a vault, with a workaround" in result.lines[-1]
    assert not any(line.startswith((b"NO", b"unknown")) for line in result.lines)
    tallac("init", url, *options(engine))
    assert "etag=bare" in (tallac.home / "config" / "tallac.json").read_text()


@pytest.mark.skipif(os.name != "posix", reason="signals are sent")
@pytest.mark.parametrize("place", ["moto"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_that_waits_for_a_store(
    place: tuple[Engine, str], tallac: Tallac, source: Path, number: signal.Signals
) -> None:
    """It ends within seconds, with one line, though the store keeps a request open."""
    engine, url = place
    is_stalling = False

    def plan(method: str, _path: str) -> Fate:
        return Fate.STALLED if is_stalling and method in {"GET", "PUT"} else Fate.PASS

    with rough_line(engine.endpoint, plan) as line:
        tallac("init", url, "--store", f"endpoint={line.url}")
        tallac("backup", source)
        for command in (("backup", source), ("ls", "Latest"), ("restore", "Latest", source.parent / "restored")):
            is_stalling, before = True, len(line.requests)
            process = tallac.start(*command)
            wait_until(lambda before=before: len(line.requests) > before, 60)  # type: ignore[misc]
            time.sleep(0.2)  # It is to be within the wait for the answer, not before it.
            sent = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            assert process.returncode == 128 + number
            assert (out, len(err.splitlines())) == (b"", 1)
            # Far below the minute for which a silent store is waited for; not a measure of speed.
            assert time.monotonic() - sent < 30
            is_stalling = False
    assert tallac.processes_left() == []


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_a_store_that_is_away_for_a_while(place: tuple[Engine, str], tallac: Tallac, source: Path) -> None:
    """A backup goes on when the store is back, having said that it waits; with no patience it fails in one line."""
    engine, url = place
    refused: list[str] = []

    def plan(_method: str, path: str) -> Fate:
        if "/slots/" in path and len(refused) < 6:
            refused.append(path)
            return Fate.BUSY
        return Fate.PASS

    with rough_line(engine.endpoint, plan) as line:
        tallac("init", url, "--store", f"endpoint={line.url}")
        refused.clear()
        result = tallac("backup", source)
        assert "tallac: waiting for the store: s3://" in result.err
        assert len(refused) == 6
        refused.clear()
        assert "the store is busy (503, SlowDown)" in tallac.fails("backup", source, "--retry-for", "0s")


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_an_unsafe_store_is_refused_before_anything_is_written(place: tuple[Engine, str], tallac: Tallac) -> None:
    """A server that ignores conditions is named, with the reason, and nothing of a vault is there."""
    engine, url = place

    with rough_line(engine.endpoint, lambda _method, _path: Fate.NO_CONDITIONS) as line:
        message = tallac.fails("init", url, "--store", f"endpoint={line.url}")
        assert "a vault would not be safe in this store: it ignores the condition that an object must not exist yet" in message
        assert "NOT safe" in tallac("check-store", "--quick", url, "--store", f"endpoint={line.url}", status=1).out.decode()
        assert not [request for request in line.requests if "/header" in request and request.startswith("PUT")]
