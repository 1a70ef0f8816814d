# SPDX-License-Identifier: GPL-3.0-or-later
import html
import re
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.monitoring.summary import summary
from iverson.research import report, tearsheet
from iverson.research.report_facts import Facts
from iverson.research.report_parts import in_unit, money, number, percent, span, without_paths
from iverson.research.report_words import costs_words, verdict
from iverson.research.results import HEADLINE

HOSTILE = '<script>alert("A$B$")</script>&'
SESSIONS = 420
SECTIONS = (
    *("warnings", "equity", "luck", "folds", "efficiency", "stability", "maps", "fills"),
    *("readings", "regimes", "confidence", "denials", "exits", "costs", "fill-rate"),
    *("buy-and-hold", "passport", "settings"),
)


def wave(symbol: str, seed: int) -> Bars:
    generator = np.random.default_rng(seed)
    first = new_york().ordinal(pd.Timestamp("2010-01-04").date())
    sessions = new_york().sessions[first : first + SESSIONS].copy()
    close = 50 * np.exp(np.cumsum(generator.normal(0, 0.015, SESSIONS)))
    opened = np.r_[close[0], close[:-1]]
    reach = np.exp(np.abs(generator.normal(0, 0.008, (2, SESSIONS))))
    prices = [opened, np.maximum(opened, close) * reach[0],
              np.minimum(opened, close) / reach[1], close]  # fmt: skip
    return Bars(
        symbol, "1d", new_york().closes(sessions), sessions,
        *(np.round(price, 2) for price in prices),
        np.full(SESSIONS, 1e7), np.ones(SESSIONS), np.zeros(SESSIONS),
    )  # fmt: skip


class Dip(iv.Strategy):
    params = dict(fall=0.01)
    warm_up = 65

    def entry(self, data):
        return iv.Long(
            confidence=(data.close < data.close(-1) * (1 - self.p.fall)) * 5,
            limit=data.close,
            stop=data.close * 0.97,
            target=data.close * 1.03,
        )


BARS = {"ONE": wave("ONE", 1), HOSTILE: wave(HOSTILE, 2)}
SYSTEM = iv.System(Dip, symbols=list(BARS), bars=BARS)
SPANS = dict(in_sample=160, out_of_sample=60, minimum_trades=3)


@pytest.fixture(scope="module")
def result():
    return SYSTEM.walk_forward(grid=dict(fall=[0.005, 0.01]), **SPANS)


@pytest.fixture(scope="module")
def page(result):
    return report.render(Facts(result), tearsheet="tearsheet.html")


@pytest.fixture
def no_tearsheet(monkeypatch):
    monkeypatch.setattr(tearsheet, "find_spec", lambda name: None)


