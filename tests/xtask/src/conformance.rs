//! `cargo xtask conformance`: the rules by which users, kubectl, GitOps tools and autoscalers know a resource, each checked by tests that bear its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use localkube::Binaries;
use serde_json::json;

use crate::{backends::Build, cluster, evolution, install, shell};

/// Name and number of the cluster that is made where none is given.
const CLUSTER: (&str, u8) = ("rules", 3);

/// Every rule, and what it asks for.
const RULES: &[(&str, &str)] = &[
    ("A1", "the schema is structural, and its names are accepted"),
    ("A2", "every served version has a status subresource"),
    ("A3", "the scale subresource's paths resolve, and its selector is there"),
    ("A4", "conditions are a map list by type, with observedGeneration"),
    ("A5", "the status has observedGeneration"),
    ("A6", "there is no phase"),
    ("A7", "every array says how it merges"),
    ("A8", "there are no floating-point numbers"),
    ("A9", "there are no unsigned formats"),
    ("A10", "enum values are CamelCase"),
    ("A11", "strings, arrays and maps are bounded"),
    ("A12", "durations carry their unit"),
    ("A13", "no default inside of arrays"),
    ("A14", "nothing is required and has a default"),
    ("A15", "references stay in the namespace, and no secret is plain text"),
    ("A16", "the definition is small enough for a client-side apply"),
    ("A17", "what users have stays valid"),
    ("A18", "only spec and status beside the metadata"),
    ("A19", "every property is described"),
    ("B1", "the first status has all conditions"),
    ("B2", "Ready is never about an older generation"),
    ("B3", "kstatus sees progress, failure and the end"),
    ("B4", "transition times move with the status only"),
    ("B5", "the operator never moves the generation"),
    ("B6", "the operator owns nothing of the spec"),
    ("B7", "children come by server-side apply of one manager"),
    ("B8", "replicas belong to whoever wrote them last"),
    ("B9", "an idle ChatCluster sees no write"),
    ("B10", "admission that changes pods restarts nothing"),
    ("C1", "every child has one controller"),
    ("C2", "nothing waits for an operator that is gone"),
    ("C3", "nothing is made while it is being deleted"),
    ("C4", "every child has the recommended labels"),
    ("D1", "bad objects are refused with the field and the way out"),
    ("D2", "admission policies have no warnings"),
    ("D3", "no webhook is installed"),
    ("E1", "everything runs under Pod Security restricted"),
    ("E2", "roles are exact"),
    ("E3", "every tier has a disruption budget"),
    ("E4", "Events are typed, named and rare"),
    ("E5", "one version is stored"),
];

/// Checks every rule, and says which hold.
#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// Checks the cluster of this kubeconfig, which has the charts installed, and whose Services this machine reaches. A local cluster is made, and removed
    /// again, if absent.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How the table at the end is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What is known of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Broken,
    /// No test has its name.
    NotChecked,
}

impl Conformance {
    /// Runs it; an error where a rule is broken.
    pub(crate) fn run(self) -> Result<()> {
        let mut outcomes = Outcomes::default();
        let broken = evolution::run().is_err();
        outcomes.note("a17_the_definition_keeps_what_users_have", !broken);
        // These fail by their outcome, and the table tells.
        outcomes.watch(cargo(&["--test", "conventions", "--test", "refusals", "--", "--test-threads=2"]));
        match &self.kubeconfig {
            Some(kubeconfig) => outcomes.on(kubeconfig)?,
            None => {
                let kube = cluster::up(CLUSTER.0, CLUSTER.1)?;
                let checked = install::install(&kube, Build::default(), &[], false)
                    .and_then(|()| outcomes.on(&kube.kubeconfig()));
                kube.down()?;
                checked?;
            }
        }
        let verdicts = outcomes.verdicts();
        match self.output {
            Output::Table => print!("{}", table(&verdicts, &outcomes)),
            Output::Json => println!("{}", json(&verdicts, &outcomes)),
        }
        let broken: Vec<&str> =
            verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Broken).map(|(rule, _)| *rule).collect();
        if !broken.is_empty() {
            bail!("broken: {}", broken.join(", "));
        }
        Ok(())
    }
}

fn cargo(more: &[&str]) -> std::process::Command {
    let mut command = shell::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(more);
    command
}

/// What tests said, by name.
#[derive(Debug, Default)]
struct Outcomes(BTreeMap<String, bool>);

impl Outcomes {
    /// Runs the tests that need a cluster.
    fn on(&mut self, kubeconfig: &Path) -> Result<()> {
        let binaries = Binaries::build(&|line| println!("{line}"))?;
        let mut command = cargo(&["--test", "e2e", "--", "--ignored", "--test-threads=1"]);
        command.args(RULES.iter().map(|(rule, _)| format!("::{}_", rule.to_lowercase())));
        command.args(["::a3b_", "--skip", "long_"]);
        command
            .env("CHATCLUSTER_KUBECONFIG", kubeconfig)
            .env("CHATCLUSTER_HELM", &binaries.helm)
            .env("CHATCLUSTER_KUBECTL", &binaries.kubectl);
        self.watch(command);
        Ok(())
    }

