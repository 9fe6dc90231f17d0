"""Lines that mail programs and websites add: they say nothing, stand everywhere, and a model learns to write them.

Removed are lines that begin as such a line does, and for notes on confidentiality the whole paragraph, because such a note
is cut into lines anywhere. A sentence that only mentions one of these things stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LOOKED_AT = 200
"""Characters of a line; what makes it boilerplate stands at its beginning."""

_PROGRAM = (
    r"(?:iphone|ipad|android|samsung|galaxy|blackberry|huawei|smartphone|handy|mobil|mobile|phone|outlook|yahoo|proton|gmx"
    r"|web\.de)"
)
_MAIL = r"(?:e-?mail|message|communication|nachricht|newsletter)"
_BEGINNINGS = (
    # devices and programs
    rf"sent (?:from|via|with) (?:my |the )?[\w. -]{{0,30}}\b{_PROGRAM}",
    rf"(?:von|mit) mein(?:em|er|en)[\w. -]{{0,30}}\b{_PROGRAM}[\w. -]{{0,40}} (?:gesendet|geschickt|verschickt)\b",
    rf"gesendet (?:von|mit|über) (?:meinem|meiner|der|dem)?[\w. -]{{0,30}}\b{_PROGRAM}",
    r"get outlook for (?:ios|android|mac)\b",
    r"outlook für (?:ios|android|mac) (?:beziehen|herunterladen)",
    r"holen sie sich outlook für",
    # newsletters
    r"(?:click here to |to )?unsubscribe\b",
    r"(?:update|manage) your (?:e-?mail )?(?:preferences|subscription)\b",
    rf"you (?:are receiving|received) this {_MAIL} because\b",
    rf"view (?:this|it) (?:{_MAIL} )?in (?:your|the|a) browser\b",
    r"(?:vom |diesen )?newsletter (?:abmelden|abbestellen)\b",
    r"(?:hier )?abmelden$",
    rf"sie (?:erhalten|bekommen) diese[ns]? {_MAIL}, (?:weil|da)\b",
    rf"wenn sie (?:diese[ns]? {_MAIL}|keine (?:weiteren )?e-?mails)[\w .,-]{{0,40}}\b(?:mehr|länger|abbestellen)\b",
    rf"(?:diese[ns]? {_MAIL} )?im browser (?:ansehen|anzeigen|öffnen|lesen)\b",
    # printing, cookies, viruses
    r"please consider the environment before printing",
    r"bitte (?:denken|prüfen) sie[\w ,-]{0,40}(?:umwelt|ausdruck|drucken)",
    r"(?:this|our) (?:web ?site|page|site) uses cookies\b",
    r"we use cookies\b",
    r"(?:accept|reject|allow) (?:all )?cookies\b",
    r"diese (?:web ?site|webseite|seite) (?:verwendet|nutzt|benutzt) cookies\b",
    r"wir (?:verwenden|nutzen|setzen) cookies\b",
    r"(?:alle )?cookies (?:akzeptieren|ablehnen|zulassen)\b",
    rf"(?:this|diese) {_MAIL} (?:has been|wurde)[\w. -]{{0,40}}(?:viruses|viren)\b",
    r"(?:virenfrei|virus-free)\b",
)
_NOTES = (
    r"confidentiality (?:notice|note|disclaimer)\b",
    r"vertraulichkeitshinweis\b",
    rf"(?:this|the information (?:contained )?in this|the contents? of this) {_MAIL}[\w ,()./-]{{0,100}}"
    r"\b(?:confidential|privileged|intended)\b",
    rf"if you (?:are not the (?:intended|named) (?:recipient|addressee)|have received this {_MAIL} (?:in error|by mistake))\b",
    rf"(?:der inhalt dieser|die informationen in dieser|diese) {_MAIL}[\w ,()./-]{{0,80}}\bvertraulich",
    rf"(?:wenn|falls|sollten) sie (?:nicht der|diese {_MAIL} irrtümlich)[\w ,()./-]{{0,40}}\b(?:adressat|empfänger|erhalten)",
)
"""On confidentiality; such a note goes on to the end of its paragraph."""
_LINES = re.compile(rf"\W{{0,6}}(?:{'|'.join(_BEGINNINGS)})", re.IGNORECASE)
_CONFIDENTIAL = re.compile(rf"\W{{0,6}}(?:{'|'.join(_NOTES)})", re.IGNORECASE)
SHOWN = re.compile(
    rf"\b(?:sent|from|my|gesendet|von|mein(?:em|er|en)|{_PROGRAM}|get|ios|unsubscribe|newsletter|abmelden|abbestellen|browser|cookies"
    rf"|{_MAIL}|is|may|contain|confidential|intended|recipient|vertraulich(?:e|en)?|empfänger|environment|umwelt|vir(?:us|uses|en))\b",
    re.IGNORECASE,
)
"""What of such a line may be shown to people: words that are the same in everybody's."""
_HINTS = (
    *("sent ", "gesendet", "geschickt", "outlook", "subscri", "newsletter", "abmelden", "browser", "receiv", "erhalten"),
    *("bekommen", "umwelt", "environment", "ausdruck", "drucken", "cookies", "vir", "confiden", "vertraulich", "disclaimer"),
    *("intended", "empfänger", "adressat", "preferences", "wenn sie"),
)


def without_boilerplate(text: str) -> str:
    """Without signatures of devices, notes on confidentiality, lines about unsubscribing, printing, cookies and viruses."""
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return text
    kept: list[str] = []
    in_note = False
    for line in text.split("\n"):
        bare = line[:_LOOKED_AT].strip()
        in_note = bool(bare) and (in_note or _CONFIDENTIAL.match(bare) is not None)
        if not in_note and _LINES.match(bare) is None:
            kept.append(line)
    return _joined(kept, text)


class WithoutPhrases:
    """Removes lines that hold one of the phrases of a manifest, in small or in large letters."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = tuple(phrase.lower() for phrase in phrases)
        self.shown = re.compile("|".join(map(re.escape, phrases)) or r"(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """What is left."""
        lower = text.lower()
        if not any(phrase in lower for phrase in self._phrases):
            return text
        lines = text.split("\n")
        return _joined([line for line in lines if not any(phrase in line.lower() for phrase in self._phrases)], text)


def _joined(kept: list[str], text: str) -> str:
    """The lines that stay, without the gap that the others leave; the text itself if all stay."""
    left = "\n".join(kept)
    return text if len(left) == len(text) else re.sub(r"\n{3,}", "\n\n", left).strip()
