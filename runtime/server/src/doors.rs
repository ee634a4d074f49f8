//! Where browsers bring their audio: one port for all of them on each media thread, so that a firewall
//! has little to let through.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Context;
use media::webrtc::{Door, Identity};

use crate::config::Media;
use crate::net::bind;
use crate::net::gates::Gates;

/// Of one media thread.
#[derive(Debug)]
pub(crate) struct Doors {
    /// Who it is for them.
    pub(crate) identity: Identity,
    /// As browsers see them, those of UDP first.
    pub(crate) told: Arc<[Door]>,
    /// Those of UDP, in that order.
    pub(crate) sockets: Vec<UdpSocket>,
    /// Those of TCP, which come after them.
    pub(crate) gates: Gates,
}

impl Doors {
    /// Binds those of a media thread, counted from 0; `first` is the port of the first.
    ///
    /// # Errors
    /// When a port is in use, in one line with what to do.
    pub(crate) fn bind(config: &Media, first: u16, thread: usize) -> anyhow::Result<Self> {
        let offset = u16::try_from(thread).context("too many media threads")?;
        let port = first.checked_add(offset);
        let port = port.context("webrtc_port is too high for so many threads under [media]")?;
        let (mut told, mut sockets, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for address in &config.addresses {
            let at = SocketAddr::new(address.bind, port);
            let socket = bind::doors(at, config.dscp).with_context(|| {
                format!("the port for browsers, {at} (UDP), is not to be had: set webrtc_port under [media]")
            })?;
            sockets.push(socket);
            told.push(Door {
                at: SocketAddr::new(address.advertise, port),
                tcp: false,
            });
        }
        for address in &config.addresses {
            let at = SocketAddr::new(address.bind, port);
            let listener = bind::tcp(at).with_context(|| {
                format!("the port for browsers, {at} (TCP), is not to be had: set webrtc_port under [media]")
            })?;
            listeners.push(listener);
            told.push(Door {
                at: SocketAddr::new(address.advertise, port),
                tcp: true,
            });
        }
        let gates = Gates::new(listeners).context("watching the ports for browsers")?;
        Ok(Self {
            identity: identity()?,
            told: told.into(),
            sockets,
            gates,
        })
    }
}

/// A certificate made now: its fingerprint is in every description, so nobody needs to know it.
fn identity() -> anyhow::Result<Identity> {
    let made = rcgen::generate_simple_self_signed(["jackfield".to_owned()]);
    let made = made.context("making the certificate for browsers")?;
    let key = made.signing_key.serialize_der();
    Ok(Identity::new(made.cert.der().to_vec(), key))
}
