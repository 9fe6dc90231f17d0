"""Lists of words: names that are known, and words that stand where names, streets and towns stand and are none."""

from __future__ import annotations

from functools import cache

_NO_NAMES = """
Damen Herren Team Kunde Kundin Kunden Kollegen Kolleginnen Kollege Kollegin Support Service Kundenservice Kundendienst
Sir Madam All Everyone Everybody There Customer Customers Zusammen Leute Freunde Freund Freundin Ihr Ihre Ihrem Ihren
Ihrer Sie Euer Eure Wir Ich Die Der Das Dem Den Des Ein Eine The This That It Its Our Your My We You Order Ticket Nummer
Rechnung Vertrag Firma Herr Herrn Frau Hr Fr Dr Prof Mr Mrs Ms Miss Mx Familie Anrede Montag Dienstag Mittwoch
Donnerstag Freitag Samstag Sonntag Monday Tuesday Wednesday Thursday Friday Saturday Sunday Januar Februar März April
Mai Juni Juli August September Oktober November Dezember January February March May June July October December Bitte
Danke Dank Please Thanks Thank Not None Unknown Unbekannt Keine Nein Ja Yes No New Neu Und And Oder Or Bei Am An Im In
Auf Aus Von Zum Zur For From To At On If As By Buchhaltung Einkauf Verkauf Vertrieb Personalabteilung Geschäftsleitung
Geschäftsführung Abteilung Redaktion Verwaltung Leitung Leiter Leiterin Sekretariat Zentrale Empfang Technik Vorstand
Betriebsrat Mitarbeiter Mitarbeiterin Mitarbeiterinnen Gäste Eltern Mitglieder Nachbarn Nachbarinnen Nutzer Leser
Leserinnen Bewerber Patient Patienten Patientin Partner Verbraucher Welt Lieferant Lieferanten Hiring Manager Recruiter
Recruiting Committee Editor Editors Reviewer Reviewers Colleague Colleagues Friend Friends Member Members Guest Guests
Name Namen Student Students Parent Parents Shareholders Investors Applicant Ladies Gentlemen Folks User Users Subscriber Valued
Admin Administrator Doctor Officer Council Board Department Office Human Resources HR IT Sales Marketing Billing
Accounting Purchasing Finance World Sirs Diary Santa Apt Suite Unit Flat Ste Floor Reader Readers Neighbour Neighbours
Neighbor Neighbors Staff Professor Teacher President Minister Chairman Head Director
"""
_NOUNS = """
Airport Allee Angst Arbeit Avenue Award Bescheid Besuch Bibliothek Bridge Brücke Center Centre Church College Day
Denkmal Dienst Fehler Feierabend Foundation Fragen Gas Geburtstag Geduld Geld Glück Gymnasium Haus Hilfe Hospital Hotel
Biedermeier Fraunhofer Schlaumeier House Hunger Institut Institute Interesse Internet Kirche Krankenhaus Library Lust
Mail Mails Park Pause Platz Post Preis Prize Probleme Recht Road Schicht School Schule Station Stiftung Street Strom
Termin Tickets University Universität Urlaub Vorrang Wasser Weg Zeit Zugang Zugriff Ärger
"""
_GIVEN_TO_SOMEBODY = """
Adresse Anfrage Angebot Anliegen Anschrift Antwort Auftrag Auskunft Beschwerde Bestellnummer Bestellung Bestätigung Daten
Dokumente Email Formular Formulare Gutschrift Kontodaten Kontonummer Kopie Kopien Kundennummer Kündigung Lieferung Mahnung
Nachricht Passwort Rechnungsnummer Rückmeldung Rückruf Schlüssel Telefonnummer Unterlagen Vertragsnummer Verträge Vollmacht
Zugangsdaten Zahlung
"""
"""Nouns that stand behind a surname without a comma: Bitte geben Sie Herrn Weber Bescheid."""
_WORD_SURNAMES = """
April August Bridge Church Day Freitag Freund Friend Glück Guest Head House Hunger Mai March May Montag Neu Parent Park Post
Preis Reader Sonntag Street
"""
_HONORIFICS = """
Baron Baroness Baronin Bischof Botschafter Botschafterin Bundeskanzler Bundeskanzlerin Bundespräsident Bürgermeister
Bürgermeisterin Chefarzt Chefärztin Dekan Dekanin Direktor Direktorin Doktor Freifrau Freiherr Fürst Fürstin Graf Gräfin Kanzler
Kanzlerin Kollege Kollegen Kollegin Lady Landrat Landrätin Lord Minister Ministerin Ministerpräsident Ministerpräsidentin Notar
Notarin Oberarzt Oberbürgermeister Oberbürgermeisterin Oberärztin Pfarrer Pfarrerin Prinz Prinzessin Professor Professorin
Präsident Präsidentin Rechtsanwalt Rechtsanwältin Richter Richterin Senator Senatorin Staatsanwalt Staatsanwältin
Staatssekretär Staatssekretärin Vorsitzende Vorsitzender
"""
_NO_STREETS = """
Absatz Abschnitt Alter Anfang Anhang April Artikel August Band Beispiel Bild Dezember Durchschnitt Ende Fall Falle
Februar Frühjahr Frühling Gate Gleis Halbjahr Heft Herbst Jahr Jahre Jahren Januar Juli Juni Kapitel Lager Level Mai
Monat März November Oktober Port Preis Punkt Quartal Raum Regal Schnitt Seite September Sommer Stand Stock Stockwerk
Tabelle Teil Terminal Wert Winter Zeit Zimmer
"""
_ARTICLES = """
Am Beim Das Dem Den Der Des Die Diese Diesem Diesen Dieser Ein Eine Einem Einen Ihr Ihre Ihren Im Jede Jeden Jeder Kein
Keine Keinen Mein Meine Meinen Unser Unsere Unseren Vom Welche Welcher Zum Zur
"""
_UNITS = """
Euro EUR Stück Kilometer Meter Liter Einwohner Schritte Mark Dollar Punkte Volt Watt Kunden Teile Uhr Bäume Seiten
Zeilen Personen Menschen Tage Stunden Minuten Fälle Fällen Teilen Datensätze Franken Kilo Tonnen Gramm Besucher
Mitglieder Mitarbeiter Zeichen Wörter Artikel Exemplare Nutzer Anfragen Tickets Umdrehungen Kilowattstunden Prozent
Quadratmeter
"""
_CITIES = """
Aachen Augsburg Basel Berlin Bern Biel Bielefeld Bochum Bonn Braunschweig Bregenz Bremen Chemnitz Chur Darmstadt
Dornbirn Dortmund Dresden Duisburg Düsseldorf Eisenstadt Erfurt Essen Frankfurt Freiburg Gelsenkirchen Genf Graz
Göttingen Hagen Halle Hamburg Hamm Hannover Heidelberg Ingolstadt Innsbruck Karlsruhe Kassel Kiel Klagenfurt Krefeld
Köln Köniz Lausanne Leipzig Leverkusen Linz Ludwigshafen Lugano Luzern Lübeck Magdeburg Mainz Mannheim Mönchengladbach
München Münster Nürnberg Oberhausen Oldenburg Osnabrück Potsdam Regensburg Rostock Saarbrücken Salzburg Schaffhausen
Schwerin Solingen Stuttgart Thun Ulm Vaduz Villach Wels Wien Wiesbaden Winterthur Wolfsburg Wuppertal Würzburg Zürich
"""

