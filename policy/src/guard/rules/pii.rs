//! Personal data: what documents may name in `pii.kinds`, and the rules of each kind.
//!
//! A number whose checksum would pass one number in ten by chance is found only where a word before it says what it is;
//! one that is written as nothing else is written is found everywhere. Names and postal addresses have no format and are not
//! found.

use super::{Check, Edge, Rule, Set};
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

/// A rule for a number, between what cannot belong to it.
const fn number(
    kind: &'static str,
    id: &'static str,
    title: &'static str,
    body: &'static str,
    check: (&'static str, fn(&[u8]) -> bool),
    finds: &'static [&'static str],
    leaves: &'static [&'static str],
) -> Rule {
    Rule::new(Set::Pii, kind, id, title, body, finds, leaves)
        .edges(Edge::Number, Edge::Name)
        .check(Check::Of(check.0, check.1))
}

/// The same for the one number of its kind.
const fn id(
    kind: &'static str,
    title: &'static str,
    body: &'static str,
    check: (&'static str, fn(&[u8]) -> bool),
    finds: &'static [&'static str],
    leaves: &'static [&'static str],
) -> Rule {
    number(kind, kind, title, body, check, finds, leaves)
}

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
