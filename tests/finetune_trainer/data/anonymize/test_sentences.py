"""Sentences as people write them, made up to be hard: each item in them is found, and nothing where there is nothing.

Written without looking at the detectors; docs/benchmarks.md says how many were found before the detectors were changed. Two
stay out, whose names no cue introduces and no list knows: "Will Young and Rose Hill met Mark Stone", "Reisepass von Ngọc Trần".
"""

from __future__ import annotations

import pytest

from finetune_api.v1alpha1.anonymize import ENTITIES
from finetune_trainer.data.anonymize.detect import FirstPass

FIND = FirstPass([kind for kind in ENTITIES if kind != "ORGANIZATION"], ("de", "en"), {})

# fmt: off
ITEMS: list[tuple[str, dict[str, list[str]]]] = [
    ("Sehr geehrter Herr Dr. Müller-Lüdenscheidt, vielen Dank für Ihre Nachricht.", {"PERSON": ["Müller-Lüdenscheidt"]}),
    ("Sehr geehrte Frau Prof. Dr. Ætherström,", {"PERSON": ["Ætherström"]}),
    ("Lieber Hr. von und zu Guttenberg, anbei die Unterlagen.", {"PERSON": ["von und zu Guttenberg"]}),
    ("Guten Morgen Frau Özdemir, hallo Herr Şahin,", {"PERSON": ["Özdemir", "Şahin"]}),
    ("SEHR GEEHRTER HERR KRAUSE, IHRE RECHNUNG IST OFFEN.", {"PERSON": ["KRAUSE"]}),
    (
        "Grüezi Herr Bünzli, rufen Sie mich bitte auf 044 668 18 00 oder +41 79 123 45 67 zurück.",
        {"PERSON": ["Bünzli"], "PHONE": ["044 668 18 00", "+41 79 123 45 67"]},
    ),
    (
        "Sie erreichen die Ordination in Wien unter 01 5123456 oder mobil unter +43 664 1234567.",
        {"PHONE": ["01 5123456", "+43 664 1234567"]},
    ),
    ("Meine IBAN: DE 89 3704 0044 0532 0130 00", {"IBAN": ["DE 89 3704 0044 0532 0130 00"]}),
    (
        "Konto: AT61 1904 3002 3457 3201, lautend auf Leopold Hrdlicka",
        {"IBAN": ["AT61 1904 3002 3457 3201"], "PERSON": ["Leopold Hrdlicka"]},
    ),
    ("CH93 0076 2011 6238 5295 7 ist das Konto der Erbengemeinschaft.", {"IBAN": ["CH93 0076 2011 6238 5295 7"]}),
    ("bitte auf d e 8 9 ... nein: DE89-3704-0044-0532-0130-00 überweisen", {"IBAN": ["DE89-3704-0044-0532-0130-00"]}),
    ("iban de89370400440532013000", {"IBAN": ["de89370400440532013000"]}),
    ("Mail an max.mustermann+rechnung@müller-söhne.de genügt.", {"EMAIL": ["max.mustermann+rechnung@müller-söhne.de"]}),
    ("schreib an info(at)bäckerei-huber.at", {"EMAIL": ["info(at)bäckerei-huber.at"]}),
    ("<jörg.weiß@post.schule-nord.de> hat geantwortet", {"EMAIL": ["jörg.weiß@post.schule-nord.de"]}),
    ("Jung war damals Vorstand; Frau Jung hat unterschrieben.", {"PERSON": ["Jung"]}),
    ("Herr Kurz und Frau Lang kommen um drei.", {"PERSON": ["Kurz", "Lang"]}),
    ("Name: WEBER, HANS-JÜRGEN", {"PERSON": ["WEBER, HANS-JÜRGEN"]}),
    (
        "| Nachname | Vorname | Telefon |\n| Schröder | Karl-Heinz | 0431 9876543 |",
        {"PERSON": ["Schröder", "Karl-Heinz"], "PHONE": ["0431 9876543"]},
    ),
    (
        "Vorname: Ayşe\nNachname: Yılmaz\nGeburtsdatum: 3.4.1987",
        {"PERSON": ["Ayşe", "Yılmaz"], "DATE_OF_BIRTH": ["3.4.1987"]},
    ),
    ("Mit freundlichem Gruß\n\ni.V. Sabine Thiemann-Klöckner\nLeiterin Einkauf", {"PERSON": ["Sabine Thiemann-Klöckner"]}),
    ("Freundliche Grüsse aus Zürich\nUrs Hürlimann", {"PERSON": ["Urs Hürlimann"]}),
    ("LG, Maxi Brandl", {"PERSON": ["Maxi Brandl"]}),
    ("Beste Grüße von Ihrem Nachbarn Egon Olschewski", {"PERSON": ["Egon Olschewski"]}),
    (
        "Die Patientin Frau M. Szczepański, geb. am 12. März 1951, klagt über Schwindel.",
        {"PERSON": ["M. Szczepański"], "DATE_OF_BIRTH": ["12. März 1951"]},
    ),
    (
        "Meine Frau Ingeborg und ich wohnen in der Straße des 17. Juni 135, 10623 Berlin.",
        {"PERSON": ["Ingeborg"], "ADDRESS": ["Straße des 17. Juni 135", "10623 Berlin"]},
    ),
    ("Lieferadresse: Bgm.-Smidt-Str. 78, 28195 Bremen", {"ADDRESS": ["Bgm.-Smidt-Str. 78", "28195 Bremen"]}),
    ("Wir sind umgezogen: Unterer Graben 3, 8400 Winterthur.", {"ADDRESS": ["Unterer Graben 3", "8400 Winterthur"]}),
    ("Adresse neu: Mariahilfer Straße 45/2/11, 1060 Wien", {"ADDRESS": ["Mariahilfer Straße 45/2/11", "1060 Wien"]}),
    ("Der Zeuge Kowalczyk sagte aus, der Kläger Dr. Brehm sei nicht erschienen.", {"PERSON": ["Kowalczyk", "Brehm"]}),
    (
        "Versicherter: Piet van der Meulen, Vers.-Nr. 65 170839 J 003",
        {"PERSON": ["Piet van der Meulen"], "SOCIAL_SECURITY": ["65 170839 J 003"]},
    ),
    ("Tel.: 0 53 21 / 12 34 56, Fax -57", {"PHONE": ["0 53 21 / 12 34 56"]}),
    ("Tel. (0049) 8151-99 77 10", {"PHONE": ["(0049) 8151-99 77 10"]}),
    ("Handy 0160/123 45 678 ab 18 Uhr", {"PHONE": ["0160/123 45 678"]}),
    ("Dear Mr O'Brien-Smythe, thank you for your letter.", {"PERSON": ["O'Brien-Smythe"]}),
    ("Dear Jean-Luc, could you forward this to Ms. van den Heuvel?", {"PERSON": ["Jean-Luc", "van den Heuvel"]}),
    ("DEAR MRS HENDERSON", {"PERSON": ["HENDERSON"]}),
    ("Hi Siobhán,\n\nthanks for calling. Cheers\nDee", {"PERSON": ["Siobhán", "Dee"]}),
    (
        "Patient name: Nguyễn Thị Minh; DOB: 4 July 1962; phone 020 7946 0958.",
        {"PERSON": ["Nguyễn Thị Minh"], "DATE_OF_BIRTH": ["4 July 1962"], "PHONE": ["020 7946 0958"]},
    ),
    ("Call me at 617.555.0143 or +44 (0)20 7946 0018.", {"PHONE": ["617.555.0143", "+44 (0)20 7946 0018"]}),
    (
        "Name,Email,Phone\nJohn Q. Public,john.q+news@sub.mail-host.co.uk,(415) 555-2671",
        {"PERSON": ["John Q. Public"], "EMAIL": ["john.q+news@sub.mail-host.co.uk"], "PHONE": ["(415) 555-2671"]},
    ),
    ("Yours faithfully,\n\nLt. Col. Geoffrey Ponsonby-Smith OBE", {"PERSON": ["Geoffrey Ponsonby-Smith"]}),
    ("Please ship to 10 Downing Street, London SW1A 2AA.", {"ADDRESS": ["10 Downing Street", "London SW1A 2AA"]}),
    (
        "He lives at 1600 Pennsylvania Ave NW, Washington, DC 20500.",
        {"ADDRESS": ["1600 Pennsylvania Ave NW", "Washington, DC 20500"]},
    ),
    ("Apt 5B, 350 5th Avenue, New York, NY 10118-0110", {"ADDRESS": ["350 5th Avenue", "New York, NY 10118-0110"]}),
    (
        "P.O. Box 1234, Dublin 2; contact Mrs Aoife Ní Bhraonáin",
        {"PERSON": ["Aoife Ní Bhraonáin"], "ADDRESS": ["P.O. Box 1234"]},
    ),
    ("My name is Xi Li and my SSN is 536 90 4399.", {"PERSON": ["Xi Li"], "SOCIAL_SECURITY": ["536 90 4399"]}),
    (
        "The claimant, Mr. J. R. Tolliver, was born on the 3rd of May 1971.",
        {"PERSON": ["J. R. Tolliver"], "DATE_OF_BIRTH": ["3rd of May 1971"]},
    ),
    ("Best,\nBob", {"PERSON": ["Bob"]}),
    (
        "-- \nMarta Kowalska | Head of Sales | +48 22 123 45 67 | marta@kowalska.pl",
        {"PERSON": ["Marta Kowalska"], "PHONE": ["+48 22 123 45 67"], "EMAIL": ["marta@kowalska.pl"]},
    ),
    ("Sincerely yours,\nM. Dupont-Lefèvre", {"PERSON": ["M. Dupont-Lefèvre"]}),
    ("I spoke with Priyanka Venkataraman from accounts yesterday.", {"PERSON": ["Priyanka Venkataraman"]}),
    ("This is Oonagh speaking, Mr. and Mrs. Featherstonehaugh are away.", {"PERSON": ["Oonagh", "Featherstonehaugh"]}),
    ("Frau und Herrn Seidel ist die Rechnung zuzustellen.", {"PERSON": ["Seidel"]}),
    ("Ich heisse Beat Rüegg, AHV 756.9217.0769.85.", {"PERSON": ["Beat Rüegg"], "SOCIAL_SECURITY": ["756.9217.0769.85"]}),
    (
        "Kreditkarte 5555 5555 5555 4444 gültig bis 04/28, Inhaber T. Ehrlich",
        {"CREDIT_CARD": ["5555 5555 5555 4444"], "PERSON": ["T. Ehrlich"]},
    ),
    ("Amex 378282246310005", {"CREDIT_CARD": ["378282246310005"]}),
    (
        "geb. Meyerhoff, wohnhaft Am Alten Markt 3 a, 18055 Rostock",
        {"ADDRESS": ["Am Alten Markt 3 a", "18055 Rostock"], "PERSON": ["Meyerhoff"]},
    ),
    (
        "Hallo Jürgen, hallo Petra! Der Termin mit Familie Scholz-Nikolaou steht.",
        {"PERSON": ["Jürgen", "Petra", "Scholz-Nikolaou"]},
    ),
    ("Sehr geehrte Familie Bröckelmann-Dziuba, Ihr Termin steht.", {"PERSON": ["Bröckelmann-Dziuba"]}),
    ("Betrifft: Widerspruch Frau Annegret Freifrau von Lützow", {"PERSON": ["Annegret Freifrau von Lützow"]}),
    ("Herrn Rechtsanwalt Dr. jur. Klaas Heitmann z. Hd.", {"PERSON": ["Klaas Heitmann"]}),
    ("Hallo Herr Nwosu-Schäfer, danke für den Anruf.", {"PERSON": ["Nwosu-Schäfer"]}),
    ("Liebe Uschi, lieber Heinz-Dieter,", {"PERSON": ["Uschi", "Heinz-Dieter"]}),
    (
        "Ihre Ansprechpartnerin: Dipl.-Ing. Renate Oßwald (Durchwahl 0711 9876-543)",
        {"PERSON": ["Renate Oßwald"], "PHONE": ["0711 9876-543"]},
    ),
    ("Unterschrift: gez. Thies Boysen", {"PERSON": ["Thies Boysen"]}),
    (
        "Kontakt: Jürgen Pahl, Tel. 02 21 / 4 56 78 90, juergen.pahl@stadtwerke-beispielort.de",
        {"PERSON": ["Jürgen Pahl"], "PHONE": ["02 21 / 4 56 78 90"], "EMAIL": ["juergen.pahl@stadtwerke-beispielort.de"]},
    ),
    ("Rufen Sie Frau Wu unter +49 (0) 30 / 901820 an.", {"PERSON": ["Wu"], "PHONE": ["+49 (0) 30 / 901820"]}),
    ("WhatsApp: +43 (0)676 123 45 67", {"PHONE": ["+43 (0)676 123 45 67"]}),
    (
        "Bitte überweisen an: Kto-Inh. Fam. Gärtner, IBAN DE12500105170648489890",
        {"IBAN": ["DE12500105170648489890"], "PERSON": ["Gärtner"]},
    ),
    ("LI21 0881 0000 2324 013A A (Liechtenstein)", {"IBAN": ["LI21 0881 0000 2324 013A A"]}),
    ("NL91ABNA0417164300 ist mein Konto bei der niederländischen Bank.", {"IBAN": ["NL91ABNA0417164300"]}),
    (
        "Meine Adresse hat sich geändert: c/o Lehmann, Hinterhaus, Kottbusser Damm 72, 10967 Berlin",
        {"ADDRESS": ["Kottbusser Damm 72", "10967 Berlin"], "PERSON": ["Lehmann"]},
    ),
    ("Wir wohnen Am Schlehdorn 9, die Nachbarn Zum Eichgrund 12.", {"ADDRESS": ["Am Schlehdorn 9", "Zum Eichgrund 12"]}),
    ("Zählerstand Josef-Haydn-Gasse 17/4, A-1130 Wien: 4482", {"ADDRESS": ["Josef-Haydn-Gasse 17/4", "A-1130 Wien"]}),
    ("Rue ist falsch, richtig: Seestrasse 201, 8002 Zürich", {"ADDRESS": ["Seestrasse 201", "8002 Zürich"]}),
    ("Geboren wurde ich am 29.2.1964 in Passau.", {"DATE_OF_BIRTH": ["29.2.1964"]}),
    ("*24.12.1958, verh., 2 Kinder", {"DATE_OF_BIRTH": ["24.12.1958"]}),
    ("Geb.-Datum 01.01.70", {"DATE_OF_BIRTH": ["01.01.70"]}),
    ("Steueridentifikationsnummer 86095742719", {"TAX_ID": ["86095742719"]}),
    ("FRAU DR. ELKE SOMMERFELD-KRÜGER HAT WIDERSPROCHEN", {"PERSON": ["ELKE SOMMERFELD-KRÜGER"]}),
    ("name=Wiebke%20 -> Kundin Wiebke Claaßen, KdNr folgt", {"PERSON": ["Wiebke Claaßen"]}),
    ("Vielen Dank im Voraus!\nMit sonnigen Grüßen vom Bodensee\nRoswitha Zirngibl", {"PERSON": ["Roswitha Zirngibl"]}),
    ("Gruss Reto", {"PERSON": ["Reto"]}),
    (
        "Gesendet von meinem iPhone\nKlaus Mertens <k.mertens@t-post.de>",
        {"PERSON": ["Klaus Mertens"], "EMAIL": ["k.mertens@t-post.de"]},
    ),
    ("Am 3.2. schrieb Björn Ahlgrimm:", {"PERSON": ["Björn Ahlgrimm"]}),
    ("Dear Sir Humphrey Appleby-Jones,", {"PERSON": ["Humphrey Appleby-Jones"]}),
    ("Hello Ms Nakamura-O'Dell - quick question", {"PERSON": ["Nakamura-O'Dell"]}),
    ("Hey Zoë! Could you ask Dr Kwame Asante-Boateng?", {"PERSON": ["Zoë", "Kwame Asante-Boateng"]}),
    ("Attn: Mrs. Philippa Trelawny", {"PERSON": ["Philippa Trelawny"]}),
    ("Thanks again,\nRaj P.", {"PERSON": ["Raj P."]}),
    ("Warmly,\nGwendolyn", {"PERSON": ["Gwendolyn"]}),
    ("Customer: Beauregard Thibodeaux, acct 4471", {"PERSON": ["Beauregard Thibodeaux"]}),
    (
        "On Tue, Apr 1, 2025 at 9:00 AM Siobhan Gallagher <siobhan.g@mail-service.ie> wrote:",
        {"PERSON": ["Siobhan Gallagher"], "EMAIL": ["siobhan.g@mail-service.ie"]},
    ),
    ("Mobile 07700 900123, office 0131 496 0000 ext 12", {"PHONE": ["07700 900123", "0131 496 0000"]}),
    ("tel:+1-202-555-0176", {"PHONE": ["+1-202-555-0176"]}),
    ("Fax (312)555-0199", {"PHONE": ["(312)555-0199"]}),
    ("Send it to Flat 2, 14B Abbey Wood Rd, Bristol BS8 1TH.", {"ADDRESS": ["14B Abbey Wood Rd", "Bristol BS8 1TH"]}),
    (
        "Mailing address: 2200 South Ocean Dr Apt 9C, Hollywood, FL 33019",
        {"ADDRESS": ["2200 South Ocean Dr Apt 9C", "Hollywood, FL 33019"]},
    ),
    ("born 11/23/1988, NI number AB 12 34 56 C", {"DATE_OF_BIRTH": ["11/23/1988"], "SOCIAL_SECURITY": ["AB 12 34 56 C"]}),
    ("d.o.b. 1990-02-28", {"DATE_OF_BIRTH": ["1990-02-28"]}),
    ("Visa 4539 1488 0343 6467 exp 09/27", {"CREDIT_CARD": ["4539 1488 0343 6467"]}),
    (
        "First Name;Last Name;City\nWren;Castellano;Reno\nMilo;Okafor;Troy",
        {"PERSON": ["Wren", "Castellano", "Milo", "Okafor"]},
    ),
    (
        "Reach out to jane_doe-smith@dept.uni-nord.ac.uk or JDOE@EXAMPLEFIRM.COM.",
        {"EMAIL": ["jane_doe-smith@dept.uni-nord.ac.uk", "JDOE@EXAMPLEFIRM.COM"]},
    ),
    ("The tenant, Ms Ottilie von Bergdorf, refuses.", {"PERSON": ["Ottilie von Bergdorf"]}),
    ("witness statement of Gunnar Þórsson", {"PERSON": ["Gunnar Þórsson"]}),
    ("Mr & Mrs Cholmondeley-Warner", {"PERSON": ["Cholmondeley-Warner"]}),
    ("my daughter Beatrix and my son Leopold", {"PERSON": ["Beatrix", "Leopold"]}),
    ("Sehr geehrter Herr Staatssekretär a. D. Wendelin Hochmuth,", {"PERSON": ["Wendelin Hochmuth"]}),
    ("an Frau Hildegunde Ostertag-Vogt, Station 3b", {"PERSON": ["Hildegunde Ostertag-Vogt"]}),
    ("Danke, Frau El-Khoury!", {"PERSON": ["El-Khoury"]}),
    ("Ich, Dragoslav Petrović, widerspreche der Abrechnung.", {"PERSON": ["Dragoslav Petrović"]}),
    (
        "Ansprechpartner vor Ort ist Herr Thorben Quade (0173-9988776).",
        {"PERSON": ["Thorben Quade"], "PHONE": ["0173-9988776"]},
    ),
    ("Versicherungsnehmerin: Zeynep Aktaş, geb. 1.1.1990", {"PERSON": ["Zeynep Aktaş"], "DATE_OF_BIRTH": ["1.1.1990"]}),
    ("Moin Jens-Uwe, kurze Frage", {"PERSON": ["Jens-Uwe"]}),
    ("Vertreten durch den Geschäftsführer Ansgar Lüttringhaus", {"PERSON": ["Ansgar Lüttringhaus"]}),
    (
        "Absender Hiltrud Saßmannshausen, Talstraße 5, 57072 Siegen",
        {"PERSON": ["Hiltrud Saßmannshausen"], "ADDRESS": ["Talstraße 5", "57072 Siegen"]},
    ),
    ("Gruß aus Wien, Leopoldine", {"PERSON": ["Leopoldine"]}),
    ("Bis bald\nEure Henriette", {"PERSON": ["Henriette"]}),
    ("Telefonisch erreichbar: 0 41 31 - 22 33 44 (abends)", {"PHONE": ["0 41 31 - 22 33 44"]}),
    ("Tel. +41 (0)44 123 45 67, Natel 079 555 12 34", {"PHONE": ["+41 (0)44 123 45 67", "079 555 12 34"]}),
    ("meine handynr ist 01749876543", {"PHONE": ["01749876543"]}),
    ("Konto DE75512108001245126199 bei der Hausbank", {"IBAN": ["DE75512108001245126199"]}),
    ("IBAN FR14 2004 1010 0505 0001 3M02 606", {"IBAN": ["FR14 2004 1010 0505 0001 3M02 606"]}),
    ("E-Mail: k.o'neill@firma-sued.ie; b_w@xn--mller-kva.de", {"EMAIL": ["k.o'neill@firma-sued.ie", "b_w@xn--mller-kva.de"]}),
    ("kontakt [ät] gärtnerei-blum [punkt] de", {"EMAIL": ["kontakt [ät] gärtnerei-blum [punkt] de"]}),
    ("Objekt: Alter Postweg 101, 86159 Augsburg, 2. OG links", {"ADDRESS": ["Alter Postweg 101", "86159 Augsburg"]}),
    ("Standort Brühl 14-16, 50321 Brühl", {"ADDRESS": ["Brühl 14-16", "50321 Brühl"]}),
    ("wohnhaft in 9020 Klagenfurt, Bahnhofstraße 38c", {"ADDRESS": ["9020 Klagenfurt", "Bahnhofstraße 38c"]}),
    ("Die Unfallstelle lag Ecke Goethestraße / Lange Gasse 3.", {"ADDRESS": ["Lange Gasse 3"]}),
    ("Frau Amalie Rübsam (*03.09.1939) verstarb gestern.", {"PERSON": ["Amalie Rübsam"], "DATE_OF_BIRTH": ["03.09.1939"]}),
    ("Dear Mr. Krishnamurthy Iyer,", {"PERSON": ["Krishnamurthy Iyer"]}),
    ("Hi there Marguerite,", {"PERSON": ["Marguerite"]}),
    ("Please contact our agent, Mrs Eleanor Fotheringay-Phipps.", {"PERSON": ["Eleanor Fotheringay-Phipps"]}),
    ("Prepared by: Dashiell Ravenscroft, CPA", {"PERSON": ["Dashiell Ravenscroft"]}),
    ("Signed: Olumide Adebayo", {"PERSON": ["Olumide Adebayo"]}),
    ("I, the undersigned Thaddeus Wojcik, declare", {"PERSON": ["Thaddeus Wojcik"]}),
    ("Her doctor is Dr. Seo-yeon Kim at the clinic.", {"PERSON": ["Seo-yeon Kim"]}),
    ("Guests: Kevin Brandt, Laura Hofer and Simon Petersen", {"PERSON": ["Kevin Brandt", "Laura Hofer", "Simon Petersen"]}),
    ("Regards from sunny Leeds,\nPippa Hargreaves", {"PERSON": ["Pippa Hargreaves"]}),
    ("Sent by Jonathan Whitcombe via web form", {"PERSON": ["Jonathan Whitcombe"]}),
    ("US office: +1 (646) 555-0133 ext. 44", {"PHONE": ["+1 (646) 555-0133"]}),
    ("ring 020 3456 7890 or 07911 123456", {"PHONE": ["020 3456 7890", "07911 123456"]}),
    (
        "Ship to: 742 Evergreen Terrace, Springfield, OR 97403",
        {"ADDRESS": ["742 Evergreen Terrace", "Springfield, OR 97403"]},
    ),
    ("The Old Rectory, Church Lane, Little Snoring NR21 0HZ", {"ADDRESS": ["Little Snoring NR21 0HZ"]}),
    ("My birthday is 14 February 1979.", {"DATE_OF_BIRTH": ["14 February 1979"]}),
    ("SSN: 219-09-9998, card 4012888888881881", {"SOCIAL_SECURITY": ["219-09-9998"], "CREDIT_CARD": ["4012888888881881"]}),
    ("Bitte Absender prüfen. Anna lacht.", {"PERSON": ["Anna"]}),
    ("Thomas Recht hat, wer Geduld hat.", {"PERSON": ["Thomas"]}),
    ("Petra Urlaub genehmigt? Klaus Bescheid geben.", {"PERSON": ["Petra", "Klaus"]}),
]
NOTHING = [
    "Die Geschäftsführung und der Geschäftsführer Finanzen laden ein.",
    "Bitte Absender prüfen. Sie lacht. Das Haus 5 Zimmer groß.",
    "Am Montag 3 Termine, Im Lager 12 Paletten, Auf Lager 7",
    "Hello World, Dear User, Hi Support,",
    "Es gilt: Version 2.0.1, Port 8080, 192 Einträge, 0190 Nummern gibt es nicht mehr.",
    "Der Titel Dr. wird verliehen. Herr und Frau.",
    "Sent from my phone. Signed: yes. Prepared by: robots",
    "Ihre Bestellung 12345 Hamburgern gegenüber 54321 Pommes",
    "Alle Angaben ohne Gewähr. Mit freundlichen Grüßen",
    "Die Frau am Schalter sagte, der Herr neben ihr warte schon lange.",
    "Liebe Kolleginnen und Kollegen, liebe Gäste,",
    "Sehr geehrte Damen und Herren, sehr geehrtes Team,",
    "Dear Hiring Manager, dear Customer Service, Dear All,",
    "Der neue Ford Transit und die Mercedes A-Klasse stehen im Hof.",
    "Viele Grüße aus dem Urlaub\nDie Rechnung liegt bei.",
    "Best regards\nThe Support Team",
    "Mit freundlichen Grüßen\nIhr Kundenservice",
    "Von: Buchhaltung\nAn: Einkauf\nBetreff: Jahresabschluss 2024",
    "Am 24. Dezember 2024 um 18 Uhr; Artikel 10115 Stück; Raum 4020 Linz",
    "Im Jahr 1989 fielen 12345 Bäume, das sind 80 Prozent.",
    "Der Patient: stabil. Der Kunde: zufrieden. Name: siehe oben.",
    "Order 4111-1111-2222 shipped; tracking 1Z999AA10123456784; invoice 2024-000123.",
    "Paris Hilton Hotel, Rose Garden, Will Call Office",
    "The Grace Period ends. Mark Complete. Will Close Friday.",
    "Frankfurt am Main hat 750000 Einwohner.",
    "GET /users/list?id=4711 HTTP/1.1 from 127.0.0.1 version 1.2.3.4",
    "Bis 0800 Uhr, Zimmer 0204, Kostenstelle 0815 4711",
    "§ 433 BGB, Az. 12 C 345/23, BGH NJW 2001, 1234",
    "ISBN 978-3-16-148410-0, EAN 4006381333931, USt 19 %",
    "Sincerely hope this helps. Thanks a lot. Cheers to that!",
    "Im Winter 1944 und Am Ende 2023 stand die Zur Zeit 5 Leute.",
    "Zum Beispiel 3 und Auf Seite 12 steht Tabelle 7.",
    "Wir danken der Firma Bosch und dem TÜV Süd.",
    "Frau sein heißt Kraft haben. Herr werden ist schwer.",
    "Der Kunde Deutsche Bahn und die Firma Müller GmbH.",
    "Hallo Welt, hello World!",
    "Viele Grüße\n\nAnlage: Rechnung",
    "Ihr\nTeam vom Kundendienst",
    "An: Alle\nVon: IT-Abteilung\nName: Drucker 3",
    "Das Konto DE00 1234 5678 9012 3456 78 ist erfunden.",
    "Tel Aviv 2024, Fax 3, Hotline 24/7",
    "Im Raum 12345 Personen; 10000 Euro; 99999 Tickets offen",
    "My Mother Board died. The Father Time clock. Your Brother Printer 2350",
    "Heidelberg 2023, Supermarkt 4, Arbeitsmarkt 2024, Bahnhof 12, Firewall 2",
    "Kein Weg 3 Meter breit. Der Ring 5 ist zu.",
    "Dear Santa, dear Diary,",
    "Genannt Werden folgende Punkte: Named Pipes und Named Entities.",
    "Titel: Bericht, Autor: unbekannt, Name,Typ\nid,int\nlabel,str",
    "Name,Type,Default\nTimeout,Integer,30\nRetries,Integer,5",
    "Schreiben vom 12.03.2024 zu Aktenzeichen 65 170839 J 004",
    "SELECT name FROM users WHERE id = 536904399",
    "Ich bin Kunde seit 2010. This is Important. I am Legend",
]
# fmt: on


@pytest.mark.parametrize(("text", "items"), ITEMS)
def test_every_item_is_found(text: str, items: dict[str, list[str]]) -> None:
    covered: dict[str, set[int]] = {}
    for one in FIND(text):
        covered.setdefault(one.kind, set()).update(range(one.begin, one.end))
    for kind, wanted in items.items():
        for item in wanted:
            begin = text.index(item)
            letters = {place for place in range(begin, begin + len(item)) if text[place].isalnum()}
            assert letters <= covered.get(kind, set()), (kind, item)


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_is_found_where_there_is_nothing(text: str) -> None:
    assert [(one.kind, text[one.begin : one.end]) for one in FIND(text)] == []
