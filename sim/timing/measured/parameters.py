"""Which kernel parameters a comparison may use, and where they come from.

profile      those of each chip's own profile, as shipped
prior        those of the family `accelerator` for every chip: what is known of a chip nobody has measured
family:CHIP  those of another chip, the datasheet swapped
FILE         those of a profile of the user's own, as `bandwall calibrate` writes it
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sim.errors import UserError
from sim.figures import Assumption
from sim.hardware import chip_names, load_chip, load_family
from sim.hardware.catalogue import is_path
from sim.hardware.chip import KernelFamily
from sim.timing.measured.bench import Bench

PRIOR = "accelerator"
_SWAPPED = "family:"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The choice of parameters.

    Attributes:
        name: as it was asked for; swapped: the kernels that take the place of every chip's own, None for
            none; text: where they come from.
    """

    name: str
    swapped: KernelFamily | None
    text: str

    def bench(self, table_chip: str) -> Bench | None:
        """The chip a table names, with these parameters; None where no profile has that name."""
        name = catalogue_name(table_chip)
        if name is None:
            return None
        chip, _ = load_chip(name)
        return Bench(chip, self.swapped)


def parameters(name: str) -> Parameters:
    """The parameters a user asks for.

    Raises:
        UserError: for a name that is none of the four forms, an unknown chip, a faulty profile.
    """
    if name == "profile":
        return Parameters(name, None, "each chip's own profile, as shipped")
    if name == "prior":
        kernels, figures = load_family(PRIOR)
        return Parameters(name, kernels, f"family {PRIOR} for every chip: {_provenance(figures)}")
    if name.startswith(_SWAPPED) or is_path(name):
        chip, figures = load_chip(name.removeprefix(_SWAPPED))
        of_kernels = [f for f in figures if f.path.startswith("kernels.")]
        text = f"family {chip.kernels.name} of {chip.name} for every chip: {_provenance(of_kernels)}"
        return Parameters(name, chip.kernels, text)
    raise UserError(
        f"unknown parameters '{name}' (known: profile, prior, family:CHIP as in family:h100, a file)"
    )


def catalogue_name(table_chip: str) -> str | None:
    """The catalogue's name of a chip that tables call "h100_sxm" or "rtx_pro_6000_server"."""
    name = table_chip.lower().replace("_", "-").removesuffix("-sxm").removesuffix("-server")
    known = chip_names()
    if name in known:
        return name
    longer = [full for full in known if full.endswith(f"-{name}")]
    return longer[0] if len(longer) == 1 else None


def _provenance(figures: Sequence[Assumption]) -> str:
    """'31 figures (20 measured, 11 estimate)'."""
    counts = Counter(figure.basis for figure in figures)
    return f"{len(figures)} figures ({', '.join(f'{n} {basis}' for basis, n in counts.most_common())})"
