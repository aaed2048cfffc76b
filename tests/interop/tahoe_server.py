"""Run `tahoe` commands one after another, each in a process that is forked from this one.

The command's start costs 1.5 s, nearly all of it for imports, which this process has behind it. What a forked process runs is the
command's own code, with arguments, standard input, output and exit status of its own; only the event loop is left out, in which the
command merely waits for that code.

Reads one JSON object a line, `{"arguments": [...], "folder": FOLDER, "stdin": FILE, "out": FILE, "err": FILE}`, and answers with
the exit status. Runs in an environment of its own, .tahoe-venv.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

from allmydata.scripts import cli, runner  # type: ignore[import-not-found]


def redirect(path: str, descriptor: int, flags: int) -> None:
    """Put a file in the place of a descriptor."""
    opened = os.open(path, flags, 0o600)
    os.dup2(opened, descriptor)
    os.close(opened)


def run(arguments: list[str]) -> int:
    """Run a command in this process, and give its exit status."""
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode, encoding="utf-8", closefd=False) for fd, mode in enumerate("rww"))
    try:
        config = runner.parse_or_exit(runner.Options(), ["tahoe", *arguments], sys.stdout, sys.stderr)
        options = config.subOptions
        options.stdin, options.stdout, options.stderr = sys.stdin, sys.stdout, sys.stderr
        return int(cli.dispatch[config.subCommand](options) or 0)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001 - as the command does.
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if not child:
            os.chdir(task["folder"])
            redirect(task["stdin"], 0, os.O_RDONLY)
            redirect(task["out"], 1, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            redirect(task["err"], 2, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os._exit(run(task["arguments"]))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
