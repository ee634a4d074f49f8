//! From bytes to the transaction they belong to.

use std::net::SocketAddr;
use std::sync::Arc;

use vocab::Now;

use super::table::{Due, Verdict};
use super::{Around, Endpoint, Inviter, Purpose, around, register, route, stateless, wire};
use crate::border::{ConnId, DialogId, Hop, Transport};
use crate::message::{
    self, CSeq, Frame, FrameError, Headers, Host, Message, Method, ParseError, Request, Response,
    Supports, Via, check_request, check_response,
};
use crate::stun;
use crate::transaction::{Key, client, client_invite, server, server_invite};

/// A request on its way through the endpoint.
pub(super) struct Arrival {
    pub(super) request: Request,
    /// The top `Via` with the source noted in it.
    pub(super) via: Via,
    /// Its `Contact` is of no use.
    pub(super) natted: bool,
    /// Where it came from.
    pub(super) seen: Hop,
    /// Of its transaction.
    pub(super) key: Key,
}

impl Arrival {
    /// Where its answers go.
    pub(super) fn reply_hop(&self) -> Hop {
        route::reply_hop(&self.via, self.seen)
    }

    pub(super) fn headers(&self) -> &Headers {
        &self.request.headers
    }
}

impl Endpoint {
    pub(super) fn on_datagram(&mut self, now: Now, remote: SocketAddr, bytes: &[u8]) {
        let seen = Hop {
            transport: Transport::Udp,
            remote,
            conn: None,
        };
        if !self.lets_in(now, seen, bytes) {
            return;
        }
        if stun::is_stun(bytes) {
            return self.on_keep_alive(seen, bytes);
        }
        match message::parse(bytes) {
            Ok(message) => self.on_message(now, seen, message),
            Err(error) => self.on_broken(now, seen, error),
        }
    }

    /// A phone asks whether its flow is still there. Only who has one is told: the answer is larger
    /// than the question, and sources can be forged.
    fn on_keep_alive(&mut self, seen: Hop, bytes: &[u8]) {
        if self.registrar.is_flow(seen)
            && let Some(answer) = stun::answer(bytes, seen.remote)
        {
            self.transmit(seen, answer.into());
        }
    }

    /// Takes a stream in, or closes it.
    fn open_stream(
        &mut self,
        now: Now,
        conn: ConnId,
        transport: Transport,
        remote: SocketAddr,
    ) -> bool {
        debug_assert!(transport.is_reliable(), "UDP has no streams");
        let seen = Hop {
            transport,
            remote,
            conn: Some(conn),
        };
        if self.outbox.streams() >= self.limits.streams {
            self.tally.overloads += 1;
            self.outbox.close(conn);
            return false;
        }
        if !self.takes_stream(now, conn, seen) {
            self.outbox.close(conn);
            return false;
        }
        self.outbox.stream_opened(conn, transport, remote);
        true
    }

    pub(super) fn on_stream_opened(
        &mut self,
        now: Now,
        conn: ConnId,
        transport: Transport,
        remote: SocketAddr,
    ) {
        if !self.outbox.is_open(conn) {
            self.open_stream(now, conn, transport, remote);
        }
    }

