//! A ladder as a scenario of sipp.

use super::{Sdp, Side, Step, What, Words};

/// Writes the ladder of one side as XML. `user` is in `From` of a caller and in `Contact` of both.
pub(super) fn write(side: Side, user: &str, steps: &[Step]) -> String {
    let mut writer = Writer {
        side,
        user,
        xml: String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"ladder\">\n",
        ),
        cseq: 0,
        transaction: 0,
        invite: Invite::default(),
        answered: None,
        last_request: String::new(),
        invites_received: 0,
        reliable_sent: 0,
        reliable: 0,
        variables: Vec::new(),
        up: false,
        accepted: false,
    };
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Wait(ms) => writer.xml += &format!("<pause milliseconds=\"{ms}\"/>\n"),
            Step::Send {
                what,
                words,
                headers,
            } => writer.send(what, words, headers),
            Step::Receive {
                what,
                words,
                optional,
                wanted,
            } => {
                // What the next message is decides how sipp proves itself.
                let next = steps[index + 1..]
                    .iter()
                    .any(|step| matches!(step, Step::Send { words, .. } if words.login));
                writer.receive(what, words, *optional, wanted, next);
            }
        }
    }
    let used = writer.variables.join(",");
    if !used.is_empty() {
        writer.xml += &format!("<Reference variables=\"{used}\"/>\n");
    }
    writer.xml + "</scenario>\n"
}

/// The INVITE that sipp sent last.
#[derive(Clone, Copy, Debug, Default)]
struct Invite {
    cseq: u32,
    transaction: u32,
    /// It was sent within a dialog.
    inside: bool,
}

struct Writer<'a> {
    side: Side,
    user: &'a str,
    xml: String,
    /// Of sipp's last request.
    cseq: u32,
    /// Number of its last transaction.
    transaction: u32,
    invite: Invite,
    /// The last answer to a request of sipp's.
    answered: Option<u16>,
    /// The method of what was received last.
    last_request: String,
    invites_received: u32,
    reliable_sent: u32,
    /// Number of the last reliable answer that was received.
    reliable: u32,
    variables: Vec<String>,
    /// A dialog stands: requests go to its target.
    up: bool,
    /// sipp has accepted an INVITE.
    accepted: bool,
}

