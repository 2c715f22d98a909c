"""Who a server may be, who asks it, and what is written down of an encrypted session."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary, uatcp_to_binary
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from opcua_peer import UaPeer, certificate
from opcua_reading import collector, device, latest, run, text_tags

from collectors.opcua.secure import servicelog, trust
from collectors.opcua.secure.client import BAD_CERTIFICATE_UNTRUSTED
from collectors.opcua.secure.servicelog import ServiceLog, verify
from collectors.opcua.secure.trust import objection
from protocol.errors import AssetError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
URI = "urn:acme:plc"


class Authority:
    """Signs certificates and revocation lists."""

    def __init__(self, name: str, *, may_sign: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.key, self.name, may_sign=may_sign)

    def sign(
        self, key: Any, name: x509.Name, uri: str = "", *, may_sign: bool = False, days: int = 30
    ) -> x509.Certificate:
        """A certificate around `NOW`."""
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=30))
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=may_sign, path_length=None), critical=True)
        )
        if uri:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
            made = made.add_extension(names, critical=False)
        return made.sign(self.key, hashes.SHA256())

    def server(self, uri: str = URI, days: int = 30) -> x509.Certificate:
        """Some server's."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plc")])
        return self.sign(key, name, uri, days=days)

    def revoke(self, *revoked: x509.Certificate) -> bytes:
        """A revocation list."""
        made = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        made = made.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(days=1))
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
            made = made.add_revoked_certificate(entry.revocation_date(NOW - timedelta(days=1)).build())
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def put(folder: Path, name: str, *held: x509.Certificate) -> None:
    """Certificates into a folder, in both forms by turns."""
    for at, one in enumerate(held):
        kind, form = (("der", Encoding.DER), ("pem", Encoding.PEM))[at % 2]
        (folder / f"{name}{at}.{kind}").write_bytes(one.public_bytes(form))


def test_a_certificate_is_trusted_by_itself_or_by_who_signed_it(tmp_path: Path) -> None:
    """In either form of file; nobody else is."""
    plant, other = Authority("plant"), Authority("other")
    own, alien = plant.server(), other.server()
    assert "nor is who signed it (CN=plant)" in objection(own, URI, tmp_path, NOW)
    put(tmp_path, "held", alien, plant.certificate)
    (tmp_path / "notes.txt").write_text("not a certificate")
    (tmp_path / "broken.der").write_bytes(b"neither")
    assert objection(own, URI, tmp_path, NOW) == ""
    assert objection(alien, URI, tmp_path, NOW) == ""
    assert objection(other.server(), URI, tmp_path, NOW) != ""


def test_who_may_not_sign_vouches_for_nobody(tmp_path: Path) -> None:
    """A server's own certificate in the folder does not make an authority of that server."""
    server = Authority("plc-1", may_sign=False)
    put(tmp_path, "held", server.certificate)
    assert "nor is who signed it" in objection(server.server(), URI, tmp_path, NOW)


def test_a_trusted_certificate_must_be_in_time_of_that_application_and_not_revoked(tmp_path: Path) -> None:
    """Each of them is named; a list of another authority that has the same number on it says nothing."""
    plant, other = Authority("plant"), Authority("other")
    put(tmp_path, "held", plant.certificate)
    good, late = plant.server(), plant.server(days=-1)
    assert "valid from" in objection(late, URI, tmp_path, NOW)
    assert "valid from" in objection(good, URI, tmp_path, NOW - timedelta(days=90))
    assert "does not name the application" in objection(good, "urn:other", tmp_path, NOW)
    (tmp_path / "other.crl").write_bytes(other.revoke(good))
    assert objection(good, URI, tmp_path, NOW) == ""
    (tmp_path / "plant.crl").write_bytes(plant.revoke(good))
    assert objection(good, URI, tmp_path, NOW) == "is revoked"


async def secured(folder: Path, **more: Any) -> dict[str, Any]:
    """Settings of a collector with a certificate of its own."""
    cert, key = await certificate(folder, "client", "urn:test:collector")
    return {"security": "Basic256Sha256", "certificate": str(cert), "key": str(key), **more}


