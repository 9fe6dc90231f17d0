"""Words of which the cues are made: labels, roles, and what is greeted and is nobody."""

from __future__ import annotations

PEOPLE = """
vorname nachname familienname zuname geburtsname rufname kundenname name ansprechpartner ansprechpartnerin kontakt kontaktperson
unterschrift sachbearbeiter sachbearbeiterin bearbeiter bearbeiterin patient patientin versicherte versicherter
versicherungsnehmer versicherungsnehmerin kontoinhaber kontoinhaberin karteninhaber karteninhaberin mieter mieterin vermieter
vermieterin arbeitnehmer arbeitnehmerin käufer käuferin verkäufer verkäuferin antragsteller antragstellerin unterzeichner
unterzeichnerin absender absenderin empfänger empfängerin arzt ärztin hausarzt hausärztin zeuge zeugin betreuer betreuerin
verfasser verfasserin autor autorin inhaber inhaberin angehörige angehöriger geschädigte geschädigter halter halterin fahrer
fahrerin surname contact person holder cardholder tenant landlord employee employer buyer seller applicant insured policyholder
physician attending kin witness requester reporter author signatory beneficiary
"""
"""What stands before a colon and a name."""
_FURTHER_GREETED = """
Anwohner Assistant Assistent Assistentin Azubis Bewohner Bot Chat Chatbot Gemeinde Genossen Gruß Grüße Grüsse Neighbours Schüler
Tenants
"""
GREETED = frozenset(PEOPLE.title().split()) | frozenset(_FURTHER_GREETED.split())
"""Of greetings and closings: Liebe Mieter."""
_OPENED_WITH = "Dear Good Gute Guten Gutes Hallo Hello Hey Hi Liebe Lieber Liebes Moin Sehr Servus Vielen"
OPENINGS = frozenset(_OPENED_WITH.split())
"""What begins the next text, where nothing stands between a closing and it."""
OF_NAMES = "first last middle given family full patient customer client employee contact"
KEYS = " ".join(f"{part}{blank}name" for part in OF_NAMES.split() for blank in ("", "_"))
"""As they stand in JSON: firstName, first_name."""
ROLES_DE = """
Zeuge Zeugen Zeugin Kläger Klägers Klägerin Beklagte Beklagten Angeklagte Angeklagten Patient Patienten Patientin Nachbar
Nachbarn Nachbarin Kolleg Kollege Kollegen Kollegin Mieter Mieters Mieterin Vermieter Vermieters Vermieterin Mandant Mandanten
Mandantin Schüler Schülers Schülerin Arzt Ärztin Hausarzt Hausärztin Richter Richters Richterin Rechtsanwalt Rechtsanwältin
Sachbearbeiter Sachbearbeiters Sachbearbeiterin Mitarbeiter Mitarbeiters Mitarbeiterin Hausmeister Hausmeisters Hausmeisterin
Bürgermeister Bürgermeisters Bürgermeisterin Pfarrer Pfarrers Pfarrerin Kundin Bewohner Bewohners Bewohnerin Ehemann Ehefrau
Auszubildende Auszubildenden Auszubildender Azubi Praktikant Praktikanten Praktikantin Neffe Neffen Nichte Onkel Tante Cousin
Cousine Enkel Enkels Enkelin Opa Oma Schwager Schwägerin Verlobte Verlobten Verlobter Fahrer Fahrers Fahrerin Beifahrer
Beifahrerin Anwalt Anwalts Anwältin Notar Notars Notarin Makler Maklers Maklerin Gutachter Gutachters Gutachterin
Steuerberater Steuerberaters Steuerberaterin Student Studenten Studentin Zahnarzt Zahnärztin Pfleger Pflegers Pflegerin
Hebamme Chirurg Chirurgen Chirurgin Trainer Trainers Trainerin Lehrer Lehrers Lehrerin Erbin Witwe Witwer Mann Tochter Sohn
Bruder Schwester Mutter Vater Freund Freundin Freundes Chef Chefin Techniker Technikers Technikerin
"""
ROLES_EN = """
claimant witness patient tenant neighbor neighbour colleague defendant plaintiff husband wife son daughter brother sister
mother father friend trainee intern apprentice nephew niece uncle aunt cousin grandson granddaughter grandfather grandmother
fiancé fiancée lawyer solicitor accountant supervisor applicant pupil caretaker carer secretary plumber electrician dentist
surgeon doctor widow widower executor boss landlord landlady teacher nurse technician partner
"""
_NO_VALUES = """
Automatisch Befehl Bezeichner Bluetooth Default Driver Formular Function Homepage Hotline Redaktion See Siehe Standard String
Text Treiber Value Webseite Website Wert Zeichenfolge Zeichenkette
"""
NO_VALUES = frozenset(_NO_VALUES.split())
"""What stands behind such a label where it is no label of people."""