def shown(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_the_sections_are_there_in_their_order(page):
    assert re.findall(r'<section id="([^"]+)">', page) == list(SECTIONS)


def test_each_headline_number_stands_as_computed_with_what_it_rests_on(page, result):
    tiles = page.split('<div class="tile">')[1:]

    for name, tile in zip(HEADLINE, tiles, strict=True):
        metric = result.metrics[name]
        words = shown(tile)
        assert in_unit(metric.value, metric.unit) in words
        assert (span(metric.low, metric.high, metric.unit) or "no interval") in words
        assert f"{metric.observations:,}" in words
        assert metric.note in words


def test_the_tables_say_what_the_result_says(page, result):
    words = shown(page)

    for reading in ("worst", "base", "best"):
        metrics = result.metrics_by_reading[reading]
        assert percent(metrics["total_return"].value) in words
    for fold in result.results:
        assert percent(fold.out_of_sample_return) in words
    fees = sum(fill.commission for fill in result.record.fills)
    spread = sum(fill.spread * fill.size for fill in result.record.fills)
    for paid in (fees, spread, fees + spread):
        assert money(paid) in words
    for rule, count in result.denied["rule"].value_counts().items():
        assert rule in words
        assert f"{count:,}" in words
    assert number(result.rank_stability) in words
    assert result.passport.digest in words
    assert "survivorship" in words.lower()
    assert repr(result.setup.sizing) in words


def test_filled_and_missed_entries_make_up_the_approved_ones(result):
    facts = Facts(result)

    filled = {fill.order_id for fill in result.record.fills if fill.leg == "entry"}
    assert len(facts.approved) == len(filled) + len(facts.missed)
    assert facts.missed["filled"].all()


def test_every_faultless_denial_is_in_the_shadow_book(result):
    counts = Facts(result).denied["rule"].value_counts()

    assert counts.to_dict() == result.denied["rule"].value_counts().to_dict()


def test_hostile_names_are_text(page):
    assert "<script" not in page
    assert html.escape(HOSTILE, quote=False)[:12] in page


def test_the_page_refers_to_nothing_outside(page):
    assert not re.findall(r"https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page))
    assert not re.findall(r'src="(?!data:)', page)
    assert re.findall(r'href="([^#][^"]*)"', page) == ["tearsheet.html", "tearsheet.html"]


def test_the_same_result_gives_the_same_bytes(result, no_tearsheet, tmp_path):
    first = report.write_report(result, tmp_path / "one").read_bytes()
    second = report.write_report(result, tmp_path / "two").read_bytes()

    assert first == second
    assert str(tmp_path).encode() not in first


def test_a_report_goes_into_a_folder_or_a_named_file(result, no_tearsheet, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "render", lambda facts, **_: "page")

    assert report.write_report(result, tmp_path / "deep" / "folder").name == "index.html"
    assert report.write_report(result, tmp_path / "name.html") == tmp_path / "name.html"
    left = sorted(path.name for path in tmp_path.rglob("*.html"))
    assert left == ["index.html", "name.html"]


def test_an_older_report_is_replaced_and_survives_a_failure(
    result, no_tearsheet, tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "render", lambda facts, **_: "new")
    (tmp_path / "index.html").write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(report, "publish", fail)
        with pytest.raises(ConfigError, match="No space left on device"):
            report.write_report(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "old"

    report.write_report(result, tmp_path)
    assert (tmp_path / "index.html").read_text() == "new"


def test_a_place_that_cannot_be_written_is_one_sentence(result, no_tearsheet, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"the report cannot be written to .*index\.html"):
        report.write_report(result, tmp_path / "file")


def test_without_quantstats_the_page_says_so(result, no_tearsheet, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "sections", lambda facts: [])

    page = report.write_report(result, tmp_path).read_text()

    assert "tearsheet.html" not in page
    assert "No tearsheet: quantstats is not installed" in shown(page)


def test_a_tearsheet_that_fails_does_not_take_the_report_with_it(result, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no")

    monkeypatch.setattr(tearsheet, "_quantstats", fail)
    monkeypatch.setattr(report, "sections", lambda facts: [])

    page = report.write_report(result, tmp_path).read_text()

    assert "No tearsheet: quantstats failed (ValueError)" in shown(page)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_the_tearsheet_is_written_beside_and_linked(result, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "sections", lambda facts: [])

    page = report.write_report(result, tmp_path / "a b.html")

    sheet = (tmp_path / "a b-tearsheet.html").read_text()
    assert 'href="a%20b-tearsheet.html"' in page.read_text()
    assert "<link" not in sheet
    assert "buy and hold" in sheet
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b-tearsheet.html", "a b.html"]


def test_a_system_that_never_traded_has_a_report():
    never = SYSTEM.with_params(fall=0.9).walk_forward(**SPANS)

    page = shown(report.render(Facts(never)))

    assert "No verdict: the system made no trade out of sample." in page
    assert "insufficient data" in page
    assert "stood aside" in page or "n/a" in page


def with_sharpe(result, low: float, high: float, *, enough: bool = True):
    metric = replace(result.metrics["sharpe"], low=low, high=high, enough=enough)
    metrics = MappingProxyType({**result.metrics.metrics, "sharpe": metric})
    other = replace(result)
    other.__dict__["metrics"] = replace(result.metrics, metrics=metrics)
    other.__dict__["trades"] = pd.concat([result.trades] * 40, ignore_index=True)
    return other


def test_the_verdict_follows_from_the_interval(result):
    assert verdict(with_sharpe(result, -0.2, 1.4)).startswith("No evidence of an edge")
    assert "includes 0" in verdict(with_sharpe(result, 0.0, 1.4))
    assert verdict(with_sharpe(result, 0.1, 1.4)).startswith("Evidence of an edge in this sample")
    assert verdict(with_sharpe(result, -2.0, -0.1)).startswith("Evidence of a loss")
    assert verdict(with_sharpe(result, 0.1, 1.4, enough=False)).startswith("Insufficient data")


def test_the_benchmark_is_measured_over_the_same_sessions(result):
    facts = Facts(result)

    expected = summary(facts.held, [], starting_equity=result.start, seed=result.plan.seed)
    assert facts.held.index.equals(result.equity.index)
    assert facts.held_metrics["sharpe"] == expected["sharpe"]


def test_numbers_are_written_for_people():
    assert percent(-0.0512) == "−5.12%"
    assert percent(-0.000001) == "0.00%"
    assert money(-12.5) == "−$12.50"
    assert money(-0.001) == "$0.00"
    assert number(float("inf")) == "infinite"
    assert number(float("nan")) == "n/a"
    assert costs_words(iv.Costs.none()).startswith("none")


def test_folders_are_left_out_of_a_passport():
    given = "/srv/somewhere/prices.csv; C:\\data\\more.csv; sample"

    assert without_paths(given) == "prices.csv; more.csv; sample"
