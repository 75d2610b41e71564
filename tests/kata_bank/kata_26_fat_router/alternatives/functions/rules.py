"""The rules as functions of plain values: no database, no mail, not even a repository."""

from .errors import NotPossibleError, NotThereError
from .models import Firing, Kiln, NewFiring


def fee_for(heat: int) -> int:
    """Return the fee in cents, for each 100 degrees that are begun."""
    return max(2000, -(-heat // 100) * 250)


def priced(kiln: Kiln | None, new: NewFiring) -> Firing:
    """Return the firing that the kiln can take, with its fee, or refuse."""
    if kiln is None:
        raise NotThereError("There is no such kiln")
    if new.height + 2 > kiln.height:  # the air above the ware
        raise NotPossibleError("The ware is too high for this kiln")
    if new.heat > kiln.heat:
        raise NotPossibleError("This kiln does not get so hot")
    return Firing(**new.model_dump(), fee=fee_for(new.heat))
