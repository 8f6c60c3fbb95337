"""Bad input through the entry point: one sentence, the right exit code, no file touched."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from entry_point import TINY, EntryPoint, Finished
from small import write_small


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_small(tmp_path)
    return tmp_path


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder with its hash; a lock left beside data is no result."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def refused(
    entry: EntryPoint, folder: Path, code: int, words: tuple[str, ...], *arguments: str | Path
) -> Finished:
    """Run a command that must fail: code, one sentence with these words, no file touched.

    An option may be called by its flag or by its setting's name.
    """
    before = snapshot(folder)
    done = entry(*arguments, cwd=folder)
    assert done.code == code, (done.code, done.err)
    for word in words:
        names = (word, word.removeprefix("--").replace("-", "_"))
        parts = [rf"(?<![\w.]){re.escape(name)}(?!\w)" for name in names]
        assert re.search("|".join(parts), done.error), (word, done.error)
    assert snapshot(folder) == before
    assert not done.out
    return done


Change = Callable[[Path], None]


def edit(name: str, old: str, new: str, *, times: int = 1) -> Change:
    """Replace text in a file of the small competition."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, times), encoding="utf-8")

    return change


def overwrite(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content) and None


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


# A defect of the data files, and the words that its message must have.
DATA: dict[str, tuple[Change, tuple[str, ...]]] = {
    "missing-train": (remove("train.csv"), ("train.csv",)),
    "missing-test": (remove("test.csv"), ("test.csv",)),
    "missing-toml": (remove("small.toml"), ("small.toml", "does not exist")),
    "not-toml": (overwrite("small.toml", b"= 3"), ("small.toml", "TOML")),
    "toml-key": (edit("small.toml", "id_column", "id_colum"), ("unknown key 'id_colum'",)),
    "not-csv": (overwrite("train.csv", b"\x89PNG\r\n\x1a\n\xff\xfe\x00"), ("train.csv", "CSV")),
    "not-csv-zip": (overwrite("test.csv", b"PK\x03\x04\xff\x80"), ("test.csv", "CSV")),
    "html": (
        overwrite("train.csv", b"<!DOCTYPE html>\n<p>404</p>\n"),
        ("train.csv", "HTML", "<!DOCTYPE html>"),
    ),
    "nul-bytes": (overwrite("train.csv", bytes(512)), ("train.csv",)),
    "empty-train": (overwrite("train.csv", b""), ("train.csv", "empty")),
    "empty-test": (overwrite("test.csv", b""), ("test.csv", "empty")),
    "blank": (overwrite("train.csv", b"\n\n"), ("train.csv", "empty")),
    "header-only": (overwrite("test.csv", b"Id,Area,Kind\n"), ("test.csv", "no rows")),
    "ragged": (edit("train.csv", "\n1,43,", "\n1,43,9,9,"), ("train.csv", "CSV")),
    "quote": (edit("train.csv", "\n1,43,wood", '\n1,43,"wood'), ("train.csv",)),
    "no-id-train": (edit("train.csv", "Id,", "No,"), ("train.csv", "id column 'Id'")),
    "no-id-test": (edit("test.csv", "Id,", "No,"), ("test.csv", "id column 'Id'")),
    "empty-id": (edit("train.csv", "\n5,", "\n,"), ("train.csv", "'Id'", "line 6")),
    "no-target": (
        edit("train.csv", "Price", "price"),
        ("target column 'Price'", "train.csv", "Did you mean 'price'"),
    ),
    "semicolon": (
        edit("train.csv", ",", ";", times=999),
        ("train.csv", "'Id;Area;Kind;Price'", 'separator = ";"', "[csv]"),
    ),
    "id-column-twice": (edit("test.csv", "Kind", "Id"), ("test.csv", "'Id'", "twice")),
    "target-in-test": (edit("test.csv", "Kind", "Price"), ("test.csv", "target column 'Price'")),
    "target-missing": (edit("train.csv", ",50000\n", ",NA\n"), ("'Price'", "nothing", "Id 1")),
    "target-empty": (edit("train.csv", ",50000\n", ",\n"), ("'Price'", "nothing", "Id 1")),
    "target-text": (edit("train.csv", ",50000\n", ",cheap\n"), ("'Price'", "'cheap'")),
    "target-infinite": (edit("train.csv", ",50000\n", ",inf\n"), ("'Price'", "'inf'")),
    "target-zero": (edit("train.csv", ",50000\n", ",0\n"), ("'Price'", "'0.0'", "above 0")),
    "target-negative": (edit("train.csv", ",50000\n", ",-3\n"), ("'Price'", "'-3.0'", "1 such")),
    "text-in-train": (
        edit("train.csv", "\n1,43,", "\n1,big,"),
        ("'Area'", "text in", "'big'", "train.csv", "numbers in", "test.csv"),
    ),
    "text-in-test": (
        edit("test.csv", ",115,", ",big,"),
        ("'Area'", "text in", "'big'", "test.csv", "numbers in", "train.csv"),
    ),
    "wrong-path": (
        edit("small.toml", "test.csv", "tset.csv"),
        ("tset.csv", "does not exist", "[test]"),
    ),
    "wrong-folder": (
        edit("small.toml", "train.csv", "no/where/train.csv"),
        ("no/where/train.csv", "does not exist", "[train]"),
    ),
    "kind": (edit("small.toml", "[train]", "kinds = {Area = 3}\n[train]"), ("'kinds.Area'", "3")),
    "metric": (edit("small.toml", "[train]", 'metric = "rmslo"\n[train]'), ("'rmslo'", "rmsle")),
    "infinite": (edit("train.csv", "\n1,43,", "\n1,-inf,"), ("'Area'", "infinite", "line 2")),
}


