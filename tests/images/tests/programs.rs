//! The images of our own programs: reproducible, static, unprivileged.

#![allow(clippy::expect_used, reason = "a test is to end where something is missing")]

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;

use images::programs::{ENVIRONMENT, Program};
use images::{BuildOptions, Error, build_program};

/// The running test is a static binary of this workspace, which is all that an image of a program asks for.
fn this_binary() -> std::path::PathBuf {
    std::env::current_exe().expect("a running program has a path")
}

fn options(folder: &Path) -> BuildOptions {
    BuildOptions { folder: folder.to_owned(), ..BuildOptions::default() }
}

#[test]
fn building_twice_gives_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let images = folders
        .each_ref()
        .map(|folder| build_program(Program::Gateway, &this_binary(), &|_| {}, &options(folder.path())).unwrap());
    assert_eq!(images[0].digest, images[1].digest);
    assert_eq!(std::fs::read(&images[0].tar).unwrap(), std::fs::read(&images[1].tar).unwrap());
}

#[test]
fn the_second_time_comes_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let steps = RefCell::new(Vec::new());
    for _ in 0..2 {
        build_program(
            Program::Operator,
            &this_binary(),
            &|line| steps.borrow_mut().push(line.to_owned()),
            &options(folder.path()),
        )
        .unwrap();
    }
    assert_eq!(steps.into_inner(), [format!("packing chatcluster.dev/chat-operator:{}", images::build::VERSION)]);
}

#[test]
fn a_program_that_needs_libraries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = build_program(Program::Gateway, Path::new("/bin/ls"), &|_| {}, &options(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NotStatic { .. }), "{error}");
}

#[test]
fn the_archive_names_its_image_and_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let image = build_program(Program::Gateway, &this_binary(), &|_| {}, &options(folder.path())).unwrap();
    let mut archive = tar::Archive::new(std::fs::File::open(&image.tar).unwrap());
    let mut texts = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.size() < 10_000 {
            entry.read_to_string(&mut texts).unwrap();
        }
    }
    assert!(texts.contains(&format!(r#""io.containerd.image.name":"{}""#, image.reference)), "{texts}");
    assert!(texts.contains(r#""User":"65532:65532""#), "{texts}");
    assert!(texts.contains(r#""Entrypoint":["/usr/bin/chat-gateway"]"#), "{texts}");
}

/// A file of the workspace.
fn of_workspace(path: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_containerfiles_make_images_that_are_run_in_the_same_way() {
    for program in Program::ALL {
        let name = program.name();
        let path = format!("{}/Containerfile", name.trim_start_matches("chat-"));
        let text = of_workspace(&path);
        let last_stage: Vec<&str> = text.lines().skip_while(|line| *line != "FROM scratch").collect();
        let ports: Vec<String> = program.ports().iter().map(u16::to_string).collect();
        let mut wanted = ENVIRONMENT.map(|pair| format!("ENV {pair}")).to_vec();
        wanted.push(format!("EXPOSE {}", ports.join(" ")));
        wanted.push(format!("USER {}", images::accounts::user()));
        wanted.push(format!("ENTRYPOINT [\"/usr/bin/{name}\"]"));
        for line in wanted {
            assert!(last_stage.contains(&line.as_str()), "{path} lacks {line:?}: {last_stage:?}");
        }
    }
    assert_eq!(of_workspace(".containerignore"), of_workspace(".dockerignore"));
}
