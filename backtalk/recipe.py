"""What to learn: one frozen tree of typed fields. It is stored whole with each run, so a run can be told from its row.

Where things are is another tree (`settings.py`). Every default was measured on the bundled starter or comes from the
paper its description names.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from backtalk import rules
from backtalk.tables import Json

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


MANY_OPINIONS = 2000
"""From here on a reward model's trunk learns too."""
GUARDED_DAYS = 3.0
"""Where anybody may sign up, whoever wants many votes has to wait with each of them this long."""
GUARDED_GOLD = 0.5
"""And whoever is known to click at random is not listened to."""


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the field, what was found and what was expected."""


class Part(BaseModel):
    """Base of all parts: no unknown field, no change after making."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Part):
    """Which opinions a run learns from."""

    minimum_opinions: Count = Field(20, description="Fewer opinions than this end in `rejected` at once.")
    held_out: Share = Field(
        0.2, description="Share of the people whose opinions and questions only the gate sees (split by person)."
    )
    judged_by: Count = Field(
        150,
        description="So many opinions are held out at least, or half of all where there are fewer than twice as many: "
        "a judge of too few turns down what is good.",
    )
    cap: Count = Field(
        60, description="One person's opinions that always count; more only as far as `cap_factor` allows."
    )
    cap_factor: float = Field(
        4.0, ge=1, le=100, description="Nobody counts more than this many times the median person (newest kept)."
    )
    account_days: float = Field(
        0.0,
        ge=0,
        le=3650,
        description=f"Opinions of younger accounts wait; `BACKTALK_TRUST=guarded` asks for {GUARDED_DAYS:g} at least.",
    )
    minimum_gold: Share = Field(
        0.0,
        description="Who surely answers fewer gold items rightly (95 % interval below this) teaches nothing; "
        f"`BACKTALK_TRUST=guarded` asks for {GUARDED_GOLD:g} at least.",
    )
    contrary: Share = Field(
        0.9,
        description="Who says the opposite of what the others say, of everything, with at least this chance teaches "
        "and judges nothing; 1: nobody is asked about.",
    )
    most_contrary: float = Field(
        0.45,
        ge=0,
        le=0.5,
        description="Where more of the people than this say the opposite of the others, nobody can tell which side is "
        "right: all are kept, and the report says so.",
    )
    replies: Count = Field(4000, description="Logged replies that may be distilled or rolled out again, newest first.")

    def share_held_out(self, opinions: int) -> float:
        """What share of so many opinions the gate keeps for itself."""
        return max(self.held_out, min(0.5, self.judged_by / max(opinions, 1)))

    def under(self, trust: str) -> "Data":
        """As strict as the setting `trust` asks for at least."""
        days, gold = (GUARDED_DAYS, GUARDED_GOLD) if trust == "guarded" else (0.0, 0.0)
        least = {"account_days": max(self.account_days, days), "minimum_gold": max(self.minimum_gold, gold)}
        return self.model_copy(update=least)


class RewardModel(Part):
    """The reward model: one trunk copied from the policy, several heads, three losses."""

    learning_rate: Rate = Field(3e-4, description="AdamW rate of the trunk.")
    head_factor: float = Field(30.0, ge=1, le=1000, description="The heads learn this many times faster.")
    steps: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Optimiser steps of the trunk after the heads were solved; null: none below 2,000 opinions, where "
        "they gain little for their time, and from there one epoch.",
    )
    batch: Count = Field(32, description="Opinions a step.")
    device_batch: Count | None = Field(
        None, description="Opinions that one device looks at together; larger steps are added up in pieces; null: all."
    )
    heads: int = Field(3, ge=1, le=16, description="Heads, each on its own bootstrap sample of the people.")
    caution: Weight = Field(
        0.3, description="The reward is the mean of the heads less this many standard deviations (arXiv 2310.02743)."
    )
    smoothing: float = Field(0.1, ge=0, lt=0.5, description="Share of the opinions taken to be slips of the finger.")
    weight_decay: Weight = Field(0.01, description="AdamW weight decay of the trunk.")
    pair_weight: Weight = Field(1.0, description="Weight of the ranking loss (Bradley-Terry).")
    score_weight: Weight = Field(0.5, description="Weight of the regression loss on scores per aspect.")
    rewrite_weight: Weight = Field(0.5, description="Weight of a rewrite counted as a liked reply.")

    def steps_for(self, opinions: int) -> int:
        """Optimiser steps with so many opinions."""
        if self.steps is not None:
            return self.steps
        return math.ceil(opinions / self.batch) if opinions >= MANY_OPINIONS else 0


class Lora(Part):
    """Low-rank adapters (LoRA, arXiv 2106.09685) that learn in place of all weights: for models too large for more."""

    rank: Count = Field(16, description="Rank of the difference of each matrix.")
    alpha: Count = Field(64, description="The difference counts alpha / √rank times (arXiv 2312.03732).")


