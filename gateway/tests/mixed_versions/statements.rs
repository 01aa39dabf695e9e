//! Migrations as statements: without comments and bodies of functions, in lower case, with single spaces.

use std::{iter::Peekable, str::Chars};

/// A migration.
pub(crate) struct Migration {
    pub(crate) version: i32,
    pub(crate) statements: Vec<String>,
}

/// All migrations of the source, in order.
pub(crate) fn all() -> Vec<Migration> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shards/migrations");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let version = entry.file_name().to_str().unwrap().split('_').next().unwrap().parse().unwrap();
        Migration { version, statements: statements(&std::fs::read_to_string(entry.path()).unwrap()) }
    };
    let mut all: Vec<Migration> = std::fs::read_dir(folder).unwrap().map(read).collect();
    all.sort_by_key(|migration| migration.version);
    all
}

/// The statements of a script. A text in dollars, such as the body of a function, is `$$`; one in quotes is as it is.
pub(crate) fn statements(sql: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut chars = sql.chars().peekable();
    while let Some(char) = chars.next() {
        let statement = statements.last_mut().unwrap();
        match char {
            '-' if chars.peek() == Some(&'-') => while chars.next_if(|next| *next != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => skip_past(&mut chars, "*/"),
            '$' => {
                let tag: String = std::iter::from_fn(|| chars.next_if(|next| *next != '$')).collect();
                chars.next();
                skip_past(&mut chars, &format!("${tag}$"));
                statement.push_str("$$");
            }
            '\'' | '"' => {
                statement.push(char);
                statement.extend(std::iter::from_fn(|| chars.next_if(|next| *next != char)));
                chars.next();
                statement.push(char);
            }
            ';' => statements.push(String::new()),
            _ if char.is_whitespace() => statement.push(' '),
            _ => statement.extend(char.to_lowercase()),
        }
    }
    let tidy = |statement: String| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    statements.into_iter().map(tidy).filter(|statement| !statement.is_empty()).collect()
}

fn skip_past(chars: &mut Peekable<Chars<'_>>, end: &str) {
    let mut seen = String::new();
    while !seen.ends_with(end) {
        seen.push(chars.next().expect("a comment or a text that ends"));
    }
}

/// The parts between commas that stand in no parentheses and no quotes.
pub(crate) fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut begin, mut parts) = (0, false, 0, Vec::new());
    for (at, char) in list.char_indices() {
        match char {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(list[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// What stands in the first parentheses, and what follows them.
pub(crate) fn in_parentheses(text: &str) -> Option<(&str, &str)> {
    let begin = text.find('(')?;
    let mut depth = 0;
    for (at, char) in text.char_indices().skip_while(|(at, _)| *at < begin) {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[begin + 1..at], text[at + 1..].trim()));
        }
    }
    None
}

#[test]
fn statements_are_told_apart_without_comments_and_bodies() {
    let sql = "-- drop; this\nCREATE  Function f(a text default ';') returns int as $x$ begin; $$ end $x$;\n/* drop; */ insert into t values ('A;  b', $$;$$);";
    assert_eq!(
        statements(sql),
        ["create function f(a text default ';') returns int as $$", "insert into t values ('A; b', $$)"]
    );
    assert_eq!(parts("a numeric(1, 2), b text default ',', c"), ["a numeric(1, 2)", "b text default ','", "c"]);
    assert_eq!(in_parentheses("f(a (b), c) d (e)"), Some(("a (b), c", "d (e)")));
}
