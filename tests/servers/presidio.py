"""A Presidio analyzer as its documentation describes it: /analyze and /supportedentities. Finds the words it was given."""

from __future__ import annotations

import json
import re
import ssl
from typing import Any

from servers.local import Handler, LocalServer


class PresidioServer(LocalServer):
    """`finds` maps words to labels, `languages` are those it knows; `answer` replaces what /analyze says; `token` is what a
    bearer has to show. `texts` are those that it was asked about, with their languages."""

    def __init__(self, finds: dict[str, str], *, tls: ssl.SSLContext | None = None) -> None:
        self.finds = finds
        self.languages = ["de", "en"]
        self.answer: bytes | None = None
        self.token: str | None = None
        self.redirect: str | None = None
        self.texts: list[tuple[str, str]] = []
        super().__init__(self._reply, tls=tls)

    @property
    def uri(self) -> str:
        """As it stands in a manifest."""
        return f"presidio+{self.url}"

    def _reply(self, request: Handler) -> None:
        body = request.read()
        language = (request.asked.query.get("language") or ["en"])[0]
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            request.send(401)
        elif self.redirect is not None and request.asked.path == "/analyze":
            request.send(302, headers={"Location": self.redirect})
        elif request.asked.path == "/supportedentities":
            if language in self.languages:
                self._say(request, sorted(set(self.finds.values())))
            else:
                self._say(request, {"error": "No matching recognizers were found to serve the request."}, status=500)
        elif request.asked.path == "/analyze" and request.command == "POST":
            asked = json.loads(body)
            self.texts.append((asked["text"], asked["language"]))
            if self.answer is not None:
                request.send(200, self.answer)
            else:
                self._say(request, list(self._found(asked["text"], asked.get("score_threshold", 0))))
        else:
            request.send(404)

    def _found(self, text: str, least: float) -> Any:
        for word, label in self.finds.items():
            for match in re.finditer(re.escape(word), text):
                if least <= 0.85:
                    yield {"entity_type": label, "start": match.start(), "end": match.end(), "score": 0.85}

    def _say(self, request: Handler, value: Any, *, status: int = 200) -> None:
        request.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
