"""Text from data: nobody gets into a terminal, a log or a CI server by the name of a column."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from entry_point import TINY, EntryPoint

from kaggleprice.cli.console.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ± é 漢 🏠", "plain ± é 漢 🏠"),
        ("Area [m2] [/] [bold]", "Area [m2] [/] [bold]"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("a\r\nb\tc\x0b\x85\u2028d", r"a\r\nb\tc\x0b\x85\u2028d"),
        ("\u202egnp.exe\u2066 \udcff", r"\u202egnp.exe\u2066 \udcff"),
        ("::error::x", r"\x3a:error::x"),
        ("a ::set-output name=x::y", r"a \x3a:set-output name=x::y"),
        ("a::b", "a::b"),
        ("see ##[error]x", r"see \x23#[error]x"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


EVIL = "\x1b[31m[/] Area [m2]\n::error::x"
# Each as CSV and TOML have it: in quotes, with TOML's own escapes.
QUOTED = '"\\u001b[31m[/] {} [m2]\\n::error::x"'


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A competition whose every name, value and path would like to be more than that."""
    folder = tmp_path_factory.mktemp("hostile")
    evil = {what: EVIL.replace("Area", what) for what in ("Id", "Area", "Kind", "Price")}
    train = [[f"{i}{EVIL}", 40 + i, f"{EVIL}{i % 3}", 50_000 + 900 * i] for i in range(24)]
    test = [[f"{i}{EVIL}", 40 + i, f"{EVIL}{i % 3}"] for i in range(24, 32)]
    for name, rows, columns in [("train", train, 4), ("test", test, 3)]:
        lines = [[*evil.values()][:columns], *rows]
        text = "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines)
        (folder / f"{name}{EVIL.replace('/', '')}.csv").write_text(text + "\n", encoding="utf-8")
    quoted = {what: QUOTED.format(what) for what in ("Id", "Price")}
    path = QUOTED.replace("/", "").replace("{}", "Area")
    toml = f"name = 'evil'\nid_column = {quoted['Id']}\ntarget_column = {quoted['Price']}\n"
    toml += f"page = {QUOTED.format('Page')}\n"
    for name in ("train", "test"):
        toml += f'[{name}]\npath = "{name}{path[1:-1]}.csv"\n'
    (folder / "evil.toml").write_text(toml, encoding="utf-8")
    damaged = folder / "runs" / "evil" / EVIL.replace("/", "")
    damaged.mkdir(parents=True)
    (damaged / "run.json").write_text(json.dumps({EVIL: EVIL}), encoding="utf-8")
    (folder / "kaggleprice.toml").write_text('competition = "evil.toml"\n', encoding="utf-8")
    return folder


SHOWN = r"\x1b[31m[/] {} [m2]\n::error::x"
# In one folder, in this order; what is certainly shown.
COMMANDS: list[tuple[str, int, str]] = [
    ("cv {tiny} --dry-run", 0, SHOWN.format("Area").replace("/", "")),
    ("cv {tiny} --run a --verbose --base-models ridge", 0, SHOWN.format("Area").replace("/", "")),
    ("cv {tiny} --run b --fail-above 0.001 --summary s.md --junit j.xml", 6, "saved as run b"),
    ("predict", 0, SHOWN.format("Page")),
    ("preprocess", 0, SHOWN.format("Area")),
    ("preprocess --head 2", 0, SHOWN.format("Area")),
    ("download", 0, SHOWN.format("Area").replace("/", "")),
    ("report --permutations 1", 0, SHOWN.format("Area")),
    ("runs", 0, SHOWN.format("Area").replace("/", "")),
    ("runs show", 0, SHOWN.format("Area").replace("/", "")),
    ("runs compare a b", 0, "pooled"),
    ("runs prune --keep 1 --unreadable --dry-run", 0, SHOWN.format("Area").replace("/", "")),
    ("config", 0, "evil.toml"),
    ("cv --{evil}", 2, SHOWN.format("Area")),
    ("cv --lr {evil}", 2, SHOWN.format("Area")),
    ("cv --hidden {evil}", 2, SHOWN.format("Area")),
    ("cv --preset {evil}", 2, SHOWN.format("Area")),
    ("cv --run {evil}", 2, SHOWN.format("Area")),
    ("cv -c {evil}", 2, SHOWN.format("Area")),
    ("cv -c {evil}.toml", 3, SHOWN.format("Area")),
    ("cv --folds {evil}", 3, SHOWN.format("Area")),
    ("cv --baseline {evil}", 2, SHOWN.format("Area")),
    ("cv --config {evil}", 2, SHOWN.format("Area")),
    ("predict --run {evil}", 2, SHOWN.format("Area")),
    ("download --from {evil}", 3, SHOWN.format("Area")),
    ("preprocess --apply {evil}", 3, SHOWN.format("Area")),
    ("preprocess --output {evil}", 2, SHOWN.format("Area")),
    ("report {evil}", 2, SHOWN.format("Area")),
    ("runs show {evil}", 2, SHOWN.format("Area")),
    ("config --command {evil}", 2, SHOWN.format("Area")),
    ("{evil}", 2, SHOWN.format("Area")),
]


@pytest.fixture(scope="module")
def printed(entry: EntryPoint, hostile: Path) -> dict[str, tuple[int, bytes]]:
    """Each command's exit code, and the bytes of both its streams."""
    found = {}
    out, err = hostile.parent / "out", hostile.parent / "err"
    for line, _, _ in COMMANDS:
        words = [
            w.format(evil=EVIL, tiny="") for w in line.replace("{tiny}", " ".join(TINY)).split()
        ]
        done = entry(*words, cwd=hostile, stdout=str(out), stderr=str(err), GITHUB_ACTIONS="true")
        found[line] = done.code, out.read_bytes() + err.read_bytes()
    return found


@pytest.mark.parametrize(("line", "code", "shown"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_names_stay_text(
    printed: dict[str, tuple[int, bytes]], line: str, code: int, shown: str
) -> None:
    found, raw = printed[line]
    text = raw.decode()
    assert found == code, text
    assert shown in text
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    # GitHub obeys such a line: of the ones there are, all are annotations of our own.
    for command in [each for each in text.split("\n") if each.lstrip().startswith("::")]:
        assert re.match(r"::(error|warning) title=(gate|run|kaggleprice)", command)
    assert "Traceback" not in text


def test_files_for_ci_stay_text(printed: dict[str, tuple[int, bytes]], hostile: Path) -> None:
    assert printed
    for name in ("s.md", "j.xml"):
        text = (hostile / name).read_text(encoding="utf-8")
        assert [c for c in text if not c.isprintable() and c != "\n"] == []
