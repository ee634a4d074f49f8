// A phone in a page, driven from outside: `phone` has its commands, `news` what has happened, and
// `heard()` what has come from the far end.

const setup = Object.fromEntries(new URLSearchParams(location.search));
const RATE = 8000;
const all = [];

/// The microphone as it is: what is heard at the other end is compared with what was spoken here.
const microphone = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const chunks = [];

globalThis.all = all;
globalThis.news = (event) => all.filter((it) => it.event === event);
globalThis.last = (event) => news(event).at(-1) ?? null;

function tell(event, more = {}) {
  all.push({ event, ...more });
}

/// Keeps what a track says, and no longer what the one before it says: an offer may bring a new one.
let context;
let leave = () => {};
async function listen(track) {
  const stream = new MediaStream([track]);
  // Chromium decodes only what is played somewhere.
  const audio = new Audio();
  audio.srcObject = stream;
  audio.muted = true;
  audio.play().catch(() => {});
  if (!context) {
    context = new AudioContext({ sampleRate: RATE });
    await context.audioWorklet.addModule("tap.js");
  }
  await context.resume();
  leave();
  const tap = new AudioWorkletNode(context, "tap", { outputChannelCount: [1] });
  const source = context.createMediaStreamSource(stream);
  tap.port.onmessage = (it) => chunks.push(it.data);
  source.connect(tap);
  tap.connect(context.destination);
  leave = () => {
    tap.port.onmessage = null;
    source.disconnect();
    tap.disconnect();
    audio.srcObject = null;
  };
  tell("listening");
}

globalThis.forget = () => void chunks.splice(0);
globalThis.samples = () => chunks.reduce((sum, it) => sum + it.length, 0);

/// What has come since, as 16-bit samples at 8,000 Hz in base64.
globalThis.heard = () => {
  const samples = new Int16Array(chunks.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const chunk of chunks) for (const sample of chunk) samples[at++] = Math.max(-1, Math.min(1, sample)) * 32767;
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (let from = 0; from < bytes.length; from += 32768) text += String.fromCharCode(...bytes.subarray(from, from + 32768));
  return btoa(text);
};

/// What the connection says of itself.
globalThis.stats = async () => {
  const report = [...(await phone.connection().getStats()).values()];
  const of = (type, wanted = () => true) => report.find((it) => it.type === type && wanted(it)) ?? {};
  const transport = of("transport");
  const pair = report.find((it) => it.id === transport.selectedCandidatePairId) ?? {};
  const far = report.find((it) => it.id === pair.remoteCandidateId) ?? {};
  const inbound = of("inbound-rtp", (it) => it.kind === "audio");
  const codec = report.find((it) => it.id === inbound.codecId) ?? {};
  return {
    state: phone.connection().connectionState,
    protocol: far.protocol,
    family: (far.address ?? "").includes(":") ? 6 : 4,
    srtp: transport.srtpCipher,
    tls: transport.tlsVersion,
    codec: codec.mimeType,
    received: inbound.packetsReceived,
    energy: inbound.totalAudioEnergy,
    played: inbound.totalSamplesDuration,
    sent: of("outbound-rtp", (it) => it.kind === "audio").packetsSent,
    checks: report.filter((it) => it.type === "candidate-pair").map((it) => `${it.state} ${it.requestsSent}/${it.responsesReceived}`),
  };
};

/// Offers of this codec alone, as a browser has them that knows no other.
if (setup.codec) {
  const make = RTCPeerConnection.prototype.createOffer;
  RTCPeerConnection.prototype.createOffer = function (...options) {
    for (const it of this.getTransceivers()) {
      const { codecs } = RTCRtpReceiver.getCapabilities("audio");
      const wanted = (codec) => [setup.codec, "audio/telephone-event"].includes(codec.mimeType.toLowerCase());
      if (it.receiver.track.kind === "audio") it.setCodecPreferences(codecs.filter(wanted));
    }
    return make.apply(this, options);
  };
}

/// Offers to it as such a browser sees them: Chromium sends the first codec of an offer that it knows.
function known(sdp) {
  const name = setup.codec.split("/")[1];
  const of = (codec) => [...sdp.matchAll(new RegExp(`^a=rtpmap:(\\d+) ${codec}/`, "gim"))].map((it) => it[1]);
  return sdp.replace(/^(m=audio \d+ \S+ ).*$/m, (_, head) => head + [...of(name), ...of("telephone-event")].join(" "));
}

/// The server's candidates of this kind alone, as on a network that lets nothing else through.
function reachable(sdp) {
  const wanted = { tcp: / tcp \d+ [0-9.]+ /i, six: / udp \d+ [0-9a-f]*:[0-9a-f:]* /i }[setup.only];
  return sdp.split("\r\n").filter((it) => !it.startsWith("a=candidate:") || wanted.test(it)).join("\r\n");
}

const take = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
  if (setup.only) sdp = reachable(sdp);
  if (setup.codec && type === "offer") sdp = known(sdp);
  return take.call(this, { type, sdp });
};

const { start } = await import(`./${setup.library}.mjs`);
globalThis.phone = await start(setup, tell, listen, microphone);
tell("connected");
