"""The learner: schedules, reward model, policy, gate, publication."""

import os

# Threads that wait sleep instead of spinning. A learner shares its processor with those who chat, and a thread that
# spins for one that is not running takes the time away that this one waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
