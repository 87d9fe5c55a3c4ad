//! Events that one reader reads otherwise than the next.

use super::*;

#[test]
fn elements_of_which_nobody_says_for_which_choice_end_the_stream() {
    let choice = |index: &str, text: &str| format!("{{{index}\"delta\":{{\"content\":\"{text}\"}}}}");
    let event = |first: &str, second: &str| {
        let (first, second) = (choice(first, "jane@"), choice(second, "example.com. "));
        format!("data: {{\"id\":\"c\",\"choices\":[{first},{second}]}}\n\n")
    };
    for (first, second) in [
        ("\"index\":0,", "\"index\":0.0,"),
        ("\"index\":0,", "\"index\":-0,"),
        ("\"index\":0,", "\"index\":\"0\","),
        ("\"index\":0,", "\"index\":true,"),
        ("\"index\":0,", ""),
        ("\"index\":null,", "\"index\":0,"),
        ("", ""),
        ("\"index\":4294967296,", "\"index\":0,"),
    ] {
        let (out, step) = screened(Api::Chat, &(event(first, second) + "data: [DONE]\n\n"));
        assert_eq!(step, Step::Failed(Unscreenable::TwoReadings), "{first} {second}: {out}");
        assert_eq!(out, "");
    }
    let alone = format!("data: {{\"id\":\"c\",\"choices\":[{}]}}\n\n", choice("", "fine. "));
    assert_eq!(screened(Api::Chat, &alone), (alone.clone(), Step::Continue));
}