    pub(super) fn on_stream(&mut self, now: Now, conn: ConnId, remote: SocketAddr, bytes: &[u8]) {
        let transport = match self.outbox.stream(conn) {
            Some(transport) => transport,
            None if self.open_stream(now, conn, Transport::Tcp, remote) => Transport::Tcp,
            None => return,
        };
        let seen = Hop {
            transport,
            remote,
            conn: Some(conn),
        };
        if transport.is_websocket() {
            return self.on_websocket(now, seen, conn, bytes);
        }
        let mut framer = self.framers.remove(&conn).unwrap_or_default();
        framer.push(bytes);
        let mut whole = false;
        loop {
            // What a message brought to light may have closed its stream.
            if !self.outbox.is_open(conn) {
                return;
            }
            match framer.next() {
                Ok(Some(Frame::Message(message))) => {
                    whole = true;
                    if self.lets_through(now, seen, &message) {
                        self.on_message(now, seen, message);
                    }
                }
                Ok(Some(Frame::Bad(error))) => {
                    whole = true;
                    self.on_broken(now, seen, error);
                }
                // The answer to a ping is a single line end (RFC 5626 §4.4.1).
                Ok(Some(Frame::Ping)) => self.transmit(seen, Arc::from(*b"\r\n")),
                Ok(None) => break,
                Err(error) => {
                    match error {
                        FrameError::HeadTooLarge | FrameError::NotSip => {
                            self.note_malformed(now, seen);
                        }
                        FrameError::BodyTooLarge(error) | FrameError::NoLength(error) => {
                            self.on_broken(now, seen, error);
                        }
                    }
                    return self.close_stream(now, conn);
                }
            }
        }
        let (begun, times) = (!framer.is_between(), self.times());
        self.watch.heard(now.mono, conn, whole, begun, times);
        self.framers.insert(conn, framer);
    }

    /// One WebSocket message is one SIP message (RFC 7118 §5.1), or a keep-alive.
    fn on_websocket(&mut self, now: Now, seen: Hop, conn: ConnId, bytes: &[u8]) {
        if bytes == b"\r\n\r\n" {
            return self.transmit(seen, Arc::from(*b"\r\n"));
        }
        match message::parse(bytes) {
            Ok(message) => {
                if self.lets_through(now, seen, &message) {
                    self.on_message(now, seen, message);
                }
            }
            Err(error) => self.on_broken(now, seen, error),
        }
        if self.outbox.is_open(conn) {
            let times = self.times();
            self.watch.heard(now.mono, conn, true, false, times);
        }
    }

    pub(super) fn on_stream_closed(&mut self, now: Now, conn: ConnId) {
        if let Some((transport, remote)) = self.outbox.stream_closed(conn) {
            self.forget_stream(now, conn, transport, remote);
        }
    }

    /// Closes a stream that is open.
    pub(super) fn close_stream(&mut self, now: Now, conn: ConnId) {
        if let Some((transport, remote)) = self.outbox.stream_closed(conn) {
            self.outbox.close(conn);
            self.forget_stream(now, conn, transport, remote);
        }
    }

    fn forget_stream(&mut self, now: Now, conn: ConnId, transport: Transport, remote: SocketAddr) {
        self.framers.remove(&conn);
        self.watch.close(conn);
        self.fail_way(now, transport, remote, Some(conn));
        // Its contacts cannot be reached any more (RFC 5626 §5.3).
        self.registrar.drop_stream(conn);
        self.tell_registrations();
    }

    pub(super) fn on_send_failed(&mut self, now: Now, hop: Hop) {
        self.fail_way(now, hop.transport, hop.remote, hop.conn);
    }

    /// Ends our transactions that sent this way (RFC 3261 §17.1.4, §8.1.3.1).
    fn fail_way(
        &mut self,
        now: Now,
        transport: Transport,
        remote: SocketAddr,
        conn: Option<ConnId>,
    ) {
        let concerned = |hop: Hop| conn.is_none() || hop.conn.is_none() || hop.conn == conn;
        let first = (transport, remote, Due::ClientInvite(Key::MIN));
        let ways: Vec<Due> = self
            .ways
            .range(first..)
            .take_while(|way| (way.0, way.1) == (transport, remote))
            .map(|way| way.2)
            .collect();
        for due in ways {
            match due {
                Due::ClientInvite(key) => {
                    if self
                        .client_invites
                        .slot(key)
                        .is_some_and(|slot| concerned(slot.hop))
                    {
                        let input = client_invite::Input::TransportError;
                        if let Some((verdict, dialog)) = self.feed_client_invite(now, key, input) {
                            self.after_client_invite(now, verdict, dialog);
                        }
                    }
                }
                Due::Client(key) => {
                    if self
                        .clients
                        .slot(key)
                        .is_some_and(|slot| concerned(slot.hop))
                    {
                        let input = client::Input::TransportError;
                        if let Some((verdict, purpose)) = self.feed_client(now, key, input) {
                            self.after_client(now, verdict, purpose);
                        }
                    }
                }
                Due::ServerInvite(_) | Due::Server(_) | Due::Dialog(_) => {
                    unreachable!("only client transactions have a way")
                }
            }
        }
    }

