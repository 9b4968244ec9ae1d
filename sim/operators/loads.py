"""How many tokens each expert gets: the mean over a fixed, seeded set of routing draws.

A draw is one stream of tokens. Token t chooses top_k distinct experts, expert e with the odds p_e of
sim.operators.routing (with node-limited routing only among top_groups groups). A step of T tokens meets the
first T tokens of every stream, so loads only grow with T, and the same streams serve all chips and
fidelities: a duration is deterministic. Beyond `EXACT` tokens the stream continues in blocks, from node to
node of `LOAD_GRID`, whose expert counts are multinomial. Which rank computes an expert's tokens is the
placement's (sim.operators.placement).
"""

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sim.operators.placement import Replicas, arrivals, balanced, in_order, replicas
from sim.operators.quantities import Array
from sim.operators.routing import DRAWS, Routing, earlier

EXACT = 64


def _load_grid() -> tuple[int, ...]:
    grid = list(range(1, 17))
    while grid[-1] < 1 << 24:
        grid.append(round(2.0 ** ((len(grid) + 1) / 4)))
    return tuple(grid)


LOAD_GRID = _load_grid()
"""Token counts at which loads are sampled for timing: 1 … 16, then 2^(1/4) apart, to 2^24."""

TILE_ROWS = (16, 32, 64, 128, 256)
"""Row tiles of grouped products whose padding is counted."""

_SALT = "0.8"
"""Any text would do: random numbers are the same for every skew, so that a duration follows it smoothly."""


@dataclass(frozen=True, slots=True)
class ExpertLoads:
    """Loads by (case, draw, rank).

    Attributes:
        pairs: (token, expert) pairs; active: experts with at least one; tiles: row tiles per expert summed,
            with a last axis over `TILE_ROWS`.
        tokens: tokens of all ranks, by case; all_pairs: (token, expert) pairs of all ranks, by case.
        experts: of one rank.
    """

    pairs: Array
    active: Array
    tiles: Array
    tokens: Array
    all_pairs: Array
    experts: int