@pytest.mark.parametrize(
    ("case", "command"),
    [(case, "cv") for case in DATA]
    # The same code reads the data of every command: one case of each kind of failure.
    + [
        (case, command)
        for case in ("missing-train", "missing-toml", "not-csv", "infinite")
        for command in ("preprocess", "predict")
    ],
)
def test_bad_data(entry: EntryPoint, small: Path, case: str, command: str) -> None:
    change, words = DATA[case]
    change(small)
    output = ["--output", "features.csv"] if command == "preprocess" else []
    refused(entry, small, 3, words, command, "-c", "small.toml", *output)


# Values that cannot be: the message names the option and what was found.
VALUES = """
    --k 1; --k 0; --k -2; --k 25; --k five; --lr -0.01; --lr nan; --lr 0; --lr inf; --lr fast
    --frequencies 0; --frequencies few; --frequency-scale 0; --frequency-scale nan
    --frequency-scale inf; --soft-bound 0; --soft-bound -1; --soft-bound nan; --soft-bound soft
    --submodels 0; --bins 0; --channels 8; --channels 8,0; --length 0; --kernel 0; --stride 0
    --padding -1; --category-embedding 0
    --dropout 1; --dropout 0.2,1.5; --dropout -0.1; --dropout nan; --dropout half
    --dropout 0.1/1.5; --dropout 0.1/half; --hidden 8,0; --hidden wide; --epochs 0
    --batch-size 0; --seeds 0; --seed -1; --patience 0; --stop-share 1; --weight-decay nan
    --l1 -1; --clip-norm never; --threads 0; --threads 99999
"""
# Names that are none: the message names the nearest, or lists what there is.
NAMES = {
    "--embedding perodic": "periodic",
    "--model mpl": "mlp",
    "--recipe bok": "book",
    "--optimizer adm": "adam",
    "--preset boook": "book",
    "--activation rulu": "relu",
    "--activation gelu/rulu": "relu",
    "--activation gelu/": "leaky_relu",
    "--init hee": "he",
    "--schedule cosin": "cosine",
    "--loss mes": "mse",
    "--combine mean": "median",
    "--scale none-such": "minmax",
    "--impute middle": "most-frequent",
    "--stop-on test": "inner",
    "--dtype float16": "float32",
    "--device gpu": "cuda",
    "--competition smal": "sample",
    "--competition smaple": "sample",
}
# Others, with the words that matter.
OTHERS = [
    ("--hidden 8 --dropout 0.1,0.1,0.1", 2, ("dropout", "found 3")),
    ("--hidden 8 --dropout 0.1/0.1,0.1,0.1", 2, ("dropout", "found 3")),
    ("--dropout 0.1/", 2, ("--dropout",)),
    ("--run a/b", 2, ("'a/b'",)),
    ("--run ..", 2, ("'..'",)),
    ("--epoch 3", 2, ("--epoch", "--epochs")),
    ("train.csv", 2, ("train.csv",)),
    ("--lr", 2, ("--lr", "argument")),
    ("--seeds 100000000000", 2, ("--seeds", "memory", "networks")),
    ("--repeats 100000000000", 2, ("--repeats", "memory")),
    (f"--seeds {'9' * 400}", 2, ("--seeds", "402 signs")),
    (f"--run {'x' * 201}", 2, ("run", "200")),
    (f"-c {'x' * 300}", 2, ("File name too long",)),
    (f"--runs-dir {'x' * 300}", 2, ("File name too long",)),
    ("--folds none.csv", 3, ("none.csv", "does not exist")),
    ("--folds train.csv", 3, ("train.csv", "'fold'")),
    ("--folds test-folds.csv", 3, ("test-folds.csv", "24")),
    ("--folds one-fold.csv", 3, ("one-fold.csv", "2 folds")),
    ("--folds text-folds.csv", 3, ("text-folds.csv", "'fold'", "whole numbers")),
]
# Those of other commands.
ELSEWHERE = [
    ("cv", f"--junit {'x' * 300}", 2, ("File name too long",)),
    ("cv", "--baseline loop/x", 2, ("loop",)),
    ("cv", "--runs-dir loop", 2, ("loop",)),
    ("cv", "--junit loop", 2, ("loop",)),
    ("cv", "--summary loop/x", 2, ("loop/x",)),
    ("predict", f"--output {'x' * 300}", 2, ("File name too long",)),
    ("preprocess", "--recipe bok", 2, ("'bok'", "book", "standard")),
    ("preprocess", "--clip -1", 2, ("clip", "-1")),
    ("preprocess", "--output features.txt", 2, (".csv", ".npz", ".parquet", ".txt")),
    ("preprocess", "--apply none.json", 3, ("none.json", "does not exist")),
    ("preprocess", "--apply train.csv", 3, ("train.csv",)),
    ("preprocess", "--apply small.toml", 3, ("small.toml",)),
    ("preprocess", "--head -1", 2, ("--head", "-1")),
    ("preprocess", "--apply none.json --scale minmax", 2, ("--apply", "--scale")),
    ("preprocess", "--output train.csv", 2, ("--output", "train.csv")),
    ("preprocess", "--output test.csv", 2, ("--output", "test.csv")),
    ("predict", "--output train.csv", 2, ("--output", "train.csv", "data file")),
    ("predict", "--output ./test.csv", 2, ("--output", "test.csv", "data file")),
    ("predict", "--lr 1e9 --epochs 1", 1, ("diverged", "--lr 1e+08")),
]


