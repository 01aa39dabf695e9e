//! Commands that pages show.

use crate::blocks::{blocks, prose};

/// Where a command ends for the shell.
const ENDS: [&str; 7] = [" #", " >", " 2>", " |", " &&", ";", ")"];

/// A command as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words, without what the shell makes of them: pipes, redirections, comments.
    pub words: Vec<String>,
    /// Whether it is there to be run: in a block, and not in the middle of a sentence, where arguments may be left out.
    pub whole: bool,
}

/// The commands of a page that begin with these words, such as `kubectl chat`: lines of `sh` blocks, lines after `$ ` in `console` blocks, and spans
/// of code.
#[must_use]
pub fn commands(page: &str, program: &str) -> Vec<Command> {
    let scripts = blocks(page, "sh").join("").replace("\\\n", " ");
    let dialogues = blocks(page, "console").join("");
    let typed = dialogues.lines().filter_map(|line| line.strip_prefix("$ "));
    let lines = scripts.lines().chain(typed);
    let shown = lines.flat_map(|line| found(line, program)).map(|words| Command { words, whole: true });
    let prose = prose(page);
    let spans = prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let named = spans.filter(|span| span.starts_with(program));
    let named = named.flat_map(|span| found(span, program)).map(|words| Command { words, whole: false });
    shown.chain(named).collect()
}

/// The commands of a line that begin with these words, wherever in it they stand.
fn found(line: &str, program: &str) -> Vec<Vec<String>> {
    let begins = line.match_indices(program).map(|(at, _)| &line[at..]);
    let whole = begins.filter(|rest| rest[program.len()..].chars().next().is_none_or(char::is_whitespace));
    let ends = |rest: &str| ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
    whole.map(|rest| rest[..ends(rest)].split_whitespace().map(str::to_owned).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(page: &str) -> Vec<(String, bool)> {
        commands(page, "kubectl chat").into_iter().map(|command| (command.words.join(" "), command.whole)).collect()
    }

    #[test]
    fn commands_come_from_blocks_and_spans() {
        let page = "`kubectl chat why NAME` and `kubectl chatter`\n\n```sh\nkubectl get pods\nkubectl chat status demo  # now\nsource <(kubectl chat completion bash)\n\
                    kubectl chat drain \\\n  pod && kubectl chat uncordon pod\n```\n```console\n$ kubectl chat top demo\nkubectl chat says something\n```\n";
        let expected = ["status demo", "completion bash", "drain pod", "uncordon pod", "top demo"];
        let mut expected: Vec<_> = expected.iter().map(|rest| (format!("kubectl chat {rest}"), true)).collect();
        expected.push(("kubectl chat why NAME".to_owned(), false));
        assert_eq!(words(page), expected);
    }

    #[test]
    fn alternatives_in_a_sentence_are_cut_off() {
        let page = "`kubectl chat rebalance plan | approve` does";
        assert_eq!(words(page), [("kubectl chat rebalance plan".to_owned(), false)]);
    }
}
