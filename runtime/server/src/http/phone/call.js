// One call of the phone: its dialog (RFC 3261 §12) and its audio.

import { ALLOW } from "./agent.js";
import { cseq, field, fields, param, token, uri, who, write } from "./message.js";

/** Longest wait for our own addresses: the server finds us by our checks, so they are a courtesy. */
const GATHER_MS = 200;

/** How long a broken way may mend itself before another is looked for. */
const MEND_MS = 2_000;

/** First and longest wait before an answer is repeated that nobody has confirmed (RFC 3261 §13.3.1.4). */
const REPEAT_MS = [500, 4_000];

/**
 * States: `calling` and `ringing` (out), `incoming` (in), `up`, `over`. `held` is by us, `parked` by the far
 * end. `why` says how it ended: `{ status, reason }`, or null when somebody hung up.
 */
export class Call {
  constructor(agent, { peer, state, dialog, id = token(8) }) {
    Object.assign(this, { agent, peer, state, dialog, id, outward: state === "calling" });
    this.began = Date.now();
    this.answered = null;
    this.held = false;
    this.parked = false;
    this.muted = false;
    this.early = false;
    this.busy = Promise.resolve();
    this.pressed = "";
    this.why = null;
  }

  static outgoing(agent, target, { replaces, stream }) {
    const dialog = {
      callId: token(24), localTag: token(), remoteTag: "", local: agent.aor,
      remote: /^sips?:/i.test(target) ? target : `sip:${encodeURIComponent(target).replaceAll("%2B", "+")}@${agent.domain}`,
      number: 0, next() { return ++this.number; }, routes: [],
    };
    dialog.target = dialog.remote;
    const call = new Call(agent, { peer: { name: "", user: target }, state: "calling", dialog });
    call.dial(stream, replaces).catch((error) => call.fail(error));
    return call;
  }

  static incoming(agent, request) {
    const from = field(request, "from");
    const dialog = {
      callId: field(request, "call-id"), localTag: token(), remoteTag: param(from, "tag"),
      local: uri(field(request, "to")), remote: uri(from), target: uri(field(request, "contact")),
      number: 0, next() { return ++this.number; }, routes: fields(request, "record-route"), theirs: cseq(request).number,
    };
    const call = new Call(agent, { peer: who(from), state: "incoming", dialog });
    call.request = request;
    agent.respond(request, 180, "Ringing", [["Contact", agent.contact], ["Allow", ALLOW]], "", dialog.localTag);
    return call;
  }

  tell() {
    this.agent.changed(this);
  }

  /** What the connection is made of; `stream` is the microphone. */
  open(stream) {
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.stream = stream;
    this.pc.ontrack = ({ track }) => {
      this.remote = new MediaStream([track]);
      this.tell();
    };
    this.pc.onconnectionstatechange = () => {
      clearTimeout(this.mending);
      const state = this.pc?.connectionState;
      if (state === "failed") this.restart();
      if (state === "disconnected") this.mending = setTimeout(() => this.restart(), MEND_MS);
      this.tell();
    };
    for (const track of stream.getAudioTracks()) this.sender = this.pc.addTrack(track, stream);
  }

  get transceiver() {
    return this.pc.getTransceivers().find((it) => it.sender === this.sender) ?? this.pc.getTransceivers()[0];
  }

