//! Personal data: what documents may name in `pii.kinds`, and the rules of each kind.
//!
//! A number whose checksum would pass one number in ten by chance is found only where a word before it says what it is;
//! one that is written as nothing else is written is found everywhere. Names and postal addresses have no format and are not
//! found.

use super::Rule;
use crate::documents::closest;

mod africa_asia_pacific;
mod americas;
mod contact;
mod disguised;
mod europe;
mod payment;

/// The rules, in the order of the page that lists them.
pub(super) static RULES: &[&[Rule]] =
    &[contact::RULES, payment::RULES, americas::RULES, europe::RULES, africa_asia_pacific::RULES, disguised::RULES];

/// The kinds, as documents write them.
pub const KINDS: [&str; 55] = [
    "email",
    "email-domain",
    "phone",
    "ip-address",
    "mac-address",
    "date-of-birth",
    "credit-card",
    "iban",
    "us-ssn",
    "us-itin",
    "ca-sin",
    "br-cpf",
    "br-cnpj",
    "mx-curp",
    "cl-rut",
    "ar-cuit",
    "de-steuer-id",
    "at-svnr",
    "ch-ahv",
    "fr-nir",
    "es-dni",
    "es-nie",
    "it-codice-fiscale",
    "nl-bsn",
    "be-rrn",
    "pl-pesel",
    "se-personnummer",
    "fi-hetu",
    "dk-cpr",
    "no-fodselsnummer",
    "pt-nif",
    "uk-nino",
    "uk-nhs",
    "ie-pps",
    "cz-rodne-cislo",
    "ro-cnp",
    "bg-egn",
    "hr-oib",
    "ee-isikukood",
    "gr-amka",
    "tr-tckn",
    "in-aadhaar",
    "in-pan",
    "au-tfn",
    "au-medicare",
    "jp-my-number",
    "kr-rrn",
    "cn-ric",
    "sg-nric",
    "za-id",
    "hk-id",
    "tw-id",
    "th-id",
    "il-id",
    "nz-ird",
];

/// The rules of a kind; none if there is no such kind.
pub fn of_kind(kind: &str) -> impl Iterator<Item = &'static Rule> {
    RULES.iter().copied().flatten().filter(move |rule| rule.kind == kind)
}

/// The kind that was probably meant by a word that is none.
pub fn closest_kind(word: &str) -> Option<&'static str> {
    closest(word, KINDS.into_iter())
}