def expert_loads(counts: Array, tokens: Array, ep: int, all_pairs: Array | None = None) -> ExpertLoads:
    """Loads of `ep` ranks from counts (case, draw, expert) of cases with `tokens` tokens each.

    `all_pairs` are given where the counts are those of some of the ranks only.
    """
    cases, draws, experts = counts.shape
    by_rank = counts.reshape(cases, draws, ep, experts // ep)
    pairs = by_rank.sum(axis=3)
    tiles = np.stack([np.ceil(by_rank / rows).sum(axis=3) for rows in TILE_ROWS], axis=3)
    active = (by_rank > 0).sum(axis=3).astype(np.float64)
    everyone = counts.sum(axis=2).mean(axis=1) if all_pairs is None else all_pairs
    return ExpertLoads(pairs, active, tiles, tokens, everyone, experts // ep)


@lru_cache(maxsize=64)
def sample_loads(routing: Routing, tokens: tuple[int, ...]) -> ExpertLoads:
    """Loads at the given token counts, by the seeded draws of this routing."""
    by_draw: list[Array] = []
    for draw in range(DRAWS):
        stream = _stream(routing, draw)
        counts = np.array([stream.counts(t) for t in tokens], dtype=np.float64)
        by_draw.append(_placement(routing, draw).loads(counts))
    return expert_loads(np.stack(by_draw, axis=1), np.array(tokens, np.float64), routing.ep)


@lru_cache(maxsize=64)
def distinct_ranks(routing: Routing, per: int) -> float:
    """Mean number of distinct units among a token's destinations, ranks being split over `per` units (at most
    as many as ranks). Tokens take an expert's replicas in turn."""
    total = 0
    for draw in range(DRAWS):
        placed = _placement(routing, draw)
        rank_of = np.zeros((routing.experts, int(placed.copies.max())), np.int64)
        for (rank, slot), expert in np.ndenumerate(placed.slots):
            if expert >= 0:
                rank_of[expert, placed.turn[rank, slot]] = rank
        chosen = _stream(routing, draw).chosen
        turn = np.arange(EXACT)[:, None] % placed.copies[chosen]
        unit = rank_of[chosen, turn] * per // routing.ep
        total += sum(len(set(row)) for row in unit.tolist())
    return total / (DRAWS * EXACT)


@lru_cache(maxsize=64)
def fetched_experts(routing: Routing) -> float:
    """Experts that the busiest rank fetches at a re-placement, mean over the draws; 0 without balancing."""
    balancing = routing.balancing
    if balancing is None:
        return 0.0
    moved = 0
    for draw in range(DRAWS):
        now = _popularity(routing, draw)
        then = earlier(now, _other(routing, draw), balancing.interval, balancing.drift)
        old, new = (balanced(routing, routing.odds(z, draw)) for z in (then, now))
        moved += arrivals(old, new)
    return moved / DRAWS


@lru_cache(maxsize=256)
def _placement(routing: Routing, draw: int) -> Replicas:
    """Where a draw's experts lie: in order, or by their popularity when they were placed."""
    balancing = routing.balancing
    if balancing is None:
        return replicas(routing, in_order(routing))
    now = _popularity(routing, draw)
    known = earlier(now, _other(routing, draw), balancing.age(draw), balancing.drift)
    return replicas(routing, balanced(routing, routing.odds(known, draw)))


def _popularity(routing: Routing, draw: int) -> Array:
    return np.random.default_rng(_seed(routing, draw)).standard_normal(routing.experts)


def _other(routing: Routing, draw: int) -> Array:
    """Popularity of another time altogether."""
    return np.random.default_rng([*_seed(routing, draw), 1]).standard_normal(routing.experts)


class _Stream:
    """One draw: the experts of the first tokens, then counts at growing token numbers."""

    def __init__(self, routing: Routing, draw: int) -> None:
        self._key = _seed(routing, draw)
        self._rng = np.random.default_rng(self._key)
        self._top_k = routing.top_k
        self._odds = routing.odds(self._rng.standard_normal(routing.experts), draw)
        self.chosen = _choose(self._rng, self._odds, routing)
        first = np.zeros((EXACT + 1, routing.experts), np.int64)
        for t in range(EXACT):
            first[t + 1] = first[t]
            first[t + 1, self.chosen[t]] += 1
        self._first = first
        self._ends = [LOAD_GRID.index(EXACT)]
        self._counts = [first[EXACT]]

    def counts(self, tokens: int) -> NDArray[np.int64]:
        """Tokens per expert among the first `tokens`."""
        if tokens <= EXACT:
            return self._first[tokens]
        node = bisect_left(LOAD_GRID, tokens)
        while self._ends[-1] < node:
            self._grow()
        at = self._ends.index(node)
        if LOAD_GRID[node] == tokens:
            return self._counts[at]
        return self._within(tokens, at)

    def _grow(self) -> None:
        """The block up to the next node of the grid."""
        end = self._ends[-1] + 1
        length = LOAD_GRID[end] - LOAD_GRID[end - 1]
        added = self._rng.multinomial(length * self._top_k, self._odds)
        while (over := int(np.maximum(added - length, 0).sum())) > 0:  # a token goes to an expert once
            added = np.minimum(added, length)
            odds = np.where(added < length, self._odds, 0.0)
            added += self._rng.multinomial(over, odds / odds.sum())
        self._ends.append(end)
        self._counts.append(self._counts[-1] + added)

    def _within(self, tokens: int, at: int) -> NDArray[np.int64]:
        """Counts inside a block: a part of its pairs drawn without replacement, seeded by the token count."""
        before, after = self._counts[at - 1], self._counts[at]
        start = LOAD_GRID[self._ends[at] - 1]
        added = after - before
        some = min((tokens - start) * self._top_k, int(added.sum()))
        drawn = np.random.default_rng([*self._key, tokens]).multivariate_hypergeometric(added, some)
        return before + np.minimum(drawn, tokens - start)


class _EvenStream:
    """A draw of balanced routing: experts take turns, in an order of their own."""

    def __init__(self, routing: Routing, draw: int) -> None:
        rng = np.random.default_rng(_seed(routing, draw))
        self._top_k, self._order = routing.top_k, rng.permutation(routing.experts)
        self.chosen = _choose(rng, np.full(routing.experts, 1.0 / routing.experts), routing)

    def counts(self, tokens: int) -> NDArray[np.int64]:
        """Tokens per expert among the first `tokens`."""
        share, rest = divmod(tokens * self._top_k, len(self._order))
        counts = np.full(len(self._order), share)
        counts[self._order[:rest]] += 1
        return counts


@lru_cache(maxsize=256)
def _stream(routing: Routing, draw: int) -> "_Stream | _EvenStream":
    return _EvenStream(routing, draw) if routing.popularity == "balanced" else _Stream(routing, draw)


def _seed(routing: Routing, draw: int) -> list[int]:
    key = f"{routing.experts},{routing.top_k},{routing.ep},{_SALT},{routing.epoch}"
    return [crc32(key.encode()), draw]


def _choose(rng: np.random.Generator, odds: Array, routing: Routing) -> NDArray[np.int64]:
    """The experts of EXACT tokens: the top_k earliest of exponential races with rates `odds`."""
    race = rng.exponential(size=(EXACT, routing.experts)) / odds
    if routing.top_groups < routing.groups:
        size = routing.experts // routing.groups
        order = rng.random((EXACT, routing.groups)).argsort(axis=1)
        barred = np.repeat(order >= routing.top_groups, size, axis=1)
        race[barred] = np.inf
    return np.argpartition(race, routing.top_k - 1, axis=1)[:, : routing.top_k].astype(np.int64)
