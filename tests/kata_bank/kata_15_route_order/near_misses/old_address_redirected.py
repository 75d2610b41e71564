"""Near-miss: the old address of the lockers is redirected to the new one.

Rejected by: test_document_has_each_path_once
Coach: You kept an address beside the right one, and the document hides it. It still answers: a
    redirect is an answer too, and it stays when the version changes.
Why: A redirect seems polite to the clients that know the old address.
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, HTTPException
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field


class Member(BaseModel):
    id: int
    name: str


class NewCourse(BaseModel):
    title: Annotated[str, Field(min_length=3, max_length=60)]
    places: Annotated[int, Field(ge=0, le=40)]


class Course(NewCourse):
    id: int


class Locker(BaseModel):
    id: int
    floor: int


MEMBERS = {1: Member(id=1, name="Ilse Roth"), 2: Member(id=2, name="Tariq Amin")}
CARDS = {"card-81": 1, "card-82": 2}
COURSES = {1: Course(id=1, title="First knots", places=4)}
LOCKERS = {1: Locker(id=1, floor=0), 2: Locker(id=2, floor=1)}

members = APIRouter(prefix="/members", tags=["members"])
courses = APIRouter(prefix="/courses", tags=["courses"])
lockers = APIRouter(prefix="/lockers", tags=["lockers"])


@members.get("")
async def list_members() -> list[Member]:
    """Show all members."""
    return list(MEMBERS.values())


@members.get("/me")
async def read_me(x_card: Annotated[str, Header()]) -> Member:
    """Show the member whose card was read."""
    if x_card not in CARDS:
        raise HTTPException(status_code=404, detail="Nobody has this card")
    return MEMBERS[CARDS[x_card]]


@members.get("/{member_id}")
async def read_member(member_id: int) -> Member:
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return MEMBERS[member_id]


@courses.get("")
async def list_courses() -> list[Course]:
    """Show all courses."""
    return list(COURSES.values())


@courses.post("", status_code=201)
async def add_course(new: NewCourse) -> Course:
    """Offer a new course."""
    course = Course(id=max(COURSES, default=0) + 1, **new.model_dump())
    COURSES[course.id] = course
    return course


@courses.get("/open")
async def list_open_courses() -> list[Course]:
    """Show the courses that have a place left."""
    return [course for course in COURSES.values() if course.places > 0]


@courses.get("/{course_id}")
async def read_course(course_id: int) -> Course:
    """Show one course."""
    if course_id not in COURSES:
        raise HTTPException(status_code=404, detail="There is no such course")
    return COURSES[course_id]


@lockers.get("")
async def list_lockers() -> list[Locker]:
    """Show all lockers."""
    return list(LOCKERS.values())


@lockers.get("/{locker_id}")
async def read_locker(locker_id: int) -> Locker:
    """Show one locker."""
    if locker_id not in LOCKERS:
        raise HTTPException(status_code=404, detail="There is no such locker")
    return LOCKERS[locker_id]


api = APIRouter(prefix="/api/v1")
api.include_router(members)
api.include_router(courses)
api.include_router(lockers)

app = FastAPI(title="Climbing hall")
app.include_router(api)


@app.get("/lockers", include_in_schema=False)
async def old_lockers() -> RedirectResponse:
    """Send a client of the old address to the new one."""
    return RedirectResponse(f"{api.prefix}/lockers", status_code=308)
