//! Engine, plugins and routes joined into one machine.
//!
//! A [`Node`] decides what becomes of each call: which route it takes, which plugin answers it,
//! what each wish of a flow turns into, and what the caller hears when something breaks.
//! What the simulator runs is what production runs: the shell only carries inputs and outputs.
//!
//! **Invariant:** no 200 OK leaves before the call's first event is on disk. The node holds an
//! answer back until the store has said [`Input::Committed`].
//!
//! **Invariant:** each wait has a deadline and a fallback, named in the arm that starts it.
//! A caller whose flow breaks hears the route's announcement, and if there is none, a tone.
//!
//! **Invariant:** a caller without credentials reaches only routes marked public, and never
//! causes an outbound leg; an operator, or a phone it talks with, may send it on. One who comes by a
//! trunk reaches all routes of its tenant, and their flows the tenant's phones; nobody without
//! credentials causes a call outside.
//!
//! **Invariant:** in a talk ([`Control`]) each party is in a place that says what it hears; nobody
//! but one who holds another hears nothing.

mod border;
mod call;
mod caller;
mod capture;
mod catalogue;
mod config;
mod control;
mod counts;
mod dial;
mod event;
mod flow;
mod hearing;
mod incoming;
mod journal;
mod limits;
mod node;
mod number;
mod op;
mod prompt;
mod recording;
mod redirect;
mod ring;
mod speak;
mod talk;
mod tones;
mod trunk;
mod wait;
mod way;

pub use border::{Input, Notice, Output, PluginChange, Refusal, Secret, SpeechId};
pub use catalogue::{Catalogue, Prompts};
pub use config::{
    Callee, Config, ConsentPolicy, EarlyMedia, Group, Park, Phone, Route, ShownNumber, Tenant,
    Trunk, TrunkRegistration,
};
pub use control::{
    Actor, Control, ControlError, ControlId, Controlled, Destination, Detection, Loudness,
    OnMachine, PartyState, PartyView, RecordStep, SecretKeys, Watching,
};
pub use counts::Counts;
pub use limits::{CALLEES_MAX, COMMIT_WAIT, FLOW_WAIT, SLOTS_MAX};
pub use node::Node;
pub use number::{NumberForm, NumberPlan};
pub use trunk::{TrunkState, TrunkTarget, TrunkView};
