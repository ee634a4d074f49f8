//! The bounds of a menu tree, each with its reason.

/// Menus in one tree: a hotline that nobody finds through has fewer.
pub const MENUS_MAX: usize = 200;

/// Prompts in one list: the host takes 64 at once, and a menu's own, an announcement before it
/// and an apology for a wrong key are played together.
pub const PROMPTS_MAX: usize = 20;

/// Digits of one option: a short extension.
pub const OPTION_DIGITS_MAX: usize = 8;

/// Depth of the configuration's JSON: twice what the deepest actions need. The host's own bound is
/// the same.
pub const JSON_DEPTH_MAX: usize = 32;

/// Digits asked for at once: the host's own bound.
pub const COLLECT_DIGITS_MAX: u64 = 64;

/// Actions inside actions (`then`, `failed`, `open`, ...): deeper is a menu in disguise.
pub const DEPTH_MAX: usize = 8;

/// Menus that `back` remembers; the oldest is forgotten.
pub const HISTORY_MAX: usize = 16;

/// Tries without one good choice, over all menus, before the call ends: a line that nobody holds
/// any more must not go round for ever through `on_failure`.
pub const FRUITLESS_MAX: u32 = 9;

/// Menus named in the outcome's detail, which the host bounds at 1,024 characters.
pub const TRAIL_MAX: usize = 20;

/// Problems reported at once: after so many, one mistake is likely behind most.
pub const PROBLEMS_MAX: usize = 40;

/// Longest wait for a key, in seconds.
pub const TIMEOUT_S_MAX: u64 = 60;

/// Longest message, in seconds.
pub const MESSAGE_S_MAX: u64 = 600;

/// Longest ringing, in seconds: after three minutes networks give up themselves
/// (RFC 3261 §16.6, timer C).
pub const RING_S_MAX: u64 = 180;

/// Longest pause between prompts, in milliseconds.
pub const PAUSE_MS_MAX: u64 = 10_000;

/// Holidays and working days of one schedule: several years of them.
pub const DAYS_MAX: usize = 400;