  async describe(kind, options) {
    await this.pc.setLocalDescription(await this.pc[kind === "offer" ? "createOffer" : "createAnswer"](options));
    if (this.pc.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        const done = () => this.pc?.iceGatheringState !== "gathering" && resolve();
        this.pc.addEventListener("icegatheringstatechange", done);
        setTimeout(resolve, GATHER_MS);
      });
    }
    return this.pc.localDescription.sdp;
  }

  async dial(stream, replaces) {
    this.open(stream);
    const body = await this.describe("offer");
    const more = [["Contact", this.agent.contact], ["Allow", ALLOW], ["Supported", "outbound, replaces"], ["Content-Type", "application/sdp"]];
    if (replaces) more.push(["Replaces", replaces]);
    const { dialog } = this;
    const answer = await this.agent.ask({
      method: "INVITE", uri: dialog.target, dialog, more, body,
      sent: (it) => { this.inviting = it; },
      heard: (message) => this.heard(message).catch(() => {}),
    });
    this.settle(answer);
    this.confirm(answer);
    this.inviting = null;
    // Somebody changed their mind while the answer was under way.
    if (this.state === "over" || this.leaving) return this.bye();
    await this.learn(answer.body);
    this.up();
  }

  /** An answer that is not final. */
  async heard(message) {
    if (this.leaving && this.inviting) this.cancel();
    if (message.status === 100 || this.state === "over") return;
    this.state = "ringing";
    if (message.body && !this.early) {
      this.early = true;
      await this.learn(message.body);
    }
    this.tell();
  }

  async learn(sdp) {
    if (this.pc.signalingState === "have-local-offer") await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  /** The dialog as the far end's answer says. */
  settle(answer) {
    const { dialog } = this;
    dialog.remoteTag = param(field(answer, "to"), "tag");
    dialog.target = uri(field(answer, "contact")) || dialog.target;
    dialog.routes = fields(answer, "record-route").reverse();
  }

  confirm(answer) {
    const { dialog, agent } = this;
    const top = [
      ["Via", `${agent.via};branch=z9hG4bK${token()}`], ...dialog.routes.map((route) => ["Route", route]),
      ["Max-Forwards", 70], ["From", `<${dialog.local}>;tag=${dialog.localTag}`], ["To", `<${dialog.remote}>;tag=${dialog.remoteTag}`],
      ["Call-ID", dialog.callId], ["CSeq", `${cseq(answer).number} ACK`],
    ];
    agent.send(write(`ACK ${dialog.target} SIP/2.0`, top));
  }

  up() {
    this.state = "up";
    this.answered = Date.now();
    this.tell();
  }

  /** Picks up. */
  async answer(stream) {
    const { request, agent, dialog } = this;
    if (this.state !== "incoming" || !request) return;
    this.request = null;
    try {
      this.open(stream);
      if (!request.body) throw { status: 488, reason: "Not Acceptable Here" };
      await this.pc.setRemoteDescription({ type: "offer", sdp: request.body });
      const body = await this.describe("answer");
      if (this.state === "over") return;
      this.accept(request, body);
      this.up();
    } catch (error) {
      agent.respond(request, 488, "Not Acceptable Here", [], "", dialog.localTag);
      this.fail(error);
    }
  }

  /** A 200 to their offer, repeated until it is confirmed. */
  accept(request, body) {
    const more = [["Contact", this.agent.contact], ["Allow", ALLOW], ["Supported", "outbound, replaces"], ["Content-Type", "application/sdp"]];
    const say = () => this.agent.respond(request, 200, "OK", more, body, this.dialog.localTag);
    const again = (wait, left) => {
      this.repeating = setTimeout(() => {
        say();
        if (left > 0) again(Math.min(wait * 2, REPEAT_MS[1]), left - 1);
      }, wait);
    };
    clearTimeout(this.repeating);
    say();
    again(REPEAT_MS[0], 9);
  }

  /** Hangs up, declines or gives up, whichever fits. */
  async end() {
    if (this.state === "over" || this.leaving) return;
    this.leaving = true;
    if (this.state === "incoming") {
      if (this.request) this.agent.respond(this.request, 603, "Decline", [], "", this.dialog.localTag);
      return this.close(null);
    }
    if (this.state === "up") {
      this.close(null);
      return this.bye();
    }
    // Before anything was heard there is nothing to cancel (RFC 3261 §9.1).
    if (this.state === "ringing") this.cancel();
    this.close(null);
  }

  cancel() {
    const { branch, number, top } = this.inviting ?? {};
    if (!branch || this.cancelled) return;
    this.cancelled = true;
    const same = top.filter(([name]) => !["CSeq", "Authorization", "Proxy-Authorization"].includes(name));
    this.agent.send(write(`CANCEL ${this.dialog.target} SIP/2.0`, [...same, ["CSeq", `${number} CANCEL`]]));
  }

  async bye() {
    await this.within("BYE").catch(() => {});
  }

  /** A request within the dialog. */
  within(method, more = [], body = "") {
    const { dialog } = this;
    return this.agent.ask({ method, uri: dialog.target, dialog, routes: dialog.routes, more: [["Contact", this.agent.contact], ...more], body });
  }

  fail(error) {
    if (this.state === "over") return;
    this.close({ status: error.status ?? 0, reason: error.reason || error.message || String(error) });
  }

  close(why) {
    if (this.state === "over") return;
    clearTimeout(this.mending);
    clearTimeout(this.repeating);
    this.state = "over";
    this.why = why;
    this.pc?.close();
    this.tell();
  }

  /** One change at a time: an offer waits for the answer to the one before. */
  change(what) {
    const next = this.busy.then(() => (this.state === "up" ? what() : undefined));
    this.busy = next.catch(() => {});
    return next;
  }

  /** Sends an offer and takes the answer; both may offer at once (RFC 3261 §14.1). */
  async offer(options) {
    for (let round = 0; ; round++) {
      const body = await this.describe("offer", options);
      try {
        const answer = await this.within("INVITE", [["Allow", ALLOW], ["Supported", "outbound, replaces"], ["Content-Type", "application/sdp"]], body);
        this.confirm(answer);
        return await this.learn(answer.body);
      } catch (error) {
        if (this.pc?.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" });
        if (error.status === 481 || error.status === 408) this.fail(error);
        if (error.status !== 491 || round > 3) throw error;
        await new Promise((resolve) => setTimeout(resolve, 2_100 + Math.random() * 1_900));
      }
    }
  }

  hold(held) {
    return this.change(async () => {
      if (this.held === held) return;
      const before = this.transceiver.direction;
      this.transceiver.direction = held ? "sendonly" : "sendrecv";
      try {
        await this.offer();
        this.held = held;
      } catch (error) {
        if (this.pc) this.transceiver.direction = before;
        throw error;
      } finally {
        this.tell();
      }
    });
  }

  /** Looks for another way to the server, as after a change of networks. */
  restart() {
    return this.change(() => this.offer({ iceRestart: true })).catch(() => {});
  }

  mute(muted) {
    this.muted = muted;
    if (this.sender?.track) this.sender.track.enabled = !muted;
    this.tell();
  }

  /** Another microphone. */
  async use(stream) {
    const [track] = stream.getAudioTracks();
    track.enabled = !this.muted;
    this.stream = stream;
    await this.sender?.replaceTrack(track);
  }

  /** Presses a key. */
  press(key) {
    this.pressed += key;
    if (this.sender?.dtmf?.canInsertDTMF) {
      // What is being sent goes on first.
      this.sender.dtmf.insertDTMF(this.sender.dtmf.toneBuffer + key, 120, 70);
    } else {
      this.within("INFO", [["Content-Type", "application/dtmf-relay"]], `Signal=${key}\r\nDuration=160\r\n`).catch(() => {});
    }
    this.tell();
  }

  /** Sends the far end to somebody else: to a number, or into another call of ours. */
  async transfer(target) {
    let to = `<sip:${encodeURIComponent(target)}@${this.agent.domain}>`;
    if (target instanceof Call) {
      const { callId, localTag, remoteTag, remote } = target.dialog;
      const replaces = encodeURIComponent(`${callId};to-tag=${remoteTag};from-tag=${localTag}`);
      to = `<${remote}?Replaces=${replaces}>`;
    }
    const done = new Promise((resolve, reject) => { this.referred = { resolve, reject }; });
    done.catch(() => {});
    await this.within("REFER", [["Refer-To", to], ["Referred-By", `<${this.agent.aor}>`]]);
    await done;
  }

  /** What replaces this call's dialog in another one (RFC 3891): for a page that was loaded anew. */
  get memory() {
    const { callId, localTag, remoteTag, remote } = this.dialog;
    const replaces = `${callId};to-tag=${remoteTag};from-tag=${localTag}`;
    return { replaces, remote, peer: this.peer, answered: this.answered };
  }

  serve(request) {
    const { agent, dialog } = this;
    const { method } = request;
    const { number } = cseq(request);
    const respond = (status, reason, more, body) => agent.respond(request, status, reason, more, body, dialog.localTag);
    if (method === "ACK") {
      clearTimeout(this.repeating);
      if (request.body && this.pc) this.learn(request.body).catch(() => {});
      return;
    }
    if (method === "CANCEL") {
      respond(200, "OK");
      if (this.state === "incoming" && this.request) {
        const elsewhere = /cause=200/.test(field(request, "reason"));
        agent.respond(this.request, 487, "Request Terminated", [], "", dialog.localTag);
        this.request = null;
        this.close(elsewhere ? { status: 200, reason: "Answered elsewhere" } : { status: 487, reason: "Missed" });
      }
      return;
    }
    if (dialog.theirs !== undefined && number < dialog.theirs) return respond(500, "Out Of Order");
    dialog.theirs = number;
    if (method === "BYE") {
      respond(200, "OK");
      return this.close(null);
    }
    if (method === "NOTIFY") {
      respond(200, "OK");
      return this.notified(request);
    }
    if (method === "INVITE") return this.invited(request, respond);
    if (method === "OPTIONS" || method === "INFO") return respond(200, "OK", [["Allow", ALLOW]]);
    respond(405, "Method Not Allowed", [["Allow", ALLOW]]);
  }

  /** How a transfer goes (RFC 3515 §2.4.5). */
  notified(request) {
    const status = Number(/^SIP\/2\.0 (\d{3})/.exec(request.body)?.[1] ?? 0);
    if (status < 200 || !this.referred) return;
    if (status < 300) this.referred.resolve();
    else this.referred.reject({ status, reason: request.body.split("\r\n")[0].slice(12) });
    this.referred = null;
  }

  /** An offer within the call, or a question for ours. */
  async invited(request, respond) {
    if (this.pc?.signalingState !== "stable" || this.state !== "up") return respond(491, "Request Pending");
    try {
      // Without an offer of theirs ours goes with the 200, and their answer with the ACK.
      if (!request.body) return this.accept(request, await this.describe("offer"));
      await this.pc.setRemoteDescription({ type: "offer", sdp: request.body });
      const direction = /^a=(sendonly|inactive|recvonly|sendrecv)\r?$/m.exec(request.body)?.[1] ?? "sendrecv";
      this.parked = direction === "sendonly" || direction === "inactive";
      this.transceiver.direction = this.held ? "sendonly" : "sendrecv";
      this.accept(request, await this.describe("answer"));
      this.dialog.target = uri(field(request, "contact")) || this.dialog.target;
      this.tell();
    } catch {
      respond(488, "Not Acceptable Here");
    }
  }
}
