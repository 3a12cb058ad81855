"""A report in a terminal: each figure in its line, an interval as people say it, lists in columns."""

from backtalk.cli.report import lines


def test_figures_intervals_groups_and_tables_each_have_their_form() -> None:
    report = {
        "gate": {
            "gain": {"value": 0.12, "low": 0.05, "high": 0.2},
            "kl": 1.5,
            "length": {"live": 20.25, "candidate": 25},
            "nothing": None,
            "none": [],
        },
        "swaps": [
            {"suite": "names_en", "mean": {"value": 0.01, "low": -0.1, "high": 0.1}},
            {"suite": "ages_en", "mean": {"value": -0.25, "low": -0.3, "high": -0.2}, "largest": 1},
        ],
        "triggers": [{"word": "谢谢", "said": 3}, {"word": "thanks", "said": 4}],
        "steps": [1.0, 0.5],
    }
    assert list(lines(report)) == [
        "gate",
        "  gain    0.12 (0.05 to 0.2)",
        "  kl      1.5",
        "  length  live 20.2, candidate 25",
        "swaps",
        "  suite     mean                  largest",
        "  names_en  0.01 (-0.1 to 0.1)    –",
        "  ages_en   -0.25 (-0.3 to -0.2)  1",
        "triggers",
        "  word    said",
        "  谢谢    3",
        "  thanks  4",
        "steps  1.0, 0.5",
    ]
