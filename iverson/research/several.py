# SPDX-License-Identifier: GPL-3.0-or-later
"""Several strategies in one system: one spine, one book, one gate; each keeps its own parameters.

Backtrader gets one strategy class, made of the others. It collects the signals of all and ranks
them together, so that the highest confidence comes first whoever has it, then the order of the
symbols, then that of the strategies. Everything that runs one strategy runs it unchanged. A
parameter is named by its strategy: `RsiReversion.period`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import isfunction
from typing import Any, ClassVar

from iverson.errors import ConfigError
from iverson.market.feeds import strictest
from iverson.model import Signal
from iverson.strategy import Strategy

_OWN = {"__init__", "entry", "signals", "warm_up"}  # what a strategy may bring of the spine's
_SENT = ("buy", "sell", "close", "cancel", "buy_bracket", "sell_bracket", "order_target_size",
         "order_target_value", "order_target_percent")  # fmt: skip
# of the spine's parameters, those that each strategy has for itself
_SHARED = ("max_sessions", "entry_sessions", "entry_minutes")


@dataclass(frozen=True)
class Use:
    """One strategy of a system, with parameters and symbols of its own.

    `symbols` () is all that the system trades; `name`, the class's unless given, is how trades,
    denials and parameters (`name.period`) tell it from the others.
    """

    strategy: type[Strategy]
    params: Mapping[str, Any] = field(default_factory=dict)
    symbols: Sequence[str] = ()
    name: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.strategy, type) and issubclass(self.strategy, Strategy)):
            raise ConfigError(
                f"strategy is {self.strategy!r}; expected a class that derives from iv.Strategy"
            )
        given = (self.symbols,) if isinstance(self.symbols, str) else tuple(self.symbols)
        object.__setattr__(self, "symbols", given)
        _refuse_no_word(self.name or "A")  # a class may be called as it likes while it is alone
        object.__setattr__(self, "name", self.name or self.strategy.__name__)
        object.__setattr__(self, "params", dict(self.params))


class Several(Strategy):
    """The spine of several strategies; made by `combined`."""

    uses: ClassVar[tuple[Use, ...]] = ()

    def __init__(self) -> None:
        self.members = tuple(_member(self, use) for use in self.uses)
        self._by_name = {use.name: one for use, one in zip(self.uses, self.members, strict=True)}
        found: dict[Any, tuple[Any, ...]] = dict.fromkeys(self.datas, ())
        for member in self.members:
            for data, entries in member.entries:
                found[data] += entries
        self.entries = list(found.items())
        self.factored = {data: "factor" in data.getlinealiases() for data in self.datas}

    def signals(self) -> Iterator[Signal]:
        """Yield the signals of every strategy, in their order; the spine ranks them together."""
        for name, member in self._by_name.items():
            found = member.signals()
            if found is None:
                raise ConfigError(
                    f"signals() of {name} returned None; yield Signals, or return an empty list"
                )
            yield from found

    def waits(self, signal: Signal) -> tuple[int, float | None]:
        """Return how long an entry of the strategy that asked for it may take."""
        own = self._by_name[signal.strategy].p
        return own.entry_sessions, own.entry_minutes

    @property
    def warm_up(self) -> int:
        """Bars a symbol needs before any of the strategies may trade it: the longest of theirs."""
        return max(int(member.warm_up) for member in self.members)


# -- what the rest of the research asks ------------------------------------------------------------


def combined(uses: Iterable[Use]) -> type[Strategy]:
    """Return the one class of several strategies; the same uses give the same class.

    Their `params` are not part of it: they belong to the system's, by their full names.

    Raises
    ------
    ConfigError: two of one name, a strategy that replaces what all share, or needs no known feed.
    """
    bare = tuple(Use(use.strategy, {}, use.symbols, use.name) for use in uses)
    names = [use.name for use in bare]
    for name in names:
        _refuse_no_word(name)
        if names.count(name) > 1:
            raise ConfigError(
                f"two strategies are called {name}; name them apart, as iv.Use({name}, name='Slow')"
            )
    for use in bare:
        _refuse_replaced(use.strategy)
    facts: Any = tuple((use.name, use.strategy, use.symbols) for use in bare)
    return _combined(facts)


@lru_cache(maxsize=64)
def _combined(facts: Any) -> type[Strategy]:
    uses = tuple(Use(strategy, {}, symbols, name) for name, strategy, symbols in facts)
    params = {
        f"{use.name}.{name}": value
        for use in uses
        for name, value in use.strategy.params._getitems()
        if name != "desk"
    }
    body = {
        "uses": uses,
        "params": params,
        "reads": tuple(dict.fromkeys(line for use in uses for line in use.strategy.reads)),
        "least_feed": strictest({use.name: use.strategy.least_feed for use in uses}),
        "__module__": uses[0].strategy.__module__,
        "__doc__": " ".join(f"{use.name}: {use.strategy.__doc__}" for use in uses),
    }
    kind: Any = type(Several)  # Backtrader's metaclass
    made: type[Strategy] = kind(" + ".join(use.name for use in uses), (Several,), body)
    return made


def uses_of(strategy: type[Strategy]) -> tuple[Use, ...]:
    """Return what a class was made of; of a single strategy, itself."""
    return strategy.uses if issubclass(strategy, Several) else (Use(strategy),)


def written(strategy: type[Strategy]) -> list[type]:
    """Return the classes that somebody wrote: bases of the strategy, or of all of them, once."""
    found: dict[Any, None] = {}
    for use in uses_of(strategy):
        found |= dict.fromkeys(use.strategy.__mro__[: use.strategy.__mro__.index(Strategy)])
    return list(found)


def shape_of(strategy: type[Strategy]) -> str:
    """Return in words which strategies trade which symbols; "" for a single one."""
    if not issubclass(strategy, Several):
        return ""
    return repr([
        (use.name, use.strategy.__module__, use.strategy.__qualname__, use.symbols)
        for use in strategy.uses
    ])  # fmt: skip


def hidden(strategy: type[Strategy]) -> set[str]:
    """Return the parameters that nobody sets: the run's, and those that each strategy has."""
    return {"desk", *(_SHARED if issubclass(strategy, Several) else ())}


