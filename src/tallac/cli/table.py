"""The table of commands: what each is called, where it is, and what `tallac --help` says about it. It imports none of them."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("aliases:init", "Create a vault and the default alias."),
    "backup": ("backup:backup", "Back up files and folders as a new snapshot."),
    "restore": ("restore:restore", "Restore a snapshot, or any part of one."),
    "snapshots": ("snapshots:snapshots", "List the snapshots of a target, or of all targets below a path."),
    "ls": ("ls:ls", "List a directory."),
    "find": ("find:find", "Find files and directories in snapshots."),
    "history": ("history:history", "Show the versions of a path across snapshots."),
    "diff": ("diff:diff", "Compare two snapshots, directories or local folders."),
    "du": ("usage:du", "Show the size of each directory."),
    "stats": ("usage:stats", "Show what snapshots hold, and how much space they use."),
    "run": ("run:run", "Run the jobs that are due, or those that are named."),
    "jobs": ("jobs:jobs", "List the jobs, with their last and their next run."),
    "job": ("jobs:job", "Add a job, or print the JSON schema of files of jobs."),
    "schedule": ("schedule:schedule", "Run jobs on time, by systemd, cron or launchd."),
    "status": ("status:status", "Show how each job is, and whether anything is overdue."),
    "notify-test": ("notify:notify_test", "Send a test message to each address that jobs notify."),
    "forget": ("forget:forget", "Remove snapshots from a target, by rules or by name."),
    "hold": ("marks:hold", "Protect snapshots from being forgotten."),
    "release": ("marks:release", "Remove the hold from snapshots."),
    "tag": ("marks:tag", "Change the tags and notes of snapshots."),
    "rewrite": ("rewrite:rewrite", "Remove paths from existing snapshots."),
    "prune": ("prune:prune", "Delete unreferenced data and reclaim its space."),
    "check": ("check:check", "Check a vault for missing and damaged data."),
    "repair": ("repair:repair", "Repair damage in a vault."),
    "mirror": ("mirror:mirror", "Copy a vault to a mirror, or update the mirror."),
    "move-vault": ("move:move_vault", "Move a vault to another place, and use it there."),
    "vault-stats": ("vault_stats:vault_stats", "Show what uses the space of a vault."),
    "check-store": ("check_store:check_store", "Check whether a store is safe for a vault."),
    "compression": ("compression:compression", "Show or change how much a vault's clients compress."),
    "cache": ("cache:cache", "Show or clear what is kept of distant vaults."),
    "scrub": ("check:scrub", "Find damage in a vault without any key."),
    "deep-check": ("check:deep_check", "Check everything below a path, on any grid."),
    "connect": ("connect:connect", "Connect to a vault, by passphrase or recovery kit."),
    "add-passphrase": ("passphrases:add_passphrase", "Add a passphrase to a vault."),
    "list-passphrases": ("passphrases:list_passphrases", "List your passphrases on a vault."),
    "change-passphrase": ("passphrases:change_passphrase", "Replace a passphrase."),
    "remove-passphrase": ("passphrases:remove_passphrase", "Remove a passphrase."),
    "recovery-kit": ("keys:recovery_kit", "Print a recovery kit, to keep in a safe place."),
    "key-source": ("keys:key_source", "Show or change where the key of a vault is kept."),
    "cap": ("cap:cap", "Print the cap of a file or directory, to share it."),
    "manifest": ("usage:manifest", "List everything below a path, with caps."),
    "locator-key": ("keys:locator_key", "Print the locator key, needed besides a read cap."),
    "keeper-key": ("keys:keeper_key", "Print the keeper key, for maintenance without reading."),
    "create-alias": ("aliases:create_alias", "Create a directory and an alias for it."),
    "add-alias": ("aliases:add_alias", "Add an alias for a cap."),
    "list-aliases": ("aliases:list_aliases", "List the aliases."),
    "remove-alias": ("aliases:remove_alias", "Remove an alias."),
    "get": ("files:get", "Write a file to a local file or standard output."),
    "put": ("files:put", "Store a local file or standard input."),
    "mkdir": ("files:mkdir", "Create a mutable directory."),
    "cp": ("files:cp", "Copy files and directories, to and from local paths."),
    "mv": ("files:mv", "Move or rename an entry."),
    "ln": ("files:ln", "Link a file or directory under a second name."),
    "unlink": ("files:unlink", "Remove an entry from its directory."),
    "serve": ("gateway:serve", "Serve Tahoe-LAFS's web API on a vault."),
    "webopen": ("gateway:webopen", "Open a path in the web browser."),
    "completion": ("program:completion", "Print a shell completion script."),
    "man": ("program:man", "Print or write manual pages."),
}
"""Name -> `module:attribute` in `tallac.cli.commands`, and what `tallac --help` says."""

HEADINGS = {
    "init": "Back up and restore",
    "snapshots": "Look at backups",
    "run": "Backups that run by themselves",
    "forget": "Keep and forget snapshots",
    "prune": "Look after a vault",
    "connect": "Recover access, passphrases and keys",
    "cap": "Share",
    "create-alias": "Aliases",
    "get": "Single files and directories",
    "serve": "Serve",
    "completion": "This program",
}
"""Headings that `tallac --help` writes above these commands; those that follow in the table belong with them."""

SYNONYMS = {"rm": "unlink"}
"""Other names that are shown."""

FORMER_NAMES = {"copy-vault": "mirror", "keeper-stats": "vault-stats"}
"""Other names that still work and are shown nowhere."""

ELSEWHERE = {
    "archive": ("backup",),
    "cat": ("get",),
    "clone": ("mirror",),
    "compact": ("prune",),
    "copy": ("mirror", "cp"),
    "create": ("backup", "init"),
    "delete": ("forget", "unlink"),
    "download": ("get", "restore"),
    "dump": ("get", "restore"),
    "export": ("restore",),
    "export-tar": ("restore",),
    "extract": ("restore",),
    "gc": ("prune",),
    "generate": ("completion", "man"),
    "help": ("--help",),
    "info": ("stats", "vault-stats"),
    "key": ("add-passphrase", "list-passphrases", "change-passphrase", "remove-passphrase"),
    "list": ("snapshots", "ls"),
    "move": ("mv",),
    "mount": ("ls", "restore", "serve"),
    "open": ("connect", "webopen"),
    "purge": ("forget", "prune"),
    "rebuild-index": ("repair",),
    "recover": ("repair", "connect"),
    "recreate": ("rewrite",),
    "remove": ("forget", "unlink"),
    "rename": ("mv",),
    "save": ("backup",),
    "share": ("cap",),
    "snapshot": ("backup", "snapshots"),
    "cron": ("jobs", "job"),
    "sync": ("mirror", "backup"),
    "sync-to": ("mirror",),
    "undelete": ("forget --undo",),
    "unlock": ("repair --remove-stale-sessions",),
    "upload": ("put", "backup"),
    "verify": ("check",),
    "version": ("--version",),
}
"""Names in other programs -> what to suggest here. These names are suggestions only, for most of them mean something else."""


def canonical(name: str) -> str:
    """Return the name of a command in the table, of one of its other names; an unknown name as it is."""
    return SYNONYMS.get(name) or FORMER_NAMES.get(name) or name


def commands_by_heading() -> dict[str, list[str]]:
    """Return the names of all commands, in the order of the table, under their headings."""
    names: dict[str, list[str]] = {}
    heading = ""
    for name in COMMANDS:
        heading = HEADINGS.get(name, heading)
        names.setdefault(heading, []).append(name)
    return names


def unknown_command(name: str) -> str:
    """Write the message on a name that is no command's, with what may have been meant."""
    # lazy import: only a mistake needs it
    from difflib import get_close_matches

    meant = ELSEWHERE.get(name) or get_close_matches(name, [*COMMANDS, *SYNONYMS], n=3, cutoff=0.7)
    if not meant:
        return f"{name}: no such command; `tallac --help` lists them"
    *others, last = (f"`tallac {each}`" for each in meant)
    return f"{name}: no such command; did you mean {', '.join(others) + ' or ' if others else ''}{last}?"