class Distill(Part):
    """First step of the policy: imitate what the reward model approves of, and people's rewrites."""

    learning_rate: Rate = Field(5e-4, description="AdamW rate.")
    epochs: Count = Field(2, description="Passes over what was approved.")
    batch: Count = Field(32, description="Replies a step.")
    device_batch: Count | None = Field(
        None, description="Replies that one device looks at together; larger steps are added up in pieces; null: all."
    )
    draws: int = Field(4, ge=0, le=256, description="Fresh replies drawn for each prompt, beside the logged ones.")
    prompts: Count = Field(500, description="Prompts that fresh replies are drawn for, at most.")
    rounds: int = Field(1, ge=0, le=20, description="How often to draw, approve and imitate.")
    share: Share = Field(0.25, description="At most this share of all replies is approved, best first.")


class Direct(Part):
    """DPO and KTO: learning from opinions without a reward."""

    learning_rate: Rate = Field(3e-4, description="AdamW rate.")
    beta: float = Field(0.1, gt=0, le=10, description="How dear divergence is (arXiv 2305.18290, 2402.01306).")
    epochs: Count = Field(3, description="Passes over the opinions.")
    batch: Count = Field(32, description="Opinions a step.")
    device_batch: Count | None = Field(
        None, description="Examples that one device looks at together; larger steps are added up in pieces; null: all."
    )
    draws: int = Field(4, ge=0, le=256, description="DPO also pairs the best and worst of so many fresh replies.")


class Ppo(Part):
    """PPO (arXiv 1707.06347) with the reward model's score on the last token; RLOO and GRPO share its numbers."""

    iterations: int = Field(8, ge=0, le=10_000, description="Times to roll out and improve.")
    episodes: Count = Field(256, description="Replies an iteration.")
    minibatch: Count = Field(64, description="Replies an optimiser step.")
    device_batch: Count | None = Field(
        None, description="Replies that one device looks at together; larger steps are added up in pieces; null: all."
    )
    epochs: Count = Field(2, description="Passes over each iteration's replies.")
    learning_rate: Rate = Field(2e-4, description="AdamW rate, falling linearly to a fifth.")
    clip: Share = Field(0.2, description="The gain stops where the probability ratio leaves 1 ± clip.")
    dual_clip: float | None = Field(
        10.0, gt=1, description="A bad token's loss stops at this many times its advantage (arXiv 1912.09729)."
    )
    value_clip: Share = Field(0.2, description="Likewise for the change of the value head, in units of reward.")
    value_weight: Weight = Field(0.1, description="Weight of the value loss.")
    gamma: Share = Field(1.0, description="Discount a token.")
    lam: Share = Field(0.95, description="The λ of generalised advantage estimation (arXiv 1506.02438).")
    kl: Weight = Field(0.25, description="Price of a nat of divergence from the live version, in units of reward.")
    kl_target: float | None = Field(
        None, gt=0, le=1000, description="Nats per reply that the price is halved or doubled towards; null keeps it."
    )
    kl_stop: float = Field(3.0, gt=0, le=1000, description="Nats per reply from the live version at which PPO stops.")
    no_end: float = Field(-3.0, ge=-100, le=0, description="Score of a reply that never ended.")
    rewrite_weight: Weight = Field(0.1, description="Weight of the likelihood of rewrites (PPO-ptx, arXiv 2203.02155).")
    maximum_gradient: float = Field(1.0, gt=0, le=1000, description="Gradients are scaled down to this norm.")
    group: int = Field(4, ge=2, le=256, description="Replies to one prompt that RLOO and GRPO compare.")
    maximum_weight: float = Field(
        2.0, ge=1, le=100, description="Truncation of the importance weight of a token that another engine drew."
    )
    maximum_gap: float = Field(
        0.1, gt=0, le=10, description="Nats a token on average that such an engine may be apart from the trainer."
    )
    checkpoint_every: int = Field(
        0, ge=0, le=10_000, description="Iterations between two checkpoints that a run goes on from; 0: it begins anew."
    )
    logged: bool = Field(True, description="Use logged replies of the live version in place of the first rollouts.")
    minimum_ess: Share = Field(
        0.5, description="Logged replies train PPO only with at least this effective sample size, as a share."
    )


class Sampling(Part):
    """How replies are drawn while training."""

    temperature: float = Field(1.0, gt=0, le=2, description="Temperature of rollouts.")
    maximum_tokens: Count = Field(128, description="Tokens a rollout may have.")


