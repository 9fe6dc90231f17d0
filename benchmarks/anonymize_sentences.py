"""Sentences of which the corpus is made (anonymize_corpus.py). Marks in braces become items; what has none of them holds
nothing personal, though some of it looks so.
"""

from __future__ import annotations

WRITTEN_BY = {
    ("ticket", "de"): (
        "Guten Tag, mein Name ist {full}. {decoy} Sie erreichen mich unter {phone} oder per Mail an {mail}."
        "\nViele Grüße\n{full}"
    ),
    ("ticket", "en"): (
        "Hello, my name is {full}. {decoy} You can reach me at {phone} or write to {mail}.\nBest regards,\n{full}"
    ),
    ("letter", "de"): (
        "Sehr geehrte Frau {family},\nbitte überweisen Sie auf das Konto {iban}. {decoy} Unsere Anschrift: {street}, {town}.\n"
        "Mit freundlichen Grüßen\n{full}"
    ),
    ("letter", "en"): (
        "Dear Mrs. {family},\nplease charge the card {card}. {decoy} Our address is {street}, {town}.\nKind regards,\n{full}"
    ),
    ("contract", "de"): (
        "Zwischen dem Vermieter: {full} und dem Mieter: {second}, wohnhaft {street}, {town}, geb. {birth}, wird ein Vertrag"
        " über 1.250,00 EUR geschlossen. Steuer-ID {tax}. {decoy}"
    ),
    ("contract", "en"): (
        "This agreement is made with landlord: {full} and tenant: {second} of {street}, {town}, date of birth {birth}, for"
        " 1,250.00 USD. SSN {ssn}. {decoy}"
    ),
    ("report", "de"): (
        "Patient: {full}, geboren am {birth}. Blutdruck 120/80, Puls 72, Kontrolle in 14 Tagen. {decoy} Behandelt von Dr. med."
        " {doctor}, Rückfragen an {phone}. {family} wurde entlassen."
    ),
    ("report", "en"): (
        "Patient: {full}, DOB {birth}. Blood pressure 120/80, pulse 72, follow-up in 14 days. {decoy} Seen by Dr. {doctor},"
        " questions to {phone}. {family} was discharged."
    ),
}
"""Whole documents by genre and language, in the wording that the detectors were written by. All that follows is worded
otherwise, and was written without looking at them."""

OPENINGS = {
    "de": (
        "Sehr geehrter Herr Dr. {family},",
        "Sehr geehrte Frau Professor {family},",
        "Werter Herr {family},",
        "Guten Abend Frau {family},",
        "Hallo {given},",
        "Lieber {given},",
        "Grüß Gott Herr {family},",
        "Betreff: Ihre Anfrage vom Montag",
        "Sehr geehrte Damen und Herren,",
        "Liebe Kolleginnen und Kollegen,",
        "Hallo zusammen,",
        "Gesprächsnotiz, Telefonat mit {full}:",
        "Patientin: {full}",
        "Absender: {full}",
        "Moin,",
    ),
    "en": (
        "Dear Mr {family},",
        "Dear Dr. {family},",
        "Dear Professor {family},",
        "Good morning Mrs {family},",
        "Hi {given},",
        "Hello {given},",
        "Dear {full},",
        "To whom it may concern,",
        "Dear Hiring Manager,",
        "Hi all,",
        "Re: your request of last Tuesday",
        "Call note, spoke with {full}:",
        "Patient name: {full}",
        "Requester: {full}",
        "Hello there,",
    ),
}

SENTENCES = {
    "de": (
        "Am besten klappt es vormittags unter {phone}.",
        "Meine neue Nummer lautet {phone}, die alte gilt nicht mehr.",
        "Fax und Telefon: {phone}.",
        "Rechnungen bitte künftig an {mail} schicken.",
        "({mail} ist nur noch bis Jahresende gültig.)",
        "Wir haben die Bestätigung zweimal an <{mail}> gesendet.",
        "Das Geld soll auf {iban}, nicht auf das alte Konto.",
        "Bankverbindung des Vereins: {iban}, Verwendungszweck Sommerfest.",
        "Der Betrag ging versehentlich von der Karte {card} ab.",
        "Kartennummer {card}, Prüfziffer folgt getrennt.",
        "Für das Finanzamt: {tax}.",
        "Meine Rentenversicherungsnummer {pension} liegt Ihnen vor.",
        "Frau {full} ist seit Mai unsere Ansprechpartnerin.",
        "Bitte leiten Sie das an Herrn {family} weiter.",
        "Das Gutachten von Dr. {family} fehlt noch.",
        "Der Zeuge {full} hat das bestätigt.",
        "Unsere Mieterin {full} zieht im Herbst aus.",
        "Mein Mann {full} holt das Paket ab.",
        "Ich heiße {full} und bin seit zehn Jahren Mitglied.",
        "Kontoinhaberin: {full}",
        "Nachname: {family}\nVorname: {given}",
        "Der Patient, geboren am {birth}, ist beschwerdefrei.",
        "Geburtsdatum: {birth}",
        "Aufnahme am 12.03.2025, geb. {birth}.",
        "Die Lieferung geht nach {street}, {town}.",
        "Anschrift: {street}, {town}",
        "Der Schaden entstand in der {street} im Keller.",
        "Ich wohne jetzt in {town}, {street}.",
        "{street}\n{town}",
        "Der Wagen mit dem Kennzeichen {plate} stand im Halteverbot.",
        "Der Zugriff kam von {ip} und wurde gesperrt.",
    ),
    "en": (
        "Mornings are best, on {phone}.",
        "My new number is {phone}; the old one is dead.",
        "Phone and fax: {phone}.",
        "Please send invoices to {mail} from now on.",
        "({mail} only works until December.)",
        "The confirmation went to <{mail}> twice.",
        "Please refund to {iban}, not to the old account.",
        "The amount was taken from card {card} by mistake.",
        "Card number {card}, the code follows separately.",
        "For payroll my SSN is {ssn}.",
        "Social security: {ssn}",
        "Ms. {full} has been our contact since May.",
        "Please pass this on to Mr. {family}.",
        "The report by Dr. {family} is still missing.",
        "I spoke with {full} about it.",
        "My husband {full} will pick up the parcel.",
        "My name is {full} and I have been a member for ten years.",
        "Account holder: {full}",
        "Last name: {family}\nFirst name: {given}",
        "The patient (DOB {birth}) has no complaints.",
        "Date of birth: {birth}",
        "She was born on {birth} in the north.",
        "Please deliver to {street}, {town}.",
        "Address: {street}, {town}",
        "The damage happened at {street}, in the basement.",
        "We moved to {street} last spring.",
        "{street}\n{town}",
        "Access came from {ip} and was blocked.",
    ),
}

