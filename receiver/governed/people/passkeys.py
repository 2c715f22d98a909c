"""Passkeys (WebAuthn level 3): a key on a person's device, which checks the person itself; alone it is two factors.

A passkey belongs to a name, the site's host, and works only where a browser trusts the page: under https with a
certificate that the browser accepts, or on localhost. It has none for a bare address such as 192.0.2.7. The library is
an extra (`checkvalve[passkeys]`); without it passwords and codes are left.
"""

from __future__ import annotations

import json
import secrets
import threading
from importlib.util import find_spec
from ipaddress import ip_address

from protocol.errors import ConfigError
from receiver.governed.people.person import Person
from receiver.governed.people.secret_store import Passkey, SecretStore

CHALLENGE_NS = 5 * 60 * 10**9
"""How long a browser may take [ns]."""

CHALLENGES = 256
"""Most that are open at once; the oldest goes."""

MOST_KEYS = 10
"""Of one person."""

LONGEST_NAME = 60


def unavailable(host: str, *, encrypted: bool) -> str:
    """Why there are no passkeys under this host name; empty where there are.

    Args:
        host: Of the page, without its port.
        encrypted: It is served by https.
    """
    if find_spec("webauthn") is None:
        return "the library for passkeys is not installed on the server"
    if host == "localhost":
        return ""
    try:
        ip_address(host)
    except ValueError:
        return "" if encrypted else "passkeys need https"
    return "passkeys belong to a name, and this page was opened by an address"


class Passkeys:
    """Registers and checks passkeys; for any thread."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._open: dict[bytes, tuple[str, int]] = {}
        """By challenge: for whom (empty: to sign in), until when [ns]."""

    def offer(self, person: Person, host: str, now_ns: int) -> str:
        """What a browser needs to make a key for a person, as JSON."""
        import webauthn
        from webauthn.helpers import structs

        held = self._store.passkeys(person.key)
        if len(held) >= MOST_KEYS:
            raise ConfigError(f"{MOST_KEYS} passkeys are there already", hint="remove one")
        options = webauthn.generate_registration_options(
            rp_id=host,
            rp_name="Checkvalve",
            user_id=person.key.encode(),
            user_name=person.login,
            user_display_name=person.name,
            challenge=self._challenge(person.key, now_ns),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=one.id) for one in held],
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
        )
        return webauthn.options_to_json(options)

    def add(self, person: Person, answer: str, name: str, *, host: str, origin: str, now_ns: int) -> Passkey:
        """Take what the browser made.

        Raises:
            ConfigError: it does not hold.
        """
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=self._taken(answer, person.key, now_ns),
                expected_rp_id=host,
                expected_origin=origin,
                require_user_verification=True,
            )
        except (WebAuthnException, *_UNREAD) as error:
            raise ConfigError("the passkey could not be checked", hint="try again") from error
        told = "".join(one for one in name if one.isprintable()).strip()[:LONGEST_NAME] or "passkey"
        key = Passkey(made.credential_id, person.key, made.credential_public_key, made.sign_count, told, now_ns, now_ns)
        self._store.add_passkey(key)
        return key

    def ask(self, host: str, now_ns: int) -> str:
        """What a browser needs to sign in with whichever key it has for this site, as JSON."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_authentication_options(
            rp_id=host,
            challenge=self._challenge("", now_ns),
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return webauthn.options_to_json(options)

    def owner(self, answer: str, *, host: str, origin: str, now_ns: int) -> str:
        """Key of the person who signed; empty where nothing of it holds."""
        import webauthn
        from webauthn.helpers import parse_authentication_credential_json
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            challenge = self._taken(answer, "", now_ns)
            key = self._store.passkey(parse_authentication_credential_json(answer).raw_id)
            if key is None:
                return ""
            used = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                credential_public_key=key.public_key,
                credential_current_sign_count=key.count,
                require_user_verification=True,
            )
        except (WebAuthnException, *_UNREAD):
            return ""
        self._store.use_passkey(key.id, used.new_sign_count, now_ns)
        return key.person

    def _challenge(self, person: str, now_ns: int) -> bytes:
        made = secrets.token_bytes(32)
        with self._lock:
            while len(self._open) >= CHALLENGES:
                self._open.pop(next(iter(self._open)))
            self._open[made] = (person, now_ns + CHALLENGE_NS)
        return made

    def _taken(self, answer: str, person: str, now_ns: int) -> bytes:
        """The challenge that an answer is for, used up; raises ValueError where it is none of ours."""
        from webauthn.helpers import base64url_to_bytes

        told = json.loads(base64url_to_bytes(json.loads(answer)["response"]["clientDataJSON"]))
        challenge = base64url_to_bytes(told["challenge"])
        with self._lock:
            whose, ends_ns = self._open.pop(challenge, ("", 0))
        if whose != person or now_ns >= ends_ns:
            raise ValueError("no challenge of ours")
        return challenge


_UNREAD = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
"""What reading an answer of another shape raises."""
