//! What a migration may do: expand. Gateways of the version before go on calling the schema that it makes, before all of today's are there and after
//! today's have been taken back. So what they know of is neither taken away nor made narrower; a later version takes it away, once the version before
//! does without it. See docs/reference/schema.md.

use std::collections::HashMap;

use crate::{
    statements::{Migration, all, in_parentheses, parts},
    support::baseline::{baseline, program},
};

/// A statement that takes away what no supported gateway uses any more.
#[derive(Clone, Copy)]
struct Contract {
    /// The migration that takes it away.
    migration: i32,
    /// How its statement begins.
    statement: &'static str,
    /// The migration since which gateways do without: the schema of the version before has to have it.
    expanded_in: i32,
}

/// All of them.
const CONTRACTS: &[Contract] = &[
    // Rules of rows in transit. Gateways read these rows and never write them, and before this migration no mover did.
    Contract { migration: 14, statement: "alter table chat.slot_ownership add column since bigint", expanded_in: 1 },
];

/// A function as its callers know it.
#[derive(Clone, PartialEq)]
struct Function {
    types: Vec<String>,
    /// How many arguments may be left out.
    optional: usize,
    returns: String,
    /// Whether it may do what its caller may not.
    definer: bool,
    old: bool,
}

impl Function {
    /// Name and shape of what a statement that begins with `create` makes.
    fn read(statement: &str, old: bool) -> Option<(String, Self)> {
        let (name, rest) = statement.split_once("function ")?.1.split_once('(')?;
        let (arguments, rest) = in_parentheses(&statement[statement.len() - rest.len() - 1..])?;
        let arguments = parts(arguments);
        let optional =
            arguments.iter().filter(|argument| argument.contains(" default ") || argument.contains('=')).count();
        let kind = |argument: &&str| {
            let named = argument.split_once(" default ").map_or(*argument, |(named, _)| named);
            named.split_once(' ').map_or(named, |(_, kind)| kind).to_owned()
        };
        let returns = rest.split_once(" language ").map_or(rest, |(returns, _)| returns).to_owned();
        let types = arguments.iter().map(kind).collect();
        Some((
            name.trim().to_owned(),
            Self { types, optional, returns, definer: rest.contains("security definer"), old },
        ))
    }

    /// Whether some call may mean either.
    fn is_like(&self, other: &Self) -> bool {
        let (least, most) = (self.types.len() - self.optional, self.types.len());
        least <= other.types.len() && other.types.len() - other.optional <= most
    }
}

/// What the migrations so far have made.
#[derive(Default)]
struct Schema {
    functions: HashMap<String, Vec<Function>>,
    /// Tables, and whether the version before knows them.
    tables: HashMap<String, bool>,
    /// The values that a constraint allows, by table and column.
    listed: HashMap<(String, String), Vec<String>>,
}

/// What is wrong with the migrations after this version, a sentence each.
fn complaints(since: i32, migrations: &[Migration], contracts: &[Contract]) -> Vec<String> {
    let mut schema = Schema::default();
    let mut complaints = Vec::new();
    for Migration { version, statements } in migrations {
        for (nth, statement) in statements.iter().enumerate() {
            let contract = contracts.iter().find(|c| c.migration == *version && statement.starts_with(c.statement));
            let allowed = *version <= since || contract.is_some_and(|contract| contract.expanded_in <= since);
            if let Err(why) = schema.judge(statement, &statements[nth + 1..])
                && !allowed
            {
                complaints.push(format!("migration {version}: {why}\n    {statement}"));
            }
            schema.learn(statement, *version <= since);
        }
    }
    complaints
}

const ADVICE: &str = "add beside it what new gateways use, and take it away as a contract step (CONTRACTS) once the version before does without";

impl Schema {
    fn is_old(&self, table: &str) -> bool {
        self.tables.get(table).copied().unwrap_or(false)
    }

