"""The options of a backup, as users name them: one table, from which the command makes its options and jobs their keys."""

from __future__ import annotations

from enum import Enum, auto

import msgspec


class OptionKind(Enum):
    """The kind of value that an option has.

    FLAG: None; it is given or not.
    OFF_FLAG: None; it turns something off that is on by default.
    TEXT: One text.
    TYPED_TEXT: One text, of which the very bytes count that were typed, whatever the locale takes them for.
    TEXTS, TYPED_TEXTS: The same, any number of times.
    SIZE: A number of bytes, with or without a unit.
    """

    FLAG = auto()
    OFF_FLAG = auto()
    TEXT = auto()
    TYPED_TEXT = auto()
    TEXTS = auto()
    TYPED_TEXTS = auto()
    SIZE = auto()

    @property
    def is_flag(self) -> bool:
        """Whether the option has no value."""
        return self in {OptionKind.FLAG, OptionKind.OFF_FLAG}

    @property
    def is_several(self) -> bool:
        """Whether it may be given several times."""
        return self in {OptionKind.TEXTS, OptionKind.TYPED_TEXTS}


class BackupOption(msgspec.Struct, frozen=True):
    """One option.

    Attributes:
        name: Its name on the command line without dashes, which is the key in a job too.
        text: One sentence on it.
        kind: The kind of its value.
        metavar: What stands for the value in a help text.
        short: Another name of one letter, with its dash.
        synonyms: Other names, which are accepted and shown nowhere.
        parameter: The name of the value in the program, where it is not the name with underscores.
        is_for_jobs: Whether a job may have it; one that stands for a single moment makes no sense there.
    """

    name: str
    text: str
    kind: OptionKind = OptionKind.FLAG
    metavar: str = ""
    short: str = ""
    synonyms: tuple[str, ...] = ()
    parameter: str = ""
    is_for_jobs: bool = True

    @property
    def destination(self) -> str:
        """The name of the value in the program."""
        return self.parameter or self.name.replace("-", "_")


EXCLUSIONS = (
    BackupOption(
        "exclude",
        "Leave out what matches, as in a .gitignore file; may be repeated.",
        OptionKind.TEXTS,
        "PATTERN",
        synonyms=("-e",),
    ),
    BackupOption("iexclude", "As --exclude, ignoring case.", OptionKind.TEXTS, "PATTERN"),
    BackupOption(
        "exclude-from",
        "Leave out what the patterns in a file match, one a line.",
        OptionKind.TEXTS,
        "FILE|-",
        synonyms=("--exclude-from-utf-8", "--exclude-file"),
    ),
    BackupOption("exclude-vcs", "Leave out the files of version control systems: .git, .svn, CVS and the like."),
    BackupOption("exclude-caches", "Leave out the content of directories with a CACHEDIR.TAG file; the file itself is kept."),
    BackupOption(
        "exclude-if-present",
        "Leave out the content of directories that hold such a file; the file itself is kept.",
        OptionKind.TEXTS,
        "NAME[:HEADER]",
    ),
    BackupOption("exclude-larger-than", "Leave out larger files, as in 500k or 2G.", OptionKind.SIZE, "SIZE"),
    BackupOption("one-file-system", "Leave out other file systems that are mounted below FROM.", short="-x"),
    BackupOption("no-ignore-files", "Ignore .tallacignore files.", OptionKind.OFF_FLAG, parameter="ignore_files"),
)
"""The options on what is left out."""

SOURCE_LISTS = (
    BackupOption(
        "files-from",
        "Back up the paths listed in a file, one a line.",
        OptionKind.TEXTS,
        "FILE|-",
        synonyms=("--files-from-verbatim",),
    ),
    BackupOption(
        "files-from0", "The same, with a zero byte after each path.", OptionKind.TEXTS, "FILE|-", synonyms=("--files-from-raw",)
    ),
    BackupOption("relative-to", "Store sources under their paths relative to this folder.", OptionKind.TEXT, "FOLDER"),
)
"""The options on what is backed up, beside folders and files that are named."""

MANNER = (
    BackupOption("tag", "Add tags to the snapshot; may be repeated.", OptionKind.TYPED_TEXTS, "TAG[,TAG...]"),
    BackupOption(
        "time",
        "Name the snapshot by this time instead of now, as in '2026-11-23 17:02'.",
        OptionKind.TEXT,
        "WHEN",
        is_for_jobs=False,
    ),
    BackupOption("host", "Record this host name.", OptionKind.TYPED_TEXT, "HOST", synonyms=("-H",)),
    BackupOption("ignore-timestamps", "Read all files, even if they look unchanged.", synonyms=("-f", "--force")),
    BackupOption("allow-empty", "Create a snapshot even if a source is empty that had files before."),
    BackupOption("max-removed", "Create no snapshot if more of the files were removed, as in 50%.", OptionKind.TEXT, "N%"),
    BackupOption("include-own", "Back up Tallac's own keys, configuration and state, too."),
    BackupOption(
        "unchanged-by",
        "Compare only these fields to see whether a file changed: size,mtime[,ctime][,inode].",
        OptionKind.TEXT,
        "FIELDS",
    ),
    BackupOption(
        "compression",
        "Compress so much in place of what the vault's settings say: off, fast, auto or max.",
        OptionKind.TEXT,
        "HOW",
    ),
    BackupOption("skip-if-unchanged", "Do not create a snapshot if nothing changed."),
    BackupOption(
        "no-scan",
        "Do not count the files of a first backup, which tells how long it will take.",
        OptionKind.OFF_FLAG,
        parameter="scan",
        is_for_jobs=False,
    ),
)
"""The options on how to back up."""

JOB_OPTIONS = {option.name: option for option in (*EXCLUSIONS, *SOURCE_LISTS, *MANNER) if option.is_for_jobs}
"""The options that a job may have, by name."""
