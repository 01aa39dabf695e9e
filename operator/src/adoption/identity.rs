//! Which operator this is.

use std::{fs::File, io, io::Read as _};

use sha2::{Digest as _, Sha256};

use crate::{args::Images, hash::Hasher};

/// Bytes read at once.
const PIECE: usize = 1 << 16;

/// Names this operator: its program and the images that it brings. Two with the same name make the same of the same spec.
///
/// # Errors
/// The program's file cannot be read.
pub fn identity(images: &Images) -> io::Result<String> {
    let mut file = File::open(std::env::current_exe()?)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => digest.update(piece.get(..read).unwrap_or_default()),
        }
    }
    let program = digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let Images { gateway, postgresql, rabbitmq, redis, haproxy } = images;
    let named = [&program, gateway, postgresql, rabbitmq, redis, haproxy];
    Ok(named.into_iter().fold(Hasher::new(), |hash, text| hash.text(text)).finish())
}
