from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallac.jobs.job import Job
from tallac.jobs.loader import JobFileError, parse_jobs, read_jobs
from tallac.retention.rules import Period

PLACE = Path("jobs.toml")
JOB = '[job.home]\nsources = ["~"]\ntarget = "usb:home"\n'


def parsed(text: str) -> dict[str, Job]:
    """Read the text of a file."""
    return parse_jobs(text.encode(), PLACE)


def refused(text: str) -> str:
    """Return the message with which the text of a file is refused."""
    with pytest.raises(JobFileError) as raised:
        parsed(text)
    return str(raised.value)


def test_the_example_of_the_issue() -> None:
    """Every key of the example is read as what it says."""
    job = parsed(
        '[job.home]\nsources = ["~"]\ntarget = "usb:home"\nexclude = ["*.iso", "~/Downloads"]\nevery = "day at 03:00"\n'
        "keep = { daily = 7, weekly = 4, monthly = 12 }\n"
        'check = "5% each week"\ndrill = "each month"\ncopies = ["s3:home"]\nbefore = ["true"]\nafter = [["a", "b c"]]\n'
    )["home"]
    assert job.keys.sources == ["~"]
    assert job.options == {"exclude": ("*.iso", "~/Downloads")}
    assert job.schedule is not None
    assert job.schedule.cron == "0 3 * * *"
    assert job.rules is not None
    assert job.rules.counts == {Period.DAILY: 7, Period.WEEKLY: 4, Period.MONTHLY: 12}
    assert job.check is not None
    assert job.check.percent == 5
    assert job.drill is not None
    assert job.drill.files == 50
    assert job.prune is not None
    assert job.prune.period == "month"
    assert job.delay_seconds_max == 600
    assert job.keys.after == [["a", "b c"]]


def test_options_of_backup_are_keys() -> None:
    """Options are read by their kinds, with hyphens as on the command line or with underscores."""
    job = parsed(
        JOB + 'exclude-caches = true\none_file_system = false\nexclude-larger-than = "2k"\ntag = "a,b"\nmax-removed = "20%"\n'
    )["home"]
    assert job.options == {
        "exclude-caches": True,
        "one-file-system": False,
        "exclude-larger-than": 2000,
        "tag": ("a,b",),
        "max-removed": "20%",
    }


