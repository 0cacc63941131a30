"""The documents as what a reader does: commands with the output that is shown, programs with what they print.

A `console` block holds commands, each after `$ ` and going on in lines that four spaces begin, and
under each what it prints: `...` stands for what differs from time to time or goes on, and where lines
end does not count. A `python` block is a program; what a line `print(...)  # text` of it prints
stands in its comment.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
"""The text of every page by its name."""


@dataclass(frozen=True)
class Step:
    """A line for a shell, and what it prints."""

    line: str
    shown: str

    def matches(self, printed: str) -> bool:
        """Whether that is what is shown."""
        parts = re.split(r"(\.\.\.|\s*\n\s*)", self.shown.strip())
        pattern = "".join(".*?" if part == "..." else r"\s*" if part.isspace() else re.escape(part) for part in parts)
        return re.fullmatch(pattern, printed.strip(), re.S) is not None


def steps(page: str) -> Iterator[Step]:
    """What a reader of the page does, in its order."""
    for kind, block in re.findall(r"^```(console|python)\n(.*?)^```", page, re.S | re.M):
        if kind == "python":
            shown = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.M)
            yield Step(f".venv/bin/python -c {shlex.quote(block)}", "\n".join(shown))
            continue
        assert block.startswith("$ "), block
        for command in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, shown = re.findall(r"\A([^\n]*\n(?: {4}[^\n]*\n)*)(.*)\Z", command, re.S)[0]
            yield Step(line, shown)
