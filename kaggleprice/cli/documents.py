"""The JSON documents that commands print with `--json`, and the lines of `--progress json`.

Each document is a dataclass, from which `kaggleprice.cli.schemas` derives its JSON Schema; the
`Doc` of a field is its description there. What a run's record holds is passed on as it stands:
a `TypedDict` describes it. To import this module takes neither numpy nor pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NotRequired

from annotated_doc import Doc
from annotated_types import Ge, Len
from typing_extensions import TypedDict  # pydantic reads only this one before Python 3.12

SCHEMA_VERSION: Final = 1

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
NotNegative = Annotated[float, Ge(0)]

# Fields that several documents share.
Competition = Annotated[str, Doc("Name of the competition.")]
RunName = Annotated[str, Doc("Name of the run.")]
RunPath = Annotated[str, Doc("The run's folder.")]
Metric = Annotated[str, Doc("Name of the competition's metric; lower is better.")]
Notes = Annotated[
    list[str],
    Doc("To be shown with the score, such as that it is optimistic."),
]
Device = Annotated[
    str,
    Doc("Where: cpu, cuda, mps, or several such as cuda:0,cuda:1."),
]
Threads = Annotated[Positive, Doc("CPU threads.")]
Seconds = Annotated[NotNegative, Doc("Seconds that the cross-validation took.")]
Groups = Annotated[
    list[Positive],
    Doc(
        "How many members were trained at once, group by group: one group on one device; more on "
        "several devices, or where memory ran out."
    ),
]
Finished = Annotated[str, Doc("When it was finished, ISO 8601, UTC.")]
NearestPreset = Annotated[str, Doc("The preset that is nearest to its settings.")]
Changed = Annotated[dict[str, Any], Doc("Options that lead from the preset to its settings.")]
State = Annotated[
    Literal["finished", "unreadable", "unfinished"],
    Doc("`unreadable` is damaged or of another version; `unfinished` was interrupted."),
]
Role = Annotated[Literal["train", "test"], Doc("Which one.")]
Size = Annotated[Count, Doc("Its size.")]
Sha256 = Annotated[str, Len(64, 64), Doc("Its SHA-256.")]
FoldNumber = Annotated[Positive, Doc("Its number, from 1.")]
Missing = Annotated[Count, Doc("Missing values among the rows learned from.")]
PooledOrNone = Annotated[float | None, Doc("Pooled score; null where there is none.")]
Value = Annotated[Any, Doc("A number, a text, true or false, null, or a list of them.")]
StageName = Annotated[
    str,
    Doc(
        "What is being done, in one word: `starting`, `downloading`, `reading`, `preparing`, "
        "`training`, `base models`, `scoring`, `predicting`, `writing` and the like. More may come."
    ),
]

_COMMAND = Doc("What the document describes.")
_EVENT = Doc("Which kind of line it is.")
_BASE_MODELS = Doc("scikit-learn models averaged with the networks; empty where there are none.")
_DATA = Doc("The data files that it was trained on.")
_EXPECTED = Doc(
    "The score to expect of the submission, or a little more than that: it is the score of one "
    "fold's members, and the submission averages all folds'."
)
_SCORES = Doc("The run's scores, by its metric.")


@dataclass(frozen=True, kw_only=True)
class Document:
    """What all documents begin with."""

    schema_version: Annotated[
        Literal[1],
        Doc("Version of the schema: another where a field changes its meaning or goes."),
    ] = SCHEMA_VERSION


@dataclass(frozen=True)
class GuessEntry:
    """A guess."""

    name: Annotated[str, Doc("A key of competition.toml, or a column.")]
    value: Annotated[str | list[str] | None, Doc("What is proposed; null for none.")]
    reason: Annotated[str, Doc("Why.")]
    sure: Annotated[bool, Doc("Whether nothing else is likely.")]


@dataclass(frozen=True, kw_only=True)
class InitDocument(Document):
    """A competition that was described by looking at its files."""

    command: Annotated[Literal["init"], _COMMAND] = "init"
    path: Annotated[str, Doc("Where the description was written.")]
    train: Annotated[str, Doc("The training file.")]
    test: Annotated[str | None, Doc("The test file; null for none.")]
    keys: Annotated[list[GuessEntry], Doc("Keys of the competition.")]
    kinds: Annotated[list[GuessEntry], Doc("Columns that are no plain numbers or categories.")]
    csv: Annotated[dict[str, str], Doc("How the files are written, where not as a plain CSV.")]
    warnings: Annotated[list[str], Doc("What may make the score too good to be true.")]
    separation_auc: Annotated[
        float | None,
        Doc(
            "How well trees tell training from test rows: area under the ROC curve, 0.5 by "
            "chance; null where the files cannot be read as described."
        ),
    ]


@dataclass(frozen=True)
class DownloadedFile:
    """A file."""

    role: Role
    path: Annotated[str, Doc("Where it is.")]
    bytes: Size
    rows: Annotated[Count, Doc("Rows without the header.")]
    columns: Annotated[Positive, Doc("Columns of the header.")]
    sha1: Annotated[str, Len(40, 40), Doc("Its SHA-1.")]
    sha256: Sha256
    status: Annotated[
        Literal["cached", "downloaded", "copied"],
        Doc("How it came there."),
    ]
    verified: Annotated[bool, Doc("Whether it has the hash on record; false where none is.")]
    backup: Annotated[str | None, Doc("Where the file that it replaced is; null for none.")]


@dataclass(frozen=True, kw_only=True)
class DownloadDocument(Document):
    """Downloaded files."""

    command: Annotated[Literal["download"], _COMMAND] = "download"
    competition: Competition
    files: Annotated[list[DownloadedFile], Doc("The training and the test file.")]


@dataclass(frozen=True)
class NumericColumn:
    """A column."""

    name: Annotated[str, Doc("The column.")]
    log: Annotated[bool, Doc("Whether log(1 + x) is taken first; all below is of that.")]
    missing: Missing
    fill: Annotated[float | None, Doc("Value for missing; null where the nearest rows decide.")]
    low: Annotated[float | None, Doc("Lower bound; null for none.")]
    high: Annotated[float | None, Doc("Upper bound; null for none.")]
    center: Annotated[float, Doc("What is subtracted.")]
    scale: Annotated[float, Doc("What it is divided by then.")]
    indicator: Annotated[bool, Doc("Whether a 0/1 feature tells of missing values.")]


@dataclass(frozen=True)
class CategoricalColumn:
    """A column."""

    name: Annotated[str, Doc("The column.")]
    missing: Missing
    levels: Annotated[list[str], Doc("Categories with a feature of their own.")]
    missing_level: Annotated[bool, Doc("Whether missing has a feature of its own.")]
    rare: Annotated[list[str], Doc("Categories that share one feature.")]


@dataclass(frozen=True, kw_only=True)
class PreprocessDocument(Document):
    """Encoded features."""

    command: Annotated[Literal["preprocess"], _COMMAND] = "preprocess"
    features_in: Annotated[Positive, Doc("Columns of the CSVs, without id and target.")]
    features_out: Annotated[Count, Doc("Features made of them.")]
    output: Annotated[str | None, Doc("The file of features; null for none.")]
    recipe: Annotated[str | None, Doc("The file of the fitted recipe; null for none.")]
    rows: Annotated[Positive, Doc("Rows: training, then test.")]
    rows_fitted: Annotated[Positive, Doc("Rows that the recipe learned from.")]
    numeric: Annotated[list[NumericColumn], Doc("What was learned of each numeric column.")]
    categorical: Annotated[list[CategoricalColumn], Doc("What was learned of each text column.")]


class Scores(TypedDict):
    """The run's scores, by its metric."""

    fold_mean: Annotated[float, Doc("Mean of the folds' validation scores.")]
    fold_sd: Annotated[float, Doc("Their standard deviation (ddof 1).")]
    train_mean: Annotated[float, Doc("Mean of the folds' training scores.")]
    oof: Annotated[float, Doc("Of all out-of-fold predictions pooled: compare runs by it.")]
    networks_oof: Annotated[float, Doc("That of the networks alone; the same without base models.")]
    oof_error: NotRequired[
        Annotated[
            float,
            Doc(
                "Standard error of `oof`: how far it would move if other rows were scored, with "
                "the networks as they are (delta method). Absent in runs of earlier versions."
            ),
        ]
    ]
    mean_squared_log_error: Annotated[
        float | None, Doc("Mean over the folds; null for other metrics.")
    ]


