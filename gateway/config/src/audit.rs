//! What lines of the audit log have in common, whoever writes them: gateways, the operator. `docs/reference/audit.md` lists all of it.

/// Target of all lines, by which they are told from others.
pub const TARGET: &str = "audit";

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is so now.
    Done,
    /// It was so already, or the request was a repeat.
    Unchanged,
    /// Who asked may not do it; carries why, as one fixed word.
    Denied(&'a str),
    /// It was allowed and did not succeed; carries why, as one fixed word.
    Failed(&'a str),
}

impl<'a> Outcome<'a> {
    /// The outcome in lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Denied(_) => "denied",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it is not done.
    #[must_use]
    pub const fn reason(self) -> Option<&'a str> {
        match self {
            Self::Done | Self::Unchanged => None,
            Self::Denied(reason) | Self::Failed(reason) => Some(reason),
        }
    }
}

/// Makes an enum of acts, each with its name in lines, and the list of all of them, which cannot lack one.
#[macro_export]
macro_rules! acts {
    ($(#[$about:meta])* $visible:vis enum $enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visible enum $enum {
            $($(#[$doc])* $variant,)+
        }

        impl $enum {
            /// All of them, in the order of the page.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The act in lines and in the documentation.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}
