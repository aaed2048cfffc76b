"""`tallac serve` and `webopen`."""

from __future__ import annotations

from pathlib import Path

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option, several


@define(
    "serve",
    [
        click.Option(["--port"], type=click.IntRange(0, 65535), default=3456, help="The port; 0 takes a free one. [3456]"),
        click.Option(["--listen"], metavar="ADDRESS", default="127.0.0.1", help="The address to listen on. [127.0.0.1]"),
        several("--host-name", metavar="NAME", text="A host name that clients use for it; may be repeated."),
        option("--certificate", metavar="FILE", text="The certificate for TLS, in PEM form."),
        option("--key", metavar="FILE", text="The key of the certificate."),
        flag("--insecure", text="Allow other machines to connect without TLS."),
        flag("--metrics", text="Also answer /metrics with the status of all jobs, for Prometheus."),
    ],
    examples=("tallac serve", "tallac serve --port 0 --vault /media/usb/vault"),
)
def serve(
    context: CommandContext,
    port: int,
    listen: str,
    host_name: tuple[str, ...],
    certificate: str | None,
    key: str | None,
    insecure: bool,
    metrics: bool,
) -> None:
    """Serve Tahoe-LAFS's web API on a vault.

    The URL is printed when the gateway is ready; written into node.url of a Tahoe-LAFS node
    directory, it makes the `tahoe` command work with the vault. The default vault is served, or the
    only one, unless --vault names another. Ctrl-C stops it.

    Only this machine can connect unless --listen says otherwise; that requires TLS, or --insecure
    if something else protects the connection. Whoever can connect can store files, and use any cap
    they have.
    """
    # lazy import: a web server is loaded only where one is to run
    from tallac.gateway import GatewaySettings

    settings = GatewaySettings(
        host=listen,
        port=port,
        certificate=None if certificate is None else Path(certificate),
        key=None if key is None else Path(key),
        host_names=host_name,
        is_insecure=insecure,
    )
    settings.require_safe()

    def on_ready(url: str) -> None:
        if context.output.is_json:
            context.output.record(url=url)
        else:
            context.output.line(url)
        context.output.flush()

    if metrics:
        # A mistake in the file of jobs is reported at once, not to whoever asks for numbers.
        context.client.jobs.read()
    context.client.gateway.serve(settings, on_ready, metrics=_metrics if metrics else None)


def _metrics() -> str:
    """Return the status of all jobs, read by a client of its own: a client is for one thread, and what it knows grows old."""
    # lazy imports: few who serve want numbers
    from tallac.app.client import Client
    from tallac.jobs.metrics import metrics_of

    with Client(may_ask=False) as client:
        return metrics_of(client.status.of_jobs(), client.status.now_ns)


@define(
    "webopen",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("-i", "--info", text="Show what the node knows about it, instead of its content."),
    ],
    examples=("tallac webopen home:docs/Latest", "tallac webopen -d ~/.tahoe tahoe:docs/Latest"),
)
def webopen(context: CommandContext, place: str, info: bool) -> None:
    """Open a path in the web browser.

    On a Tahoe-LAFS grid the node shows it. For a vault, this command itself answers the browser, and
    nobody else, until Ctrl-C stops it.

    The browser reads the address from a file that only you can read, not from its command line,
    where others could see it. The browser's history keeps the address: whoever has the history can
    read what it shows.
    """

    def on_page(page: Path) -> None:
        if context.output.is_json:
            context.output.record(page=str(page))
        context.output.flush()

    context.client.gateway.webopen(place, info=info, on_page=on_page)
