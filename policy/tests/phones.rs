//! Telephone numbers: our table of plans is held to libphonenumber's, which the crate `phonenumber` brings.
#![expect(clippy::unwrap_used, reason = "tests")]

use phonenumber::metadata::DATABASE;
use portcullis_policy::guard::rules::checks::phone::international;

/// The numbers that libphonenumber gives as examples of fixed lines and mobiles, of every country.
fn examples() -> Vec<String> {
    let of = |meta: &phonenumber::Metadata| {
        let kinds = meta.descriptors();
        let numbers = [kinds.fixed_line(), kinds.mobile()].into_iter().flatten().filter_map(|kind| kind.example());
        numbers.map(|number| format!("+{}{number}", meta.country_code())).collect::<Vec<_>>()
    };
    DATABASE.iter().flat_map(of).collect()
}

#[test]
fn whoever_can_be_called_has_a_number_here() {
    let examples = examples();
    assert!(examples.len() > 400, "only {} examples", examples.len());
    let missed: Vec<_> = examples.iter().filter(|number| !international(number.as_bytes())).collect();
    assert!(missed.is_empty(), "{} of {}: {missed:?}", missed.len(), examples.len());
}

#[test]
fn a_number_that_is_too_long_for_its_country_is_none() {
    // Countries whose longest plan both know; libphonenumber calls each of these too long.
    for number in ["+33142685300", "+34912345678", "+14155552671", "+4520123456", "+48123456789"] {
        assert!(
            international(number.as_bytes()) && phonenumber::is_valid(&phonenumber::parse(None, number).unwrap()),
            "{number}"
        );
        let longer = format!("{number}99");
        assert!(!international(longer.as_bytes()), "{longer}");
        assert!(!phonenumber::parse(None, &longer).is_ok_and(|number| phonenumber::is_valid(&number)), "{longer}");
    }
}
