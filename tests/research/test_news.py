# SPDX-License-Identifier: GPL-3.0-or-later
"""A strategy that reads headlines goes through the same spine, and cannot read tomorrow's."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.errors import ConfigError, DataError
from iverson.market import news_synthetic, sample
from iverson.market.bars import Bars
from iverson.market.columns import attach
from iverson.market.feeds import MADE_UP_BESIDE
from iverson.market.news import SYNTHETIC, Headline, headline
from iverson.market.news_columns import NewsColumns, Sightings
from iverson.market.news_scores import ScoreFile
from iverson.market.news_store import NewsStore
from iverson.monitoring.reports import read_report
from iverson.research.backtest import Prepared
from iverson.research.news import News
from iverson.research.search import Task, search, why_engine
from iverson.research.sweep import engine_score, explain, kernel_runs, score_of
from iverson.testing import bars
from strategies.news_reversal import NewsReversal, grid, system

SYMBOLS = ["AAPL", "IBM", "MSFT"]
LOOSE = dict(fall=0.5, worst=-0.4, patience=5)  # enough trades for a short test


@cache
def made_up() -> tuple[Headline, ...]:
    return tuple(news_synthetic.synthesize(sample.load(SYMBOLS), seed=0))


def reading(**more: Any) -> iv.System:
    """The strategy over the sample with made-up headlines."""
    given = dict(symbols=SYMBOLS, columns=[News(states=made_up())], bars=sample.load(SYMBOLS))
    return replace(system, **{**given, **more}).with_params(**LOOSE)


class OnBadNews(iv.Strategy):
    """Buys at the close of a bar with bad news: as simple as can be."""

    reads = ("news_score",)
    warm_up = 62

    def entry(self, data: Any) -> iv.Long:
        return iv.Long(bt.If(data.news_score < -0.3, 3, 0), data.close, 0.97 * data.close)


# Through the spine


def test_strategy_trades_after_bad_news_only() -> None:
    run = reading().backtest("2003", "2008")

    assert len(run.trades) > 10
    for trade in run.trades.itertuples():
        own = run.bars[trade.symbol]
        entered = int(np.searchsorted(own.session, np.datetime64(trade.entry_session, "D")))
        assert own.extra["bad_news_age"][entered - 1] <= LOOSE["patience"]
        assert own.extra["bad_news_score"][entered - 1] <= LOOSE["worst"]


def test_kernel_gives_the_engines_scores_to_the_bit() -> None:
    ready = reading()
    setup = ready._setup({})
    prepared = Prepared.of(ready.load())
    first, last = datetime(2003, 1, 2).date(), datetime(2006, 12, 29).date()  # noqa: DTZ001 (dates)
    sets = [dict(patience=p, fall=f) for p in (1, 5) for f in (0.5, 1.0)]
    task = Task((0, 0), setup, sets, first, last, "sharpe", 0)

    assert explain(setup, prepared) is None
    runs = kernel_runs(task, prepared)
    for params, run in zip(sets, runs, strict=True):
        assert run is not None
        assert score_of(task, params, run) == engine_score(task, params, prepared)
    assert any(len(run[2]) for run in runs if run)


@pytest.mark.parametrize("jobs", [1, 2])
def test_search_in_processes_gives_the_same(jobs: int) -> None:
    ready = reading()
    given = ready.load()
    span = (datetime(2003, 1, 2).date(), datetime(2004, 12, 31).date())  # noqa: DTZ001 (dates)
    sets = [dict(fall=f) for f in (0.5, 1.0)]
    (scores,) = search(
        ready._setup({}), given, [span], sets, objective="sharpe", minimum_trades=0, jobs=jobs
    )
    task = Task((0, 0), ready._setup({}), sets, *span, "sharpe", 0)

    assert why_engine(ready._setup({}), given) is None
    assert list(scores) == [engine_score(task, one, Prepared.of(given)) for one in sets]


def test_parameters_of_the_grid_are_the_strategys() -> None:
    assert set(grid) <= set(NewsReversal.params._getkeys())
    assert len(Path(str(__import__("strategies.news_reversal", fromlist=["x"]).__file__))
               .read_text(encoding="utf-8").splitlines()) < 60  # fmt: skip


# What is refused


def test_without_headlines_the_strategy_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reads bad_news_score, .* do not have; give"):
        reading(columns=()).backtest("2003", "2004")
    with pytest.raises(DataError, match=r"there are no headlines in .*; run `iverson news import"):
        reading(columns=[iv.News()], store=tmp_path).backtest("2003", "2004")


def test_line_that_was_not_declared_is_refused_with_a_hint() -> None:
    class Undeclared(OnBadNews):
        reads = ()

    with pytest.raises(ConfigError, match=r"no attribute 'news_score'.*named first, as reads ="):
        replace(reading(), strategy=Undeclared, params={}).backtest("2003", "2004")


@pytest.mark.parametrize(
    ("given", "words"),
    [(dict(latency_seconds=-1), "latency_seconds is -1"), (dict(bad=0.4), "bad is 0.4")],
)
def test_settings_of_news_are_checked(given: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        News(**given)  # type: ignore[arg-type]  # floats


@pytest.mark.parametrize("columns", [News(states=()), ["news"], None], ids=str)
def test_columns_that_are_no_list_of_them_are_refused(columns: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected a list, as \[iv.News\(\)\]"):
        replace(system, columns=columns)


# The passport and the ledger


def test_passport_names_headlines_model_and_latency() -> None:
    words = reading().backtest("2003", "2004").passport.columns

    assert "headlines, 2000-" in words
    assert "lexicon" in words
    assert "latency 60 s" in words


def test_results_on_made_up_headlines_say_so_everywhere(tmp_path: Path) -> None:
    run = reading().backtest("2003", "2004", journal=tmp_path / "run.db")
    real = [replace(one, source="wire") for one in made_up()]
    other = reading(columns=[News(states=real)]).backtest("2003", "2004")

    assert str(run).startswith("SYNTHETIC DATA: NewsReversal")
    assert MADE_UP_BESIDE in run.notes
    assert "SYNTHETIC headlines" in run.passport.columns
    assert run.trades.attrs["mark"] == "SYNTHETIC DATA"
    assert [text.get_text() for text in run.plot().texts] == ["SYNTHETIC DATA"]
    with iv.Journal(tmp_path / "run.db", read_only=True) as journal:
        assert read_report(journal).text().startswith(MADE_UP_BESIDE)
    assert str(other).startswith("NewsReversal")
    assert "SYNTHETIC" not in f"{other} {other.passport}"


def test_other_news_is_other_data() -> None:
    digest = reading().backtest("2003", "2004").passport.digest
    others = [
        News(states=made_up()[:-50]),
        News(states=made_up(), latency_seconds=86_400),
        News(states=made_up(), bad=-0.8),
    ]

    assert digest == reading().backtest("2003", "2004").passport.digest
    found = {reading(columns=[one]).backtest("2003", "2004").passport.digest for one in others}
    assert len({digest, *found}) == 4


def test_system_with_news_can_be_pickled() -> None:
    news = News(states=made_up()[:10])
    source = news.opened(SYMBOLS, Path("nowhere"))

    assert pickle.loads(pickle.dumps(news)) == news  # noqa: S301 (made here)
    again = pickle.loads(pickle.dumps(source))  # noqa: S301 (made here)
    assert [one.digest for one in attach(sample.load(SYMBOLS), [again]).values()] == [
        one.digest for one in attach(sample.load(SYMBOLS), [source]).values()
    ]


# Scores are kept


class Counting:
    """A scorer that counts what it is asked."""

    name = "counting"

    def __init__(self, version: str = "1", score: float = 0.5) -> None:
        self.version, self._score, self.asked = version, score, 0

    def score(self, headlines: Sequence[str]) -> np.ndarray:
        self.asked += len(headlines)
        return np.full(len(headlines), self._score)


def test_scores_are_kept_with_name_and_version_and_made_anew_for_another(tmp_path: Path) -> None:
    states = made_up()[:5]
    first, again, other = Counting(), Counting(score=0.1), Counting("2", -0.5)
    for scorer in (first, again, other):
        scores = ScoreFile(tmp_path).scored(states, scorer)
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]

    assert (first.asked, again.asked, other.asked) == (5, 0, 5)
    assert set(scores) == {-0.5}
    assert {(row["model"], row["version"], row["score"]) for row in rows} == {
        ("counting", "1", 0.5), ("counting", "2", -0.5),
    }  # fmt: skip


def test_score_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    states = made_up()[:3]
    ScoreFile(tmp_path).scored(states, Counting())
    path = tmp_path / "scores.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again = Counting()
    ScoreFile(tmp_path).scored(states, again)

    assert again.asked == 1
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize("score", [1.5, float("nan")])
def test_score_that_is_none_is_refused(tmp_path: Path, score: float) -> None:
    with pytest.raises(DataError, match="expected a number from -1 to 1"):
        ScoreFile(tmp_path).scored(made_up()[:3], Counting(score=score))
    assert not (tmp_path / "scores.jsonl").exists()


def test_store_beside_the_bars_is_read(tmp_path: Path) -> None:
    NewsStore(tmp_path / "news").add(made_up())
    kept = reading(columns=[iv.News()], store=tmp_path).backtest("2003", "2004")
    given = reading().backtest("2003", "2004")

    assert kept.equity.equals(given.equity)
    assert NewsStore(tmp_path / "news").digest in kept.passport.columns


# The look-ahead check


@dataclass(frozen=True)
class JoinedByDate(NewsColumns):
    """What everybody writes first: the headline of a date on the bar of that date."""

    def bars_of(self, bars: Bars, known: Sightings) -> Any:
        return np.searchsorted(bars.session, known.published.astype("datetime64[D]"))


@dataclass(frozen=True)
class EditedTexts(NewsColumns):
    """Items where they were first seen, but with the text of their last edit."""

    def columns(self, bars: Bars) -> dict[str, Any]:
        one = self.sightings[bars.symbol]
        last = dict(zip(one.item, one.score, strict=True))
        edited = replace(one, score=np.array([last[item] for item in one.item]))
        return NewsColumns({bars.symbol: edited}, self.latency, self.bad).columns(bars)


@dataclass(frozen=True)
class Wrong:
    """News made into columns by another class."""

    kind: type[NewsColumns]
    news: News

    def opened(self, symbols: Sequence[str], store: Path) -> NewsColumns:
        return self.kind(**vars(self.news.opened(symbols, store)))


def evenings() -> list[Headline]:
    """Headlines an hour after the close, every third session, some of them edited later."""
    own = sample.load(["IBM"])["IBM"]
    closes = own.at.astype("datetime64[us]").tolist()
    found = []
    for number in range(300, len(closes), 3):
        at = closes[number].replace(tzinfo=UTC) + timedelta(hours=1, seconds=1)
        text = "IBM misses estimates" if number % 2 else "IBM opens office"
        first = headline(text, published_at=at, symbols=["IBM"], source="wire", id=str(number))
        found.append(first)
        if number % 4 == 0:
            later = "IBM office opens, profit plunges"
            seen = at + timedelta(days=2)
            found.append(replace(first, headline=later, seen_at=seen, revision=1))
    return found


STEPS = {"sample": 5, "decisions": 15}


def check(columns: Any, strategy: type[iv.Strategy] = OnBadNews) -> Any:
    one = iv.System(strategy, ["IBM"], bars=sample.load(["IBM"]), columns=[columns])
    return one.check("2003", "2003", **STEPS)


def test_honest_news_passes() -> None:
    result = check(News(states=evenings()))

    assert result.passed, str(result)
    assert result.decision_bars > 25
    assert "later columns change" in [step.name for step in result.steps]
    assert any("columns made anew beside the bars" in note for note in result.notes)


@pytest.mark.parametrize("kind", [JoinedByDate, EditedTexts])
def test_news_that_knows_too_much_is_caught(kind: type[NewsColumns]) -> None:
    result = check(Wrong(kind, News(states=evenings())))
    failed = {step.name for step in result.steps if not step.passed}

    assert not result.passed
    assert {"the data end", "later columns change"} <= failed


def test_news_reversal_passes() -> None:
    result = reading(symbols=["AAPL", "IBM"]).check("2003", "2003", **STEPS)

    assert result.passed, str(result)
    assert result.decision_bars > 2


# Other columns


@dataclass(frozen=True)
class Weekday:
    """A source of one's own: which day of the week it is."""

    words: str = "weekdays"

    def opened(self, symbols: Sequence[str], store: Path) -> Weekday:
        return self

    def columns(self, given: Bars) -> Mapping[str, Any]:
        return {"weekday": (given.session.astype(np.int64) + 3) % 7}

    def as_of(self, at: datetime) -> Weekday:
        return self

    def changed(self, at: datetime, seed: int) -> Weekday:
        return self