@dataclass(frozen=True)
class Expected:
    """The score to expect of a submission."""

    score: Annotated[float, Doc("The pooled out-of-fold score.")]
    error: Annotated[
        float | None,
        Doc(
            "Its standard error as a forecast for the test rows, if they are drawn as the "
            "training rows were: oof_error * sqrt(1 + training rows / test rows). Null in runs "
            "of earlier versions."
        ),
    ]
    rows: Annotated[Positive, Doc("Number of test rows.")]


class Fold(TypedDict):
    """A fold."""

    fold: FoldNumber
    train: Annotated[float, Doc("Score on the rows that its members trained on.")]
    validation: Annotated[float, Doc("Score on the rows that they never saw.")]


class BaseModel(TypedDict):
    """A base model."""

    name: Annotated[str, Doc("Its name.")]
    oof: Annotated[float, Doc("Its own score, out of fold, pooled.")]


class DataFile(TypedDict):
    """A CSV that a run was trained on."""

    name: Annotated[str, Doc("Its name.")]
    sha256: Sha256
    rows: Annotated[Positive, Doc("Number of rows, without the header.")]


class DataFiles(TypedDict):
    """Both CSVs."""

    train: Annotated[DataFile, Doc("The training file.")]
    test: Annotated[DataFile, Doc("The test file.")]


