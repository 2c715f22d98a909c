"""Signing in with a real browser: set up, codes, passkeys, and how the pages look on a desk and a phone."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from sign_in_site import PASSWORD, SignInSite, WebReader

from receiver.governed.people import set_up
from receiver.governed.people.person import PersonRole

OUTSIDE = """
[...document.querySelectorAll("body *:not(.unseen, .skip, .symbols, .symbols *)")]
  .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 0.5)
  .map((node) => `${node.tagName} ${node.className}`)
"""
SHOTS = os.environ.get("CHECKVALVE_SHOTS", "")
"""A folder for pictures of the pages, for people to look at."""
FIRST = "a password that is soon another"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignInSite]:
    made = SignInSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: SignInSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


class Tab:
    """A page of a context of its own that must log no error."""

    def __init__(self, browser: Browser, base: str, *, width: int = 1100, scheme: str = "light") -> None:
        self.base = base.replace("127.0.0.1", "localhost")
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: object) -> None:
        text = getattr(message, "text", "")
        if getattr(message, "type", "") in ("error", "warning") and "status of 4" not in text:
            self.wrong.append(text)

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def shot(self, name: str) -> None:
        """A picture, where somebody wants one; no violation of axe's rules, nothing reaches beyond the window."""
        found = Axe().run(self.page).response["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == [], name
        if SHOTS:
            self.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
        assert self.page.evaluate(OUTSIDE) == []

    def close(self) -> None:
        self.context.close()
        assert self.wrong == []


def sign_in(tab: Tab, site: SignInSite, key: str) -> None:
    """As a person does it."""
    page = tab.open("/sign-in")
    page.get_by_label("Login").fill("s.smith@plant.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill(site.code(key))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile("/$"))


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (390, "dark")])
def test_a_person_sets_up_signs_out_and_signs_in_again(
    site: SignInSite, web: WebReader, browser: Browser, width: int, scheme: str
) -> None:
    """By the link alone, with the key that the picture carries."""
    word = site.enrol(roles=frozenset({PersonRole.ADMINISTRATOR}))
    tab = Tab(browser, web.base, width=width, scheme=scheme)
    page = tab.open(f"/set-up/{word}")
    tab.shot(f"set-up-{width}")
    found = set_up.look(site.office.desk, site.office.store, word)
    assert found is not None
    site.seeds["p-sponsor1"] = found.link.seed
    assert page.locator(".qr svg path").count() >= 1
    assert page.locator("code").inner_text().replace(" ", "") == found.link.seed
    page.get_by_label("At least 12").fill(PASSWORD)
    page.get_by_label("Once more").fill("something else entirely")
    page.get_by_label("Code").fill(site.code("p-sponsor1"))
    page.get_by_label("I have read").check()
    page.get_by_role("button", name="Set up").click()
    assert "differ" in page.get_by_role("alert").inner_text()
    tab.shot(f"set-up-refused-{width}")
    page.get_by_label("At least 12").fill(FIRST)
    page.get_by_label("Once more").fill(FIRST)
    page.get_by_label("Code").fill(site.code("p-sponsor1"))
    page.get_by_label("I have read").check()
    page.get_by_role("button", name="Set up").click()
    page.wait_for_url(re.compile("/account$"))
    page.get_by_text("Change it").click()
    tab.shot(f"account-{width}")
    site.clock.move(30)
    page.get_by_label("The present password").fill(FIRST)
    page.get_by_label("Code").fill(site.code("p-sponsor1"))
    page.get_by_label("The new one").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    page.get_by_text("The password is changed").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in$"))
    tab.shot(f"sign-in-{width}")
    page.get_by_label("Login").fill("s.smith@plant.example")
    page.get_by_label("Password").fill("not the password")
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    assert "did not fit" in page.get_by_role("alert").first.inner_text()
    tab.shot(f"sign-in-refused-{width}")
    site.clock.move(30)
    sign_in(tab, site, "p-sponsor1")
    tab.open("/no-such-page")
    tab.close()


def test_a_passkey_is_added_and_signs_in_without_a_password(site: SignInSite, web: WebReader, browser: Browser) -> None:
    """With a device that the browser simulates; removed, it is worth nothing."""
    key = site.ready()
    tab = Tab(browser, web.base)
    devtools = tab.context.new_cdp_session(tab.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(tab, site, key)
    page = tab.open("/account")
    page.get_by_label("Name of the device").fill("<b>my phone</b>")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("rowheader", name="<b>my phone</b>").wait_for()
    tab.shot("account-passkey")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in$"))
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(re.compile("/$"))
    tab.open("/account")
    assert page.get_by_role("cell", name="passkey", exact=True).is_visible()
    assert [entry.facts["how"] for entry in site.of("session.opened")] == ["password", "passkey"]
    page.get_by_role("button", name="Remove it").click()
    page.get_by_text("Add a passkey").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in$"))
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("This passkey is not known here").wait_for()
    (failed,) = site.of("session.failed")
    assert failed.facts == {"how": "passkey"}
    tab.close()


def test_a_suspended_person_s_passkey_opens_nothing(site: SignInSite) -> None:
    """Nor does an answer that is none, whatever it is made of."""
    site.ready()
    passkeys = site.office.passkeys
    data = base64.urlsafe_b64encode(b'{"challenge": "AAAA"}').decode()
    for answer in ("", "{}", "[]", "null", '{"response": {"clientDataJSON": "' + data + '"}}', "{" * 5000):
        assert passkeys.owner(answer, host="localhost", origin="http://localhost", now_ns=1) == ""


def test_where_there_are_no_passkeys_the_page_says_why(web: WebReader) -> None:
    """An address is no name."""
    assert "passkeys belong to a name" in web.get("/sign-in").text
    assert web.post("/sign-in/passkey-ask", {}).status == 403
