// SIP messages as text (RFC 3261 §7), as far as a phone behind our own server needs them.

import { md5 } from "./md5.js";

/** Short names of header fields (RFC 3261 §7.3.3). */
const SHORT = { v: "via", f: "from", t: "to", i: "call-id", m: "contact", l: "content-length", c: "content-type", k: "supported", r: "refer-to", o: "event" };

/** A name that nobody guesses: so many letters and digits. */
export function token(letters = 16) {
  const all = "abcdefghijklmnopqrstuvwxyz0123456789";
  return [...crypto.getRandomValues(new Uint8Array(letters))].map((byte) => all[byte % all.length]).join("");
}

/** A message: `{ method, uri }` or `{ status, reason }`, with `fields` and `body`; null if it is none. */
export function parse(text) {
  const end = text.indexOf("\r\n\r\n");
  const head = end < 0 ? text : text.slice(0, end);
  const [first, ...lines] = head.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const fields = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 0) return null;
    const name = line.slice(0, colon).trim().toLowerCase();
    fields.push([SHORT[name] ?? name, line.slice(colon + 1).trim()]);
  }
  const body = end < 0 ? "" : text.slice(end + 4);
  const answer = /^SIP\/2\.0 (\d{3}) ?(.*)$/.exec(first);
  if (answer) return { status: Number(answer[1]), reason: answer[2], fields, body };
  const request = /^([A-Z]+) (\S+) SIP\/2\.0$/.exec(first);
  return request && { method: request[1], uri: request[2], fields, body };
}

/** A message's text. */
export function write(first, fields, body = "") {
  const length = new TextEncoder().encode(body).length;
  const lines = [...fields, ["Content-Length", length]].map(([name, value]) => `${name}: ${value}`);
  return `${[first, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

/** The first value of a field, or "". */
export function field(message, name) {
  return message.fields.find(([own]) => own === name)?.[1] ?? "";
}

/** All values of a field. */
export function fields(message, name) {
  return message.fields.filter(([own]) => own === name).map(([, value]) => value);
}

/** A parameter of an address such as `"Ann" <sip:1001@host>;tag=x`, or "". */
export function param(value, name) {
  const behind = value.includes(">") ? value.slice(value.indexOf(">")) : value;
  return new RegExp(`;\\s*${name}\\s*=\\s*([^;,\\s]+)`, "i").exec(behind)?.[1] ?? "";
}

/** The URI of an address. */
export function uri(value) {
  return (/<([^>]*)>/.exec(value)?.[1] ?? value.split(";")[0]).trim();
}

/** Who an address names, as a person reads it: `{ name, user }`. */
export function who(value) {
  const user = /^sips?:([^@;>]+)@/i.exec(uri(value))?.[1] ?? "";
  const quoted = /^\s*"((?:\\.|[^"\\])*)"/.exec(value)?.[1].replace(/\\(.)/g, "$1");
  const plain = value.includes("<") ? value.slice(0, value.indexOf("<")).trim() : "";
  return { name: quoted ?? plain, user: decodeURIComponent(user.replace(/%(?![0-9a-f]{2})/gi, "%25")) };
}

/** The number of a message and its method. */
export function cseq(message) {
  const [number, method] = field(message, "cseq").split(/\s+/);
  return { number: Number(number), method };
}

/** The challenges of an answer, the strongest first (RFC 8760 §2.4). */
function challenges(answer) {
  const all = ["www-authenticate", "proxy-authenticate"].flatMap((name) => fields(answer, name).map((value) => ({ name, value })));
  const read = ({ name, value }) => {
    const said = Object.fromEntries([...value.matchAll(/(\w+)=(?:"((?:\\.|[^"\\])*)"|([^,\s]+))/g)].map(([, key, quoted, bare]) => [key.toLowerCase(), quoted ?? bare]));
    return { ...said, proxy: name.startsWith("proxy"), algorithm: (said.algorithm ?? "MD5").toUpperCase() };
  };
  const known = ["SHA-256", "MD5"];
  const usable = all.map(read).filter((it) => it.nonce && known.includes(it.algorithm));
  return usable.sort((a, b) => known.indexOf(a.algorithm) - known.indexOf(b.algorithm));
}

/** The field that answers a challenge (RFC 7616 §3.4); null if there is none that can be answered. */
export async function credentials(answer, { method, uri, login, password }) {
  const [asked] = challenges(answer);
  if (!asked) return null;
  const hash = async (text) => {
    if (asked.algorithm === "MD5") return md5(text);
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const [own, count] = [token(), "00000001"];
  const secret = await hash(`${login}:${asked.realm}:${password}`);
  const wanted = await hash(`${method}:${uri}`);
  const qop = (asked.qop ?? "").split(",").some((it) => it.trim() === "auth");
  const middle = qop ? `${asked.nonce}:${count}:${own}:auth` : asked.nonce;
  const response = await hash(`${secret}:${middle}:${wanted}`);
  const quoted = { username: login, realm: asked.realm, nonce: asked.nonce, uri, response, ...(qop && { cnonce: own }), ...(asked.opaque && { opaque: asked.opaque }) };
  const bare = { algorithm: asked.algorithm, ...(qop && { qop: "auth", nc: count }) };
  const parts = [...Object.entries(quoted).map(([key, value]) => `${key}="${value}"`), ...Object.entries(bare).map(([key, value]) => `${key}=${value}`)];
  return [asked.proxy ? "Proxy-Authorization" : "Authorization", `Digest ${parts.join(", ")}`];
}
