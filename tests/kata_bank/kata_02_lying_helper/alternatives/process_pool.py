"""Alternative: a process pool of the application computes, threads talk to the vault.

Right because: The computation runs in another process, the vault's client in a thread, and both are
    awaited. The lifespan owns the pool and shuts it down.
Trade-off: The only way in which pure Python code uses more than one processor. Arguments and results
    are copied between processes, and starting one takes time: it is done at start-up.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
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
pool: ProcessPoolExecutor


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global pool
    with ProcessPoolExecutor(1) as pool:
        await compute(b"")  # the process starts now, not while somebody waits
        yield


app = FastAPI(title="Plate archive", lifespan=lifespan)


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


async def compute(pixels: bytes) -> str:
    """Fingerprint a picture in another process."""
    return await asyncio.get_running_loop().run_in_executor(pool, fingerprint, pixels)


async def keep(plate_id: int, pixels: bytes) -> Plate:
    """Fingerprint a scan and put it into the vault."""
    if not pixels or len(pixels) % (WIDTH * ROWS):
        raise HTTPException(status_code=422, detail="This is not a scan of a plate")
    plate = Plate(plate_id=plate_id, fingerprint=await compute(pixels))
    try:
        await asyncio.to_thread(vault.store, f"plate-{plate_id}", pixels)
    except AlreadyStoredError as error:
        raise HTTPException(status_code=409, detail="This plate is stored already") from error
    return plate


async def look_up(plate_id: int) -> Plate:
    """Fingerprint the scan that the vault holds."""
    try:
        pixels = await asyncio.to_thread(vault.fetch, f"plate-{plate_id}")
    except NotStoredError as error:
        raise HTTPException(status_code=404, detail="There is no such plate") from error
    return Plate(plate_id=plate_id, fingerprint=await compute(pixels))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/plates/{plate_id}", status_code=201)
async def add_plate(plate_id: int, scan: UploadFile) -> Plate:
    """Take the scan of a plate into the archive."""
    return await keep(plate_id, await scan.read())


@app.get("/plates/{plate_id}")
async def get_plate(plate_id: int) -> Plate:
    """Return the fingerprint of a plate in the archive."""
    return await look_up(plate_id)
