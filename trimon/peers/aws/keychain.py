"""Where keys come from: each place in turn, as AWS' own tools look.

    configuration ─ named profile ─ environment ─ web identity ─ profile ─ container ─ machine ──┬─ no role: these
                                                                                                 └─ role: AssumeRole at STS

Keys of the configuration need no request. Keys that end are got anew a minute before. A profile may name a role with a source
profile or a web identity; one that names a command or single sign-on is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

import trio

from trimon.clock import Clock
from trimon.config.http import NO_SECRET
from trimon.config.secret import Secret
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.peers.aws.endpoints import endpoint_url
from trimon.peers.aws.machinekeys import MachineKeys, Timed
from trimon.peers.aws.profiles import Profiles, keys_of, known
from trimon.peers.aws.signature import AwsKeys, Headers, signed_headers
from trimon.peers.files import read_secret
from trimon.records import dataclass

FORM: Final = "application/x-www-form-urlencoded"
# Keys that end sooner are not used any more.
EARLY_MS: Final = 60_000
FOREVER_MS: Final = 2**62
STS_TIMEOUT_S: Final = 10.0
STS_ANSWER_BYTES_MAX: Final = 2**16
# Profiles that name each other as sources.
SOURCES_MAX: Final = 5
_ROLE_KEYS: Final = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]*)</")
_REFUSED: Final = ("credential_process", "sso_session", "sso_start_url")
Send = Callable[[FetchRequest], Awaitable[Response]]


class KeyConfig(Protocol):
    """What configurations say of keys."""

    @property
    def region(self) -> str: ...  # noqa: D102 # the names say it
    @property
    def access_key(self) -> str: ...  # noqa: D102
    @property
    def secret_key(self) -> Secret: ...  # noqa: D102
    @property
    def profile(self) -> str: ...  # noqa: D102
    @property
    def role_arn(self) -> str: ...  # noqa: D102
    @property
    def external_id(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What is known of keys and of the region before anybody is asked."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret = NO_SECRET
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    region_profile: str = ""
    """The profile whose region counts where none is said."""
    fips: bool = False
    """Whether STS is asked at its endpoint for government use."""
    role_s: int = 900
    """How long keys of a role are to be good."""

    @classmethod
    def of(cls, config: KeyConfig, **more: object) -> KeySettings:
        """What a configuration says."""
        names = ("region", "access_key", "secret_key", "profile", "role_arn", "external_id")
        return cls(**{name: getattr(config, name) for name in names}, **more)  # type: ignore[arg-type] # by their names


class KeyChain:
    """The keys and the region for the requests of one configuration. Only on the loop's thread."""

    def __init__(
        self, settings: KeySettings, clock: Clock, send: Send, environment: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._send = send
        self.environment = os.environ if environment is None else environment
        self._profiles = Profiles(self.environment)
        self._machine = MachineKeys(self.environment)
        self._found_region = ""
        self._lent: dict[str, Timed] = {}
        self._keys: AwsKeys | None = None
        self._asking = trio.Lock()

    async def prepare(self) -> None:
        """Sees to it that there are keys. Raises FetchError."""
        async with self._asking:
            keys = self._still() or await self._own()
            if arn := self._settings.role_arn:
                external = self._settings.external_id
                keys = await self._cached(f"role {arn}", lambda: self._assumed(keys, arn, external))
            self._keys = keys

    def forget(self) -> None:
        """Lent keys are not used again: they were refused."""
        self._lent.clear()

    def keys(self) -> AwsKeys:
        """The keys of now. Raises FetchError where there are none."""
        if (keys := self._keys or self._still()) is None:
            raise FetchError(
                "could not get SigV4 credentials: neither configuration nor environment nor profile have keys"
            )
        return keys

    async def region(self) -> str:
        """The region; this machine is asked where nothing else says it. Raises FetchError."""
        region = self.known_region() or self._found_region
        if not region and self._machine.has_metadata:
            region = self._found_region = await self._machine.region()
        if not region:
            raise FetchError("region not configured, neither directly nor in environment or profile")
        return region

    def known_region(self) -> str:
        """The region as configuration, environment or profile say it. Raises FetchError."""
        environment, settings = self.environment, self._settings
        region = settings.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        return region or self._profiles.settings(settings.region_profile).get("region", "")

    def _still(self) -> AwsKeys | None:
        """Keys that are there without asking anybody."""
        settings, environment = self._settings, self.environment
        if settings.access_key and settings.secret_key:
            return AwsKeys(settings.access_key, settings.secret_key.reveal())
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        access, secret, token = (environment.get(name, "") for name in names)
        if access and secret and not settings.profile:
            return known(AwsKeys(access, secret, token))
        if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") and not settings.profile:
            return None
        profile = self._profiles.settings(settings.profile)
        return None if "role_arn" in profile else keys_of(profile)

    async def _own(self) -> AwsKeys:
        """Keys that somebody has to be asked for."""
        environment = self.environment
        file, arn = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", ""), environment.get("AWS_ROLE_ARN", "")
        if file and not self._settings.profile:
            if not arn:
                raise FetchError("AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not")
            return await self._cached(f"identity {arn}", lambda: self._by_web_identity(arn, file))
        profile = self._profiles.settings(self._settings.profile)
        if refused := next((name for name in _REFUSED if profile.get(name)), ""):
            raise FetchError(
                f"the profile has {refused}, which is not supported; keys, roles and web identities are"
            )
        if "role_arn" in profile:
            return await self._of_profile(profile)
        return await self._of_surroundings()

    async def _of_surroundings(self) -> AwsKeys:
        now_ms = self._clock.now_ms()
        if self._machine.in_container:
            return await self._cached("container", lambda: self._machine.of_container(now_ms))
        if self._machine.has_metadata:
            return await self._cached("machine", lambda: self._machine.of_machine(now_ms))
        raise FetchError(
            "could not get SigV4 credentials: neither configuration nor environment nor profile have keys"
        )

    async def _of_profile(self, profile: Mapping[str, str], depth: int = 0) -> AwsKeys:
        """The keys of the role of a profile."""
        arn, file = profile["role_arn"], profile.get("web_identity_token_file", "")
        if file:
            return await self._cached(f"identity {arn}", lambda: self._by_web_identity(arn, file))
        if name := profile.get("source_profile", ""):
            source = self._profiles.settings(name)
            keys = keys_of(source)
            if keys is None and "role_arn" in source and depth < SOURCES_MAX:
                keys = await self._of_profile(source, depth + 1)
            if keys is None:
                raise FetchError(f"the source profile {name!r} has no keys")
        elif profile.get("credential_source") in ("EcsContainer", "Ec2InstanceMetadata"):
            keys = await self._of_surroundings()
        else:
            raise FetchError(
                f"a profile with the role {arn} says neither source_profile nor web_identity_token_file"
            )
        external = profile.get("external_id", "")
        return await self._cached(f"role {arn}", lambda: self._assumed(keys, arn, external))

    async def _cached(self, name: str, get: Callable[[], Awaitable[Timed]]) -> AwsKeys:
        """Keys that were lent before while they are good for long enough, else new ones."""
        lent = self._lent.get(name)
        if lent is None or self._clock.now_ms() >= lent[1] - EARLY_MS:
            lent = self._lent[name] = await get()
        return lent[0]

    async def _assumed(self, keys: AwsKeys, arn: str, external_id: str) -> Timed:
        form = self._role_form("AssumeRole", arn)
        if external_id:
            form["ExternalId"] = external_id
        return await self._at_sts(form, arn, keys)

    async def _by_web_identity(self, arn: str, file: str) -> Timed:
        form = self._role_form("AssumeRoleWithWebIdentity", arn)
        form["WebIdentityToken"] = read_secret(file)
        if name := self.environment.get("AWS_ROLE_SESSION_NAME"):
            form["RoleSessionName"] = name
        return await self._at_sts(form, arn, None)

    def _role_form(self, action: str, arn: str) -> dict[str, str]:
        return {
            "Action": action,
            "Version": "2011-06-15",
            "RoleArn": arn,
            "RoleSessionName": f"trimon-{self._clock.now_ms()}",
            "DurationSeconds": str(self._settings.role_s),
        }

    async def _at_sts(self, form: dict[str, str], arn: str, keys: AwsKeys | None) -> Timed:
        """The keys of a role; asked for without a signature where there are no keys yet."""
        now_ms, region = self._clock.now_ms(), await self.region()
        url = endpoint_url("sts", region, self.environment, fips=self._settings.fips)
        body = urlencode(sorted(form.items())).encode()
        headers: Headers = (("Content-Type", FORM),)
        if keys is not None:
            at = datetime.fromtimestamp(now_ms / 1000, UTC)
            headers = signed_headers(keys, region, "sts", "POST", urlsplit(url), headers, body, at)
        request = FetchRequest(url, headers, STS_TIMEOUT_S, STS_ANSWER_BYTES_MAX, method="POST", body=body)
        answer = await self._send(request)
        found = dict(_ROLE_KEYS.findall(answer.body.decode("utf-8", "replace")))
        if answer.status != 200 or len(found) < 3:
            raise FetchError(f"role {arn} cannot be assumed: {url} answered {answer.status_line}")
        lent = AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return known(lent), now_ms + self._settings.role_s * 1000
