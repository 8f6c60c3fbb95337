"""`init` and what follows it, as typed: from files never seen before to a submission."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from entry_point import TINY, EntryPoint

from kaggleprice.competitions.catalog import read_competition


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rents: no id, a semicolon, a decimal comma, a date, a `?`, a column only in train."""
    random = np.random.default_rng(0)
    rows = 60
    frame = pd.DataFrame(
        {
            "area": random.normal(80, 20, rows).round(1),
            "since": pd.date_range("2020-01-01", periods=rows).strftime("%d.%m.%Y")[::2].repeat(2),
            "floor": [str(i % 5) if i % 7 else "?" for i in range(rows)],
            "state": ["good", "poor", "fair"] * (rows // 3),
        }
    )
    rent = np.exp(random.normal(6, 0.8, rows)).round(2)
    how = {"sep": ";", "decimal": ",", "index": False}
    train = frame.assign(paid_later=rent + 1, rent=rent)
    train[:40].to_csv(tmp_path / "train.csv", **how)
    frame[40:].to_csv(tmp_path / "test.csv", **how)
    return tmp_path


def test_from_files_to_a_submission(folder: Path, entry: EntryPoint) -> None:
    done = entry("init", "--yes", cwd=folder)
    assert done.code == 0, done.err
    for word in ("rent", "%d.%m.%Y", "drop", "paid_later", "competition.toml", "kaggleprice cv"):
        assert word in done.out
    found = read_competition(folder / "competition.toml")
    assert (found.id_column, found.target_column) == (None, "rent")
    assert set(found.missing_values) == {"NA", "?"}
    assert found.csv_format.changes == {"separator": ";", "decimal": ","}
    assert (found.fold_scheme, found.fold_column) == ("forward", "since")
    scored = entry("cv", *TINY, "--json", cwd=folder)
    assert scored.code == 0, scored.err
    assert scored.json["competition"] == found.name
    done = entry("predict", "--json", cwd=folder)
    assert done.code == 0, done.err
    submission = pd.read_csv(folder / "submission.csv")
    assert list(submission) == ["row", "rent"]
    assert submission["row"].tolist() == list(range(1, 21))
    assert np.isfinite(submission["rent"]).all()


def test_a_marker_that_is_a_level_elsewhere_is_one_of_its_column(
    folder: Path, entry: EntryPoint
) -> None:
    """From the files to a submission; runs of other markers are told apart."""
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(folder / name, sep=";", dtype=str, keep_default_na=False)
        state = ["?", "poor", "good", "fair"] * (len(table) // 4)
        table.assign(state=state, garage=["?", "brick"] * (len(table) // 2)).to_csv(
            folder / name, sep=";", index=False
        )
    document = entry("init", "--yes", "--json", cwd=folder).json
    own = {name: guess["value"] for name, guess in document["missing_values_of"].items()}
    assert own == {"floor": ["NA", "?"], "state": ["NA", "?"]}
    file = folder / "competition.toml"
    text = file.read_text(encoding="utf-8")
    found = read_competition(file)
    assert found.missing_values == ("NA",)
    assert found.missing_values_of == dict.fromkeys(["floor", "state"], ("NA", "?"))
    assert found.kinds["state"] == ("poor", "fair", "good")
    features = entry("preprocess", "--json", cwd=folder)
    assert features.code == 0, features.err
    missing = {
        c["name"]: c["missing"] for part in ("numeric", "categorical") for c in features.json[part]
    }
    assert (missing["floor"], missing["state"], missing["garage"]) == (6, 10, 0)
    assert entry("cv", *TINY, "--run", "first", cwd=folder).code == 0
    assert entry("predict", cwd=folder).code == 0
    file.write_text(text.replace('floor = ["NA", "?"]', 'floor = ["?", "NA"]'), encoding="utf-8")
    assert entry("cv", *TINY, "--run", "second", cwd=folder).code == 0
    compared = entry("runs", "compare", "first", "second", cwd=folder)
    assert compared.code == 0, compared.err
    assert "missing values of floor" in compared.out
    refused = entry("predict", "--run", "first", cwd=folder)
    assert refused.code == 3
    assert "missing_values_of" in refused.error


def test_json_says_what_was_guessed(folder: Path, entry: EntryPoint) -> None:
    document = entry("init", "--yes", "--json", "--metric", "mae", cwd=folder).json
    assert document["keys"]["target_column"]["value"] == "rent"
    assert document["keys"]["metric"] == {"value": "mae", "reason": "given", "sure": True}
    assert {name: guess["value"] for name, guess in document["kinds"].items()} == {
        "since": "date %d.%m.%Y",
        "state": ["poor", "fair", "good"],
        "paid_later": "drop",
    }
    assert document["path"] == "competition.toml"


def test_a_zip_that_lies_elsewhere(folder: Path, entry: EntryPoint) -> None:
    """It is unpacked and described here, or where `--into` says; nothing is left beside it."""
    away, here = folder / "away", folder / "here"
    for made in (away, here):
        made.mkdir()
    with zipfile.ZipFile(away / "rents-2020.zip", "w") as archive:
        for name in ("train.csv", "test.csv"):
            archive.write(folder / name, name)
    for options, where in ([], here), (["--into", "../there"], folder / "there"):
        done = entry("init", "--yes", "../away/rents-2020.zip", *options, cwd=here)
        assert done.code == 0, done.err
        assert {path.name for path in where.iterdir()} == {
            *("train.csv", "test.csv", "competition.toml")
        }
        assert read_competition(where / "competition.toml").name == "rents-2020"
    assert [path.name for path in away.iterdir()] == ["rents-2020.zip"]
    assert entry("cv", *TINY, cwd=here).code == 0
    # Another training file that lies here is neither replaced nor taken for the zip's.
    (here / "train.csv").write_text("mine")
    done = entry("init", "--yes", "--force", "../away/rents-2020.zip", cwd=here)
    assert done.code == 3
    assert "--into" in done.error
    assert (here / "train.csv").read_text() == "mine"


def test_files_that_lie_elsewhere_are_described_here(folder: Path, entry: EntryPoint) -> None:
    here = folder / "here"
    here.mkdir()
    assert entry("init", "--yes", "../train.csv", "../test.csv", cwd=here).code == 0
    assert entry("cv", *TINY, cwd=here).code == 0
    assert not (folder / "competition.toml").exists()


def test_flags_are_kept(folder: Path, entry: EntryPoint) -> None:
    flags = ["--name", "rents", "--drop", "area", "--kind", "state=good<fair<poor"]
    done = entry("init", *flags, "--metric", "medae", "--target", "rent", cwd=folder)
    assert done.code == 0, done.err
    found = read_competition(folder / "competition.toml")
    assert (found.name, found.metric) == ("rents", "medae")
    assert found.kinds["area"] == "drop"
    assert found.kinds["state"] == ("good", "fair", "poor")


def test_an_unsure_guess_without_a_terminal(folder: Path, entry: EntryPoint) -> None:
    done = entry("init", "--target", "rent", cwd=folder)
    assert done.code == 2
    for word in ("--metric", "--yes", "terminal"):
        assert word in done.error
    assert not (folder / "competition.toml").exists()


def test_what_cannot_be_read_yet_is_described_all_the_same(folder: Path, entry: EntryPoint) -> None:
    text = (folder / "train.csv").read_text().splitlines()
    (folder / "train.csv").write_text("\n".join([*text[:-1], text[-1].rpartition(";")[0] + ";"]))
    done = entry("init", "--yes", "--json", cwd=folder)
    assert done.code == 3
    assert "'rent'" in done.error
    assert done.json["unreadable"] in done.error
    assert done.json["warnings"] == []
    assert done.json["separation_auc"] is None
    done = entry("init", "--yes", "--force", cwd=folder)
    assert "kaggleprice cv" not in done.out
    assert (done.out + done.err).count("the target 'rent'") == 1
    read_competition(folder / "competition.toml")


def test_a_column_of_the_test_file_alone_is_told(folder: Path, entry: EntryPoint) -> None:
    """It is no feature, and nothing of the description needs to say so."""
    test = pd.read_csv(folder / "test.csv", sep=";", dtype=str)
    test.assign(extra="1").to_csv(folder / "test.csv", sep=";", index=False)
    done = entry("init", "--yes", cwd=folder)
    assert done.code == 0, done.err
    (line,) = (line for line in done.err.splitlines() if "'extra'" in line)
    assert "train.csv" in line
    assert "leak" not in line
    assert "extra" not in (folder / "competition.toml").read_text()


def test_rows_without_a_target(folder: Path, entry: EntryPoint) -> None:
    lines = (folder / "train.csv").read_text().splitlines()
    lines[3] = lines[3].rpartition(";")[0] + ";"
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    assert entry("init", "--yes", cwd=folder).code == 3
    done = entry("cv", *TINY, cwd=folder)
    assert done.code == 3
    for word in ("train.csv", "'rent'", "row 3", "`drop_missing_target = true`"):
        assert word in done.error
    assert entry("init", "--yes", "--force", "--drop-missing-target", cwd=folder).code == 0
    done = entry("cv", *TINY, "--fold-scheme", "shuffled", cwd=folder)
    assert done.code == 0, done.err
    assert "left out, without a target: row 3." in done.err
    (oof,) = folder.glob("runs/*/*/oof.csv")
    assert pd.read_csv(oof)["row"].tolist() == [i for i in range(1, 41) if i != 3]
    assert entry("predict", cwd=folder).code == 0


def test_files_without_a_description_and_rows_without_a_target(
    folder: Path, entry: EntryPoint
) -> None:
    lines = (folder / "train.csv").read_text().splitlines()
    lines[3] = lines[3].rpartition(";")[0] + ";"
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    files = ["--train", "train.csv", "--test", "test.csv", "--target", "rent"]
    done = entry("cv", *TINY, *files, cwd=folder)
    assert done.code == 3
    assert "--drop-missing-target" in done.error
    flags = ["--fold-scheme", "shuffled", "--drop-missing-target", "--preset", "fast"]
    done = entry("cv", *TINY, *files, *flags, cwd=folder)
    assert done.code == 0, done.err
    steps = [line for line in done.out.splitlines() if "kaggleprice" in line]
    assert ["--drop-missing-target" in step for step in steps] == ["cv" in step for step in steps]
    assert len(pd.read_csv(next(folder.glob("runs/*/*/oof.csv")))) == 39
    assert entry("predict", *files, cwd=folder).code == 0


def test_without_a_test_file_only_cv_comes_next(folder: Path, entry: EntryPoint) -> None:
    (folder / "test.csv").unlink()
    done = entry("init", "--yes", "--force", cwd=folder)
    assert done.code == 0, done.err
    assert "kaggleprice cv" in done.out
    assert "kaggleprice predict" not in done.out


def test_a_target_of_amounts(folder: Path, entry: EntryPoint) -> None:
    train = pd.read_csv(folder / "train.csv", sep=";", decimal=",")
    train["rent"] = [f"{rent:,.2f} €" for rent in train["rent"]]
    train.to_csv(folder / "train.csv", index=False)
    pd.read_csv(folder / "test.csv", sep=";", decimal=",").to_csv(folder / "test.csv", index=False)
    assert entry("init", "--yes", cwd=folder).code == 0
    assert read_competition(folder / "competition.toml").kinds["rent"] == "number"
    done = entry("cv", *TINY, "--json", "--fold-scheme", "shuffled", cwd=folder)
    assert done.code == 0, done.err
    (oof,) = folder.glob("runs/*/*/oof.csv")
    expected = [float(rent.removesuffix(" €").replace(",", "")) for rent in train["rent"]]
    assert pd.read_csv(oof)["true"].tolist() == expected


def test_a_day_that_may_be_a_month(folder: Path, entry: EntryPoint) -> None:
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(folder / name, sep=";", dtype=str)
        table.assign(since="01/02/2020").to_csv(folder / name, sep=";", index=False)
    given = ["--metric", "mae", "--target", "rent"]
    done = entry("init", *given, cwd=folder)
    assert done.code == 2
    for word in ("since", "--kind since=", "%d/%m/%Y", "%m/%d/%Y"):
        assert word in done.error
    assert entry("init", *given, "--kind", "since=date %m/%d/%Y", cwd=folder).code == 0


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('["NA", "?"]', '["NA"]', "missing_values"),
        ('decimal = ","', 'decimal = ","\nencoding = "cp1252"', "csv"),
    ],
)
def test_a_description_that_changed(
    old: str, new: str, key: str, folder: Path, entry: EntryPoint
) -> None:
    """What a run learned does not fit columns that are read in another way."""
    file = folder / "competition.toml"
    assert entry("init", "--yes", cwd=folder).code == 0
    assert entry("cv", *TINY, cwd=folder).code == 0
    text = file.read_text(encoding="utf-8")
    changed = text.replace(old, new)
    assert changed != text
    file.write_text(changed, encoding="utf-8")
    done = entry("predict", cwd=folder)
    assert done.code == 3
    assert done.error.startswith(f"{key} of ")
    assert "kaggleprice cv" in done.error


def test_a_test_file_that_comes_later(folder: Path, entry: EntryPoint) -> None:
    later = (folder / "test.csv").rename(folder / "later.csv.txt")
    flags = ["--target", "rent", "--drop", "paid_later"]
    assert entry("init", "--yes", *flags, cwd=folder).code == 0
    scored = entry("cv", *TINY, "--base-models", "ridge", cwd=folder)
    assert scored.code == 0, scored.err
    assert "to expect on 40 new rows" in scored.out
    done = entry("predict", cwd=folder)
    assert (done.code, "test" in done.error) == (2, True)
    done = entry("report", "--permutations", "1", "--json", cwd=folder)
    assert done.code == 0, done.err
    assert (done.json["separation"], done.json["drift"]) == (None, [])
    assert done.json["expected"]["rows"] == 40
    assert "distributions" not in done.json["figures"]
    page = Path(folder / done.json["page"]).read_text()
    assert "40 new rows" in page
    assert "Drift" not in page
    assert entry("report", "--no-importance", cwd=folder).code == 0
    done = entry("predict", "--test", later.name, cwd=folder)
    assert (done.code, "--base-models none" in done.error) == (2, True)
    assert entry("cv", *TINY, cwd=folder).code == 0
    done = entry("predict", "--test", later.name, cwd=folder)
    assert done.code == 0, done.err
    assert pd.read_csv(folder / "submission.csv")["row"].tolist() == list(range(1, 21))
    # Also in place of a test file that is there: of other rows, other predictions.
    lines = later.read_text().splitlines()
    (folder / "some.csv").write_text("\n".join([lines[0], lines[5], lines[2]]) + "\n")
    whole = pd.read_csv(folder / "submission.csv")["rent"]
    assert entry("predict", "--test", "some.csv", "--output", "some.csv", cwd=folder).code == 2
    assert entry("predict", "--test", "some.csv", "--output", "two.csv", cwd=folder).code == 0
    assert pd.read_csv(folder / "two.csv")["rent"].tolist() == pytest.approx([whole[4], whole[1]])


def test_a_metric_of_which_more_is_better(folder: Path, entry: EntryPoint) -> None:
    assert entry("init", "--yes", "--metric", "r2", cwd=folder).code == 0
    for flags in (["--epochs", "1"], ["--epochs", "9"]):
        assert entry("cv", *TINY, *flags, cwd=folder).code == 0
    runs = entry("runs", "list", "--json", cwd=folder).json["runs"]
    scores = [run["scores"]["oof"] for run in runs]
    assert scores == sorted(scores, reverse=True)
    assert "greater is better" in entry("runs", cwd=folder).out
    done = entry("cv", *TINY, "--fail-below", "1", "--json", cwd=folder)
    assert done.code == 6
    (gate,) = done.json["gates"]
    assert (gate["name"], gate["passed"]) == ("fail-below", False)
    assert entry("cv", *TINY, "--fail-below", "-99", cwd=folder).code == 0
    done = entry("cv", *TINY, "--fail-above", "0.5", cwd=folder)
    assert (done.code, "--fail-below" in done.error) == (2, True)


def test_a_sample_submission_and_a_misspelt_kind(folder: Path, entry: EntryPoint) -> None:
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(folder / name, sep=";", dtype=str)
        table.insert(0, "code", [f"{name[1]}{i}" for i in range(len(table))])
        table.to_csv(folder / name, sep=";", index=False)
    (folder / "sample_submission.csv").write_text("code;Prediction\ne0;0\n")
    assert entry("init", "--yes", "--target", "rent", cwd=folder).code == 0
    assert entry("cv", *TINY, cwd=folder).code == 0
    assert entry("predict", cwd=folder).code == 0
    submission = pd.read_csv(folder / "submission.csv")
    assert list(submission) == ["code", "Prediction"]
    assert submission["code"].tolist() == [f"e{i}" for i in range(20)]
    file = folder / "competition.toml"
    file.write_text(file.read_text().replace("since =", "sinse ="))
    done = entry("cv", *TINY, cwd=folder)
    assert done.code == 3
    assert "'sinse'" in done.error
    assert "'since'" in done.error


def test_a_marker_beside_numbers_is_told(folder: Path, entry: EntryPoint) -> None:
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(folder / name, sep=";", dtype=str)
        table["floor"] = [str(i) if i % 7 else "?" for i in range(len(table))]
        table.to_csv(folder / name, sep=";", index=False)
    assert entry("init", "--yes", cwd=folder).code == 0
    assert "'?'" not in entry("cv", *TINY, cwd=folder).err
    file = folder / "competition.toml"
    file.write_text(file.read_text().replace(', "?"]', "]"))
    done = entry("cv", *TINY, cwd=folder)
    assert done.code == 0, done.err
    (notice,) = (line for line in done.err.splitlines() if "'?'" in line)
    for word in ("'floor'", "`missing_values`"):
        assert word in notice


def test_an_id_that_names_groups(folder: Path, entry: EntryPoint) -> None:
    document = entry("init", "--yes", "--id", "state", "--json", cwd=folder).json
    (warning,) = (w for w in document["warnings"] if "the id" in w)
    for word in ("'state'", "3 different values in 40 rows"):
        assert word in warning


def test_test_rows_of_another_time(folder: Path, entry: EntryPoint) -> None:
    random = np.random.default_rng(0)
    for name, first, rows in (("train.csv", 0, 90), ("test.csv", 100, 60)):
        frame = pd.DataFrame({"day": np.arange(first, first + rows), "wet": random.random(rows)})
        frame["y"] = random.random(rows)
        frame.drop(columns="y" if first else []).to_csv(folder / name, index=False)
    done = entry("init", "--yes", "--id", "day", "--kind", "day=number", "--json", cwd=folder)
    (warning,) = (line for line in done.json["warnings"] if "told apart" in line)
    for word in ("'day'", "AUC 1.00", "0.5 is chance"):
        assert word in warning
    assert entry("cv", *TINY, cwd=folder).code == 0
    done = entry("report", "--no-importance", "--json", cwd=folder)
    assert done.code == 0, done.err
    assert done.json["separation"]["columns"] == ["day"]
    assert done.json["separation"]["auc"] == pytest.approx(1)
    page = (folder / done.json["page"]).read_text()
    assert "most telling first:\nday" in page


def test_files_that_are_alike_are_not_warned_of(folder: Path, entry: EntryPoint) -> None:
    # The days of the fixture's files come one after another.
    done = entry("init", "--yes", "--drop", "since", "--json", cwd=folder)
    assert not [warning for warning in done.json["warnings"] if "told apart" in warning]


def test_a_description_is_never_overwritten(folder: Path, entry: EntryPoint) -> None:
    (folder / "competition.toml").write_text("mine")
    done = entry("init", "--yes", cwd=folder)
    assert (done.code, "--force" in done.error) == (2, True)
    assert (folder / "competition.toml").read_text() == "mine"
    assert entry("init", "--yes", "--force", cwd=folder).code == 0
    read_competition(folder / "competition.toml")


@pytest.mark.parametrize("files", ["both", "training file alone"])
def test_cv_offers_init(files: str, folder: Path, entry: EntryPoint) -> None:
    if files != "both":
        (folder / "test.csv").unlink()
    done = entry("cv", cwd=folder)
    assert done.code == 2
    assert "kaggleprice init" in done.error


def test_cv_of_files(folder: Path, entry: EntryPoint) -> None:
    files = ["--train", "train.csv", "--test", "test.csv", "--target", "rent"]
    done = entry("cv", *TINY, *files, cwd=folder)
    assert done.code == 0, done.err
    for word in ("since", "%d.%m.%Y", "metric: rmsle", "paid_later"):
        assert word in done.err
    assert entry("predict", *files, cwd=folder).code == 0
    assert len(pd.read_csv(folder / "submission.csv")) == 20
    assert not (folder / "competition.toml").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["cv", "--target", "rent"], ["--target", "--train"]),
        (["cv", "--test", "test.csv"], ["--train", "--test"]),
        (["cv", "--train", "train.csv", "-c", "sample"], ["--train", "--competition"]),
        (["predict", "--train", "train.csv", "-c", "sample"], ["--train", "--competition"]),
        (["init", "--kind", "since"], ["--kind", "COLUMN=KIND"]),
        (["init", "--yes", "--target", "rant"], ["'rant'", "rent"]),
        (["init", "--yes", "--metric", "rmslo"], ["'rmslo'", "mean 'rmsle'"]),
        (["init", "--yes", "--kind", "since=day"], ["'day'", "'since'"]),
        (["init", "nowhere"], ["nowhere", "exist"]),
        (["init", "--yes", "--drop", "flor"], ["'flor'", "mean 'floor'"]),
    ],
)
def test_refused(options: list[str], words: list[str], folder: Path, entry: EntryPoint) -> None:
    before = sorted(folder.iterdir())
    done = entry(*options, cwd=folder)
    assert done.code in (2, 3)
    assert all(word in done.error for word in words), done.error
    assert sorted(folder.iterdir()) == before


