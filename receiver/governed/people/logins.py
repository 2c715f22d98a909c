"""What a person may sign in with: an address of their own, never one that several read.

A mailbox of a team is a shared account under another name: nobody can say afterwards who looked. What is before the @
is split into its words, and refused where every word is one that stands for a job, a team or the employer:

    info@  support@  ot-team@  service2@  acme-support@ (at acme.example)        refused
    j.doe@  doe.service@  jane-doe2@                                             a person's
"""

from __future__ import annotations

import re

_WORDS = """
abuse accounts admin administrator admins alarm alarms all automation contact control controlroom crew
customer desk dev dispatch duty emergency engineer engineering engineers everyone field general global group
guest help helpdesk hostmaster hotline inbox info infra it mail mailbox maintenance manager monitoring network
no noc noreply office oncall operation operations operator operators ops ot plant plc portal postmaster
production project public remote reply room root sales scada security service servicedesk services shared
shift site soc staff standby support sys system systems team teams tech technical technician technicians test
user users vendor vendors webmaster work workshop
"""

SHARED = frozenset(_WORDS.split())
"""Words that name no person; some languages' own are added as sites ask for them."""

LONGEST = 254
"""Of an address [characters] (RFC 5321, 4.5.3.1.3, less its brackets)."""

_ADDRESS = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)


def normal(login: str) -> str:
    """As it is kept and compared: without spaces around it, in lower case."""
    return login.strip().lower()


def refusal(login: str) -> str:
    """Why this cannot be a person's login; empty where it can.

    Args:
        login: As `normal` gives it.
    """
    if len(login) > LONGEST or not _ADDRESS.fullmatch(login):
        return "it is no address such as j.doe@acme.example"
    name, _, domain = login.partition("@")
    words = [word.strip("0123456789") for word in re.split(r"[^a-z0-9]+", name)]
    words = [word for word in words if word]
    known = SHARED | set(domain.split(".")) | set(re.split(r"[.-]", domain))
    if all(word in known for word in words):
        return "it looks like a mailbox that several people read; name the address of this one person"
    return ""