    /// Why gateways of the version before could not live with a statement.
    fn judge(&self, statement: &str, later: &[String]) -> Result<(), String> {
        let words: Vec<&str> = statement.split(' ').collect();
        match words[..] {
            ["create", "table" | "schema" | "type" | "view" | "sequence" | "index" | "trigger", ..]
            | ["grant" | "comment", ..]
            | ["insert", "into", ..] => Ok(()),
            ["create", "or", "replace", "function", ..] | ["create", "function", ..] => self.judge_function(statement),
            ["create", "unique", "index", ..]
                if !words.windows(2).any(|pair| pair[0] == "on" && self.is_old(pair[1])) =>
            {
                Ok(())
            }
            ["create", "unique", "index", ..] => {
                Err(format!("its writes could break a new rule that a value is there once; {ADVICE}"))
            }
            ["alter", "table", table, ..] if !self.is_old(table) => Ok(()),
            ["alter", "table", table, ..] => {
                let actions = statement.splitn(4, ' ').nth(3).unwrap_or_default();
                parts(actions).into_iter().try_for_each(|action| self.judge_action(table, action, statement, later))
            }
            ["drop", "table", table] | ["update" | "truncate", table, ..] | ["delete", "from", table, ..]
                if !self.is_old(table) =>
            {
                Ok(())
            }
            ["drop", ..] => Err(format!("it takes away what the version before may use; {ADVICE}")),
            ["update" | "delete" | "truncate", ..] => {
                Err(format!("it changes rows that the version before reads; {ADVICE}"))
            }
            ["revoke", ..] => Err(format!("it takes a right away that the version before may use; {ADVICE}")),
            _ => Err("nothing says that the version before can live with it; if it can, tell expand.rs why".to_owned()),
        }
    }

    fn judge_function(&self, statement: &str) -> Result<(), String> {
        let (name, new) = Function::read(statement, false).ok_or("its signature cannot be read")?;
        for known in self.functions.get(&name).into_iter().flatten().filter(|known| known.old) {
            if known.types == new.types {
                if (&known.returns, known.definer) != (&new.returns, new.definer) {
                    return Err(format!(
                        "{name} answers otherwise than the version before expects, or has other rights; {ADVICE}"
                    ));
                }
            } else if known.is_like(&new) {
                return Err(format!(
                    "{name} is another function than the one with as many arguments that the version before calls; give it another name"
                ));
            }
        }
        Ok(())
    }

    fn judge_action(&self, table: &str, action: &str, statement: &str, later: &[String]) -> Result<(), String> {
        let words: Vec<&str> = action.split(' ').collect();
        match words[..] {
            ["add", "column", column, ..] => {
                let bare =
                    action.contains(" not null") && !action.contains(" default ") && !action.contains(" generated ");
                if bare {
                    return Err(format!(
                        "the version before writes rows without {column}; give it a default, or let it be null"
                    ));
                }
                if ["unique", "references", "primary"].iter().any(|rule| words.contains(rule)) {
                    return Err(format!("its writes know nothing of the rule for {column}; {ADVICE}"));
                }
                Ok(())
            }
            ["drop", "constraint", name] => {
                let again = format!("add constraint {name} ");
                let follows = statement.contains(&again) || later.iter().any(|later| later.contains(&again));
                follows
                    .then_some(())
                    .ok_or_else(|| format!("{name} is gone, and with it what the version before relies on; {ADVICE}"))
            }
            ["add", "constraint", name, ..] => {
                let widened = listed(action).is_some_and(|(column, now)| {
                    let before = self.listed.get(&(table.to_owned(), column));
                    before.is_some_and(|before| before.iter().all(|value| now.contains(value)))
                });
                widened.then_some(()).ok_or_else(|| format!("{name} may forbid what the version before writes: only a longer list of values is known not to; {ADVICE}"))
            }
            _ => Err(format!("{table} is no longer what the version before knows; {ADVICE}")),
        }
    }

    /// Takes in what a statement makes.
    fn learn(&mut self, statement: &str, old: bool) {
        let words: Vec<&str> = statement.split(' ').collect();
        if let ["create", "function", ..] | ["create", "or", "replace", "function", ..] = words[..]
            && let Some((name, function)) = Function::read(statement, old)
        {
            let functions = self.functions.entry(name).or_default();
            match functions.iter_mut().find(|known| known.types == function.types) {
                Some(known) => *known = Function { old: known.old, ..function },
                None => functions.push(function),
            }
        }
        if let ["create" | "alter", "table", name, ..] = words[..] {
            self.tables.entry(name.to_owned()).or_insert(old);
            let body =
                if words[0] == "create" { in_parentheses(statement).map_or("", |(body, _)| body) } else { statement };
            for part in parts(body) {
                if let Some((column, values)) = listed(part) {
                    self.listed.insert((name.to_owned(), column), values);
                }
            }
        }
    }
}

/// Column and values of `check (column in ('…', …))`.
fn listed(text: &str) -> Option<(String, Vec<String>)> {
    let (condition, _) = in_parentheses(&text[text.find("check (")?..])?;
    let (column, values) = condition.split_once(" in (")?;
    Some((column.to_owned(), parts(values.strip_suffix(')')?).into_iter().map(str::to_owned).collect()))
}

