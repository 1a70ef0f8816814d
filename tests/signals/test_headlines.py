# SPDX-License-Identifier: GPL-3.0-or-later
"""The default scorer tells good headlines from bad ones, and says by what it was made."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError
from iverson.signals import headline_rules, headline_words, headlines
from iverson.signals.finbert import BATCH, FinBert
from iverson.signals.headlines import NEUTRAL, Lexicon, Vader, default_scorer

GOOD = """
Beats earnings, raises guidance
FDA approves Acme's asthma drug
Acme tops estimates and lifts full-year outlook
Acme upgraded to Buy at Brightwater
Acme upgraded to hold from sell
Brightwater raises Acme to Overweight from Neutral
Brightwater initiates Acme with Outperform
Price target raised to $80 at Brightwater
Acme shares soar as orders double
Acme gains 6% after strong holiday sales
Acme hits record high
Acme's costs decline 8%
Acme's debt falls for third year
Acme cuts costs as margins improve
Acme profit falls less than expected
Acme sales fall less than feared
Acme loses less than expected in third quarter
Acme's quarterly loss was smaller than expected
Acme narrows loss, lifts outlook
Acme misses on revenue but raises full-year guidance
Acme's results were weak but guidance was raised
Acme rallies despite weak market
Acme beats despite supply shortages
Acme not downgraded after review
Acme denies it faces bankruptcy
Acme not under investigation, regulator says
No recall needed for Acme pumps
Court dismisses lawsuit against Acme
Acme wins dismissal of patent lawsuit
Regulators drop probe into Acme
Acme resumes trading after clearing audit
Acme emerges from bankruptcy
Acme announces $2 billion share buyback
Acme raises dividend by 12%
Acme swings to profit
Acme profit more than doubles
Acme surges on takeover offer
Acme to be acquired for $40 a share
Acme Q2 EPS $1.32 vs $1.10 estimate
Acme Q3 loss $0.10 vs $0.25 loss a year ago
"""
BAD = """
FDA rejects drug
Misses estimates, cuts outlook
Halts trading
Acme beats on earnings but cuts full-year outlook
Acme beats estimates but warns on second half
Sales up, but Acme warns of weak second half
Strong quarter overshadowed as Acme slashes forecast
Downgrade to Buy from Strong Buy for Acme
Brightwater downgrades Acme to Buy from Strong Buy
Acme cut to Hold at Brightwater
Brightwater cuts Acme to Sell
Brightwater starts Acme at Underperform
Price target lowered to $20 at Brightwater
Acme fails to beat estimates
Acme fails to win approval
Acme is not approved to sell the drug in Europe
Acme does not expect to meet guidance
Acme expects no growth in sales
Acme revenue did not grow
Acme no longer profitable
Acme revenue rises less than expected
Acme earnings rise less than expected
Acme guidance falls short of expectations
Acme misses by $0.05
Acme sinks 20% as demand slows
Acme stock slides despite upbeat results
Acme plunges after CFO resigns amid accounting probe
Acme files for Chapter 11
Acme recalls 40,000 vehicles over brake defect
Acme faces class action over privacy breach
Acme hit by data breach
Acme loss widens as costs rise
Acme costs surge
Acme profit halves
Acme margins shrink on higher costs
Acme suspends dividend
Acme issues profit warning
Acme withdraws guidance
Acme prices secondary offering of 10 million shares
Acme delays launch of new chip
Acme to lay off 2,000 workers
Acme to restate accounts after error
Acme faces delisting
SEC charges Acme with fraud
Short seller accuses Acme of fraud
Acme swings to loss
Acme Q2 EPS $0.80 vs $1.10 estimate
Acme chief steps down amid probe
"""
PLAIN = """
Acme to report second quarter results on Thursday
Acme schedules earnings call
Acme names Jane Roe chief financial officer
Acme appoints two directors
Acme to present at Brightwater conference
Brightwater maintains Neutral on Acme
Brightwater reiterates Hold on Acme
Acme completes office move to Denver
Acme opens plant in Ohio
Acme reports results in line with estimates
Acme declares quarterly dividend of $0.20
Acme annual meeting set for May 12
Stocks moving in Thursday's session
What to watch: Acme, Brightwater and Northwind
"""


def told(text: str) -> float:
    return float(default_scorer().score([text])[0])


@pytest.mark.parametrize("text", GOOD.strip().splitlines())
def test_good_news_scores_above_neutral(text: str) -> None:
    assert told(text) >= NEUTRAL


@pytest.mark.parametrize("text", BAD.strip().splitlines())
def test_bad_news_scores_below_neutral(text: str) -> None:
    assert told(text) <= -NEUTRAL


@pytest.mark.parametrize("text", PLAIN.strip().splitlines())
def test_plain_news_is_neutral(text: str) -> None:
    assert abs(told(text)) < NEUTRAL


def test_two_pieces_of_news_weigh_more_than_one() -> None:
    assert told("Acme misses estimates, cuts outlook") < told("Acme misses estimates") < 0


def test_what_is_to_come_weighs_more_than_what_has_been() -> None:
    assert told("Acme beats estimates but cuts guidance") < 0
    assert told("Acme misses estimates but raises guidance") > 0


def test_question_is_weaker_than_the_statement() -> None:
    assert told("Acme shares plunge") < told("Acme shares plunge?") < 0


def test_vader_speaks_only_where_the_rules_have_nothing_to_say() -> None:
    assert headline_rules.score("What a wonderful, delightful, amazing day") is None
    assert 0 < told("What a wonderful, delightful, amazing day") < 0.4
    assert told("Acme united with energy trust") == 0.0


@given(st.text(max_size=300))
def test_any_text_has_a_score_from_minus_one_to_one(text: str) -> None:
    assert -1.0 <= told(text) <= 1.0


@given(st.permutations(["Acme beats estimates", "Acme misses", "Acme opens office"]))
def test_score_of_a_headline_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    assert default_scorer().score(texts).tolist() == [told(one) for one in texts]


def test_no_headlines_have_no_scores() -> None:
    assert default_scorer().score([]).shape == (0,)


def test_version_changes_with_a_word_and_with_a_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Lexicon().version
    assert usual == Lexicon().version == default_scorer().version
    found = {usual}
    for module in (headline_words, headline_rules):
        path = tmp_path / f"{module.__name__}.py"
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        path.write_text(f"{text}\nANOTHER = 1\n", encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(headlines, module.__name__.rpartition(".")[2], _loaded(path))
            found.add(Lexicon().version)

    assert len(found) == 3


def test_vader_alone_says_what_vader_says() -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    text = "FDA rejects drug; stock plunges"
    expected = SentimentIntensityAnalyzer().polarity_scores(text)["compound"]

    assert Vader().score([text]).tolist() == [expected]


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("another", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# A model that the user brings


class Pipeline:
    """Answers as a text-classification pipeline of transformers with `top_k=None`."""

    def __init__(self, *labels: str) -> None:
        self.labels = labels or ("positive", "negative", "neutral")
        self.batches: list[list[str]] = []

    def __call__(self, texts: list[str], **options: object) -> list[list[dict[str, object]]]:
        assert options == {"truncation": True}
        self.batches.append(texts)
        chances = {"beats": (0.7, 0.1, 0.2), "misses": (0.05, 0.9, 0.05)}
        return [
            [
                {"label": label, "score": chance}
                for label, chance in zip(self.labels, chances[text.split()[-1]], strict=True)
            ]
            for text in texts
        ]


def test_model_scores_by_good_less_bad() -> None:
    model = FinBert(Pipeline("Positive", "Negative", "Neutral"), version="weights of 2020")

    assert np.allclose(model.score(["Acme beats", "Acme misses"]), [0.6, -0.85])
    assert (model.name, model.version) == ("finbert", "weights of 2020")
    assert model.score([]).shape == (0,)


def test_model_is_asked_in_batches() -> None:
    pipeline = Pipeline()
    FinBert(pipeline, version="1").score(["Acme beats"] * (BATCH + 1))

    assert [len(batch) for batch in pipeline.batches] == [BATCH, 1]


def test_model_with_other_labels_is_refused() -> None:
    model = FinBert(Pipeline("LABEL_0", "LABEL_1", "LABEL_2"), version="1")

    with pytest.raises(ConfigError, match="labels are label_0, label_1, label_2; expected"):
        model.score(["Acme beats"])


def test_model_without_a_version_is_refused() -> None:
    with pytest.raises(ConfigError, match="version is empty"):
        FinBert(Pipeline(), version="")


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no model"):
        FinBert.load(tmp_path)


def test_model_without_transformers_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(ConfigError, match="needs transformers and torch"):
        FinBert.load(tmp_path)


def test_model_is_loaded_from_the_folder_alone_and_named_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, dict[str, object]]] = []

    class Auto:
        @staticmethod
        def from_pretrained(path: Path, **options: object) -> str:
            asked.append((path, options))
            return "loaded"

    fake = ModuleType("transformers")
    vars(fake).update(
        AutoModelForSequenceClassification=Auto,
        AutoTokenizer=Auto,
        pipeline=lambda task, *, model, tokenizer, top_k: Pipeline(),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    first = FinBert.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    second = FinBert.load(tmp_path)

    assert np.allclose(first.score(["Acme beats"]), [0.6])
    assert all(one == (tmp_path, {"local_files_only": True}) for one in asked)
    assert first.version != second.version == FinBert.load(tmp_path).version