def test_defaults_are_inherited() -> None:
    """A job has the keys of [defaults] that it lacks, options of `backup` too."""
    jobs = parsed(
        '[defaults]\ntarget = "usb:"\nkeep = { daily = 7 }\nexclude = ["a"]\nnice = 3\n'
        '[job.one]\nsources = ["/x"]\n[job.two]\nsources = ["/y"]\ntarget = "s3:"\nexclude = []\nkeep = { last = 2 }\n'
    )
    assert [job.keys.target for job in jobs.values()] == ["usb:", "s3:"]
    assert [job.options["exclude"] for job in jobs.values()] == [("a",), ()]
    assert [list(job.rules.counts) for job in jobs.values() if job.rules] == [[Period.DAILY], [Period.LAST]]
    assert jobs["two"].keys.nice == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jobs = 3\n", "jobs.toml: jobs: unknown key; did you mean job?"),
        (JOB + 'evry = "day"\n', "jobs.toml: line 4: job.home.evry: unknown key; did you mean every?"),
        (JOB + 'exclude-cache = "day"\n', "line 4: job.home.exclude-cache: unknown key; did you mean exclude_caches?"),
        (JOB + "keep = { dayly = 7 }\n", "line 4: job.home.keep.dayly: unknown key; did you mean daily?"),
        (JOB + "[job.home.keep]\ndaily = 0\n", "line 4: job.home.keep: '0' is not a number of snapshots"),
        (JOB + "keep = {}\n", "job.home.keep: it keeps nothing"),
        ('[job.a]\ntarget = "usb:"\n', "line 1: job.a: it has no sources"),
        ('[job.a]\nsources = ["/x"]\n', "line 1: job.a: it has no target"),
        ('[job.a]\nsources = ["/x"]\ntarget = "usb"\n', "line 3: job.a.target: 'usb' lacks the colon"),
        ("[job.a]\nsources = 3\n", "line 2: job.a.sources: expected a list, got a number"),
        (JOB + "exclude-caches = 1\n", "line 4: job.home.exclude-caches: give true or false"),
        (JOB + "exclude = 1\n", "line 4: job.home.exclude: give a text, or a list of texts"),
        (JOB + "max-removed = ['1%', '2%']\n", "line 4: job.home.max-removed: give one text"),
        (JOB + 'exclude-larger-than = "big"\n', "line 4: job.home.exclude-larger-than: 'big' is not a size"),
        (JOB + 'files-from = "-"\n', "line 4: job.home.files-from: a job has no standard input"),
        (JOB + 'files-from = "list"\n', "line 4: job.home.files-from: 'list' is relative"),
        ('[job.a]\nsources = ["docs"]\ntarget = "usb:"\n', "line 2: job.a.sources: 'docs' is relative, and a job has no folder"),
        (JOB + 'every = "day at 26:00"\n', "line 4: job.home.every: 26:00 is no time of day"),
        (JOB + 'every = "hour"\ndelay = "2 hours"\n', "line 5: job.home.delay: it is as long as the time between"),
        (JOB + 'check = "many each week"\n', "line 4: job.home.check: 'many each week': give a percentage"),
        (JOB + 'check = "0% each week"\n', "line 4: job.home.check: '0% each week': give a percentage"),
        (JOB + 'drill = "5% each week"\n', "line 4: job.home.drill: '5% each week': write `each month`, or a number"),
        (JOB + 'prune = "5% each week"\n', "line 4: job.home.prune: '5% each week': a prune has no amount"),
        (JOB + 'dumps = ["oracle:all"]\n', "line 4: job.home.dumps: 'oracle:all' is no dump"),
        (JOB + 'dumps = ["redis"]\nrelative-to = "/srv"\n', "line 5: job.home.relative-to: dumps lie in a folder of their own"),
        (JOB + 'snapshot = "btrf"\n', "line 4: job.home.snapshot: unknown key; did you mean btrfs?"),
        (JOB + "nice = 40\n", "line 4: job.home.nice: expected a number <= 19"),
        (JOB + 'timeout = "long"\n', "line 4: job.home.timeout: 'long' is not a length of time"),
        (JOB + JOB, "two jobs are called 'home' (at line 4, column 10); rename one of them"),
        (JOB + JOB.replace("home]", "Home]"), "line 4: job.Home: another job has this name, save for capitals"),
        ("[job.'a b']\n", "job.a b: a job's name has letters"),
        ("job = 3\n", "job: this is no table"),
        ("[job]\na = 3\n", "line 2: job.a: this is no table"),
        ("[job.a\n", "not TOML: "),
        ("[defaults]\nsorces = []\n", "line 2: defaults.sorces: unknown key; did you mean sources?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str) -> None:
    """The file, the line and the key come first, and then what to do."""
    assert message in refused(text)


def test_text_in_another_encoding() -> None:
    """A file that is not UTF-8 is refused as such."""
    with pytest.raises(JobFileError, match="not UTF-8"):
        parse_jobs(b"# \xff", PLACE)


def test_several_files(tmp_path: Path) -> None:
    """The machine's jobs and the user's are one list; a file that is not there has none; one name twice names both files."""
    system, own = tmp_path / "system.toml", tmp_path / "own.toml"
    system.write_text(JOB)
    assert list(read_jobs([system, own])) == ["home"]
    own.write_text(JOB.replace("job.home", "job.HOME"))
    with pytest.raises(JobFileError, match=f"own.toml: job 'HOME': {system} has a job of this name"):
        read_jobs([system, own])


def test_jobs_that_would_forget_each_others_snapshots(tmp_path: Path) -> None:
    """Two jobs with one target have one policy; otherwise each would forget what the other keeps."""
    file = tmp_path / "jobs.toml"
    both = JOB + "keep = { daily = 7 }\n" + JOB.replace("job.home", "job.etc")
    file.write_text(both)
    with pytest.raises(JobFileError, match=r"job.etc.keep: job 'home' has the same target.*usb:home/etc"):
        read_jobs([file])
    file.write_text(both + "keep = { daily = 7 }\n")
    assert list(read_jobs([file])) == ["home", "etc"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """Whoever can write the file could run commands as its user."""
    file = tmp_path / "jobs.toml"
    file.write_text(JOB)
    file.chmod(0o646)
    with pytest.raises(JobFileError, match=r"everybody can write it.*chmod go-w"):
        read_jobs([file])
    file.chmod(0o644)
    assert list(read_jobs([file])) == ["home"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    """So could its owner, or a member of its group."""
    file = tmp_path / "jobs.toml"
    file.write_text(JOB)
    os.chown(file, 12345, -1)
    with pytest.raises(JobFileError, match="belongs to another user"):
        read_jobs([file])
    os.chown(file, 0, 12345)
    file.chmod(0o664)
    with pytest.raises(JobFileError, match="its group can write it"):
        read_jobs([file])
    os.chown(file, 0, 0)
    assert list(read_jobs([file])) == ["home"], "root's own group has no other member"


def test_a_delay_is_stable_and_spread() -> None:
    """A job starts always by the same time later, and jobs and machines by different ones."""
    jobs = parsed("".join(f'[job.j{n}]\nsources = ["/x"]\ntarget = "a:"\nevery = "day"\ndelay = "1 hour"\n' for n in range(40)))
    delays = [job.delay_seconds("host") for job in jobs.values()]
    assert delays == [job.delay_seconds("host") for job in jobs.values()]
    assert all(0 <= delay <= 3600 for delay in delays)
    assert len(set(delays)) > 30
    assert delays != [job.delay_seconds("other") for job in jobs.values()]
