"""A browser of few lines, for the demo's people: keeps cookies, sends the forms that a page has, follows nothing.

It knows of the pages what anybody sees who opens them, and nothing else of the product.
"""

from __future__ import annotations

import html
import http.client
import re
from urllib.parse import urlencode, urlsplit

from protocol.errors import ConfigError

PATIENCE = 30.0
"""For one answer [s]: a password is hashed slowly on purpose, and the machine is busy starting."""


class PageVisitor:
    """Somebody in front of the pages."""

    def __init__(self, base: str) -> None:
        """
        Args:
            base: Address of the pages, `http://127.0.0.1:8600/`.
        """
        self._base, self._host = base.rstrip("/"), urlsplit(base).netloc
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> str:
        """The text of a page.

        Raises:
            ConfigError: it is not there.
        """
        status, text = self._ask("GET", path, None, {})
        if status != 200:
            raise ConfigError(f"{self._base}{path} answers {status}")
        return text

    def send(self, page: str, path: str, **fields: str) -> None:
        """Fill in the form of a page that goes to `path`, and send it.

        Raises:
            ConfigError: the page has no such form, or what was filled in is refused; with what the page says.
        """
        found = re.search(
            rf'action="{re.escape(path)}">\s*<input type="hidden" name="token" value="(\w+)">', self.get(page)
        )
        if found is None:
            raise ConfigError(f"{self._base}{page} has no form that goes to {path}")
        headers = {"Origin": self._base, "Content-Type": "application/x-www-form-urlencoded"}
        status, text = self._ask("POST", path, urlencode({"token": found[1]} | fields), headers)
        if status != 303:
            said = re.search(r'role="alert">([^<]+)<', text)
            raise ConfigError(f"{self._base}{path} answers {status}: {html.unescape(said[1]) if said else ''}")

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, timeout=PATIENCE)
        try:
            if self._cookies:
                headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, rest = line.partition("=")
                self._cookies[name] = rest.partition(";")[0]
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise ConfigError(f"{self._base}{path}: {error}") from error
        finally:
            connection.close()
