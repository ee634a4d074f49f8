// A phone's line: the WebSocket (RFC 7118), transactions over it, and the registration (RFC 5626).

import { Call } from "./call.js";
import { credentials, cseq, field, fields, param, parse, token, write } from "./message.js";

/** Seconds for which the line asks to be registered, and how long before their end it asks again. */
const EXPIRES_S = 600;
const AHEAD_S = 60;

/** Longest wait for an answer (RFC 3261 §17.1.2.2), and for a called party to pick up. */
const ANSWER_MS = 32_000;
const RINGING_MS = 180_000;

/** A ping every so often keeps the way open (RFC 5626 §4.4.1); who does not answer it is gone. */
const PING_MS = 25_000;
const PONG_MS = 10_000;

/** Waits before the line is tried again, in seconds. */
const WAITS_S = [0.3, 1, 2, 4, 8, 15, 30];

export const ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO";

/**
 * One user at one server. Fires `line` (`state` is offline, connecting, online or refused; `why` says why),
 * `call` for each call that comes in, and `changed` whenever something of a call has changed.
 */
export class Agent extends EventTarget {
  constructor({ url, domain, user, login, password, instance }) {
    super();
    Object.assign(this, { url, domain, user, login: login || user, password, instance });
    this.host = `${token(12)}.invalid`;
    this.calls = [];
    this.waiting = new Map();
    this.registration = { callId: token(), number: 0 };
    this.attempt = 0;
    this.state = "offline";
    this.wanted = false;
  }

  get aor() {
    return `sip:${encodeURIComponent(this.user)}@${this.domain}`;
  }

  get via() {
    return `SIP/2.0/${this.url.startsWith("wss") ? "WSS" : "WS"} ${this.host}`;
  }

  get contact() {
    return `<sip:${encodeURIComponent(this.user)}@${this.host};transport=ws;ob>`;
  }

  /** Goes online and stays so. Resolves once registered, rejects with `{ status, reason }` if refused. */
  start() {
    this.wanted = true;
    this.connect();
    return new Promise((resolve, reject) => {
      const settle = ({ detail }) => {
        if (detail.state === "online") resolve();
        else if (detail.state === "refused") reject(detail);
        else return;
        this.removeEventListener("line", settle);
      };
      this.addEventListener("line", settle);
    });
  }

  /** Leaves: calls are ended and the server is told. */
  async stop() {
    this.wanted = false;
    await Promise.all(this.calls.map((call) => call.end()));
    if (this.state === "online") await this.register(0).catch(() => {});
    clearTimeout(this.refresh);
    this.socket?.close();
    this.enter("offline");
  }

