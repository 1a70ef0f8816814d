# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the default scorer: what a headline says about a share, read clause by clause.

A word of direction (rises, cut) means what moves: sales that fall are bad, costs that fall are
good, and alone it is the share that moves. Then come who says what against it: "not", "less than
expected", "despite"; after "but" counts more. Of several statements the sum counts, squeezed into
-1 to 1; what was said of the future (guidance, outlook) weighs more than what has been.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from iverson.signals import headline_words as words

SOFTNESS = 1.2  # a single whole statement scores 1 / sqrt(1 + SOFTNESS), 0.67
AHEAD, BEHIND = 5, 9  # tokens within which a figure belongs to a word of direction
NOT_REACH = 4  # tokens that a "not" reaches ahead
NEGATED = -0.7
OF_THE_FUTURE = 1.3
AFTER_BUT, BEFORE_BUT = 1.5, 0.6
IN_SPITE = 0.3
PERHAPS = 0.6

_APART = "as on after in at from by to amid with"  # what follows is not what moves
_MARKS = frozenset(";,.!?:")
_NOISE = re.compile(r"https?://\S+|\S{1,64}@\S+|@\w+|\$[A-Za-z][A-Za-z.]{0,5}\b")
_MOVE = r"(?<![\w.%])[+-]\s?\d[\d.]*\s?%"  # "+4.3% pre", "(-2%)"
_TOKEN = _MOVE + r"|\d[\d,.]*|[a-z][a-z'&-]*[a-z]|[a-z]|[;:,.!?]"
_NUMBER = r"(?<!\d)((?!(?:19|20)\d\d\b)-?\d[\d,]*(?:\.\d+)?)"  # no year
_COMPARED = re.compile(
    r"\b(profit|loss|sales|revenues?|income|eps|ebit|earnings|turnover|revs)\b([^;.\d]{0,50})"
    rf"{_NUMBER}[^;]{{0,45}}?\b(?:from|compared to|compared with|vs\.?|versus|against)\b"
    rf"([^;\d]{{0,40}}){_NUMBER}"
)


def score(headline: str) -> float | None:
    """Return the score of a headline from -1 to 1; None: the words say nothing either way."""
    text = _NOISE.sub(" ", headline).lower().replace("\u2019", "'")
    total, said = 0.0, False
    clauses = list(_clauses(_tokens(text)))
    turned = any(turns for turns, _ in clauses[1:])
    for place, (turns, clause) in enumerate(clauses):
        values = list(_statements(clause))
        said = said or bool(values)
        weight = 1.0
        if turned:
            weight = AFTER_BUT if turns and place else BEFORE_BUT
        total += weight * sum(values)
    moves = any(_direction(token) for _, clause in clauses for token in clause)
    if not moves and (compared := _compared(text)):
        total, said = compared, True
    if not said:
        return None
    if text.rstrip().endswith("?"):
        total *= PERHAPS
    return total / math.sqrt(total * total + SOFTNESS)


# -- from text to clauses --------------------------------------------------------------------------


def _tokens(text: str) -> list[str]:
    """Return words, marks and known phrases, the longest phrase first."""
    return _lexer().findall(text)


