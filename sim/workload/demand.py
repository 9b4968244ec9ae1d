"""What one kind of user asks for: when, how long, how urgent, with what in common."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.workload.arrivals import Process, Source
from sim.workload.arrivals.sessions import Sessions
from sim.workload.lengths import Lengths
from sim.workload.prefix import SharedPrefix
from sim.workload.priority import PriorityMix

Arrivals = Annotated[Process | Sessions | Source, Field(discriminator="process")]


class Texts(BaseModel):
    """Lengths of what is asked and answered, and what requests share."""

    model_config = WRITTEN

    prompt_tokens: Lengths | None = Field(default=None, description="prompt lengths; a trace brings its own")
    output_tokens: Lengths | None = Field(default=None, description="output lengths; a trace brings its own")
    prefix: SharedPrefix | None = Field(default=None, description="system prompts that requests share")
    priority: PriorityMix | None = Field(default=None, description="priorities of the requests")

    def check(self, process: str, whole: bool) -> None:
        """Refuses lengths that arrivals bring themselves, and arrivals without lengths.

        Args:
            whole: the arrivals bring whole requests.
        Raises:
            ValueError: naming the field.
        """
        if whole:
            given = [n for n in ("prompt_tokens", "output_tokens", "prefix") if getattr(self, n) is not None]
            if given:
                raise ValueError(
                    f"'{given[0]}' cannot be given: {process} arrivals bring it with each request"
                )
        else:
            missing = [n for n in ("prompt_tokens", "output_tokens") if getattr(self, n) is None]
            if missing:
                raise ValueError(f"'{missing[0]}' is missing: {process} arrivals say only when requests come")


class Client(Texts):
    """One of several kinds of users, with a name for the results and for `slo.clients`."""

    name: Annotated[str, Field(min_length=1, description="as it stands in results")]
    arrivals: Arrivals = Field(description="arrival process, or a trace")

    @model_validator(mode="after")
    def _arrivals_have_what_they_need(self) -> Self:
        self.check(self.arrivals.process, isinstance(self.arrivals, Source))
        if _is_closed(self.arrivals):
            raise ValueError(
                "a closed loop cannot be one of several clients; give sessions, whose turns wait for answers"
            )
        return self


def _is_closed(arrivals: Process | Sessions | Source) -> bool:
    if isinstance(arrivals, Sessions):
        return arrivals.starts.process == "closed"
    return arrivals.process == "closed" or getattr(arrivals, "concurrency", None) is not None