    fn on_message(&mut self, now: Now, seen: Hop, message: Message) {
        match message {
            Message::Request(mut request) => {
                if !self.is_scanned(now, seen, &request.headers) {
                    message::keep_description(&mut request.headers, &mut request.body);
                    self.on_request(now, seen, request);
                }
            }
            Message::Response(mut response) => {
                message::keep_description(&mut response.headers, &mut response.body);
                self.on_response(now, seen, &response);
            }
        }
    }

    fn on_broken(&mut self, now: Now, seen: Hop, error: ParseError) {
        match error {
            ParseError::KeepAlive => {}
            ParseError::Drop(_) => {
                self.note_malformed(now, seen);
            }
            ParseError::Reply {
                request,
                status,
                why,
            } => {
                if self.is_scanned(now, seen, &request.headers) || !self.note_malformed(now, seen) {
                    return;
                }
                match self.arrival(seen, *request) {
                    Ok(arrival) => self.refuse(&arrival, status, Some(why.0), &[]),
                    Err(request) => self.refuse_sender(seen, &request, status, why.0),
                }
            }
        }
    }

    /// # Errors
    /// The request, if its top `Via` cannot be read.
    pub(super) fn arrival(&self, seen: Hop, request: Request) -> Result<Arrival, Request> {
        let Ok(mut via) = request.headers.via() else {
            return Err(request);
        };
        let ack = request.method == Method::Ack;
        let class = if ack {
            "INVITE"
        } else {
            request.method.as_str()
        };
        let key = self.server_key(&request, &via, class);
        let count = request.headers.count(&message::HeaderName::Via);
        let natted = route::is_natted(&via, count, seen.remote.ip());
        via.note_source(seen.remote);
        Ok(Arrival {
            request,
            via,
            natted,
            seen,
            key,
        })
    }

    fn on_request(&mut self, now: Now, seen: Hop, request: Request) {
        let arrival = match self.arrival(seen, request) {
            Ok(arrival) => arrival,
            Err(request) => {
                if self.note_malformed(now, seen) {
                    self.refuse_sender(seen, &request, 400, "Bad Via");
                }
                return;
            }
        };
        let method = &arrival.request.method;
        if *method == Method::Ack {
            return self.on_ack(now, &arrival);
        }
        let again = if *method == Method::Invite {
            self.feed_server_invite(now, arrival.key, server_invite::Input::Invite)
                .is_some()
        } else {
            self.feed_server(now, arrival.key, server::Input::Request)
                .is_some()
        };
        if again {
            self.tally.retransmits += 1;
            return;
        }
        if let Some(status) = stateless::unsupported(&arrival.request.method) {
            return self.refuse(&arrival, status, None, &[("Allow", wire::ALLOW)]);
        }
        if let Err(refusal) = self.check(&arrival.request) {
            if refusal.status == 400 && !self.note_malformed(now, seen) {
                return;
            }
            let headers: Vec<(&str, &str)> = refusal
                .headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            return self.refuse(&arrival, refusal.status, Some(&refusal.reason), &headers);
        }
        let to = arrival
            .headers()
            .first(&message::HeaderName::To)
            .unwrap_or_default();
        let inside = wire::tag_of(to).is_some();
        match (&arrival.request.method, inside) {
            (Method::Cancel, _) => self.on_cancel(now, &arrival),
            (Method::Register, _) => self.on_register(now, &arrival),
            (Method::Invite, false) if self.is_crowded_for(&arrival) => self.overload(&arrival),
            (Method::Invite, false) => self.on_invite(now, arrival),
            (Method::Options, false) => self.on_options(&arrival),
            (method, true) if stateless::unsupported(method).is_none() => {
                self.on_request_within(now, arrival);
            }
            // All others belong into a dialog, and there is none.
            (_, _) => self.refuse(&arrival, 481, None, &[]),
        }
    }

