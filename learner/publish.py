"""A candidate becomes a version: files beside the others, then one transaction (rules R8, R9)."""

import logging
import shutil
from pathlib import Path
from uuid import UUID

import torch
from safetensors.torch import save_file
from sqlmodel import Session
from transformers import PreTrainedModel

from backtalk import policies, release, weights
from backtalk.database import Database
from backtalk.engine import canary
from backtalk.recipe import Recipe
from backtalk.settings import Settings
from backtalk.tables import Json, Policy
from learner.dataset import Snapshot, lost_consent
from learner.gate import Rejected
from learner.journal import NotFinite
from learner.record import Cancelled, RunJournal

log = logging.getLogger(__name__)


def publish(
    settings: Settings,
    database: Database,
    run_id: UUID,
    candidate: PreTrainedModel,
    parent: Policy,
    replaces: int,
    snapshot: Snapshot,
    recipe: Recipe,
    report: Json,
    journal: RunJournal,
) -> int:
    """Write the version beside the others, then let it out in one transaction that checks consent and epoch.

    The operators' rules say what becomes of it: live for all, tried on some, or waiting for a word of theirs.

    Args:
        parent: the version that the run began at.
        replaces: the number of the version that was live then; not the parent's where that one has to be forgotten.

    Raises:
        NotFinite: a weight is NaN or infinite.
        Rejected: somebody took a consent or an opinion back meanwhile, or another version went live.
        LeaseLost: the run is no longer ours; the files are not entered anywhere.
    """
    made = weights.workspace(settings.weights_dir, run_id)
    try:
        write_model(made, candidate, settings.weights_dir / parent.directory)
    except Exception:
        shutil.rmtree(made)
        raise
    with database.read() as session:
        number = policies.next_number(session)
    directory, manifest = weights.publish(
        made,
        settings.weights_dir,
        weights.signing_key(settings.keys_dir),
        number=number,
        parent=parent.number,
        run=str(run_id),
        snapshot=snapshot.digest,
        recipe=recipe.model_dump(),
        report=report,
    )

    log.info("version %s is written: %s", number, directory.name)

    def enter(session: Session) -> None:
        if gone := lost_consent(session, snapshot):
            raise Rejected(f"{gone} of the opinions may no longer train: consent was taken back; start another run")
        if (live := policies.live(session)) is None or live.number != replaces:
            raise Rejected("another version went live while this one was learning; start another run")
        policies.add(
            session, number, directory.name, manifest.digest, parent=parent.number, run_id=run_id, report=report
        )
        release.release(session, number, "learner", f"run {run_id}")

    try:
        journal.pulse()
        journal.end("promoted", None, report, enter, to_version=number)
    except (Rejected, Cancelled):
        shutil.rmtree(directory)  # the run is still ours, and these files will never be entered
        raise
    return number


def write_model(directory: Path, model: PreTrainedModel, source: Path) -> None:
    """Write a policy as a directory of safetensors, with what it says for whoever wants to check that they serve it.

    Args:
        model: rounded as it is served.
        source: a version to take all but the weights from.

    Raises:
        NotFinite: a weight is NaN or infinite; nothing is written.
    """
    state = served_state(model)
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise NotFinite(f"{name} holds what is no number, after the gate; the version is not published")
    weights.copy_model(source, directory)
    for old in directory.glob("*.safetensors*"):
        old.unlink()
    model.config.dtype = torch.bfloat16
    model.config.save_pretrained(directory)
    save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
    canary.write(directory, model)


def round_as_served(model: PreTrainedModel) -> None:
    """Round the weights to the precision they are published in: what the gate judges is what people get."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))


def served_state(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Weights in bfloat16 by name, tied ones once."""
    state: dict[str, torch.Tensor] = {}
    seen: dict[int, str] = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() in seen:
            continue
        seen[tensor.data_ptr()] = name
        state[name] = tensor.detach().to("cpu", torch.bfloat16).contiguous()
    return state
