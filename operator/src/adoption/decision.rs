//! Whether a workload gets the template that this operator makes, or keeps the one that it has. Pure.

use serde_json::Value;

use super::record::{Pending, Record, hash_of};

/// What this operator makes of the spec, for one workload.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// Identity of this operator.
    pub operator: String,
    /// Hash of what the template is made of.
    pub inputs: String,
    /// Hash of what pods of this template take while they run, and those of templates before it at their start only; it is in `inputs`, too.
    pub followed: Option<String>,
    /// The template.
    pub template: Value,
}

/// What becomes of one workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It gets the new template, which may be the one that it has.
    Apply(Record),
    /// It keeps its template; the new one waits.
    Keep(Record),
}

impl Decision {
    /// What is to stand on the workload.
    #[must_use]
    pub fn record(&self) -> &Record {
        let (Self::Apply(record) | Self::Keep(record)) = self;
        record
    }
}

/// Decides. `before` is what stands on the workload; `None` where there is none, or where nothing is known of how it was made.
///
/// A template that differs is the user's wish where this operator has made, or has already seen, another one before: it cannot have changed its mind. Where
/// another operator was the last to look, it is the user's wish if what it is made of has changed, too. All else is the operator's doing, and waits: until
/// something changes that pods of the template that is kept would never see.
#[must_use]
pub fn decide(before: Option<&Record>, now: Rendering) -> Decision {
    let Rendering { operator, inputs, followed, template } = now;
    let hash = hash_of(&template);
    let fresh = Record {
        operator: operator.clone(),
        inputs: inputs.clone(),
        followed: None,
        template,
        lasting: None,
        pending: None,
    };
    let Some(before) = before else { return Decision::Apply(fresh) };
    if hash_of(&before.template) == hash {
        return Decision::Apply(fresh);
    }
    let last = before.pending.as_ref().map_or(&before.operator, |pending| &pending.operator);
    let waits_already = before.pending.as_ref().is_some_and(|pending| pending.hash == hash);
    let is_asked_for = *last == operator || before.inputs != inputs;
    let is_unseen = waits_already && before.followed != followed;
    if is_asked_for && !waits_already || is_unseen {
        return Decision::Apply(fresh);
    }
    Decision::Keep(Record { inputs, followed, pending: Some(Pending { operator, hash }), ..before.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendering(operator: &str, inputs: &str, template: &str) -> Rendering {
        Rendering {
            operator: operator.to_owned(),
            inputs: inputs.to_owned(),
            followed: None,
            template: json!({ "t": template }),
        }
    }

    /// Passes of operators one after the other: operator, inputs, template, and whether the workload then has that template.
    fn course(passes: &[(&str, &str, &str, bool)]) {
        let mut record: Option<Record> = None;
        for (nth, (operator, inputs, template, is_applied)) in passes.iter().enumerate() {
            let decision = decide(record.as_ref(), rendering(operator, inputs, template));
            assert_eq!(matches!(decision, Decision::Apply(_)), *is_applied, "pass {nth}: {decision:?}");
            record = Some(decision.record().clone());
        }
    }

    #[test]
    fn a_new_operator_changes_nothing_and_neither_does_the_way_back() {
        course(&[
            ("n", "i", "a", true),
            ("n+1", "i", "b", false),
            ("n+1", "i", "b", false),
            ("n", "i", "a", true),
            ("n+1", "i", "b", false),
            ("n+2", "i", "c", false),
            ("n+2", "i", "c", false),
            ("n", "i", "a", true),
        ]);
    }

    #[test]
    fn what_the_user_changes_is_applied_at_once() {
        course(&[("n", "i", "a", true), ("n", "j", "b", true), ("n", "j", "c", true)]);
        // While something waits, too, and with it what waits. A change that does not reach this workload lets it wait on.
        course(&[("n", "i", "a", true), ("n+1", "i", "b", false), ("n+1", "j", "b", false), ("n+1", "j", "c", true)]);
        // And when both change between two passes.
        course(&[("n", "i", "a", true), ("n+1", "j", "b", true)]);
    }

    #[test]
    fn an_operator_that_makes_the_same_leaves_its_name() {
        let mut record = decide(None, rendering("n", "i", "a")).record().clone();
        record = decide(Some(&record), rendering("n+1", "i", "a")).record().clone();
        assert_eq!((record.operator.as_str(), &record.pending), ("n+1", &None));
        // So that a change of what is in no input, such as a new certificate, is known to be nobody else's.
        assert!(matches!(decide(Some(&record), rendering("n+1", "i", "b")), Decision::Apply(_)));
    }

    #[test]
    fn what_a_kept_template_would_never_see_brings_the_new_one() {
        let with = |operator, certificate: &str, template| Rendering {
            followed: Some(certificate.to_owned()),
            ..rendering(operator, certificate, template)
        };
        // Before, the certificate was in the template's hash, and nobody noted it.
        let mut record = decide(None, rendering("n", "old", "a")).record().clone();
        for _ in 0..2 {
            let decision = decide(Some(&record), with("n+1", "old", "b"));
            assert!(matches!(decision, Decision::Keep(_)), "{decision:?}");
            record = decision.record().clone();
        }
        let decision = decide(Some(&record), with("n+1", "renewed", "b"));
        assert!(matches!(&decision, Decision::Apply(record) if record.followed.is_none()), "{decision:?}");
        record = decision.record().clone();
        let decision = decide(Some(&record), with("n+1", "renewed again", "b"));
        assert_eq!(
            hash_of(&decision.record().template),
            hash_of(&record.template),
            "it is followed, and no pod is replaced"
        );
    }

    #[test]
    fn what_was_garbled_is_unknown() {
        let text = decide(None, rendering("n", "i", "a")).record().write();
        assert!(Record::read(Some(&text)).is_some());
        for garbled in [String::new(), "{}".to_owned(), text.replace("template", "tampered")] {
            assert_eq!(Record::read(Some(&garbled)), None, "{garbled}");
        }
        assert_eq!(Record::read(None), None);
    }
}