NO_NAMES = frozenset(_NO_NAMES.split())
"""Words with a capital that stand where names stand."""
NO_SURNAMES = frozenset(f"{_NOUNS} {_GIVEN_TO_SOMEBODY}".split())
"""Nouns that follow names."""
WORD_SURNAMES = frozenset(_WORD_SURNAMES.split())
"""Of the words that stand where names stand those that are surnames as well: behind a title they are."""
HONORIFICS = frozenset(_HONORIFICS.split())
"""What stands between a title and a name, or behind a title alone: sehr geehrter Herr Präsident."""
NO_STREETS = frozenset(_NO_STREETS.split())
"""Nouns that follow In, Am and Zum, and are followed by numbers."""
ARTICLES = frozenset(_ARTICLES.split())
"""What stands before a way, a place or a ring that is no street's name."""
UNITS = frozenset(_UNITS.split())
"""Nouns that are counted by numbers of five digits."""


@cache
def given_names() -> dict[str, str]:
    """Given names of German and English speakers, each with its usual gender: f, m or x for both. From the lists of Faker."""
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_US import Provider as American

    female = {*German.first_names_female, *American.first_names_female}
    male = {*German.first_names_male, *American.first_names_male}
    known = dict.fromkeys(female, "f") | dict.fromkeys(male, "m")
    return known | dict.fromkeys(female & male, "x")


@cache
def surnames() -> dict[str, tuple[str, ...]]:
    """Frequent surnames by language, from the lists of Faker."""
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_US import Provider as American

    return {"de": tuple(sorted(set(German.last_names))), "en": tuple(sorted(set(American.last_names)))}


@cache
def all_surnames() -> frozenset[str]:
    """The same of both languages."""
    return frozenset(name for names in surnames().values() for name in names)


@cache
def towns() -> frozenset[str]:
    """Towns of German speaking countries, from the lists of Faker, and the largest."""
    from faker.providers.address.de_AT import Provider as Austrian
    from faker.providers.address.de_CH import Provider as Swiss
    from faker.providers.address.de_DE import Provider as German

    lists = [getattr(one, name, ()) for one in (German, Austrian, Swiss) for name in ("cities", "city_names", "cantons")]
    return frozenset(town for names in lists for town in names if isinstance(town, str)) | frozenset(_CITIES.split())
