"""Near-miss: the lockers have no tag.

Rejected by: test_operations_carry_the_tag_of_their_domain
Coach: You repaired the paths. The lockers still belong to no group of the document.
Why: Nothing fails without a tag.
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, HTTPException
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
lockers = APIRouter(prefix="/lockers")


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
