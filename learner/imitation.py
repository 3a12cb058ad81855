"""Supervised fine-tuning: imitate what people liked and what they wrote themselves (arXiv 2203.02155, §3.1)."""

from random import Random

from transformers import PreTrainedModel

from backtalk.tables import Json
from learner.distill import imitate
from learner.journal import Part
from learner.lesson import Study


def learn(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """Imitate thumbs up and rewrites."""
    lesson = study.lesson
    liked, shown = [thumb.exchange for thumb in lesson.taught.thumbs if thumb.liked], lesson.shown
    imitate(policy, liked + shown, study.recipe.distill, Random(study.recipe.seed), study.journal, progress)
    return {"liked": len(liked), "demonstrations": len(shown)}
