"""Bad input through the entry point: one sentence, the right exit code, no file touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
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
    """Run a command that must fail: code, one sentence with these words, no file touched."""
    before = snapshot(folder)
    done = entry(*arguments, cwd=folder)
    assert done.code == code, (done.code, done.err)
    sentence = done.error
    for word in words:
        assert word in sentence, (word, sentence)
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


@dataclass(frozen=True)
class Data:
    """A defect of the data files and the words that the message must have."""

    name: str
    change: Change
    words: tuple[str, ...]
    code: int = 3


DATA = [
    Data("missing-train", remove("train.csv"), ("train.csv",)),
    Data("missing-test", remove("test.csv"), ("test.csv",)),
    Data("missing-toml", remove("small.toml"), ("small.toml", "does not exist")),
    Data("not-toml", overwrite("small.toml", b"= 3"), ("small.toml", "TOML")),
    Data("toml-key", edit("small.toml", "id_column", "id_colum"), ("'id_column'", "missing")),
    Data(
        "toml-metric",
        edit("small.toml", "[train]", 'metric = "rmsle"\n[train]'),
        ("unknown metric 'rmsle'", "log_rmse"),
        2,
    ),
    Data("not-csv", overwrite("train.csv", b"\x89PNG\r\n\x1a\n\xff\xfe\x00"), ("train.csv", "CSV")),
    Data("not-csv-zip", overwrite("test.csv", b"PK\x03\x04\xff\x80"), ("test.csv", "CSV")),
    Data(
        "html",
        overwrite("train.csv", b"<!DOCTYPE html>\n<p>404</p>\n"),
        ("train.csv", "HTML", "<!DOCTYPE html>"),
    ),
    Data("nul-bytes", overwrite("train.csv", bytes(512)), ("train.csv",)),
    Data("empty-train", overwrite("train.csv", b""), ("train.csv", "empty")),
    Data("empty-test", overwrite("test.csv", b""), ("test.csv", "empty")),
    Data("blank", overwrite("train.csv", b"\n\n"), ("train.csv", "empty")),
    Data("header-only", overwrite("test.csv", b"Id,Area,Kind\n"), ("test.csv", "no rows")),
    Data("ragged", edit("train.csv", "\n1,43,", "\n1,43,9,9,"), ("train.csv", "CSV")),
    Data("quote", edit("train.csv", "\n1,43,wood", '\n1,43,"wood'), ("train.csv",)),
    Data("no-id-train", edit("train.csv", "Id,", "No,"), ("train.csv", "id column 'Id'")),
    Data("no-id-test", edit("test.csv", "Id,", "No,"), ("test.csv", "id column 'Id'")),
    Data("empty-id", edit("train.csv", "\n5,", "\n,"), ("train.csv", "'Id'", "line 6")),
    Data("no-target", edit("train.csv", "Price", "Prise"), ("target column 'Price'", "train.csv")),
    Data("column-only-train", edit("train.csv", "Area", "Areas"), ("'Areas'", "'Area'")),
    Data("column-only-test", edit("test.csv", "Kind", "Sort"), ("'Kind'", "'Sort'")),
    Data("column-twice", edit("test.csv", "Kind", "Area"), ("test.csv", "'Area'", "twice")),
    Data(
        "target-in-test", edit("test.csv", "Kind", "Price"), ("test.csv", "target column 'Price'")
    ),
    Data("twice-train", edit("train.csv", "\n3,", "\n2,"), ("'2'", "train.csv", "lines 3, 4")),
    Data("twice-test", edit("test.csv", "\n26,", "\n25,"), ("'25'", "test.csv", "lines 2, 3")),
    Data("target-missing", edit("train.csv", ",50000\n", ",NA\n"), ("'Price'", "nothing", "Id 1")),
    Data("target-empty", edit("train.csv", ",50000\n", ",\n"), ("'Price'", "nothing", "Id 1")),
    Data("target-text", edit("train.csv", ",50000\n", ",cheap\n"), ("'Price'", "'cheap'")),
    Data("target-infinite", edit("train.csv", ",50000\n", ",inf\n"), ("'Price'", "'inf'")),
    Data("target-zero", edit("train.csv", ",50000\n", ",0\n"), ("'Price'", "'0'", "above 0")),
    Data("target-negative", edit("train.csv", ",50000\n", ",-3\n"), ("'Price'", "'-3'", "1 such")),
    Data(
        "text-in-train",
        edit("train.csv", "\n1,43,", "\n1,big,"),
        ("'Area'", "text in", "'big'", "train.csv", "numbers in", "test.csv"),
    ),
    Data(
        "text-in-test",
        edit("test.csv", ",115,", ",big,"),
        ("'Area'", "text in", "'big'", "test.csv", "numbers in", "train.csv"),
    ),
    Data("infinite", edit("train.csv", "\n1,43,", "\n1,-inf,"), ("'Area'", "infinite", "line 2")),
]


@pytest.mark.parametrize(
    ("case", "command"),
    [
        *[pytest.param(case, "cv", id=case.name) for case in DATA],
        # The same code reads the data of every command: one case of each kind of failure.
        *[
            pytest.param(DATA[number], command, id=f"{DATA[number].name}-{command}")
            for command in ("preprocess", "predict")
            for number in (0, 2, 5, -1)
        ],
    ],
)
def test_bad_data(entry: EntryPoint, small: Path, case: Data, command: str) -> None:
    case.change(small)
    output = ["--output", "features.csv"] if command == "preprocess" else []
    refused(entry, small, case.code, case.words, command, "-c", "small.toml", *output)


@dataclass(frozen=True)
class Options:
    """Arguments that cannot be, and the words that the message must have."""

    name: str
    arguments: str
    words: tuple[str, ...]
    code: int = 2


OPTIONS = [
    Options("k-1", "--k 1", ("--k takes", "'1'")),
    Options("k-0", "--k 0", ("--k takes", "'0'")),
    Options("k-negative", "--k -2", ("--k takes", "'-2'")),
    Options("k-above-n", "--k 25", ("k", "24", "found 25")),
    Options("k-text", "--k five", ("--k", "whole number", "'five'")),
    Options("lr-negative", "--lr -0.01", ("--lr takes", "'-0.01'")),
    Options("lr-nan", "--lr nan", ("--lr takes", "'nan'")),
    Options("lr-zero", "--lr 0", ("--lr takes", "'0'")),
    Options("lr-infinite", "--lr inf", ("--lr takes", "'inf'")),
    Options("lr-text", "--lr fast", ("--lr takes", "'fast'")),
    Options("embedding", "--embedding perodic", ("'perodic'", "none, periodic", "mean 'periodic'")),
    Options("frequencies", "--frequencies 0", ("--frequencies takes", "'0'")),
    Options("frequencies-text", "--frequencies few", ("--frequencies", "whole number", "'few'")),
    Options("frequency-scale", "--frequency-scale 0", ("--frequency-scale takes", "'0'")),
    Options("frequency-scale-nan", "--frequency-scale nan", ("--frequency-scale takes", "'nan'")),
    Options(
        "frequency-scale-infinite", "--frequency-scale inf", ("--frequency-scale takes", "'inf'")
    ),
    Options("soft-bound-zero", "--soft-bound 0", ("--soft-bound takes", "'0'")),
    Options("soft-bound-negative", "--soft-bound -1", ("--soft-bound takes", "'-1'")),
    Options("soft-bound-nan", "--soft-bound nan", ("--soft-bound takes", "'nan'")),
    Options("soft-bound-text", "--soft-bound soft", ("--soft-bound", "or none", "'soft'")),
    Options("dropout-1", "--dropout 1", ("--dropout", "below 1", "'1'")),
    Options("dropout-above", "--dropout 0.2,1.5", ("dropout", "1.5")),
    Options("dropout-negative", "--dropout -0.1", ("dropout", "-0.1")),
    Options("dropout-nan", "--dropout nan", ("dropout", "nan")),
    Options("dropout-count", "--hidden 8 --dropout 0.1,0.1,0.1", ("dropout", "found 3")),
    Options("dropout-text", "--dropout half", ("--dropout", "'half'")),
    Options("dropout-turn", "--dropout 0.1/1.5", ("dropout", "1.5")),
    Options("dropout-turn-count", "--dropout 0.1/0.1,0.1,0.1", ("dropout", "found 3")),
    Options("dropout-turn-none", "--dropout 0.1/", ("dropout", "found 0")),
    Options("dropout-turn-text", "--dropout 0.1/half", ("--dropout", "/half'")),
    Options("hidden-zero", "--hidden 8,0", ("hidden", "0")),
    Options("hidden-text", "--hidden wide", ("--hidden", "'wide'")),
    Options("epochs", "--epochs 0", ("--epochs takes", "'0'")),
    Options("batch", "--batch-size 0", ("--batch-size takes", "'0'")),
    Options("seeds", "--seeds 0", ("--seeds takes", "'0'")),
    Options("seed", "--seed -1", ("--seed takes", "'-1'")),
    Options("patience", "--patience 0", ("--patience takes", "'0'")),
    Options("stop-share", "--stop-share 1", ("--stop-share takes", "'1'")),
    Options("weight-decay", "--weight-decay nan", ("--weight-decay takes", "'nan'")),
    Options("l1", "--l1 -1", ("l1", "-1")),
    Options("clip-norm", "--clip-norm never", ("--clip-norm", "'never'")),
    Options("threads", "--threads 0", ("--threads", "from 1 up to 1024", "found '0'")),
    Options("threads-many", "--threads 99999", ("--threads", "1024", "found '99999'")),
    Options("model", "--model mpl", ("'mpl' of --model", "linear, mlp", "mean 'mlp'")),
    Options("recipe", "--recipe bok", ("'bok' of --recipe", "book, standard", "mean 'book'")),
    Options("optimizer", "--optimizer adm", ("'adm'", "adadelta, adagrad, adam,", "mean 'adam'")),
    Options("preset", "--preset boook", ("preset 'boook'", "book, default", "mean 'book'")),
    Options("activation", "--activation rulu", ("'rulu'", "gelu", "mean 'relu'")),
    Options("activation-turn", "--activation gelu/rulu", ("'rulu'", "gelu", "mean 'relu'")),
    Options(
        "activation-turn-none", "--activation gelu/", ("'' of --activation", "gelu, leaky_relu")
    ),
    Options("init", "--init hee", ("'hee'", "xavier", "mean 'he'")),
    Options("schedule", "--schedule cosin", ("'cosin'", "constant", "mean 'cosine'")),
    Options("loss", "--loss mes", ("'mes'", "huber", "mean 'mse'")),
    Options("combine", "--combine mean", ("'mean'", "arithmetic, geometric, median")),
    Options("scale", "--scale none-such", ("'none-such'", "minmax")),
    Options("impute", "--impute middle", ("'middle'", "most-frequent")),
    Options("stop-on", "--stop-on test", ("'test'", "inner, validation")),
    Options("dtype", "--dtype float16", ("'float16'", "float32, float64")),
    Options("device", "--device gpu", ("device 'gpu'", "auto, cpu, cuda, mps")),
    Options("competition", "--competition smal", ("'smal'", "house-prices, sample")),
    Options("did-you-mean", "--competition smaple", ("'smaple'", "mean 'sample'")),
    Options("run-name", "--run a/b", ("'a/b'",)),
    Options("run-parent", "--run ..", ("'..'",)),
    Options("option", "--epoch 3", ("--epoch", "--epochs")),
    Options("argument", "train.csv", ("train.csv",)),
    Options("no-value", "--lr", ("--lr", "argument")),
    Options("folds-missing", "--folds none.csv", ("none.csv", "does not exist"), 3),
    Options("folds-column", "--folds train.csv", ("train.csv", "'fold'"), 3),
    Options("folds-ids", "--folds test-folds.csv", ("test-folds.csv", "24"), 3),
    Options("folds-one", "--folds one-fold.csv", ("one-fold.csv", "2 folds"), 3),
    Options("folds-text", "--folds text-folds.csv", ("text-folds.csv", "whole numbers"), 3),
]


@pytest.mark.parametrize(
    ("case", "command"),
    [
        *[pytest.param(case, "cv", id=case.name) for case in OPTIONS],
        *[pytest.param(case, "predict", id=f"{case.name}-predict") for case in OPTIONS[::9]],
    ],
)
def test_bad_options(entry: EntryPoint, small: Path, case: Options, command: str) -> None:
    folds = {
        "test-folds": [(25, 1), (26, 2)],
        "one-fold": [(i, 1) for i in range(1, 25)],
        "text-folds": [(i, "a") for i in range(1, 25)],
    }
    for name, rows in folds.items():
        lines = ["Id,fold", *[f"{i},{fold}" for i, fold in rows]]
        (small / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    given = ["--competition", "small.toml", *case.arguments.split()]
    refused(entry, small, case.code, case.words, command, *given)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("--recipe bok", 2, ("'bok' of --recipe", "book, standard")),
        ("--scale big", 2, ("'big'", "quantile")),
        ("--clip -1", 2, ("clip",)),
        ("--output features.txt", 2, (".csv, .npz, .parquet", ".txt")),
        ("--apply none.json", 3, ("none.json", "does not exist")),
        ("--apply train.csv", 3, ("train.csv",)),
        ("--apply small.toml", 3, ("small.toml",)),
        ("--head -1", 2, ("--head",)),
        ("--apply none.json --scale minmax", 2, ("--apply", "--scale")),
        ("--output train.csv", 2, ("--output train.csv", "data file")),
        ("--output test.csv", 2, ("--output test.csv", "data file")),
    ],
)
def test_bad_options_of_preprocess(
    entry: EntryPoint, small: Path, arguments: str, code: int, words: tuple[str, ...]
) -> None:
    given = ["-c", "small.toml", *arguments.split()]
    refused(entry, small, code, words, "preprocess", *given)


@pytest.mark.parametrize("name", ["nothing", "../runs"])
def test_an_unknown_run_lists_the_runs(entry: EntryPoint, small: Path, name: str) -> None:
    assert entry("cv", "-c", "small.toml", *TINY, cwd=small).code == 0
    words = (f"run of small '{name}'", "there are: mlp-001")
    refused(entry, small, 2, words, "predict", "-c", "small.toml", "--run", name)


def test_a_run_of_its_name_is_there_already(entry: EntryPoint, small: Path) -> None:
    assert entry("cv", "-c", "small.toml", *TINY, "--run", "mine", cwd=small).code == 0
    refused(
        entry, small, 2, ("'mine'", "already"), "cv", "-c", "small.toml", *TINY, "--run", "mine"
    )


# Training that leaves the finite numbers, or that ends in nonsense though it stays finite.


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("lr", ["1e2", "1e4", "1e6", "1e30", "1e300"])
def test_divergence(entry: EntryPoint, small: Path, optimizer: str, lr: str) -> None:
    given = ["-c", "small.toml", *TINY, "--epochs", "4", "--optimizer", optimizer, "--lr", lr]
    smaller = f"--lr {float(lr) / 10:g}"
    done = refused(entry, small, 1, ("diverged", "epoch", "fold 1 seed 0", smaller), "cv", *given)
    assert f"learning rate {float(lr):g}" in done.error


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


def test_predict_that_trains_may_diverge_too(entry: EntryPoint, small: Path) -> None:
    given = ["-c", "small.toml", *TINY, "--lr", "1e9"]
    refused(entry, small, 1, ("diverged", "--lr 1e+08"), "predict", *given)


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


# Hashes.


def sample_with_wrong_hash(entry: EntryPoint, folder: Path) -> Path:
    assert entry("download", "-c", "sample", cwd=folder).code == 0
    train = folder / "data" / "sample" / "train.csv"
    text = train.read_text(encoding="utf-8")
    train.write_text(text.replace("Normal,488100", "Normal,488200"), encoding="utf-8")
    return train


@pytest.mark.parametrize("command", ["cv", "preprocess", "predict"])
def test_wrong_hash(entry: EntryPoint, tmp_path: Path, command: str) -> None:
    sample_with_wrong_hash(entry, tmp_path)
    words = ("train.csv", "--no-verify", "kaggleprice download")
    refused(entry, tmp_path, 4, words, command, "-c", "sample")


@pytest.mark.parametrize("command", ["cv", "preprocess", "predict"])
def test_wrong_hash_taken_on_request(entry: EntryPoint, tmp_path: Path, command: str) -> None:
    train = sample_with_wrong_hash(entry, tmp_path)
    before = train.read_bytes()
    given = [] if command == "preprocess" else TINY
    done = entry(command, "-c", "sample", "--no-verify", *given, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert train.read_bytes() == before


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


@pytest.mark.parametrize("damage", [Path.unlink, cut, alter], ids=["missing", "cut", "altered"])
@pytest.mark.parametrize("name", RUN_FILES)
@pytest.mark.parametrize("named", [False, True], ids=["latest", "named"])
def test_damaged_run(
    entry: EntryPoint, run: Path, name: str, damage: Callable[[Path], None], named: bool
) -> None:
    damage(run / name)
    given = ["--run", "mlp-001"] if named else []
    words = ("mlp-001", Path(name).name)
    refused(entry, run.parents[2], 3, words, "predict", "-c", "small.toml", *given)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"schema_version": 1}', "\ufeff{", "{" * 2000, "NaN"]
)
def test_run_json_that_is_none(entry: EntryPoint, run: Path, text: str) -> None:
    (run / "run.json").write_text(text, encoding="utf-8")
    refused(entry, run.parents[2], 3, ("run.json",), "predict", "-c", "small.toml")


def test_run_of_a_later_version(entry: EntryPoint, run: Path) -> None:
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**record, "schema_version": 99}), encoding="utf-8")
    refused(entry, run.parents[2], 3, ("run.json", "99", "reads"), "predict", "-c", "small.toml")


def test_data_that_changed_since_training(entry: EntryPoint, run: Path) -> None:
    folder = run.parents[2]
    edit("train.csv", ",50000\n", ",50001\n")(folder)
    refused(entry, folder, 3, ("train.csv changed", "mlp-001"), "predict", "-c", "small.toml")


def test_a_target_transform_that_changed_since_training(entry: EntryPoint, run: Path) -> None:
    folder = run.parents[2]
    edit("small.toml", "[train]", 'target_transform = "none"\n[train]')(folder)
    words = ("target_transform of small changed", "log then, none now")
    refused(entry, folder, 3, words, "predict", "-c", "small.toml")


@pytest.mark.parametrize("output", ["train.csv", "test.csv", "./test.csv"])
def test_a_submission_never_replaces_the_data(entry: EntryPoint, small: Path, output: str) -> None:
    words = (f"--output {output}".replace("./", ""), "data file")
    refused(entry, small, 2, words, "predict", "-c", "small.toml", *TINY, "-o", output)


def test_folders_of_the_user_are_not_taken_for_runs(entry: EntryPoint, run: Path) -> None:
    """A stray folder among the runs is passed over; the path that `cv` prints names its run."""
    stray = run.parent / "zzz"
    stray.mkdir()
    (stray / "notes.txt").write_text("mine", encoding="utf-8")
    folder = run.parent.parent.parent
    for name in ([], ["--run", str(run.relative_to(folder))]):
        done = entry("predict", "-c", "small.toml", "--json", *name, cwd=folder)
        assert done.code == 0, done.err
        assert json.loads(done.out)["run"] == run.name


def test_folds_of_another_number_than_k(entry: EntryPoint, run: Path) -> None:
    folds = str(run / "folds.csv")
    folder = run.parent.parent.parent
    given = ["-c", "small.toml", *TINY, "--folds", folds, "--k", "7"]
    refused(entry, folder, 2, ("2 folds, not 7", "--k"), "cv", *given)