    fn check(&self, request: &Request) -> Result<(), message::Refusal> {
        let own_type = request
            .headers
            .content_type()
            .ok()
            .flatten()
            .map(|own| own.essence);
        let own_type = own_type.as_deref().unwrap_or(wire::SDP);
        // The call control looks at the bodies of INFO, nobody at those of the others.
        let sdp_only = matches!(
            request.method,
            Method::Invite | Method::Options | Method::Update | Method::Prack
        );
        let content_types = [if sdp_only { wire::SDP } else { own_type }];
        let extensions = if request.method == Method::Register {
            &register::EXTENSIONS[..]
        } else {
            &wire::EXTENSIONS[..]
        };
        check_request(
            request,
            &Supports {
                extensions,
                content_types: &content_types,
            },
        )
    }

    fn on_response(&mut self, now: Now, seen: Hop, response: &Response) {
        let headers = &response.headers;
        let (Ok(()), Ok(via), Ok(CSeq { method, .. })) =
            (check_response(response), headers.via(), headers.cseq())
        else {
            self.tally.malformed += 1;
            return;
        };
        // More than one `Via`: it was meant for somebody else (§8.1.3.3).
        let branch = via
            .branch()
            .filter(|_| headers.count(&message::HeaderName::Via) == 1);
        let Some(branch) = branch else {
            self.tally.strays += 1;
            return;
        };
        let key = self.client_key(branch, method.as_str());
        let fed = if method == Method::Invite {
            let to = headers.first(&message::HeaderName::To).unwrap_or_default();
            let tag = wire::tag_of(to).unwrap_or_default();
            let input = client_invite::Input::Response {
                status: response.status,
                to,
                tag,
            };
            self.feed_client_invite(now, key, input)
                .map(|(verdict, dialog)| {
                    self.tally.retransmits += u64::from(!verdict.deliver);
                    if verdict.deliver {
                        self.on_invite_response(now, key, dialog, seen, response);
                    }
                })
        } else {
            let input = client::Input::Response {
                status: response.status,
            };
            self.feed_client(now, key, input).map(|(verdict, purpose)| {
                self.tally.retransmits += u64::from(!verdict.deliver);
                if verdict.deliver && response.is_final() {
                    self.on_final(now, purpose, response);
                }
            })
        };
        self.tally.strays += u64::from(fed.is_none());
    }

    /// The key of the server transaction that a request belongs to (§17.2.3). `class` is its
    /// method; that of INVITE for ACK, and for finding what a CANCEL cancels.
    pub(super) fn server_key(&self, request: &Request, via: &Via, class: &str) -> Key {
        if let Some(branch) = via.transaction_branch() {
            let port = via.port.unwrap_or(0).to_be_bytes();
            let (v4, v6);
            let host = match &via.host {
                Host::Address(std::net::IpAddr::V4(ip)) => {
                    v4 = ip.octets();
                    &v4[..]
                }
                Host::Address(std::net::IpAddr::V6(ip)) => {
                    v6 = ip.octets();
                    &v6[..]
                }
                Host::Name(name) => name.as_bytes(),
            };
            let parts = [
                &b"server"[..],
                branch.as_bytes(),
                host,
                &port,
                class.as_bytes(),
            ];
            return self.hash.key(&parts);
        }
        // A peer of RFC 2543: all that an INVITE, its ACK and its CANCEL have in common. The ACK's
        // `To` has our tag, the INVITE's has not, so it is left out with them.
        let headers = &request.headers;
        let value = |name| headers.first(&name).unwrap_or_default().as_bytes();
        let from = wire::tag_of(
            headers
                .first(&message::HeaderName::From)
                .unwrap_or_default(),
        );
        let to = match class {
            "INVITE" => "",
            _ => wire::tag_of(headers.first(&message::HeaderName::To).unwrap_or_default())
                .unwrap_or_default(),
        };
        let cseq = headers.cseq().map_or(0, |cseq| cseq.number).to_be_bytes();
        self.hash.key(&[
            b"2543",
            request.uri.as_bytes(),
            from.unwrap_or_default().as_bytes(),
            to.as_bytes(),
            value(message::HeaderName::CallId),
            &cseq,
            value(message::HeaderName::Via),
            class.as_bytes(),
        ])
    }

