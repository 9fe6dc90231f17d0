"""What rules of the preparation are called where people read of them: on the page, in a terminal, in a comparison.

The reports hold short names, which programs may count on. A name that is not here is shown as it is, without underscores.
"""

from __future__ import annotations

from collections.abc import Mapping

_TOLD = 8
"""Reasons in a message."""

REASONS = {
    "too_long": "longer than the maximum length",
    "duplicate": "copy of another example",
    "near_duplicate": "nearly the same as another example",
    "stands_in_held_out_data": "also stands in held-out data, so it must not be trained on",
    "near_held_out_data": "nearly the same as an example of held-out data, so it must not be trained on",
    "group_in_held_out_data": "its group, or its question, also stands in held-out data",
    "contradictory_label": "the same input has another label elsewhere",
    "nothing_supervised": "no token with loss, so nothing to learn",
    "weight_zero": "weight 0",
    "emptyTurns": "somebody says nothing in the middle of a conversation",
    "minCharacters": "shorter than clean.minCharacters",
    "maxCharacters": "longer than clean.maxCharacters",
    "placeholders": "a placeholder instead of an answer",
    "refusals": "a model says that it cannot answer because it is one",
    "maxRepetition": "repeats itself",
    "languages": "in another language than those of the job",
}
"""Why rows are left out."""

CHANGES = {
    "html": "HTML turned into plain text",
    "unicode": "brought to Unicode NFC",
    "controlCharacters": "control characters removed",
    "whitespace": "white space tidied",
    "encoding": "letters repaired that were read in the wrong encoding",
    "boilerplate": "lines removed that mail programs and websites add",
    "boilerplatePhrases": "lines removed that hold a phrase of the job",
    "emptyTurns": "empty turns removed from conversations",
}
"""What rules change."""

EXPLAINED = {
    "html": "Tags are removed, entities such as &amp; become characters, scripts and styles are dropped.",
    "unicode": "The same letter is written in the same way everywhere; halves of characters go.",
    "controlCharacters": "Characters that nobody sees, such as a bell or an escape sign.",
    "whitespace": "Blanks at the ends of lines and more than one empty line in a row.",
    "encoding": "UTF-8 that a tool took for another encoding, so that two or three odd characters stand for each umlaut.",
    "boilerplate": "Signatures of devices, notes on confidentiality, cookies: a model would learn to write them.",
    "boilerplatePhrases": "The job names what stands in such lines.",
    "emptyTurns": "A model would learn to say nothing, or to answer what nobody asked.",
    "minCharacters": "The job takes no shorter answers.",
    "maxCharacters": "The job takes no longer examples.",
    "placeholders": "Such as TODO, xxx or lorem ipsum; kept where the question itself names it.",
    "refusals": "Text of another model that speaks of itself; what it refuses, this model would refuse too.",
    "maxRepetition": "A large part of the text are runs of five words that stood before in it.",
    "languages": "Only where a text is long enough to tell; code and numbers stay.",
    "too_long": "The model, or the job, takes no longer examples.",
    "duplicate": "A repeated example would count twice, and could stand in training and test data at once.",
    "near_duplicate": "Examples that differ in a few words only would count almost twice.",
    "stands_in_held_out_data": "What is used for measuring must not be learned, or the score measures memory.",
    "near_held_out_data": "What was learned almost word for word is no longer a question.",
    "group_in_held_out_data": "An exam about a customer, or a question, of whom the model was told already is none.",
    "contradictory_label": "From two labels for one text only doubt is learned. What more than half say may stay.",
    "weight_zero": "A rule of the job gives such rows no importance.",
}
"""What rules are for."""

ENTITIES = {
    "EMAIL": "e-mail address",
    "PHONE": "telephone number",
    "IBAN": "bank account (IBAN)",
    "CREDIT_CARD": "payment card",
    "TAX_ID": "tax number",
    "SOCIAL_SECURITY": "social security number",
    "VAT_ID": "VAT number",
    "LICENSE_PLATE": "licence plate",
    "IP_ADDRESS": "IP address",
    "MAC_ADDRESS": "network card (MAC)",
    "URL": "web address with a name in it",
    "ADDRESS": "postal address",
    "DATE_OF_BIRTH": "date of birth",
    "PERSON": "name of a person",
    "ORGANIZATION": "name of an organisation",
    "CUSTOMER_NUMBER": "customer or ticket number",
}
"""Kinds of personal data."""


LANGUAGES = dict(
    am="Amharic", ar="Arabic", az="Azerbaijani", be="Belarusian", bg="Bulgarian", bn="Bengali", ca="Catalan", cs="Czech",
    da="Danish", de="German", el="Greek", en="English", es="Spanish", et="Estonian", eu="Basque", fa="Persian", fi="Finnish",
    fr="French", gu="Gujarati", he="Hebrew", hi="Hindi", hr="Croatian", hu="Hungarian", hy="Armenian", it="Italian",
    ja="Japanese", ka="Georgian", kn="Kannada", ko="Korean", ku="Kurdish", lo="Lao", lt="Lithuanian", lv="Latvian",
    ml="Malayalam", mr="Marathi", ms="Malay", nl="Dutch", no="Norwegian", pa="Punjabi", pl="Polish", pt="Portuguese",
    ro="Romanian", ru="Russian", sk="Slovak", sl="Slovene", sq="Albanian", sr="Serbian", sv="Swedish", ta="Tamil", te="Telugu",
    th="Thai", tl="Tagalog", tr="Turkish", uk="Ukrainian", ur="Urdu", vi="Vietnamese", yo="Yoruba", zh="Chinese",
    undetermined="too short to tell, code or numbers", **{"is": "Icelandic", "or": "Odia"},
)  # fmt: skip
"""Languages by their code."""


def language(code: str) -> str:
    """A language in words."""
    return LANGUAGES.get(code, code)


def reason(name: str) -> str:
    """Why a row was left out, in words."""
    return REASONS.get(name, name.replace("_", " "))


def change(name: str) -> str:
    """What a rule changed, in words."""
    return CHANGES.get(name, name.replace("_", " "))


def explained(name: str) -> str:
    """What a rule is for, in a sentence; empty where its name says it."""
    return EXPLAINED.get(name, "")


def entity(kind: str) -> str:
    """A kind of personal data, in words."""
    return ENTITIES.get(kind, kind.replace("_", " ").lower())


def told(counts: Mapping[str, int]) -> str:
    """Why rows were left out, as the end of a message, the most frequent reason first; empty where none was."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    parts = [f"{reason(name)} ({count:,})" for name, count in ordered[:_TOLD]]
    parts += [f"and for {len(ordered) - _TOLD} further reasons"] if len(ordered) > _TOLD else []
    return f"; left out: {', '.join(parts)}" if parts else ""
