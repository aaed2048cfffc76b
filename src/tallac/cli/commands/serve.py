"""`tallac serve`."""

from __future__ import annotations

from pathlib import Path

import click

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.cli.command import CommandContext, define, flag, made_vault


@define(
    "serve",
    [
        click.Option(["--port"], type=click.IntRange(0, 65535), default=3456, help="The port; 0 takes a free one. [3456]"),
        click.Option(["--listen"], metavar="ADDRESS", default="127.0.0.1", help="The address to listen on. [127.0.0.1]"),
        click.Option(["--host-name"], metavar="NAME", multiple=True, help="A name under which clients ask for it."),
        click.Option(["--certificate"], metavar="FILE", help="The certificate for TLS, in PEM form."),
        click.Option(["--key"], metavar="FILE", help="The key that belongs to it."),
        flag("--insecure", text="Let other machines connect without TLS."),
    ],
    examples=("tallac serve", "tallac serve --port 0 --grid /media/usb/vault"),
)
def command(
    run: CommandContext,
    port: int,
    listen: str,
    host_name: tuple[str, ...],
    certificate: str | None,
    key: str | None,
    insecure: bool,
) -> None:
    """Speak Tahoe-LAFS's web API, so that its clients work on a vault.

    The URL is printed once it answers; written into node.url of a Tahoe-LAFS node directory, it makes the `tahoe` command work
    here. The default vault is served, and made where it is missing, or the one of --grid. It ends with Ctrl-C.

    Only this machine can connect, unless --listen says otherwise; then TLS is needed, or --insecure where something else protects
    the connection. Whoever can connect can store things, and use whatever cap he has.
    """
    # late import: a web server is loaded only where one is to run
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
    made = run.client.prepare_serving()
    if made:
        run.output.note(made_vault(run, made, DEFAULT_ALIAS))

    def on_ready(url: str) -> None:
        if run.output.is_json:
            run.output.record(url=url)
        else:
            run.output.line(url)
        run.output.flush()

    run.client.serve(settings, on_ready)
