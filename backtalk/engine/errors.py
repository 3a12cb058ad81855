"""What can go wrong with an engine.

EngineError
├── EngineLost          the engine died or its socket broke; what was generated so far is good, resubmit the rest
├── EngineRefused       the engine will not do this: `code` tells why, the message what to do
│   └── EngineBusy      its waiting line is full; ask again after a moment
├── LoadFailed          these weights cannot be served: missing, damaged, not finite, or of an unknown kind
└── InvalidSampling     a sampling field is outside what it may be (also a ValueError)
"""


class EngineError(Exception):
    """The family."""


class EngineLost(EngineError):
    """The engine died or its socket broke. Tokens received so far are good: resubmit with `position` to go on."""


class EngineRefused(EngineError):
    """The engine will not do this.

    `code` is one of `bad_request`, `too_long`, `version`, `busy`; of remote engines also `wrong_version` (it answered
    from other weights than it was asked for), `cut_off` (it cannot go on with a reply), `unauthorised`, `error`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EngineBusy(EngineRefused):
    """The engine's waiting line is full."""

    def __init__(self, message: str) -> None:
        super().__init__("busy", message)


class LoadFailed(EngineError):
    """These weights cannot be served."""


class InvalidSampling(EngineError, ValueError):
    """A sampling field is outside what it may be."""