def _clauses(tokens: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """Yield clauses, and whether a "but" opens one."""
    clause: list[str] = []
    turns = False
    for token in tokens:
        opens = token in _plain(words.TURNS)
        if opens or token in _MARKS:
            if clause:
                yield turns, clause
                turns = False
            clause, turns = [], turns or opens
        else:
            clause.append(token)
    if clause:
        yield turns, clause


# -- from a clause to its statements ---------------------------------------------------------------


def _statements(clause: Sequence[str]) -> Iterator[float]:
    less = any(token in _split(words.LESS_THAN_THOUGHT) for token in clause)
    rating = _rating(clause)
    if rating is not None:
        yield rating * (NEGATED if any(one in _plain(words.NOT) for one in clause) else 1.0)
        return
    figures = {place: _figure_of(clause, place) for place, token in enumerate(clause)
               if _direction(token)}  # fmt: skip
    weight = 1.0
    for place, token in enumerate(clause):
        if token in _plain(words.DESPITE):
            weight = IN_SPITE
        value = None if place in figures.values() else _value(clause, place, figures)
        if value is None:
            continue
        if less and (_direction(token) or token in _forms(f"lose {words.BURDENS}")):
            value *= NEGATED
        before = clause[max(0, place - NOT_REACH) : place]
        if any(one in _plain(words.NOT) for one in before):
            value *= NEGATED
        if any(one in _plain(words.PERHAPS) for one in before):
            value *= PERHAPS
        yield weight * value


def _value(clause: Sequence[str], place: int, figures: Mapping[int, int | None]) -> float | None:
    """Return what a token says; None: nothing. `figures` are what each direction moves."""
    token = clause[place]
    if token[0] in "+-":
        return 0.8 if token[0] == "+" else -0.8
    phrase = _phrases().get(token)
    if phrase is not None:
        return phrase or None
    alone = _valued().get(token)
    figure, sign = figures.get(place), _direction(token)
    if figure is None:
        told = any(one[0].isdigit() for one in clause[max(0, place - 3) : place])
        return 0.6 * sign if alone is None and sign and told else alone  # "a 25 pct increase"
    name = clause[figure]
    if name in _forms(words.BURDENS):
        return -0.8 * sign
    size = max(0.8, abs(alone or 0.0))
    return sign * size * (OF_THE_FUTURE if name in _forms(words.AHEAD) else 1.0)


def _figure_of(clause: Sequence[str], place: int) -> int | None:
    """Return where the figure is that moves: after the word of direction, else before it."""
    ahead = range(place + 1, min(len(clause), place + 1 + AHEAD))
    for where in ahead:
        if clause[where] in _plain(_APART):
            break
        if _is_figure(clause[where]):
            return where
    behind = range(place - 1, max(-1, place - 1 - BEHIND), -1)
    return next((where for where in behind if _is_figure(clause[where])), None)


def _is_figure(token: str) -> bool:
    return token in _forms(words.FIGURES) or token in _forms(words.BURDENS)


def _direction(token: str) -> float:
    return 1.0 if token in _forms(words.UP) else -1.0 if token in _forms(words.DOWN) else 0.0


def _rating(clause: Sequence[str]) -> float | None:
    """Return what an analyst's rating says; None: the clause gives none."""
    ups, downs = ("upgrade", "upgrades", "upgraded"), ("downgrade", "downgrades", "downgraded")
    if any(token in downs for token in clause):
        return -1.0
    if any(token in ups[1:] for token in clause) or (ups[0] in clause and "to" in clause):
        return 1.0
    for place, token in enumerate(clause):
        kind = next((sign for sign, listed in ((1, words.BUY), (-1, words.SELL), (0, words.HOLD))
                     if token in _plain(listed)), None)  # fmt: skip
        if kind is None:
            continue
        before = clause[max(0, place - AHEAD) : place]
        moved = [_direction(one) for one in before if _direction(one)]
        if moved and any(one in ("to", "at") for one in before):
            return moved[-1]
        if any(one in _forms(words.BEGIN) for one in before) and kind:
            return 0.8 * kind
        if any(one in _forms(words.KEEP) for one in clause) and kind:
            return 0.3 * kind
    return None


def _compared(text: str) -> float:
    """Return what two figures say, "profit of 2.4 mn compared to 1.1 mn"; 0: nothing."""
    found = _COMPARED.search(text)
    if found is None:
        return 0.0
    name, about, first, between, second = found.groups()
    now, then = (float(one.replace(",", "")) for one in (first, second))
    if ("profit" in between) != (name == "profit" or "profit" in about) and "loss" in text:
        return 0.8 if name == "profit" else -0.8  # from a loss to a profit, or back
    if now == then:
        return 0.0
    better = now > then
    return 0.8 if better != (name == "loss" or "loss" in about) else -0.8


# -- the lists, made once --------------------------------------------------------------------------


@cache
def _lexer() -> re.Pattern[str]:
    known = {*_phrases(), *_split(words.LESS_THAN_THOUGHT), *_split(words.MORE_THAN_THOUGHT)}
    ordered = sorted(known, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, ordered))})(?![\w-])|{_TOKEN}")


@cache
def _phrases() -> dict[str, float]:
    return {one: value for value, listed in words.PHRASES.items() for one in listed.split("|")}


@cache
def _valued() -> dict[str, float]:
    found: dict[str, float] = {}
    for sign, lists in ((1.0, words.GOOD), (-1.0, words.BAD)):
        for size, listed in sorted(lists.items()):
            for word in listed.split():
                found.update(dict.fromkeys(words.forms(word), sign * size))
    return found


@cache
def _plain(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


@cache
def _split(listed: str) -> frozenset[str]:
    return frozenset(listed.split("|"))


@cache
def _forms(listed: str) -> frozenset[str]:
    return frozenset(form for word in listed.split() for form in words.forms(word))