def test_a_server_that_nobody_trusts_is_told_no_name(peer: UaPeer, tmp_path: Path) -> None:
    """The connection ends before a user is sent, and says why."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()

    async def main() -> None:
        settings = await secured(tmp_path, trust=str(trusted), user="viewer")
        plc = collector(device(peer.url, text_tags("pressure"), **settings))
        before = len(peer.guests.came)
        with pytest.raises(AssetError, match="is not in") as caught:
            await plc.open()
        assert caught.value.quality == BAD_CERTIFICATE_UNTRUSTED
        assert len(peer.guests.came) == before
        (trusted / "plc.der").write_bytes(peer.certificate.read_bytes())
        await plc.open()
        assert peer.guests.came[-1][0] == "viewer"
        await plc.close()

    run(main())


def test_a_user_may_come_with_a_certificate(peer: UaPeer, tmp_path: Path) -> None:
    """It is the user's, not the application's; the server checks that the key is held."""

    async def main() -> None:
        user, key = await certificate(tmp_path, "user", "urn:test:person")
        settings = await secured(tmp_path, trust_any=True, user_certificate=str(user), user_key=str(key))
        made = device(peer.url, text_tags("pressure"), **settings)
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 4.5
        name, shown = peer.guests.came[-1]
        assert (name, shown) == (None, user.read_bytes())
        await plc.close()

    run(main())


@pytest.mark.parametrize("mode", ["SignAndEncrypt", "Sign"])
def test_an_encrypted_session_leaves_the_names_of_its_services(peer: UaPeer, tmp_path: Path, mode: str) -> None:
    """On disk, in order, chained; where a capture shows everything, nothing is written."""

    async def main() -> None:
        settings = await secured(tmp_path, trust_any=True, security_mode=mode)
        made = device(peer.url, text_tags("pressure"), mode="poll", folder=tmp_path / "state", **settings)
        plc = collector(made)
        await plc.open()
        for _ in range(3):
            await plc.read(made.scans[0])
        await plc.close()
        told = " ".join(plc.remarks())
        path = tmp_path / "state" / "services-t.log"
        if mode == "Sign":
            assert (told, path.exists()) == ("", False)
            return
        text = path.read_text()
        words = [word for line in text.splitlines() for word in line.split()[1:-1]]
        assert words[:3] == ["OpenSecureChannel", "GetEndpoints", "CloseSecureChannel"]
        names = [word.partition("*")[0] for word in words]
        assert {"CreateSession", "ActivateSession", "Read"} <= set(names)
        assert names[-1] == "CloseSecureChannel"
        assert told == f"service log services-t.log: head sha256 {verify(text)}"

    run(main())


@pytest.mark.parametrize("how", ["a fault", "an error", "hangs up"])
def test_a_server_that_does_not_trust_us_is_to_be_told_to(
    peer: UaPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whether it answers with a fault where an open channel was expected, with an error, or not at all."""
    opens = UaProcessor.open_secure_channel

    def refuses(self: Any, header: Any, sequence: Any, body: Any) -> None:
        request = struct_from_binary(ua.OpenSecureChannelRequest, body.copy())
        if request.Parameters.SecurityMode == ua.MessageSecurityMode.None_:
            opens(self, header, sequence, body)
            return
        if how == "hangs up":
            self._transport.close()
            return
        untrusted = ua.StatusCode(ua.StatusCodes.BadCertificateUntrusted)
        if how == "an error":
            message = ua.ErrorMessage(Error=untrusted, Reason="")
            self._transport.write(uatcp_to_binary(ua.MessageType.Error, message))
            return
        parameters = request.Parameters
        self._connection.select_policy(header.SecurityPolicyURI, header.SenderCertificate, parameters.SecurityMode)
        self._connection.open(parameters, self.iserver)
        fault = ua.ServiceFault()
        fault.ResponseHeader.ServiceResult = untrusted
        self.send_response(request.RequestHeader.RequestHandle, sequence, fault, ua.MessageType.SecureOpen)

    monkeypatch.setattr(UaProcessor, "open_secure_channel", refuses)

    async def main() -> None:
        settings = await secured(tmp_path, trust_any=True)
        plc = collector(device(peer.url, text_tags("pressure"), **settings))
        with pytest.raises(AssetError, match="does not trust this collector yet") as caught:
            await plc.open()
        text = str(caught.value)
        shown = hashlib.sha1(Path(settings["certificate"]).read_bytes()).hexdigest().upper()
        assert settings["certificate"] in text
        assert shown in text
        assert "AssertionError" not in text
        await plc.close()

    run(main())