def test_columns_of_ones_own_become_lines() -> None:
    class OnMondays(iv.Strategy):
        reads = ("weekday", "news_score")
        warm_up = 62

        def entry(self, data: Any) -> iv.Long:
            wanted = bt.And(data.weekday == 0, data.news_score <= 0)
            return iv.Long(bt.If(wanted, 3, 0), data.close, 0.97 * data.close)

    given = [Weekday(), News(states=made_up())]
    run = iv.System(OnMondays, ["IBM"], bars=sample.load(["IBM"]), columns=given).backtest("2003")
    mondays = {verdict.signal.session.weekday() for verdict in run.record.verdicts}

    assert mondays == {0}
    assert run.passport.columns.startswith("weekdays; ")


# Made-up headlines


def test_made_up_headlines_are_labelled_and_the_same_for_a_seed() -> None:
    again = news_synthetic.synthesize(sample.load(SYMBOLS), seed=0)

    assert list(made_up()) == again
    assert all(one.source.startswith(SYNTHETIC) for one in again)
    assert again != news_synthetic.synthesize(sample.load(SYMBOLS), seed=1)
    assert len(again) > 300


def test_made_up_headlines_rest_on_nothing_after_them() -> None:
    """The bars of later sessions do not change what was made up before."""
    whole = sample.load(["IBM"])["IBM"]
    cut = whole[:2000]
    end = cut.session[-1].item()
    first, second = (
        [one for one in news_synthetic.synthesize({"IBM": own}, seed=3)
         if one.published_at.date() <= end]
        for own in (whole, cut)
    )  # fmt: skip

    assert first == second


def test_made_up_bad_news_comes_with_falls_before_their_close() -> None:
    given = bars(" ".join(f"{100 + n % 3}" for n in range(100)) + " gap 80")
    told = [
        one for seed in range(8) for one in news_synthetic.synthesize({"TEST": given}, seed=seed)
    ]
    fall = given.session[-1].item()
    on_the_fall = [one for one in told if one.published_at.date() == fall]

    assert on_the_fall
    close = given.at[-1].astype("datetime64[us]").item().replace(tzinfo=UTC)
    early = [one for one in on_the_fall if one.seen_at < close - timedelta(minutes=10)]
    scores = News(states=early).opened(["TEST"], Path("nowhere")).sightings["TEST"].score
    assert (scores < 0).mean() > 0.8
