"""`tallac check-store`."""

from __future__ import annotations

from tallac.app.operations.store_check import CHECKS, Outcome
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import table
from tallac.cli.output.progress import ProgressLine, Work


@define(
    "check-store",
    [
        argument("location", "FOLDER|URL|ALIAS:"),
        flag("--quick", text="Only try what is tried before a vault is created, in 15 requests."),
    ],
    examples=(
        "tallac check-store s3://my-bucket/backups --store endpoint=https://s3.example.org",
        "tallac check-store --quick home:",
    ),
)
def check_store(context: CommandContext, location: str, quick: bool) -> int:
    """Check whether a store is safe for a vault.

    A vault relies on a store to create an object only where there is none, to replace it only in
    the state that was read, and to list everything. This tries it, with several clients at a time,
    in some 3,000 requests. It stores small objects under probe/ and removes them; an existing vault
    is left alone. Nothing can prove that a store never fails; exit status 1 means that it did.
    """
    with ProgressLine(context.output) as line:
        report = context.client.vault.check_store(
            location, quickly=quick, progress=lambda check: line.show(Work(phase="trying", counts=(check,)), {"check": check})
        )
    if context.output.is_json:
        for row in report.rows:
            context.output.record(type="check", check=row.check, outcome=row.outcome.value.lower(), detail=row.detail)
        context.output.record(type="summary", location=report.location, safe=report.is_safe)
        return 0 if report.is_safe else 1
    for text in table([(row.outcome.value, CHECKS[row.check], row.detail) for row in report.rows]):
        context.output.line(text)
    workaround = any(row.outcome is Outcome.WORKAROUND for row in report.rows)
    verdict = "safe for a vault, with a workaround that Tallac applies" if workaround else "safe for a vault, as far as was tried"
    context.output.summary({report.location: verdict if report.is_safe else "NOT safe for a vault"})
    return 0 if report.is_safe else 1
