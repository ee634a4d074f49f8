//! The host: one engine for all plugins, its limits, and the way from bytes to a plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::{self, CacheKey, CacheRefusal};
use crate::error::{HostError, LoadError, cut, one_line};
use crate::guest::State;
use crate::inspect::{Outline, outline};
use crate::ivr::v0_1;
use crate::limits;
use crate::manifest::Manifest;
use crate::plugin::Plugin;
use crate::wasi;

/// How a guest's running time is measured. Never both: together they cost up to half again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metering {
    /// By the clock: [`Host::tick`] is called every [`limits::TICK`], and the caller reports
    /// measured times. For production.
    Epoch,
    /// By counting instructions: deterministic, and slower. For simulations.
    Fuel,
}

/// What a host is made with.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// How running time is measured.
    pub metering: Metering,
    /// Runs that may be alive at the same time. Each costs 35 to 45 KiB once it waits; the
    /// address space for all of them is reserved at once.
    pub runs_max: u32,
    /// Running time between two host calls that take time.
    pub budget: Duration,
    /// Running time after the far end hung up, in all.
    pub budget_after_hangup: Duration,
    /// Signs the cache of compiled code; made once for each installation.
    pub cache_key: CacheKey,
}

impl HostConfig {
    /// The defaults of production: epochs, 1,000 runs, [`limits::BUDGET`] and
    /// [`limits::BUDGET_AFTER_HANGUP`].
    pub fn new(cache_key: CacheKey) -> Self {
        Self {
            metering: Metering::Epoch,
            runs_max: 1_000,
            budget: limits::BUDGET,
            budget_after_hangup: limits::BUDGET_AFTER_HANGUP,
            cache_key,
        }
    }

    /// Memory mappings the process may need when all places are taken: the kernel's
    /// `vm.max_map_count` should be no less.
    pub fn mappings(&self) -> u64 {
        // A stack and its guard page each, four for each live memory, and the rest of the process.
        6 * u64::from(self.runs_max) + 4_096
    }
}

/// What became of the cache entry given to [`Host::load`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CacheUse {
    /// It was used; nothing was compiled.
    Hit,
    /// The component was compiled.
    Compiled {
        /// To be kept for the next time, in a directory only this process's user can read.
        entry: Option<Vec<u8>>,
        /// Why the entry that was given was not used.
        refused: Option<CacheRefusal>,
    },
}

/// A plugin ready to run, and the cache entry to keep.
#[derive(Debug)]
pub struct Loaded {
    /// The plugin.
    pub plugin: Plugin,
    /// What became of the cache.
    pub cache: CacheUse,
}

/// One engine with its pool, shared by all plugins. Clones are the same host.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    config: HostConfig,
    engine: Engine,
    linker: Linker<State>,
    zones: TimeZoneDatabase,
    taken: Arc<AtomicU32>,
}

/// A place for one live run; free again when dropped.
pub(crate) struct Seat(Arc<AtomicU32>);

impl Drop for Seat {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a seat was taken before it is freed");
    }
}