@dataclass(frozen=True)
class Earlier:
    """A run beside the best one before it."""

    run: Annotated[str, Doc("Name of that run.")]
    oof: Annotated[float, Doc("Its pooled score.")]
    difference: Annotated[float, Doc("This run's score less that one's: below 0 is better.")]
    standard_error: Annotated[NotNegative, Doc("Of the difference, paired by row.")]
    same_folds: Annotated[bool, Doc("Whether both have the same folds.")]


@dataclass(frozen=True)
class PairedDifference:
    """A paired difference of two scores."""

    unit: Annotated[Literal["row", "fold"], Doc("What was paired.")]
    count: Annotated[int, Ge(2), Doc("How many of them.")]
    difference: Annotated[float, Doc("Second less first: above 0 is worse.")]
    standard_error: Annotated[
        NotNegative,
        Doc("Of it; over folds corrected for shared rows."),
    ]
    plain_error: Annotated[
        NotNegative,
        Doc("Over folds uncorrected; over rows the same."),
    ]
    noise: Annotated[float, Doc("What chance alone stays below, one-sided, with 95 % confidence.")]


@dataclass(frozen=True)
class _Baseline:
    baseline: Annotated[str, Doc("What it was compared with.")]
    tolerance: Annotated[NotNegative, Doc("By how much it may be worse beyond noise.")]


# Its fields begin with those of the last base.
@dataclass(frozen=True)
class BaselineDifference(PairedDifference, _Baseline):
    """How far a score and its baseline lie apart."""


@dataclass(frozen=True)
class GateResult:
    """A gate."""

    name: Annotated[Literal["fail-above", "baseline"], Doc("Its name.")]
    limit: Annotated[float, Doc("The highest value that passes.")]
    found: Annotated[float, Doc("What was found.")]
    passed: Annotated[bool, Doc("Whether it passed.")]
    reason: Annotated[str, Doc("Why, in one sentence.")]
    comparison: Annotated[
        BaselineDifference | None, Doc("With the baseline; null for `fail-above`.")
    ]


@dataclass(frozen=True, kw_only=True)
class CvDocument(Document):
    """A cross-validated run. Also written where a gate was missed; then the exit code is 6."""

    command: Annotated[Literal["cv"], _COMMAND] = "cv"
    competition: Competition
    run: RunName
    path: RunPath
    metric: Metric
    scores: Annotated[Scores, _SCORES]
    expected: Annotated[Expected, _EXPECTED]
    folds: Annotated[list[Fold], Doc("One entry per fold.")]
    members: Annotated[Positive, Doc("Number of networks: folds times seeds.")]
    base_models: Annotated[list[BaseModel], _BASE_MODELS]
    seconds: Seconds
    device: Device
    threads: Threads
    groups: Groups
    notes: Notes
    data: Annotated[DataFiles, _DATA]
    folds_sha256: Annotated[
        str,
        Len(64, 64),
        Doc("Of the run's folds.csv: equal folds, equal hash."),
    ]
    earlier: Annotated[
        Earlier | None,
        Doc("The best run before it, of the same data and metric, by common rows; null for none."),
    ]
    gates: Annotated[
        list[GateResult],
        Doc("What the score was held against (`--fail-above`, `--baseline`)."),
    ]