def own_values(params: Mapping[str, Any], name: str) -> list[Any]:
    """Return a parameter's value for each of the strategies, one for a single strategy."""
    return [value for key, value in params.items() if key.rpartition(".")[2] == name]


def params_of(uses: Iterable[Use]) -> dict[str, Any]:
    """Return the uses' own parameters by their full names."""
    return {f"{use.name}.{name}": value for use in uses for name, value in use.params.items()}


def _refuse_no_word(name: str) -> None:
    if not name.isidentifier():
        raise ConfigError(f"the name {name!r} is no word; expected one, as 'Pullback'")


def _refuse_replaced(strategy: type[Strategy]) -> None:
    for cls in written(strategy):
        for name, value in vars(cls).items():
            replaced = isfunction(value) or isinstance(value, property)
            shared = hasattr(Strategy, name) and name not in _OWN and not name.startswith("__")
            if replaced and shared:
                raise ConfigError(
                    f"{strategy.__name__} replaces {name}(), which several strategies share; "
                    "write entry() or signals(), or let it trade alone"
                )


# -- one strategy inside ---------------------------------------------------------------------------


def _member(host: Several, use: Use) -> Any:
    """Return a strategy that lives in another: its own parameters and lines, the host's account."""
    written_as: Any = use.strategy  # Backtrader's comparisons hide from mypy that it is hashable
    cls = _inside(written_as, use.name)
    params = use.strategy.params()
    for name, _ in use.strategy.params._getitems():
        full = f"{use.name}.{name}"
        setattr(params, name, host.p.desk if name == "desk" else getattr(host.p, full))
    member: Any = object.__new__(cls)  # not by Backtrader, which would make a second strategy
    shared = {name: one for name, one in vars(host).items() if not name.startswith("data")}
    vars(member).update(shared, _host=host, _made=[], p=params, params=params)
    vars(member).update(
        _datas([d for d in host.datas if not use.symbols or d._name in use.symbols])
    )
    member.__init__()
    if not vars(member).keys() >= {"entries", "factored"}:
        raise ConfigError(f"{use.strategy.__name__}.__init__ must call super().__init__() first")
    return member


def _datas(own: list[Any]) -> dict[str, Any]:
    """Return the names by which a Backtrader strategy knows its symbols and their lines."""
    found: dict[str, Any] = {"datas": own, "data": own[0] if own else None}
    for place, data in enumerate(own):
        found[f"data{place}"] = data
        for alias in data.getlinealiases():
            found[f"data{place}_{alias}"] = getattr(data, alias)
            found.setdefault(f"data_{alias}", getattr(data, alias))
    return found


@lru_cache(maxsize=64)
def _inside(strategy: Any, name: str) -> Any:
    def other(self: Any, asked: str) -> Any:
        if asked.startswith("__") or "_host" not in vars(self):
            raise AttributeError(asked)
        return getattr(vars(self)["_host"], asked)

    def add_indicator(self: Any, made: Any) -> None:
        self._made.append(made)
        self._host.addindicator(made)

    def least(self: Any) -> int:
        return max((made._minperiod for made in self._made), default=1)

    def sent(verb: str) -> Any:
        return lambda self, *given, **options: getattr(self._host, verb)(*given, **options)

    body = {
        "__getattr__": other,
        "__module__": strategy.__module__,
        "addindicator": add_indicator,
        "is_ready": lambda self, data: self._host.is_ready(data),
        "_minperiod": property(least),
        **{verb: sent(verb) for verb in _SENT},
    }
    return type(strategy)(name, (strategy,), body)