#[test]
fn every_migration_expands() {
    let migrations = all();
    assert_eq!(migrations.last().map(|newest| newest.version), Some(chat_shards::SCHEMA_VERSION));
    let found = complaints(baseline().schema, &migrations, CONTRACTS);
    assert!(
        found.is_empty(),
        "gateways of the version before (schema {}) have to go on with today's schema:\n{}",
        baseline().schema,
        found.join("\n")
    );
}

#[test]
fn a_migration_that_takes_something_away_is_found() {
    let since = baseline().schema;
    let found = |sql: &str, contracts: &[Contract]| {
        let mut migrations = all();
        let statements = crate::statements::statements(sql);
        migrations.push(Migration { version: chat_shards::SCHEMA_VERSION + 1, statements });
        let contracts: Vec<Contract> = CONTRACTS.iter().chain(contracts).copied().collect();
        complaints(since, &migrations, &contracts).join("\n")
    };
    let bad = [
        ("drop function chat.room(integer, uuid, uuid)", "takes away"),
        ("drop table chat.outbox", "takes away"),
        ("alter table chat.rooms drop column title", "no longer what"),
        ("alter table chat.rooms rename column title to name", "no longer what"),
        ("alter table chat.rooms rename to groups", "no longer what"),
        ("alter table chat.rooms alter column last_seq type numeric", "no longer what"),
        ("alter table chat.rooms add column a text default 'x', alter column title set not null", "no longer what"),
        ("alter table chat.rooms add column topic text not null", "without topic"),
        ("alter table chat.rooms add column topic text unique", "rule for topic"),
        ("alter table chat.members drop constraint members_role_check", "relies on"),
        (
            "alter table chat.members drop constraint members_role_check, add constraint members_role_check check (role in ('owner', 'member'))",
            "may forbid",
        ),
        ("alter table chat.rooms add constraint short check (char_length(title) < 10)", "may forbid"),
        ("create unique index u on chat.rooms (title)", "there once"),
        ("update chat.rooms set title = ''", "changes rows"),
        ("delete from chat.outbox where true", "changes rows"),
        ("revoke execute on function chat.overview() from chat_gateway", "takes a right"),
        ("do $$ begin drop table chat.outbox; end $$", "nothing says"),
        (
            "create or replace function chat.finish_outbox(p_slots integer[], p_ids uuid[]) returns integer language sql as $$ select 1 $$",
            "answers otherwise",
        ),
        (
            "create function chat.overview(p_all boolean default true) returns integer language sql as $$ select 1 $$",
            "another function",
        ),
    ];
    for (sql, why) in bad {
        let found = found(sql, &[]);
        assert!(found.contains(why), "{sql}: {found:?}");
    }
    let good = "create table chat.notes (a text); create unique index n on chat.notes (a); drop table chat.notes; \
        alter table chat.rooms add column topic text not null default ''; create index t on chat.rooms (topic); \
        create function chat.overview(p_one integer, p_two integer) returns integer language sql as $$ drop $$; \
        alter table chat.members drop constraint members_role_check; \
        alter table chat.members add constraint members_role_check check (role in ('owner', 'admin', 'guest', 'member'))";
    assert_eq!(found(good, &[]), "");
    // A contract step is one only when the version before has what takes the place of what goes.
    let sql = "drop function chat.room(integer, uuid, uuid)";
    let contract = |expanded_in| Contract {
        migration: chat_shards::SCHEMA_VERSION + 1,
        statement: "drop function chat.room(",
        expanded_in,
    };
    assert_eq!(found(sql, &[contract(since)]), "");
    assert_ne!(found(sql, &[contract(since + 1)]), "");
}

/// Whether the version before calls a function. Its program holds its SQL as it is.
fn is_called_before(function: &str) -> bool {
    let mut grep = std::process::Command::new("grep");
    grep.args(["--quiet", "--text", "--fixed-strings", &format!("{function}(")]).arg(program());
    grep.status().unwrap().success()
}

#[test]
fn contracts_drop_no_function_that_the_version_before_calls() {
    assert!(is_called_before("chat.send_message"), "or this looks for the wrong thing");
    assert!(!is_called_before("chat.no_such_function"));
    for contract in CONTRACTS {
        let dropped = contract.statement.strip_prefix("drop function ").and_then(|rest| rest.split('(').next());
        assert!(!dropped.is_some_and(is_called_before), "the version before calls {dropped:?}");
    }
}
