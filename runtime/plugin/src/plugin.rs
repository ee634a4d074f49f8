//! A plugin: a component that was checked, compiled and linked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use vocab::flow::PluginRef;
use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

use crate::grant::{Grant, Permit};
use crate::guest::{MemoryLimit, SharedDesk, State};
use crate::host::{Host, Metering};
use crate::ivr::v0_1::{self, Finish, Pre};
use crate::limits;
use crate::manifest::Manifest;
use crate::run::{Run, Setup};

/// One version of a plugin, ready to run. Clones are the same version; its compiled code is freed
/// with the last clone and the last run.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    host: Host,
    manifest: Manifest,
    sha256: [u8; 32],
    pre: Pre,
}

impl Plugin {
    pub(crate) fn new(host: Host, manifest: Manifest, sha256: [u8; 32], pre: Pre) -> Self {
        Self(Arc::new(Inner {
            host,
            manifest,
            sha256,
            pre,
        }))
    }

    /// Name and version.
    pub fn reference(&self) -> &PluginRef {
        &self.0.manifest.plugin
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// SHA-256 of the component; two versions are the same if this is.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// What it needs and `operator` does not grant: it will run, and be told `denied`.
    pub fn missing(&self, operator: &Grant) -> Grant {
        self.0.manifest.needs.missing(operator)
    }

    /// A run for one call. Nothing happens before [`RunInput::Start`](crate::RunInput::Start).
    pub fn run(&self, setup: Setup) -> Run {
        Run::new(self.clone(), setup)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0.host
    }

    /// A fresh store, not yet running.
    pub(crate) fn instantiate(
        &self,
        desk: SharedDesk,
        setup: Setup,
    ) -> Pin<Box<dyn Future<Output = Finish> + Send>> {
        let Setup {
            info,
            config,
            grant,
            rng,
        } = setup;
        let state = State {
            memory: MemoryLimit::new(desk.clone(), self.0.manifest.memory_bytes),
            desk,
            table: ResourceTable::new(),
            filesystem: WasiFilesystemCtx::default(),
            attrs: info.attrs.iter().take(limits::ATTRS_MAX).cloned().collect(),
            info,
            config,
            permit: Permit::new(&self.0.manifest.needs, &grant),
            denied: Vec::new(),
            rng,
            zones: self.0.host.zones(),
        };
        let mut store = Store::new(self.0.host.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES_MAX);
        store.set_max_component_handles(limits::HANDLES_MAX);
        match self.0.host.config().metering {
            Metering::Epoch => {
                store.set_epoch_deadline(1);
                store.epoch_deadline_async_yield_and_update(1);
            }
            Metering::Fuel => {
                store.set_fuel(u64::MAX).expect("the engine counts fuel");
                store
                    .fuel_async_yield_interval(Some(limits::FUEL_PER_SLICE))
                    .expect("the engine counts fuel");
            }
        }
        Box::pin(v0_1::run(self.0.pre.clone(), store))
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({})", self.reference())
    }
}
