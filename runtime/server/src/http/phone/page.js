// The page: what is shown, and what its buttons do.

import { Agent } from "./agent.js";
import { close, devices, level, listen, microphone, ring, silence, speak } from "./audio.js";
import { current, reason, say, turn } from "./words.js";

const $ = (id) => document.getElementById(id);
const KEYS = [["1", ""], ["2", "ABC"], ["3", "DEF"], ["4", "GHI"], ["5", "JKL"], ["6", "MNO"], ["7", "PQRS"], ["8", "TUV"], ["9", "WXYZ"], ["*", ""], ["0", "+"], ["#", ""]];

/** Calls that are remembered, and how long after a reload one may be taken up again. */
const HISTORY = 20;
const RESUME_MS = 8_000;

let agent = null;
let notice = 0;
/** The call that another one asks about before it is transferred. */
const asking = new Map();
const cards = new Map();

const up = () => agent?.calls.filter((call) => call.state === "up") ?? [];
const talking = () => up().find((call) => !call.held) ?? null;

/** Says something for a while; nothing takes it away. */
function tell(text, lasting = false) {
  clearTimeout(notice);
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
  if (text && !lasting) notice = setTimeout(() => tell(null), 8_000);
}

/** What is wrong with the microphone, and what to do. */
function trouble(error) {
  const words = { NotAllowedError: "mic_denied", SecurityError: "mic_denied", NotFoundError: "mic_none", OverconstrainedError: "mic_none", NotReadableError: "mic_busy", insecure: "insecure" };
  tell(words[error.name] ? say(words[error.name]) : `${say("s0")}: ${error.message ?? error}`);
}

const store = {
  get: (where, key) => { try { return JSON.parse(where.getItem(key)); } catch { return null; } },
  set: (where, key, value) => where.setItem(key, JSON.stringify(value)),
};

/** Who one is: given in the address by whoever opened the page, or kept in this tab. */
function identity() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (given.user && given.password) {
    // It is not for the history, nor for whoever looks over the shoulder.
    history.replaceState(null, "", location.pathname + location.search);
    const { user, login, password, number } = given;
    store.set(sessionStorage, "identity", { user, login, password });
    $("number").value = number ?? "";
  }
  return store.get(sessionStorage, "identity");
}

function instance() {
  const known = sessionStorage.getItem("instance") ?? crypto.randomUUID();
  sessionStorage.setItem("instance", known);
  return known;
}

/** The page is for who has not signed in, or for who has. */
function show(signed) {
  $("login").hidden = signed;
  $("phone").hidden = !signed;
  $("leave").hidden = !signed;
  if (!signed) line({ state: "offline" });
}

function line({ state, status, reason: words }) {
  $("line").dataset.state = state;
  const name = agent && state === "online" ? `${agent.user} · ` : "";
  $("line").lastElementChild.textContent = $("phone").hidden && state === "offline" ? "" : name + say(state);
  if (state === "refused") {
    store.set(sessionStorage, "identity", null);
    tell(say(status === 403 && /expired/i.test(words) ? "expired" : "wrong"), true);
    agent = null;
    show(false);
  } else if (state === "offline" && agent?.attempt > 2) {
    tell(say("unreachable"), true);
  } else if (state === "online" && $("notice").textContent === say("unreachable")) {
    tell(null);
  }
}

