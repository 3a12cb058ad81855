"""Where things are: one frozen tree of typed settings from the environment or `backtalk.toml`.

What to learn is another tree (`recipe.py`); it is stored with each run, these are not.
"""

import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from typing_extensions import override

from backtalk.engine.remote.address import LOCAL, parse

PREFIX = "BACKTALK_"
CONFIG_FILE = Path("backtalk.toml")


COLUMN_KEYS = "columns.json"


class SettingsError(ValueError):
    """A setting that cannot be used; the message says what was found, what was expected and what to do."""


class Settings(BaseSettings):
    """Every setting of the product. A field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=CONFIG_FILE, extra="forbid", frozen=True)

    data_dir: Path = Field(Path("data"), description="Database, weights, keys and logs; made with mode 0700.")
    host: str = Field("127.0.0.1", description="Address the web server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the web server listens on; 0 takes a free one.")
    database_url: str | None = Field(
        None, description="SQLite in the data directory when absent, or `postgresql+psycopg://user:password@host/name`."
    )
    model: str = Field(
        "starter", description="The first policy: `starter`, a directory of safetensors, or a Hugging Face id."
    )
    engine: str = Field(
        "local",
        description="`local`, `vllm+http://host:port`, `sglang+http://…`, `tgi+http://…` or `openai+http://…`; "
        "further replicas after commas.",
    )
    engine_key_file: Path | None = Field(None, description="File that holds the key of remote engines.")
    engine_launch: str | None = Field(
        None,
        description="Command that starts a replica for one version, for engines that cannot change theirs, such as "
        "`text-generation-launcher --model-id {directory} --port {port}`.",
    )
    device: str = Field("auto", description="Device of the local engine: `auto`, `cpu`, `cuda`, `cuda:1` ….")
    learner_device: str = Field("auto", description="Device the learner trains on, likewise.")
    rollout_engine: str = Field(
        LOCAL,
        description="Where PPO's replies are drawn: `local`, in the training itself, or on engines of its own, "
        "`vllm+http://…` or `sglang+http://…`, which must not be those that people chat on.",
    )
    learner_processes: int = Field(
        1,
        ge=0,
        description="Processes that a training takes, one a device; several are started by torchrun. 0: this learner "
        "only keeps the schedules, and runs are done by `torchrun … -m learner.train next` elsewhere.",
    )
    signup: Literal["guest", "open", "invite", "closed"] = Field(
        "guest",
        description="`guest`: anyone may chat under a guest cookie; or who may sign up: `open`, `invite`, `closed`. "
        "Where it is not set, an admin may choose in the console.",
    )
    trust: Literal["open", "guarded"] = Field(
        "open",
        description="`open`: caps and reliability weights; `guarded`: account age too before an opinion trains.",
    )
    secret_key_file: Path | None = Field(
        None, description="Key for sessions and column encryption; made on first start with mode 0600 when absent."
    )
    encrypt: bool = Field(
        False,
        description="Keep the texts of conversations and opinions encrypted in the database; see `backtalk key`.",
    )
    keep_days: int | None = Field(
        None,
        ge=1,
        description="Conversations that nobody has touched for so many days are erased with the opinions in them, and "
        "guests who have none left; all is kept when absent.",
    )
    oidc_issuer: str | None = Field(
        None, description="Address of a provider of OpenID Connect that people may sign in through; none when absent."
    )
    oidc_client_id: str | None = Field(
        None, description="What this Backtalk is called there; the way back is `<public_url>/api/oidc/done`."
    )
    oidc_secret_file: Path | None = Field(
        None, description="File that holds the client's secret; absent for a public client, which PKCE protects."
    )
    oidc_name: str = Field("single sign-on", description="What the button calls the provider.")
    langfuse_url: str | None = Field(
        None,
        description="Address of a Langfuse that is told the thumbs and scores of people whose opinions may train, at "
        "the traces of their replies. **This gives opinions to a third party**; none is told when absent.",
    )
    langfuse_public_key: str | None = Field(None, description="Public key of the project there.")
    langfuse_secret_file: Path | None = Field(None, description="File that holds its secret key.")
    public_url: str | None = Field(
        None, description="Address people use, e.g. `https://chat.example.org`; decides allowed Host and Origin."
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _trusted_issuer(cls, value: str | None) -> str | None:
        address = urlsplit(value or "https:")
        is_here = address.hostname in ("localhost", "127.0.0.1", "::1")
        if address.scheme != "https" and not (address.scheme == "http" and is_here):
            raise ValueError("expected an https address; plain http is for a provider on this machine")
        return value

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError(f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_CLIENT_ID belong together; give both or neither")
        return self

    @model_validator(mode="after")
    def _whole_langfuse(self) -> Self:
        parts = {self.langfuse_url is None, self.langfuse_public_key is None, self.langfuse_secret_file is None}
        if len(parts) > 1:
            names = " and ".join(f"{PREFIX}LANGFUSE_{name}" for name in ("URL", "PUBLIC_KEY", "SECRET_FILE"))
            raise ValueError(f"{names} belong together; give all or none")
        return self

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        parse(value)
        return value

    @field_validator("rollout_engine")
    @classmethod
    def _takes_weights(cls, value: str) -> str:
        address = parse(value)
        if address is not None and address.kind not in ("vllm", "sglang"):
            raise ValueError(f"expected {LOCAL}, vllm+http://… or sglang+http://…: {address.kind} takes no new weights")
        return value

    @model_validator(mode="after")
    def _engines_apart(self) -> "Settings":
        chat, rollouts = parse(self.engine), parse(self.rollout_engine)
        if chat and rollouts and set(chat.urls) & set(rollouts.urls):
            raise ValueError("rollout_engine names a replica that people chat on; give rollouts engines of their own")
        return self

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("expected 'sqlite:///path' or 'postgresql+psycopg://user:password@host/name'")
        return value

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @cached_property
    def database(self) -> str:
        """SQLAlchemy URL of the database in use."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'backtalk.db').resolve()}"

    @property
    def weights_dir(self) -> Path:
        """Directory of immutable policy versions."""
        return self.data_dir / "weights"

    @property
    def checkpoints_dir(self) -> Path:
        """Directory of what runs under way can go on from."""
        return self.data_dir / "checkpoints"

    @property
    def keys_dir(self) -> Path:
        """Directory of key files, each 0600."""
        return self.data_dir / "keys"

    @property
    def is_local(self) -> bool:
        """Whether the engine is a process of our own."""
        return self.engine == LOCAL

    @property
    def takes_weights(self) -> bool:
        """Whether the engine serves our versions, and not a model of its own."""
        return not self.engine.startswith("openai+")

    def oidc_secret(self) -> str | None:
        """The secret that the provider knows this Backtalk by, if there is one."""
        return _read("OIDC secret", self.oidc_secret_file)

    def engine_key(self) -> str | None:
        """The key of remote engines, if there is one."""
        return _read("engine key", self.engine_key_file)

    def langfuse_secret(self) -> str | None:
        """The secret key of the project in Langfuse, if there is one."""
        return _read("Langfuse secret", self.langfuse_secret_file)

    def prepare(self) -> None:
        """Make the data directory and its keys and use them; safe to call from several processes at once."""
        self.make_directories()
        self.use_seals()

    def make_directories(self) -> None:
        """Make the data directory and the secret key, for a process that opens no sealed column itself."""
        for directory in (self.data_dir, self.weights_dir, self.keys_dir, self.data_dir / "logs"):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(self.data_dir, 0o700)
        if self.secret_key_file is None:
            write_once(self.keys_dir / "secret.key", secrets.token_hex(32).encode())

    def use_seals(self) -> None:
        """Have the sealed columns of this process use this installation's keys."""
        from backtalk import sealing

        sealing.use(self.keys_dir / COLUMN_KEYS, self.secret_key(), encrypt=self.encrypt)

    def secret_key(self) -> bytes:
        """The 256-bit key for sessions, read from its file."""
        path = self.secret_key_file or self.keys_dir / "secret.key"
        try:
            return path.read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"secret key {path}: {error.strerror}; give a readable file or unset it") from error


def _read(what: str, path: Path | None) -> str | None:
    """A secret from its file; None where none is named."""
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{what} {path}: {error.strerror}; give a readable file") from error


def write_once(path: Path, content: bytes) -> bool:
    """Create `path` (0600) with `content` unless it exists; of several racing processes one wins. True if made here."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
        return True
    except FileExistsError:
        return False
    finally:
        beside.unlink()


def load_settings(**overrides: object) -> Settings:
    """Read the settings, refusing names nobody knows.

    Raises:
        SettingsError: an unknown name, or a value that does not fit its type.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]}; known are {', '.join(sorted(known))}")
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks the values; that is what it is for
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {name}: {first['msg']} (found {first['input']!r})") from error
    if (settings.keys_dir / COLUMN_KEYS).exists():
        settings.use_seals()
    return settings
