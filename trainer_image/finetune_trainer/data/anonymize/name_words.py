"""Given names that are something else as well: words, nouns, months, places, brands, names of programs and of theorems.

Faker's lists hold them beside all others, and a name that is a word says little: Mark, Rose, Page, Linde. Gone through by
hand, against the words of both languages, the documentation of Python and of LibreOffice, and German manual pages.
"""

from __future__ import annotations

_WORDS = """
Aaden Ab Abbey Ace Add Adel Aden Admiral Adonis Adria Ah Aja Akkerman Alabama Alba Albert Alberta Alberte Albino Albion Ale
Alex Alexa Allen Ally Almond Alpha Alpin Alston Alta Altin Alto Amber Ambers Ammon Amrita An Anders Angel Angelic Ani Anis
Ante Ants April Ara Aras Arch Archer Aria Arizona Arlington Arnis Art Aspen Astride Asunción Atlas August Auguste Augusts
Augustus Aura Aurora Austin Author Autumn Avis Baba Babe Baby Baker Bali Balz Banks Barbie Baron Bart Basel Basil Beat Beau
Bebe Bee Bell Belle Bello Bent Bergen Berlin Berry Beryl Beste Bett Bette Bilgen Bill Bird Birdie Bishop Bitten Blas Blaze
Blessing Bliss Blossom Bode Bonny Boss Boston Bowman Brad Brain Branch Brande Branden Brandy Brecht Brennen Brogan Brook
Brooklyn Brooks Brown Buck Bud Buddy Bunk Buren Burke Burns Burr Bush Buster Butch Butler Caddie Cadence Caesar Cal Cam
Cameron Can Canal Candela Candy Cannon Canyon Cap Caprice Captain Carmine Carolina Carry Carter Case Cash Ceylon Champ Chance
Chancy Chandler Chante Charity Charlotte Chase Chastity Chelsea Cherish Cherry Cheyenne Chi Chin China Chip Christ Christen
Cicero Cinnamon Clay Cleave Clementine Cleveland Cliff Collie Collier Colon Colonel Colt Columbia Columbus Comfort Commodore
Con Constant Cooper Coral Cord Corona Council Coy Creed Crystal Dahlia Daisy Dale Dallas Dann Darin Darling Darwin Davon Davor
Dawn Deacon Dean Deb Deforest Dell Delle Delta Denver Destiny Devon Diamond Dick Dickie Dimple Dink Dino Divan Dixie Doc Dock
Doctor Doll Dom Don Dosha Dot Dotty Dove Drake Drew Dries Duff Duke Dusty Döner Earl Early Earnest Ebb Eber Ebony Echo Edel
Eden Eder Edit Eider Eimer Einer Eitel El Elba Elder Ell Else Ember Emerald Emir Emit Emmer Era Eris Ermine Ernst Esna Essence
Ester Eta Ethen Ether Etter Eva Eve Ever Faber Fairy Faith Falk Fancy Fares Fate Fawn Fed Feline Fem Fern Ferne Fielding Finis
Fisher Fleet Flint Floor Flor Flora Flore Florida Florin Ford Forest Forum Foster Fount Franc Freeman French Friend Fuller
Fügen Gabel Gage Gal Gala Gale Garland Garner Garnet Garret Garrison Gauge Gay Gee Gene General Genesis Genie Georgia German
Ginger Glen Gloria Golden Gorge Governor Grace Grant Graves Gray Green Greet Griffin Grit Grove Gun Gurney Guss Gust Guy Hagen
Hale Hall Halle Ham Hamilton Handy Harden Hardy Harm Harmony Harrison Harsh Hart Hasel Haven Hays Hazel Heath Heaven Heber
Hector Hege Heide Heli Hemi Hence Henderson Henna Herb Hill Holden Holland Holly Holm Holmes Homer Hope Houston Hudson Hung
Hunt Hunter Hymen Icy Immaculate Imo Indiana Infant Inka Innocent Ion Iris Irvine Israel Ivory Ivy Jack Jackson Jade Jan
Jasmin Jasmine Jay Jean Jena Jet Jewel Job Joke Joppe Jordan Journey Joy Judge Juli Julienne Juni Junior Justice Kader Kai
Kaiser Kale Kali Kami Karma Karren Kassie Kata Katana Kauri Kelvin Kenia Kenter Kete Kick Kiefer Kiel Kimber King Kingston
Kipp Kit Kitty Knute Koda Kora Laban Laddie Lady Lage Laken Lala Lance Landen Lander Lane Lark Lassi Lassie Laurel Laus Laust
Lavender Lawyer Laze Leafy Lean Leaner Lee Leider Leitha Lemma Lemon Less Levy Lew Liberty Lien Lies Lilie Lily Lincoln Linde
Linden Line Link Little Lo Loan Lode London Lone Long Loot Lope Lore Lot Louisiana Love Loyal Lucky Lupe Luster Lute Lyric Mac
Mace Macs Mad Madden Made Madison Madonna Magen Mai Maie Major Mal Male Malle Man Manie Manila Manning Manuelle Mar Mare
Margarita Mari Marina Marine Mark Marquis Marquise Marry Marsh Marshal Mart Marten Martial Marvel Mason Mat Mate Math Matts
Maverick Max May Mayo Meadow Media Medina Meg Melanine Melbourne Melodie Melody Memphis Mentor Mercedes Mercy Merlin Merrily
Merry Messiah Meta Metro Mickey Mignon Milan Mile Miles Miller Mills Miner Minor Miracle Missouri Misty Modena Montana
Montgomery Montserrat Moody Muli My Myrtle Nacho Nadir Nail Nana Narcissus Nazi Neider Nelson Nevada Newt Newton Nick Nil
Noble Noel Noma North Nova Novella Octave Odd Odessa Oland Olive Olivine Olympia Oma Opal Oral Orange Orion Orlando Oscar Ossi
Otto Ova Owe Page Paisley Palma Pansy Paris Park Parker Parley Pascal Paschal Pastor Pat Pate Patience Paw Peace Pearl Pearly
Peer Pelle Penny Pepita Pepper Per Phoenix Pier Pierce Pink Pinkie Piper Pleas Pleasant Pol Pontus Poppy Porter Precious Press
Price Primitivo Primus Prince Princess Prosper Prudence Puck Purity Purl Queen Radi Raid Raleigh Ramadan Rand Randy Ransom Ras
Raven Ray Reason Red Redden Reed Reet Rein Reine Reiner Rex Rice Rich Richmond Rick Ridge Rim Ritt River Roan Roar Rob Robbe
Robin Robinson Rock Rocky Rod Roe Rogers Roll Rollo Roma Romaine Roman Romane Ronin Rosa Rose Rosemary Rosette Rosy Royal Rube
Rubin Ruby Rune Rush Russ Rusty Rut Rute Saal Saar Sable Sad Saga Sage Said Saint Salami Samara Sanaa Sanders Sandy Sari
Savanna Savannah Sawyer Scarlet Seda Sem Senn Senna Senne Serenity Serge Server Sever Shad Shade Shepherd Sherry Shona Sibyl
Sie Siebe Sierra Silver Sim Sincere Sine Sing Sister Skip Sky Skye Smith Sofia Sol Solange Sole Sommer Son Sonata Spring
Squire Star Starling Starr Stein Sterling Steward Stone Stonewall Stoney Storm Stormy Sue Sultane Summer Sunny Sunshine Sydney
Tab Tad Taft Tage Tal Talon Tan Tanner Tate Taurus Tawny Taylor Tea Tennessee Tex Texas Theta Tiara Ties Tiffany Tilde Tilden
Till Tine Tiny Tobe Tola Toms Tone Tor Tore Tori Toy Trace Treasure Trinity Tristen Troy True Tudor Tula Turan Turner Tutu
Undine Unique Unknown Unnamed Uno Urban Us Valencia Valid Van Veda Veer Vela Velvet Vena Verl Vernal Verona Versa Vi Victor
Victoria Victory Villa Viola Violet Violette Virgel Virginia Viva Von Wadi Walker Ward Warner Wash Washington Watt Weaver
Wellington Wells Wende West Wheeler Whit Wilder Will Willow Windy Wing Winter Wirt Wolf Wolfram Wood Worth Wright Young Zed
Zeta
"""
_KNOWN_FOR_MORE = """
Fedora Joe Lilo Emin France Gregorian Lila
Abraham Adam Addison Advent Africa Ajax Albania Aldi Alias Alicante Alva Amarok Amaya Amen America Ampere Angeles Apollo Ares
Arial Ariane Armenia Arya Ash Asia Assisi Astra Athena Audi Augustin Austria Avalon Bash Becquerel Bela Bella Benedict Bentley
Bern Bernoulli Bianca Bonn Brady Brest Cadiz Cali Calibri Cambria Capri Caracas Carlo Carmen Cassandra Cauchy Celeste Celina
Ceres Chet Chevy Chile Christus Chur Clark Claude Cleo Clio Cordoba Corsa Cortana Curry Cäsar Dacia Dalton Dash Davis Delphi
Dev Dickson Diego Django Dolores Dora Dresden Easton Eberhard Edison Einstein Elif Erlang Euler Europa Fabia Farad Fatima
Februar Fiesta Fish Florence Florenz Fourier Francia Francisco Franklin Freya Galileo Garrett Gauss Gemini Germain Ghazi
Gilmore Golf Gordon Gradle Gram Gregory Guadalupe Hakim Hari Harris Haskell Hayes Heiligabend Helvetica Henry Hera Hermes
Hertz Hess Hesse Hoare Howell Hubble India Isis Italia Januar Java Jenkins Jensen Jesus Johnson Jordanien Jose Joule Julia
Julian Juno Ka Kate Kent Kepler Kerberos Kia Knuth Kongo Kreta Krita Kuba Lambert Laplace Lausanne Len Lennart Levis Lewis
Lexus Libya Lima Loki Lorena Lotus Lourdes Luna Luther Macauley Malta Maria Markov Maven Maxwell Meriva Merkur Milano Mondeo
Monte Moore Moses Nadine Nash Neal Neptun Nero Noah Octavia Odin Ohm Om Opel Osiris Ostern Pamela Pandora Pascha Paulo Pearson
Perl Perry Persia Peterson Pfingsten Pilatus Poisson Polo Prentice Quito Ra Raj Ram Ramsey Ross Royce Russell Sai Salome
Salomon Sami Samson Santiago Scott September Seward Shell Siemens Siena Sievert Silvester Siri Skoda Sonntag Stanford Stella
Student Suse Syria Tahoma Tesla Thor Thun Trinidad Tukey Turing Uri Val Vectra Venus Verdana Vesta Volt Watson Weber Weibull
Wien York Zafira Zak Zeus Zsh Zug
"""
_NEVER = """
Ab Add Ah Al Alpha Am An As At Author Be Beste Branch Brown Can Case Com Con Constant Da Dann De Deb Delta Di Do Doc Dot
Du Early Echo Edit Einer El Else Er Era Es Ever Floor Forum Fügen General Go Gray Green He Hence If Ihr Im In Is It Job Lage
Le Leider Len Les Less Line Link Little Lo Loan Long Made Major Mal Manuelle Math  Me Media Meta Minor My No
On Or Orange Page Per Pink Press Price Rand Reason Red Rein Reine Rock Roll Said Server Sie Silver Sine Sing Skip So Star
Stone Sys Tab Tage Te Tea Thi Thing Ti To Trace True Um Unique Unknown Unnamed Up Us Valid Van Von We Wir Wo Zu
"""

AMBIGUOUS_NAMES = frozenset(_WORDS.split())
"""They need a surname that is known."""
NOT_ALONE = frozenset(_KNOWN_FOR_MORE.split()) | AMBIGUOUS_NAMES
"""Alone they are no people: Julia is a language, Verona a town, Fisher a test."""
NEVER = frozenset(_NEVER.split())
"""Too common to be looked at."""
