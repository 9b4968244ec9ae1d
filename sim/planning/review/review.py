"""The review of one machine: everything that is asked of it, computed once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim.errors import UserError
from sim.planning.review.influence import Sureness, sureness
from sim.planning.review.layouts import Layouts, layouts
from sim.planning.review.machine import Machine, Speed, machine
from sim.planning.review.maps import Maps, maps
from sim.planning.review.point import Point, point_of
from sim.planning.review.record import record
from sim.planning.review.reference import Reference, reference
from sim.planning.review.requirements import Requirement, check_price, least_capacity, requirement
from sim.planning.review.served import Served, served
from sim.planning.review.target import parse_target
from sim.planning.review.variation import Variation, variations
from sim.planning.uncertainty.spread import FEWEST
from sim.scenario.scenario import Scenario

SAMPLES = 64
PARITY = "h200-hgx"

Progress = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Review:
    """Attributes:
    machine: what is reviewed; point: at what; speed: its single steps there.
    capacity: the least factor on the memory's capacity that holds the point, None where no tested one does.
    served: the point's load simulated, None where it does not fit.
    reference: None where the reviewed cluster is the reference itself.
    """

    machine: Machine
    point: Point
    speed: Speed
    capacity: float | None
    served: Served | None
    reference: Reference | None
    sureness: Sureness
    maps: Maps
    layouts: Layouts
    variations: tuple[Variation, ...]
    requirements: tuple[Requirement, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data, the verdict first."""
        return record(self)


def review(
    scenario: Scenario,
    *,
    batch: int | None = None,
    prompt: int | None = None,
    output: int | None = None,
    targets: Sequence[str] = (),
    parity: str = PARITY,
    samples: int = SAMPLES,
    progress: Progress = _silent,
) -> Review:
    """Reviews the chips of a scenario for its model.

    Args:
        batch, prompt, output: users of a replica at once and tokens of their requests; 64 users, and the
            workload's mean lengths.
        targets: such as "tokens/s/user >= 30 and ttft <= 1 s"; each is inverted.
        parity: the cluster to compare with, whose speeds are targets too.
        samples: draws of everything uncertain, for the bands.
        progress: called with (parts done, parts in all).
    Raises:
        UserError: for a scenario with two pools or at event fidelity, a layout that comes out uneven, a
            faulty target, or a reference that cannot serve the model.
    """
    _check(scenario, samples)
    asked = [parse_target(text) for text in targets]
    point = point_of(scenario, batch, prompt, output)
    reviewed = machine(scenario)
    for target in asked:
        check_price(reviewed, target)
    against = reference(reviewed, point, parity)
    wanted = [*asked, *(() if against is None else against.targets)]
    parts, done = 5 + len(wanted), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, parts)

    speed, run = reviewed.speed(point), served(reviewed, point)
    capacity = least_capacity(reviewed, point)
    step()
    sure = sureness(reviewed, point, samples)
    step()
    mapped = maps(reviewed, point)
    step()
    scaled = layouts(reviewed, point)
    step()
    varied = variations(reviewed, point)
    step()
    required: list[Requirement] = []
    for target in wanted:
        required.append(requirement(reviewed, point, target, max(1.0, capacity or 1.0)))
        step()
    return Review(
        machine=reviewed,
        point=point,
        speed=speed,
        capacity=capacity,
        served=run,
        reference=against,
        sureness=sure,
        maps=mapped,
        layouts=scaled,
        variations=varied,
        requirements=tuple(required),
    )


def _check(scenario: Scenario, samples: int) -> None:
    if scenario.spec.prefill is not None:
        raise UserError(f"{scenario.place('prefill')}: a review is of one pool; give one without 'prefill'")
    if scenario.spec.fidelity == "event":
        raise UserError(
            f"{scenario.place('fidelity')}: fidelity: event is too slow for thousands of steps; "
            "give analytic or roofline"
        )
    if samples < FEWEST:
        raise UserError(f"--samples {samples}: at least {FEWEST} are needed")