NOTHING = {
    "de": (
        "Der Herr am Schalter war sehr freundlich, die Frau daneben auch.",
        "Im Jahr 2023 stieg der Umsatz auf 12345 Stück.",
        "Die Bestellung 4711-0815 ist seit dem 03.04.2025 unterwegs.",
        "Bitte öffnen Sie Einstellungen, Sicherheit, Kennwort.",
        "Artikel 5 Absatz 2 gilt entsprechend, siehe Anhang 3.",
        "Der neue Mercedes steht vor dem Bahnhof.",
        "Fehler 0x80070005 in Version 10.0.19045.3086.",
        "Die Prüfung nach DIN EN ISO 13485 ist am 12.11.2025.",
        "Vielen Dank für Ihre schnelle Hilfe beim letzten Mal!",
        "Von 750000 Einwohnern haben 34567 geantwortet.",
        "Der Blutdruck lag bei 120/80, der Puls bei 72.",
        "Am Montag um 14:30 Uhr, Raum 0204, erster Stock.",
        "Die Seriennummer beginnt mit 8841 2205.",
        "Kostenstelle 0815 4711, Projekt Sonnenschein.",
        "Guten Tag, bitte warten Sie.",
        "Das Aktenzeichen lautet 12 C 345/23.",
        "Zum Beispiel 3 von 10 Geräten, Tabelle 7.",
        "Die Frau des Monats wird im Mai gewählt.",
        "Unter Windows 11 läuft es, unter Ubuntu 24.04 nicht.",
        "Grüße gehen raus an das ganze Team.",
        "Ein Kilo kostet 1 299,00 Euro, zwei kosten 2 500.",
        "Der Code lautet {wrong_iban}.",
        "Auf dem Aufkleber steht {wrong_card}.",
    ),
    "en": (
        "The lady at the counter was kind, and so was the gentleman next to her.",
        "In 2023 revenue rose to 12345 units.",
        "Order 4711-0815 has been on its way since 03/04/2025.",
        "Please open Settings, Security, Password.",
        "Article 5, Section 2 applies; see Annex 3.",
        "The new Ford is parked behind Central Station.",
        "Error 0x80070005 in version 10.0.19045.3086.",
        "The audit under ISO 13485 is on 11/12/2025.",
        "Thank you for your quick help last time!",
        "Of 750000 inhabitants 34567 replied.",
        "Blood pressure was 120/80, pulse 72.",
        "On Monday at 2:30 pm, room 0204, first floor.",
        "The serial number begins with 8841 2205.",
        "Cost centre 0815 4711, project Sunshine.",
        "Good morning, please hold the line.",
        "The case number is 12 C 345/23.",
        "The Grace Period ends on Friday; mark it complete.",
        "Will call again in May, or June at the latest.",
        "It runs on Windows 11 but not on Ubuntu 24.04.",
        "Regards go out to the whole team.",
        "One costs 1,299.00 dollars, two cost 2,500.",
        "The code is {wrong_iban}.",
        "The label says {wrong_card}.",
    ),
}

CLOSINGS = {
    "de": (
        "Mit besten Grüßen\n{full}",
        "Herzliche Grüße\n{full}",
        "Viele Grüße aus dem Norden\n{full}",
        "MfG\n{full}",
        "LG {given}",
        "Mit freundlichem Gruß\ni. A. {full}",
        "Hochachtungsvoll\n\n{full}",
        "-- \n{full}\nLeitung Einkauf",
        "Mit freundlichen Grüßen\nIhr Kundenservice",
        "Beste Grüße\nDas Team der Technik",
        "Danke!",
        "",
    ),
    "en": (
        "Kind regards\n{full}",
        "Best wishes,\n{full}",
        "Yours sincerely,\n\n{full}",
        "Many thanks\n{full}",
        "Cheers,\n{given}",
        "Sincerely,\nDr. {full}",
        "Respectfully yours,\n{full}",
        "-- \n{full}\nHead of Purchasing",
        "Best regards,\nCustomer Service",
        "Regards,\nThe Billing Team",
        "Thanks!",
        "",
    ),
}
