//! A phone made of rsipstack: its own sockets, its own runtime, and calls one waits for.

// A runtime of tasks and queues without bounds are the terms of the stack under test.
#![allow(clippy::disallowed_methods)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jackfield_tests::peers::hear;
use jackfield_tests::shell::{PATIENCE, free_port};
use rsipstack::EndpointBuilder;
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog::{
    DialogState, DialogStateReceiver, DialogStateSender, TerminatedReason,
};
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::dialog::registration::Registration;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::{Header, Method, Response, StatusCode, Uri};
use rsipstack::transaction::{Endpoint, TransactionReceiver};
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{TcpListenerConnection, TransportLayer};
use sip::Transport;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A phone. Gone when dropped.
pub(crate) struct Peer {
    runtime: Runtime,
    token: CancellationToken,
    endpoint: Endpoint,
    layer: Arc<DialogLayer>,
    credential: Credential,
    server: SocketAddr,
    transport: Transport,
    contact: Uri,
    registration: Registration,
    sender: DialogStateSender,
    states: DialogStateReceiver,
    calls: UnboundedReceiver<InviteDialog>,
    rtp: UdpSocket,
}

impl Peer {
    /// A phone of this user, not yet registered.
    pub(crate) fn start(
        server: SocketAddr,
        transport: Transport,
        user: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let token = CancellationToken::new();
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let endpoint = runtime.block_on(endpoint(local, transport, &token))?;
        let inner = endpoint.inner.clone();
        runtime.spawn(async move { inner.serve().await });
        let layer = Arc::new(DialogLayer::new(endpoint.inner.clone()));
        let parameter = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls | Transport::Ws | Transport::Wss => bail!("not built in"),
        };
        let contact = uri(&format!("sip:{user}@{local}{parameter}"))?;
        let credential = Credential {
            username: user.to_owned(),
            password: password.to_owned(),
            ..Credential::default()
        };
        let mut registration = Registration::new(endpoint.inner.clone(), Some(credential.clone()));
        registration.contact = Some(rsipstack::sip::typed::Contact {
            display_name: None,
            uri: contact.clone(),
            params: Vec::new(),
        });
        let (sender, states) = layer.new_dialog_state_channel();
        let (rung, calls) = unbounded_channel();
        let work = Work {
            layer: layer.clone(),
            sender: sender.clone(),
            contact: contact.clone(),
            rung,
        };
        runtime.spawn(work.run(endpoint.incoming_transactions()?));
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        rtp.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            runtime,
            token,
            endpoint,
            layer,
            credential,
            server,
            transport,
            contact,
            registration,
            sender,
            states,
            calls,
            rtp,
        })
    }

    /// Registers for so long; the last answer.
    pub(crate) fn register(&mut self, expires_s: u32) -> anyhow::Result<Response> {
        let to = uri(&format!("sip:{}{}", self.server, self.parameter()))?;
        let registered = self.registration.register(to, Some(expires_s));
        Ok(patiently(&self.runtime, registered)??)
    }

    /// Calls a number of the server; the dialog and the final answer.
    pub(crate) fn call(&self, number: &str) -> anyhow::Result<(InviteDialog, Response)> {
        let user = &self.credential.username;
        let option = InviteOption {
            caller: uri(&format!("sip:{user}@{}", self.server))?,
            callee: uri(&format!("sip:{number}@{}{}", self.server, self.parameter()))?,
            contact: self.contact.clone(),
            content_type: Some("application/sdp".to_owned()),
            offer: Some(self.sdp("sendrecv")),
            credential: Some(self.credential.clone()),
            ..InviteOption::default()
        };
        let invited = self.layer.do_invite(option, self.sender.clone());
        let (dialog, answer) = patiently(&self.runtime, invited)??;
        Ok((dialog, answer.context("a final answer")?))
    }

    /// Waits for the next call to this phone.
    pub(crate) fn rung(&mut self) -> anyhow::Result<InviteDialog> {
        let call = patiently(&self.runtime, self.calls.recv());
        call.context("the phone is not rung")?.context("it works")
    }

    /// Answers a call with audio.
    pub(crate) fn answer(&self, call: &InviteDialog) -> anyhow::Result<()> {
        let body = self.sdp("sendrecv");
        Ok(call.accept(Some(sdp_header()), Some(body))?)
    }

    /// Asks for audio in these directions by re-INVITE; the answer.
    pub(crate) fn reinvite(
        &self,
        call: &InviteDialog,
        direction: &str,
    ) -> anyhow::Result<Response> {
        let body = Some(self.sdp(direction));
        self.finish(call.reinvite(Some(sdp_header()), body))
    }

    /// Sends a request without a body in the call; the answer.
    pub(crate) fn request(&self, call: &InviteDialog, method: Method) -> anyhow::Result<Response> {
        self.finish(call.request(method, None, None))
    }

    /// Hangs up, whether the call is up or only rings.
    pub(crate) fn hang_up(&self, call: &InviteDialog) -> anyhow::Result<()> {
        Ok(patiently(&self.runtime, call.hangup())??)
    }

    /// Waits until the server's ACK is here.
    pub(crate) fn confirmed(&mut self) -> anyhow::Result<()> {
        self.state(|state| state.is_confirmed().then_some(()))
    }

    /// Waits until a call is over; why.
    pub(crate) fn ended(&mut self) -> anyhow::Result<TerminatedReason> {
        self.state(|state| {
            let DialogState::Terminated(_, reason) = state else {
                return None;
            };
            Some(reason.clone())
        })
    }

    /// Waits for a packet of µ-law audio.
    pub(crate) fn hear(&self) -> anyhow::Result<()> {
        hear(&self.rtp)
    }

    fn state<T>(&mut self, like: impl Fn(&DialogState) -> Option<T>) -> anyhow::Result<T> {
        let mut told = Vec::new();
        loop {
            let state = patiently(&self.runtime, self.states.recv());
            let state = state.with_context(|| format!("so far: {}", told.join("\n")))?;
            let state = state.context("it works")?;
            if let Some(found) = like(&state) {
                return Ok(found);
            }
            told.push(format!("{state:?}"));
        }
    }

    fn finish(
        &self,
        request: impl Future<Output = rsipstack::Result<Option<Response>>>,
    ) -> anyhow::Result<Response> {
        patiently(&self.runtime, request)??.context("an answer")
    }

    fn parameter(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => ";transport=tcp",
            Transport::Udp | Transport::Tls | Transport::Ws | Transport::Wss => "",
        }
    }

    fn sdp(&self, direction: &str) -> Vec<u8> {
        let port = self.rtp.local_addr().expect("it is bound").port();
        format!(
            "v=0\r\no=peer 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=ptime:20\r\na={direction}\r\n"
        )
        .into_bytes()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.token.cancel();
        self.endpoint.shutdown();
    }
}

