"""Studies: what Optuna proposes for one fold, given what it was told of that fold alone.

Proposals come from a tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for
Hyper-Parameter Optimization"; of all settings together, Falkner et al. 2018). They depend on the
seed, the space and what was told, so the same search makes the same ones.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from kaggleprice.core.errors import OutputError, UsageError
from kaggleprice.settings.search import START, Space

if TYPE_CHECKING:
    import optuna

# This part of all trials, the best, says where proposals are likely.
_GOOD = 0.25


def load_optuna() -> Any:
    """Import Optuna.

    Raises:
        UsageError: where it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError(
            "`kaggleprice tune` needs Optuna, which is not installed; install it with "
            '`pip install "kaggleprice[tune]"`.'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class FoldStudy:
    """The proposals for one fold, and what became of them.

    Scores are told as ranks: the lowest is that of the best.
    """

    def __init__(self, space: Space, starts: Sequence[str], seed: int, fold: int) -> None:
        """Begin.

        Args:
            space: what is searched.
            starts: names of the settings that a proposal may start from.
            seed: of the search.
            fold: counted from 0.
        """
        found = load_optuna()
        distributions = found.distributions
        self._searched, self._space = space, dict[str, Any]()
        if len(starts) > 1:
            self._space[START] = distributions.CategoricalDistribution(starts)
        for name, own in space.items():
            self._space[name] = (
                distributions.CategoricalDistribution(own.choices)
                if own.choices
                else distributions.FloatDistribution(own.low, own.high, log=own.log)
            )
        self._fixed = {START: starts[0]} if len(starts) == 1 else {}
        state = np.random.SeedSequence((seed, fold)).generate_state(1)[0]
        with _quiet():
            sampler = found.samplers.TPESampler(
                seed=int(state),
                # The portfolio's own settings are told first, and proposals begin near them.
                n_startup_trials=1,
                gamma=lambda count: math.ceil(_GOOD * count),
                multivariate=True,
                constant_liar=True,
            )
        self._optuna, self._study = found, found.create_study(sampler=sampler)
        self._asked: list[optuna.Trial] = []

    def know(self, values: Mapping[str, Any], rank: float) -> None:
        """Tell what is known of a setting that nobody proposed; beyond the bounds it is no trial.

        Args:
            values: setting → value.
            rank: of its score.
        """
        params = {name: values[name] for name in self._space}
        inside = all(own.has(values[name]) for name, own in self._searched.items())
        if inside and math.isfinite(rank):
            made = self._optuna.trial.create_trial(
                params=params, distributions=self._space, value=rank, intermediate_values={1: rank}
            )
            self._study.add_trial(made)

    def ask(self, count: int) -> list[tuple[int, dict[str, Any]]]:
        """Return so many proposals, each with its number; none is told yet."""
        with _quiet():
            self._asked = [self._study.ask(self._space) for _ in range(count)]
        return [(trial.number, {**self._fixed, **trial.params}) for trial in self._asked]

    def tell(self, shorts: Sequence[float], ranks: Mapping[int, float]) -> None:
        """Tell what became of what was asked for last, in the order of the proposals.

        Args:
            shorts: the rank of each after a short training.
            ranks: of those that were trained to the end, by number.
        """
        for trial, short in zip(self._asked, shorts, strict=True):
            if math.isfinite(short):
                trial.report(short, 0)
            rank = ranks.get(trial.number, math.inf)
            if math.isfinite(rank):
                trial.report(rank, 1)
                self._study.tell(trial, rank)
            else:
                self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials, in order."""
        found: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False)
        return found


class Storage:
    """Where studies are kept for others to look at, such as `optuna-dashboard`.

    Attributes:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        """Open it.

        Args:
            url: of a database, as SQLAlchemy takes it.

        Raises:
            OutputError: where it cannot be opened.
        """
        self.url, self._optuna = url, load_optuna()
        with self._told():
            self._storage = self._optuna.storages.RDBStorage(url)

    def close(self) -> None:
        """Close its connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def keep(self, name: str, study: FoldStudy, *, greater_is_better: bool) -> None:
        """Add the trials of a study that are not there yet.

        Args:
            name: of the study that is kept.
            study: of a fold.
            greater_is_better: whether a score is a rank with the other sign.

        Raises:
            OutputError: where that fails.
        """
        sign = -1.0 if greater_is_better else 1.0
        with self._told():
            kept = self._optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize" if greater_is_better else "minimize",
                load_if_exists=True,
            )
            there = len(kept.get_trials(deepcopy=False))
            for trial in study.trials[there:]:
                # To Optuna the last score of one that was pruned is its value.
                long = trial.state == self._optuna.trial.TrialState.COMPLETE
                value = sign * trial.value if long and trial.value is not None else None
                steps = {step: sign * rank for step, rank in trial.intermediate_values.items()}
                kept.add_trial(
                    self._optuna.trial.create_trial(
                        state=trial.state,
                        value=value,
                        params=trial.params,
                        distributions=trial.distributions,
                        intermediate_values=steps,
                    )
                )

    def studies(self, names: Sequence[str]) -> list[optuna.Study]:
        """Return the studies of these names.

        Raises:
            UsageError: where one is not there.
            OutputError: where the storage cannot be read.
        """
        with self._told():
            there = {s.study_name for s in self._optuna.get_all_study_summaries(self._storage)}
            lacking = [name for name in names if name not in there]
            if lacking:
                raise UsageError(f"there is no study {lacking[0]!r} in {self.url}.")
            return [
                self._optuna.load_study(study_name=name, storage=self._storage) for name in names
            ]

    @contextmanager
    def _told(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        errors = (SQLAlchemyError, self._optuna.exceptions.StorageInternalError, ImportError)
        try:
            yield
        except errors as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise OutputError(
                f"the storage {self.url} cannot be used: {reason}; give another --storage."
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Optuna call a feature experimental without a word to the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
