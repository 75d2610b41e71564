"""Near-miss: the audit awaited, its failure ignored.

Rejected by: test_no_record_without_an_audit_row
Coach: The audit row is written before the answer. But when the trail refuses it, the error is only
    a value in a list that nobody reads, and the record is shown all the same.
Why: `return_exceptions=True` makes the code survive, so it is copied along with `gather`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

log = logging.getLogger("emergency_desk")


class Patient(BaseModel):
    patient_id: str
    name: str
    phone: str
    allergies: list[str]


class Opening(BaseModel):
    doctor: str
    reason: str


class Record(BaseModel):
    patient_id: str
    name: str
    allergies: list[str]


class AuditEntry(BaseModel):
    patient_id: str
    doctor: str
    reason: str


class AuditError(Exception):
    """The audit trail did not take an entry."""


class AuditTrail:
    """The entries that the data protection officer reads; in memory at this desk."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def append(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


class TextGateway:
    """Sends text messages; the gateway of this desk only writes them to the log."""

    async def send(self, phone: str, text: str) -> None:
        log.info("A text of %d characters is sent", len(text))


PATIENTS = {
    "P-100": Patient(patient_id="P-100", name="Ana Ruiz", phone="+34100", allergies=["penicillin"]),
    "P-200": Patient(patient_id="P-200", name="Bo Larsen", phone="+45200", allergies=[]),
    "P-300": Patient(patient_id="P-300", name="Chi Okafor", phone="+23300", allergies=["latex"]),
}
audit = AuditTrail()
gateway = TextGateway()
messages: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    log.info("The desk opens")
    yield
    await asyncio.gather(*messages)
    log.info("The desk closes")


app = FastAPI(title="Emergency desk", lifespan=lifespan)


async def write_audit(patient: Patient, opening: Opening) -> None:
    """Write down who opened which record, and why."""
    await audit.append(AuditEntry(patient_id=patient.patient_id, **opening.model_dump()))


async def tell_patient(patient: Patient, doctor: str) -> None:
    """Tell the patient who opened the record."""
    try:
        await gateway.send(patient.phone, f"{doctor} opened your record in an emergency.")
    except Exception:
        log.exception("Patient %s was not told", patient.patient_id)


@app.post("/patients/{patient_id}/openings")
async def open_record(patient_id: str, opening: Opening) -> Record:
    """Open the record of a patient in an emergency."""
    patient = PATIENTS.get(patient_id)
    if patient is None:
        raise HTTPException(status_code=404, detail="There is no such patient")
    try:
        await asyncio.gather(write_audit(patient, opening), return_exceptions=True)
    except AuditError as error:
        raise HTTPException(status_code=503, detail="The audit trail is not available") from error
    task = asyncio.create_task(tell_patient(patient, opening.doctor))
    messages.add(task)
    task.add_done_callback(messages.discard)
    return Record(patient_id=patient.patient_id, name=patient.name, allergies=patient.allergies)
