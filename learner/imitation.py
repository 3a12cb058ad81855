"""Supervised fine-tuning: imitate what people liked and what they wrote themselves (arXiv 2203.02155, §3.1)."""

from random import Random

from transformers import PreTrainedModel

from backtalk.tables import Json
from learner.distill import imitate
from learner.journal import Part
from learner.lesson import Study


def learn(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """Imitate thumbs up and rewrites."""
    taught = study.lesson.taught
    liked = [thumb.exchange for thumb in taught.thumbs if thumb.liked]
    shown = [demonstration.exchange for demonstration in taught.demonstrations]
    imitate(policy, liked + shown, study.recipe.distill, Random(study.recipe.seed), study.journal, progress)
    return {"liked": len(liked), "demonstrations": len(shown)}
