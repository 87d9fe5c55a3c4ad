//! Presidio's entities and the kinds of ours that find the same documents and numbers.

/// Entities and kinds.
const KINDS: [(&str, &str); 27] = [
    ("AU_MEDICARE", "au-medicare"),
    ("AU_TFN", "au-tfn"),
    ("CREDIT_CARD", "credit-card"),
    ("DE_TAX_ID", "de-steuer-id"),
    ("EMAIL_ADDRESS", "email"),
    ("ES_NIE", "es-nie"),
    ("ES_NIF", "es-dni"),
    ("FI_PERSONAL_IDENTITY_CODE", "fi-hetu"),
    ("IBAN_CODE", "iban"),
    ("IN_AADHAAR", "in-aadhaar"),
    ("IN_PAN", "in-pan"),
    ("IP_ADDRESS", "ip-address"),
    ("IT_FISCAL_CODE", "it-codice-fiscale"),
    ("KR_RRN", "kr-rrn"),
    ("MAC_ADDRESS", "mac-address"),
    ("PHONE_NUMBER", "phone"),
    ("PL_PESEL", "pl-pesel"),
    ("SE_PERSONNUMMER", "se-personnummer"),
    ("SG_NRIC_FIN", "sg-nric"),
    ("TH_TNIN", "th-id"),
    ("TR_NATIONAL_ID", "tr-tckn"),
    ("UK_NHS", "uk-nhs"),
    ("UK_NINO", "uk-nino"),
    ("US_ITIN", "us-itin"),
    ("US_SSN", "us-ssn"),
    ("ZA_ID_NUMBER", "za-id"),
    ("CA_SIN", "ca-sin"),
];

/// The kind of ours that finds this entity, or why there is none.
pub(super) fn kind(entity: &str) -> Result<&'static str, String> {
    if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == entity) {
        return Ok(kind);
    }
    let reason = match entity {
        "PERSON" | "LOCATION" | "NRP" | "ORGANIZATION" | "TITLE" => {
            "names have no format: Presidio finds them with a language model"
        }
        "DATE_TIME" => "any date would be one; `date-of-birth` finds those beside words that say so",
        "URL" | "DOMAIN_NAME" => {
            "an address is not personal data here; `exfiltration` finds those that carry something out"
        }
        _ => "no kind of ours finds it",
    };
    Err(format!("`{}`: {reason}", entity.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::rules::pii;

    #[test]
    fn every_kind_is_one_of_ours_and_stands_once() {
        for (at, (entity, kind)) in KINDS.iter().enumerate() {
            assert!(pii::KINDS.contains(kind), "{kind}");
            assert!(KINDS.iter().skip(at + 1).all(|other| other.0 != *entity && other.1 != *kind), "{entity}");
        }
    }
}
