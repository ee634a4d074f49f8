//! Bounds of uploaded prompts, each with its reason.

/// Versions of a prompt that are kept, the one in force among them: enough for a way back from several
/// mistakes in a row.
pub(crate) const VERSIONS_MAX: usize = 10;

/// Uploaded prompts of a tenant: a voice of its own for two languages has some five hundred.
pub(crate) const PROMPTS_MAX: usize = 2_000;

/// Samples of a tenant's prompts in force, which are in memory: 128 MiB, two hours and twenty minutes.
pub(crate) const SAMPLES_MAX: usize = 64 << 20;

/// Samples of the prompts in force of all tenants: 1 GiB.
pub(crate) const ALL_SAMPLES_MAX: usize = 512 << 20;

/// Bytes of all versions of a tenant's prompts, which are on the disk: eighteen hours.
pub(crate) const BYTES_MAX: u64 = 1 << 30;

/// Bytes of a prompt's name: with its slashes it is the name of a folder, which has 255 at most.
pub(crate) const NAME_BYTES_MAX: usize = 200;

/// Parts of a name between slashes: those of a folder of prompts.
pub(crate) const NAME_PARTS_MAX: usize = 5;

/// Longest index of a prompt: ten versions take 3 KB.
pub(crate) const INDEX_BYTES_MAX: u64 = 64 << 10;

/// Uploads that are taken in at the same time: a sound file may have 64 MiB, and one at a time is decoded.
pub(crate) const UPLOADS_MAX: usize = 4;
