//! Why a component is refused. Each message is one line, names what to change, and holds nothing
//! of the host's insides.

use crate::limits;

/// Why a component cannot become a plugin. The version that is running, if any, stays.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// More bytes than are read.
    #[error(
        "the file is {bytes} bytes; at most {} are read",
        limits::COMPONENT_BYTES_MAX
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not WebAssembly at all: no magic number.
    #[error("not a WebAssembly file")]
    NotWasm,
    /// A core module instead of a component.
    #[error("a core WebAssembly module, not a component; build for the target wasm32-wasip2")]
    CoreModule,
    /// It begins well and then breaks off or goes wrong.
    #[error("damaged WebAssembly at byte {offset}: {reason}")]
    Damaged {
        /// Where reading failed.
        offset: usize,
        /// What was found.
        reason: String,
    },
    /// No manifest section.
    #[error("no manifest: the component has no custom section named \"jackfield:manifest\"")]
    NoManifest,
    /// A manifest that makes no sense.
    #[error("bad manifest: {reason}")]
    BadManifest {
        /// What to change, with the line if known.
        reason: String,
    },
    /// It does not export what its world asks for.
    #[error("wrong world: a plugin of this host exports {wants}; this component exports {has}")]
    WrongWorld {
        /// The export that is missing.
        wants: &'static str,
        /// What it exports instead.
        has: String,
    },
    /// It imports something that plugins cannot have.
    #[error("it imports {import}, which plugins cannot have")]
    UnknownImport {
        /// The import's full name.
        import: String,
    },
    /// An import or export has the right name and the wrong type: it was built against another
    /// draft of the interface.
    #[error("built against another interface: {reason}")]
    Mismatch {
        /// What differs.
        reason: String,
    },
    /// The compiler refused it.
    #[error("cannot be compiled: {reason}")]
    Compile {
        /// What it says.
        reason: String,
    },
}

/// Why the host itself could not be set up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the plugin host cannot start: {reason}")]
pub struct HostError {
    /// What the engine says, in one line.
    pub reason: String,
}

/// A chain of causes as one line of bounded length, without the host's backtrace.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        let first = cause.lines().next().unwrap_or_default().trim();
        // The guest's backtrace is a cause of its own, and its first line says nothing.
        let backtrace = first.starts_with("error while executing at wasm backtrace");
        if first.is_empty() || backtrace || text.ends_with(first) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(first);
    }
    cut(&text, limits::DETAIL_CHARS_MAX)
}

/// The first `chars` characters, with control characters turned into spaces.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    text.chars()
        .take(chars)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
