//! Long runs, which end by themselves.

use std::ffi::OsString;

use anyhow::Result;
use clap::Subcommand;

use crate::bench;

/// What runs for long.
#[derive(Debug, Subcommand)]
pub(crate) enum Soak {
    /// Moves slots between several shards while they are written to, and kills movers and servers; `cargo xtask soak moves -- --help` tells
    /// what can be chosen.
    Moves {
        /// For the program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

impl Soak {
    pub(crate) fn run(self) -> Result<()> {
        let Self::Moves { args } = self;
        bench::moves("soak", &args)
    }
}