async function sign_in(who) {
  const url = new URL("sip", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = url.search = "";
  agent = new Agent({ ...who, url: url.href, domain: location.hostname, instance: instance() });
  agent.addEventListener("line", ({ detail }) => line(detail));
  agent.addEventListener("call", ({ detail }) => came(detail));
  agent.addEventListener("changed", ({ detail }) => changed(detail));
  globalThis.phone = agent;
  show(true);
  past();
  await agent.start();
  store.set(sessionStorage, "identity", who);
  tell(null);
  await resume();
}

/** Takes up again the calls that this tab had when it was loaded anew. */
async function resume() {
  const known = store.get(sessionStorage, "calls");
  sessionStorage.removeItem("calls");
  if (!known || Date.now() - known.at > RESUME_MS) return;
  for (const { replaces, remote, peer, answered } of known.calls) {
    try {
      const call = agent.call(remote, { replaces, stream: await microphone($("microphone").value) });
      Object.assign(call, { peer, resumed: answered });
    } catch (error) {
      trouble(error);
    }
  }
}

function remember() {
  const calls = up().map((call) => call.memory);
  if (calls.length) store.set(sessionStorage, "calls", { at: Date.now(), calls });
}

/** Calls a number; what else is talking is held. */
async function dial(number) {
  const target = number.trim();
  if (!target || !agent) return null;
  try {
    const stream = await microphone($("microphone").value);
    await pause(null);
    tell(null);
    return agent.call(target, { stream });
  } catch (error) {
    trouble(error);
    return null;
  }
}

/** Holds all calls but one. */
async function pause(but) {
  for (const call of up()) if (call !== but && !call.held) await call.hold(true);
}

async function answer(call) {
  try {
    const stream = await microphone($("microphone").value);
    await pause(call);
    await call.answer(stream);
  } catch (error) {
    trouble(error);
  }
}

function came(call) {
  if (document.hidden && globalThis.Notification?.permission === "granted") {
    new Notification(say("incoming"), { body: name(call), icon: "phone/icon.svg", tag: call.id });
  }
}

function name({ peer }) {
  if (peer.name && peer.user && peer.name !== peer.user) return `${peer.name} (${peer.user})`;
  return peer.user || peer.name || say("unknown");
}

/** What state a call is in, in words. */
function status(call) {
  if (call.state !== "up") return say(call.state);
  if (call.held) return say("held");
  if (["disconnected", "failed"].includes(call.pc?.connectionState)) return say("mending");
  return say(call.parked ? "parked" : "up");
}

function time(call) {
  if (!call.answered) return "";
  const seconds = Math.floor((Date.now() - (call.resumed ?? call.answered)) / 1000);
  const pad = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ""}${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
}

/** The buttons that a call has now. */
function buttons(call) {
  if (call.state === "incoming") return [["answer", "main", () => answer(call)], ["decline", "stop", () => call.end()]];
  const end = ["hang_up", "stop", () => call.end()];
  if (call.state !== "up") return [end];
  const hold = () => (call.held ? pause(call).then(() => call.hold(false)) : call.hold(true)).catch((error) => failed("failed", error));
  const all = [[call.muted ? "unmute" : "mute", "", () => call.mute(!call.muted)], [call.held ? "resume" : "hold", "", hold]];
  const first = asking.get(call);
  if (first?.state === "up") all.push(["connect", "main", () => transfer(first, call)]);
  else all.push(["transfer", "", () => unfold(call)]);
  return [...all, end];
}

const failed = (what, error) => tell(`${say(what)}: ${reason(error)}`);

function unfold(call) {
  const form = cards.get(call).querySelector(".transfer");
  form.hidden = !form.hidden;
  if (!form.hidden) form.elements[0].focus();
}

async function transfer(call, target) {
  try {
    await call.transfer(target);
    tell(say("transferred"));
    await call.end();
  } catch (error) {
    failed("transfer_failed", error);
  }
}

function card(call) {
  const made = $("one").content.firstElementChild.cloneNode(true);
  const form = made.querySelector(".transfer");
  form.onsubmit = async (event) => {
    event.preventDefault();
    const target = form.elements[0].value.trim();
    if (!target) return;
    form.hidden = true;
    if (event.submitter?.value !== "ask") return transfer(call, target);
    const other = await dial(target);
    if (other) {
      asking.set(other, call);
      draw(other);
    }
  };
  cards.set(call, made);
  $("calls").append(made);
  turn();
  return made;
}

function draw(call) {
  const shown = cards.get(call) ?? card(call);
  shown.classList.toggle("in", call.state === "incoming");
  shown.dataset.state = call.state;
  shown.querySelector("strong").textContent = name(call);
  shown.querySelector(".state").textContent = status(call);
  shown.querySelector("time").textContent = time(call);
  const pressed = shown.querySelector(".pressed");
  pressed.hidden = !call.pressed;
  pressed.textContent = `${say("pressed")} ${call.pressed}`;
  const all = buttons(call);
  const place = shown.querySelector(".buttons");
  const keys = all.map(([key]) => key).join();
  if (place.dataset.keys !== keys + current()) {
    place.dataset.keys = keys + current();
    place.replaceChildren(...all.map(([key, kind, act]) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: kind, textContent: say(key), onclick: act });
      button.dataset.act = key;
      return button;
    }));
  }
}

function changed(call) {
  if (call.state === "over") {
    cards.get(call)?.remove();
    cards.delete(call);
    asking.delete(call);
    // A call from before a reload may be gone by now; nobody has tried to make it.
    if (call.resumed) tell(call.why ? say("gone") : null);
    else keep(call);
    if (call.why && !call.leaving && ![200, 487].includes(call.why.status) && !call.resumed) failed("failed", call.why);
    if (!agent?.calls.length) close();
  } else {
    draw(call);
  }
  for (const other of agent?.calls ?? []) if (other !== call) draw(other);
  listen(agent?.calls ?? [], $("speaker").value);
  const [calls, incoming] = [agent?.calls ?? [], (agent?.calls ?? []).filter((it) => it.state === "incoming")];
  const outgoing = calls.filter((it) => it.state === "ringing" && !it.early);
  if (incoming.length) ring("in");
  else if (outgoing.length) ring("out");
  else silence();
  $("call").disabled = calls.some((it) => ["calling", "ringing"].includes(it.state));
}

/** Keeps a call that is over in the list of past ones. */
function keep(call) {
  const all = store.get(localStorage, "history") ?? [];
  const missed = !call.answered && call.why?.status !== 200 && !call.outward && !call.leaving;
  all.unshift({ user: call.peer.user, name: call.peer.name, out: call.outward, missed, at: call.began, seconds: call.answered ? Math.round((Date.now() - call.answered) / 1000) : 0 });
  store.set(localStorage, "history", all.slice(0, HISTORY));
  past();
}

