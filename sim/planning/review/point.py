"""The point a review is asked about: so many users at once, with prompts and answers of so many tokens.

context of a decode step = prompt + output / 2, the mean over an answer
"""

from dataclasses import dataclass

import numpy as np

from sim.errors import UserError
from sim.planning.plan.traffic import Traffic
from sim.scenario.scenario import Scenario
from sim.workload import generate

BATCH, PROMPT, OUTPUT = 64, 2048, 512
"""Where neither the user nor a workload says anything."""


@dataclass(frozen=True, slots=True)
class Point:
    """Attributes:
    batch: sequences that a replica decodes at once, over all its attention-dp ranks.
    prompt, output: tokens of each request.
    """

    batch: int
    prompt: int
    output: int

    @property
    def context(self) -> int:
        """Tokens that a decode reads, the mean over an answer."""
        return self.prompt + self.output // 2

    @property
    def load(self) -> Traffic:
        """The traffic of such requests."""
        lengths = (np.array([float(n)]) for n in (self.prompt, self.output))
        return Traffic(*lengths, fresh=1.0, context=float(self.context))


def default_point(batch: int | None, prompt: int | None, output: int | None) -> Point:
    """The asked point; what is not given is 64 users, prompts of 2,048 and answers of 512 tokens.

    Raises:
        UserError: for a number below 1.
    """
    _check(batch, prompt, output)
    return Point(batch or BATCH, prompt or PROMPT, output or OUTPUT)


def point_of(scenario: Scenario, batch: int | None, prompt: int | None, output: int | None) -> Point:
    """The asked point; lengths that are not given are the means of the scenario's workload.

    Raises:
        UserError: for a number below 1, or a workload that cannot be read.
    """
    _check(batch, prompt, output)
    if prompt is None or output is None:
        requests = generate(scenario.spec.workload, scenario.spec.seed, scenario.base)
        prompt = prompt or max(1, round(float(requests.prompt_tokens.mean())))
        output = output or max(1, round(float(requests.output_tokens.mean())))
    return Point(batch or BATCH, prompt, output)


def _check(batch: int | None, prompt: int | None, output: int | None) -> None:
    for name, value in (("batch", batch), ("prompt", prompt), ("output", output)):
        if value is not None and value < 1:
            raise UserError(f"--{name} {value}: at least 1 is needed")
