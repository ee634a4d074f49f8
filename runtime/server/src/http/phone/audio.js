// Microphone, loudspeaker, levels and ringing.

/** What is heard of each call. */
const players = new Map();
let context = null;
let held = null;
const meters = {};
let tone = null;
let chosen = "";

function sound() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
  return context;
}

/** The devices that there are. */
export async function devices() {
  return navigator.mediaDevices.enumerateDevices();
}

/** The microphone with this id, or the usual one; it stays open until `close`. */
export async function microphone(id, anew = false) {
  if (!navigator.mediaDevices) throw { name: "insecure" };
  const live = held?.stream.getAudioTracks().some((track) => track.readyState === "live");
  if (live && held.id === id && !anew) return held.stream;
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const wanted = id ? { ...audio, deviceId: { exact: id } } : audio;
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  held?.stream.getTracks().forEach((track) => track.stop());
  held = { id, stream };
  measure("me", stream);
  document.dispatchEvent(new Event("permission"));
  return stream;
}

/** Lets go of the microphone. */
export function close() {
  held?.stream.getTracks().forEach((track) => track.stop());
  held = null;
  measure("me", null);
}

function measure(name, stream) {
  meters[name]?.source.disconnect();
  meters[name] = null;
  if (!stream) return;
  const analyser = sound().createAnalyser();
  analyser.fftSize = 1024;
  const source = context.createMediaStreamSource(stream);
  source.connect(analyser);
  meters[name] = { source, analyser, data: new Float32Array(analyser.fftSize), stream };
}

/** How loud it is, from 0 at -60 dB to 1 at full scale. */
export function level(name) {
  const meter = meters[name];
  if (!meter) return 0;
  meter.analyser.getFloatTimeDomainData(meter.data);
  const power = meter.data.reduce((sum, it) => sum + it * it, 0) / meter.data.length;
  return Math.max(0, Math.min(1, 1 + (10 * Math.log10(power + 1e-9)) / 60));
}

/** Plays what comes from these calls, and nothing else. */
export function listen(calls, speaker) {
  for (const [call, audio] of players) {
    if (!calls.includes(call)) {
      audio.srcObject = null;
      players.delete(call);
    }
  }
  for (const call of calls) {
    if (!call.remote) continue;
    const audio = players.get(call) ?? new Audio();
    players.set(call, audio);
    if (audio.srcObject !== call.remote) {
      audio.srcObject = call.remote;
      audio.setSinkId?.(speaker || chosen).catch(() => {});
      audio.play().catch(() => {});
    }
    audio.muted = call.held;
  }
  const talking = calls.find((call) => call.remote && !call.held);
  if (meters.far?.stream !== talking?.remote) measure("far", talking?.remote ?? null);
}

/** Plays with another loudspeaker. */
export function speak(speaker) {
  chosen = speaker;
  for (const audio of players.values()) audio.setSinkId?.(speaker).catch(() => {});
  context?.setSinkId?.(speaker).catch(() => {});
}

/** Rings: `in` for a call that comes, `out` for one that is being called; 450 Hz, 1 s of 5. */
export function ring(kind) {
  if (tone?.kind === kind) return;
  silence();
  const at = sound();
  const [oscillator, gain] = [at.createOscillator(), at.createGain()];
  oscillator.frequency.value = kind === "in" ? 520 : 450;
  gain.gain.value = 0;
  oscillator.connect(gain).connect(at.destination);
  oscillator.start();
  const loud = kind === "in" ? 0.25 : 0.08;
  const once = () => {
    const now = at.currentTime;
    gain.gain.setTargetAtTime(loud, now, 0.01);
    gain.gain.setTargetAtTime(0, now + 1, 0.02);
  };
  once();
  tone = { kind, oscillator, timer: setInterval(once, kind === "in" ? 3_000 : 5_000) };
}

/** Rings no more. */
export function silence() {
  if (!tone) return;
  clearInterval(tone.timer);
  tone.oscillator.stop();
  tone = null;
}
