//! Every bound of the plugin host, with its reason.

use std::time::Duration;

/// Largest component that is read: Rust plugins are 40 to 300 KB, script plugins up to 20 MB.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;

/// Largest manifest section: a page of text.
pub const MANIFEST_BYTES_MAX: usize = 16 << 10;

/// Longest description in a manifest, in characters: a sentence or two for a list.
pub const DESCRIPTION_CHARS_MAX: usize = 500;

/// Linear memory of one run, unless the manifest asks for less.
pub const MEMORY_BYTES: usize = 32 << 20;

/// Linear memory a manifest may ask for: the size of one slot of the pool.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Core instances of one component: its module and the two that the component tools add, and one
/// to spare.
pub const CORE_INSTANCES: u32 = 4;

/// Tables of one component: the module's own and the one that the component tools add.
pub const TABLES: u32 = 2;

/// Entries of one table: function pointers of a large plugin.
pub const TABLE_ELEMENTS: usize = 20_000;

/// Bytes a guest may hand over in one host call; lists and strings are copied.
pub const HOSTCALL_BYTES_MAX: usize = 1 << 20;

/// Handles a guest may hold: the call, and streams of its standard library.
pub const HANDLES_MAX: usize = 1_000;

/// Stack of the guest: 128 KiB hold about a thousand ordinary frames.
pub const WASM_STACK_BYTES: usize = 128 << 10;

/// Stack of the fiber: the guest's and what host calls need on top.
pub const FIBER_STACK_BYTES: usize = 256 << 10;

/// Running time between two host calls that take time. A menu needs well below 1 ms.
pub const BUDGET: Duration = Duration::from_millis(50);

/// Running time after the far end hung up: enough to write a summary.
pub const BUDGET_AFTER_HANGUP: Duration = Duration::from_secs(2);

/// Running time between two epoch ticks, and what one slice of fuel counts as in a simulation.
pub const TICK: Duration = Duration::from_millis(10);

/// The most that one slice counts as. The guest yields at the next epoch tick, so longer than two
/// it only lasts where the machine stood still, and that is not the plugin's fault.
pub const SLICE_MAX: Duration = Duration::from_millis(20);

/// Fuel of one slice in a simulation: about what an ordinary core executes in one tick.
pub const FUEL_PER_SLICE: u64 = 10_000_000;

/// Host calls answered with `hangup` after the far end is gone. A plugin that ignores the answer
/// so often will never return.
pub const CALLS_AFTER_HANGUP_MAX: u32 = 1_000;

/// Log lines that may come at once.
pub const LOG_LINES_BURST: u32 = 100;

/// Log lines a second that are kept in the long run.
pub const LOG_LINES_PER_SECOND: u32 = 20;

/// Bytes of a log line that are kept.
pub const LOG_LINE_BYTES_MAX: usize = 1_024;

/// Bytes of log lines of one run that are kept.
pub const LOG_BYTES_MAX: usize = 1 << 20;

/// Dropped log lines that make a fault: the plugin does nothing but log.
pub const LOG_LINES_DROPPED_MAX: u32 = 1_000;

/// Bytes of stderr kept between two host calls: a panic message and some context.
pub const STDERR_BYTES_MAX: usize = 4 << 10;

/// Characters of a fault's detail, fit for one line of a log and one column of a table.
pub const DETAIL_CHARS_MAX: usize = 512;

/// Prompts in one list: a spoken menu of ten entries needs about twenty.
pub const PROMPTS_MAX: usize = 64;

/// Characters of a text to be spoken: about two minutes.
pub const SAY_CHARS_MAX: usize = 2_000;

/// Characters of names: prompts, queues, agents, voices, kinds of value.
pub const NAME_CHARS_MAX: usize = 128;

/// Characters of an address that is dialled. RFC 3261 sets none; this is what UDP leaves room for.
pub const ADDRESS_CHARS_MAX: usize = 255;

/// Longest wait that one operation may ask for.
pub const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Facts remembered with one call.
pub const ATTRS_MAX: usize = 64;

/// Characters of a fact's key.
pub const ATTR_KEY_CHARS_MAX: usize = 64;

/// Characters of a fact's value.
pub const ATTR_VALUE_CHARS_MAX: usize = 1_024;

/// Digits of one gather: the wire type is eight bits, and nobody types more than a card number
/// and some.
pub const GATHER_DIGITS_MAX: u8 = 64;

/// Characters of the label a flow returns; a column of reports.
pub const LABEL_CHARS_MAX: usize = 64;

/// Characters of the detail a flow returns.
pub const OUTCOME_DETAIL_CHARS_MAX: usize = 1_024;

/// Random bytes in one call.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Depth of a configuration tree; TOML written by people stays below ten.
pub const CONFIG_DEPTH_MAX: usize = 32;

/// Good versions of a plugin kept beside the current one, to go back to at once.
pub const STANDBY_VERSIONS: usize = 2;

/// Faults within [`FAULT_WINDOW`] that make a version bad.
pub const FAULTS_MAX: usize = 5;

/// The window in which faults are counted.
pub const FAULT_WINDOW: Duration = Duration::from_secs(60);

/// How long a bad version is refused the first time; doubles each time.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(60);

/// How long a bad version is refused at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(3_600);

/// Bad versions remembered for each plugin.
pub const BAD_VERSIONS_MAX: usize = 8;

/// Plugins installed at the same time.
pub const PLUGINS_MAX: usize = 1_000;
