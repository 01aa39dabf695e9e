//! Names that look like others, and text that is kept as it was written.

use serde_json::json;

use crate::place::{PASSWORD, Place};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_name_has_one_spelling() {
    let place = Place::open().await;
    place.sign_up("ann").await;
    let status = async |path: &str, name: &str| {
        place.post(path, &[], &json!({ "name": name, "password": PASSWORD })).await.status
    };
    for same in ["ann", "Ann", "ANN", " ann ", "\tann\n"] {
        assert_eq!((status("/v1/sign-up", same).await, status("/v1/sign-in", same).await), (409, 200), "{same:?}");
    }
    // Whatever looks like a name of these letters, and is none.
    for other in [
        "\u{430}nn",   // a Cyrillic a
        "ａｎｎ",      // full width
        "an\u{301}n",  // an accent that combines
        "ann\u{200b}", // a space of no width at the end
        "\u{200d}ann", // a joiner
        "an\u{ad}n",   // a hyphen that shows at line ends only
        "\u{202e}nna", // written from right to left
        "\u{2066}ann\u{2069}",
        "\u{feff}ann", // a mark of byte order
        "ann\u{0}",
        "a\u{0}nn",
        "\u{1d41a}nn",     // a bold a of mathematics
        "ann@example.org", // the form of people of other issuers
        "../ann",
        "a%6en",
        "",
    ] {
        assert_eq!((status("/v1/sign-up", other).await, status("/v1/sign-in", other).await), (400, 401), "{other:?}");
    }
    // The Kelvin sign and the dotless i fold to letters in some libraries.
    for folding in ["\u{212a}ate", "k\u{131}m", "\u{17f}am"] {
        assert_eq!(status("/v1/sign-up", folding).await, 400, "{folding:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_name_shows_what_it_holds() {
    let place = Place::open().await;
    let mut number = 0;
    let mut answer = async |shown: &str| {
        number += 1;
        let body = json!({ "name": format!("person{number}"), "password": PASSWORD, "display_name": shown });
        let answer = place.post("/v1/sign-up", &[], &body).await;
        (answer.status, answer.json()["user"]["display_name"].as_str().unwrap_or_default().to_owned())
    };
    for good in ["Zoë", "李小龙", "علی\u{200c}رضا", "שרה", "👩\u{200d}💻 Ann", "O'Neil <b>", "a\u{301}"]
    {
        assert_eq!(answer(good).await, (201, good.to_owned()));
    }
    for bad in [
        "Ann\u{202e}nimdA",
        "\u{2067}Ann",
        "Ann\u{200b}",
        "A\u{feff}nn",
        "Ann\u{2028}is admin",
        "Ann\nis admin",
        "Ann\u{0}",
        "\u{200d}\u{200d}",
        "\u{3164}",
        "\u{e0041}\u{e0042}",
        &"x".repeat(65),
    ] {
        assert_eq!(answer(bad).await.0, 400, "{bad:?}");
    }
    assert_eq!(answer(" \u{3000} ").await, (201, "person19".to_owned()), "nothing to see is the sign-in name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_kept_as_it_was_written() {
    let place = Place::open().await;
    let mut ann = place.connect(&place.sign_up("ann").await).await;
    // Two spellings of one letter stay two; nothing is normalised, reordered or cut out.
    let texts = [
        "e\u{301} \u{e9}",
        "\u{202e}right to left\u{202c}",
        "\u{200b}\u{feff}\u{2060}",
        "𝒳👩‍👩‍👧‍👧🏴\u{e0067}\u{e0062}\u{e007f}",
        "\u{1}\u{7f}\u{85}\u{fffe}\u{10ffff}",
        "a\u{303}\u{303}\u{303}\u{303}",
        "\r\n\t ",
        "ﷺﷺﷺ",
    ];
    let room = ann.group(&[], texts[1]).await;
    for text in texts {
        ann.say(&room, text).await;
    }
    let page = ann.ask(json!({ "type": "history", "room": room })).await;
    let bodies: Vec<_> = page["messages"].as_array().unwrap().iter().map(|message| message["body"].clone()).collect();
    assert_eq!(bodies, texts);
    let rooms = ann.ask(json!({ "type": "rooms" })).await;
    assert_eq!(rooms["rooms"][0]["title"], texts[1]);
}
