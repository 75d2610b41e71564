"""Near-miss: the future of `run_in_executor` is returned, not awaited.

Rejected by: test_new_scan_is_computed_off_the_loop, test_new_scan_is_stored_off_the_loop,
    test_stored_scan_is_computed_off_the_loop, test_stored_scan_is_fetched_off_the_loop,
    test_fingerprints_are_right
Coach: Your endpoint returns the future itself. It is a promise of a plate, not a plate, and FastAPI
    cannot make an answer of it.
Why: In a plain function, `return f()` and `return` of its result are the same. With futures they are not.
"""

import asyncio
import os
from pathlib import Path

from fastapi import FastAPI, HTTPException, UploadFile
from pydantic import BaseModel

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


class Plate(BaseModel):
    plate_id: int
    fingerprint: str


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


def keep(plate_id: int, pixels: bytes) -> Plate:
    """Fingerprint a scan and put it into the vault."""
    if not pixels or len(pixels) % (WIDTH * ROWS):
        raise HTTPException(status_code=422, detail="This is not a scan of a plate")
    plate = Plate(plate_id=plate_id, fingerprint=fingerprint(pixels))
    try:
        vault.store(f"plate-{plate_id}", pixels)
    except AlreadyStoredError as error:
        raise HTTPException(status_code=409, detail="This plate is stored already") from error
    return plate


def look_up(plate_id: int) -> Plate:
    """Fingerprint the scan that the vault holds."""
    try:
        pixels = vault.fetch(f"plate-{plate_id}")
    except NotStoredError as error:
        raise HTTPException(status_code=404, detail="There is no such plate") from error
    return Plate(plate_id=plate_id, fingerprint=fingerprint(pixels))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/plates/{plate_id}", status_code=201)
async def add_plate(plate_id: int, scan: UploadFile) -> Plate:
    """Take the scan of a plate into the archive."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, keep, plate_id, await scan.read())


@app.get("/plates/{plate_id}")
async def get_plate(plate_id: int) -> Plate:
    """Return the fingerprint of a plate in the archive."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, look_up, plate_id)
