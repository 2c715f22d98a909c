"""Handing a notice to a server: mail (RFC 5321, STARTTLS or TLS), a webhook (JSON by HTTPS), syslog (RFC 5424).

Each call opens a connection, hands over, and closes; it takes `TIMEOUT_S` a step at most, in a thread of its own.
What comes back is what the server said. No redirect is followed, no answer is believed beyond its code. Texts of people
stand in one line each: no header and no line of a log can be begun by them.
"""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

from protocol.errors import ConfigError
from protocol.inert import as_json, inert
from receiver.governed.alerts.notices import Notice
from receiver.governed.alerts.tell_table import TellTable
from receiver.governed.trail import rfc5424
from receiver.outputs.shipping.server_settings import here

TIMEOUT_S = 10.0
"""Of each step of a connection [s]."""

ANSWER_MOST = 200
"""Most characters of a server's words that go on record."""

SECRET_BYTES = 4096
"""Longest secret that is read [bytes]."""

DATAGRAM_BYTES = 1200
"""Longest datagram of syslog: what every path takes whole (RFC 5426, 3.2 asks for 480 of IPv4, 1180 of IPv6)."""

FORMAT = "checkvalve-notice-v1"

SEVERITY = {True: 1, False: 4}
"""Of syslog: an emergency is `alert`, an alert is `warning` (RFC 5424, 6.2.1)."""

Send = Callable[[Notice], str]
"""Hands a notice over and returns what the server said; raises OSError, ValueError, or the library's error."""

FAILURES = (OSError, ValueError, smtplib.SMTPException, http.client.HTTPException, ConfigError)
"""What a sender raises when it could not."""


def sender(table: TellTable, host: str) -> Send:
    """The sender of one way.

    Args:
        table: As configured.
        host: Name of this machine.
    """
    ways: dict[str, Callable[[TellTable, str, Notice], str]] = {"mail": _mail, "webhook": _webhook, "syslog": _syslog}
    way = ways[table.kind]
    return lambda notice: inert(way(table, host, notice), ANSWER_MOST)


def text_of(notice: Notice) -> str:
    """The notice as lines for people."""
    time = f"{datetime.fromtimestamp(notice.at_ns // 10**9, UTC):%Y-%m-%d %H:%M:%SZ}"
    return "\n".join(
        [inert(notice.title), "", *(f"{name}: {inert(text)}" for name, text in (("time", time), *notice.lines))]
    )


def json_of(notice: Notice, host: str) -> str:
    """The notice for programs; texts are themselves."""
    told = {
        "format": FORMAT,
        "host": host,
        "notice": notice.number,
        "kind": notice.kind,
        "at_ns": notice.at_ns,
        "emergency": notice.emergency,
        "title": notice.title,
        **dict(notice.lines),
    }
    return as_json(told)


def _mail(table: TellTable, host: str, notice: Notice) -> str:
    scheme, server, port = table.where
    message = EmailMessage()
    message["From"], message["To"] = table.sender, ", ".join(table.to)
    message["Subject"] = inert(f"[Checkvalve] {notice.title}", 200)
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.at_ns // 10**9, UTC))
    message["Message-ID"] = f"<notice-{notice.number}.{notice.at_ns}@checkvalve.invalid>"  # the same when tried again
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    message.set_content(text_of(notice) + "\n")
    if scheme == "smtps":
        made: smtplib.SMTP = smtplib.SMTP_SSL(server, port, _name(host), timeout=TIMEOUT_S, context=_trust(table))
    else:
        made = smtplib.SMTP(server, port, _name(host), timeout=TIMEOUT_S)
    with made as open_mail:
        open_mail.ehlo_or_helo_if_needed()
        if scheme == "smtp" and (not here(server) or open_mail.has_extn("starttls")):
            open_mail.starttls(context=_trust(table))
        if table.user:
            open_mail.login(table.user, secret(table))
        refused = open_mail.send_message(message)
    if refused:
        raise ValueError(f"not taken for {', '.join(sorted(refused))}")
    return f"taken by {server}"


def _webhook(table: TellTable, host: str, notice: Notice) -> str:
    scheme, server, port = table.where
    parts = urlsplit(table.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "checkvalve"}
    if table.password_file is not None:
        headers["Authorization"] = f"Bearer {secret(table)}"
    if scheme == "https":
        made: http.client.HTTPConnection = http.client.HTTPSConnection(
            server, port, timeout=TIMEOUT_S, context=_trust(table)
        )
    else:
        made = http.client.HTTPConnection(server, port, timeout=TIMEOUT_S)
    with closing(made) as open_web:
        open_web.request("POST", path, json_of(notice, host).encode(), headers)
        answer = open_web.getresponse()
        said = f"{answer.status} {answer.reason}"
    if not 200 <= answer.status < 300:
        raise ValueError(f"answered {said}")
    return said


def _syslog(table: TellTable, host: str, notice: Notice) -> str:
    scheme, server, port = table.where
    parameters = [("notice", str(notice.number)), ("title", notice.title)]
    message = json_of(notice, host).encode()
    line = _line(notice, parameters, message, host)
    if scheme == "udp":
        if len(line) > DATAGRAM_BYTES:
            short = json.dumps({"format": FORMAT, "notice": notice.number, "kind": notice.kind}).encode()
            line = _line(notice, parameters, short, host)
        family, _, _, _, address = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as to:
            to.sendto(line[:DATAGRAM_BYTES], address)
        return "sent by UDP, which nobody confirms"
    with socket.create_connection((server, port), timeout=TIMEOUT_S) as plain:
        framed = b"%d %s" % (len(line), line)  # octet counting: RFC 5425, 4.3, and RFC 6587, 3.4.1
        if scheme == "tls":
            with _trust(table).wrap_socket(plain, server_hostname=server) as to_tls:
                to_tls.sendall(framed)
                to_tls.settimeout(1.0)
                _close(to_tls)
        else:
            plain.sendall(framed)
            plain.shutdown(socket.SHUT_WR)
    return f"written to {server} over {scheme.upper()}"


def _close(to_tls: ssl.SSLSocket) -> None:
    """Say that it is over: a server that has not read all would else find the connection reset."""
    try:
        to_tls.unwrap()
    except OSError:
        return  # many close without a word; what was sent is sent


def _line(notice: Notice, parameters: list[tuple[str, str]], message: bytes, host: str) -> bytes:
    severity = SEVERITY[notice.emergency]
    return rfc5424.framed(
        "notice", parameters, message, kind=notice.kind, at_ns=notice.at_ns, host=host, severity=severity
    )


def secret(table: TellTable) -> str:
    """What stands in the password file.

    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    assert table.password_file is not None
    try:
        with table.password_file.open(encoding="utf-8") as file:
            held = file.read(SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError):
        held = ""  # an error's words may hold bytes of it
    if not held or not held.isprintable():
        hint = "write it into that file, one line, readable by the portal's user alone (mode 0600)"
        raise ConfigError(f"{table.password_file} cannot be read, or holds no secret", hint=hint)
    return held


def _trust(table: TellTable) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(table.ca_file) if table.ca_file else None)


def _name(host: str) -> str:
    """What we call ourselves in EHLO: a name, or a word that is none."""
    return host if host.isascii() and host and not set(host) & set(" \r\n") else "checkvalve"
