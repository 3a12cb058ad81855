"""What is known of one version, gathered from where it lies: its run, its data, its files, and what people think."""

from dataclasses import asdict

import sqlalchemy as sa
from sqlmodel import Session, col

from backtalk import givers, satisfaction, weights
from backtalk.settings import Settings
from backtalk.tables import Json, Policy, Reply, Run, RunPerson

MOST_PEOPLE = 10


def card(session: Session, settings: Settings, policy: Policy) -> Json:
    """Where a version comes from and how it does.

    Returns:
        `snapshot` (digest, counts, people, the ten its reward hangs on most), `recipe`, `rewards`, `thumbs` (replies,
        rated, liked) and `files` (signature, problem, count, bytes).
    """
    run = session.get(Run, policy.run_id) if policy.run_id is not None else None
    return {
        "snapshot": _snapshot(session, run) if run is not None else None,
        "recipe": run.recipe if run is not None else {},
        "rewards": run.recipe.get("rewards", {}) if run is not None else {},
        "thumbs": thumbs(session, policy.number),
        "files": files(settings, policy),
    }


def _snapshot(session: Session, run: Run) -> Json:
    used = sa.func.sum(RunPerson.used)
    people, opinions = session.execute(sa.select(sa.func.count(), used).where(col(RunPerson.run_id) == run.id)).one()
    return {
        "digest": run.snapshot_digest,
        "counts": run.counts,
        "people": people,
        "opinions": int(opinions or 0),
        "givers": [asdict(one) for one in givers.of_run(session, run.id, MOST_PEOPLE)],
    }


def thumbs(session: Session, number: int) -> Json:
    """Replies of a version, and the thumbs they got: all of them since it went live, or on trial."""
    replies = session.execute(sa.select(sa.func.count()).where(col(Reply.policy_version) == number)).scalar_one()
    rated, liked = satisfaction.by_version(session).get(number, (0, 0))
    return {"replies": replies, "rated": rated, "liked": liked}


def files(settings: Settings, policy: Policy) -> Json:
    """Are the weights those that were published here? Every byte is read, so call it in a thread."""
    directory = settings.weights_dir / policy.directory
    found: Json = {"signature": "valid", "problem": None, "count": 0, "bytes": 0}
    try:
        manifest = weights.verify(directory, weights.public_key(settings.keys_dir))
    except weights.WeightsError as error:
        is_there = (directory / weights.MANIFEST).exists()
        return found | {"signature": "broken" if is_there else "missing", "problem": str(error)}
    sizes = [int(entry["size"]) for entry in manifest.files.values()]
    found |= {"count": len(sizes), "bytes": sum(sizes)}
    if manifest.digest != policy.digest:
        found |= {"signature": "broken", "problem": f"{directory.name}: these are not the weights that were published"}
    return found
