"""Sessions in closed loops: a turn comes a pause after the turn before it was answered.

    arrival of turn k+1 = answer of turn k + pause          (a user thinks, a tool runs)
    prompt of turn k+1  = prompt and answer of turn k + what the turn adds

`prompt_tokens` of the workload are what each turn adds, `output_tokens` its answer, `prefix` the system
prompts. Sub-agents start when a turn is answered, each a session of its own behind the same system prompt;
the next turn waits for all of them. `sim.workload.turns` draws the requests.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.workload.arrivals.burst import Burst
from sim.workload.arrivals.closed import Closed
from sim.workload.arrivals.constant import ConstantRate
from sim.workload.arrivals.diurnal import Diurnal
from sim.workload.arrivals.gamma import Gamma
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.renewal import Policy
from sim.workload.lengths import Lengths
from sim.workload.lengths.bounds import Tokens
from sim.workload.pauses import Pause

Starts = Annotated[Poisson | Gamma | Diurnal | ConstantRate | Burst | Closed, Field(discriminator="process")]


class SubAgents(BaseModel):
    """Helpers that a turn starts."""

    model_config = WRITTEN

    share: Annotated[float, Field(gt=0, le=1, strict=True, description="of the turns before the last")]
    count: Annotated[int, Field(ge=1, le=1000, strict=True, description="helpers at once")]
    turns: Lengths = Field(description="turns of each helper")


class Sessions(Policy):
    """Conversations and agents."""

    process: Literal["sessions"]
    starts: Starts = Field(
        description="when sessions start; closed: so many at once, each followed by the next"
    )
    turns: Lengths = Field(description="turns of a session")
    pause: Pause = Field(description="from an answer to the next turn")
    context: Tokens | None = Field(
        default=None, description="a session ends before its prompt and answer would exceed this"
    )
    first_prompt: Lengths | None = Field(
        default=None, description="what the first turn adds instead of prompt_tokens: the task, documents"
    )
    subagents: SubAgents | None = Field(default=None, description="helpers that some turns start")