function past() {
  const all = store.get(localStorage, "history") ?? [];
  const rows = all.map((it) => {
    const row = document.createElement("li");
    const again = document.createElement("button");
    again.textContent = `${it.out ? "↗" : "↙"} ${it.user || it.name || say("unknown")}`;
    again.classList.toggle("missed", it.missed);
    again.onclick = () => { $("number").value = it.user; $("number").focus(); };
    const when = document.createElement("span");
    const at = new Date(it.at).toLocaleString(current(), { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" });
    when.textContent = `${at}${it.missed ? ` · ${say("missed")}` : it.seconds ? ` · ${Math.floor(it.seconds / 60)}:${String(it.seconds % 60).padStart(2, "0")}` : ""}`;
    row.append(again, when);
    return row;
  });
  if (!rows.length) rows.push(Object.assign(document.createElement("li"), { className: "none", textContent: say("empty") }));
  $("history").replaceChildren(...rows);
}

/** A key is pressed: into the call that is talking, or else into the number. */
function press(key) {
  const call = talking();
  if (call) call.press(key);
  else $("number").value += key;
}

function keys() {
  for (const [key, letters] of KEYS) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.key = key;
    button.append(key, Object.assign(document.createElement("small"), { textContent: letters }));
    button.onclick = () => press(key);
    $("keys").append(button);
  }
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.matches("input, select");
    if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey && /^[0-9*#]$/.test(event.key)) press(event.key);
  });
}

/** Fills the lists of devices; names are known once the microphone was allowed. */
async function list() {
  const all = await devices();
  for (const [id, kind] of [["microphone", "audioinput"], ["speaker", "audiooutput"]]) {
    const chosen = $(id).value || localStorage.getItem(id) || "";
    const own = all.filter((it) => it.kind === kind && it.deviceId && it.deviceId !== "default");
    const choices = own.map((it, n) => new Option(it.label || `${say(id)} ${n + 1}`, it.deviceId));
    $(id).replaceChildren(new Option(say("standard"), ""), ...choices);
    $(id).value = own.some((it) => it.deviceId === chosen) ? chosen : "";
  }
}

let trying = null;

/** Shows the microphone's level without a call. */
async function test() {
  if (trying) {
    trying = null;
    if (!agent?.calls.length) close();
  } else {
    try {
      trying = await microphone($("microphone").value);
    } catch (error) {
      trouble(error);
    }
  }
  $("test").dataset.say = trying ? "test_end" : "test";
  turn();
}

function start() {
  turn();
  keys();
  $("speaking").hidden = !("setSinkId" in HTMLMediaElement.prototype);
  $("language").onclick = () => {
    turn(current() === "en" ? "zh-CN" : "en");
    line({ state: agent?.state ?? "offline" });
    for (const call of agent?.calls ?? []) draw(call);
    past();
    list().catch(() => {});
  };
  $("login").onsubmit = (event) => {
    event.preventDefault();
    const [user, password] = [$("user").value.trim(), $("password").value];
    $("password").value = "";
    sign_in({ user, login: user, password }).catch(() => {});
  };
  $("leave").onclick = async () => {
    const leaving = agent;
    agent = null;
    for (const key of ["identity", "calls"]) sessionStorage.removeItem(key);
    for (const shown of cards.values()) shown.remove();
    cards.clear();
    silence();
    close();
    show(false);
    tell(null);
    await leaving?.stop();
  };
  $("dial").onsubmit = async (event) => {
    event.preventDefault();
    const number = $("number").value;
    $("number").value = "";
    if (!(await dial(number))) $("number").value = number;
  };
  $("back").onclick = () => { $("number").value = $("number").value.slice(0, -1); };
  $("test").onclick = test;
  $("microphone").onchange = async () => {
    localStorage.setItem("microphone", $("microphone").value);
    try {
      if (!trying && !agent?.calls.length) return;
      const stream = await microphone($("microphone").value, true);
      if (trying) trying = stream;
      for (const call of agent?.calls ?? []) await call.use(stream);
    } catch (error) {
      trouble(error);
    }
  };
  $("speaker").onchange = () => {
    localStorage.setItem("speaker", $("speaker").value);
    speak($("speaker").value);
  };
  if (navigator.mediaDevices) {
    navigator.mediaDevices.ondevicechange = () => list().catch(() => {});
    list().catch(() => {});
  } else {
    tell(say("insecure"), true);
  }
  setInterval(() => {
    for (const [call, shown] of cards) shown.querySelector("time").textContent = time(call);
  }, 1_000);
  const meters = () => {
    $("me").value = level("me");
    $("far").value = level("far");
  };
  setInterval(meters, 80);
  addEventListener("online", () => {
    agent?.hurry();
    for (const call of up()) call.restart();
  });
  addEventListener("pagehide", remember);
  // Another link was opened in this tab.
  addEventListener("hashchange", () => location.hash.includes("user=") && location.reload());
  addEventListener("beforeunload", (event) => {
    if (agent?.calls.length) event.preventDefault();
  });
  const who = identity();
  show(Boolean(who));
  if (who) sign_in(who).catch(() => {});
}

document.addEventListener("permission", () => list().catch(() => {}));
start();
