"""Names that are known: of the languages that people in German and English speaking countries have names of.

From the lists of Faker (MIT). The smaller lists in words.py are those that invented names come from; what is found and what is
invented need not be the same.
"""

from __future__ import annotations

import importlib
import re
from functools import cache

from finetune_trainer.data.anonymize.name_words import AMBIGUOUS_NAMES, NEVER, NOT_ALONE
from finetune_trainer.data.anonymize.words import NO_NAMES, NO_SURNAMES, all_surnames, given_names

_LOCALES = """
az_AZ cs_CZ da_DK de_AT de_CH de_DE de_LI de_LU en_GB en_IE en_IN en_NG en_NZ en_PK en_US es_AR es_CA es_CL es_CO es_ES es_MX
et_EE fi_FI fr_BE fr_CA fr_CH fr_DZ fr_FR ga_IE hr_HR hu_HU it_IT lt_LT lv_LV nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK
sl_SI sv_SE tr_TR vi_VN yo_NG
"""
_LARGEST = "en"
"""American births: every surname and noun was somebody's given name once."""
_FURTHER_GIVEN = """
Abdelkader Abdullah Abdulaziz Abdulkarim Abdulrahman Abdel Aboubakar Achmed Adebayo Ahmad Ahmed Amadou Amina Anh Aslan Bao
Bilal Binh Chidi Chinedu Cuong Dang Dimitra Dimitri Dimitrios Dmitri Dmitry Duc Dung Duy Emeka Evgeni Fatima Fatoumata Ganesh
Giorgos Habib Haifeng Hamid Hanh Haruki Hassan Hiroshi Hoa Hoang Hung Huong Hussein Ibrahim Ifeoma Igor Iman Ismail Jamal
Jianhua Jihoon Jiwoo Karim Kenji Khaled Khalid Khanh Kofi Kwabena Kwame Lakshmi Latifa Leila Linh Mahmoud Mamadou Meiling
Mehmet Minh Minjun Mohamed Mohammad Mohammed Moussa Muhammad Mustafa Nadia Nam Nasser Natalja Ngoc Ngozi Nguyet Nikolai Nikos
Obinna Oksana Olena Olga Olumide Omar Osman Ousmane Panagiotis Parvati Phuong Phúc Quang Raj Rajesh Ramesh Rashid Ravi Sanjay
Sanjeev Seung Seunghoon Soojin Sunita Suresh Svetlana Takeshi Tariq Tatjana Thanh Thao Thị Thomás Thuy Tuan Tunde Vasily Vijay
Viktor Vladimir Volodymyr Wei Wladimir Xiaoming Xiaoli Xiuying Yasmin Yaw Yevgeni Youssef Yusuf Yuki Yulia Yuri Zainab Andi
Annalena Annkathrin Annegret Basti Becca Bernie Charly Christl Debbie Domi Flo Franzi Gabi Gaby Geli Gerd Gitti Hansjürgen
Hansi Heiner Heinzpeter Jacqui Jens Jule Jojo Karlheinz Kathi Katy Klausi Leni Lizzy Loisl Manni Manu Marieluise Marylou Micha
Michi Moni Nico Nicki Paule Poldi Resi Richie Rudi Schorsch Sepp Sigi Steph Susi Tine Toni Traudl Trixi Uli Uschi Ulli Vroni
Walli Wolle Xaver Zenzi
"""
"""What these lists lack: Arabic, East Asian, Greek, Indian, Slavic and West African names in Latin letters, and short forms."""
_FURTHER_SURNAMES = """
Abubakar Adeyemi Afolabi Agarwal Akhtar Bakare Banerjee Bao Chatterjee Chen Chopra Choudhury Dang Das Demir Desai Diallo Diop
Duong Gao Ghosh Guo Gupta Haddad Hakimi Hoang Huang Huynh Hussain Ivanov Ivanova Iyer Jiang Kapoor Khalil Kim Kovalenko Kumar
Kuznetsov Lam Liang Lin Liu Luo Malhotra Mehta Mensah Mishra Mukherjee Nair Nakamura Nakagawa Ngo Nguyen Nguyễn Okafor Okonkwo
Owusu Papadopoulos Park Patel Petrov Petrova Pham Phan Phạm Popov Qureshi Rao Reddy Saito Sato Shah Sharma Shevchenko Singh
Smirnov Smirnova Sokolov Sun Suzuki Takahashi Tanaka Tran Trần Traoré Truong Volkov Vu Wang Watanabe Wong Wu Xu Yamamoto Yang
Zhang Zhao Zheng Zhou Zhu
"""
_SHORT = """
Amy Ann Ben Bob Dan Eva Fee Ian Ida Ina Ivo Jil Jim Joe Kim Lea Leo Lia Liv Liz Mia Ole Pia Ria Sam Ted Tim Tom Udo Ute Uwe Zoe
Zoé Zoë
"""
"""Given names that are believed alone though they are short."""
_ONE_WORD = re.compile(r"[^\W\d_a-z][^\W\d_A-Z]+")
_LEAST_ALONE = 4
"""Letters of a given name that is believed alone: Ina and Ole are, among capitals of other things, too short."""


@cache
def _of(locale: str, begins: str) -> frozenset[str]:
    """Single words of a locale's lists: given names or last names."""
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    lists = [getattr(provider, name) for name in dir(provider) if name.startswith(begins)]
    return frozenset(
        word
        for names in lists
        if isinstance(names, tuple | list | set | dict)
        for name in names
        for word in ([name.strip()] if begins == "last_name" else re.split(r"[ -]", name))
        if _ONE_WORD.fullmatch(word)
    )


@cache
def known_given() -> frozenset[str]:
    """Given names, as they are written."""
    names = {name for locale in (*_LOCALES.split(), _LARGEST) for name in _of(locale, "first_name")}
    return frozenset(names | set(given_names()) | set(_FURTHER_GIVEN.split())) - NEVER


@cache
def known_given_in_any_case() -> frozenset[str]:
    """The same, and in capitals."""
    return frozenset(form for name in known_given() for form in (name, name.upper()))


@cache
def known_alone() -> frozenset[str]:
    """Given names that are believed where they stand alone: of living languages, and nothing else besides."""
    names = {name for locale in _LOCALES.split() for name in _of(locale, "first_name")} | set(_FURTHER_GIVEN.split())
    long = {name for name in names if len(name) >= _LEAST_ALONE}
    return frozenset(long | set(_SHORT.split())) - NOT_ALONE - NEVER - NO_NAMES - NO_SURNAMES


@cache
def known_clearly() -> frozenset[str]:
    """Given names that are nothing else besides, so that a surname behind them need not be known."""
    american = _of(_LARGEST, "first_name") - known_surnames() - NOT_ALONE
    return known_alone() | set(given_names()) - AMBIGUOUS_NAMES | american - NEVER - NO_NAMES - NO_SURNAMES


@cache
def known_surnames() -> frozenset[str]:
    """Surnames, as they are written."""
    names = {name for locale in (*_LOCALES.split(), _LARGEST) for name in _of(locale, "last_name")}
    return frozenset(names | set(all_surnames()) | set(_FURTHER_SURNAMES.split())) - NO_NAMES - NO_SURNAMES
