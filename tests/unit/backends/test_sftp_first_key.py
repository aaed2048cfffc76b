"""Which keys sign without a question whether the server knows them."""

from __future__ import annotations

from types import SimpleNamespace

import asyncssh
import pytest

from tallac.backends import sftp_first_key
from tallac.backends.sftp_first_key import may_sign_at_once


@pytest.mark.parametrize(
    ("system", "agent", "at_once"),
    [("posix", "", True), ("posix", "/run/agent", False), ("nt", "", False), ("nt", "/run/agent", False)],
)
def test_no_key_signs_at_once_where_an_agents_may_come_first(
    monkeypatch: pytest.MonkeyPatch, system: str, agent: str, at_once: bool
) -> None:
    """An agent's keys come before the files; on Windows one is looked for without being named."""
    monkeypatch.setattr(sftp_first_key, "os", SimpleNamespace(name=system))
    options = asyncssh.SSHClientConnectionOptions(
        client_keys=[asyncssh.generate_private_key("ssh-ed25519")], agent_path=agent, config=None
    )
    assert may_sign_at_once(options) is at_once


@pytest.mark.parametrize(
    ("kind", "at_once"),
    [("ssh-ed25519", True), ("ecdsa-sha2-nistp256", True), ("ecdsa-sha2-nistp521", True), ("ssh-ed448", False), ("ssh-rsa", False)],
)
def test_only_keys_that_sign_in_one_way_do_so_at_once(kind: str, at_once: bool) -> None:
    """For an RSA key it takes the server's word, which has not come yet; others are too rare to have been tried."""
    key = asyncssh.generate_private_key(kind)
    options = asyncssh.SSHClientConnectionOptions(client_keys=[key], agent_path="", config=None)
    assert may_sign_at_once(options) is at_once


def test_a_certificate_is_asked_about() -> None:
    """A server may know a certificate, or the key alone; of a pair of both, the certificate comes first."""
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(key, "somebody")
    options = asyncssh.SSHClientConnectionOptions(client_keys=[(key, certificate)], agent_path="", config=None)
    assert not may_sign_at_once(options)
