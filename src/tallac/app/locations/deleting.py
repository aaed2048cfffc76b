"""How a user deletes what is at a place: Tallac itself never deletes a vault."""

from __future__ import annotations

import shlex

from tallac.app.locations.urls import folder_of_url, is_folder_url, is_store, show_location


def how_to_delete(url: str) -> str:
    """Return a command that deletes what is at a place; "" where there is none to be told."""
    shown = show_location(url)
    if is_folder_url(url):
        return f"rm -r {shlex.quote(str(folder_of_url(url)))}"
    if not is_store(url):
        return ""
    from tallac.app.locations.store_urls import settings_of, sftp_settings_of  # lazy import: a folder does without them

    if url.startswith("sftp://"):
        sftp = sftp_settings_of(url)
        port = f"-p {sftp.port} " if sftp.port else ""
        host = f"{sftp.user}@{sftp.host}" if sftp.user else sftp.host
        return f"ssh {port}{host} rm -r {shlex.quote(sftp.path.removeprefix('~/').removeprefix('/~/'))}"
    settings = settings_of(url)
    if settings.kind == "az":
        account = f" --account-name {settings.account}" if settings.account else ""
        pattern = f"{settings.prefix}/*" if settings.prefix else "*"
        return f"az storage blob delete-batch --source {settings.bucket} --pattern {shlex.quote(pattern)}{account}"
    if settings.kind == "gs":
        return f"gcloud storage rm --recursive {shown}/"
    endpoint = f" --endpoint-url {settings.endpoint}" if settings.endpoint else ""
    profile = f" --profile {settings.profile}" if settings.profile else ""
    return f"aws s3 rm --recursive {shown}/{endpoint}{profile}"
