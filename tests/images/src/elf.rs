//! Tells whether a program can run in an image that holds nothing else.

use std::path::Path;

use crate::error::Error;

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;

/// Passes when the x86-64 ELF file asks for neither an interpreter nor a shared library.
///
/// # Errors
/// [`Error::NotStatic`] with the reason otherwise. `path` is only named, not read.
pub fn require_static(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match obstacle(bytes) {
        None => Ok(()),
        Some(reason) => Err(Error::NotStatic { path: path.to_owned(), reason: reason.to_owned() }),
    }
}

fn obstacle(bytes: &[u8]) -> Option<&'static str> {
    // Magic, 64 bit, little endian; machine 62 is x86-64.
    if !bytes.starts_with(b"\x7fELF\x02\x01") || u16_at(bytes, 18) != Some(62) {
        return Some("it is no x86-64 ELF file");
    }
    let (Some(table), Some(size), Some(count)) = (u64_at(bytes, 32), u16_at(bytes, 54), u16_at(bytes, 56)) else {
        return Some("its header is cut short");
    };
    for number in 0..u64::from(count) {
        let header = table + number * u64::from(size);
        match u32_at(bytes, header) {
            None => return Some("its program headers are cut short"),
            Some(PT_INTERP) => return Some("it asks for a dynamic loader"),
            Some(PT_DYNAMIC) if needs_library(bytes, header) => {
                return Some("it asks for shared libraries");
            }
            Some(_) => {}
        }
    }
    None
}

/// A static-pie binary has a dynamic section too, but one that names no library.
fn needs_library(bytes: &[u8], header: u64) -> bool {
    let (Some(start), Some(length)) = (u64_at(bytes, header + 8), u64_at(bytes, header + 32)) else {
        return true;
    };
    (0..length / 16)
        .map_while(|number| u64_at(bytes, start + number * 16))
        .take_while(|tag| *tag != DT_NULL)
        .any(|tag| tag == DT_NEEDED)
}

fn array<const N: usize>(bytes: &[u8], at: u64) -> Option<[u8; N]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: u64) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: u64) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: u64) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_binary_is_static() {
        // The whole workspace is built with a static C runtime, so the running test is the nearest example.
        let path = std::env::current_exe().unwrap();
        require_static(&path, &std::fs::read(&path).unwrap()).unwrap();
    }

    #[test]
    fn refuses_programs_of_the_system() {
        let path = Path::new("/bin/ls");
        let error = require_static(path, &std::fs::read(path).unwrap()).unwrap_err();
        assert!(error.to_string().contains("dynamic loader"), "{error}");
    }

    #[test]
    fn refuses_scripts_and_cut_files() {
        assert!(obstacle(b"#!/bin/sh\n").is_some());
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(obstacle(&whole[..60]).is_some());
    }
}
