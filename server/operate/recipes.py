"""What to learn: the default recipe with its schema."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from backtalk.recipe import Recipe
from server.operate.rules import PREFIX, Operator

router = APIRouter(prefix=PREFIX, tags=["recipes"])


class RecipeOut(BaseModel):
    """The default recipe and what each of its fields means."""

    default: dict[str, Any]
    json_schema: dict[str, Any]


@router.get("/recipes")
async def show_recipe(caller: Operator) -> RecipeOut:
    """The default recipe with its JSON schema: every field described, with its bounds."""
    return RecipeOut(default=Recipe().model_dump(mode="json"), json_schema=Recipe.model_json_schema())