@dataclass(frozen=True)
class PlannedFile:
    """A file."""

    role: Role
    path: Annotated[str, Doc("Where it is.")]
    bytes: Size
    sha256: Sha256


@dataclass(frozen=True)
class Workload:
    """What there is to compute."""

    rows: Annotated[Positive, Doc("Training rows.")]
    test_rows: Annotated[Positive, Doc("Test rows.")]
    columns: Annotated[Positive, Doc("Columns of the tables, before engineering.")]
    features: Annotated[list[Positive], Doc("Features of each fold, after its recipe.")]
    fold_sizes: Annotated[list[Positive], Doc("Validation rows of each fold.")]
    members: Annotated[Positive, Doc("Networks.")]
    parameters: Annotated[Positive, Doc("Learned numbers of all networks together.")]
    steps: Annotated[Positive, Doc("Optimizer steps in all epochs; all networks step together.")]
    operations: Annotated[Count, Doc("Multiplications and additions of all matrix products.")]
    seconds: Annotated[NotNegative, Doc("Estimated seconds of training.")]


@dataclass(frozen=True, kw_only=True)
class PlanDocument(Document):
    """A cross-validation that was not done."""

    command: Annotated[Literal["plan"], _COMMAND] = "plan"
    competition: Competition
    files: Annotated[list[PlannedFile], Doc("Files that would be read, as far as they are there.")]
    fetched: Annotated[list[str], Doc("Files that would be fetched first.")]
    workload: Annotated[
        Workload | None,
        Doc("What to compute; null where files must be fetched first."),
    ]
    device: Device
    threads: Threads
    path: Annotated[str, Doc("The run folder that would be written.")]
    resumes: Annotated[
        str | None,
        Doc("Checkpoint that it would go on from; null for none."),
    ]
    settings: Annotated[
        dict[str, Any],
        Doc("Every setting: recipe, model, training, and the run's own."),
    ]


@dataclass(frozen=True)
class MeasuredPreset:
    """What a preset was measured to do."""

    networks: Annotated[Positive, Doc("Networks in all folds.")]
    fold_mean: Annotated[float, Doc("Mean of folds, RMSE between logs.")]
    oof: Annotated[float, Doc("Pooled out-of-fold, RMSE between logs.")]
    seconds: Annotated[float, Doc("Of the whole cross-validation.")]


@dataclass(frozen=True)
class PresetLine:
    """A preset."""

    name: Annotated[str, Doc("As `--preset` takes it.")]
    help: Annotated[str, Doc("What it is, in one line.")]
    measured: Annotated[MeasuredPreset | None, Doc("Null where it was not measured.")]


@dataclass(frozen=True, kw_only=True)
class PresetsDocument(Document):
    """The presets, and what each was measured to do on House Prices."""

    command: Annotated[Literal["presets"], _COMMAND] = "presets"
    machine: Annotated[str, Doc("Where it was measured.")]
    presets: Annotated[list[PresetLine], Doc("One entry per preset.")]


@dataclass(frozen=True, kw_only=True)
class PredictDocument(Document):
    """A submission."""

    command: Annotated[Literal["predict"], _COMMAND] = "predict"
    competition: Competition
    run: Annotated[str, Doc("The run that predicted.")]
    submission: Annotated[str, Doc("The file that was written.")]
    rows: Annotated[Positive, Doc("Its rows, without the header.")]
    smallest: Annotated[float, Doc("Smallest prediction, in the target's unit.")]
    median: Annotated[float, Doc("Median prediction.")]
    largest: Annotated[float, Doc("Largest prediction.")]
    trained: Annotated[bool, Doc("Whether the run was trained by this command.")]
    scores: Annotated[Scores, _SCORES]
    expected: Annotated[Expected, _EXPECTED]
    notes: Notes


