// JsSIP as published, with its own handling of WebRTC.

const JsSIP = globalThis.require("jssip");

export async function start(setup, tell, listen, microphone) {
  let session;
  const media = { mediaConstraints: { audio: microphone, video: false } };
  const watch = (it) => {
    session = it;
    const hear = (connection) => connection.addEventListener("track", (event) => listen(event.track));
    if (session.connection) hear(session.connection);
    session.on("peerconnection", ({ peerconnection }) => hear(peerconnection));
    session.on("confirmed", () => tell("up"));
    session.on("ended", () => tell("over"));
    session.on("failed", (news) => {
      tell("failed", { status: news.message?.status_code });
      tell("over");
    });
  };
  const agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(setup.url)],
    uri: `sip:${setup.user}@127.0.0.1`,
    password: setup.password,
    register: false,
  });
  agent.on("registered", () => tell("registered"));
  agent.on("registrationFailed", (it) => tell("refused", { status: it.response?.status_code }));
  agent.on("newRTCSession", (it) => {
    watch(it.session);
    if (it.originator === "remote") tell("rung", { from: it.request.from.uri.user });
  });
  await new Promise((connected) => {
    agent.once("connected", connected);
    agent.start();
  });
  const told = (begin) => new Promise((done, failed) => {
    if (!begin(() => done(true))) failed(new Error("not now"));
  });
  return {
    connection: () => session.connection,
    register: () => agent.register(),
    call: (number) => void agent.call(`sip:${number}@127.0.0.1`, media),
    answer: () => session.answer(media),
    hangup: () => session.terminate(),
    press: (key) => session.sendDTMF(key, { transportType: "RFC2833", duration: 120 }),
    hold: () => told((done) => session.hold({}, done)),
    resume: () => told((done) => session.unhold({}, done)),
    restart: () => told((done) => session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, done)),
  };
}