  enter(state, more = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("line", { detail: { state, ...more } }));
  }

  changed(call) {
    if (call.state === "over") this.calls = this.calls.filter((it) => it !== call);
    this.dispatchEvent(new CustomEvent("changed", { detail: call }));
  }

  connect() {
    clearTimeout(this.retry);
    if (!this.wanted || [0, 1].includes(this.socket?.readyState)) return;
    this.enter("connecting");
    const socket = new WebSocket(this.url, "sip");
    this.socket = socket;
    socket.onopen = () => this.register(EXPIRES_S).catch(() => {});
    socket.onmessage = ({ data }) => socket === this.socket && this.receive(data);
    socket.onclose = () => socket === this.socket && this.lost();
  }

  /** The socket is gone: calls go on, and the line comes back. */
  lost() {
    clearInterval(this.pinging);
    clearTimeout(this.pong);
    clearTimeout(this.refresh);
    this.socket = null;
    for (const waiting of [...this.waiting.values()]) waiting.fail({ status: 503, reason: "Offline" });
    if (!this.wanted || this.state === "refused") return;
    const wait = WAITS_S[Math.min(this.attempt++, WAITS_S.length - 1)];
    this.enter("offline", { wait });
    this.retry = setTimeout(() => this.connect(), wait * 1000 * (0.75 + Math.random() / 2));
  }

  /** The network may have changed: do not wait. */
  hurry() {
    if (!this.wanted || this.state === "refused") return;
    if (this.socket?.readyState === 1) this.ping();
    else this.connect();
  }

  ping() {
    if (this.socket?.readyState !== 1) return;
    this.socket.send("\r\n\r\n");
    clearTimeout(this.pong);
    const { socket } = this;
    this.pong = setTimeout(() => {
      if (socket !== this.socket) return;
      socket.onclose = null;
      socket.close();
      this.lost();
    }, PONG_MS);
  }

  send(text) {
    if (this.socket?.readyState !== 1) return false;
    this.socket.send(text);
    return true;
  }

  /** Tells the server where the line is; 0 seconds takes it back. */
  async register(expires) {
    const own = this.registration;
    const contact = `${this.contact};+sip.instance="<urn:uuid:${this.instance}>";reg-id=1;expires=${expires}`;
    const more = [["Contact", contact], ["Expires", expires], ["Supported", "path, outbound, gruu"], ["Allow", ALLOW]];
    const dialog = { callId: own.callId, localTag: (own.tag ??= token()), remoteTag: "", local: this.aor, remote: this.aor, next: () => ++own.number };
    try {
      const answer = await this.ask({ method: "REGISTER", uri: `sip:${this.domain}`, dialog, more });
      if (!expires) return;
      const same = fields(answer, "contact").flatMap((it) => it.split(/,(?=\s*<)/)).find((it) => it.includes(this.host));
      const granted = Number(same && param(same, "expires")) || Number(field(answer, "expires")) || expires;
      clearTimeout(this.refresh);
      this.refresh = setTimeout(() => this.register(EXPIRES_S).catch(() => {}), Math.max(granted - AHEAD_S, granted / 2, 5) * 1000);
      clearInterval(this.pinging);
      this.pinging = setInterval(() => this.ping(), PING_MS);
      this.attempt = 0;
      this.enter("online");
    } catch (answer) {
      if ([401, 403, 404].includes(answer.status)) {
        this.wanted = false;
        this.enter("refused", answer);
        this.socket?.close();
      } else if (this.socket) {
        this.socket.close();
      }
      throw answer;
    }
  }

  /**
   * Sends a request and gives its final answer; rejects with one that is no success, or with
   * `{ status, reason }` if none comes. `heard` is given what comes before it.
   */
  async ask({ method, uri: to, dialog, more = [], body = "", routes = [], heard = () => {}, sent = () => {} }) {
    let extra = [];
    for (let round = 0; ; round++) {
      const branch = `z9hG4bK${token()}`;
      const number = dialog.next();
      const remote = `<${dialog.remote}>${dialog.remoteTag && `;tag=${dialog.remoteTag}`}`;
      const top = [
        ["Via", `${this.via};branch=${branch}`],
        ...routes.map((route) => ["Route", route]),
        ["Max-Forwards", 70],
        ["From", `<${dialog.local}>;tag=${dialog.localTag}`],
        ["To", remote],
        ["Call-ID", dialog.callId],
        ["CSeq", `${number} ${method}`],
        ...extra,
        ["User-Agent", "Jackfield phone page"],
      ];
      sent({ branch, number, top });
      const text = write(`${method} ${to} SIP/2.0`, [...top, ...more], body);
      const answer = await this.transact(text, { branch, method, to, routes, heard });
      if (![401, 407].includes(answer.status)) {
        if (answer.status >= 300) throw answer;
        return answer;
      }
      const proof = await credentials(answer, { method, uri: to, login: this.login, password: this.password });
      // A second challenge means that the first answer was wrong, unless its nonce had grown old.
      const stale = /stale=true/i.test(field(answer, "www-authenticate") + field(answer, "proxy-authenticate"));
      if (!proof || round > 1 || (round && !stale)) throw answer;
      extra = [proof];
    }
  }

  transact(text, { branch, method, to, routes, heard }) {
    return new Promise((resolve, reject) => {
      const over = (what) => {
        clearTimeout(waiting.timer);
        this.waiting.delete(`${branch} ${method}`);
        what();
      };
      const late = () => over(() => reject({ status: 408, reason: "Request Timeout" }));
      const waiting = {
        to,
        routes,
        timer: setTimeout(late, ANSWER_MS),
        answer: (message) => {
          if (message.status >= 200) return over(() => resolve(message));
          clearTimeout(waiting.timer);
          waiting.timer = setTimeout(late, method === "INVITE" ? RINGING_MS : ANSWER_MS);
          heard(message);
        },
        fail: (why) => over(() => reject(why)),
      };
      this.waiting.set(`${branch} ${method}`, waiting);
      if (!this.send(text)) waiting.fail({ status: 503, reason: "Offline" });
    });
  }

  receive(data) {
    clearTimeout(this.pong);
    const message = typeof data === "string" && data.trim() ? parse(data) : null;
    if (!message) return;
    if (message.status) {
      const branch = param(field(message, "via"), "branch");
      const { method } = cseq(message);
      const waiting = this.waiting.get(`${branch} ${method}`);
      if (waiting) {
        if (method === "INVITE" && message.status >= 300) this.confirm(message, branch, waiting);
        waiting.answer(message);
      } else if (method === "INVITE" && message.status >= 200 && message.status < 300) {
        // Our confirmation was lost.
        this.find(message)?.confirm(message);
      }
      return;
    }
    this.serve(message);
  }

  /** The ACK of a refusal belongs to its transaction (RFC 3261 §17.1.1.3). */
  confirm(answer, branch, { to, routes }) {
    const copied = [...routes.map((route) => ["Route", route]), ...["from", "to", "call-id"].map((name) => [name, field(answer, name)])];
    const own = [["Via", `${this.via};branch=${branch}`], ["Max-Forwards", 70], ...copied, ["CSeq", `${cseq(answer).number} ACK`]];
    this.send(write(`ACK ${to} SIP/2.0`, own));
  }

  /** Answers a request. */
  respond(request, status, reason, more = [], body = "", tag = "") {
    const to = field(request, "to");
    const known = param(to, "tag") || !tag ? to : `${to};tag=${tag}`;
    const copied = request.fields.filter(([name]) => ["via", "from", "call-id", "cseq", "record-route"].includes(name));
    this.send(write(`SIP/2.0 ${status} ${reason}`, [...copied, ["To", known], ...more], body));
  }

  /** The call that a message is of. */
  find(message) {
    return this.calls.find((call) => call.dialog?.callId === field(message, "call-id"));
  }

  serve(request) {
    const call = this.find(request);
    if (call) return call.serve(request);
    if (request.method === "ACK") return;
    if (request.method === "OPTIONS") return this.respond(request, 200, "OK", [["Allow", ALLOW], ["Accept", "application/sdp"]], "", token());
    if (request.method !== "INVITE" || param(field(request, "to"), "tag")) {
      const gone = ["BYE", "CANCEL", "INVITE", "NOTIFY", "INFO"].includes(request.method);
      return this.respond(request, ...(gone ? [481, "Call Does Not Exist"] : [405, "Method Not Allowed"]), [["Allow", ALLOW]], "", token());
    }
    const incoming = Call.incoming(this, request);
    this.calls.push(incoming);
    this.dispatchEvent(new CustomEvent("call", { detail: incoming }));
    this.changed(incoming);
  }

  /** Calls somebody. */
  call(target, options) {
    const call = Call.outgoing(this, target, options);
    this.calls.push(call);
    this.changed(call);
    return call;
  }
}