impl Writer<'_> {
    fn send(&mut self, what: &What, words: &Words, headers: &[String]) {
        let text = match what {
            What::Request(method) => self.request(method, words),
            What::Answer(status) => self.answer(*status, words),
        };
        let mut text = text;
        for header in headers {
            text += &format!("{header}\n");
        }
        match words.sdp {
            Some(sdp) => {
                let (kind, body) = if sdp == Sdp::Parts {
                    ("multipart/mixed;boundary=part", parts(&body(sdp)))
                } else {
                    ("application/sdp", body(sdp))
                };
                text += &format!("Content-Type: {kind}\nContent-Length: [len]\n\n{body}");
            }
            None => text += "Content-Length: 0\n\n",
        }
        // sipp repeats over UDP what may be lost, but an ACK and a CANCEL, whose like it is not told.
        let retransmit = match what {
            What::Request(method) => !matches!(&**method, "ACK" | "CANCEL"),
            What::Answer(status) => *status >= 200 && words.sdp.is_some(),
        };
        let retransmit = if retransmit { " retrans=\"500\"" } else { "" };
        self.xml += &format!("<send{retransmit}><![CDATA[\n{text}]]></send>\n");
    }

    fn request(&mut self, method: &str, words: &Words) -> String {
        let failed = self.answered.is_some_and(|status| status >= 300);
        let (cseq, transaction) = match method {
            "ACK" if failed => (self.invite.cseq, self.invite.transaction),
            "CANCEL" => (self.invite.cseq, self.invite.transaction),
            "ACK" => {
                self.transaction += 1;
                (self.invite.cseq, self.transaction)
            }
            _ => {
                self.cseq += 1;
                self.transaction += 1;
                (self.cseq, self.transaction)
            }
        };
        if method == "INVITE" {
            let inside = self.up;
            self.invite = Invite {
                cseq,
                transaction,
                inside,
            };
        }
        let server = "sip:[service]@[remote_ip]:[remote_port]";
        // What belongs to the first INVITE's own transaction goes where that went.
        let with_first = !self.invite.inside && (method == "CANCEL" || method == "ACK" && failed);
        let first = !self.up || with_first;
        let target = if first { server } else { "[next_url]" };
        let tag = if first && method != "ACK" {
            ""
        } else {
            "[peer_tag_param]"
        };
        let (from, to) = match self.side {
            Side::Caller => (
                format!("<sip:{}@[local_ip]>;tag=[pid]c[call_number]", self.user),
                format!("<{server}>{tag}"),
            ),
            Side::Callee => (
                "[$to1];tag=[pid]s[call_number]".to_owned(),
                "[$from1]".to_owned(),
            ),
        };
        let mut text = format!(
            "{method} {target} SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;\
             branch=z9hG4bK-[pid]-[call_number]-{transaction}\n\
             Max-Forwards: 70\nFrom: {from}\nTo: {to}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n"
        );
        if matches!(method, "INVITE" | "UPDATE" | "REFER") {
            text += &self.contact();
        }
        if method == "PRACK" {
            let (reliable, invite) = (self.reliable, self.invite.cseq);
            text += &format!("RAck: [$rseq{reliable}] {invite} INVITE\n");
        }
        if words.login {
            text += "[authentication]\n";
        }
        text
    }

    fn answer(&mut self, status: u16, words: &Words) -> String {
        let reason = reason(status);
        // What is within the dialog has our tag already.
        let first = self.side == Side::Callee && !self.accepted;
        let mut text = format!("SIP/2.0 {status} {reason}\n");
        let invite = words.invite || self.last_request == "INVITE";
        if invite {
            let number = self.invites_received;
            let other = words.tag.as_deref().unwrap_or_default();
            let tag = format!(";tag=[pid]s{other}[call_number]");
            let tag = if first { &*tag } else { "" };
            text += &format!(
                "Via: [$via{number}]\nFrom: [$from{number}]\nTo: [$to{number}]{tag}\n\
                 Call-ID: [call_id]\nCSeq: [$cseq{number}]\n"
            );
        } else {
            text += "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n";
        }
        if (101..300).contains(&status) {
            text += &self.contact();
            self.up |= invite;
            self.accepted |= invite && status >= 200 && words.tag.is_none();
        }
        if words.reliable {
            self.reliable_sent += 1;
            text += &format!("Require: 100rel\nRSeq: {}\n", self.reliable_sent);
        }
        text
    }

    fn contact(&self) -> String {
        let user = self.user;
        format!("Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>\n")
    }

    fn receive(
        &mut self,
        what: &What,
        words: &Words,
        optional: bool,
        wanted: &[(String, String)],
        login: bool,
    ) {
        let mut actions = String::new();
        let mut more = String::new();
        match what {
            What::Request(method) => {
                self.last_request.clone_from(method);
                if method == "INVITE" {
                    self.invites_received += 1;
                    let number = self.invites_received;
                    for (name, header) in [
                        ("via", "Via"),
                        ("from", "From"),
                        ("to", "To"),
                        ("cseq", "CSeq"),
                    ] {
                        self.take(&mut actions, &format!("{name}{number}"), header);
                    }
                    more += " rrs=\"true\"";
                }
            }
            What::Answer(status) => {
                // One that may be left out says nothing about what is answered now.
                if !optional {
                    self.answered = Some(*status);
                }
                if (101..300).contains(status) {
                    more += " rrs=\"true\"";
                    self.up |= !optional;
                }
                if matches!(status, 401 | 407) && login {
                    more += " auth=\"true\"";
                }
                if words.reliable {
                    self.reliable += 1;
                    let name = format!("rseq{}", self.reliable);
                    self.take(&mut actions, &name, "RSeq");
                }
            }
        }
        for (name, value) in wanted {
            self.want(&mut actions, name, value);
        }
        if optional {
            more += " optional=\"true\"";
        }
        let kind = match what {
            What::Request(method) => format!("request=\"{method}\""),
            What::Answer(status) => format!("response=\"{status}\""),
        };
        let actions = if actions.is_empty() {
            actions
        } else {
            format!("<action>\n{actions}</action>")
        };
        self.xml += &format!("<recv {kind}{more}>{actions}</recv>\n");
    }

    /// Keeps a header's value.
    fn take(&mut self, actions: &mut String, name: &str, header: &str) {
        *actions += &format!(
            "<ereg regexp=\"[^ ].*\" search_in=\"hdr\" header=\"{header}:\" check_it=\"true\" \
             assign_to=\"{name}\"/>\n"
        );
        self.variables.push(name.to_owned());
    }

    /// Fails the call unless a header says this.
    fn want(&mut self, actions: &mut String, name: &str, value: &str) {
        let (check, name) = match name.strip_prefix('!') {
            Some(name) => ("check_it_inverse", name),
            None => ("check_it", name),
        };
        let place = match name {
            "body" => "search_in=\"body\"".to_owned(),
            // Without it sipp looks for a header that is not there, and finds none.
            "message" => "search_in=\"msg\"".to_owned(),
            header => format!("search_in=\"hdr\" header=\"{header}:\""),
        };
        let variable = format!("want{}", self.variables.len());
        let value = value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        *actions += &format!(
            "<ereg regexp=\"{value}\" {place} {check}=\"true\" assign_to=\"{variable}\"/>\n"
        );
        self.variables.push(variable);
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        407 => "Proxy Authentication Required",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Because",
    }
}

/// A body behind a location (RFC 6442).
fn parts(body: &str) -> String {
    format!(
        "--part\nContent-Type: application/pidf+xml\nContent-ID: <place@example.com>\n\n\
         <presence/>\n--part\nContent-Type: application/sdp\n\n{body}--part--\n"
    )
}

fn body(sdp: Sdp) -> String {
    let formats = match sdp {
        Sdp::Alaw => "8 101",
        Sdp::Ulaw => "0 101",
        Sdp::Strange => "96",
        Sdp::Usual | Sdp::SendOnly | Sdp::Inactive | Sdp::Zero | Sdp::Long | Sdp::Parts => {
            "0 8 101"
        }
    };
    let address = if sdp == Sdp::Zero {
        "IN IP4 0.0.0.0"
    } else {
        "IN IP[media_ip_type] [media_ip]"
    };
    let mut text = format!(
        "v=0\no=sipp 1 1 IN IP[local_ip_type] [local_ip]\ns=-\nc={address}\nt=0 0\n\
         m=audio [media_port] RTP/AVP {formats}\n"
    );
    if sdp == Sdp::Strange {
        text += "a=rtpmap:96 strange/8000\n";
    } else {
        text += "a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n";
    }
    match sdp {
        Sdp::SendOnly => text += "a=sendonly\n",
        Sdp::Inactive => text += "a=inactive\n",
        Sdp::Long => {
            for line in 0..40 {
                text += &format!("a=x-padding:{line} {}\n", "0123456789".repeat(3));
            }
        }
        Sdp::Usual | Sdp::Zero | Sdp::Alaw | Sdp::Ulaw | Sdp::Strange | Sdp::Parts => {}
    }
    text
}
