"""`backtalk policy …`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, pick, say, show, show_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmodel import Session

    from backtalk.tables import Policy

app = typer.Typer(help="Versions of the weights.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(min=0, help="Number of the version; `backtalk policy list` shows them.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
FIELDS = ("number", "parent", "run_id", "state", "digest", "report", "created_at", "live_at")

CANARY_FIELDS = ("number", "control", "state", "reason", "shares", "alpha", "began_at", "ended_at")
SAID = {
    "live": "is live now; a running server follows within a second",
    "canary": "is given to some of the people first; `backtalk policy watch` shows how it does",
    "candidate": "waits: another version is being tried on some of the people",
    "rejected": "is turned down",
}


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List versions with what people thought of them.

    Example: backtalk policy list
    """
    from sqlmodel import col, select

    from backtalk import satisfaction
    from backtalk.tables import Policy

    rows = []
    with opened() as (_, database), database.read() as session:
        thumbs = satisfaction.by_version(session)
        for policy in session.exec(select(Policy).order_by(col(Policy.number))):
            rated, liked = thumbs.get(policy.number, (0, 0))
            rows.append({**_shown(policy), "rated": rated, "liked": liked})
    if not as_json:
        rows = [{**row, "digest": row["digest"][:12], "liked": _share(row["liked"], row["rated"])} for row in rows]
    show(rows, ("number", "state", "parent", "digest", "rated", "liked", "live_at"), as_json, "no version yet")


@app.command("show")
def show_policy(number: Number, as_json: AsJson = False) -> None:
    """Show one version: where it comes from, whether its files are whole, and how it is liked.

    Example: backtalk policy show 1 --json
    """
    from backtalk.card import card

    with opened() as (settings, database), database.read() as session:
        policy = _policy(session, number)
        known = card(session, settings, policy)
        row = {**_shown(policy), "reason": policy.reason, "directory": str(settings.weights_dir / policy.directory)}
    show_one({**row, **{name: known[name] for name in ("snapshot", "rewards", "thumbs", "files")}}, as_json)


