//! Everything that fuzzing found worth keeping, through the same functions again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

#[path = "../fuzz/targets/mod.rs"]
mod targets;

#[path = "../fuzz/escape.rs"]
mod escape;

use std::{collections::BTreeSet, path::Path};

use escape::unescape;

#[test]
fn everything_kept_from_fuzzing_is_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let files = std::fs::read_dir(&folder).unwrap();
    let there: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let wanted: BTreeSet<String> = targets::ALL.iter().map(|(name, _)| format!("{name}.txt")).collect();
    assert_eq!(there, wanted, "each target has a corpus; a new one needs a line to begin with");
    for (name, run) in targets::ALL {
        let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let inputs: Vec<Vec<u8>> =
            text.lines().map(|line| unescape(line).unwrap_or_else(|| panic!("{name}.txt: {line}"))).collect();
        assert!(!inputs.is_empty(), "{name}");
        for (nth, input) in inputs.iter().enumerate() {
            // A panic tells the line; what it was about stands before it.
            println!("{name}.txt:{}", nth + 1);
            run(input);
            // What is cut off on the way, too.
            run(&input[..input.len() / 2]);
        }
        println!("{name}: {} inputs", inputs.len());
    }
}

#[test]
fn an_input_survives_its_way_through_the_file() {
    let all: Vec<u8> = (0..=255).collect();
    let line = all.escape_ascii().to_string();
    assert!(line.is_ascii() && !line.contains('\n'));
    assert_eq!(unescape(&line), Some(all));
    assert_eq!((unescape("\\x1"), unescape("a\\")), (None, None));
}