class Gate(Part):
    """What a candidate must show before it goes live."""

    temperature: float = Field(0.6, ge=0, le=2, description="Temperature at which candidate and live are compared.")
    prompts: Count = Field(300, description="Replies compared, at most: held-out prompts, then others.")
    confidence: Share = Field(0.95, description="Of every interval.")
    minimum_auc: Share = Field(
        0.5,
        description="AUC of the reward model on those held out, and of the judge on the others, lie above this.",
    )
    maximum_kl: float = Field(4.0, gt=0, le=1000, description="Nats per reply from the live version.")
    maximum_growth: float = Field(
        3.0,
        ge=1,
        le=1000,
        description="Replies may become this many times longer or shorter than the opinions ask for.",
    )
    maximum_endless: Share = Field(0.02, description="More replies than before that never end, as a share.")
    maximum_lost: Share = Field(
        0.02, description="Right answers to the golden questions that may be lost beyond noise."
    )
    maximum_perplexity: float = Field(
        1.3,
        ge=1,
        le=1000,
        description="The perplexity of a general text may become this many times the live version's, in any language.",
    )
    names: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (),
        max_length=50,
        description="Names of which the report tells, beside its own, whether the candidate speaks better or worse.",
    )
    forbidden: tuple[str, ...] = Field(
        (),
        max_length=rules.MOST_WORDS,
        description="Words and phrases that replies may not hold; whole words, any case.",
    )
    maximum_forbidden: Share = Field(
        0.0, description="Share of the candidate's replies that may hold one of the forbidden words all the same."
    )
    minimum_refused: Share = Field(
        0.0, description="Share of the golden questions asking for harm that the candidate must refuse, at least."
    )
    maximum_clash: Share = Field(
        0.8, description="Two rewards that count may oppose each other as far as this rank correlation, not further."
    )

    @field_validator("forbidden")
    @classmethod
    def _forbidden_words_can_be_found(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if words:
            rules.check("forbidden", words)
        return words


class Rewards(Part):
    """Which rewards count, and how much."""

    preference: Weight = Field(1.0, description="What thumbs, comparisons and rewrites taught.")
    aspects: dict[str, float] = Field({}, description="Weight of each aspect that people score from 1 to 5.")
    rules: dict[str, float] = Field(
        {}, description="Weight of each style and rule, per spread under the live version; below 0 for less of it."
    )
    own: dict[str, str | tuple[str, ...]] = Field(
        {}, description="What the rules that are no styles say: an expression, or words to be counted."
    )
    profile: str | None = Field(None, description="Name and revision of the reward profile all this comes from.")

    @model_validator(mode="after")
    def _rules_can_be_used(self) -> "Rewards":
        if len(self.own) > rules.MOST_RULES:
            raise ValueError(f"there are {len(self.own)} rules; at most {rules.MOST_RULES} are taken")
        for name, rule in self.own.items():
            rules.check(name, rule)
        for name in self.rules:
            if name not in self.own and name not in rules.STYLES:
                raise ValueError(f"the rule {name[:64]!r} is unknown; styles are {', '.join(rules.STYLES)}")
        return self


Algorithm = Literal["sft", "best_of_n", "distill", "kto", "dpo", "rloo", "grpo", "ppo"]


class Ladder(Part):
    """Which algorithms `ladder` tries. All meet the same gate, and the best of those that pass goes live."""

    rungs: tuple[Algorithm, ...] = Field(("distill", "kto", "ppo"), min_length=1, description="In this order.")
    minutes: float = Field(60.0, gt=0, le=100_000, description="No rung begins later than this.")


class Recipe(Part):
    """Everything that decides how a run learns."""

    seed: int = Field(0, ge=0, lt=2**31, description="Of everything random in a run.")
    algorithm: Algorithm | Literal["ladder"] = Field("ppo", description="How the policy is improved.")
    ladder: Ladder = Field(Ladder(), description="What `ladder` tries.")
    steps: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (1.0, 0.85, 0.7, 0.5, 0.3),
        min_length=1,
        max_length=8,
        description="Shares of the way from the live version to the trained one that are held against the gate.",
    )
    best_of: int = Field(16, ge=2, le=1024, description="Replies a prompt that `best_of_n` draws.")
    checkpointing: bool = Field(
        False, description="Compute the policy's layers anew for the backward pass: less memory, a third more time."
    )
    lora: Lora | None = Field(
        None, description="Learn low-rank adapters, of the policy and of the reward model's trunk; null: all weights."
    )
    data: Data = Field(Data(), description="Which opinions count.")
    reward_model: RewardModel = Field(RewardModel(), description="How opinions become a reward.")
    distill: Distill = Field(Distill(), description="Imitation of approved replies.")
    direct: Direct = Field(Direct(), description="DPO and KTO.")
    ppo: Ppo = Field(Ppo(), description="Policy optimisation.")
    sampling: Sampling = Field(Sampling(), description="Rollouts.")
    gate: Gate = Field(Gate(), description="Conditions of going live.")
    rewards: Rewards = Field(Rewards(), description="The mixture of rewards.")


def load_recipe(values: Json) -> Recipe:
    """The recipe that `values` ask for; what they leave out is the default.

    Raises:
        RecipeError: an unknown field or a value outside its bounds.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"recipe field {name}: {first['msg']} (found {first['input']!r})") from error
