"""Streets and towns, and what ends, begins or counts as they do."""

from __future__ import annotations

import pytest

from finetune_trainer.data.anonymize.addresses import addresses


def found(text: str) -> list[str]:
    return sorted({text[one.begin : one.end] for one in addresses(text)})


@pytest.mark.parametrize(
    "text",
    [
        "During 3 months we saw no issue. Bring 2 copies of the form.",
        "Wir bieten Monitoring 24/7 an. Entering 5 digits unlocks the phone.",
        "Spring 6 needs Java 17. String 5 and Wiring 3, Connection-String 2",
        "Speicherplatz 500 GB, Steckplatz 2 ist defekt; Bahnsteig 7; Stellplatz 14.",
        "Käufer 2 zahlt, Verkäufer 12 nicht. Anrufer 3 legt auf.",
        "Umsatzanstieg 12 % im Quartal, Preisanstieg 3",
        "Arbeitsweg 15 km, Lösungsweg 1, Bremsweg 3,5 m",
        "Der Seeweg 300 km weit; Altstadtring 40 Punkte",
        "Auf Platz 3 und Nach Weg 2",
        "A 500 GB Drive and a 1 TB Hard Drive, 2 External Hard Drive",
        "We paid 10 Million Court costs. Chapter 5 The Long Walk",
        "Samsung Galaxy S24 8GB RAM, Samsung T7 2TB",
        "Typ T7 2AB und X5 1AA",
        "Zimmer 12 Herr Dr. Siebenhüner",
        "Pos. Artikel\n10245 Drehstuhl 2 199,00\n10246 Schreibtisch 1 399,00",
        "10245 Drehstuhl 2\n10246 Schreibtisch 1",
        "10000 Downloads in einer Woche",
        "- 12345 Aufrufe\n- 23456 Klicks",
        "aus 12345 Datensätzen, aus 20000 Befragten",
        "Der Kurs entspricht 95,04287 Währungseinheiten pro 100",
        "Artikel, NR 12345",
        "Ort: Besprechungsraum 5, Stadt: Land",
        "IP-Adresse: Server 4, E-Mail-Adresse: Feld 3",
    ],
)
def test_what_only_looks_like_an_address_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Ostring 5, Hansaring 12, Donauring 7, Kaiserring 3, Heidering 1", 5),
        ("Steinstieg 4, Rathausstieg 2, Baumstieg 9, Rosenstieg 6", 4),
        ("Neckarufer 8, Donauufer 12", 2),
        ("Marktplatz 1, Bahnhofplatz 3, Mittelweg 10", 3),
    ],
)
def test_streets_are_still_found_that_end_as_other_words_do(text: str, items: int) -> None:
    assert len(found(text)) == items, found(text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Ich komme aus 86925 Fuchstal.", ["86925 Fuchstal"]),
        ("wohnhaft in 86925 Fuchstal", ["86925 Fuchstal"]),
        ("Lieferung an Kirchberg 7, 86925 Fuchstal", ["86925 Fuchstal", "Kirchberg 7"]),
        ("Kirchberg 7\n86925 Fuchstal", ["86925 Fuchstal", "Kirchberg 7"]),
        ("> Im Winkel 15\n> 86925 Fuchstal", ["86925 Fuchstal"]),
        ("Postfach 12 34\n86925 Fuchstal", ["86925 Fuchstal", "Postfach 12 34"]),
        ("50667 Köln", ["50667 Köln"]),
        ("Hauptstraße Nr. 12, Rosenweg Hausnr. 3", ["Hauptstraße Nr. 12", "Rosenweg Hausnr. 3"]),
        ("Straße: Lindenhof 4\nPLZ: 86925\nOrt: Fuchstal", ["86925", "Fuchstal", "Lindenhof 4"]),
        ('{"strasse": "Lindenhof 4", "plz": "86925", "ort": "Fuchstal"}', ["86925", "Fuchstal", "Lindenhof 4"]),
        ("ort=Fuchstal&plz=86925", ["86925", "Fuchstal"]),
        ("Rue de Lausanne 15, 1202 Genève", ["1202 Genève", "Lausanne 15"]),
        ("12 Market Place, Leeds LS1 4AP", ["12 Market Place", "Leeds LS1 4AP"]),
        ("2200 South Ocean Dr, Hollywood, FL 33019", ["2200 South Ocean Dr", "Hollywood, FL 33019"]),
    ],
)
def test_addresses_are_found_whole(text: str, items: list[str]) -> None:
    assert found(text) == sorted(items)
