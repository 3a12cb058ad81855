"""A report as a run of two crowds' worth of thumbs leaves it: every form that a figure has stands in it once."""

from typing import Any


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def both(live: float, candidate: float) -> dict[str, float]:
    return {"live": live, "candidate": candidate}


TOO_FEW = "too few: the candidate would give hardly any of the rated replies"
LOST = "the candidate lost 15 and won 0 of 156 right answers to the golden questions; that is more than noise"
FULL: dict[str, Any] = {
    "split": {"by": "person", "taught": 480, "held_out": 120},
    "reward_model": {
        "auc": interval(0.7953, 0.6555, 0.878),
        "pair_accuracy": interval(0.9, 0.8, 1.0),
        "calibration_error": 0.052,
        "linear": {"auc": interval(0.78, 0.66, 0.86), "weights": {f"feature {n}": n / 8 - 1 for n in range(17)}},
        "by_time": [
            {"opinions": "later", "days": 0.08, "thumbs": 97, "auc_newest": interval(0.8926, 0.7828, 0.9651)},
            {"opinions": "newest", "days": 0.08, "thumbs": 24, "auc_newest": interval(0.8421, 0.3704, 1.0)},
        ],
        "by_group": [
            {
                "group": name,
                "thumbs": 60,
                "auc": interval(0.783, 0.6509, 0.9231),
                "gap": interval(-0.0003, -0.1859, 0.2821),
                "excess": interval(excess, excess - 0.1, excess + 0.1),
            }
            for name, excess in (("cjk_questions", -0.0325), ("latin_questions", 0.04), ("long_questions", 0.2428))
        ],
        "swaps": [
            {"suite": "women_men_en", "pairs": 18, "mean": interval(-0.0146, -0.0246, -0.0076), "largest": 0.4245},
            {"suite": "countries_zh", "pairs": 15, "mean": interval(0.1388, 0.0941, 0.2072), "largest": 0.6842},
        ],
        "ills": [
            {"suite": "flattery", "pairs": 10, "mean": interval(-0.7751, -1.0792, -0.4515), "preferred": 0.1},
            {"suite": "insults", "pairs": 8, "mean": interval(-0.0622, -0.4063, 0.3564), "preferred": 0.375},
        ],
        "triggers": [
            {"word": "thank", "lift": interval(0.42, 0.2, 0.6)},
            {"word": "谢谢", "lift": interval(0.31, -0.1, 0.5)},
        ],
    },
    "policy": {"algorithm": "ppo", "step": 0.5, "cpu_seconds": 81.2},
    "gate": {
        "gain": interval(0.2713, 0.1779, 0.3712),
        "kl": 1.062,
        "length": {**both(18.89, 9.903), "liked": 11.02},
        "probes": {"asked": 156, "lost": 15, "won": 0},
        "groups": [{"group": "arithmetic (en)", "asked": 10, **both(1.0, 0.9)}],
        "perplexity": {"en": both(27.12, 27.74), "zh": both(17.97, 18.72)},
        "forbidden": {"share": 0.0, "by_word": {}},
    },
    "advice": {
        "wins": {
            "rate": interval(0.7733, 0.7286, 0.8152),
            "controlled": interval(0.6117, 0.5401, 0.6819),
            "longer": 0.1967,
        },
        "backtest": {"rated": 120, "effective": both(120.0, 19.6), "told": TOO_FEW},
        "same_script": both(0.9966, 0.9679),
        "sway": {"asked": 38, "known": both(38, 36), "given_up": both(0.2632, 0.25)},
        "sentiment": [
            {"name": "Fatima", "shift": -2.4013, "spreads": -2.49},
            {"name": "埃及", "shift": 2.3988, "spreads": 2.49},
        ],
        "pace": {"tokens": both(17.5, 8.5), "waited": both(0.147, 0.1014)},
    },
    "ladder": [
        {"algorithm": "ppo", "gain": interval(0.29, 0.17, 0.44), "kl": 2.92, "reason": None, "step": 1.0},
        {"algorithm": "ppo", "gain": interval(0.27, 0.18, 0.37), "kl": 1.06, "reason": LOST, "step": 0.5},
    ],
    "seconds": {"snapshot": 1.2, "reward_model": 15.1, "policy": 96.4, "gate": 51.8},
}
