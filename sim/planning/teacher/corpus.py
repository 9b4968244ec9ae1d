"""How long a teacher writes a corpus, and what that costs.

A replica is fed without end: as many requests as its engines have places, a new one for each that ends. Its
steady rate r (answer tokens/s, in the middle of the run) is that of the whole job, which is far longer than
any run, so that beginning and end do not count. With b bytes written for a token
    rate  R = min( replicas · r, storage bandwidth / b )
    time  T = tokens / R,    cost and energy: the fleet's per hour, its chips idle for 1 − R / (replicas · r)
The interval is that of r over runs with other requests; the figures that r rests on are not in it
(`bandwall sensitivity` has those).
"""

from dataclasses import dataclass
from pathlib import Path

from sim.documents import Document
from sim.errors import UserError
from sim.figures import Resolution
from sim.metrics import TimeBreakdown
from sim.metrics.power import at_rest, mean_power
from sim.metrics.window import steady_window, tokens_between
from sim.planning.money import Bill, bill, check_price
from sim.planning.national.group import Fleet
from sim.planning.plan.fleet import Interval, interval
from sim.planning.teacher.corpus_spec import CorpusSpec, read_corpus
from sim.scenario.resolved import Tree
from sim.scenario.scenario import Scenario, scenario_of
from sim.version import __version__
from sim.workload import generate

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Corpus:
    """The answer.

    Attributes:
        each: answer tokens/s of a replica, with the interval over runs; computed: of all replicas;
            stored: what storage takes; rate: the smaller of the two.
        documents: answers of the corpus; size: bytes written.
        days: with the interval that follows from `each`; usd, joules: of the whole job at its mean.
        bound_by: resource that computing is bound by, or "storage".
        simulated: answer tokens of one run; scenario: one replica, ready to be run.
    """

    name: str
    spec: CorpusSpec
    each: Interval
    computed: float
    stored: float
    rate: float
    documents: float
    size: float
    days: Interval
    usd: float
    joules: float
    chips: int
    bill: Bill
    bound_by: str
    simulated: int
    scenario: Scenario

    def to_json(self) -> dict[str, object]:
        """The answer as JSON."""
        return {
            "schema": 1,
            "version": __version__,
            "name": self.name,
            "tokens": self.spec.tokens,
            "documents": self.documents,
            "bytes_per_token": self.spec.logits.token_bytes,
            "bytes": self.size,
            "replicas": self.spec.replicas,
            "chips": self.chips,
            "replica_token_rate": {"mean": self.each.mean, "low": self.each.low, "high": self.each.high},
            "computed_token_rate": self.computed,
            "stored_token_rate": self.stored,
            "token_rate": self.rate,
            "days": {"mean": self.days.mean, "low": self.days.low, "high": self.days.high},
            "usd": self.usd,
            "usd_per_million_tokens": self.usd / self.spec.tokens * 1e6,
            "mwh": self.joules / 3.6e9,
            "joules_per_token": self.joules / self.spec.tokens,
            "bound_by": self.bound_by,
            "tokens_simulated": self.simulated,
            "replications": self.spec.replications,
        }


def corpus(path: str | Path) -> Corpus:
    """Answers a question about a corpus.

    Raises:
        UserError: for a faulty question, a chip without a price, runs too short to be steady.
    """
    path = Path(path)
    spec = read_corpus(path)
    teacher = Fleet(_scenario(spec, path, 1))
    check_price(spec.money, teacher.cluster.chip)
    deployment = teacher.priced.deployment
    places = deployment.engine.max_num_seqs * deployment.parallel.dp
    scenario = _scenario(spec, path, places)
    rates: list[float] = []
    used: TimeBreakdown | None = None
    simulated, lengths = 0, 0.0
    for seed in range(spec.seed, spec.seed + spec.replications):
        result = teacher.serve(generate(scenario.spec.workload, seed, scenario.base), 1, seed)
        window = steady_window(result)
        if window is None:
            raise UserError(
                f"{path.name}: rounds: {spec.rounds} answers for each of {places} places never get steady; "
                "give more"
            )
        rates.append(tokens_between(result, window)[0] / window.length)
        if used is None:
            used = teacher.used(result)
            simulated = int(result.requests.output_tokens.sum())
            lengths = float(result.requests.output_tokens.mean())
    return _answer(spec, path.name, teacher, scenario, interval(rates), used, simulated, lengths)


def _answer(
    spec: CorpusSpec,
    name: str,
    teacher: Fleet,
    scenario: Scenario,
    each: Interval,
    used: TimeBreakdown | None,
    simulated: int,
    length: float,
) -> Corpus:
    figures = Resolution("")
    size = spec.logits.token_bytes
    stored = figures.take("storage", spec.storage) / size
    computed = spec.replicas * each.mean
    rate = min(computed, stored)
    cluster, chips = teacher.cluster, spec.replicas * teacher.priced.deployment.parallel.chips
    idle = at_rest(cluster)
    busy = idle if used is None else mean_power(cluster, used)
    watts = idle + rate / computed * (busy - idle)
    paid = bill(spec.money, cluster.chip, chips, cluster.server, watts, idle, Resolution("money"))
    seconds = spec.tokens / rate
    slowest, fastest = (min(spec.replicas * bound, stored) for bound in (each.low, each.high))
    return Corpus(
        name=name,
        spec=spec,
        each=each,
        computed=computed,
        stored=stored,
        rate=rate,
        documents=spec.tokens / length,
        size=spec.tokens * size,
        days=Interval(seconds / DAY, spec.tokens / fastest / DAY, spec.tokens / slowest / DAY),
        usd=paid.usd_per_hour * seconds / 3600.0,
        joules=paid.watts * seconds,
        chips=chips,
        bill=paid,
        bound_by="storage" if stored < computed else "" if used is None else used.bound_by or "",
        simulated=simulated,
        scenario=scenario,
    )


def _scenario(spec: CorpusSpec, path: Path, places: int) -> Scenario:
    """One replica with so many places, each of them always taken."""
    load: Tree = {
        "arrivals": {"process": "closed", "concurrency": places},
        "prompt_tokens": spec.prompt_tokens,
        "output_tokens": spec.output_tokens,
        "num_requests": spec.rounds * places,
    }
    if spec.prefix is not None:
        load["prefix"] = spec.prefix
    tree: Tree = {**spec.scenario, "workload": load, "seed": spec.seed}
    return scenario_of(Document(path.name, tree), path.parent)