    /// The key of a client transaction (§17.1.3).
    pub(super) fn client_key(&self, branch: &str, method: &str) -> Key {
        self.hash
            .key(&[b"client", branch.as_bytes(), method.as_bytes()])
    }

    pub(super) fn feed_client_invite(
        &mut self,
        now: Now,
        key: Key,
        input: client_invite::Input<'_>,
    ) -> Option<(Verdict, DialogId)> {
        let hop = self.client_invites.slot(key)?.hop;
        let fed = self
            .client_invites
            .feed(&mut around!(self, now), key, input)?;
        if fed.0.over {
            self.ways
                .remove(&(hop.transport, hop.remote, Due::ClientInvite(key)));
        }
        Some(fed)
    }

    pub(super) fn feed_client(
        &mut self,
        now: Now,
        key: Key,
        input: client::Input,
    ) -> Option<(Verdict, Purpose)> {
        let hop = self.clients.slot(key)?.hop;
        let fed = self.clients.feed(&mut around!(self, now), key, input)?;
        if fed.0.over {
            self.ways
                .remove(&(hop.transport, hop.remote, Due::Client(key)));
        }
        Some(fed)
    }

    pub(super) fn feed_server_invite(
        &mut self,
        now: Now,
        key: Key,
        input: server_invite::Input,
    ) -> Option<(Verdict, Inviter)> {
        let fed = self
            .server_invites
            .feed(&mut around!(self, now), key, input)?;
        if let (true, Some(merge)) = (fed.0.over, fed.1.merge) {
            self.merges.remove(&merge);
        }
        Some(fed)
    }

    pub(super) fn feed_server(
        &mut self,
        now: Now,
        key: Key,
        input: server::Input,
    ) -> Option<Verdict> {
        self.servers
            .feed(&mut around!(self, now), key, input)
            .map(|(verdict, ())| verdict)
    }

    pub(super) fn tick_client_invite(&mut self, now: Now, key: Key) {
        let input = client_invite::Input::Timeout;
        if let Some((verdict, dialog)) = self.feed_client_invite(now, key, input) {
            self.tally.retransmits += u64::from(verdict.sent);
            self.after_client_invite(now, verdict, dialog);
        }
    }

    pub(super) fn tick_client(&mut self, now: Now, key: Key) {
        if let Some((verdict, purpose)) = self.feed_client(now, key, client::Input::Timeout) {
            self.tally.retransmits += u64::from(verdict.sent);
            self.after_client(now, verdict, purpose);
        }
    }

    pub(super) fn tick_server_invite(&mut self, now: Now, key: Key) {
        let input = server_invite::Input::Timeout;
        if let Some((verdict, _)) = self.feed_server_invite(now, key, input) {
            // That a refusal was never acknowledged concerns nobody (§17.2.1).
            self.tally.retransmits += u64::from(verdict.sent);
        }
    }

    pub(super) fn tick_server(&mut self, now: Now, key: Key) {
        self.feed_server(now, key, server::Input::Timeout);
    }
}
