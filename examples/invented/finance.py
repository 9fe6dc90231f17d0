"""Questions of bank employees on regulation, in German and English, and what the compliance desk answered.

General knowledge in our own words, without any text of a law or an authority; simplified, and no advice. A question names whoever
asked, as such collections do, and a risk class by which the answers can be weighted.
"""

from __future__ import annotations

from collections.abc import Iterator

from invented.people import Dice, english, german

_GERMAN_LEAD = (
    "", "", "Kurze Frage aus der Filiale: ", "Ein Kunde fragt: ", "Für die Schulung nächste Woche: ", "Aus der Revision: ",
)  # fmt: skip
_ENGLISH_LEAD = (
    "",
    "",
    "Quick question from the branch: ",
    "A client asks: ",
    "For next week's training: ",
    "From internal audit: ",
)

# topic, risk, German question and answer, English question and answer
_ITEMS = (
    ("strong-authentication", "medium",
     "Wann braucht eine Kartenzahlung im Internet keine starke Kundenauthentifizierung?",
     "Zum Beispiel bei Beträgen bis 30 Euro, solange die Zahl und die Summe solcher Zahlungen begrenzt bleiben, bei wiederkehrenden"
     " Zahlungen gleicher Höhe und wenn die Risikoanalyse der Bank unauffällig ist. Entscheiden darf das immer die Bank des Kunden.",
     "When may an online card payment go without strong customer authentication?",
     "For example for amounts up to 30 euros as long as number and sum of such payments stay limited, for recurring payments of the"
     " same amount, and where the bank's risk analysis finds nothing unusual. The customer's bank always has the last word."),
    ("unauthorised-payment", "high",
     "Wie schnell müssen wir eine nicht autorisierte Zahlung erstatten?",
     "Unverzüglich, spätestens bis zum Ende des folgenden Geschäftstags. Nur bei begründetem Verdacht auf Betrug durch den Kunden"
     " selbst darf länger geprüft werden; der Verdacht ist der Aufsicht schriftlich mitzuteilen.",
     "How fast must we refund a payment that the customer did not authorise?",
     "At once, and no later than the end of the following business day. Only a well-founded suspicion that the customer acted"
     " fraudulently allows more time, and it has to be reported to the authority in writing."),
    ("direct-debit-refund", "low",
     "Wie lange kann ein Kunde eine SEPA-Lastschrift zurückgeben?",
     "Acht Wochen ab der Belastung ohne Angabe von Gründen. Fehlte das Mandat, sind es dreizehn Monate.",
     "For how long can a customer return a SEPA direct debit?",
     "Eight weeks from the debit without giving a reason. Without a valid mandate it is thirteen months."),
    ("iban-discrimination", "low",
     "Darf ein Händler ein Konto aus einem anderen EU-Land für die Lastschrift ablehnen?",
     "Nein. Wer Lastschriften in Euro anbietet, darf nicht vorschreiben, in welchem Land des Zahlungsraums das Konto geführt wird.",
     "May a merchant refuse a direct debit from an account in another EU country?",
     "No. Whoever offers direct debits in euros must not prescribe in which country of the payment area the account is held."),
    ("beneficial-owner", "high",
     "Ab welcher Beteiligung gilt jemand als wirtschaftlich Berechtigter?",
     "Bei Gesellschaften in der Regel ab mehr als 25 Prozent der Anteile oder Stimmrechte, auch mittelbar. Lässt sich niemand"
     " finden, gilt die Geschäftsleitung als wirtschaftlich berechtigt; der Versuch ist zu dokumentieren.",
     "From which share on is somebody a beneficial owner?",
     "For companies usually above 25 per cent of shares or votes, indirect holdings included. If nobody can be found, senior"
     " management counts as beneficial owner, and the search has to be documented."),
    ("politically-exposed", "high",
     "Was ändert sich, wenn ein Kunde eine politisch exponierte Person ist?",
     "Die Geschäftsbeziehung braucht die Zustimmung der Leitungsebene, die Herkunft des Vermögens ist zu klären, und die Beziehung"
     " wird verstärkt überwacht. Das gilt auch für Angehörige und noch mindestens ein Jahr nach dem Ende des Amtes.",
     "What changes if a client is a politically exposed person?",
     "Senior management has to approve the relationship, the source of wealth must be established, and monitoring is enhanced. It"
     " also holds for family members, and for at least a year after the office has ended."),
    ("suspicious-report", "high",
     "Darf ich dem Kunden sagen, dass wir eine Verdachtsmeldung abgegeben haben?",
     "Nein, auf keinen Fall. Weder der Kunde noch Dritte dürfen von einer Meldung oder einer laufenden Prüfung erfahren. Rückfragen"
     " des Kunden gehen an den Geldwäschebeauftragten.",
     "May I tell the client that we filed a suspicious activity report?",
     "Never. Neither the client nor anybody else may learn of a report or of an ongoing check. Questions by the client go to the"
     " money laundering reporting officer."),
    ("cash-source", "medium",
     "Ab welchem Betrag fragen wir bei Bargeld nach der Herkunft?",
     "Bei eigenen Kunden ab mehr als 10.000 Euro, bei Gelegenheitskunden ab mehr als 2.500 Euro. Mehrere Einzahlungen, die"
     " zusammengehören, zählen zusammen. Ein geeigneter Beleg ist eine Auszahlungsquittung oder ein Kaufvertrag.",
     "From which amount on do we ask where cash comes from?",
     "Above 10,000 euros for our own clients and above 2,500 euros for occasional ones. Deposits that belong together are added up."
     " A withdrawal slip or a sales contract is suitable evidence."),
    ("retention", "medium",
     "Wie lange heben wir Unterlagen aus der Identifizierung auf?",
     "Fünf Jahre ab dem Ende der Geschäftsbeziehung. Danach werden sie gelöscht, soweit kein anderes Gesetz eine längere Frist"
     " verlangt, etwa das Handels- oder Steuerrecht.",
     "How long do we keep the records of an identification?",
     "Five years from the end of the business relationship. Then they are erased unless another law, such as commercial or tax law,"
     " asks for more."),
    ("suitability", "high",
     "Worin unterscheiden sich Geeignetheits- und Angemessenheitsprüfung?",
     "Bei Beratung und Vermögensverwaltung prüfen wir die Geeignetheit: Ziele, Risikobereitschaft, finanzielle Lage, Kenntnisse. Ohne"
     " Beratung genügt die Angemessenheit, also ob der Kunde das Risiko aus Kenntnis und Erfahrung versteht.",
     "How do suitability and appropriateness tests differ?",
     "Advice and portfolio management call for suitability: aims, tolerance for risk, financial situation, knowledge. Without advice,"
     " appropriateness is enough, that is whether knowledge and experience let the client understand the risk."),
    ("execution-only", "medium",
     "Wann darf ein Auftrag ganz ohne Prüfung ausgeführt werden?",
     "Wenn der Kunde ihn selbst veranlasst, das Produkt nicht komplex ist, wie eine Aktie an einem geregelten Markt, und wir darauf"
     " hinweisen, dass nicht geprüft wird. Für gehebelte Produkte gilt das nicht.",
     "When may an order be executed without any test?",
     "If it is the client's own initiative, the product is not complex, such as a share on a regulated market, and we warn that"
     " nothing is assessed. It never applies to leveraged products."),
    ("inducements", "medium",
     "Dürfen wir Provisionen von Fondsgesellschaften behalten?",
     "In der Beratung nur, wenn sie die Qualität der Dienstleistung verbessern, offengelegt sind und dem Kundeninteresse nicht"
     " schaden. In der unabhängigen Beratung und in der Vermögensverwaltung sind sie weiterzugeben.",
     "May we keep commissions paid by fund companies?",
     "In advice only if they improve the quality of the service, are disclosed and do no harm to the client's interest. In independent"
     " advice and portfolio management they have to be passed on."),
    ("cost-information", "medium",
     "Welche Kosten müssen wir vor einem Wertpapierkauf nennen?",
     "Alle einmaligen und laufenden Kosten von Dienstleistung und Produkt, als Summe in Euro und in Prozent, dazu ihre Wirkung auf"
     " die Rendite. Zahlungen Dritter werden getrennt ausgewiesen.",
     "Which costs must be named before a purchase of securities?",
     "All one-off and ongoing costs of service and product, as a sum in euros and per cent, and their effect on the return. Payments"
     " by third parties are shown separately."),
    ("key-information", "low",
     "Für welche Produkte braucht ein Privatanleger ein Basisinformationsblatt?",
     "Für verpackte Anlageprodukte: Fonds, Zertifikate, Derivate, Versicherungen mit Anlageteil. Nicht für Aktien, einfache Anleihen"
     " und Einlagen. Es umfasst höchstens drei Seiten und liegt rechtzeitig vor dem Abschluss vor.",
     "For which products does a retail investor need a key information document?",
     "For packaged investment products: funds, certificates, derivatives, insurance with an investment part. Not for shares, plain"
     " bonds and deposits. It has three pages at most and is provided in good time before the contract."),
    ("insider-list", "high",
     "Wer gehört auf eine Insiderliste?",
     "Alle, die Zugang zu einer Insiderinformation haben, auch Berater und IT. Festzuhalten sind der Grund, der Zeitpunkt des Zugangs"
     " und persönliche Angaben. Die Personen müssen ihre Pflichten schriftlich anerkennen.",
     "Who belongs on an insider list?",
     "Everybody with access to inside information, advisers and IT included. It records the reason, the time of access and personal"
     " details. The persons have to acknowledge their duties in writing."),
    ("own-dealings", "medium",
     "Wann melden Führungskräfte ihre Eigengeschäfte?",
     "Innerhalb von drei Geschäftstagen, sobald die Summe im Kalenderjahr die Schwelle überschreitet. In den 30 Tagen vor dem"
     " Jahres- oder Halbjahresbericht sind Geschäfte grundsätzlich verboten.",
     "When do managers report dealings on their own account?",
     "Within three business days, once the sum in a calendar year exceeds the threshold. In the 30 days before annual or half-year"
     " results, dealings are generally forbidden."),
    ("liquidity-coverage", "medium",
     "Was misst die Liquiditätsdeckungsquote?",
     "Ob der Bestand hochliquider Aktiva die Nettoabflüsse von 30 Tagen unter Stress deckt. Sie muss mindestens 100 Prozent betragen"
     " und wird täglich gesteuert, gemeldet wird monatlich.",
     "What does the liquidity coverage ratio measure?",
     "Whether the stock of highly liquid assets covers the net outflows of 30 days of stress. It must be at least 100 per cent, is"
     " managed daily and reported monthly."),
    ("stable-funding", "low",
     "Wozu gibt es neben der Liquiditätsdeckung noch die Finanzierungsquote?",
     "Die eine schaut auf 30 Tage, die andere auf ein Jahr: langfristige Aktiva sollen mit stabilem Geld finanziert sein, damit die"
     " Bank nicht von kurzfristigen Märkten abhängt.",
     "Why is there a net stable funding ratio besides liquidity coverage?",
     "One looks at 30 days, the other at a year: long-term assets shall be funded with stable money so that the bank does not depend on"
     " short-term markets."),
    ("own-funds", "medium",
     "Was zählt zum harten Kernkapital?",
     "Gezeichnetes Kapital, offene Rücklagen und einbehaltene Gewinne, nach Abzug etwa von Firmenwerten und bestimmten latenten"
     " Steuern. Es steht ohne Einschränkung zur Verfügung, um Verluste zu tragen.",
     "What counts as common equity tier 1?",
     "Paid-up capital, disclosed reserves and retained earnings, after deductions such as goodwill and certain deferred taxes. It is"
     " available without restriction to absorb losses."),
    ("large-exposure", "high",
     "Wie hoch darf ein Großkredit sein?",
     "Höchstens 25 Prozent des Kernkapitals je Kreditnehmer oder Gruppe verbundener Kunden. Ab 10 Prozent ist er zu melden. Eine"
     " Überschreitung ist der Aufsicht sofort anzuzeigen.",
     "How large may an exposure to one borrower be?",
     "At most 25 per cent of tier 1 capital per borrower or group of connected clients. From 10 per cent on it is reported. A breach"
     " has to be notified to the supervisor at once."),
    ("outsourcing", "high",
     "Was gehört in einen Vertrag über eine wesentliche Auslagerung?",
     "Leistung und Messgrößen, Weisungs- und Prüfrechte für uns und die Aufsicht, Datenschutz, Regeln für Weiterverlagerung,"
     " Kündigung und ein Ausstiegsplan. Die Verantwortung bleibt bei der Bank.",
     "What belongs in a contract on a critical outsourcing?",
     "Service and measures, rights of instruction and audit for us and the supervisor, data protection, rules on sub-outsourcing,"
     " termination and an exit plan. The bank stays responsible."),
    ("incident-report", "high",
     "Wie schnell melden wir einen schwerwiegenden IT-Vorfall?",
     "Die Erstmeldung geht innerhalb weniger Stunden nach der Einstufung ab, spätestens einen Tag nach Bekanntwerden; Zwischenbericht"
     " und Abschlussbericht mit Ursache folgen. Im Zweifel lieber früh melden.",
     "How fast do we report a major ICT incident?",
     "The first notice leaves within hours of the classification, at the latest a day after becoming aware; an interim report and a"
     " final report with the cause follow. If in doubt, report early."),
    ("penetration-test", "medium",
     "Wie oft verlangt die Aufsicht bedrohungsorientierte Penetrationstests?",
     "Von bedeutenden Instituten mindestens alle drei Jahre, an laufenden Produktivsystemen und durch geprüfte Tester. Kleinere"
     " Häuser testen risikoorientiert nach eigenem Programm.",
     "How often are threat-led penetration tests required?",
     "At least every three years for significant institutions, on live production systems and by vetted testers. Smaller houses test"
     " by risk under a programme of their own."),
    ("deposit-guarantee", "low",
     "Wie viel Geld ist durch die Einlagensicherung geschützt?",
     "100.000 Euro je Kunde und Bank. Für besondere Lagen, etwa nach einem Hausverkauf, gilt sechs Monate lang ein höherer Betrag."
     " Ausgezahlt wird innerhalb von sieben Arbeitstagen.",
     "How much money does the deposit guarantee protect?",
     "100,000 euros per client and bank. In special situations, such as after the sale of a home, a higher amount holds for six months."
     " It is paid out within seven working days."),
    ("sustainability", "low",
     "Wann darf ein Fonds als nachhaltig beworben werden?",
     "Wenn er ökologische oder soziale Merkmale fördert oder ein nachhaltiges Ziel verfolgt, das offenlegt und belegt. Werbung darf"
     " nicht mehr versprechen als die Anlagepolitik hergibt.",
     "When may a fund be advertised as sustainable?",
     "If it promotes environmental or social characteristics or pursues a sustainable objective, discloses it and gives evidence."
     " Advertising must not promise more than the investment policy holds."),
    ("clearing", "medium",
     "Welche Derivate müssen zentral abgewickelt werden?",
     "Standardisierte Zins- und Kreditderivate zwischen Parteien über den Schwellen. Für alle anderen gelten Bestätigung, Abgleich der"
     " Bestände und, je nach Größe, der Austausch von Sicherheiten.",
     "Which derivatives have to be cleared centrally?",
     "Standardised interest rate and credit derivatives between parties above the thresholds. All others need confirmation,"
     " reconciliation and, depending on size, an exchange of collateral."),
    ("remuneration", "medium",
     "Wie hoch darf die variable Vergütung eines Risikoträgers sein?",
     "Höchstens so hoch wie die feste, mit Beschluss der Eigentümer das Doppelte. Ein großer Teil wird über Jahre gestreckt und kann"
     " bei schlechten Ergebnissen entfallen.",
     "How high may the variable pay of a risk taker be?",
     "At most as high as the fixed pay, twice that by resolution of the owners. A large part is deferred over years and can be lost if"
     " results are poor."),
    ("complaints", "low",
     "In welcher Frist beantworten wir Beschwerden zu Zahlungsdiensten?",
     "Innerhalb von 15 Arbeitstagen. Geht das aus Gründen nicht, die wir nicht beeinflussen können, erhält der Kunde eine"
     " Zwischennachricht; die endgültige Antwort folgt nach spätestens 35 Arbeitstagen.",
     "Within which time do we answer complaints on payment services?",
     "Within 15 working days. If that is impossible for reasons beyond our control, the client gets an interim reply; the final answer"
     " follows after 35 working days at the latest."),
    ("basic-account", "low",
     "Dürfen wir ein Basiskonto ablehnen?",
     "Nur aus wenigen Gründen, etwa wenn schon ein nutzbares Zahlungskonto besteht oder jemand wegen einer Straftat gegen die Bank"
     " verurteilt wurde. Eine fehlende feste Adresse ist kein Grund.",
     "May we refuse a basic payment account?",
     "Only for few reasons, such as an existing usable account or a conviction for an offence against the bank. Having no permanent"
     " address is no reason."),
    ("credit-worthiness", "medium",
     "Was passiert, wenn wir die Kreditwürdigkeit nicht ordentlich prüfen?",
     "Der Zins sinkt auf den marktüblichen Satz, der Kunde darf ohne Entschädigung vorzeitig zurückzahlen, und ein Ausfall, der bei"
     " richtiger Prüfung erkennbar war, geht zu unseren Lasten.",
     "What happens if we fail to assess creditworthiness properly?",
     "The rate drops to the usual market rate, the client may repay early without compensation, and a default that a proper check"
     " would have foreseen is at our expense."),
)  # fmt: skip


def questions() -> Iterator[dict[str, object]]:
    """A row per question and language; both languages of a topic share it."""
    for index, (topic, risk, question_de, answer_de, question_en, answer_en) in enumerate(_ITEMS):
        dice = Dice(f"finance {index}")
        asker, desk = german(dice), english(dice)
        contact = dice.below(4) == 0
        yield {
            "topic": topic,
            "risk": risk,
            "language": "de",
            "question": f"{dice.pick(_GERMAN_LEAD)}{question_de}"
            + (f" Rückruf bitte an {asker.title} {asker.family}, Tel. {asker.phone}." if dice.below(3) == 0 else ""),
            "answer": answer_de + (f" Fragen dazu an {asker.email}." if contact else ""),
        }
        yield {
            "topic": topic,
            "risk": risk,
            "language": "en",
            "question": f"{dice.pick(_ENGLISH_LEAD)}{question_en}"
            + (f" Please call {desk.title} {desk.family} on {desk.phone}." if dice.below(3) == 0 else ""),
            "answer": answer_en + (f" Questions go to {desk.email}." if contact else ""),
        }
