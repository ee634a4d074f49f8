//! A first look at a file, before anything is compiled: is it a component, what does it import
//! and export, and where is its manifest.

use wasmparser::{Encoding, Parser, Payload};

use crate::error::{LoadError, cut};
use crate::limits;
use crate::manifest::SECTION;

/// What the outermost component says about itself.
#[derive(Default, Debug)]
pub(crate) struct Outline<'a> {
    /// Full names of its imports.
    pub(crate) imports: Vec<&'a str>,
    /// Full names of its exports.
    pub(crate) exports: Vec<&'a str>,
    /// The manifest section of the component or of a core module inside it.
    pub(crate) manifest: Option<&'a [u8]>,
}

/// Reads the outline. Nothing is validated beyond what reading takes; the compiler does the rest.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most sections are the compiler's business"
)]
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, LoadError> {
    if bytes.len() > limits::COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm);
    }
    let mut outline = Outline::default();
    // Zero before the outermost header was read, one inside the component itself.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(LoadError::CoreModule);
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(reader) if depth == 1 => {
                for import in reader {
                    outline.imports.push(import.map_err(damaged)?.name.name);
                }
            }
            Payload::ComponentExportSection(reader) if depth == 1 => {
                for export in reader {
                    outline.exports.push(export.map_err(damaged)?.name.name);
                }
            }
            // The outermost one counts: a composed component may carry its parts' manifests.
            Payload::CustomSection(section)
                if section.name() == SECTION && (depth == 1 || outline.manifest.is_none()) =>
            {
                outline.manifest = Some(section.data());
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn damaged(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Damaged {
        offset: error.offset(),
        reason: cut(error.message(), limits::DETAIL_CHARS_MAX),
    }
}
