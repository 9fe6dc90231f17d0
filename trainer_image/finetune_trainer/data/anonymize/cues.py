"""What introduces a name in German and English: titles, greetings, closings, introductions, labels, roles.

Each pattern has the name in its first group. Whether what stands there is one, names.py decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_trainer.data.anonymize.cue_words import GREETED, KEYS, NO_VALUES, OF_NAMES, OPENINGS, PEOPLE, ROLES_DE, ROLES_EN
from finetune_trainer.data.anonymize.letters import CAPITALS, NAME, WORD
from finetune_trainer.data.anonymize.signs import Signs, any_in, places


@dataclass(frozen=True, slots=True)
class Cue:
    """Something that introduces names."""

    pattern: re.Pattern[str]
    words: str = ""
    """Words with which a match begins: it is looked for where one of them stands, and nowhere else."""
    others: tuple[str, ...] = ()
    """What else a match begins with."""
    before: re.Pattern[str] | None = None
    """What has to end where a match begins."""
    in_any_case: bool = False
    """The words are meant in any case, and one of `_BEHIND_LABELS` stands behind them."""
    weak: bool = False
    """It introduces much else: there the first word must be a known given name."""
    lone: bool = True
    """A single word that no list knows is believed."""
    never: frozenset[str] = frozenset()
    """Words that stand behind it and end a name, or are none."""


def _any_of(words: str) -> str:
    return "|".join(words.split())


_DEGREES = (
    r"(?:[ -]{0,2}(?:Dr|Prof|Dipl|Mag|Ing|Kfm|Kffr|Inf|Phys|med|dent|vet|phil|jur|iur|rer|nat|pol|oec|theol|habil|mult"
    r"|[he]\.[ ]?c"
    r"|h\.[ ]?h|DDr|M\.[ ]?A|B\.[ ]?A|M\.[ ]?Sc|B\.[ ]?Sc|Lic|lic|Univ|Priv|Doz)\.){0,7}"
)
_OFFICES = (
    r"(?:[ ](?:Dr|Prof|Professorin|Professor|Doktor|Pfarrerin|Pfarrer|Rechtsanwältin|Rechtsanwalt|RAin|RA|Kollegin|Kollegen"
    r"|Kollege|PD|[OL]?StRin|[OL]?StR|OStDin|OStD|StDin|StD)(?=[ ])){0,2}"
)
_NO_DAY = r"(?![ ]?(?:Sa|So|Mo)\.|[ ](?:Abend|Morgen|Mittag|Vormittag|Nachmittag|Nacht)(?!\w))"
"""Behind Fr., which is Friday as well."""
_TITLES = (
    rf"(?:Herrn?|Frau|Hrn?\.|Fr\.{_NO_DAY}|Frl\.|Fräulein|Familie|Fam\.|Eheleute|Mr\.?|Mrs\.?|Ms\.?|Miss|Mx\.?|Sir|Madam"
    rf"|Messrs\.?)"
    rf"{_OFFICES}{_DEGREES}"
    rf"|(?:Dr\.?|Prof\.?|Mag\.|Doctor|Professor|Dres\.|Rev\.|Capt\.|Sgt\.|Col\.|Lt\.|Hon\.){_DEGREES}"
)
TITLE = Cue(
    re.compile(rf"(?<!\w)(?:{_TITLES})(?:[ \t]{{1,3}}|(?<=[rnlmfg]\.)(?=\w{{3}}))({NAME})"),
    "Herr Herrn Frau Hr Hrn Fr Frl Fräulein Familie Fam Eheleute Mr Mrs Ms Miss Mx Sir Madam Messrs Dr Prof Mag Doctor"
    " Professor Dres Rev Capt Sgt Col Lt Hon",
)
HEAD = Cue(
    re.compile(
        rf"(?:Herrn?|Frau|Familie|Eheleute|Mrs?|Ms){_OFFICES}{_DEGREES}[ \t]{{0,3}}\r?\n[ \t]{{0,8}}({NAME})"
        r"(?=[ \t]{0,3}\r?\n(?:[^\n]{0,60}\n)?[^\n]{0,60}\d)"
    ),
    "Herr Herrn Frau Familie Eheleute Mr Mrs Ms",
    before=re.compile(r"^[ \t>]{0,8}\Z", re.MULTILINE),
)
"""A title in a line of its own, as it stands above an address: a number follows within two lines."""
_SHOUTED = r"(?:HERRN?|FRAU|FAMILIE|MR\.?|MRS\.?|MS\.?|MISS|DR\.|PROF\.)(?:[ ](?:DR|PROF|MED)\.?){0,3}"
SHOUTED = Cue(
    re.compile(rf"(?<!\w){_SHOUTED}[ ]({CAPITALS}(?:[ ]{CAPITALS})?)"),
    "HERR HERRN FRAU FAMILIE MR MRS MS MISS DR PROF",
)
"""Titles in texts of capitals: of two words the first must be a given name, since all that follows has capitals too."""
GREETING = Cue(
    re.compile(
        rf"(?:^|(?<=[\n.!?:>\"„,] )|(?<=[\n>\"„]))(?:Liebe[rs]?|Hallo|Hi|Hello|Hey|Dear|Guten (?:Tag|Morgen|Abend)"
        rf"|Moin(?: Moin)?|Servus"
        rf"|Grüezi|Grüß (?:Gott|dich)|Good (?:morning|afternoon|evening)|(?<=, )(?:liebe[rs]?|hallo|hi|dear)|(?:Hi|Hello"
        rf"|Hey) there)[ ]({NAME})"
        r"(?=\s?[,!.:\n–-]|[ ](?:and|und|&)[ ]|$)",
        re.MULTILINE,
    ),
    "Liebe Lieber Liebes liebe lieber liebes Hallo hallo Hi hi Hello Hey Dear dear Guten Moin Servus Grüezi Grüß Good",
    never=GREETED,
)
_RANKS = (
    r"(?:(?:i\.\s?[AV]\.|gez\.|ppa\.|[Dd]r\.|[Pp]rof\.|Mag\.|Lt\.|Col\.|Capt\.|Sgt\.|Maj\.|Gen\.|Rev\.|Dipl\.-\w{2,6}\.?)\s)"
    r"{0,3}"
)
_ENDS = r"(?=[,;]?\s{0,8}(?:$|\n|,|\|))"
CLOSING = Cue(
    re.compile(
        r"(?:Grüßen?|Grüssen?|Gruß|Gruss|(?<!\w)(?:i\.\s?A\.|Hochachtungsvoll|MfG|VG|LG|BG"
        r"|(?:Kind|Kindest|Best|Warm|Warmest|Many)\s(?:regards|wishes|thanks)|Regards|Respectfully(?:\syours)?"
        r"|Sincerely(?:\syours)?|Yours\s(?:sincerely|faithfully|truly)))"
        rf"(?:[ ](?:aus|vom|von|from)[ ](?:\w{{2,12}}[ ])?{WORD})?[ ]?[,:.!]?\s{{0,4}}{_RANKS}({NAME}){_ENDS}",
        re.MULTILINE,
    ),
    "Hochachtungsvoll MfG VG LG BG Kind Kindest Best Warm Warmest Many Regards Respectfully Sincerely Yours",
    ("Gruß", "Gruss", "Grüße", "Grüsse", "i.A.", "i. A."),
    never=GREETED | OPENINGS,
)
"""The adjectives before it say nothing of the name behind it, and it may end a longer word: Urlaubsgrüße."""
SIGNATURE = Cue(
    re.compile(
        r"(?:^|(?<=[.!?] ))(?:--|Ihre?|Eure?|Best|Love|Cheers|Thanks|Thank you|Thanks again|Many thanks|All the best"
        r"|Take care|Warmly|Signed|Yours|Cordially|Danke(?: und Gruß)?)[ ]?[,:.!]?"
        rf"(?:\s{{0,4}}\n\s{{0,3}}){_RANKS}({NAME}){_ENDS}",
        re.MULTILINE,
    ),
    "Ihr Ihre Eur Eure Best Love Cheers Thanks Thank Many All Take Warmly Signed Yours Cordially Danke",
    ("--",),
    never=GREETED | OPENINGS,
)
"""Words that close a letter only where they stand in a line of their own."""
INTRODUCTION = Cue(
    re.compile(
        r"(?<!\w)(?:[Mm]ein(?:e)? Name(?: ist|:)|[Ii]ch hei(?:ß|ss)e|[Hh]ier spricht|[Mm]y name is|[Mm]y name's|[Mm]y name:"
        r"|[Ii](?: am|'m|’m) called|[Pp]eople call me|[Nn]amens|[Ss]igned(?: by)?:?|[Pp]repared by:?|[Uu]ndersigned,?"
        r"|[Uu]nterzeichnete[rn]?,?|[Uu]nterzeichnet von|[Ll]autend auf|c/o|gez\."
        r"|[Ii]nhaber(?:in)?"
        r"|[Ss]peaking (?:with|to)|[Ss]poke (?:to|with)|[Tt]alked to|[Gg]esprochen mit|[Tt]elefonat mit|[Gg]espräch mit|née"
        r"|nee|geborene[rn]?"
        rf"|geb\.)[ ]({NAME})"
    ),
    "Mein mein Meine meine Ich ich Hier hier My my People people Namens namens Signed signed Prepared prepared Undersigned"
    " undersigned Unterzeichnete unterzeichnete Unterzeichneter unterzeichneter Unterzeichneten unterzeichneten Unterzeichnet"
    " unterzeichnet Lautend lautend gez Inhaber inhaber Inhaberin inhaberin Speaking speaking Spoke spoke Talked talked"
    " Gesprochen gesprochen Telefonat telefonat Gespräch gespräch née nee geborene geborener geborenen geb",
    ("I am called", "I'm called", "I’m called", "i am called", "i'm called", "c/o"),
    never=frozenset(("Mein", "Meine", "Dein", "Deine")),
)
MYSELF = Cue(re.compile(rf"(?<!\w)(?:Ich|I),[ ]({NAME}),"), others=("Ich,", "I,"))
SIGNED = Cue(re.compile(rf"^(?:Euer|Eure|Deine?)[ ]({NAME})[ ]{{0,3}}$", re.MULTILINE), "Euer Eure Dein Deine")
SPEAKING = Cue(
    re.compile(rf"(?:[Tt]his is|[Hh]ier (?:ist|spricht))[ ]({NAME})[ ](?:speaking|here|calling|am (?:Apparat|Telefon))"),
    "This this Hier hier",
)
PRESENTATION = Cue(
    re.compile(rf"(?<!\w)(?:[Ii]ch bin(?: die| der)?|[Hh]ier ist|[Tt]his is|[Ii](?: am|'m|’m)|[Gg]enannt|[Nn]amed)[ ]({NAME})"),
    "Ich ich Hier hier This this Genannt genannt Named named",
    ("I am", "I'm", "I’m", "i am", "i'm"),
    weak=True,
)
_PEOPLE_PHRASES = (
    r"vor- und (?:nach|zu)name|name,? vorname|name de[sr] \w{3,20}|behandelnder? (?:arzt|ärztin)"
    rf"|(?:{_any_of(OF_NAMES)})[ _]?name|name on (?:card|account)"
    r"|contact person|account holder|referring physician|next of kin"
)
_NEXT_TO_LABEL = (
    r"(?:[\"'*)\]`]{0,3}[ \t]{0,3}[:=][ \t]{0,8}(?:\r?\n[ \t]{0,8})?[\"'*\[(`]{0,3}[ \t]{0,2}"
    r"|[ \t]{0,2}[|\t][ \t]{0,8}|>[ \t]{0,4})"
)
"""A colon, with quotation marks and asterisks around it; or the border of a cell or a tag, which say less."""
_NO_LABEL = r"(?![ \t]{0,2}[\"'*]{0,3}[:=](?!/))"
"""What stands there is the next label: Von: Weber Cc: Schmidt."""
LABEL = Cue(
    re.compile(
        rf"(?i:(?<!\w)(?:{_PEOPLE_PHRASES}|{_any_of(PEOPLE)}))[ \t]{{0,3}}{_NEXT_TO_LABEL}"
        rf"(?:(?i:herrn?|frau|mrs?\.?|ms\.?)[ ])?{_RANKS}"
        rf"((?:{WORD}|{CAPITALS}),[ ](?:{WORD}|{CAPITALS})(?:-(?:{WORD}|{CAPITALS}))?|{NAME})(?!\w|[ ]\d)"
        rf"{_NO_LABEL}"
    ),
    f"{PEOPLE} {KEYS} vor behandelnde behandelnder {OF_NAMES} card account referring next",
    in_any_case=True,
    never=NO_VALUES,
)
ADDRESSEE = Cue(
    re.compile(
        rf"(?i:(?<!\w)(?:from|to|cc|bcc|attn\.?|von|an|z\. ?hd\.(?: v\.)?|kunde|kundin|customer|client"
        rf"|agent))[ ]?:[ ]{{0,4}}({NAME})(?!\w){_NO_LABEL}"
    ),
    "from to cc bcc attn von an z kunde kundin customer client agent",
    in_any_case=True,
    lone=False,
)
SENDER = Cue(
    re.compile(rf"(?<![\w.@-])\"?((?<=\"){NAME},[ ]{NAME}(?=\")|{NAME})\"?[ ]{{0,2}}<[^\s<>@]{{1,64}}@"),
)
AUTHOR = Cue(
    re.compile(rf"(?<!\w)(?:[Ss]chrieb|[Vv]erfasst von|[Gg]eschrieben von|[Ww]ritten by|[Ss]tatement (?:of|by))[ ]({NAME})"),
    "Schrieb schrieb Verfasst verfasst Geschrieben geschrieben Written written Statement statement",
)
_OWNERS = (
    r"(?:[Dd](?:er|ie|em|en|es)|[Ee]in(?:e[mnrs]?)?|[MmDdSs]ein(?:e[mnrs]?)?|[Ii]hr(?:e[mnrs]?)?|[Uu]nser(?:e[mnrs]?)?"
    r"|[Uu]nsre[mnrs]?"
    r"|[Ee]ure?[mnrs]?|[Dd]eren|[Dd]essen)"
)
ROLE = Cue(
    re.compile(rf"(?:{_any_of(ROLES_DE)})[ ]({NAME})"),
    ROLES_DE,
    before=re.compile(rf"(?<!\w){_OWNERS}[ ](?:\w{{3,20}}e[mnrs]?[ ])?\Z"),
)
ROLE_ENGLISH = Cue(
    re.compile(rf"(?:{_any_of(ROLES_EN)}),?[ ]({NAME})"),
    ROLES_EN,
    before=re.compile(r"(?<!\w)(?:[Tt]he|[Oo]ur|[Mm]y|[Yy]our|[Hh]is|[Hh]er|[Tt]heir)[ ]\Z"),
)
CUES = (
    TITLE,
    HEAD,
    SHOUTED,
    GREETING,
    CLOSING,
    SIGNATURE,
    INTRODUCTION,
    MYSELF,
    SIGNED,
    SPEAKING,
    PRESENTATION,
    LABEL,
    ADDRESSEE,
    AUTHOR,
    ROLE,
    ROLE_ENGLISH,
)


_MAILBOX = re.compile(r"<[^\s<>@]{1,64}@")
_LONGEST_BEFORE = 48
_BEHIND_LABELS = (":", "=", "|", "\t", ">")


def _by_word(*, in_any_case: bool) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, cue in enumerate(CUES):
        for word in set(cue.words.split()) if cue.in_any_case is in_any_case else ():
            found.setdefault(word, []).append(number)
    return found


_OF_WORD, _OF_SMALL_WORD = _by_word(in_any_case=False), _by_word(in_any_case=True)
_WORDS, _SMALL_WORDS = frozenset(_OF_WORD), frozenset(_OF_SMALL_WORD)
_OTHERS: dict[str, list[tuple[str, int]]] = {}
"""By their first word, or nothing where they may stand within a word."""
for _number, _cue in enumerate(CUES):
    for _other in _cue.others:
        _first = "" if _cue is CLOSING else (re.match(r"\w*", _other) or [""])[0]
        _OTHERS.setdefault(_first, []).append((_other, _number))
_FIRST_WORDS = frozenset(_OTHERS) - {""}


def introductions(signs: Signs) -> Iterator[tuple[Cue, re.Match[str]]]:
    """Each cue with what it introduces, in the first group of the match. Of one cue no two overlap."""
    text = signs.text
    met: dict[int, set[int]] = {}
    for word in signs.words & _WORDS:
        found = set(places(text, word))
        for number in _OF_WORD[word]:
            met.setdefault(number, set()).update(found)
    for first in ("", *(signs.words & _FIRST_WORDS)):
        for other, number in _OTHERS[first]:
            if other in text:
                met.setdefault(number, set()).update(places(text, other))
    if any_in(text, _BEHIND_LABELS) and len(signs.small) == len(text):  # of some capitals the small letter is two
        for word in signs.small_words & _SMALL_WORDS:
            found = set(places(signs.small, word))
            for number in _OF_SMALL_WORD[word]:
                met.setdefault(number, set()).update(found)
    for number in sorted(met):
        yield from _matches(text, CUES[number], met[number])
    if len(signs.small) != len(text):
        yield from ((cue, match) for cue in CUES if cue.in_any_case for match in cue.pattern.finditer(text))
    if _MAILBOX.search(text):
        yield from ((SENDER, match) for match in SENDER.pattern.finditer(text))


def _matches(text: str, cue: Cue, met: set[int]) -> Iterator[tuple[Cue, re.Match[str]]]:
    end = -1
    for place in sorted(met):
        if place < end or (cue.before and not cue.before.search(text, max(0, place - _LONGEST_BEFORE), place)):
            continue
        if match := cue.pattern.match(text, place):
            end = match.end()
            yield cue, match
