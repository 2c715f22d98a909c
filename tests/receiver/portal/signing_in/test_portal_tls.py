"""The pages' TLS: on beyond loopback, an own certificate that is made once, cookies that no other host can set."""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sign_in_site import PASSWORD, SignInSite

from protocol.errors import ConfigError
from receiver.portal.app import create_app
from receiver.portal.process import certificate_names
from receiver.portal.serving import portal_tls
from receiver.portal.serving.serve import Server, bind, url

NOW = 1_790_000_000 * 10**9
DAY_NS = 86_400 * 10**9
NAMES = ["localhost", "127.0.0.1", "pages.plant.example"]


def test_an_own_certificate_is_made_once_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    """The same fingerprint after a restart; made anew for another name, and before it ends."""
    first = portal_tls.own(tmp_path, NAMES, wall_ns=NOW)
    assert first.own
    assert (tmp_path / portal_tls.KEY_NAME).stat().st_mode & 0o777 == 0o600
    assert portal_tls.own(tmp_path, NAMES, wall_ns=NOW + DAY_NS).fingerprint == first.fingerprint
    assert portal_tls.own(tmp_path, NAMES[:2], wall_ns=NOW).fingerprint == first.fingerprint
    late = NOW + (portal_tls.DAYS - portal_tls.RENEW_DAYS + 1) * DAY_NS
    assert portal_tls.own(tmp_path, NAMES, wall_ns=late).fingerprint != first.fingerprint
    other = portal_tls.own(tmp_path, [*NAMES, "other.example"], wall_ns=NOW)
    assert other.fingerprint != first.fingerprint


@pytest.mark.parametrize("what", ["cut", "gone", "another's", "empty"])
def test_a_certificate_that_is_damaged_is_made_anew(tmp_path: Path, what: str) -> None:
    """The pages come up whatever lies there."""
    first = portal_tls.own(tmp_path, NAMES, wall_ns=NOW)
    key = tmp_path / portal_tls.KEY_NAME
    if what == "gone":
        key.unlink()
    elif what == "another's":
        other = tmp_path / "other"
        other.mkdir()
        portal_tls.own(other, NAMES, wall_ns=NOW)
        key.write_bytes((other / portal_tls.KEY_NAME).read_bytes())
    else:
        key.write_bytes(key.read_bytes()[: 0 if what == "empty" else 100])
    assert portal_tls.own(tmp_path, NAMES, wall_ns=NOW).fingerprint != first.fingerprint


def test_files_that_are_no_certificate_are_the_operators_to_mend(tmp_path: Path) -> None:
    """Named with the key of the file of settings."""
    portal_tls.own(tmp_path, NAMES, wall_ns=NOW)
    certificate, key = tmp_path / portal_tls.NAME, tmp_path / portal_tls.KEY_NAME
    assert not portal_tls.from_files(certificate, key).own
    for pair in ((key, certificate), (certificate, tmp_path / "none"), (certificate, certificate)):
        with pytest.raises(ConfigError, match=r"portal\.certificate"):
            portal_tls.from_files(*pair)


def test_the_certificate_is_for_every_name_that_people_use() -> None:
    """And for none that no certificate can carry."""
    found = certificate_names("10.0.0.5", ("pages.example", "not a name"))
    assert {"10.0.0.5", "pages.example", "localhost", socket.gethostname()} <= set(found)
    assert "not a name" not in found
    assert "0.0.0.0" not in certificate_names("0.0.0.0", ())


@contextmanager
def encrypted(site: SignInSite) -> Iterator[tuple[str, int, ssl.SSLContext]]:
    """The pages by TLS; host, port, and a client that trusts them."""
    made = portal_tls.own(site.folder, NAMES, wall_ns=site.clock())
    app = create_app(site.folder / "history", site.folder, None, clock=site.clock, office=site.office)
    sock, ready = bind("127.0.0.1", 0), threading.Event()
    assert url(sock, encrypted=True).startswith("https://127.0.0.1:")
    server = Server(app, ready.set, encrypted=made.context)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        client = ssl.create_default_context(cafile=str(site.folder / portal_tls.NAME))
        client.verify_flags &= ~ssl.VERIFY_X509_STRICT
        yield "127.0.0.1", sock.getsockname()[1], client
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


def test_pages_by_tls_set_cookies_that_no_other_host_can_set(tmp_path: Path) -> None:
    """`__Host-`, Secure; what speaks no TLS, or an old one, or nothing, disturbs nobody."""
    site = SignInSite(tmp_path, time.time_ns())
    key = site.ready()
    site.clock.move(30)
    word = site.sign_in(key, address="127.0.0.1")
    with encrypted(site) as (host, port, client):
        with socket.create_connection((host, port), 5) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP")
        silent = socket.create_connection((host, port), 5)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((host, port), 5) as raw:
            held = old.wrap_socket(raw)
            shown = hashlib.sha256(held.getpeercert(binary_form=True) or b"").hexdigest()
            held.close()
        assert shown == portal_tls.own(site.folder, NAMES, wall_ns=site.clock()).fingerprint.replace(":", "").lower()
        connection = http.client.HTTPSConnection(host, port, timeout=20, context=client)
        connection.request("GET", "/sign-in")
        reply = connection.getresponse()
        text, cookie = reply.read().decode(), reply.headers["Set-Cookie"]
        assert reply.status == 200
        assert cookie.startswith("__Host-checkvalve-visit=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "passkeys belong to a name" in text
        connection.request("GET", "/account", headers={"Cookie": f"__Host-checkvalve={word}"})
        reply = connection.getresponse()
        assert PASSWORD not in reply.read().decode()
        assert reply.status == 200
        connection.request("GET", "/account", headers={"Cookie": f"checkvalve={word}"})
        assert connection.getresponse().status == 303
        connection.close()
        silent.close()
    site.close()
