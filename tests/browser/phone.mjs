// A phone of one of the libraries that pages in browsers use, driven by lines: a command comes in
// on each line, and what happens goes out as JSON, a line each.
//
//   node phone.mjs '{"library":"sipjs","url":"wss://…","user":"1001","password":"…","rtp":4000}'
//
// The libraries are as published. What the browser would give them is given here: WebSockets by
// the package ws, and audio as plain RTP that somebody else listens to.

import { createInterface } from "node:readline";
import WebSocket from "ws";

const setup = JSON.parse(process.argv[2]);
globalThis.WebSocket = WebSocket;

/// Tells what has happened.
function tell(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

/// The description of our audio: what a browser makes of its devices.
function describe() {
  return [
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=-",
    "c=IN IP4 127.0.0.1",
    "t=0 0",
    `m=audio ${setup.rtp} RTP/AVP 0 101`,
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=ptime:20",
    "a=sendrecv",
    "",
  ].join("\r\n");
}

const { start } = await import(`./${setup.library}.mjs`);
const phone = await start(setup, describe, tell);
tell("connected");

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(" ");
  try {
    await phone[command](...words);
  } catch (error) {
    tell("broken", { command, why: String(error) });
  }
}
process.exit(0);
