# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the default scorer: what finance headlines say about a share, in a list of its own.

Written for this project, from the phrases that newswires use; not taken from any published word
list. A word is given in its base form, and its usual endings are understood (`forms`). Values say
how much a word alone says about the price of the share: 1 is a whole piece of bad or good news.
"""

from __future__ import annotations

# A fact that is good or bad whatever it is about.
GOOD = {
    1.0: (
        "beat tops! topped! outperform soar surge rally skyrocket breakthrough blockbuster upbeat "
        "outpace rebound rocket moonshot"
    ),
    0.8: (
        "jump bullish uptrend recover recovery rise gain record! climb pop advance strong robust "
        "solid stellar accelerate exceed surpass boost bolster strengthen improve profitable "
        "thrive upside buyback outperformance crush"
    ),
    0.6: (
        "optimistic optimism confident confidence overweight favorable favourable positive "
        "success successful succeed award momentum impressive lift hike higher up grow highs! "
        "healthy attractive undervalued cheer reward reinstate zoom nice hopes! recoup tailwind "
        "tailwinds oversubscribed milestone"
    ),
}
BAD = {
    1.0: (
        "miss plunge plummet crash tumble slump bankrupt bankruptcy insolvency insolvent default "
        "fraud delist delisting scandal collapse nosedive crater slash sink halt recall reject "
        "rejection indict embezzle liquidation fiasco tank"
    ),
    0.8: (
        "fall drop decline slide slip sag skid dip lose weak weaken weakness bearish lawsuit sue "
        "probe investigate investigation subpoena fined! fines! penalty violation breach hack "
        "suspend suspension terminate withdraw impairment writedown writeoff layoff layoffs "
        "shortfall warn warning disappoint disappointing disappointment underperform underweight "
        "worst restate deteriorate sluggish strike outage fatal defect fail failure short-seller "
        "misconduct guilty accuse allege scrap dilute dilution downtrend selloff plagued slowdown"
    ),
    0.6: (
        "lower down worried fear pressure headwind headwinds trouble struggle lows! lowest! loss "
        "delay postpone cut trim downside negative pessimistic gloom recession losses toxic "
        "overvalued oust soft softer shrink slow slowest! hurt dent carnage pain painful drag "
        "threaten uncertainty difficult cautious loses crisis shut closure challenging stumble "
        "retreat ease shortage shortages sour bleak doubt complaint unable idle dismal"
    ),
}

# Verbs and adverbs of direction: what they say depends on what moves.
UP = (
    "rise gain climb jump surge soar rally grow growth increase raise boost lift hike expand up "
    "higher advance improve double triple quadruple rocket rebound accelerate swell widen"
)
DOWN = (
    "fall drop decline slide slip plunge tumble sink decrease lower cut reduce slash trim down "
    "plummet shrink slump dip ease dwindle halve weaken narrow diminish slow"
)
# What it is good to have more of, and bad.
FIGURES = (
    "sale profit earnings earning income revenue revs eps guidance outlook forecast dividend "
    "margin order orders demand backlog ebit ebitda target pt rating estimate share stock price "
    "turnover volume shipment delivery deliveries bookings cashflow payout traffic valuation "
    "subscriber subscribers comps futures dow nasdaq premarket"
)
BURDENS = (
    "loss losses cost costs expense expenses debt expenditure unemployment jobless claims charge "
    "charges tariff tariffs default defaults shortfall deficit tax taxes provision provisions "
    "writedown inventory inventories churn delay delays redundancy liability liabilities fine "
    "infections cases deaths complaint complaints volatility"
)
# Figures that are about what is to come, and weigh more than what has been.
AHEAD = "guidance outlook forecast target pt view dividend estimate rating"

NOT = (
    "not no never cannot can't won't don't doesn't didn't isn't aren't wasn't without neither nor "
    "deny denies denied refuse refuses lack lacks hardly fails failed unlikely avoid avoids "
    "avoided dismiss dismisses dismissed settle settles settled"
)
PERHAPS = "may might could would can should if whether rumor rumored possible possibly potential"
TURNS = "but however yet though although while"  # what follows weighs more than what was
DESPITE = "despite notwithstanding after amid"  # what follows weighs less

# Ratings: they count when somebody starts with one, or moves to one.
BUY = "buy outperform overweight accumulate add strong-buy positive"
SELL = "sell underperform underweight reduce negative strong-sell"
HOLD = "hold neutral equal-weight market-perform sector-perform perform in-line peer-perform"
BEGIN = "initiate start begin resume assume launch reinstate initiated starts coverage launches"
KEEP = "reiterate maintain keep affirm reaffirm"

# Several words that are one piece of news; they are found first. Longer ones win.
PHRASES = {
    1.0: (
        "record high|all-time high|all time high|52-week high|new high|price target raised|"
        "target raised|pt raised|raises target|raises price target|hikes dividend|raises dividend|"
        "special dividend|raises guidance|raises outlook|raises forecast|boosts guidance|"
        "lifts guidance|lifts outlook|better than expected|better-than-expected|"
        "stronger than expected|stronger-than-expected|ahead of estimates|ahead of expectations|"
        "above estimates|above expectations|above consensus|share repurchase|stock repurchase|"
        "share buyback|stock buyback|wins contract|awarded contract|fda approval|fda clearance|"
        "to be acquired|agrees to be bought|takeover offer|takeover bid|buyout offer|"
        "breakthrough therapy|fast track designation|meets primary endpoint|met primary endpoint|"
        "top pick|turned profitable|swings to profit|swung to profit|returns to profit|"
        "short squeeze|priority review|smaller loss|narrower loss|narrows loss|loss narrowed|"
        "loss narrows|smaller than expected loss|drops lawsuit|lawsuit dismissed|"
        "dismisses lawsuit|case dismissed|wins dismissal|resumes trading|emerges from bankruptcy|"
        "exits bankruptcy|lifts ban|beats estimates|cuts costs|cost cuts|reduces debt|"
        "pays down debt|cuts debt|ends probe|drops probe|drop probe|closes probe|"
        "suspended a probe|ends investigation|drops investigation|never been more|"
        "closes investigation|never been this|fda approves|fda clears|fda grants|eu approves|"
        "wins approval|receives approval|gets approval|approved by|conviction buy|wins order|"
        "new orders|drug approved|stock split|pares losses|trims losses|recoups losses"
    ),
    0.5: (
        "price target|meet guidance|meets guidance|meet expectations|meets expectations|"
        "signed an agreement|signs agreement|signs deal|new contract|contract worth|"
        "strategic partnership|supply agreement|long-term agreement|received an order|"
        "letter of intent|expects growth|dividend increase|strong buy|on track|investment grade"
    ),
    -1.0: (
        "profit warning|going concern|chapter 11|chapter 7|class action|price target cut|"
        "target cut|pt cut|cuts target|cuts price target|lowers price target|cuts guidance|"
        "lowers guidance|fall short|falls short|fell short|falling short|not approved|no growth|"
        "fda rejects|cuts outlook|lowers outlook|cuts forecast|lowers forecast|withdraws guidance|"
        "pulls guidance|suspends guidance|suspends dividend|cuts dividend|below estimates|"
        "below expectations|below consensus|worse than expected|worse-than-expected|"
        "weaker than expected|weaker-than-expected|short of estimates|misses estimates|"
        "52-week low|record low|new low|all-time low|equity offering|stock offering|"
        "share offering|secondary offering|public offering of common|dilutive offering|"
        "halts trading|trading halted|trading halt|complete response letter|clinical hold|"
        "fails to meet|failed to meet|did not meet|swings to loss|swung to loss|data breach|"
        "accounting irregularities|material weakness|non-reliance|short report|goes short|"
        "wider loss|widens loss|loss widened|loss widens|bigger loss|job cuts|cuts jobs|"
        "to cut jobs|steps down|sec probe|doj probe|sec charges|loses a bull|loses confidence|"
        "under pressure|credit watch|no longer expects|cease and desist|import ban|export ban|"
        "notice of delisting|reverse split|sell-off|sell off|hit by|hit hard|give up gains|"
        "gives up gains|give back gains|gives back gains|erases gains|pares gains|"
        "personnel reductions|lay off|laying off|lays off"
    ),
    -0.5: (
        "ceo resigns|cfo resigns|shelf registration|shelf offering|mixed securities|"
        "strategic review|under review"
    ),
    0.0: (
        "in line with|in-line with|no change|price action|market cap|up to|look up|set up|"
        "start up|start-up|sign up|follow up|follow-up|wake up|top stories|top news|top 10|top 5|"
        "heads up|high yield|net income of|come up|comes up|what's up|cut off|break down|"
        "hold conference|conference call|earnings call|fair value|lock up|short interest|"
        "short ratio|record date|on record|risk management|most active|biggest movers|top gainers|"
        "stocks moving|stocks to watch|made up|gain access|rejects offer|rejects bid|"
        "rejected offer|rejects takeover|rejects hostile|cuts stake|cut stake|trims stake|to up|"
        "from up|to down|from down|take up|takes up|taken up|put up|puts up|turned up|brings up|"
        "picks up|production cut|production cuts|raises stake|ups stake|hikes stake|cost of|"
        "rate cut|rate cuts|at risk of|rise of|the rise|good morning"
    ),
}

# What says that a thing was less, or more, than thought.
LESS_THAN_THOUGHT = (
    "less than expected|less than feared|less than forecast|slower than expected|"
    "less than estimated|smaller than expected|not as bad as"
)
MORE_THAN_THOUGHT = (
    "more than expected|more than forecast|faster than expected|more than feared|"
    "larger than expected|more than estimated"
)

# Words that VADER takes for feelings and a market page does not.
PLAIN = (
    "share shares interest interests value values equity security securities gross credit trust "
    "united energy alert special play great natural party care best like please good well novel "
    "agreement agree agreed chance dear ease free friend growth hope increase join original save "
    "shared sincerely strength support top true want solution solutions resolve resolved create "
    "ensure help smart secure secured significant vital debt tax stop lower low fire cancer war "
    "crude gun kill crisis poor pay cut demand limited pressure limits drop matter"
)


def forms(word: str) -> set[str]:
    """Return a word and its regular forms: rises, raised, raising, carried; "tops!" is alone."""
    if word.endswith("!"):
        return {word[:-1]}
    found = {word, f"{word}s"}
    if word.endswith("e"):
        found |= {f"{word}d", f"{word[:-1]}ing"}
    elif word.endswith("y") and word[-2:-1] not in "aeiou":
        found |= {f"{word[:-1]}ies", f"{word[:-1]}ied", f"{word}ing"}
    elif word.endswith(("s", "x", "ch", "sh", "z")):
        found |= {f"{word}es", f"{word}ed", f"{word}ing"}
    else:
        found |= {f"{word}ed", f"{word}ing", f"{word}{word[-1]}ed", f"{word}{word[-1]}ing"}
    return found | {one for one, base in IRREGULAR.items() if base == word}


IRREGULAR = {
    "rose": "rise", "risen": "rise", "fell": "fall", "fallen": "fall", "sank": "sink",
    "sunk": "sink", "grew": "grow", "grown": "grow", "won": "win", "lost": "lose",
    "sold": "sell", "slid": "slide", "shrank": "shrink", "shrunk": "shrink", "beaten": "beat",
    "began": "begin", "begun": "begin", "kept": "keep", "withdrew": "withdraw", "outdid": "outdo",
    "withdrawn": "withdraw", "weaker": "weak", "stronger": "strong", "strongest": "strong",
    "weakest": "weak", "slower": "slow", "denied": "deny", "highest": "higher",
    "cautiously": "cautious", "strongly": "strong", "strength": "strong",
}  # fmt: skip
