"""How fast the learner's parts are: rollouts, the linear reward, the neural one, PPO; beside TRL's trainers on request.

Everything computes on one core, on the shipped policy, from opinions of one simulated taste. Rates are per second of
processor time, so that a busy machine does not change them. A trainer's episodes count rollout, scoring and update
together, from its first iteration to its last.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from backtalk.starter import FILES
from backtalk.starter.prompts import Prompt, sample_prompts
from backtalk.tastes import TASTES
from bench.peers.house import ROOT, PeerFailed, python_of
from bench.peers.job import pin
from bench.report import Row

TASTE = TASTES["friendly"]
PROMPTS, DRAWS = 500, 4
THUMBS, LABELS, PEOPLE = 600, 10_000, 30
ITERATIONS, EPISODES, TOKENS = 5, 256, 64
PEERS = {"trl_ppo": "TRL 1.12 PPO", "trl_grpo": "TRL 1.16 GRPO"}


def bench(peers: bool) -> list[Row]:
    """A row for each part, and for each peer."""
    import torch

    from backtalk.recipe import Recipe
    from backtalk.template import Template, Turn
    from learner import linear, reward_model
    from learner.examples import Examples, Thumb
    from learner.improve import Improver
    from learner.journal import Journal
    from learner.rollouts import draw
    from learner.sequences import load

    affinity = os.sched_getaffinity(0)
    pin()
    torch.set_num_threads(1)
    recipe, rng = Recipe(), Random(0)
    live, template = load(FILES, torch.device("cpu")), Template(FILES)
    questions = sample_prompts(PROMPTS, 0)
    prompts = [tuple(template.render([Turn("user", question.text)])) for question in questions]
    rows: list[Row] = []
    rates: dict[str, float] = {}

    def measure(part: str, unit: str, amount: Callable[[], float]) -> None:
        began, used = time.perf_counter(), time.process_time()
        count = amount()
        seconds, used = time.perf_counter() - began, time.process_time() - used
        rows.append(
            {"part": part, "s": round(seconds, 1), "CPU s": round(used, 1), "rate": f"{count / used:,.1f} {unit}/s"}
        )
        rates[part.partition(":")[0]] = count / used

    drawn = draw(live, template, prompts[:32], temperature=1.0, maximum_tokens=TOKENS, seed=1)  # warm

    def roll_out() -> float:
        nonlocal drawn
        drawn = draw(live, template, prompts * DRAWS, temperature=1.0, maximum_tokens=TOKENS, seed=0)
        return sum(len(one.exchange.reply) for one in drawn)

    measure(f"rollouts: {PROMPTS * DRAWS:,} replies", "tokens", roll_out)

    def thumbs(count: int) -> Examples:
        picked = [rng.randrange(len(drawn)) for _ in range(count)]
        return Examples(
            thumbs=[
                Thumb(
                    f"p{rng.randrange(PEOPLE)}",
                    drawn[row].exchange,
                    TASTE.likes(drawn[row].exchange.text, _accepted(questions, row)) != (rng.random() < 0.1),
                )
                for row in picked
            ]
        )

    many, usual = thumbs(LABELS), thumbs(THUMBS)

    def fit_linear() -> float:
        linear.fit(linear.tabulate(live, many, template.ends))
        return LABELS

    measure(f"linear reward: {LABELS:,} labels", "labels", fit_linear)
    reward = reward_model.RewardModel(live, template.ends, recipe.reward_model.heads, ())

    def fit_reward() -> float:
        nonlocal reward
        reward = reward_model.fit(live, usual, template.ends, recipe.reward_model, 0, Journal())
        return THUMBS

    measure(f"reward model: {THUMBS} thumbs", "opinions", fit_reward)
    reward.normalise([one.exchange for one in drawn[:500]], recipe.rewards, recipe.reward_model.caution)
    ppo = recipe.ppo.model_copy(update={"iterations": ITERATIONS, "episodes": EPISODES})
    sampling = recipe.sampling.model_copy(update={"maximum_tokens": TOKENS})

    def improve() -> float:
        policy = load(FILES, torch.device("cpu"))
        improver = Improver(policy, live, reward, [], ppo, 0, Journal())
        improver.from_rollouts(template, prompts, sampling)
        return ITERATIONS * EPISODES

    measure(f"PPO: {ITERATIONS} × {EPISODES} episodes", "episodes", improve)
    if peers:
        rows += [_peer(name, prompts, rates["PPO"]) for name in PEERS]
    os.sched_setaffinity(0, affinity)
    return rows


def _accepted(questions: Sequence[Prompt], row: int) -> tuple[str, ...]:
    return questions[row % len(questions)].accepted


def _peer(name: str, prompts: Sequence[Sequence[int]], ours: float) -> Row:
    """The same policy, the same prompts, as many episodes."""
    with tempfile.TemporaryDirectory() as directory:
        job = Path(directory) / "job.json"
        work = {
            "model": str(FILES),
            "prompts": prompts,
            "iterations": ITERATIONS,
            "episodes": EPISODES,
            "tokens": TOKENS,
        }
        job.write_text(json.dumps(work))
        try:
            command = [str(python_of(name)), "-m", f"bench.peers.{name}", str(job)]
        except PeerFailed as reason:
            return {"part": PEERS[name], "s": "–", "CPU s": "–", "rate": str(reason)}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"part": PEERS[name], "s": "–", "CPU s": "–", "rate": done.stderr.strip()[-200:]}
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["episodes"] / found["cpu"]
    return {
        "part": f"{PEERS[name]}: {found['episodes']} episodes",
        "s": round(found["seconds"], 1),
        "CPU s": round(found["cpu"], 1),
        "rate": f"{rate:,.1f} episodes/s; ours is {ours / rate:.1f} ×",
    }
