"""Near-miss: plain `def` endpoints, and the fingerprint as a computed field of the answer.

Rejected by: test_new_scan_is_computed_off_the_loop, test_stored_scan_is_computed_off_the_loop
Coach: The vault's work is off the loop now. The fingerprint is still computed on the loop's thread, in a
    helper that an `async def` endpoint calls, or while the answer is built.
Why: "Plain `def` means thread" is true for the endpoint; the model of its answer is FastAPI's to call.
"""

import os
from pathlib import Path

from fastapi import FastAPI, HTTPException, UploadFile
from pydantic import BaseModel, Field, computed_field

WIDTH = 72
COLUMNS, ROWS = 9, 8


class AlreadyStoredError(Exception):
    """The vault holds this name already, and it never overwrites."""


class NotStoredError(Exception):
    """The vault does not hold this name."""


class VaultClient:
    """Synchronous client of the vault, as its vendor delivers it. Threads may share one."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def store(self, name: str, data: bytes) -> None:
        """Keep data under a new name; return when it is safe on the disk."""
        self._root.mkdir(parents=True, exist_ok=True)
        try:
            with (self._root / name).open("xb") as file:
                file.write(data)
                os.fsync(file.fileno())
        except FileExistsError:
            raise AlreadyStoredError(name) from None

    def fetch(self, name: str) -> bytes:
        """Read back what was stored under a name."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            raise NotStoredError(name) from None


vault = VaultClient(Path(os.environ.get("VAULT_DIR", "vault")))
app = FastAPI(title="Plate archive")


def fingerprint(pixels: bytes) -> str:
    """Shrink a picture to 9 by 8 fields and note, in 64 bits, where it gets darker."""
    height = len(pixels) // WIDTH
    light = [0] * (COLUMNS * ROWS)
    for index, value in enumerate(pixels):
        row, column = divmod(index, WIDTH)
        light[row * ROWS // height * COLUMNS + column * COLUMNS // WIDTH] += value
    bits = 0
    for field in range(COLUMNS * ROWS):
        if (field + 1) % COLUMNS:
            bits = bits << 1 | (light[field] > light[field + 1])
    return f"{bits:016x}"


class Plate(BaseModel):
    plate_id: int
    pixels: bytes = Field(exclude=True, repr=False)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fingerprint(self) -> str:
        """The 64 bits that are the same when two pictures are the same."""
        return fingerprint(self.pixels)


def keep(plate_id: int, pixels: bytes) -> Plate:
    """Put a scan into the vault."""
    if not pixels or len(pixels) % (WIDTH * ROWS):
        raise HTTPException(status_code=422, detail="This is not a scan of a plate")
    plate = Plate(plate_id=plate_id, pixels=pixels)
    try:
        vault.store(f"plate-{plate_id}", pixels)
    except AlreadyStoredError as error:
        raise HTTPException(status_code=409, detail="This plate is stored already") from error
    return plate


def look_up(plate_id: int) -> Plate:
    """Fetch the scan that the vault holds."""
    try:
        pixels = vault.fetch(f"plate-{plate_id}")
    except NotStoredError as error:
        raise HTTPException(status_code=404, detail="There is no such plate") from error
    return Plate(plate_id=plate_id, pixels=pixels)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/plates/{plate_id}", status_code=201)
def add_plate(plate_id: int, scan: UploadFile) -> Plate:
    """Take the scan of a plate into the archive."""
    return keep(plate_id, scan.file.read())


@app.get("/plates/{plate_id}")
def get_plate(plate_id: int) -> Plate:
    """Return the fingerprint of a plate in the archive."""
    return look_up(plate_id)
