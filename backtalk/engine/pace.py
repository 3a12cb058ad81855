"""How much of the waiting prompts a step may compute, so that the running replies hardly notice. Knows no tensor."""

FEWEST = 8
"""Prompt tokens that a step may always compute."""
SHARE = 0.7
"""What prompts may take of what the rest of a step takes: less than all, since each estimate is a little late."""
BREATH = 16
"""So many steps with prompts are followed by one without, which shows what the rest takes by now."""
FALL = 0.5
"""No step is believed that prompts cost less than this share of what they cost before."""
LEARNING = 0.3
"""How much of its error one step corrects."""


class Pace:
    """A step takes `base + each × prompt tokens` seconds; both are learned while it runs.

    A prompt takes no longer than the rest of the step, so a gap between two tokens at most doubles while a long one
    comes in. Several that wait may take their share each. Where as many wait for their first token as for their next
    there is no limit: to have all of them run together soon is worth more than an even pace (a burst of 32 replies to
    160 tokens of prompt took 1.6 times as much CPU with one share for all of them).
    """

    def __init__(self) -> None:
        self._base: float | None = None
        self._each: float | None = None
        self._mixed = 0  # steps with prompts since the last one without

    def prefill(self, decoding: int, filling: int) -> int | None:
        """Prompt tokens for the next step; None: as many as there are.

        Args:
            decoding: replies that wait for their next token.
            filling: replies that wait for their first one.
        """
        if filling >= decoding:
            return None
        if self._mixed >= BREATH:
            return 0
        if self._base is None or self._each is None:
            return FEWEST
        return max(FEWEST, int(SHARE * self._base * filling / self._each))

    def learn(self, seconds: float, decoding: int, prompt: int) -> None:
        """A step with so many replies and prompt tokens took this long."""
        if not prompt:
            self._mixed = 0
            if decoding:
                self._base = _nearer(self._base, seconds)
        else:
            self._mixed += 1
            rest = (self._base or 0.0) if decoding else 0.0
            # One step that seems to cost nothing must not open the door for a thousand tokens in the next.
            least = FALL * self._each if self._each is not None else 0.05 * seconds / prompt
            self._each = _nearer(self._each, max((seconds - rest) / prompt, least))


def _nearer(known: float | None, seen: float) -> float:
    return seen if known is None else known + LEARNING * (seen - known)