/// What answers requests: new calls are reported, requests in a dialog go to it.
struct Work {
    layer: Arc<DialogLayer>,
    sender: DialogStateSender,
    contact: Uri,
    rung: UnboundedSender<InviteDialog>,
}

impl Work {
    async fn run(self, mut incoming: TransactionReceiver) {
        while let Some(mut transaction) = incoming.recv().await {
            if let Some(mut dialog) = self.layer.match_dialog(&transaction) {
                tokio::spawn(async move { dialog.handle(&mut transaction).await });
                continue;
            }
            if transaction.original.method != Method::Invite {
                let status = StatusCode::CallTransactionDoesNotExist;
                drop(transaction.reply(status).await);
                continue;
            }
            let contact = Some(self.contact.clone());
            let dialog = self.layer.get_or_create_server_invite(
                &transaction,
                self.sender.clone(),
                None,
                contact,
            );
            let Ok(mut dialog) = dialog else { continue };
            drop(self.rung.send(dialog.clone()));
            tokio::spawn(async move { dialog.handle(&mut transaction).await });
        }
    }
}

async fn endpoint(
    local: SocketAddr,
    transport: Transport,
    token: &CancellationToken,
) -> anyhow::Result<Endpoint> {
    let layer = TransportLayer::new(token.child_token());
    match transport {
        Transport::Tcp => {
            let listener = TcpListenerConnection::new(local, None).await?;
            layer.add_transport(listener.into());
        }
        Transport::Udp | Transport::Tls | Transport::Ws | Transport::Wss => {
            let child = Some(token.child_token());
            let udp = UdpConnection::create_connection(local, None, child).await?;
            layer.add_transport(udp.into());
        }
    }
    Ok(EndpointBuilder::new()
        .with_user_agent("rsipstack")
        .with_transport_layer(layer)
        .with_cancel_token(token.child_token())
        .build())
}

/// Waits for something, at most [`PATIENCE`].
fn patiently<T>(runtime: &Runtime, what: impl Future<Output = T>) -> anyhow::Result<T> {
    let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await });
    waited.with_context(|| format!("not within {PATIENCE:?}"))
}

fn uri(text: &str) -> anyhow::Result<Uri> {
    Uri::try_from(text).map_err(|error| anyhow::anyhow!("{text}: {error}"))
}

fn sdp_header() -> Vec<Header> {
    vec![Header::ContentType("application/sdp".into())]
}