impl Host {
    /// Sets up the engine and reserves address space for `runs_max` runs.
    ///
    /// # Errors
    /// When the system does not give the address space, or has no compiler for this processor.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let failed = |error: wasmtime::Error| HostError {
            reason: one_line(&error),
        };
        let engine = Engine::new(&engine_config(&config)).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        wasi::link(&mut linker).map_err(failed)?;
        v0_1::link(&mut linker).map_err(failed)?;
        Ok(Self(Arc::new(Inner {
            config,
            engine,
            linker,
            zones: TimeZoneDatabase::bundled(),
            taken: Arc::new(AtomicU32::new(0)),
        })))
    }

    /// Ends the running slice of every guest. Called every [`limits::TICK`] by a thread of its
    /// own, with [`Metering::Epoch`]; without effect otherwise.
    pub fn tick(&self) {
        self.0.engine.increment_epoch();
    }

    /// Runs alive at the moment.
    pub fn live(&self) -> u32 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// What it was made with.
    pub fn config(&self) -> &HostConfig {
        &self.0.config
    }

    /// Makes a plugin of a component's bytes. `cached` is what an earlier call gave for the same
    /// component, if anything; whatever is wrong with it only costs time.
    ///
    /// Compiling takes about a second for each MiB of component, so this does not belong on a
    /// thread that others wait for.
    ///
    /// # Errors
    /// Why the component is refused, in one line.
    pub fn load(&self, bytes: &[u8], cached: Option<&[u8]>) -> Result<Loaded, LoadError> {
        let outline = outline(bytes)?;
        check_world(&outline)?;
        let manifest = Manifest::parse(outline.manifest.ok_or(LoadError::NoManifest)?)?;
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        let (component, cache) = self.compile(bytes, &sha256, cached)?;
        let mismatch = |error| LoadError::Mismatch {
            reason: one_line(&error),
        };
        let pre = self
            .0
            .linker
            .instantiate_pre(&component)
            .map_err(mismatch)?;
        let pre = v0_1::prepare(pre).map_err(mismatch)?;
        Ok(Loaded {
            plugin: Plugin::new(self.clone(), manifest, sha256, pre),
            cache,
        })
    }

    fn compile(
        &self,
        bytes: &[u8],
        sha256: &[u8; 32],
        cached: Option<&[u8]>,
    ) -> Result<(Component, CacheUse), LoadError> {
        let Inner { engine, config, .. } = &*self.0;
        let refused =
            match cached.map(|entry| cache::read(engine, &config.cache_key, sha256, entry)) {
                Some(Ok(component)) => return Ok((component, CacheUse::Hit)),
                Some(Err(refusal)) => Some(refusal),
                None => None,
            };
        let component =
            Component::from_binary(engine, bytes).map_err(|error| LoadError::Compile {
                reason: one_line(&error),
            })?;
        let entry = cache::write(engine, &config.cache_key, sha256, &component);
        Ok((component, CacheUse::Compiled { entry, refused }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn zones(&self) -> TimeZoneDatabase {
        self.0.zones.clone()
    }

    /// A place for one more run, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let most = self.0.config.runs_max;
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        self.0
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Seat(self.0.taken.clone()))
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Host({:?}, {} of {} live)",
            self.0.config.metering,
            self.live(),
            self.0.config.runs_max
        )
    }
}

/// The lean engine: one memory and few core instances for each component, as Rust and C make them.
fn engine_config(config: &HostConfig) -> Config {
    let runs = config.runs_max;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs)
        .total_core_instances(limits::CORE_INSTANCES.saturating_mul(runs))
        .total_memories(runs)
        .total_tables(limits::TABLES.saturating_mul(runs))
        .total_stacks(runs)
        .max_core_instances_per_component(limits::CORE_INSTANCES)
        .max_memories_per_component(1)
        .max_tables_per_component(limits::TABLES)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(limits::MEMORY_BYTES_MAX)
        // Pages that are cleared by hand instead of given back: what a small plugin touches.
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut engine = Config::new();
    engine
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .async_stack_size(limits::FIBER_STACK_BYTES)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        // A replayed run must not depend on the processor.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    match config.metering {
        Metering::Epoch => engine.epoch_interruption(true),
        Metering::Fuel => engine.consume_fuel(true),
    };
    // 4 GiB for each memory save bounds checks (3 to 20 % faster); above this many runs they
    // would not fit into the address space.
    if runs > 10_000 {
        engine.memory_reservation(limits::MEMORY_BYTES_MAX as u64);
    }
    engine
}

fn check_world(outline: &Outline<'_>) -> Result<(), LoadError> {
    let wasi = |import: &str| {
        import
            .split_once("@0.2.")
            .is_some_and(|(interface, _)| wasi::INTERFACES.contains(&interface))
    };
    if !outline.exports.contains(&v0_1::EXPORT) {
        let mut has = outline.exports.join(", ");
        if has.is_empty() {
            has = "nothing".into();
        }
        return Err(LoadError::WrongWorld {
            wants: v0_1::EXPORT,
            has: cut(&has, 200),
        });
    }
    match outline
        .imports
        .iter()
        .find(|import| !v0_1::IMPORTS.contains(import) && !wasi(import))
    {
        Some(import) => Err(LoadError::UnknownImport {
            import: cut(import, 200),
        }),
        None => Ok(()),
    }
}