@dataclass(frozen=True, kw_only=True)
class PredictionPlanDocument(Document):
    """A prediction that was not done."""

    command: Annotated[Literal["prediction-plan"], _COMMAND] = "prediction-plan"
    competition: Competition
    run: Annotated[str | None, Doc("Which would predict; null where one would be trained first.")]
    training: Annotated[
        PlanDocument | None,
        Doc("How one would be trained, as by `cv --dry-run`; null for none."),
    ]
    outputs: Annotated[list[str], Doc("Files that would be written.")]


@dataclass(frozen=True)
class ListedRun:
    """A run. What is not known of it is null: of unfinished runs most, of unreadable ones all."""

    competition: Competition
    run: RunName
    path: RunPath
    state: State
    problem: Annotated[str | None, Doc("Why it is not finished; null where it is.")]
    members: Annotated[Positive | None, Doc("Number of networks.")]
    preset: NearestPreset | None
    changed: Changed | None
    metric: Metric | None
    scores: Annotated[Scores | None, _SCORES]
    notes: Notes | None
    finished: Finished | None
    seconds: Seconds | None


@dataclass(frozen=True, kw_only=True)
class RunsListDocument(Document):
    """All runs, by competition, best first."""

    command: Annotated[Literal["runs list"], _COMMAND] = "runs list"
    runs: Annotated[list[ListedRun], Doc("One entry per run folder.")]


class Member(TypedDict):
    """A network."""

    fold: Annotated[Positive, Doc("The fold that it is validated on, from 1.")]
    seed: Annotated[Count, Doc("Which random start, from 0.")]
    epochs: Annotated[Count, Doc("The epoch whose weights it has.")]
    train: Annotated[float, Doc("Score on the rows that it trained on.")]
    validation: Annotated[float, Doc("Score on the rows that it never saw.")]


@dataclass(frozen=True)
class StoredFileState:
    """A file."""

    name: Annotated[str, Doc("Relative to the folder.")]
    bytes: Size
    state: Annotated[str, Doc("Whether it is as it was written.")]


@dataclass(frozen=True, kw_only=True)
class RunsShowDocument(Document):
    """One run."""

    command: Annotated[Literal["runs show"], _COMMAND] = "runs show"
    competition: Competition
    run: RunName
    path: RunPath
    metric: Metric
    scores: Annotated[Scores, _SCORES]
    folds: Annotated[list[Fold], Doc("One entry per fold.")]
    members: Annotated[list[Member], Doc("One entry per network.")]
    base_models: Annotated[list[BaseModel], _BASE_MODELS]
    notes: Notes
    preset: NearestPreset
    changed: Changed
    settings: Annotated[dict[str, Any], Doc("Every option and its value.")]
    data: Annotated[DataFiles, _DATA]
    versions: Annotated[dict[str, str], Doc("Library to version.")]
    device: Device
    threads: Threads
    groups: Groups
    finished: Finished
    seconds: Seconds
    files: Annotated[list[StoredFileState], Doc("Files of its folder.")]


@dataclass(frozen=True)
class ComparedRun:
    """A run."""

    run: RunName
    path: RunPath | None
    oof: Annotated[float, Doc("Its pooled score.")]


@dataclass(frozen=True)
class BothValues:
    """Its value in either run."""

    first: Value
    second: Value


@dataclass(frozen=True)
class ComparedFold:
    """A fold."""

    fold: FoldNumber
    first: Annotated[float, Doc("First run's score.")]
    second: Annotated[float, Doc("Second run's.")]
    difference: Annotated[float, Doc("Second less first.")]


@dataclass(frozen=True, kw_only=True)
class RunsCompareDocument(Document):
    """Two runs side by side."""

    command: Annotated[Literal["runs compare"], _COMMAND] = "runs compare"
    competition: Competition
    metric: Metric
    runs: Annotated[list[ComparedRun], Doc("First and second.")]
    settings: Annotated[dict[str, BothValues], Doc("Settings that differ.")]
    versions: Annotated[dict[str, BothValues], Doc("Library versions that differ.")]
    same_data: Annotated[bool, Doc("Whether they were trained on the same CSV.")]
    same_folds: Annotated[bool, Doc("Whether every row was validated in the same fold.")]
    folds: Annotated[list[ComparedFold], Doc("Fold by fold; empty where the folds differ.")]
    by_fold: Annotated[
        PairedDifference | None,
        Doc("Of the means of folds; null where the folds differ."),
    ]
    by_row: Annotated[
        PairedDifference | None,
        Doc("Of pooled scores; null for fewer than 2 common rows."),
    ]
    unpaired_rows: Annotated[Count, Doc("Rows of either run that are not in the other.")]


