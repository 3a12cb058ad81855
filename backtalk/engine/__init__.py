"""The engine room: the device, and everything that generates text on it.

The server and the learner meet it in `client.py` (the engine as a process) or in `generate.py` (the same scheduler and
runner inside one's own process, for rollouts). Importing this package, `client`, `sampling`, `text`, `wire` or `errors`
never imports torch.
"""
