"""Both versions answer what training never saw, and everything the gate looks at is measured."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from backtalk.rules import held
from backtalk.tables import Json
from learner import advice
from learner.dataset import Logged
from learner.gate import Findings
from learner.general import perplexity
from learner.intervals import thumbs_auc
from learner.journal import Part
from learner.judge import Judge
from learner.lesson import Study
from learner.probes import by_group, compare, examine, fitting, probes, refused
from learner.rollouts import Rollout, draw
from learner.sequences import Exchange, all_logprobs


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with both versions' answers and their rewards. Made here, kept as samples of the run."""

    question: str
    before: Exchange
    after: Exchange
    reward_before: float
    reward_after: float


class Trial:
    """The live version's side of it, asked once; each candidate is then held against it."""

    def __init__(self, study: Study, candidates: int = 1) -> None:
        """
        Args:
            candidates: how many there will be; the more, the surer each gain has to be (Bonferroni), since the best of
                many looks good by chance.
        """
        self._study = study
        lesson, gate = study.lesson, study.recipe.gate
        self._confidence = 1 - (1 - gate.confidence) / candidates
        # Each prompt is asked several times where they are few.
        self._asked = [p for _ in range(-(-gate.prompts // len(lesson.unseen))) for p in lesson.unseen][: gate.prompts]
        self._before = self._answers(lesson.live, gate.temperature)
        usual = [*lesson.taught.exchanges(), *lesson.held_out.exchanges()]
        self._judge = Judge(lesson.live, lesson.held_out, usual, lesson.template.ends)
        self._old = [rollout.exchange for rollout in self._before]
        self._seen, self._appraised = self._judge.look(self._old), study.reward.appraise(self._old)
        self._questions = fitting(lesson.template, probes())
        self._was = examine(lesson.live, lesson.template, self._questions)
        self._perplexity = perplexity(lesson.live, lesson.template)
        taught, held_out, seed = lesson.taught.thumbs, lesson.held_out.thumbs, study.recipe.seed
        other = self._judge.preference([thumb.exchange for thumb in taught])
        own = study.reward.preference([thumb.exchange for thumb in held_out])
        self._judge_auc = thumbs_auc(other, taught, gate.confidence, seed)
        self._auc = thumbs_auc(own, held_out, gate.confidence, seed)

    def of(self, candidate: PreTrainedModel, progress: Part) -> tuple[Findings, list[Answered]]:
        """Ask the candidate the same questions at the serving temperature, and judge the answers."""
        study, lesson, gate = self._study, self._study.lesson, self._study.recipe.gate
        after = self._answers(candidate, gate.temperature)
        old, new = self._old, [rollout.exchange for rollout in after]
        study.journal.step(progress(0.3))
        gain = self._judge.gain(self._asked, self._seen, self._judge.look(new), self._confidence, study.recipe.seed)
        study.journal.step(progress(0.5), gain=gain.value, gain_low=gain.low, gain_high=gain.high)
        (was_worth, was_liked), (worth, liked) = self._appraised, study.reward.appraise(new)
        kl = divergence(candidate, lesson.live, [r.exchange for r in self._answers(candidate, 1.0)])
        study.journal.step(progress(0.8), gate_kl=kl)
        now = examine(candidate, lesson.template, self._questions)
        findings = Findings(
            auc=self._auc,
            judge_auc=self._judge_auc,
            gain=gain,
            trained_gain=float(liked.sigmoid().mean() - was_liked.sigmoid().mean()),
            kl=kl,
            length=(_mean(len(e.reply) for e in old), _mean(len(e.reply) for e in new)),
            liked_length=_mean(len(t.exchange.reply) for t in lesson.taught.thumbs if t.liked),
            endless=(_mean(not r.ended for r in self._before), _mean(not r.ended for r in after)),
            probes=compare(self._questions, self._was, now, safety=False),
            refusals=compare(self._questions, self._was, now, safety=True),
            right=(_mean(self._was.right), _mean(now.right)),
            groups=by_group(self._questions, self._was, now),
            perplexity={
                language: (self._perplexity[language], found)
                for language, found in perplexity(candidate, lesson.template).items()
            },
            refused=refused(self._questions, now),
            **_forbidden(gate.forbidden, [*(e.text for e in new), *now.replies]),
        )
        study.journal.step(progress(1.0))
        return findings, [
            Answered(lesson.template.text(one.prompt), one, other, was, is_now)
            for one, other, was, is_now in zip(old, new, was_worth.tolist(), worth.tolist(), strict=True)
        ]

    def advise(self, candidate: PreTrainedModel, answered: Sequence[Answered], logged: Sequence[Logged]) -> Json:
        """What there is to tell of a candidate beside its findings.

        Args:
            answered: what `of` has returned for it.
            logged: the ledger, of people held out as well.
        """
        self._study.journal.pulse()
        answers = [one.before for one in answered], [one.after for one in answered]
        recipe = self._study.recipe
        return advice.of_candidate(self._study.lesson, candidate, answers, self._judge, logged, recipe)

    def _answers(self, model: PreTrainedModel, temperature: float) -> list[Rollout]:
        self._study.journal.pulse()
        recipe = self._study.recipe
        return draw(
            model,
            self._study.lesson.template,
            self._asked,
            temperature=temperature,
            maximum_tokens=recipe.sampling.maximum_tokens,
            seed=recipe.seed + 1,
        )


def divergence(model: PreTrainedModel, other: PreTrainedModel, exchanges: Sequence[Exchange]) -> float:
    """KL in nats per reply between two versions, from replies that `model` drew at temperature 1."""
    pairs = zip(all_logprobs(model, exchanges), all_logprobs(other, exchanges), strict=True)
    return _mean(float(own.sum() - prior.sum()) for own, prior in pairs)


def _forbidden(words: Sequence[str], replies: Sequence[str]) -> dict[str, Any]:
    """What share of the replies holds a forbidden word, and the same for each word that occurs, the worst first."""
    found = [held(words, reply) for reply in replies] if words else []
    counts = Counter(word for reply in found for word in reply)
    by_word = {word: round(count / len(replies), 4) for word, count in counts.most_common()}
    return {"forbidden": _mean(bool(reply) for reply in found), "by_word": by_word}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
