//! The page of the protocol lists what the gateway knows.

use chat_gateway::protocol::{CloseCode, ErrorCode, WireError, parse};
use serde_json::json;

pub(crate) const PAGE: &str = include_str!("../../../docs/reference/protocol.md");

/// Words in backticks in the first column of the tables under a heading.
pub(crate) fn column(heading: &str) -> Vec<String> {
    let start = PAGE.find(&format!("\n### {heading}\n")).expect("the page has the heading") + heading.len() + 5;
    let section = &PAGE[start..];
    let section = section.find("\n#").map_or(section, |end| &section[..end]);
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|line| line.split('|').next());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|word| !word.contains(' ') && *word != "field")
        .map(str::to_owned)
        .collect()
}

pub(crate) fn request_types() -> Vec<String> {
    column("Requests")
}

#[test]
fn the_page_lists_the_requests_that_are_known() {
    let types = request_types();
    assert_eq!(types.len(), 21, "{types:?}");
    for kind in types {
        let known = parse(&json!({ "type": kind }).to_string())
            .err()
            .is_none_or(|refusal| refusal.error.code != ErrorCode::UnknownType);
        assert!(known, "{kind}");
    }
}

#[test]
fn the_page_lists_the_error_codes() {
    let page = column("Errors");
    let on_the_wire = |code| json!(WireError::new(code, ""))["code"].as_str().unwrap().to_owned();
    let ours: Vec<String> = ErrorCode::ALL.map(on_the_wire).into();
    assert_eq!(page, ours);
}

/// The numbers in the table of close codes.
pub(crate) fn close_codes() -> Vec<u16> {
    let start = PAGE.find("### Close codes").unwrap();
    PAGE[start..].lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn the_page_lists_the_close_codes() {
    let mut ours: Vec<u16> = CloseCode::ALL.map(CloseCode::code).into();
    ours.dedup();
    assert_eq!(close_codes(), ours);
}

#[test]
fn the_frames_that_one_is_told_to_type_are_requests() {
    let page = include_str!("../../../docs/how-to/first-message.md");
    let frames = pages::blocks(page, "json");
    assert_eq!(frames.len(), 4, "{frames:?}");
    for frame in frames {
        let typed = frame.replace("<the room's id>", "0197a000-0000-7000-8000-000000000001");
        assert!(parse(&typed).is_ok(), "{frame}{:?}", parse(&typed).err().map(|refusal| refusal.error));
    }
}
