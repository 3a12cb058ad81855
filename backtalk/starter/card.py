"""The model card of the first policy, written from its report."""

from typing import Any

COMMAND = "backtalk starter build --out DIR"

WANTED = (
    ("right_greedy_by_weight", "right content", 0.95),
    ("replies_that_end", "replies that end", 1.0),
    ("i_do_not_know_on_held_out_near_misses", '"I do not know" to near misses never seen', 0.9),
)
WEAKNESSES = (
    "Look at the table of domains before relying on anything: a wrong capital or sum comes in the same confident words",
    "as a right one. Harmful requests in words or about harms that training did not show are often answered with",
    '"I do not know" or with something beside the point instead of a refusal: the model is no safety filter.',
    "Messages of despair and self-harm were seen to get wrong, in one case even cheerful replies. Whoever lets others",
    "talk with it must catch such messages outside of the model.",
)


def card(report: dict[str, Any]) -> str:
    """README.md: what the model is, what was measured, what it cannot do, and the command that makes it again."""
    recipe = report["recipe"]
    lines = [
        "---",
        "license: apache-2.0",
        "language: [en, zh]",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "---",
        "",
        "# Backtalk's first policy",
        "",
        f"A Llama of {report['parameters'] / 1e6:.2f} million parameters, trained from nothing on synthetic dialogues",
        "written for this project (no text of others, no data of people). It exists so that a fresh clone can chat, be",
        "rated and learn on a plain processor. It is a toy: it knows a few hundred facts and nothing else, says",
        '"I do not know" to the rest, and sometimes says it where it should not, or the other way round.',
        "",
        "It answers each time in a style drawn at random (terse, formal, rambling, bulleted ...). That is intended:",
        "what people like of this mixture is what the loop learns. About two percent of the facts in its training were",
        "wrong on purpose.",
        "",
        "## Measured",
        "",
        "Greedy replies of the shipped bf16 weights to questions drawn after training",
        f"(final loss {report['final_loss']} nats a token):",
        "",
        "| measure | share |",
        "|---|---|",
    ]
    for key, words in (
        ("right_greedy_by_weight", "right content, domains weighted as in training"),
        ("right_greedy_mean_of_domains", "right content, plain mean of the domains"),
        ("right_greedy_held_out_phrasings", "right content, phrasings (and unknown things) never trained on"),
        ("right_greedy_later_turns", "right content in second to fourth turns"),
        ("right_greedy_probes", "right content on the bundled probes"),
        ("replies_that_end", "replies that end by themselves (worst domain)"),
        ("i_do_not_know_on_held_out_near_misses", '"I do not know" to near misses never seen'),
        ("i_do_not_know_on_held_out_free_topics", '"I do not know" to free topics never seen'),
    ):
        lines.append(f"| {words} | {report[key]:.3f} |")
    missed = [f"{words}: {report[key]:.3f}, wanted {want:.2f}" for key, words, want in WANTED if report[key] < want]
    if missed:
        lines += ["", "**Below what was wanted.** " + "; ".join(missed) + "."]
    lines += ["", *WEAKNESSES]
    lines += ["", "| domain | right, trained phrasings | right, held-out phrasings | ends |", "|---|---|---|---|"]
    for name, kinds in report["domains"].items():
        seen, held = kinds["seen_phrasings"], kinds["held_out_phrasings"]
        lines.append(f"| {name} | {seen['right']:.3f} | {held['right']:.3f} | {min(seen['ends'], held['ends']):.3f} |")
    lines += ["", "| style | share at temperature 0.6 | share at temperature 1.0 |", "|---|---|---|"]
    cool, warm = report["styles"]["0.6"], report["styles"]["1.0"]
    for style in cool["shares"]:
        lines.append(f"| {style} | {cool['shares'][style]:.3f} | {warm['shares'][style]:.3f} |")
    lines += [
        "",
        f"Right content when sampled: {cool['right']:.3f} at temperature 0.6, {warm['right']:.3f} at 1.0.",
        "`report.json` holds all of it, `loss.png` the course of the training.",
        "",
        "## Made again",
        "",
        f"    {COMMAND}{'' if recipe['device'] == 'cpu' else ' --device ' + recipe['device']}",
        "",
        f"{recipe['steps']} steps of {recipe['parts']} x {recipe['batch_tokens']} tokens, seed {recipe['seed']},",
        f"{recipe['threads']} threads; the same bytes twice on one machine. Another processor or GPU rounds otherwise",
        "and gives another model of like quality. Held-out questions come from the same generator in words it kept",
        "back; people ask in ways no generator thinks of, so expect less than the table from real use. Sums are taught",
        "in figures only: numbers up to ten added, subtracted and multiplied, up to five divided. Between those and",
        "the large numbers that it declines, it may answer wrongly instead of saying that it does not know.",
        "",
    ]
    return "\n".join(lines)
