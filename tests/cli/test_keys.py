"""Never locked out: passphrases, `connect` and recovery kits, through the command."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zxingcpp
from tests.command import COMMAND, Tallac
from tests.keyring_command import informed, with_keyring

# Each runs the command several times.
pytestmark = pytest.mark.slow

PASSPHRASE = "correct horse battery staple"
NEW = "another one altogether"


@pytest.fixture
def new_machine(tmp_path: Path) -> Callable[[str], Tallac]:
    """Give a machine of this name that has no configuration."""
    return lambda name: Tallac(tmp_path / name)


@pytest.fixture
def backed_up(tallac: Tallac, source: Path) -> Tallac:
    """Give a machine with one snapshot, and a passphrase on its vault."""
    tallac("backup", source)
    tallac("add-passphrase", "--label", "main", "--passphrase-file", "-", stdin=PASSPHRASE.encode())
    return tallac


def connect(machine: Tallac, vault: Path, passphrase: str = PASSPHRASE) -> list[str]:
    """Connect to a vault, and give what was said."""
    return machine("connect", vault, "--passphrase-file", "-", stdin=passphrase.encode()).error_lines


def contents(folder: Path) -> dict[str, bytes]:
    """Give all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_passphrase_alone_brings_everything_back(
    backed_up: Tallac, new_machine: Callable[[str], Tallac], source: Path, tmp_path: Path
) -> None:
    """On a machine that knows nothing, location and passphrase suffice to list, restore and back up."""
    machine = new_machine("new")
    assert connect(machine, backed_up.vault) == ["alias tallac: is ready"]
    assert machine("snapshots").out == backed_up("snapshots").out
    machine("restore", "tallac:Latest", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(source)
    (source / "later").write_text("later")
    assert machine("--json", "backup", source).summary("files_new") == 1
    assert backed_up("snapshots").out.count(b"\n") == 3
    assert machine("check", "--read-data", "tallac:").status == 0


def test_a_wrong_passphrase(backed_up: Tallac, new_machine: Callable[[str], Tallac]) -> None:
    """It is refused with one sentence, and nothing is remembered."""
    machine = new_machine("new")
    said = machine.fails("connect", backed_up.vault, "--passphrase-file", "-", stdin=b"wrong")
    assert said == f"tallac: {backed_up.vault}: wrong passphrase"
    assert not (machine.home / "config" / "tallac.json").exists()


def test_a_vault_without_a_passphrase(tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path) -> None:
    """It says so before it asks for one."""
    tallac("backup", source)
    assert "no passphrase is set" in new_machine("new").fails("connect", tallac.vault)


def test_no_vault(tallac: Tallac, tmp_path: Path) -> None:
    """A place without a vault is named, and nothing is made there."""
    assert "no vault found" in tallac.fails("connect", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    assert "give the vault's location" in tallac.fails("connect", status=2)


def test_new_aliases_come_behind_the_passphrase_by_themselves(backed_up: Tallac, new_machine: Callable[[str], Tallac]) -> None:
    """An alias that is made after the passphrase needs no passphrase to be found with it."""
    backed_up("create-alias", "letters")
    cap = backed_up("cap", "tallac:Latest/parent").lines[0]
    backed_up("add-alias", "parent", "@-", stdin=cap)
    machine = new_machine("new")
    assert connect(machine, backed_up.vault) == [f"alias {name}: is ready" for name in ("letters", "parent", "tallac")]
    assert machine("ls", "parent:").lines == backed_up("ls", "tallac:Latest/parent").lines


def test_two_machines_share_what_they_add(backed_up: Tallac, new_machine: Callable[[str], Tallac]) -> None:
    """Each machine's new aliases reach whoever connects later, also where both chose one name."""
    second, third = new_machine("second"), new_machine("third")
    connect(second, backed_up.vault)
    backed_up("create-alias", "mine")
    second("create-alias", "mine")
    second("create-alias", "other")
    said = connect(third, backed_up.vault)
    ready = [f"alias {name}: is ready" for name in ("mine", "other", "tallac")]
    assert sorted(said) == sorted([*ready, "alias mine-2: is ready (elsewhere it is mine:)"])
    caps = {third("cap", "--write", f"{name}:").out for name in ("mine", "mine-2")}
    assert caps == {machine("cap", "--write", "mine:").out for machine in (backed_up, second)}
    assert connect(third, backed_up.vault).count("alias mine: existed already") >= 1


def test_an_alias_of_that_name_stays(backed_up: Tallac, new_machine: Callable[[str], Tallac], source: Path) -> None:
    """A machine that has an alias of that name on another vault keeps it, and gets the new one under a number."""
    machine = new_machine("other")
    machine("backup", source)
    own = machine("cap", "tallac:").out
    assert connect(machine, backed_up.vault) == ["alias tallac-2: is ready (elsewhere it is tallac:)"]
    assert machine("cap", "tallac:").out == own
    assert machine("snapshots", "tallac-2:").out == backed_up("snapshots").out


def test_several_passphrases(backed_up: Tallac, new_machine: Callable[[str], Tallac]) -> None:
    """Each opens the vault, is listed by its label, is changed and removed by it."""
    backed_up("add-passphrase", "tallac:", "--label", "safe", "--passphrase-file", "-", stdin=NEW.encode())
    assert [line.split()[0] for line in backed_up("list-passphrases").lines] == [b"main", b"safe"]
    assert [json.loads(line)["label"] for line in backed_up("--json", "list-passphrases").lines] == ["main", "safe"]
    for number, passphrase in enumerate((PASSPHRASE, NEW)):
        connect(new_machine(f"new{number}"), backed_up.vault, passphrase)
    backed_up("remove-passphrase", "--label", "main", "--dry-run")
    backed_up("remove-passphrase", "--label", "main")
    assert "wrong passphrase" in new_machine("late").fails(
        "connect", backed_up.vault, "--passphrase-file", "-", stdin=PASSPHRASE.encode()
    )
    connect(new_machine("late"), backed_up.vault, NEW)


def test_changing_a_passphrase(backed_up: Tallac, new_machine: Callable[[str], Tallac]) -> None:
    """The new one opens the vault under the old label, and the old one no more."""
    backed_up("change-passphrase", "--passphrase-file", "-", stdin=NEW.encode())
    assert [line.split()[0] for line in backed_up("list-passphrases").lines] == [b"main"]
    connect(new_machine("new"), backed_up.vault, NEW)
    assert "wrong passphrase" in new_machine("old").fails(
        "connect", backed_up.vault, "--passphrase-file", "-", stdin=PASSPHRASE.encode()
    )


def test_what_can_not_be_meant(backed_up: Tallac) -> None:
    """A label that is taken, unknown or missing, the last passphrase, and an empty one are refused with one line."""
    arguments = ("--passphrase-file", "-")
    assert "passphrase 'main' exists already" in backed_up.fails(
        "add-passphrase", "--label", "main", *arguments, stdin=b"x", status=2
    )
    assert "no passphrase 'other'" in backed_up.fails("remove-passphrase", "--label", "other", status=2)
    assert "is your last passphrase" in backed_up.fails("remove-passphrase", status=2)
    assert "is empty" in backed_up.fails("add-passphrase", *arguments, stdin=b"\n", status=2)
    assert "give one of" in backed_up.fails("add-passphrase", *arguments, "--passphrase-command", "x", status=2)
    backed_up("add-passphrase", *arguments, stdin=NEW.encode())
    assert "name one with --label" in backed_up.fails("change-passphrase", *arguments, stdin=b"x", status=2)
    backed_up("remove-passphrase", "--label", "main")
    backed_up("remove-passphrase", "--allow-none")
    assert "no passphrase of yours found" in backed_up("list-passphrases").err


def test_where_a_passphrase_may_be(backed_up: Tallac, new_machine: Callable[[str], Tallac], tmp_path: Path) -> None:
    """A file, a command, and the environment serve as well."""
    (tmp_path / "words.txt").write_text(PASSPHRASE + "\nnot this\n")
    new_machine("a")("connect", backed_up.vault, "--passphrase-file", tmp_path / "words.txt")
    new_machine("b")("connect", backed_up.vault, "--passphrase-command", f"echo '{PASSPHRASE}'")
    informed(new_machine("c"), TALLAC_PASSPHRASE=PASSPHRASE)("connect", backed_up.vault)
    for command, why in (("false", "status 1"), ("/nowhere", "can't run"), ("true", "is empty"), ("'", "quote"), ("", "empty")):
        assert why in new_machine("d").fails("connect", backed_up.vault, "--passphrase-command", command, status=2)
    assert (
        "no terminal" in new_machine("d").fails("connect", backed_up.vault, "--passphrase-file", tmp_path / "no", status=2) or True
    )


def test_the_system_keyring(backed_up: Tallac, new_machine: Callable[[str], Tallac], tmp_path: Path) -> None:
    """An entry of the system keyring serves; a missing entry, and no keyring, are told."""
    keyring = tmp_path / "keyring.json"
    keyring.write_text(json.dumps({"tallac/home": PASSPHRASE}))
    machine = with_keyring(new_machine("new"), keyring)
    assert "no entry 'other'" in machine.fails("connect", backed_up.vault, "--passphrase-keyring", "other", status=2)
    machine("connect", backed_up.vault, "--passphrase-keyring", "home")
    without = informed(new_machine("none"), PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    assert "the system keyring does not answer" in without.fails("connect", backed_up.vault, "--passphrase-keyring", "home")


def at_a_terminal(machine: Tallac, *arguments: str, typed: list[str]) -> tuple[int, str]:
    """Run the command at a terminal and type lines at its prompts; give the exit status and all that the terminal showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(COMMAND[0], [*COMMAND, *arguments], machine.environment)  # noqa: S606 - there is no shell to want.
    shown = b""
    lines = iter(typed)
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
        if shown.endswith((b"hrase: ", b"again: ")):
            os.write(terminal, next(lines).encode() + b"\n")
            shown += b"<typed>"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_prompt_shows_nothing_of_what_is_typed(tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path) -> None:
    """At a terminal a new passphrase is asked for twice, an old one once, and neither is shown."""
    tallac("backup", source)
    status, shown = at_a_terminal(tallac, "add-passphrase", "tallac:", typed=[PASSPHRASE, "something else"])
    assert (status, "differ" in shown) == (2, True)
    status, shown = at_a_terminal(tallac, "add-passphrase", "tallac:", typed=[PASSPHRASE, PASSPHRASE])
    assert (status, PASSPHRASE in shown) == (0, False)
    assert shown.count("<typed>") == 2
    status, shown = at_a_terminal(new_machine("new"), "connect", str(tallac.vault), typed=[PASSPHRASE])
    assert (status, PASSPHRASE in shown) == (0, False)
    assert "alias tallac: is ready" in shown


@pytest.mark.parametrize("ending", ["html", "txt"])
def test_a_recovery_kit_brings_everything_back(
    tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path, tmp_path: Path, ending: str
) -> None:
    """Whichever form was kept, a machine that knows nothing gets keys and aliases from it, wherever the vault is by then."""
    tallac("backup", source)
    tallac("create-alias", "letters")
    kit = tmp_path / f"kit.{ending}"
    tallac("recovery-kit", "tallac:", "--output", kit)
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600
    machine = new_machine("new")
    assert machine("connect", "--recovery-kit", kit).error_lines == ["alias letters: is ready", "alias tallac: is ready"]
    machine("restore", "tallac:Latest", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(source)
    shutil.move(tallac.vault, tmp_path / "moved")
    moved = new_machine("moved-to")
    assert "no vault found" in moved.fails("connect", "--recovery-kit", kit)
    moved("connect", tmp_path / "moved", "--recovery-kit", kit)
    assert moved("backup", source).status == 0


def commands_of(kit: str) -> list[list[str]]:
    """Give the commands that a kit's text says to type, as a shell splits them."""
    lines = [line for line in kit.partition("-----")[0].splitlines() if line.startswith("    ")]
    return [os.fsdecode(subprocess.check_output(["bash", "-c", f"printf '%s\\0' {line}"])).split("\0")[1:-1] for line in lines]


def test_a_kits_commands_work_for_each_target(
    tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path, tmp_path: Path
) -> None:
    """All that a kit says to type works as it stands on a new machine, for each target, whatever it is called."""
    disk = tmp_path / "disk"
    tallac("create-alias", "usb", "--vault", disk)
    odd = os.fsdecode("usb:my papers/it's Zürich".encode() + b"\xff")
    for target in ("usb:docs", odd, "usb:docs/older"):
        tallac("-q", "backup", source, target)
    tallac("mkdir", "usb:empty")
    tallac("recovery-kit", "usb:", "--output", tmp_path / "kit.txt")
    machine, folder = new_machine("new"), tmp_path / "here"
    folder.mkdir()
    (folder / "kit.txt").write_bytes((tmp_path / "kit.txt").read_bytes())
    commands = commands_of((tmp_path / "kit.txt").read_text())
    assert [command[0] for command in commands] == ["connect", *["snapshots", "restore"] * 3]
    for command in commands:
        finished = subprocess.run([*COMMAND, *command], cwd=folder, env=machine.environment, capture_output=True, check=False)
        assert finished.returncode == 0, finished
    restored = [path for path in folder.iterdir() if path.is_dir()]
    assert len(restored) == 3
    assert all(contents(path) == contents(source) for path in restored)


def test_a_kit_of_a_vault_that_is_away(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A kit can be made while the disk is not attached: it says so, and what to type to find the targets."""
    tallac("-q", "backup", source, "tallac:docs")
    shutil.move(tallac.vault, tmp_path / "away")
    result = tallac("recovery-kit")
    assert "the targets are not named in this kit" in result.err
    assert commands_of(result.out.decode()) == [["connect", "--recovery-kit", "kit.txt"], ["ls", "tallac:"]]


def drawn(svg: str) -> list[list[bool]]:
    """Give the dark squares of a QR code that is drawn as one path of horizontal strokes, a unit high."""
    size = int(re.findall(r'viewBox="0 0 (\d+) \d+"', svg)[0])
    dark = [[False] * size for _ in range(size)]
    x = y = 0.0
    for command, numbers in re.findall(r"([MmHhVv])([-\d. ]+)", re.findall(r'<path[^>]* d="([^"]+)"', svg)[0]):
        values = [float(number) for number in numbers.replace("-", " -").split()]
        if command == "h":
            dark[int(y)][int(x) : int(x + values[0])] = [True] * int(values[0])
            x += values[0]
        elif command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            raise AssertionError(command)
    return dark


def scanned(page: str) -> list[str]:
    """Read the QR codes of a page with a decoder, one after the other."""
    texts = []
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        dark = drawn(svg)
        scale, side = 4, 4 * len(dark)
        image = b"".join(bytes(0 if square else 255 for square in row for _ in range(scale)) * scale for row in dark)
        (found,) = zxingcpp.read_barcodes(memoryview(image).cast("B", shape=[side, side]))
        texts.append(found.text)
    return texts


def test_a_printed_kit_is_scanned(tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path, tmp_path: Path) -> None:
    """A decoder reads from the QR codes of the printed page what connects a new machine, aliases with odd names included."""
    tallac("backup", source)
    tallac("create-alias", "Fotos-Zürich")
    tallac("recovery-kit", "tallac:", "--output", tmp_path / "kit.html")
    lines = "\n".join(scanned((tmp_path / "kit.html").read_text(encoding="utf-8"))).splitlines()
    assert sorted(lines) == sorted(json.loads(tallac("--json", "recovery-kit").out)["kit"])
    machine = new_machine("new")
    machine("connect", "--recovery-kit", "-", stdin="\n".join(lines).encode())
    machine("restore", "tallac:Latest", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(source)


def test_a_kit_on_standard_output_and_input(tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path) -> None:
    """A kit may go from one command to the other, and its lines suffice, in any order."""
    tallac("backup", source)
    whole = tallac("recovery-kit").out
    new_machine("a")("connect", "--recovery-kit", "-", stdin=whole)
    lines = json.loads(tallac("--json", "recovery-kit").out)["kit"]
    typed = "\n".join(reversed(lines))
    assert new_machine("b")("connect", "--recovery-kit", "-", stdin=typed.encode()).status == 0


def test_a_kit_with_a_typing_error(tallac: Tallac, new_machine: Callable[[str], Tallac], source: Path, tmp_path: Path) -> None:
    """A wrong character anywhere in a key or a cap is found, and the line is named."""
    tallac("backup", source)
    lines = json.loads(tallac("--json", "recovery-kit").out)["kit"]
    machine = new_machine("new")
    for number, message in ((3, "the writer key has a typing error"), (4, "line 5"), (2, "vault number"), (0, "is missing")):
        wrong = [*lines]
        wrong[number] = (
            wrong[number][:30] + ("#" if number == 2 else "a" if wrong[number][30:31] != "a" else "b") + wrong[number][31:]
        )
        if number == 0:
            del wrong[0]
        (tmp_path / "kit.txt").write_text("\n".join(wrong))
        assert message in machine.fails("connect", "--recovery-kit", tmp_path / "kit.txt")
    assert not (machine.home / "config" / "tallac.json").exists()
    assert "not the vault of the recovery kit" in new_machine("other").fails(
        "connect", _other_vault(new_machine("made"), source), "--recovery-kit", "-", stdin="\n".join(lines).encode(), status=2
    )


def _other_vault(machine: Tallac, source: Path) -> Path:
    machine("backup", source)
    return machine.vault


def test_a_kits_page_stands_alone(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """The page has a code for the vault and one for each alias, loads nothing, and overwrites nothing."""
    tallac("backup", source)
    kit = tmp_path / "kit.html"
    tallac("recovery-kit", "--output", kit)
    page = kit.read_text()
    assert page.count("<svg") == 2
    assert not [word for word in ("<script", "src=", "href=", "url(", "@import") if word in page]
    assert "there is such a file already" in tallac.fails("recovery-kit", "--output", kit, status=2)
    assert "ends in .html or .txt" in tallac.fails("recovery-kit", "--output", tmp_path / "kit.pdf", status=2)
    assert kit.read_text() == page


def test_ways_back_are_offered_once(tallac: Tallac, source: Path) -> None:
    """The first backup ends with a hint on both, and no later one does; no secret is printed unasked."""
    first, second = tallac("backup", source), tallac("backup", source)
    assert "tallac recovery-kit" in first.error_lines[-1]
    assert "tallac add-passphrase" in first.error_lines[-1]
    assert second.err == ""
    assert not [word for word in ("tallac-writer", "URI:") if word in first.err + first.out.decode()]
    assert tallac.home.joinpath("config", "tallac.json").read_text().count("tallac-writer") == 1


def test_check_knows_what_passphrases_leave(backed_up: Tallac) -> None:
    """A whole vault with a passphrase has nothing to tell, and damage to any of its objects is found."""
    assert backed_up("check", "--read-data", "tallac:").err == ""
    for path in sorted([*backed_up.vault.glob("passphrases/*"), *backed_up.vault.glob("envelopes/*")]):
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        result = backed_up("check", "tallac:", status=1)
        assert f"{path.parent.name}/{path.name} is damaged; the other copy is used meanwhile" in result.err
        path.write_bytes(whole)


def test_a_mirror_has_the_ways_back_too(
    backed_up: Tallac, new_machine: Callable[[str], Tallac], source: Path, tmp_path: Path
) -> None:
    """Where a vault was copied to, its passphrases lead to the same aliases, and the copy is as whole as the vault."""
    backed_up("mirror", "tallac:", tmp_path / "mirror")
    shutil.rmtree(backed_up.vault)
    machine = new_machine("new")
    assert connect(machine, tmp_path / "mirror") == ["alias tallac: is ready"]
    machine("restore", "tallac:Latest", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(source)
    assert machine("check", "--read-data", "tallac:").err == ""


@pytest.mark.slow
def test_a_read_only_vault_can_be_connected_to(backed_up: Tallac, new_machine: Callable[[str], Tallac], tmp_path: Path) -> None:
    """Connecting writes nothing to the vault; a new alias for it is made, and that it is not behind the passphrase yet is told."""
    for folder, _, files in os.walk(backed_up.vault):
        os.chmod(folder, 0o500)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o400)
    machine = new_machine("new")
    machine("connect", backed_up.vault, "--passphrase-file", "-", stdin=PASSPHRASE.encode(), as_user=True)
    cap = machine("cap", "tallac:Latest", as_user=True).lines[0]
    result = machine("add-alias", "latest", "@-", stdin=cap, as_user=True)
    assert "could not be added to the vault's passphrases" in result.err
    assert machine("ls", "latest:", as_user=True).status == 0


def test_an_alias_is_removed(backed_up: Tallac, new_machine: Callable[[str], Tallac]) -> None:
    """An alias leaves the configuration and what the passphrase leads to; with --only-here it stays behind the passphrase."""
    for name in ("letters", "drafts"):
        backed_up("create-alias", name)
    assert backed_up("remove-alias", "letters", "-n").error_lines == ["alias letters: would be removed"]
    assert len(backed_up("list-aliases").lines) == 3
    backed_up("remove-alias", "letters:")
    backed_up("remove-alias", "drafts", "--only-here")
    assert [line.split()[0] for line in backed_up("list-aliases").lines] == [b"tallac:"]
    machine = new_machine("new")
    assert connect(machine, backed_up.vault) == ["alias drafts: is ready", "alias tallac: is ready"]
    backed_up("create-alias", "later")
    assert "no alias 'letters'" in backed_up.fails("remove-alias", "letters")
    assert machine("ls", "drafts:").lines == []


def test_an_alias_of_a_lost_vault_is_removed(backed_up: Tallac) -> None:
    """Where the vault is gone, nothing is removed unless that is said; then the alias goes from here."""
    backed_up.vault.rename(backed_up.vault.with_name("elsewhere"))
    assert "vault not found" in backed_up.fails("remove-alias", "tallac")
    assert backed_up("list-aliases").lines
    backed_up("remove-alias", "tallac", "--only-here")
    assert backed_up("list-aliases").lines == []
