"""The keys of a job, as they stand in the file: the loader, the published schema and the guide go by these structs.

The options of `backup` are keys as well; they come from `tallac.backup.option_table`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Count: TypeAlias = int | str
Line: TypeAlias = str | list[str]

NOTIFY_ON = ("failure", "overdue", "recovery", "anomaly", "success", "always")
"""The occasions that `notify_on` may name."""


class KeepKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which snapshots stay after each run, as the options of `forget` say it without `--keep-`; the others are forgotten."""

    last: Annotated[Count | None, Meta(description="Keep this many of the newest snapshots; a number or `unlimited`.")] = None
    hourly: Annotated[Count | None, Meta(description="Keep the newest of each of so many hours.")] = None
    daily: Annotated[Count | None, Meta(description="Keep the newest of each of so many days.")] = None
    weekly: Annotated[Count | None, Meta(description="Keep the newest of each of so many weeks.")] = None
    monthly: Annotated[Count | None, Meta(description="Keep the newest of each of so many months.")] = None
    yearly: Annotated[Count | None, Meta(description="Keep the newest of each of so many years.")] = None
    within: Annotated[str | None, Meta(description="Keep all snapshots of this time, as in `2w` or `1y6m`.")] = None
    within_hourly: Annotated[str | None, Meta(description="Keep the newest of each hour within this time.")] = None
    within_daily: Annotated[str | None, Meta(description="Keep the newest of each day within this time.")] = None
    within_weekly: Annotated[str | None, Meta(description="Keep the newest of each week within this time.")] = None
    within_monthly: Annotated[str | None, Meta(description="Keep the newest of each month within this time.")] = None
    within_yearly: Annotated[str | None, Meta(description="Keep the newest of each year within this time.")] = None
    tag: Annotated[list[str], Meta(description="Keep snapshots with all of these tags, commas between them.")] = []


class JobKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a job beside the options of `backup`. In `[defaults]` they count for every job that does not have them."""

    sources: Annotated[
        list[str],
        Meta(description="The folders and files to back up; `~` is your home folder. Needed, unless the job has dumps."),
    ] = []
    target: Annotated[str, Meta(description="Where the snapshots go, written `ALIAS:PATH`. Needed.")] = ""
    every: Annotated[
        str | None,
        Meta(
            description="When it runs: `hour`, `6 hours`, `day at 03:00`, `weekday at 12:00`, `week on monday at 02:00`, "
            "`month on 1 at 04:30`, or a cron line of five fields. Without it, the job runs only when it is named."
        ),
    ] = None
    delay: Annotated[
        str | None,
        Meta(
            description="It starts up to this much later, each job always by the same share of it, so that machines do not all "
            "start at once. Default: `10 minutes`, and a tenth of the interval where that is less; `none` for on time."
        ),
    ] = None
    enabled: Annotated[bool, Meta(description="`false` leaves the job out of what runs by itself. Default: `true`.")] = True
    keep: Annotated[
        KeepKeys | None,
        Meta(
            description="Which snapshots stay, as in `{ daily = 7, weekly = 4 }`; the others are forgotten after each run. Only "
            "snapshots in the target that this host has made are looked at. Without it, nothing is forgotten."
        ),
    ] = None
    prune: Annotated[
        str | None,
        Meta(
            description="How often the vault is pruned after that: `each month`, `each week`, `each run` or `never`. "
            "Default: `each month` where the job has `keep`, and `never` without it."
        ),
    ] = None
    check: Annotated[
        str | None,
        Meta(
            description="How often the vault is checked: `each week` looks whether everything is there; `5% each week` reads as "
            "well the next 5% of all data, and so goes round all of it."
        ),
    ] = None
    drill: Annotated[
        str | None,
        Meta(
            description="How often a restore is tried: `each month` or `200 files each month`. A random sample of the newest "
            "snapshot is restored to a temporary folder, compared with the sources where these are unchanged, and removed. "
            "Default: 50 files, and no more than 256 MB."
        ),
    ] = None
    copies: Annotated[
        list[str],
        Meta(description="Vaults that get a copy of the target's vault after each run: a folder, a URL or `ALIAS:`."),
    ] = []
    before: Annotated[
        list[Line],
        Meta(
            description="Commands to run before the backup. A text is a line for the shell; a list is a command and its arguments, "
            "without a shell. One that fails ends the job."
        ),
    ] = []
    after: Annotated[
        list[Line],
        Meta(description="Commands to run right after the backup, also if that failed, or a command before it."),
    ] = []
    on_failure: Annotated[list[Line], Meta(description="Commands to run at the end of a run that failed.")] = []
    timeout: Annotated[str, Meta(description="How long each of these commands may take before it is ended. Default: `1 hour`.")] = (
        "1 hour"
    )
    dumps: Annotated[
        list[str],
        Meta(
            description="Databases to dump and back up with the sources: `postgresql:all`, `postgresql:NAME`, `mariadb:all`, "
            "`mariadb:NAME`, `mysql:all`, `mysql:NAME`, `sqlite:FILE`, `redis`. If one fails, no snapshot is made."
        ),
    ] = []
    dump_options: Annotated[
        dict[str, list[str]],
        Meta(
            description="Further arguments for the command that dumps, by the kind of database, as in "
            '`{ postgresql = ["--host=db"] }`.'
        ),
    ] = {}
    snapshot: Annotated[
        str | None,
        Meta(
            description="Read the sources from a snapshot of their file system, which is made before and removed after: `btrfs`, "
            "`zfs` or `lvm`. Paths in the backup are those of the sources."
        ),
    ] = None
    on_battery: Annotated[bool, Meta(description="`false` waits for mains power. Default: `true`.")] = True
    on_metered: Annotated[bool, Meta(description="`false` waits for a connection that is not metered. Default: `true`.")] = True
    nice: Annotated[
        int, Meta(ge=0, le=19, description="How much scheduled runs give way to other programs, from 0 to 19. Default: 10.")
    ] = 10
    ionice: Annotated[
        str,
        Meta(
            pattern="^(idle|best-effort|normal)$",
            description="How much scheduled runs give way on the disk: `idle`, `best-effort` or `normal`. Default: `best-effort`.",
        ),
    ] = "best-effort"
    notify: Annotated[
        list[str],
        Meta(
            description="Who hears of it: addresses of services, as `mailto://` and `ntfy://`, and `https://` addresses of "
            "healthchecks.io or Uptime Kuma, which are pinged at the start and the end of each run."
        ),
    ] = []
    notify_on: Annotated[
        list[str],
        Meta(
            description="When services hear of it: `failure`, `overdue`, `recovery`, `anomaly`, `success` or `always`. Default: "
            "the first four."
        ),
    ] = []
