"""What takes a person their access: on record first, then every session, then what they could sign in with.

Between the two nothing is read: whoever is not active is known to nobody, whatever session is still in the file.
"""

from __future__ import annotations

from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.person_sessions import PersonSessions
from receiver.governed.people.secret_store import SecretStore
from receiver.governed.people.session_rules import Ending


def suspend(desk: PeopleDesk, store: SecretStore, key: str, why: str, *, by: str, origin: str = "") -> None:
    """Until somebody resumes it.

    Args:
        desk: The register.
        store: Where sessions are kept.
        key: Whose.
        why: In words.
        by: Who acts, as the trail names it.
        origin: Network address it came from.

    Raises:
        ConfigError: it may not be; nothing is written.
        TrailError, StoreError: it cannot be put on record, or kept.
    """
    desk.act(by, lambda acts: acts.suspend(key, why), origin=origin)
    PersonSessions(desk, store).close_all(key, Ending.PERSON, by, address=origin)


def end(
    desk: PeopleDesk,
    store: SecretStore,
    key: str,
    why: str,
    *,
    by: str,
    origin: str = "",
    left_ns: int | None = None,
    reported_ns: int | None = None,
) -> None:
    """For ever.

    Args:
        desk, store, key, why, by, origin: As for `suspend`.
        left_ns, reported_ns: As for `PeopleActs.end`.

    Raises:
        ConfigError, TrailError, StoreError: as `suspend`.
    """
    desk.act(by, lambda acts: acts.end(key, why, left_ns=left_ns, reported_ns=reported_ns), origin=origin)
    PersonSessions(desk, store).close_all(key, Ending.PERSON, by, address=origin)
    store.forget(key)
