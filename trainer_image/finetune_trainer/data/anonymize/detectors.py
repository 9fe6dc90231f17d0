"""Detectors beside those that are built in: models and services, each of which says for many texts at once what it found.

A model needs seconds to load and is fast on many texts together, a service is asked over the network: so both are built once
in each process that works on rows, and are handed whole batches. What their labels mean here stands in one table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finetune_api.contract.trainer_config import DetectorInput
from finetune_trainer.data.anonymize.findings import Finding

_USUAL = {
    "PERSON": "PER PERS PERSON NAME FIRSTNAME LASTNAME GIVENNAME SURNAME MIDDLENAME PATIENT DOCTOR",
    "ADDRESS": "LOC LOCATION ADDRESS STREET STREETADDRESS CITY ZIP ZIPCODE POSTCODE BUILDINGNUM"
    " BUILDINGNUMBER STREETNAME SECONDARYADDRESS",
    "ORGANIZATION": "ORG ORGANIZATION ORGANISATION COMPANY COMPANYNAME",
    "EMAIL": "EMAIL EMAILADDRESS",
    "PHONE": "PHONE PHONENUMBER TELEPHONENUM TELEPHONE",
    "IBAN": "IBAN IBANCODE",
    "CREDIT_CARD": "CREDITCARD CREDITCARDNUMBER",
    "TAX_ID": "TAXID DETAXID TAXNUM",
    "SOCIAL_SECURITY": "SSN USSSN SOCIALSECURITY SOCIALNUM DESOCIALSECURITY",
    "VAT_ID": "VATID DEVATID",
    "LICENSE_PLATE": "LICENSEPLATE VEHICLEVRM DELICENSEPLATE",
    "IP_ADDRESS": "IP IPADDRESS IPV4 IPV6",
    "MAC_ADDRESS": "MAC MACADDRESS",
    "DATE_OF_BIRTH": "DATEOFBIRTH DOB BIRTHDATE",
}
_KIND_OF = {label: kind for kind, labels in _USUAL.items() for label in labels.split()}
_SCHEME = re.compile(r"(?i:^([BIESLU])-|^([BI])_)")


@dataclass(frozen=True, slots=True)
class Placed:
    """A detector that is named in the manifest, and where it is."""

    orders: DetectorInput
    directory: Path | None = None
    """Of a model, fetched; None for a service."""
    revision: str | None = None
    """Commit of a model hub."""

    @property
    def told(self) -> str:
        """What it is, for reports."""
        at = f" at {self.revision}" if self.revision else ""
        return (
            f"{'service' if self.orders.is_service else 'model'} {self.orders.uri}{at}, score {self.orders.min_score:g} or more"
        )


class Detector(Protocol):
    """Looks at many texts at once."""

    def __call__(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Finding]]:
        """What it finds in each text, in any order, perhaps overlapping.

        Args:
            languages: de or en, of each text.
        """
        ...


def build(placed: Sequence[Placed], languages: Sequence[str], environment: Mapping[str, str]) -> tuple[Detector, ...]:
    """The detectors, ready to be asked.

    Args:
        languages: of the texts, as declared.
        environment: may hold credentials for services.
    Raises: UserError if one is not what it should be; Transient if a service does not answer.
    """
    built: list[Detector] = []
    for one in placed:
        if one.orders.is_service:
            from finetune_trainer.data.anonymize.presidio import Presidio

            built.append(Presidio(one.orders, languages, environment))
        else:
            from finetune_trainer.data.anonymize.tagger import Tagger

            assert one.directory is not None
            built.append(Tagger(one.orders, one.directory))
    return tuple(built)


def credentials_of(placed: Sequence[Placed], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that services may need to be reached, and nothing else: they are handed to other processes."""
    names = ("HTTPS_TOKEN", "SSL_CERT_FILE")
    prefixes = [one.orders.environment_prefix for one in placed if one.orders.is_service]
    wanted = [prefix + name for prefix in ("", *prefixes) for name in names] if prefixes else []
    return {name: environment[name] for name in wanted if name in environment}


def bare(label: str) -> str:
    """A label without B-, I- and the like."""
    return _SCHEME.sub("", label)


def begins(label: str) -> bool | None:
    """Whether a label stands for the first word of an item; None if it does not tell."""
    scheme = _SCHEME.match(label)
    return (scheme[1] or scheme[2]).upper() in "BSU" if scheme else None


def kind_of(label: str, said: Mapping[str, str] | None) -> str | None:
    """The kind for which a label stands; None if it is not used.

    Args:
        said: by the manifest, instead of the usual labels.
    """
    if said is not None:
        return said.get(label) or said.get(bare(label))
    return _KIND_OF.get(re.sub(r"[^A-Z0-9]", "", bare(label).upper()))
