//! What the engine's reports mean for their calls.

use vocab::call::{Cause, Command, Event, GatherEnd, Side};
use vocab::flow::{FlowError, FlowEvent, Reply};
use vocab::record::{CallEventKind, Step};
use vocab::recording::Consent;
use vocab::{LegId, Now, Pii, PlayId, TenantId};

use crate::border::Notice;
use crate::call::{Pending, Refused, Stage, Turn};
use crate::incoming::Incoming;
use crate::node::Node;
use crate::talk::{Asked, Hears, Noted, Sound};
use crate::trunk::Verdict;
use crate::wait::Wait;

impl Node {
    pub(crate) fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Incoming {
                leg,
                from,
                asserted,
                withheld,
                to,
                user,
                source,
                sip_call_id,
            } => {
                let incoming = Incoming {
                    leg,
                    from,
                    asserted,
                    withheld,
                    to,
                    user,
                    source,
                };
                self.incoming(now, incoming, &sip_call_id);
            }
            Event::Trying { leg } => self.dialed_heard(now, leg, false),
            Event::Ringing { leg } => self.dialed_heard(now, leg, true),
            Event::Answered { leg } if self.is_first(leg) => self.answered(now, leg.call),
            Event::Answered { leg } => {
                self.dialed_answered(now, leg);
                self.record_legs(now, leg.call);
            }
            Event::Played {
                leg,
                play,
                finished,
            } => self.played(now, leg, play, finished),
            Event::Digit { leg, digit } => {
                let known = self.watcher_pressed(now, leg, *digit.reveal());
                // One key more than was asked for is no less a secret.
                if !known && self.is_first(leg) && !self.keeps_secret(leg.call) {
                    self.flow_event(now, leg.call, FlowEvent::Dtmf(digit));
                }
            }
            Event::Gathered { leg, digits, end } => {
                if self.secured(now, leg, &digits, end) {
                    return;
                }
                let Some(call) = self.calls.get_mut(&leg.call) else {
                    return;
                };
                let count = u8::try_from(digits.reveal().len()).unwrap_or(u8::MAX);
                let kind = CallEventKind::Gathered { digits: count, end };
                self.journal.note(call, now.wall, kind);
                if let Some(Pending::Consent { key, .. }) = call.pending() {
                    let yes = key.is_some_and(|key| digits.reveal().starts_with(key));
                    let consent = if yes {
                        Consent::Given
                    } else {
                        Consent::Refused
                    };
                    if end != GatherEnd::Hangup {
                        self.consented(now, leg.call, consent);
                    }
                    return;
                }
                let secret = match call.pending() {
                    Some(Pending::Gather { secret }) => Some(*secret),
                    Some(_) | None => None,
                };
                // A hang-up is told by the leg's end, which follows at once.
                if end != GatherEnd::Hangup {
                    self.secret_over(now, leg.call);
                }
                let Some(secret) = secret.filter(|_| end != GatherEnd::Hangup) else {
                    return;
                };
                let reply = if secret {
                    let kept = self.lock_up(leg.call, digits);
                    Reply::Secret {
                        token: kept.token,
                        digits: kept.digits,
                        luhn: kept.luhn,
                        end,
                    }
                } else {
                    Reply::Digits { value: digits, end }
                };
                self.reply(now, leg.call, Ok(reply));
            }
            Event::Recorded {
                leg,
                recording,
                end,
                length,
            } => self.recorded(now, leg.call, recording, length, end),
            Event::Bridged { a, b } => self.bridged(now, a, b),
            Event::Unbridged { a, b } => self.unbridged(now, a, b),
            Event::Ended {
                leg,
                cause,
                by,
                status,
                q850,
                contacts,
                retry_after,
            } => {
                let refused = Refused {
                    cause,
                    status,
                    q850,
                };
                self.securing_leg_ended(now, leg);
                self.recorded_leg_ended(now, leg);
                let verdict = Verdict::of(cause, status, retry_after);
                self.trunks.leg_ended(now.mono, leg, verdict);
                self.leg_ended(now, leg, by, refused, &contacts);
            }
            Event::Joined { leg } => {
                self.step(now, leg.call, Noted::new(Step::Joined, leg.n));
                self.tell_outsider(now, leg);
            }
            Event::Left { leg } => {
                self.step(now, leg.call, Noted::new(Step::Left, leg.n));
            }
            Event::Heard { leg, hearing } => self.heard(now, leg, hearing),
            Event::Talking { leg, talking } => self.talks_now(leg, talking),
            Event::Speaker { leg } => self.is_heard_most(leg),
            Event::OneWay { leg, unheard } => {
                let missing = if unheard { "out" } else { "in" };
                let noted = Noted::new(Step::OneWay, leg.n).detail(missing);
                self.step(now, leg.call, noted);
            }
            Event::Media { leg, media } => {
                let kind = CallEventKind::Media { leg: leg.n, media };
                if let Some(call) = self.calls.get_mut(&leg.call) {
                    self.journal.note(call, now.wall, kind);
                }
            }
            Event::EarlyMedia { leg } => self.dialed_early(now, leg),
            Event::Held { leg } => self.phone_holds(now, leg, true),
            Event::Retrieved { leg } => self.phone_holds(now, leg, false),
            Event::ReferAsked {
                leg,
                to,
                replaces,
                elsewhere,
            } => {
                let asked = Asked {
                    to,
                    replaces,
                    elsewhere,
                };
                self.refer_asked(now, leg, &asked);
            }
            Event::Moved { from, to } => {
                if from != to {
                    self.recorded_leg_moves(now, from, to);
                }
                self.moved(now, from, to);
                self.record_legs(now, to.call);
            }
            // We change nothing of a running call by ourselves, nor ask anybody to call elsewhere.
            Event::Reoffered { .. } | Event::Referred { .. } => {}
            Event::Registered {
                user,
                contacts,
                refreshed,
            } => {
                let tenant = self.owner(&user);
                self.notice(Notice::Registered {
                    tenant,
                    user,
                    contacts,
                    refreshed,
                });
            }
            Event::Unregistered { user, why } => {
                let tenant = self.owner(&user);
                self.notice(Notice::Unregistered { tenant, user, why });
            }
            Event::AuthFailed { source, .. } => self.notice(Notice::AuthFailed { source }),
            Event::Banned {
                source,
                reason,
                lasting,
            } => self.notice(Notice::Banned {
                source,
                reason,
                lasting,
            }),
        }
    }

    /// A party of a conference begins to talk, or stops: no record, but news.
    fn talks_now(&mut self, leg: LegId, talking: bool) {
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let Some(member) = call.talk.members.get_mut(&leg.n) else {
            return;
        };
        member.talks = talking;
        let tenant = call.tenant.id.clone();
        let (call, leg) = (leg.call, leg.n);
        self.notice(Notice::Talking {
            tenant,
            call,
            leg,
            talking,
        });
    }

    /// A party of a conference is heard most.
    fn is_heard_most(&mut self, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        for (n, member) in &mut call.talk.members {
            member.leads = *n == leg.n;
        }
        let tenant = call.tenant.id.clone();
        let (call, leg) = (leg.call, leg.n);
        self.notice(Notice::Speaker { tenant, call, leg });
    }

    /// Whose user it is.
    fn owner(&self, user: &str) -> Option<TenantId> {
        let tenant = self.config.tenant_of(user);
        tenant.map(|tenant| tenant.id.clone())
    }

    /// Whether it is the leg that a flow, or nobody yet, looks after.
    fn is_first(&self, leg: LegId) -> bool {
        let call = self.calls.get(&leg.call);
        call.is_some_and(|call| call.leg == leg)
    }

    /// A leg is over: the one of a flow, somebody who was called, or a party of a talk.
    fn leg_ended(
        &mut self,
        now: Now,
        leg: LegId,
        by: Side,
        refused: Refused,
        contacts: &[Pii<String>],
    ) {
        let cause = refused.cause;
        self.forget_move(now, leg);
        if self.watcher_gone(now, leg, cause) {
            return;
        }
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        if call.talk.coming.is_some_and(|it| it.joins == leg.n) {
            self.nobody_to_join(now, leg.call);
        }
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let coming = call.talk.coming;
        let talks = call.talks();
        if talks && (coming.is_some() || self.leaves_for_a_bridge(leg.call)) {
            // Whom the other one was connected with goes on elsewhere: that is no flow's any more.
            self.take_over(now, leg.call);
        }
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        if call.dialing().is_some_and(|dial| dial.has(leg)) {
            return self.dialed_ended(now, leg, refused, contacts);
        }
        let talks = matches!(call.stage, Stage::Talk);
        if talks && call.talk.members.contains_key(&leg.n) || call.leg != leg {
            return self.member_gone(now, leg, cause, by);
        }
        // The leg of one who has gone to another call ends behind it.
        if !call.is_gone() {
            self.caller_gone(now, leg.call, cause, by);
        }
    }

    fn played(&mut self, now: Now, leg: LegId, play: PlayId, finished: bool) {
        let id = leg.call;
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let member = call.talk.members.get(&leg.n);
        if member.is_some_and(|it| it.hears == Hears::Sound(Sound::Last, play)) {
            let cause = Cause::Failed;
            return self.commands.push_back(Command::Hangup { leg, cause });
        }
        if leg != call.leg {
            return self.whispered(now, leg, play);
        }
        if matches!(call.stage, Stage::Fallback { play: Some(p) } if p == play) {
            call.stage = Stage::Leaving;
            self.deadlines.clear(id, Wait::Op);
            return self.hang_up(id, Cause::Failed);
        }
        let Some(flow) = call.flow() else { return };
        if let Some(token) = flow.plays.remove(&play) {
            return self.flow_event(now, id, FlowEvent::PlayDone(token));
        }
        if matches!(flow.turn, Turn::Host(Pending::Consent { play: p, .. }) if p == Some(play)) {
            let consent = if finished {
                Consent::Announced
            } else {
                Consent::NotAsked
            };
            return self.consented(now, leg.call, consent);
        }
        if matches!(flow.turn, Turn::Host(Pending::Play { play: p }) if p == play) {
            let reply = if finished {
                Ok(Reply::Done)
            } else {
                Err(FlowError::Cancelled)
            };
            self.reply(now, id, reply);
        }
    }
}
