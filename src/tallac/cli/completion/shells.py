"""Completion for bash, zsh and fish: the scripts, and how the line that is being typed is read and answered.

A script hands over the line up to the cursor, as it was typed, and gets a line for each candidate: `open` where more is to be
typed after it, else `done`; the candidate; a description. Words are split here, because bash takes `home:docs` apart.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType

import click
from click.shell_completion import CompletionItem, ShellComplete

COMPLETION_VARIABLE = "_TALLAC_COMPLETE"
"""Set by the scripts."""

SECONDS_MAX = 5

_BASH = r"""# Completion of tallac for bash. Load it with:  source <(tallac completion bash)
_tallac_completion() {
    local state value description
    COMPREPLY=()
    while IFS=$'\t' read -r state value description; do
        COMPREPLY+=("$value")
        if [[ $state == open ]]; then compopt -o nospace 2>/dev/null; fi
    done < <(_TALLAC_COMPLETE=bash_complete COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        "${1/#\~/$HOME}" 2>/dev/null </dev/null)
}
complete -o nosort -F _tallac_completion tallac 2>/dev/null || complete -F _tallac_completion tallac
"""

_ZSH = r"""#compdef tallac
# Completion of tallac for zsh. Load it with:  source <(tallac completion zsh)  after compinit.
_tallac_completion() {
    local state value description
    local -a done_values open_values tilde_values described
    while IFS=$'\t' read -r state value description; do
        if [[ -n $description ]]; then
            described+=("${value//:/\\:}:$description")
        elif [[ $value == \~* ]]; then
            # Quoted as all others are, a tilde would be no home folder any more.
            tilde_values+=("${value%%/*}/${(q)value#*/}")
        elif [[ $state == open ]]; then
            open_values+=("$value")
        else
            done_values+=("$value")
        fi
    done < <(_TALLAC_COMPLETE=zsh_complete COMP_LINE="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" \
        ${(Q)words[1]/#\~/$HOME} 2>/dev/null </dev/null)
    [[ -n $described ]] && _describe -V tallac described
    [[ -n $tilde_values ]] && compadd -Q -S '' -- $tilde_values
    [[ -n $open_values ]] && compadd -S '' -- $open_values
    [[ -n $done_values ]] && compadd -- $done_values
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _tallac_completion "$@"
else
    compdef _tallac_completion tallac
fi
"""

_FISH = r"""# Completion of tallac for fish. Load it with:  tallac completion fish | source
function _tallac_completion
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l line (commandline -cp | string collect)
    _TALLAC_COMPLETE=fish_complete COMP_LINE=$line $program 2>/dev/null </dev/null | string replace -r '^(?:open|done)\t' ''
end
complete --no-files --keep-order --command tallac --arguments '(_tallac_completion)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@dataclass(frozen=True, slots=True)
class TypedWord:
    """The word at the cursor.

    Attributes:
        text: What it means so far.
        quote: The quotation mark that is open in it, or "".
        start: Where in the text the part begins that bash takes for the word.
    """

    text: str = ""
    quote: str = ""
    start: int = 0


def split_line(line: str, word_breaks: str = "") -> tuple[list[str], TypedWord]:
    """Split a command line at the cursor, which is at its end, into the words before and the one that is being typed.

    Args:
        line: As it was typed; its last quotation may be open.
        word_breaks: Characters at which bash begins a new word, although for everybody else it is one.
    """
    words: list[str] = []
    text, quote, start = "", "", 0
    is_begun, is_escaped = False, False
    for character in line:
        if is_escaped:
            # Between double quotation marks a backslash is one, except before these.
            text += character if quote == "" or character in '"\\$`' else "\\" + character
            is_escaped = False
        elif character == "\\" and quote != "'":
            is_escaped = is_begun = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                text += character
        elif character in "\"'":
            quote, start, is_begun = character, len(text), True
        elif character.isspace():
            if is_begun:
                words.append(text)
            text, start, is_begun = "", 0, False
        else:
            text, is_begun = text + character, True
            if character in word_breaks:
                start = len(text)
    return words, TypedWord(text, quote, start)


def quote_for_bash(text: str, quote: str) -> str:
    """Write a text so that bash takes it as it is, after a quotation mark that is open, or after none."""
    if quote == "'":
        return text.replace("'", "'\\''")
    special = '"\\$`' if quote else " \t\"'\\$`!&()*;<>?[]^{|}#"
    return "".join(f"\\{character}" if character in special else character for character in text)


def answer(command: click.Group, instruction: str, environment: Mapping[str, str]) -> str:
    """Answer what a script asks, `SHELL_complete`, with a line for each candidate.

    Args:
        command: What the line begins with.
        instruction: What the script has put in `COMPLETION_VARIABLE`.
        environment: Where the line is, in COMP_LINE, and for bash COMP_WORDBREAKS.
    """
    is_bash = instruction == "bash_complete"
    words, typed = split_line(environment.get("COMP_LINE", ""), environment.get("COMP_WORDBREAKS", "") if is_bash else "")
    found = ShellComplete(command, {}, "tallac", COMPLETION_VARIABLE).get_completions(words[1:], typed.text)
    return "".join(_line(item, typed, is_bash=is_bash) for item in found)


def _line(item: CompletionItem, typed: TypedWord, *, is_bash: bool) -> str:
    value = str(item.value)
    if typed.text.startswith("-") and not value.startswith("-"):
        # The value of an option that stands in one word with it.
        value = typed.text.partition("=")[0] + "=" + value
    state = "open" if value.endswith(("/", ":", "=")) else "done"
    written = quote_for_bash(value[typed.start :], typed.quote) if is_bash else value
    return f"{state}\t{written}\t{item.help or ''}\n"


def complete(command: click.Group, instruction: str) -> int:
    """Answer a script, quickly or not at all, and without a word about what went wrong."""
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(SECONDS_MAX)
    try:
        sys.stdout.buffer.write(answer(command, instruction, os.environ).encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001 - whoever presses the tab key wants an answer or none, never a message.
        return 1
    return 0


def _give_up(_number: int, _frame: FrameType | None) -> None:
    os._exit(1)