    fn watch(&mut self, command: std::process::Command) {
        if let Err(error) = shell::run_watched(command, |line| self.line(line)) {
            println!("{error:#}");
        }
    }

    /// Takes a line of the test runner in.
    fn line(&mut self, line: &str) {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) else {
            return;
        };
        match outcome.trim() {
            "ok" => self.note(name, true),
            "FAILED" => self.note(name, false),
            _ => {}
        }
    }

    fn note(&mut self, name: &str, holds: bool) {
        self.0.insert(name.to_owned(), holds);
    }

    /// Tests with the rule in their names, which may have several in front.
    fn of(&self, rule: &str) -> BTreeMap<&str, bool> {
        let all = self.0.iter().map(|(name, holds)| (name.as_str(), *holds));
        all.filter(|(name, _)| rules_of(name).contains(rule)).collect()
    }

    fn verdicts(&self) -> Vec<(&'static str, Verdict)> {
        let one = |rule: &'static str| {
            let tests = self.of(rule);
            let verdict = match tests.values().all(|holds| *holds) {
                _ if tests.is_empty() => Verdict::NotChecked,
                true => Verdict::Holds,
                false => Verdict::Broken,
            };
            (rule, verdict)
        };
        RULES.iter().map(|(rule, _)| one(rule)).collect()
    }
}

/// The rules that stand in front of a test's name: A9 and A16 in `place::a9_a16_some_thing`.
fn rules_of(test: &str) -> BTreeSet<String> {
    let name = test.rsplit("::").next().unwrap_or(test);
    let is_rule = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|letter| ('a'..='e').contains(&letter))
            && letters.clone().next().is_some_and(|letter| letter.is_ascii_digit())
            && letters.all(|letter| letter.is_ascii_digit() || letter == 'b')
    };
    name.split('_').take_while(is_rule).map(|word| word.trim_end_matches('b').to_uppercase()).collect()
}

fn table(verdicts: &[(&str, Verdict)], outcomes: &Outcomes) -> String {
    let mut text = String::from("\n");
    for ((rule, verdict), (_, meaning)) in verdicts.iter().zip(RULES) {
        let (word, tests) = (word(*verdict), outcomes.of(rule).len());
        text += &format!("{rule:<4} {word:<12} {tests} tests  {meaning}\n");
    }
    let count = |wanted: Verdict| verdicts.iter().filter(|(_, verdict)| *verdict == wanted).count();
    let (holds, broken, open) = (count(Verdict::Holds), count(Verdict::Broken), count(Verdict::NotChecked));
    text + &format!("\n{holds} rules hold, {broken} are broken, {open} are not checked\n")
}

fn json(verdicts: &[(&str, Verdict)], outcomes: &Outcomes) -> serde_json::Value {
    let rules = verdicts.iter().zip(RULES).map(|((rule, verdict), (_, meaning))| {
        json!({ "rule": rule, "verdict": format!("{verdict:?}"), "meaning": meaning, "tests": outcomes.of(rule) })
    });
    json!({ "rules": rules.collect::<Vec<_>>() })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Broken => "BROKEN",
        Verdict::NotChecked => "not checked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_tell_their_rules() {
        let rules = |name| rules_of(name).into_iter().collect::<Vec<_>>();
        assert_eq!(rules("rules_a::a9_a16_a_client_side_apply"), ["A16", "A9"]);
        assert_eq!(rules("rules_a::a3b_the_scale"), ["A3"]);
        assert_eq!(rules("b10_admission"), ["B10"]);
        assert_eq!(rules("quickstart::c_typing_crosses"), [""; 0]);
        assert_eq!(rules("brokers::a_message"), [""; 0]);
    }

    #[test]
    fn one_broken_test_breaks_its_rule_and_none_is_no_proof() {
        let mut outcomes = Outcomes::default();
        for line in [
            "test x::b2_one ... ok",
            "test y::b2_two ... FAILED",
            "test b4_fine ... ok",
            "test b6_left_out ... ignored",
            "running 3 tests",
        ] {
            outcomes.line(line);
        }
        let verdicts: BTreeMap<&str, Verdict> = outcomes.verdicts().into_iter().collect();
        let of = |rule: &str| verdicts[rule];
        assert_eq!([of("B2"), of("B4"), of("B6")], [Verdict::Broken, Verdict::Holds, Verdict::NotChecked]);
        assert!(table(&outcomes.verdicts(), &outcomes).contains("B2   BROKEN       2 tests  Ready is never"));
    }
}