@pytest.mark.parametrize(
    ("settings", "offers"),
    [
        ({}, "it offers Basic256Sha256 with SignAndEncrypt; Basic256Sha256 with Sign, not None"),
        ({"security": "Aes256Sha256RsaPss"}, "not Aes256Sha256RsaPss with SignAndEncrypt"),
    ],
)
def test_what_a_server_offers_is_listed_where_it_refuses(
    peer: UaPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], offers: str
) -> None:
    """A policy or a mode that it has not."""
    endpoints = InternalServer.get_endpoints

    async def without_none(self: Any, *args: Any, **more: Any) -> Any:
        return [one for one in await endpoints(self, *args, **more) if not one.SecurityPolicyUri.endswith("#None")]

    async def refuses(self: Any, *args: Any, **more: Any) -> Any:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadSecurityModeRejected)

    monkeypatch.setattr(InternalServer, "get_endpoints", without_none)
    monkeypatch.setattr(InternalSession, "create_session", refuses)

    async def main() -> None:
        more = await secured(tmp_path, trust_any=True) | settings if settings else {}
        plc = collector(device(peer.url, text_tags("pressure"), **more))
        with pytest.raises(AssetError) as caught:
            await plc.open()
        assert offers in str(caught.value)
        await plc.close()

    run(main())


def test_a_wrong_pin_is_named(peer: UaPeer, tmp_path: Path) -> None:
    """With the thumbprint of what the server shows; servers say no more than that something failed."""

    async def main() -> None:
        other, _ = await certificate(tmp_path, "other", "urn:test:other")
        settings = await secured(tmp_path, server_certificate=str(other))
        plc = collector(device(peer.url, text_tags("pressure"), wait=1.0, **settings))
        with pytest.raises(AssetError, match=f"than the pinned server_certificate {other}") as caught:
            await plc.open()
        assert hashlib.sha1(peer.certificate.read_bytes()).hexdigest().upper() in str(caught.value)
        await plc.close()

    run(main())


@pytest.mark.parametrize("shown", [True, False])
def test_a_password_is_encrypted_with_the_certificate_of_the_endpoint(
    peer: UaPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    """Where the server wants it so and CreateSession shows none; no endpoint with one is a refusal in words."""
    endpoints, sends = InternalServer.get_endpoints, UaProcessor.send_response
    file = tmp_path / "password"
    file.write_text("open sesame")

    async def told(self: Any, *args: Any, **more: Any) -> Any:
        held = await endpoints(self, *args, **more)
        for one in held:
            one.ServerCertificate = one.ServerCertificate if shown else None
            tokens = [
                replace(token, SecurityPolicyUri=SecurityPolicyBasic256Sha256.URI) for token in one.UserIdentityTokens
            ]
            one.UserIdentityTokens = tokens
        return held

    def bare(self: Any, handle: Any, sequence: Any, response: Any, *kind: Any) -> None:
        if isinstance(response, ua.CreateSessionResponse):
            created = response.Parameters
            created.ServerCertificate, created.RevisedSessionTimeout = None, 0
            for one in created.ServerEndpoints:
                one.ServerCertificate = None
        sends(self, handle, sequence, response, *kind)

    monkeypatch.setattr(InternalServer, "get_endpoints", told)
    monkeypatch.setattr(UaProcessor, "send_response", bare)

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), user="viewer", password_file=str(file), plain_password=True)
        plc = collector(made)
        if not shown:
            with pytest.raises(AssetError, match="wants the password encrypted"):
                await plc.open()
        else:
            await plc.open()
            assert peer.guests.came[-1][0] == "viewer"
            assert peer.guests.passwords[-1] == "open sesame"
            assert plc._session is not None
            assert plc._session._client.session_timeout > 0, "the probe would have no time for an answer"
        await plc.close()

    run(main())


MINUTE = 60 * 10**9


def log(folder: Path, minutes: int = 4) -> ServiceLog:
    """A log of some minutes."""
    made = ServiceLog(folder, "pump/7")
    for minute in range(minutes):
        for service in ("Read", "Read", "Publish"):
            made.note(service, minute * MINUTE)
    made.flush()
    return made


