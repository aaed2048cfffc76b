"""`tallac cache`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument
from tallac.cli.options.sizes import parse_size_text
from tallac.cli.output.display import show_size, table
from tallac.errors import UsageError


@define(
    "cache",
    [
        argument("action", "[show|clear|limit]", default="show"),
        argument("what", "[VAULT|SIZE]", default=""),
    ],
    examples=("tallac cache", "tallac cache clear", "tallac cache clear home:", "tallac cache limit 500M"),
)
def cache(context: CommandContext, action: str, what: str) -> None:
    """Show or clear what is kept of distant vaults.

    Of a vault in an object store or over SFTP, Tallac keeps directories on this machine, sealed as
    they are in the store, so that listings and searches ask the store less. `show` tells how much,
    by vault; `clear` deletes it, of one vault or of all, at any time: it only costs requests later.
    `limit` sets how much each vault may take, 0 for nothing; without a SIZE it tells.
    """
    match action:
        case "show":
            _require_nothing(action, what)
            _show(context)
        case "clear":
            freed = context.client.caches.clear(what)
            if context.output.is_json:
                context.output.record(type="summary", bytes_freed=freed)
            else:
                context.output.summary({"freed": show_size(freed)})
        case "limit":
            limit = context.client.caches.set_limit(parse_size_text(what)) if what else context.client.caches.limit
            if context.output.is_json:
                context.output.record(type="summary", limit=limit)
            else:
                context.output.summary({"limit for each vault": show_size(limit)})
        case _:
            raise UsageError(f"cache {action}: no such action; write show, clear or limit")


def _show(context: CommandContext) -> None:
    reports = context.client.caches.reports()
    if context.output.is_json:
        for report in reports:
            context.output.record(
                type="cache", vault=report.location, bytes=report.size, objects=report.objects, path=str(report.path)
            )
        context.output.record(type="summary", bytes=sum(report.size for report in reports), limit=context.client.caches.limit)
        return
    rows = [(report.location, show_size(report.size), f"{report.objects:,}") for report in reports]
    for line in table([("vault", "size", "directories"), *rows], right=(1, 2)) if rows else ():
        context.output.line(line)
    total = show_size(sum(report.size for report in reports))
    context.output.summary({"total": total, "limit for each vault": show_size(context.client.caches.limit)})


def _require_nothing(action: str, what: str) -> None:
    if what:
        raise UsageError(f"cache {action} {what}: leave out {what}")
