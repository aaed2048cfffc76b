"""`tallac notify-test`."""

from __future__ import annotations

from tallac.app.operations.notifier import show_address
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument
from tallac.errors import UsageError


@define(
    "notify-test",
    [argument("names", "[JOB]...", count=-1, is_optional=True)],
    examples=("tallac notify-test", "tallac notify-test home"),
)
def notify_test(context: CommandContext, names: tuple[str, ...]) -> int:
    """Send a test message to each address that jobs notify.

    Addresses are the notify key of a job, or of [defaults]: services such as mailto:// and ntfy://,
    and http(s):// addresses that are pinged, which take the test for a success. What can't be
    reached is named without what may be a password; the exit status is then 1.
    """
    jobs = context.client.jobs.chosen(names)
    sent = context.client.notices.test(jobs)
    if not sent:
        raise UsageError('no job notifies anybody: add a line as in notify = ["ntfy://ntfy.sh/my-topic"] to jobs.toml')
    for address, reason in sent.items():
        shown = show_address(address)
        if context.output.is_json:
            context.output.record(address=shown, ok=not reason, problem=reason or None)
        elif reason:
            context.output.warn(f"{shown}: can't notify: {reason}")
        elif not context.output.is_quiet:
            context.output.line(f"{shown}: sent")
    return 1 if any(sent.values()) else 0
