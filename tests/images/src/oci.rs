//! The OCI image layout: layer, configuration, manifest and index in one archive.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::accounts;
use crate::error::Error;
use crate::hashing::{HashingWriter, sha256};
use crate::layer::Layer;

/// What the container engine is told about an image.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Name and tag, such as `chatcluster.dev/redis:8`.
    pub reference: String,
    /// The program with its leading arguments, absolute.
    pub entrypoint: Vec<String>,
    /// `NAME=value` pairs.
    pub environment: Vec<String>,
    /// TCP ports that the program listens on.
    pub ports: Vec<u16>,
    /// The signal that asks the program to end; the engine's default is SIGTERM.
    pub stop_signal: Option<String>,
}

/// An image as an archive on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltImage {
    /// Name and tag.
    pub reference: String,
    /// The OCI layout archive.
    pub tar: PathBuf,
    /// Digest of the manifest (`sha256:…`): equal digests are equal images.
    pub digest: String,
    /// Length of the archive in bytes.
    pub size: u64,
}

/// Writes the image to `archive`, by way of a temporary file beside it, so that a half-written archive is never found.
///
/// # Errors
/// When the folder of `archive` cannot be written to.
pub fn write_archive(archive: &Path, settings: &Settings, layer: &Layer) -> Result<BuiltImage, Error> {
    write_variants(archive, std::slice::from_ref(settings), layer)
}

/// As [`write_archive`], with several images of the same layer in one archive: at least one. Digest and reference are the first one's.
///
/// # Errors
/// As [`write_archive`].
pub fn write_variants(archive: &Path, variants: &[Settings], layer: &Layer) -> Result<BuiltImage, Error> {
    let folder = archive.parent().unwrap_or(Path::new("."));
    let reference = variants.first().map(|settings| settings.reference.clone()).unwrap_or_default();
    let failed = |source| Error::Archive { image: reference.clone(), source };

    let (mut blob, layer_digest, layer_size) = layer
        .write(HashingWriter::new(BufWriter::new(tempfile::tempfile_in(folder).map_err(Error::file(folder))?)))
        .map_err(failed)?
        .finish();
    blob.flush().map_err(failed)?;
    let mut blob = blob.into_inner().map_err(|error| failed(error.into_error()))?;
    blob.rewind().map_err(failed)?;

    let all: Vec<Described> =
        variants.iter().map(|settings| Described::new(settings, &layer_digest, layer_size)).collect();
    let digest = all.first().map(Described::digest).unwrap_or_default();
    let index = index_json(&all).to_string();

    let file = tempfile::NamedTempFile::new_in(folder).map_err(Error::file(folder))?;
    let mut writer = Builder::new(BufWriter::new(file));
    let blobs = "blobs/sha256";
    let mut write = || -> std::io::Result<()> {
        add_text(&mut writer, "oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        add_text(&mut writer, "index.json", &index)?;
        for text in all.iter().flat_map(|image| [&image.manifest, &image.config]) {
            add_text(&mut writer, &format!("{blobs}/{}", sha256(text.as_bytes())), text)?;
        }
        add(&mut writer, &format!("{blobs}/{layer_digest}"), layer_size, &mut blob)
    };
    write().map_err(failed)?;
    let file = writer.into_inner().map_err(failed)?.into_inner().map_err(|error| failed(error.into_error()))?;
    file.persist(archive).map_err(|error| Error::File { path: archive.to_owned(), source: error.error })?;
    let size = File::open(archive).and_then(|file| file.metadata()).map_err(Error::file(archive))?.len();
    Ok(BuiltImage { reference, tar: archive.to_owned(), digest, size })
}

/// What an archive says of one image.
struct Described {
    reference: String,
    config: String,
    manifest: String,
}

impl Described {
    fn new(settings: &Settings, layer_digest: &str, layer_size: u64) -> Self {
        let config = config_json(settings, layer_digest).to_string();
        let manifest = manifest_json(&config, layer_digest, layer_size).to_string();
        Self { reference: settings.reference.clone(), config, manifest }
    }

    fn digest(&self) -> String {
        format!("sha256:{}", sha256(self.manifest.as_bytes()))
    }
}

fn config_json(settings: &Settings, layer_digest: &str) -> Value {
    let ports: serde_json::Map<String, Value> =
        settings.ports.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
    let mut config = json!({
        "User": accounts::user(),
        "Entrypoint": settings.entrypoint,
        "Env": settings.environment,
        "WorkingDir": "/",
        "ExposedPorts": ports,
    });
    if let Some(signal) = &settings.stop_signal {
        config["StopSignal"] = json!(signal);
    }
    json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask images" }],
    })
}

fn manifest_json(config: &str, layer_digest: &str, layer_size: u64) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{}", sha256(config.as_bytes())),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{layer_digest}"),
            "size": layer_size,
        }],
    })
}

fn index_json(images: &[Described]) -> Value {
    let one = |image: &Described| {
        let tag = image.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": image.digest(),
            "size": image.manifest.len(),
            "platform": { "architecture": "amd64", "os": "linux" },
            "annotations": {
                "io.containerd.image.name": image.reference,
                "org.opencontainers.image.ref.name": tag,
            },
        })
    };
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": images.iter().map(one).collect::<Vec<_>>(),
    })
}

fn add_text<W: Write>(writer: &mut Builder<W>, path: &str, text: &str) -> std::io::Result<()> {
    add(writer, path, text.len() as u64, &mut text.as_bytes())
}

fn add<W: Write>(writer: &mut Builder<W>, path: &str, size: u64, content: &mut dyn Read) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(size);
    writer.append_data(&mut header, path, content)
}
