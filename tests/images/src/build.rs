//! Puts the parts together: from the cache when nothing changed, else anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::accounts;
use crate::backends::{self, Recipe};
use crate::cache::{Slot, cache_dir};
use crate::certificates;
use crate::debian;
use crate::elf;
use crate::error::Error;
use crate::hashing::sha256_of_parts;
use crate::layer::Layer;
use crate::oci::{BuiltImage, Settings, write_archive, write_variants};
use crate::programs::{self, Profile, Program};

/// The name before the slash of every image. It is no registry: the images are imported, never pulled.
pub const REGISTRY: &str = "chatcluster.dev";

/// The tag of our own programs' images.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the broken gateways of the tests can have, each an image: the names in `tests/broken-gateway`.
pub const FAULTS: [&str; 8] = ["delay", "drop", "unready", "silent", "lose", "twice", "reorder", "mute"];

/// Part of every cache key: to be raised when the code of this crate would make other images of the same inputs.
const FORMAT: &str = "1";

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// How our programs are compiled.
    pub profile: Profile,
    /// Makes the backends' images anew even when cached, to get newer Debian packages.
    pub refresh: bool,
    /// Where images are kept.
    pub folder: PathBuf,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { profile: Profile::default(), refresh: false, folder: cache_dir().join("images") }
    }
}

/// Builds every image: both programs, then the backends. `progress` gets one line for each step that may take a while.
///
/// # Errors
/// See [`Error`]; the first failure ends the whole build.
pub fn build_all(progress: &dyn Fn(&str), options: &BuildOptions) -> Result<Vec<BuiltImage>, Error> {
    progress("compiling chat-gateway and chat-operator");
    let mut images = Vec::new();
    for (program, binary) in programs::compile(&Program::ALL, options.profile)? {
        images.push(build_program(program, &binary, progress, options)?);
    }
    for recipe in backends::ALL {
        images.push(build_backend(recipe, progress, options)?);
    }
    Ok(images)
}

/// Builds the scratch image of one program from its static binary.
///
/// # Errors
/// [`Error::NotStatic`] when the binary needs anything beside itself; else when a file cannot be read or written.
pub fn build_program(
    program: Program,
    binary: &Path,
    progress: &dyn Fn(&str),
    options: &BuildOptions,
) -> Result<BuiltImage, Error> {
    pack(
        program,
        binary,
        &[Variant { reference: format!("{REGISTRY}/{}:{VERSION}", program.name()), environment: None }],
        progress,
        options,
    )
}

/// Compiles the broken gateway and packs one image for each fault, `chat-gateway:broken-FAULT`, all of them in one archive.
///
/// # Errors
/// As [`build_program`], or when it does not compile.
pub fn build_broken_gateways(progress: &dyn Fn(&str), options: &BuildOptions) -> Result<BuiltImage, Error> {
    progress("compiling broken-gateway");
    let built = programs::compile(&[Program::BrokenGateway], options.profile)?;
    let name = Program::BrokenGateway.name();
    let binary = built.get(&Program::BrokenGateway).ok_or(Error::NotBuilt(name))?;
    let variants = FAULTS.map(|fault| Variant {
        reference: format!("{REGISTRY}/{}:broken-{fault}", Program::Gateway.name()),
        environment: Some(format!("BROKEN={fault}")),
    });
    pack(Program::BrokenGateway, binary, &variants, progress, options)
}

/// One image of a program.
struct Variant {
    reference: String,
    /// A `NAME=value` pair of its own.
    environment: Option<String>,
}

fn pack(
    program: Program,
    binary: &Path,
    variants: &[Variant],
    progress: &dyn Fn(&str),
    options: &BuildOptions,
) -> Result<BuiltImage, Error> {
    let references: Vec<&str> = variants.iter().map(|variant| variant.reference.as_str()).collect();
    let reference = references.join(" ");
    let bytes = fs::read(binary).map_err(Error::file(binary))?;
    elf::require_static(binary, &bytes)?;
    let certificates = certificates::bundle()?;
    let key = sha256_of_parts([FORMAT.as_bytes(), reference.as_bytes(), &bytes, &certificates]);
    let slot = Slot::new(options.folder.clone(), program.name(), &key)?;
    if let Some(image) = slot.find(&reference) {
        return Ok(image);
    }
    progress(&format!("packing {reference}"));
    let mut layer = Layer::default();
    accounts::add_to(&mut layer);
    layer.file("etc/ssl/certs/ca-certificates.crt", 0o644, certificates);
    layer.file(&format!("usr/bin/{}", program.name()), 0o755, bytes);
    let settings = |variant: &Variant| Settings {
        reference: variant.reference.clone(),
        entrypoint: vec![format!("/usr/bin/{}", program.name())],
        environment: programs::ENVIRONMENT.map(str::to_owned).into_iter().chain(variant.environment.clone()).collect(),
        ports: program.ports().to_vec(),
        stop_signal: None,
    };
    let all: Vec<Settings> = variants.iter().map(settings).collect();
    let image = write_variants(&slot.archive(), &all, &layer)?;
    slot.keep(&image)?;
    Ok(BuiltImage { reference, ..image })
}

/// Builds the image of one backend from Debian packages.
///
/// # Errors
/// When mmdebstrap is missing or fails, or a file cannot be written.
pub fn build_backend(recipe: &Recipe, progress: &dyn Fn(&str), options: &BuildOptions) -> Result<BuiltImage, Error> {
    let reference = format!("{REGISTRY}/{}:{}", recipe.name, recipe.tag);
    let inputs = format!("{recipe:?}{:?}{:?}{}", recipe.all_packages(), backends::UNNEEDED, debian::SUITE);
    let slot =
        Slot::new(options.folder.clone(), recipe.name, &sha256_of_parts([FORMAT.as_bytes(), inputs.as_bytes()]))?;
    if let Some(image) = slot.find(&reference).filter(|_| !options.refresh) {
        return Ok(image);
    }
    progress(&format!("building {reference} from Debian packages (about 10 seconds)"));
    let layer = backend_layer(recipe)?;
    let settings = Settings {
        reference,
        entrypoint: vec!["/entrypoint.sh".to_owned()],
        environment: recipe.environment.iter().map(|&pair| pair.to_owned()).collect(),
        ports: vec![recipe.port],
        stop_signal: Some(recipe.stop_signal.to_owned()),
    };
    let image = write_archive(&slot.archive(), &settings, &layer)?;
    slot.keep(&image)?;
    Ok(image)
}

fn backend_layer(recipe: &Recipe) -> Result<Layer, Error> {
    let mut layer = debian::unpack(&recipe.all_packages(), |path| recipe.keeps(path))?;
    accounts::add_to(&mut layer);
    layer.file("entrypoint.sh", 0o755, recipe.entrypoint.as_bytes().to_vec());
    for folder in recipe.folders {
        layer.directory(folder, 0o700, accounts::APP);
    }
    Ok(layer)
}