def value_cases() -> list[tuple[str, int, tuple[str, ...]]]:
    """Each of `VALUES` with the words that its message must have; of a list the last value."""
    given = [one.strip() for line in VALUES.strip().splitlines() for one in line.split(";")]
    values = [re.split(r"[ ,/]", one)[-1] for one in given]
    return [(one, 2, (one.split()[0], value)) for one, value in zip(given, values, strict=True)]


def name_cases() -> list[tuple[str, int, tuple[str, ...]]]:
    wrong = [re.split(r"[ /]", one)[-1] for one in NAMES]
    return [
        (one, 2, (f"'{name}'", right))
        for (one, right), name in zip(NAMES.items(), wrong, strict=True)
    ]


OPTIONS = [*value_cases(), *name_cases(), *OTHERS]


@pytest.mark.parametrize(
    ("command", "arguments", "code", "words"),
    # The same code reads the options of every command: some of them suffice for another one.
    [("cv", *case) for case in OPTIONS] + [("predict", *case) for case in OPTIONS[::9]] + ELSEWHERE,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_options(
    entry: EntryPoint, small: Path, command: str, arguments: str, code: int, words: tuple[str, ...]
) -> None:
    folds = {"test": [(25, 1), (26, 2)], "one": [(i, 1) for i in range(1, 25)]}
    for name, rows in {**folds, "text": [(i, "a") for i in range(1, 25)]}.items():
        lines = ["Id,fold", *[f"{i},{fold}" for i, fold in rows]]
        path = small / f"{name}-fold{'s' * (name != 'one')}.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
    (small / "loop").symlink_to("loop")
    refused(entry, small, code, words, command, "-c", "small.toml", *arguments.split())


@pytest.mark.parametrize("name", ["nothing", "../runs"])
def test_names_of_runs(entry: EntryPoint, run: Path, name: str) -> None:
    """An unknown one lists those there are; one that is taken is not taken twice."""
    given, folder = ["-c", "small.toml"], run.parents[2]
    refused(entry, folder, 2, ("small", f"'{name}'", run.name), "predict", *given, "--run", name)
    words = (f"'{run.name}'", "already")
    refused(entry, folder, 2, words, "cv", *given, *TINY, "--lr", "9", "--run", run.name)


# Training that leaves the finite numbers, or that ends in nonsense though it stays finite.


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("lr", ["1e2", "1e4", "1e6", "1e30", "1e300"])
def test_divergence(entry: EntryPoint, small: Path, optimizer: str, lr: str) -> None:
    given = ["-c", "small.toml", *TINY, "--epochs", "4", "--optimizer", optimizer, "--lr", lr]
    words = ("diverged", "epoch", "fold 1 seed 0", f"{float(lr):g}", f"--lr {float(lr) / 10:g}")
    refused(entry, small, 1, words, "cv", *given)


@pytest.mark.parametrize(
    "more",
    [
        "--patience 2",
        "--patience 1 --stop-on validation",
        "--target-scale none",
        "--loss mae",
        "--clip-norm 1",
        "--batch-norm",
        "--model linear",
        "--dtype float64",
        "--schedule constant --optimizer rmsprop",
        "--optimizer adagrad",
        "--activation tanh",
        "--embedding none --soft-bound none --no-feature-scales",
        "--activation gelu/prelu --dropout 0.3/0.1 --seeds 2",
    ],
)
@pytest.mark.parametrize("lr", ["1e2", "1e8"])
def test_no_huge_rate_writes_nonsense(entry: EntryPoint, small: Path, more: str, lr: str) -> None:
    """Divergence is named; or, where a bound tames the rate, the run is a sane one."""
    given = ["-c", "small.toml", *TINY, "--epochs", "4", "--lr", lr, *more.split()]
    before = snapshot(small)
    done = entry("cv", *given, "--json", cwd=small)
    if done.code == 0:
        # The target's own logs have a standard deviation of 0.1.
        assert done.json["scores"]["oof"] < 2
        assert all(fold["train"] < 2 for fold in done.json["folds"])
    else:
        assert done.code == 1
        assert "try a smaller one, such as --lr" in done.error
        assert done.json["error"]["type"] == "DivergenceError"
        assert snapshot(small) == before


# Results that cannot be written: known before training.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("predict --output train.csv/submission.csv", ("train.csv/submission.csv",)),
        ("predict --output folder", ("folder", "it is a folder")),
        ("predict --runs-dir train.csv", ("train.csv",)),
        ("cv --runs-dir train.csv", ("train.csv",)),
        ("cv --runs-dir train.csv/runs", ("train.csv/runs",)),
        ("preprocess --output train.csv/features.csv", ("train.csv/features.csv",)),
        ("preprocess --output folder.csv", ("folder.csv", "it is a folder")),
        ("preprocess --output taken.csv", ("taken.recipe.json", "it is a folder")),
    ],
)
def test_unwritable_output(
    entry: EntryPoint, small: Path, arguments: str, words: tuple[str, ...]
) -> None:
    for name in ("folder", "folder.csv", "taken.recipe.json"):
        (small / name).mkdir()
    command, *given = arguments.split()
    done = refused(entry, small, 1, ("cannot write", *words), command, "-c", "small.toml", *given)
    assert "threads" not in done.err


