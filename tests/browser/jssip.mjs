// JsSIP: its user agent, on a peer connection of plain RTP in place of WebRTC.

import JsSIP from "jssip";

export async function start(setup, describe, tell) {
  let session;

  class Connection extends EventTarget {
    iceConnectionState = "connected";
    iceGatheringState = "complete";
    signalingState = "stable";
    async createOffer() {
      return { type: "offer", sdp: describe() };
    }
    async createAnswer() {
      return { type: "answer", sdp: describe() };
    }
    async setLocalDescription(description) {
      this.localDescription = description;
    }
    async setRemoteDescription(description) {
      this.remoteDescription = description;
      tell("description", { sdp: description.sdp });
    }
    getSenders() {
      return [];
    }
    addTrack() {}
    close() {}
  }
  globalThis.window = globalThis;
  globalThis.RTCPeerConnection = Connection;
  globalThis.RTCSessionDescription = class {
    constructor(description) {
      Object.assign(this, description);
    }
  };
  // A stream without tracks: nothing is asked of a microphone.
  const mediaStream = { getTracks: () => [], getAudioTracks: () => [], getVideoTracks: () => [] };

  const agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(setup.url)],
    uri: `sip:${setup.user}@127.0.0.1`,
    password: setup.password,
    register: false,
  });
  agent.on("registered", (it) => tell("registered", { contacts: it.response.getHeaders("contact").length }));
  agent.on("unregistered", (it) => {
    if (it.response) tell("registered", { contacts: it.response.getHeaders("contact").length });
  });
  agent.on("registrationFailed", (it) => tell("refused", { status: it.response?.status_code }));
  agent.on("disconnected", () => tell("disconnected"));
  agent.on("newRTCSession", (it) => {
    session = it.session;
    session.on("progress", (news) => {
      if (news.originator === "remote") tell("progress", { status: news.response.status_code });
    });
    session.on("confirmed", () => tell("up"));
    session.on("ended", () => tell("over"));
    session.on("failed", (news) => {
      if (it.originator === "local" && news.originator === "remote") {
        tell("failed", { status: news.message?.status_code });
      }
      tell("over");
    });
    if (it.originator === "remote") tell("rung", { from: it.request.from.uri.user });
  });
  await new Promise((connected) => {
    agent.once("connected", connected);
    agent.start();
  });
  return {
    register: () => agent.register(),
    unregister: () => agent.unregister(),
    call: (number) => agent.call(`sip:${number}@127.0.0.1`, { mediaStream, mediaConstraints: { audio: true, video: false } }),
    // It rings by itself as soon as a call comes in.
    ring() {},
    answer: () => session.answer({ mediaStream }),
    refuse: () => session.terminate({ status_code: 486 }),
    hangup: () => session.terminate(),
  };
}