def test_the_service_log_has_a_line_a_minute_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    """The chain goes through a restart, and through a file that was put aside."""
    made = log(tmp_path)
    assert made.path.name == "services-pump_7.log"
    lines = made.path.read_text().splitlines()
    assert [line.rpartition(" ")[0] for line in lines][:2] == [
        "1970-01-01T00:00:00Z Read*2 Publish",
        "1970-01-01T00:01:00Z Read*2 Publish",
    ]
    assert verify(made.path.read_text(), "") == made.head
    again = log(tmp_path)
    assert verify(made.path.read_text(), "") == again.head != made.head


def test_a_full_service_log_is_put_aside_and_the_chain_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two files follow from each other."""
    monkeypatch.setattr(servicelog, "LARGEST", 300)
    made = log(tmp_path, minutes=4)
    aside = made.path.with_suffix(".log.1")
    head = verify(aside.read_text())
    assert ServiceLog(tmp_path, "pump/7").head == made.head
    assert verify(made.path.read_text() if made.path.exists() else "", head) in ("", made.head)


@pytest.mark.parametrize("fault", ["changed", "taken out", "put in"])
def test_a_service_log_that_was_changed_is_noticed(tmp_path: Path, fault: str) -> None:
    """Each line follows from the one before it."""
    lines = log(tmp_path).path.read_text().splitlines()
    if fault == "changed":
        lines[1] = lines[1].replace("Publish", "Write")
    elif fault == "taken out":
        del lines[1]
    else:
        lines.insert(1, lines[0])
    with pytest.raises(ValueError, match=r"line [23]"):
        verify("\n".join(lines))


def test_a_torn_last_line_is_cut_off_and_the_chain_goes_on(tmp_path: Path) -> None:
    """As after a power failure."""
    made = log(tmp_path)
    whole = made.path.read_text()
    made.path.write_text(whole + "1970-01-01T00:04:00Z Re")
    again = log(tmp_path, minutes=1)
    assert again.path.read_text().startswith(whole)
    assert verify(again.path.read_text(), "") == again.head


def test_a_disk_without_room_stops_no_device_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait in memory, at most so many, and the chain is whole when there is room again."""
    monkeypatch.setattr(servicelog, "WAITING", 3)
    made = log(tmp_path, minutes=2)
    assert len(made.remarks(0)) == 1
    folder = made.path.parent
    made.path.rename(tmp_path / "aside")
    made.path.mkdir()  # cannot be opened for writing
    for minute in range(2, 8):
        made.note("Read", minute * MINUTE)
    made.flush()
    (line,) = made.remarks(0)
    assert "cannot be written" in line
    assert made.remarks(0) == []
    made.path.rmdir()
    (tmp_path / "aside").rename(folder / made.path.name)
    made.note("Read", 8 * MINUTE)
    made.flush()
    assert made.remarks(0) == ["service log services-pump_7.log is written again"]
    text = made.path.read_text()
    assert verify(text, "") == made.head
    assert [part.rpartition(" ")[0] for part in text.splitlines()[2:]] == [
        "3 lines had no room",
        "1970-01-01T00:05:00Z Read",
        "1970-01-01T00:06:00Z Read",
        "1970-01-01T00:07:00Z Read",
        "1970-01-01T00:08:00Z Read",
    ]


def test_the_ends_of_a_connections_certificates_are_known_once_it_is_open(peer: UaPeer, tmp_path: Path) -> None:
    """Of each file that is given, and of what the server showed, pinned or not; in clear there are none."""

    async def main() -> None:
        for more in ({"trust_any": True}, {"server_certificate": str(peer.certificate)}):
            settings = await secured(tmp_path, **more)
            plc = collector(device(peer.url, text_tags("pressure"), **settings))
            await plc.open()
            held = {trust.load(Path(path)) for path in (settings["certificate"], peer.certificate)}
            ends = {int(one.not_valid_after_utc.timestamp()) * 10**9 for one in held if one is not None}
            told = plc.certificates()
            assert set(told.values()) == ends
            assert [f"certificate {settings['certificate']}", "the server's certificate"] == [
                one for one in told if not one.startswith("server_certificate ")
            ]
            assert (f"server_certificate {peer.certificate}" in told) == ("server_certificate" in more)
            await plc.close()
        plain = collector(device(peer.url, text_tags("pressure")))
        await plain.open()
        assert plain.certificates() == {}
        await plain.close()

    run(main())
