"""Damaged and hostile input for everything that is read, from a corpus, as many as time allows.

    python tests/campaigns/fuzz.py --seconds 60             # of each kind of input
    python tests/campaigns/fuzz.py --only toml --seconds 600 --seed 7
    python tests/campaigns/fuzz.py --only toml --guided     # by coverage, with atheris

Whatever is read is taken, or refused by one of kaggleprice's own errors, in ten seconds and 4 GiB.
What breaks that is written to `corpus/KIND/`, which the tests read again ever after.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared import chosen, parser_of

if "--guided" in sys.argv:
    import atheris

    # Only what is imported from here on tells what of it was reached.
    atheris.instrument_imports(include=["kaggleprice"]).__enter__()

import numpy as np
from forged import write_record
from small import ROWS, place_in, source_in, write_small

from kaggleprice.api import workflow
from kaggleprice.cli import program
from kaggleprice.cli.config_file import read_configuration
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.competitions.tables import read_tables
from kaggleprice.competitions.unpacking import unpack
from kaggleprice.core.errors import KagglePriceError
from kaggleprice.core.files import sha256
from kaggleprice.evaluation.folds import read_folds
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.runs.gates import read_scored
from kaggleprice.runs.run import Run
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.run import OPTIONS, make_settings
from kaggleprice.settings.search import read_space

CORPUS = Path(__file__).parent / "corpus"
MEMORY, SECONDS = 4 * 2**30, 10
TOKENS = [
    *(b"\0", b"\r", b"\r\n", b'"', b"'", b",", b";", b"\t", b"[", b"]", b"{", b"}", b"=", b"#"),
    *(b"nan", b"inf", b"-inf", b"1e400", b"-0", b"9" * 400, b"0x1p3", b"1_000", b"NA", b"None"),
    *(
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1b[31m",
        "ü".encode(),
        b"[/]",
        b"../",
        b"/",
        b"~",
        b"a" * 300,
    ),
    *(
        b"true",
        b"null",
        b"[[",
        b'{"a":',
        b"Id",
        b"fold",
        b"Price",
        b"path",
        b"\n" * 9,
        b"::error::",
    ),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, 5e-324),
    *("", "a", "nan", "../x", "/etc/passwd", "\0", "\x1b[31m", "a" * 300, [], {}, [[]], {"a": {}}),
    *(float("nan"), float("inf")),
]


class SlowError(Exception):
    """An input took too long."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        seeds: what mutations start from.
        read: takes the input.
        values: whether values of JSON are exchanged, and not only bytes.
    """

    seeds: list[bytes]
    read: Callable[[bytes], object]
    values: bool = False


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """Return some bytes with a few of them changed, left away, doubled, or others put in."""
    made = bytearray(seed)
    for _ in range(1 + int(chance.expovariate(0.5))):
        at = chance.randrange(len(made) + 1)
        until = min(len(made), at + 1 + int(chance.expovariate(0.1)))
        match chance.randrange(6):
            case 0:
                made[at:at] = chance.choice(TOKENS)
            case 1:
                del made[at:until]
            case 2:
                made[at:at] = made[at:until]
            case 3:
                made[at:until] = chance.randbytes(until - at)
            case 4:
                made[at:until] = chance.choice(TOKENS)
            case _:
                lines = made.split(b"\n")
                line = chance.choice(lines)
                lines.insert(chance.randrange(len(lines) + 1), line)
                made = bytearray(b"\n".join(lines))
    return bytes(made)


def with_other_values(seed: bytes, chance: random.Random) -> bytes:
    """Return JSON in which a few values are others, or gone, or there under another name."""
    record = json.loads(seed)
    for _ in range(1 + int(chance.expovariate(0.7))):
        places = list(_places(record))
        holder, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(["x", "", "a" * 300, f"{key}x"])] = deepcopy(holder[key])
            case 2:
                other, name = chance.choice(places)
                with suppress(KeyError, IndexError):
                    holder[key] = deepcopy(other[name])
            case _:
                holder[key] = deepcopy(chance.choice(VALUES))
        if not record:
            break
    return json.dumps(record).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from _places(value[key])


class Readers:
    """What takes each kind of input, in a folder with a small competition and a run of it."""

    def __init__(self, folder: Path) -> None:
        """Make both."""
        self.folder, self.toml = folder, write_small(folder)
        self.train, self.test = (folder / f"{name}.csv" for name in ("train", "test"))
        options = {"portfolio": ("fine", "robust"), "inner_blocks": 2, "seeds": 2, "epochs": 1}
        options |= {"k": 2, "hidden": (4,), "base_models": ("ridge",)}
        self._competition = read_competition(self.toml)
        self.run, _ = workflow.cross_validate(
            source_in(folder), make_settings(options=options), place_in(folder)
        )
        self._ids = read_tables(self._competition, self.train, self.test).train.ids

    def _written(self, content: bytes, name: str = "input") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def _copy(self) -> Path:
        copy = self.folder / "copies" / "small" / "mlp-001"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.run.path, copy)
        return copy

    def csv(self, content: bytes) -> None:
        found = read_tables(self._competition, self._written(content, "in.csv"), self.test)
        if not np.isfinite(found.train.known_target).all():
            raise AssertionError("a target that is no number was taken")

    def toml_file(self, content: bytes) -> None:
        read_competition(self._written(content, "in.toml"))

    def config(self, content: bytes) -> None:
        read_configuration(self._written(content, "kaggleprice.toml"))

    def space(self, content: bytes) -> None:
        read_space(self._written(content))

    def folds(self, content: bytes) -> None:
        read_folds(self._written(content), self._ids, "Id")

    def recipe(self, content: bytes) -> None:
        FittedRecipe.from_json(content.decode("utf-8", "replace"))

    def record(self, content: bytes) -> None:
        record, copy = json.loads(content), self._copy()
        record.pop("digest", None)
        write_record(copy, record)
        found = Run.describe(copy)
        if found.state == "finished":
            _use(found)

    def weights(self, content: bytes) -> None:
        copy = self._copy()
        file = copy / "weights.safetensors"
        file.write_bytes(content)
        record = json.loads((copy / "run.json").read_text())
        del record["digest"]
        record["files"][file.name] = sha256(file)
        write_record(copy, record)
        _use(Run.read(copy))

    def baseline(self, content: bytes) -> None:
        read_scored(str(self._written(content, "base.json")), self.folder / "runs", "small")

    def archive(self, content: bytes, suffix: str = ".zip") -> None:
        into = self.folder / "unpacked"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        unpack([self._written(content, f"input{suffix}")], str, into)

    def gz(self, content: bytes) -> None:
        self.archive(content, ".csv.gz")

    @staticmethod
    def options(content: bytes) -> None:
        name, _, text = content.decode("utf-8", "replace").partition("=")
        if name in OPTIONS:
            value = OPTIONS[name].parse(text)
            if isinstance(value, float) and math.isnan(value):
                raise AssertionError(f"{name} took no number")


def _use(run: Run) -> None:
    """Read all of a run."""
    ensemble, predictions = run.ensemble(), run.predictions
    run.base_models()
    run.history()
    run.folds()
    if len(ensemble.members) < 1 or len(predictions) > 9 * ROWS:
        raise AssertionError("a run of nothing")


def make_kinds(folder: Path) -> dict[str, Kind]:
    """Make what all kinds need, in a folder, and return them by name."""
    read = Readers(folder)
    own, train = read.run.path, read.train.read_bytes()
    recipe = (own / "recipes" / "fold-1.json").read_bytes()
    record = (own / "run.json").read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(read.train, "a/train.csv")
        packed.write(read.test, "test.csv")
    config = b'lr = 0.5\nhidden = [8]\n[cv]\nk = 3\n[presets.mine]\nstart = "fast"\nseeds = 2\n'
    config += b'[presets.mine.portfolio.calm]\nstart = "smooth"\nlr = 0.004\n'
    toml = read.toml.read_bytes()
    full = b'metric = "rmsle"\nmissing_values = ["NA", "?"]\n' + toml.replace(
        b"[train]", b'[kinds]\nKind = "category"\n[csv]\nseparator = ","\n[train]'
    )
    defaults = {n: show_value(s.default).lower() for n, s in OPTIONS.items()}
    defaults["portfolio"] = defaults["portfolio"].replace("/", ",")
    space = b'lr = [0.001, 0.1]\nactivation = ["tanh", "gelu"]\ndropout = [0.0, 0.5]\n'
    return {
        "csv": Kind([train], read.csv),
        "toml": Kind([toml, full], read.toml_file),
        "config": Kind([config], read.config),
        "space": Kind([space], read.space),
        "folds": Kind([(own / "folds.csv").read_bytes()], read.folds),
        "recipe": Kind([recipe], read.recipe),
        "recipe values": Kind([recipe], read.recipe, values=True),
        "run values": Kind([record], read.record, values=True),
        "weights": Kind([(own / "weights.safetensors").read_bytes()], read.weights),
        "baseline": Kind([record], read.baseline),
        "zip": Kind([archive.getvalue()], read.archive),
        "gz": Kind([gzip.compress(train)], read.gz),
        "options": Kind([f"{n}={v}".encode() for n, v in defaults.items()], read.options),
    }


@contextmanager
def bounded() -> Iterator[None]:
    """Raise where the block takes too long; memory is bounded for good."""

    def ring(*_: object) -> None:
        raise SlowError

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def fault_of(kind: Kind, content: bytes) -> str:
    """Let an input be read; return what is wrong with how it was; empty for nothing."""
    try:
        with bounded():
            kind.read(content)
    except KagglePriceError as error:
        return "" if str(error).strip() else "an error without a word"
    except Exception as error:
        known = program._of_the_system(error) is not None
        return "" if known else f"{type(error).__name__}: {error}"[:500]
    return ""


def keep(name: str, content: bytes) -> Path:
    """Add an input to the corpus."""
    folder = CORPUS / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(content).hexdigest()[:12]
    path.write_bytes(content)
    return path


def campaign(
    kinds: Mapping[str, Kind], seconds: float, seed: int, count: int = 10**9
) -> Iterator[tuple[str, int, dict[str, bytes]]]:
    """Mutate the seeds of each kind for so long; yield its name, inputs, and an input by fault."""
    for name, kind in kinds.items():
        chance, began, tried = random.Random(f"{seed} {name}"), time.monotonic(), 0  # noqa: S311
        faults = dict[str, bytes]()
        change = with_other_values if kind.values else mutated
        while tried < count and time.monotonic() - began < seconds:
            content = change(chance.choice(kind.seeds), chance)
            found = fault_of(kind, content)
            if found:
                faults.setdefault(found.split("\n")[0][:60], content)
            tried += 1
        yield name, tried, faults


def guided(kind: Kind, seconds: float, folder: Path) -> None:
    """Let atheris make inputs by what code they reach; ends the process."""
    import atheris

    for number, seed in enumerate(kind.seeds):
        (folder / str(number)).write_bytes(seed)

    def test(content: bytes) -> None:
        found = fault_of(kind, content)
        if found:
            raise AssertionError(found)

    atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", str(folder)], test)
    atheris.Fuzz()


def main() -> int:
    """Run the campaign; return 1 where something was read wrongly."""
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true", help="one kind, by atheris")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    total, broken = 0, False
    with tempfile.TemporaryDirectory() as folder:
        kinds = make_kinds(Path(folder))
        kinds = {name: kinds[name] for name in chosen(asked.only, kinds)}
        if asked.guided:
            seeds = Path(folder) / "seeds"
            seeds.mkdir()
            guided(next(iter(kinds.values())), asked.seconds, seeds)
        for name, tried, faults in campaign(kinds, asked.seconds, asked.seed):
            total += tried
            print(f"{name}: {tried:,} inputs, {len(faults)} faults", flush=True)
            for text, content in faults.items():
                broken = True
                print(f"  {text}: {keep(name, content)}", flush=True)
    print(f"{total:,} inputs in all")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
