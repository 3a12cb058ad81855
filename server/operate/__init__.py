"""What operators do: schedules, runs, versions, rewards, opinions, people, the audit log, and the state of it all.

Each change is audited in its own transaction. Everything here is possible on the command line too.
"""

from fastapi import APIRouter

from server.operate import (
    asking,
    audit,
    compare,
    delays,
    desk,
    entrance,
    labelling,
    live,
    people,
    policies,
    recipes,
    release,
    rewards,
    runs,
    schedules,
    summary,
    welcome,
)

router = APIRouter()
for part in (
    asking,
    schedules,
    runs,
    compare,
    policies,
    release,
    recipes,
    rewards,
    desk,
    labelling,
    people,
    entrance,
    audit,
    summary,
    delays,
    welcome,
    live,
):
    router.include_router(part.router)
