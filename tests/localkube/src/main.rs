//! `localkube up|control-plane|down|status NAME INDEX`: the library as a program of its own, which the crash tests can kill.
//! For everything else there is `cargo xtask cluster`.

use std::{env, error::Error, process::ExitCode};

use localkube::{Cluster, ClusterConfig, Extent};

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [action, name, index] = arguments else {
        return Err("usage: localkube up|control-plane|down|status NAME INDEX".into());
    };
    let cluster = Cluster::new(ClusterConfig { name: name.clone(), index: index.parse()? })?;
    match action.as_str() {
        "up" => cluster.up()?,
        "control-plane" => cluster.with_extent(Extent::ControlPlane).up()?,
        "down" => cluster.down()?,
        "status" => println!("{}", serde_json::to_string_pretty(&cluster.status()?)?),
        other => return Err(format!("unknown action {other}").into()),
    }
    Ok(())
}
