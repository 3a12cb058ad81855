"""What a new operator is shown first: which model answers, how large it is, and what it runs on."""

import json
import math
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlmodel import Session

from backtalk import policies
from server.operate.rules import PREFIX, Held, Operator

router = APIRouter(prefix=PREFIX, tags=["summary"])


class Model(BaseModel):
    """The model behind the live version."""

    number: int
    source: str = Field(description="The setting BACKTALK_MODEL: where the first version comes from.")
    architecture: str
    parameters: int
    context: int | None = Field(description="Tokens; null until the engine holds it.")
    device: str | None


@router.get("/model")
async def show_model(service: Held, caller: Operator) -> Model | None:
    """The model behind the live version; null while there is none."""
    current, engine = service.swapper.current, service.engine.hello

    def look(session: Session) -> Model | None:
        live = policies.live(session)
        if live is None:
            return None
        directory = service.settings.weights_dir / live.directory
        config = json.loads((directory / "config.json").read_text())
        is_held = current is not None and current.number == live.number
        return Model(
            number=live.number,
            source=service.settings.model,
            architecture=", ".join(config.get("architectures", [])),
            parameters=count_parameters(directory),
            context=current.template.context if is_held and current is not None else None,
            device=engine.get("device"),
        )

    return await service.read(look)


def count_parameters(directory: Path) -> int:
    """How many numbers lie in the weights, as the heads of the files say."""
    count = 0
    for file in directory.glob("*.safetensors"):
        with file.open("rb") as content:
            head = json.loads(content.read(int.from_bytes(content.read(8), "little")))
        count += sum(math.prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")
    return count