@dataclass(frozen=True)
class RunFolder:
    """A run folder."""

    competition: Competition
    run: RunName
    path: RunPath
    state: State
    oof: PooledOrNone


@dataclass(frozen=True)
class SparedFolder(RunFolder):
    """A run folder that stays."""

    reason: Annotated[str, Doc("Why it stays.")]


@dataclass(frozen=True, kw_only=True)
class RunsPruneDocument(Document):
    """What was removed, or would be."""

    command: Annotated[Literal["runs prune"], _COMMAND] = "runs prune"
    dry_run: Annotated[bool, Doc("Whether nothing was removed because of `--dry-run`.")]
    chosen: Annotated[list[RunFolder], Doc("What was to be removed.")]
    removed: Annotated[list[RunFolder], Doc("What was removed.")]
    spared: Annotated[list[SparedFolder], Doc("What stays although it was meant.")]


@dataclass(frozen=True)
class BootstrapScore:
    """The score to expect on new rows, by the bootstrap."""

    score: Annotated[float, Doc("The pooled out-of-fold score.")]
    sd: Annotated[NotNegative, Doc("Standard deviation over draws.")]
    low: Annotated[float, Doc("Lower bound of the middle `share` of draws.")]
    high: Annotated[float, Doc("Upper bound.")]
    rows: Annotated[Positive, Doc("Test rows.")]
    draws: Annotated[Positive, Doc("Draws of the bootstrap.")]
    share: Annotated[float, Doc("Share of draws between `low` and `high`.")]


@dataclass(frozen=True)
class ColumnImportance:
    """A column."""

    column: Annotated[str, Doc("Its name in the CSV.")]
    increase: Annotated[float | None, Doc("Of the pooled score when the column is permuted.")]
    repeat_sd: Annotated[float | None, Doc("Standard deviation over repeats; null for one.")]
    member_mean: Annotated[float | None, Doc("Mean over networks of each one's own increase.")]
    member_sd: Annotated[float | None, Doc("Standard deviation over networks; null for one.")]


@dataclass(frozen=True)
class Importances:
    """Permutation importance of columns, out of fold."""

    baseline: Annotated[float, Doc("The networks' score, nothing permuted.")]
    repeats: Annotated[Positive, Doc("Permutations of each column.")]
    rows: Annotated[Positive, Doc("Rows predicted.")]
    columns: Annotated[
        list[ColumnImportance],
        Doc("Most important first; null is undefined."),
    ]


@dataclass(frozen=True)
class LargestError:
    """A row."""

    id: Annotated[str, Doc("Its id.")]
    true: Annotated[float, Doc("In the target's unit.")]
    predicted: Annotated[float, Doc("In the target's unit.")]
    residual: Annotated[float, Doc("Predicted less true on the transformed scale.")]
    relative: Annotated[float | None, Doc("predicted / true - 1; null where true is 0.")]
    fold: Annotated[Positive, Doc("The fold that validated it, from 1.")]
    columns: Annotated[
        dict[str, float | str | None], Doc("The most important columns' values; null is missing.")
    ]


@dataclass(frozen=True)
class ColumnDrift:
    """A column."""

    column: Annotated[str, Doc("Its name.")]
    kind: Annotated[Literal["numeric", "categorical"], Doc("Its kind.")]
    statistic: Annotated[float, Doc("0 (alike) to 1: Kolmogorov-Smirnov, or total variation.")]
    by_chance: Annotated[float, Doc("What 95 of 100 random splits stay below.")]
    missing_train: Annotated[float, Doc("Share of missing values in the training file.")]
    missing_test: Annotated[float, Doc("Share in the test file.")]


