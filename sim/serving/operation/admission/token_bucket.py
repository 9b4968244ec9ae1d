"""Token bucket: at most `rate` requests/s in the long run, `burst` at once.

    level(t) = min(burst, level(t0) + rate·(t - t0)); a request takes 1, or is refused if less is there

Hence at most burst + rate·T requests pass in any span T. This is the limit of API gateways (nginx
`limit_req`, Envoy's local rate limit).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.serving.operation.admission.gate import Seen
from sim.serving.records import Reason


class TokenBucket(BaseModel):
    """A limit on the rate of requests."""

    model_config = WRITTEN

    policy: Literal["token_bucket"]
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True, description="requests per second")]
    burst: Annotated[float, Field(ge=1, allow_inf_nan=False, description="requests at once")] = 1.0
    per_client: Annotated[
        bool, Field(strict=True, description="a bucket for each client, or one for all")
    ] = False

    def gate(self) -> "_Buckets":
        """Full buckets."""
        return _Buckets(self)


class _Buckets:
    """Levels by client: (requests, time)."""

    reason = Reason.RATE_LIMIT

    def __init__(self, spec: TokenBucket) -> None:
        self.spec = spec
        self.level: dict[int, tuple[float, float]] = {}

    def lets_in(self, client: int, time: float, seen: Seen) -> bool:
        """Whether one request is in the bucket; takes it."""
        key = client if self.spec.per_client else 0
        level, since = self.level.get(key, (self.spec.burst, time))
        level = min(self.spec.burst, level + self.spec.rate * (time - since))
        passes = level >= 1.0
        self.level[key] = (level - passes, time)
        return passes

    def lets_start(self, waited: float) -> bool:
        """Who came in may start."""
        return True