@app.command()
def compare(
    left: Number,
    right: Number,
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to ask; may be repeated. Real questions of late when left out.")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2)] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="The same replies again.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Ask two versions the same and show their replies side by side; needs a running Backtalk.

    Example: backtalk policy compare 0 1 --prompt 'What is the capital of France?'
    """
    from backtalk.cli.comparing import compared

    rows = compared(left, right, prompt, temperature, seed)
    show(
        rows, ("prompt", "left", "right"), as_json, "nobody who lets theirs train has asked anything yet; use --prompt"
    )


@app.command()
def promote(
    number: Number,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make a version the live one; the server swaps to it without dropping a reply.

    Example: backtalk policy promote 3
    """
    from backtalk import policies

    _move(number, as_json, lambda session: policies.go_live(session, number, ACTOR, reason=reason))


@app.command()
def approve(number: Number, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let a waiting version out as the rules of release say: to some of the people first, or to all.

    Example: backtalk policy approve 3
    """
    from backtalk import release

    _move(number, as_json, lambda session: release.approve(session, number, ACTOR, reason))


@app.command()
def reject(number: Number, reason: Reason = "", as_json: AsJson = False) -> None:
    """Turn a waiting version down.

    Example: backtalk policy reject 3 --reason 'too curt'
    """
    from backtalk import release

    _move(number, as_json, lambda session: release.reject(session, number, ACTOR, reason))


@app.command()
def canary(number: Number, reason: Reason = "", as_json: AsJson = False) -> None:
    """Give a version to some of the people first; it goes on, waits or is taken back by itself.

    Example: backtalk policy canary 3
    """
    from backtalk import canary as canaries
    from backtalk import release

    _move(number, as_json, lambda session: canaries.begin(session, number, ACTOR, release.rules(session), reason))


@app.command()
def watch(
    number: Annotated[
        int | None, typer.Argument(help="Number of the version; the newest canary when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a version does that some of the people have, or had, first.

    Example: backtalk policy watch
    """
    from backtalk import canary as canaries

    with opened() as (_, database), database.read() as session:
        found = canaries.last(session, number)
        if found is None:
            which = f"policy {number} has" if number is not None else "no policy has"
            raise CommandError(f"{which} been tried on some of the people; `backtalk policy canary NUMBER` does that")
        look = canaries.newest_look(session, found)
        row = {**pick(found, CANARY_FIELDS), **(look.content if look is not None else {})}
    show_one(row, as_json)


@app.command()
def rollback(reason: Reason = "", as_json: AsJson = False) -> None:
    """Take the newest change back: a canary if one is under way, otherwise the live version.

    Example: backtalk policy rollback --reason 'people like it less'
    """
    from backtalk import policies

    with opened() as (_, database), database.write() as session:
        shown = _shown(policies.roll_back(session, ACTOR, reason))
    _moved(shown, as_json)


@app.command()
def export(
    number: Number, directory: Annotated[Path, typer.Argument(help="Where to; must be empty or not there.")]
) -> None:
    """Copy a version out; `transformers` opens it as it is.

    Example: backtalk policy export 1 /srv/models/backtalk-1
    """
    import shutil

    from backtalk import audit, weights

    with opened() as (settings, database):
        with database.read() as session:
            source = settings.weights_dir / _policy(session, number).directory
        weights.verify(source, weights.public_key(settings.keys_dir))
    if directory.exists() and any(directory.iterdir()):
        raise CommandError(f"{directory} is not empty; give a directory that is empty or not there")
    shutil.copytree(source, directory, dirs_exist_ok=True)
    for path in directory.iterdir():
        path.chmod(0o644)
    with opened() as (_, database), database.write() as session:
        audit.record(session, ACTOR, "policy.export", number)
    print(f"policy {number} copied to {directory}")


@app.command()
def push(
    number: Number,
    repo: Annotated[str, typer.Argument(help="Where to, as owner/name; made unless it is there.")],
    public: Annotated[bool, typer.Option("--public", help="Of a repository that is made: for all to see.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a version to the Hugging Face hub; `policy import owner/name` takes it in elsewhere.

    The token is the one that `hf auth login` has kept, or HF_TOKEN.

    Example: backtalk policy push 1 ada/backtalk
    """
    from backtalk import audit, hub, weights

    with opened() as (settings, database):
        with database.read() as session:
            source = settings.weights_dir / _policy(session, number).directory
        weights.verify(source, weights.public_key(settings.keys_dir))
        address = hub.push(source, repo, private=not public)
        with database.write() as session:
            audit.record(session, ACTOR, "policy.push", number, repo=repo, commit=address)
    say({"number": number, "repo": repo, "commit": address}, f"policy {number} is at {address}", as_json)


@app.command("import")
def import_(
    model: Annotated[str, typer.Argument(help="A directory with a model in safetensors, or a Hugging Face id.")],
    as_json: AsJson = False,
) -> None:
    """Take a model in as a candidate; `policy promote` makes it live.

    Example: backtalk policy import /srv/models/backtalk-1
    """
    import shutil

    from backtalk import admission, audit, policies, weights

    with opened() as (settings, database):
        directory = weights.fetch_model(model)
        made = weights.workspace(settings.weights_dir)
        try:
            weights.copy_model(directory, made)
            if (directory / weights.MANIFEST).exists():
                shutil.copyfile(directory / weights.MANIFEST, made / weights.MANIFEST)
                weights.verify(made)  # signed elsewhere or not at all, but whole
                (made / weights.MANIFEST).unlink()
            admission.admit(made)  # what cannot render a conversation cannot chat
            with database.read() as session:
                number = policies.next_number(session)
            key = weights.signing_key(settings.keys_dir)
            version, manifest = weights.publish(made, settings.weights_dir, key, number=number)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        with database.write() as session:
            if policies.next_number(session) != number:
                raise CommandError("another version was made at this moment; run the same command again")
            policy = policies.add(session, number, version.name, manifest.digest)
            audit.record(session, ACTOR, "policy.import", number, digest=manifest.digest)
            shown = _shown(policy)
    show_one(shown, as_json)


def _policy(session: "Session", number: int) -> "Policy":
    from backtalk.tables import Policy

    policy = session.get(Policy, number)
    if policy is None:
        raise CommandError(f"there is no policy {number}; `backtalk policy list` shows those there are")
    return policy


def _shown(policy: "Policy") -> dict[str, Any]:
    return pick(policy, FIELDS)


def _move(number: int, as_json: bool, move: "Callable[[Session], Policy]") -> None:
    """Move a version whose files are whole, and say where it is then."""
    from backtalk import weights

    with opened() as (settings, database):
        with database.read() as session:
            policy = _policy(session, number)
        weights.verify(settings.weights_dir / policy.directory, weights.public_key(settings.keys_dir))
        with database.write() as session:
            shown = _shown(move(session))
    _moved(shown, as_json)


def _moved(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_one(shown, as_json)
    else:
        print(f"policy {shown['number']} {SAID.get(shown['state'], 'is ' + shown['state'])}")


def _share(part: int, whole: int) -> str | None:
    return f"{part / whole:.0%}" if whole else None