@pytest.fixture
def every_kind(tmp_path: Path) -> Path:
    """Flats: a place, an advertisement, mixed units, a seller of many, a bit, a date."""
    random = np.random.default_rng(1)
    rows = 180
    words = ["sunny", "quiet", "large", "old", "garden", "sea", "park", "view"]
    frame = pd.DataFrame(
        {
            "lat": random.normal(47.5, 0.1, rows).round(4),
            "long": random.normal(-122.2, 0.1, rows).round(4),
            "advert": [f"{i} {' '.join(random.choice(words, 4))}" for i in range(rows)],
            "weight": [f"{i % 9 + 1} {'kg' if i % 3 else 'lb'}" for i in range(rows)],
            "seller": [f"seller {i}" for i in random.integers(0, 60, rows)],
            "balcony": random.integers(0, 2, rows),
            "sold": pd.date_range("2020-01-01", periods=rows // 2).strftime("%Y-%m-%d").repeat(2),
        }
    )
    train = frame.assign(price=random.normal(100, 10, rows).round(2))
    train[:120].to_csv(tmp_path / "train.csv", index=False)
    frame[120:].to_csv(tmp_path / "test.csv", index=False)
    return tmp_path


def test_every_kind_from_files_to_a_report(every_kind: Path, entry: EntryPoint) -> None:
    folder = every_kind
    done = entry("init", "--yes", cwd=folder)
    assert done.code == 0, done.err
    assert dict(read_competition(folder / "competition.toml").kinds) == {
        "lat": "latitude",
        "long": "longitude",
        "advert": "text",
        "weight": "number",
        "sold": "date %Y-%m-%d",
    }
    few = ["--target-encode-levels", "30", "--base-models", "ridge"]
    # Of time, as proposed, the first fold has too few sellers.
    scored = entry("cv", *TINY, *few, "--fold-scheme", "shuffled", "--json", cwd=folder)
    assert scored.code == 0, scored.err
    recipe = json.loads(next(folder.glob("runs/*/*/recipes/fold-1.json")).read_text())
    assert [state["name"] for state in recipe["targets"]] == ["seller"]
    assert [state["name"] for state in recipe["texts"]] == ["advert"]
    assert [(state["latitude"], state["longitude"]) for state in recipe["places"]] == [
        ("lat", "long")
    ]
    assert "balcony" in [state["name"] for state in recipe["numeric"] if state["bit"]]
    assert {state["name"] for state in recipe["categorical"]} == {"weight unit", "seller"}
    for command in (["predict"], ["report", "--permutations", "1"]):
        done = entry(*command, cwd=folder)
        assert done.code == 0, (command, done.err)
    submission = pd.read_csv(folder / "submission.csv")
    assert len(submission) == 60
    assert np.isfinite(submission["price"]).all()
    features = ["preprocess", "-o", "features.csv", "--target-encode-levels", "30"]
    assert entry(*features, cwd=folder).code == 0
    made = pd.read_csv(folder / "features.csv")
    wanted = {"seller_target", "seller_count", "advert_text 1", "lat_distance 1", "weight unit_kg"}
    assert wanted <= set(made)


def test_kinds_given_to_cv_and_predict(every_kind: Path, entry: EntryPoint) -> None:
    """Before the description's; a run predicts with those that it was trained with."""
    folder = every_kind
    assert entry("init", "--yes", cwd=folder).code == 0
    given = ["--drop", "seller", "--drop", "lat", "--kind", "advert=category"]
    done = entry("cv", *TINY, *given, cwd=folder)
    assert done.code == 0, done.err
    # What is proposed next can be typed.
    assert "--kind advert=category --drop seller --drop lat" in done.out
    recipe = json.loads(next(folder.glob("runs/*/*/recipes/fold-1.json")).read_text())
    names = {state["name"] for state in (*recipe["numeric"], *recipe["categorical"])}
    assert "advert" in names
    assert not {"seller", "lat"} & names
    assert not recipe["places"]
    assert entry("cv", *TINY, "--run", "plain", cwd=folder).code == 0
    both = ["--run", "mlp-001", "--run", "plain"]
    submissions = []
    for options in (["--run", "mlp-001"], ["--run", "plain"], both, [*both[:2], *given[:2]]):
        done = entry("predict", *options, cwd=folder)
        assert done.code == 0, done.err
        submissions.append(pd.read_csv(folder / "submission.csv")["price"])
        assert ("as it was trained" in done.err) == ("mlp-001" in options)
    first, plain, average, again = submissions
    np.testing.assert_allclose(average, (first + plain) / 2)
    assert again.equals(first)
    # A step that `submit`, `report` or `predict` could not take is not proposed.
    assert not any("--kind" in line for line in done.out.splitlines() if "cv" not in line)
    for command in (["predict", "--dry-run", *both], ["report", "mlp-001", "--permutations", "1"]):
        assert entry(*command, cwd=folder).code == 0
    for options in (["--kind", "seller=text"], ["--drop", "balcony"]):
        wrong = entry("predict", "--run", "mlp-001", *options, cwd=folder)
        assert wrong.code == 2
        for word in ("mlp-001", options[1].partition("=")[0], "leave --kind and --drop away"):
            assert word in wrong.error
    # What stands in a configuration trains runs, and demands nothing of one that there is.
    done = entry("predict", "--run", "plain", cwd=folder, KAGGLEPRICE_DROP="seller")
    assert done.code == 0, done.err


def test_seeds_are_added_with_the_kinds_of_the_run(every_kind: Path, entry: EntryPoint) -> None:
    assert entry("init", "--yes", cwd=every_kind).code == 0
    assert entry("cv", *TINY, "--run", "a", "--drop", "seller", cwd=every_kind).code == 0
    done = entry("cv", "--run", "a", "--add-seeds", "1", cwd=every_kind)
    assert done.code == 0, done.err
    recipe = json.loads(next(every_kind.glob("runs/*/a/recipes/fold-1.json")).read_text())
    assert "seller" not in {state["name"] for state in recipe["categorical"]}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--kind", "advert"], 2, ["--kind", "COLUMN=KIND", "'advert'"]),
        (["--kind", "advert=poem"], 2, ["'advert'", "'poem'", "text"]),
        (["--drop", "price"], 2, ["'price'", "cannot be dropped"]),
        (["--drop", "lat", "--kind", "lat=number"], 2, ["--kind", "--drop", "'lat'"]),
        (["--drop", "lot"], 3, ["train.csv", "'lot'", "--drop", "'lat'"]),
        (["--kind", "advert=number"], 3, ["'advert'", "a number", "train.csv"]),
    ],
)
def test_kinds_that_cannot_be(
    options: list[str], code: int, words: list[str], every_kind: Path, entry: EntryPoint
) -> None:
    assert entry("init", "--yes", cwd=every_kind).code == 0
    done = entry("cv", *TINY, *options, cwd=every_kind)
    assert done.code == code
    for word in words:
        assert word in done.error
