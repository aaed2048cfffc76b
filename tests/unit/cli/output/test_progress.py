"""What a progress line says, and how it is laid out."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tallac.backup import Progress
from tallac.backup.summary import Phase
from tallac.cli.output.progress import MEANINGFUL_SECONDS, Pace, Work, lines_of, share_of, share_of_files, show_left, show_time_left
from tallac.cli.reports.backup import progress_work
from tallac.cli.reports.findings import check_work
from tallac.cli.reports.prune import prune_work
from tallac.cli.reports.restore import progress_work as restore_work
from tallac.interfaces import CheckReport
from tallac.restore import RestoreSummary
from tallac.vault.prune.report import PrunePhase, PruneReport

GB = 1_000_000_000
PATH = b"/home/ann/Pictures/2019/A long walk in the mountains/IMG_20190811_162355.jpg"


class FakeTime:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def backup(**fields: object) -> Work:
    """Give what is shown of a backup under way."""
    return progress_work(Progress(path=PATH, **fields), 98e6, 12e6)  # type: ignore[arg-type]


FIRST = backup(files_done=123_456, bytes_done=12 * GB, files_expected=300_000, bytes_expected=28 * GB, bytes_stored=9 * GB)
COUNTING = backup(files_done=5000, bytes_done=GB, files_counted=123_456, bytes_counted=28 * GB, is_counting=True)
RESTORE = restore_work(RestoreSummary(files=123_456, bytes=12 * GB, files_expected=300_000, bytes_expected=28 * GB), 98e6)
PART = restore_work(
    RestoreSummary(files=5000, bytes=GB, files_counted=123_456, bytes_counted=28 * GB, is_counting=True, path=PATH), 98e6
)
CHECK = check_work(CheckReport(objects=1000, bytes_read=12 * GB, bytes_total=28 * GB, phase="reading packs"))
WALK = check_work(CheckReport(files=9000, directories=100, objects=1000, objects_total=4000))
MARKING = prune_work(PruneReport(marked_objects=50_000, objects_total=200_000))
DELETING = prune_work(PruneReport(deleted_packs=30, packs_left=70, deleted_bytes=GB, phase=PrunePhase.DELETING))


def test_forty_columns_suffice() -> None:
    """On 40 columns there is the share, what is left, the time that it takes, the rates and the end of the path."""
    lines = lines_of(FIRST, 3840, 40)
    assert lines[0] == "storing 42 %, 16.0 GB, 1 h 04 min left"
    assert lines[1] == "123,456 files, read 98.0 MB/s"
    assert lines[2].startswith("/home/ann/Pi")
    assert lines[2].endswith("IMG_20190811_162355.jpg")
    assert "…" in lines[2]
    assert lines_of(COUNTING, None, 40)[0] == "counting: 123,456 files, 28.0 GB"
    assert lines_of(RESTORE, 3840, 40)[0] == "restoring 42 %, 16.0 GB, 1 h 04 min left"
    assert lines_of(PART, None, 40)[0] == "counting: 123,456 files, 28.0 GB"
    assert lines_of(PART, None, 40)[2].endswith("IMG_20190811_162355.jpg")
    assert lines_of(CHECK, 125, 40)[0] == "reading packs 42 %, 16.0 GB, 2 min left"
    assert lines_of(WALK, 5, 40)[0] == "checking 25 %, 5 s left"
    assert lines_of(MARKING, 5, 40)[0] == "marking 25 %, 5 s left"
    assert lines_of(DELETING, 5, 40)[0] == "deleting 30 %, 70 packs, 5 s left"


@pytest.mark.parametrize("work", [FIRST, COUNTING, RESTORE, PART, CHECK, WALK, MARKING, DELETING])
@pytest.mark.parametrize("width", [20, 33, 40, 80, 200])
@pytest.mark.parametrize("seconds_left", [None, 7.0, 200_000.0])
def test_any_width(work: Work, width: int, seconds_left: float | None) -> None:
    """No line is wider than the terminal, on any."""
    assert all(0 < len(line) <= width for line in lines_of(work, seconds_left, width))


def test_without_a_time() -> None:
    """As long as nobody knows how long it takes, there is what is left; and the rates stand where there is room for them."""
    first, second, _ = lines_of(FIRST, None, 80)
    assert first == "storing 42 %, 16.0 GB left"
    assert second == "123,456 files, read 98.0 MB/s, stored 12.0 MB/s, 12.0 GB done, 9.00 GB stored"


@pytest.mark.parametrize("phase", [Phase.LAST_PACKS, Phase.INDEX, Phase.SNAPSHOT])
def test_the_last_phases_have_names(phase: Phase) -> None:
    """After the last file it says what is going on."""
    assert lines_of(backup(phase=phase, bytes_stored=GB), None, 40) == [phase.value, "1.00 GB stored"]


def test_large_files_count_while_they_are_read() -> None:
    """A file that takes hours does not leave the share where it was."""
    shares = [backup(bytes_begun=size * GB, files_expected=1, bytes_expected=100 * GB).share for size in (0, 10, 50, 100)]
    assert all(before is not None and after is not None and before < after for before, after in pairwise(shares))


def test_names_can_not_act_on_the_terminal() -> None:
    """What is no printable character in a path becomes an escape."""
    work = Work(phase="storing", path=b"/a\x1b[31m\n\xff")
    assert lines_of(work, None, 80)[1] == r"/a\x1b[31m\n\xff"


def test_a_total_that_was_wrong() -> None:
    """More than was expected is not 100 %, and not less than nothing is left: nothing is said then."""
    assert share_of(5, 4) is None
    assert show_left(5, 4) == ""
    assert share_of(0, 0) is None
    assert share_of_files(3, 10, 2, 10) is None
    assert share_of_files(2, 10, 2, 10) == 1.0
    assert lines_of(backup(files_done=9, files_expected=4, bytes_expected=1), None, 40)[0] == "storing"


def test_times_are_rough() -> None:
    """An estimate is not told to the second."""
    times = {0.2: "1 s", 59: "59 s", 90: "2 min", 3540: "59 min", 3600: "1 h 00 min", 40 * 3600: "40 h 00 min", 72 * 3600: "3 days"}
    assert {seconds: show_time_left(seconds) for seconds in times} == times


def test_the_pace_is_that_of_late() -> None:
    """What went fast at the beginning is forgotten after a window, and before there is anything to go by nothing is said."""
    clock = FakeTime()
    pace = Pace(10, clock=clock)
    assert pace.seconds_left(0.4) is None
    clock.now += MEANINGFUL_SECONDS
    assert pace.seconds_left(0.5) == pytest.approx(3.0)
    lefts = []
    for step in range(20):
        clock.now += 1
        lefts.append(pace.seconds_left(0.5 + step / 1000))
    assert lefts[-1] == pytest.approx((1 - 0.519) / 0.001, rel=0.01)


def test_a_pace_begins_anew() -> None:
    """A value that has become smaller belongs to something else."""
    clock = FakeTime()
    pace = Pace(clock=clock)
    clock.now += 5
    assert pace.note(50) == 10
    clock.now += 5
    assert pace.note(1) == 0
    clock.now += 5
    assert pace.note(11) == 2
