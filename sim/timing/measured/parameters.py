"""Which kernel parameters a comparison may use, and where they come from.

profile      those of each chip's own profile, as shipped
prior        those of the family `accelerator` for every chip: what is known of a chip nobody has measured
family:CHIP  those of another chip, the datasheet swapped
FILE         those of a profile of the user's own, as `bandwall calibrate` writes it; where tables name its
             chip and no shipped profile does, the whole profile
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sim.errors import UserError
from sim.figures import Assumption, Resolution
from sim.hardware import chip_names, load_chip, load_family
from sim.hardware.catalogue import is_path
from sim.hardware.chip import KernelFamily
from sim.timing.measured.bench import Bench

PRIOR = "accelerator"
PRIOR_NAME = "prior"
_SWAPPED = "family:"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The choice of parameters.

    Attributes:
        name: as it was asked for; swapped: the kernels that take the place of every chip's own, None for
            none; text: where they come from; own: the chip of a profile of the user's own, "" for none.
    """

    name: str
    swapped: KernelFamily | None
    text: str
    own: str = ""

    def bench(self, table_chip: str, drawn: Resolution | None = None) -> Bench | None:
        """The chip a table names, with these parameters; None where no profile has that name.

        Args:
            drawn: where every figure is to be drawn, what draws them.
        """
        name = catalogue_name(table_chip)
        if name is None and self.own and names_chip(table_chip, self.own):
            name = self.name
        if name is None:
            return None
        chip, _ = load_chip(name, resolution=drawn)
        return Bench(chip, self.swapped if drawn is None else self._drawn(drawn))

    def _drawn(self, drawn: Resolution) -> KernelFamily | None:
        if self.swapped is None:
            return None
        if self.name == PRIOR_NAME:
            return load_family(PRIOR, drawn)[0]
        return load_chip(self.name.removeprefix(_SWAPPED), resolution=drawn)[0].kernels


def parameters(name: str) -> Parameters:
    """The parameters a user asks for.

    Raises:
        UserError: for a name that is none of the four forms, an unknown chip, a faulty profile.
    """
    if name == "profile":
        return Parameters(name, None, "each chip's own profile, as shipped")
    if name == PRIOR_NAME:
        kernels, figures = load_family(PRIOR)
        return Parameters(name, kernels, f"family {PRIOR} for every chip: {_provenance(figures)}")
    if name.startswith(_SWAPPED) or is_path(name):
        chip, figures = load_chip(name.removeprefix(_SWAPPED))
        of_kernels = [f for f in figures if f.path.startswith("kernels.")]
        text = f"family {chip.kernels.name} of {chip.name} for every chip: {_provenance(of_kernels)}"
        return Parameters(name, chip.kernels, text, chip.name if is_path(name) else "")
    raise UserError(
        f"unknown parameters '{name}' (known: profile, prior, family:CHIP as in family:h100, a file)"
    )


def catalogue_name(table_chip: str) -> str | None:
    """The catalogue's name of a chip that tables call "h100_sxm" or "rtx_pro_6000_server"."""
    name = _plain(table_chip)
    known = chip_names()
    if name in known:
        return name
    longer = [full for full in known if full.endswith(f"-{name}")]
    return longer[0] if len(longer) == 1 else None


def names_chip(table_chip: str, chip: str) -> bool:
    """Whether a table's name of a chip is that of a profile, a shipped one or a user's own."""
    return (catalogue_name(table_chip) or _plain(table_chip)) == _plain(chip)


def _plain(table_chip: str) -> str:
    return table_chip.lower().replace("_", "-").removesuffix("-sxm").removesuffix("-server")


def _provenance(figures: Sequence[Assumption]) -> str:
    """'31 figures (20 measured, 11 estimate)'."""
    counts = Counter(figure.basis for figure in figures)
    return f"{len(figures)} figures ({', '.join(f'{n} {basis}' for basis, n in counts.most_common())})"
