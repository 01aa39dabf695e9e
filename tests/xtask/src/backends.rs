//! The container images: our two programs, and the servers of the managed backends.

use anyhow::Result;
use images::{BuildOptions, BuiltImage, programs::Profile};
use localkube::Prerequisites;

/// How images are built.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Build {
    /// Optimises our programs, which takes some minutes more: to look at memory and speed. Without it they are what tests run.
    #[arg(long)]
    pub(crate) release: bool,
}

/// Builds our programs, then all images that are not in the cache; with `refresh`, the Debian ones in any case.
pub(crate) fn images(build: Build, refresh: bool) -> Result<Vec<BuiltImage>> {
    Prerequisites::ensure()?;
    let profile = if build.release { Profile::Release } else { Profile::Tests };
    let options = BuildOptions { refresh, profile, ..BuildOptions::default() };
    Ok(images::build_all(&|line| println!("{line}"), &options)?)
}

/// Builds the images of gateways with a fault, which only tests run.
pub(crate) fn broken_gateways() -> Result<BuiltImage> {
    Ok(images::build_broken_gateways(&|line| println!("{line}"), &BuildOptions::default())?)
}

/// Builds the image of RabbitMQ that its own operator starts, which only tests run.
pub(crate) fn rabbitmq_for_operator() -> Result<BuiltImage> {
    let recipe = &images::backends::RABBITMQ_FOR_OPERATOR;
    Ok(images::build_backend(recipe, &|line| println!("{line}"), &BuildOptions::default())?)
}

/// Unpacks the servers of the images for tests beside Kubernetes, unless they are there.
pub(crate) fn servers() -> Result<()> {
    Prerequisites::ensure()?;
    Ok(images::servers::ensure_all(&|line| println!("{line}"))?)
}

/// One line an image.
pub(crate) fn print(built: &[BuiltImage]) {
    for image in built {
        println!("{:>7.1} MB  {:<45} {}", megabytes(image.size), image.reference, image.tar.display());
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size for a person to read")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