@dataclass(frozen=True, kw_only=True)
class ReportDocument(Document):
    """The report of a run."""

    command: Annotated[Literal["report"], _COMMAND] = "report"
    competition: Competition
    run: RunName
    page: Annotated[str, Doc("The HTML file in the run folder.")]
    output: Annotated[str | None, Doc("The copy that `--output` asked for; null where it did not.")]
    figures: Annotated[dict[str, str], Doc("Figure to PNG file.")]
    metric: Metric
    scores: Annotated[Scores, _SCORES]
    expected: Annotated[BootstrapScore, Doc("The score to expect on new rows, by the bootstrap.")]
    importance: Annotated[
        Importances | None,
        Doc("Out of fold; null with `--no-importance`."),
    ]
    largest_errors: Annotated[list[LargestError], Doc("Training rows that were predicted worst.")]
    drift: Annotated[
        list[ColumnDrift],
        Doc("How far the two files are apart; furthest above chance first."),
    ]
    notes: Notes


@dataclass(frozen=True)
class OptionValue:
    """An option."""

    option: Annotated[str, Doc("Its name.")]
    value: Value
    source: Annotated[
        Literal["flag", "environment", "file", "preset", "default"], Doc("What decided it.")
    ]
    where: Annotated[str, Doc("The flag, variable, key or preset that decided it.")]


@dataclass(frozen=True, kw_only=True)
class ConfigDocument(Document):
    """The options of a command, and where each value came from."""

    command: Annotated[Literal["config"], _COMMAND] = "config"
    of: Annotated[str, Doc("The command.")]
    file: Annotated[str | None, Doc("The configuration file that was read; null for none.")]
    options: Annotated[list[OptionValue], Doc("One entry per option.")]
    notes: Annotated[list[str], Doc("On what looks like configuration and is not.")]


@dataclass(frozen=True)
class ErrorDetails:
    """What went wrong."""

    type: Annotated[str, Doc("The error's class, such as UsageError or DataError.")]
    message: Annotated[str, Doc("One sentence that a person can act on.")]
    exit_code: Annotated[Positive, Doc("The command's exit code.")]


@dataclass(frozen=True, kw_only=True)
class ErrorDocument(Document):
    """An error: the one document on stdout where a command fails.

    The sentence stands on stderr as well.
    """

    error: Annotated[ErrorDetails, Doc("What went wrong.")]


@dataclass(frozen=True, kw_only=True)
class StageEvent(Document):
    """A stage begins or ends. One ends before the next begins."""

    event: Annotated[Literal["stage"], _EVENT] = "stage"
    stage: StageName
    state: Annotated[Literal["begun", "ended"], Doc("Which of the two.")]
    seconds: Annotated[NotNegative, Doc("Seconds since it began.")]


@dataclass(frozen=True, kw_only=True)
class ProgressEvent(Document):
    """How far the stage is.

    At most two lines a second, at least one every eleven seconds, and one when all is done.
    """

    event: Annotated[Literal["progress"], _EVENT] = "progress"
    stage: StageName
    done: Annotated[Count, Doc("Units that are done.")]
    total: Annotated[Count | None, Doc("Units that there are; null where nobody knows.")]
    unit: Annotated[str, Doc("What is counted, such as `epochs` or `bytes`; may be empty.")]
    detail: Annotated[str, Doc("A few words, such as the validation RMSE so far; may be empty.")]
    seconds: Annotated[NotNegative, Doc("Seconds since the stage began.")]
    seconds_left: Annotated[
        NotNegative | None, Doc("Estimated until it ends; null where it is too early.")
    ]


@dataclass(frozen=True, kw_only=True)
class NoticeEvent(Document):
    """Something worth saying once."""

    event: Annotated[Literal["notice"], _EVENT] = "notice"
    message: Annotated[str, Doc("One sentence.")]
    level: Annotated[Literal["notice", "detail"], Doc("`detail` is said with `--verbose` only.")]


@dataclass(frozen=True)
class TracedError(ErrorDetails):
    """What went wrong, and where in the program."""

    traceback: Annotated[str | None, Doc("For an error that nobody expected; null for all others.")]


@dataclass(frozen=True, kw_only=True)
class ErrorEvent(Document):
    """The command failed; the last line."""

    event: Annotated[Literal["error"], _EVENT] = "error"
    error: Annotated[TracedError, Doc("As with `--json`, and where in the program.")]