def test_a_run_folder_that_takes_no_submission(entry: EntryPoint, run: Path) -> None:
    (run / "submission.csv").mkdir()
    words = ("cannot write", "submission.csv", "it is a folder")
    done = refused(entry, run.parents[2], 1, words, "predict", "-c", "small.toml", "--verbose")
    assert "predicting" not in done.err


# Hashes.


def sample_with_wrong_hash(entry: EntryPoint, folder: Path) -> Path:
    assert entry("download", "-c", "sample", cwd=folder).code == 0
    train = folder / "data" / "sample" / "train.csv"
    text = train.read_text(encoding="utf-8")
    train.write_text(text.replace("Normal,488100", "Normal,488200"), encoding="utf-8")
    return train


@pytest.mark.parametrize("command", ["cv", "preprocess", "predict"])
def test_wrong_hash(entry: EntryPoint, tmp_path: Path, command: str) -> None:
    train = sample_with_wrong_hash(entry, tmp_path)
    words = ("train.csv", "--no-verify", "kaggleprice download")
    refused(entry, tmp_path, 4, words, command, "-c", "sample")
    before = train.read_bytes()
    given = [] if command == "preprocess" else TINY
    done = entry(command, "-c", "sample", "--no-verify", *given, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert train.read_bytes() == before


def advised(error: str) -> list[str]:
    """The download that a message names, as it is typed."""
    return shlex.split(re.findall("`kaggleprice (download.*?)`", error)[0])


def test_advice_on_a_wrong_hash_works(entry: EntryPoint, tmp_path: Path) -> None:
    """In another data folder; of a run, by the old file or by another run."""
    where = ["-c", "sample", "--data-dir", "my data"]
    assert entry("cv", *where, *TINY, "--run", "a", cwd=tmp_path).code == 0
    train = tmp_path / "my data" / "sample" / "train.csv"
    right = train.read_bytes()
    train.write_bytes(right.replace(b"Normal,488100", b"Normal,488200"))
    done = refused(entry, tmp_path, 4, ("another",), "predict", *where)
    command = advised(done.error)
    # Not with a run that was trained on another one.
    words = ("put it back", "kaggleprice cv", "--no-verify", "--data-dir")
    refused(entry, tmp_path, 3, words, "predict", *where, "--no-verify")
    again = ["cv", *where, "--no-verify", *TINY, "--run", "b"]
    assert entry(*again, cwd=tmp_path).code == 0
    assert entry("predict", *where, "--no-verify", cwd=tmp_path).code == 0
    assert entry(*command, cwd=tmp_path).code == 0
    assert train.read_bytes() == right
    assert entry("predict", *where, "--run", "a", cwd=tmp_path).code == 0


def test_advice_on_a_wrong_hash_without_mirrors_works(entry: EntryPoint, small: Path) -> None:
    right = (small / "train.csv").read_bytes()
    digest = hashlib.sha256(right).hexdigest()
    edit("small.toml", '"train.csv"', f'"train.csv"\nsha256 = "{digest}"')(small)
    (small / "kept").mkdir()
    for name in ("train.csv", "test.csv"):
        (small / "kept" / name).write_bytes((small / name).read_bytes())
    overwrite("train.csv", right + b"99,1,wood,5\n")(small)
    done = refused(entry, small, 4, ("--no-verify",), "cv", "-c", "small.toml")
    places = {"FILE.toml": "small.toml", "PATH": "kept"}
    done = entry(*(places.get(word, word) for word in advised(done.error)), cwd=small)
    assert done.code == 0, done.err
    assert (small / "train.csv").read_bytes() == right


# Run folders.

RUN_FILES = [
    "run.json",
    "weights.safetensors",
    "recipes/fold-1.json",
    "recipes/fold-2.json",
    "oof.csv",
    "folds.csv",
    "history.csv",
]


@pytest.fixture(scope="module")
def trained(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a folder with the small competition and one run of it."""
    folder = tmp_path_factory.mktemp("trained")
    write_small(folder)
    assert entry("cv", "-c", "small.toml", *TINY, cwd=folder).code == 0
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in files.items()}


@pytest.fixture
def run(trained: dict[str, bytes], tmp_path: Path) -> Path:
    """The folder of a run, fresh for each test, in the folder of its data."""
    for name, content in trained.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "runs" / "small" / "mlp-001"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter(path: Path) -> None:
    """Change the last digit of a text, a bit of the weights."""
    content = bytearray(path.read_bytes())
    places = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
    place = places[-1] if path.suffix != ".safetensors" else len(content) - 1
    content[place] = content[place] ^ 1
    path.write_bytes(bytes(content))


DAMAGES = {"missing": Path.unlink, "cut": cut, "altered": alter}


@pytest.mark.parametrize(
    ("name", "damage", "named"),
    [
        *((name, damage, []) for name in RUN_FILES for damage in DAMAGES),
        *((name, "altered", ["--run", "mlp-001"]) for name in RUN_FILES),
    ],
)
def test_damaged_run(
    entry: EntryPoint, run: Path, name: str, damage: str, named: list[str]
) -> None:
    DAMAGES[damage](run / name)
    words = ("mlp-001", Path(name).name)
    refused(entry, run.parents[2], 3, words, "predict", "-c", "small.toml", *named)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"schema_version": 1}', "\ufeff{", "{" * 2000, "NaN"]
)
def test_run_json_that_is_none(entry: EntryPoint, run: Path, text: str) -> None:
    (run / "run.json").write_text(text, encoding="utf-8")
    refused(entry, run.parents[2], 3, ("run.json",), "predict", "-c", "small.toml")


VERSION = '"schema_version": '


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit("runs/small/mlp-001/run.json", VERSION, VERSION + "9"), ("run.json",)),
        (edit("train.csv", ",50000\n", ",50001\n"), ("train.csv", "changed", "mlp-001")),
        (
            edit("small.toml", "[train]", 'target_transform = "none"\n[train]'),
            ("target_transform", "small", "log", "none"),
        ),
    ],
    ids=["a later version", "other data", "another transform"],
)
def test_what_changed_since_training(
    entry: EntryPoint, run: Path, change: Change, words: tuple[str, ...]
) -> None:
    change(run.parents[2])
    refused(entry, run.parents[2], 3, words, "predict", "-c", "small.toml")


def test_folders_of_the_user_are_not_taken_for_runs(entry: EntryPoint, run: Path) -> None:
    """A stray folder among the runs is passed over; the path that `cv` prints names its run."""
    stray = run.parent / "zzz"
    stray.mkdir()
    (stray / "notes.txt").write_text("mine", encoding="utf-8")
    folder = run.parents[2]
    for name in ([], ["--run", str(run.relative_to(folder))]):
        done = entry("predict", "-c", "small.toml", "--json", *name, cwd=folder)
        assert done.code == 0, done.err
        assert json.loads(done.out)["run"] == run.name


def test_folds_of_another_number_than_k(entry: EntryPoint, run: Path) -> None:
    folds = str(run / "folds.csv")
    folder = run.parents[2]
    given = ["-c", "small.toml", *TINY, "--folds", folds, "--k", "7"]
    refused(entry, folder, 2, ("2 folds", "7", "--k"), "cv", *given)
