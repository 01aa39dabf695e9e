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

/// Checks every rule, and says which hold. For clusters that may be disturbed: meanwhile the operator is scaled to 0 and back, its Helm release is upgraded
/// with the chart of this working tree, and admission policies are installed.
///
/// With --kubeconfig these befall your cluster: the Deployment chat-operator in the namespace chat-system is scaled to 0 and back to 1 (rule C2); its Helm
/// release of that name is upgraded with the chart of this working tree, to two replicas and back to one, and a pod of it is deleted (rule B5); two
/// MutatingAdmissionPolicies change pods, Deployments and StatefulSets of the namespace e2e-b10 for a while (rule B10). While the operator is away, no ChatCluster
/// of the cluster is served.
///
/// Fails where a rule is broken or was not checked, and where the tests could not be built or run.
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

/// The name under which the comparison with the baseline counts: it is a step and no test.
const EVOLUTION: &str = "a17_the_definition_keeps_what_users_have";

/// What is known of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Broken,
    /// No test has its name.
    NotChecked,
}

impl Conformance {
    /// Runs it; an error where a rule is broken or was not checked, or where tests could not run.
    pub(crate) fn run(self) -> Result<()> {
        let mut outcomes = Outcomes::default();
        let kept = evolution::run();
        if let Err(error) = &kept {
            println!("{error:#}");
        }
        outcomes.note(EVOLUTION, kept.is_ok());
        outcomes.watch(cargo(&["--test", "conventions", "--test", "refusals", "--", "--test-threads=2"]));
        match &self.kubeconfig {
            Some(kubeconfig) => outcomes.on(kubeconfig)?,
            None => {
                let kube = cluster::up(CLUSTER.0, CLUSTER.1)?;
                let checked = install::install(&kube, Build::default(), &[], false)
                    .and_then(|()| outcomes.on(&kube.kubeconfig()));
                // Why the rules were not checked goes first, and the table follows only what was.
                checked.and(kube.down().map_err(Into::into))?;
            }
        }
        let verdicts = outcomes.verdicts();
        match self.output {
            Output::Table => print!("{}", table(&verdicts, &outcomes)),
            Output::Json => println!("{}", json(&verdicts, &outcomes)),
        }
        outcomes.judge(&verdicts)
    }
}

fn cargo(more: &[&str]) -> std::process::Command {
    let mut command = shell::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(more);
    command
}

/// What tests said.
#[derive(Debug, Default)]
struct Outcomes {
    /// Whether they passed, by name.
    tests: BTreeMap<String, bool>,
    /// Why test programs ended in a way that no failed test explains: they were not compiled, or did not come to their end.
    unexplained: Vec<String>,
}

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
        let before = self.failed().count();
        let ended = shell::run_watched(command, |line| self.line(line));
        if let Err(error) = ended {
            println!("{error:#}");
            // With a failed test the table tells why.
            if self.failed().count() == before {
                self.unexplained.push(format!("{error:#}; what it printed above says why"));
            }
        }
    }

    /// Names of the tests that failed.
    fn failed(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().filter(|(_, holds)| !**holds).map(|(name, _)| name.as_str())
    }

    /// An error that names all that keeps the rules from being shown to hold, and what to do.
    fn judge(&self, verdicts: &[(&str, Verdict)]) -> Result<()> {
        let with = |wanted: Verdict| -> Vec<&str> {
            verdicts.iter().filter(|(_, verdict)| *verdict == wanted).map(|(rule, _)| *rule).collect()
        };
        let (broken, open) = (with(Verdict::Broken), with(Verdict::NotChecked));
        let of_none: Vec<&str> = self.failed().filter(|name| rules_of(name).is_empty()).collect();
        let mut problems = self.unexplained.clone();
        if !broken.is_empty() {
            problems.push(format!("broken: {}", broken.join(", ")));
        }
        if !of_none.is_empty() {
            problems.push(format!("failed, and belong to no rule: {}", of_none.join(", ")));
        }
        if !open.is_empty() {
            problems.push(format!(
                "not checked: {}; no test of theirs came to its end. Look above for why the tests did not run; if one was renamed or removed, give its rule a \
                 test whose name begins with it, as in b2_no_stale_ready",
                open.join(", ")
            ));
        }
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        Ok(())
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
        // Test programs may have tests of the same name; all of them count.
        self.tests.entry(name.to_owned()).and_modify(|all| *all &= holds).or_insert(holds);
    }

    /// Tests with the rule in their names, which may have several in front.
    fn of(&self, rule: &str) -> BTreeMap<&str, bool> {
        let all = self.tests.iter().map(|(name, holds)| (name.as_str(), *holds));
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

    #[test]
    fn a_rule_without_a_verdict_and_an_end_without_a_reason_are_errors() {
        let mut outcomes = Outcomes::default();
        for (rule, _) in RULES.iter().filter(|(rule, _)| *rule != "B6") {
            outcomes.note(&format!("x::{}_some_thing", rule.to_lowercase()), true);
        }
        let said = |outcomes: &Outcomes| outcomes.judge(&outcomes.verdicts()).map_err(|error| format!("{error:#}"));
        assert!(said(&outcomes).unwrap_err().starts_with("not checked: B6; "));
        outcomes.note("x::b6_some_thing", true);
        assert_eq!(said(&outcomes), Ok(()));
        outcomes.watch(shell::command("false", &[]));
        assert!(said(&outcomes).unwrap_err().contains("false ended with"));
        outcomes.unexplained.clear();
        outcomes.note("x::some_thing", false);
        assert_eq!(said(&outcomes), Err("failed, and belong to no rule: x::some_thing".to_owned()));
    }

    #[test]
    fn a_test_fails_in_one_program_and_passes_in_another() {
        let mut outcomes = Outcomes::default();
        outcomes.note("a9_some_thing", false);
        outcomes.note("a9_some_thing", true);
        assert_eq!(outcomes.failed().collect::<Vec<_>>(), ["a9_some_thing"]);
    }

    #[test]
    fn every_rule_has_a_test_and_every_test_a_rule() {
        let mut names = vec![EVOLUTION.to_owned()];
        for place in ["crds/tests/conventions.rs", "crds/tests/refusals.rs", "tests/e2e/tests/e2e"] {
            tests_in(&crate::paths::root().join(place), &mut names);
        }
        let tested: BTreeSet<String> = names.iter().flat_map(|name| rules_of(name)).collect();
        let rules: BTreeSet<String> = RULES.iter().map(|(rule, _)| (*rule).to_owned()).collect();
        assert_eq!(tested, rules);
    }

    /// Names of the test functions in a file, or in all files of a folder.
    fn tests_in(place: &Path, names: &mut Vec<String>) {
        if place.is_dir() {
            for entry in std::fs::read_dir(place).unwrap() {
                tests_in(&entry.unwrap().path(), names);
            }
            return;
        }
        let text = std::fs::read_to_string(place).unwrap();
        let mut is_test = false;
        for line in text.lines() {
            if line.starts_with("#[") {
                is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
                continue;
            }
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let Some((name, _)) = function.filter(|_| is_test).and_then(|rest| rest.split_once('(')) {
                names.push(name.to_owned());
            }
            is_test = false;
        }
    }
}
