"""The command reference, made from the commands: `python -m kaggleprice.cli.reference`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

from kaggleprice.cli.config_file import configurable
from kaggleprice.cli.help import declaration, help_text, panels, plain

_HEAD = """\
# Command reference

Made from the commands themselves by `python -m kaggleprice.cli.reference > docs/reference.md`;
`kaggleprice COMMAND --help` says the same in a terminal, and `kaggleprice config` shows what each
option is at the moment, and where its value comes from. *Key* is what a configuration file calls
an option, *environment* the variable that stands for it.
"""
_COLUMNS = ("| option | what it does | key | environment |", "|---|---|---|---|")
_CONFIGURATION = """\
## Configuration

Every option may be given in four ways. The first of these that says something wins:

1. the flag, as in `--batch-size 32`;
2. the environment variable, as in `KAGGLEPRICE_BATCH_SIZE=32`; of a flag without a value, as in
   `KAGGLEPRICE_QUIET=1`, or `KAGGLEPRICE_BATCH_NORM=false` for `--no-batch-norm`;
3. the key in the configuration file, as in `batch-size = 32`;
4. for settings of a run, the preset (`--preset`, which may itself stand in either).

The file is `kaggleprice.toml` in the working folder, else the table `[tool.kaggleprice]` of its
`pyproject.toml`; `--config FILE` names another one, `--no-config` none. Folders above the working
folder are not searched. Paths in the file are relative to the working folder, as if typed.

```toml
# kaggleprice.toml
competition = "house-prices"   # for every command that has the option
preset = "fast"
hidden = [128, 64]             # or "128,64", as it is typed
activation = ["gelu", "tanh"]  # or "gelu/tanh"
dropout = [[0.3], [0.1, 0.2]]  # or "0.3/0.1,0.2"
clip = "none"
batch-norm = true

[predict]                      # for one command; [runs.list] for one below another
output = "best.csv"
```

A key may be written with `-` or `_`. A key that is no option, a table that is no command, and a
value that the flag would not take are errors. What is configured and not typed says how runs are
trained, and nothing of a run that there is: `predict` compares only flags with the run it uses.
"""
_EXIT_CODES = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | the run failed: training diverged, memory, disk, an output that cannot be written |
| 2 | usage: an unknown option or name, a value that cannot be |
| 3 | data: a file is missing, not a CSV, or not what the competition says; a damaged run folder |
| 4 | network or checksum |
| 5 | access: credentials, or a competition's rules that were not accepted |
| 6 | a gate: a limit that the user set was missed |
| 130 | interrupted |
"""


def reference() -> str:
    """Return the whole reference, Markdown."""
    import typer

    from kaggleprice.cli import program

    root = program.command()
    context = typer.Context(root, info_name="kaggleprice", **root.context_settings)
    parts = [_HEAD, *_sections(root, context), _CONFIGURATION, _EXIT_CODES]
    return "\n".join(parts)


def _sections(command: Any, context: Any) -> Iterator[str]:
    yield _section(command, context)
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            below = type(context)(inner, info_name=name, parent=context)
            yield from _sections(inner, below)


def _section(command: Any, context: Any) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"## `{context.command_path}`", "", f"    {usage}", "", *_paragraphs(command)]
    below = getattr(command, "commands", {})
    keys = {} if below else configurable(command)
    for title, parameters in panels(command, context).items():
        lines += [f"**{title}**", "", *_COLUMNS]
        lines += [_row(parameter, keys, context) for parameter in parameters]
        lines.append("")
    return "\n".join([*lines, *_examples(command)])


def _paragraphs(command: Any) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield _escaped(" ".join(plain(paragraph).split()))
        yield ""


def _row(parameter: Any, keys: dict[str, Any], context: Any) -> str:
    variable = f"`{parameter.envvar}`" if parameter.envvar else ""
    key = next((f"`{key}`" for key, option in keys.items() if option is parameter), "")
    cells = [f"`{declaration(parameter, context)}`", _escaped(help_text(parameter)), key, variable]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _escaped(text: str) -> str:
    """Keep Markdown from reading stars and underscores as emphasis, and angles as tags."""
    return re.sub(r"(?<!`)([*<>])(?!`)", r"\\\1", text)


def _examples(command: Any) -> Iterator[str]:
    found = re.findall(r"\[bold\](kaggleprice .*?)\[/\]", command.epilog or "")
    if found:
        yield "\n".join(["```sh", *found, "```", ""])


if __name__ == "__main__":
    sys.stdout.write(reference())
