// SIP.js as published, with its own handling of WebRTC.

import { Inviter, Registerer, SessionState, UserAgent } from "/node_modules/sip.js/lib/api/index.js";

export async function start(setup, tell, listen, microphone) {
  let session;
  const connection = () => session.sessionDescriptionHandler.peerConnection;
  const media = { constraints: { audio: microphone, video: false }, iceGatheringTimeout: 500 };
  const watch = (it) => {
    session = it;
    session.delegate = {
      onSessionDescriptionHandler(handler) {
        handler.peerConnection.addEventListener("track", (event) => listen(event.track));
      },
    };
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) tell("up");
      if (state === SessionState.Terminated) tell("over");
    });
  };
  const agent = new UserAgent({
    uri: UserAgent.makeURI(`sip:${setup.user}@127.0.0.1`),
    authorizationUsername: setup.user,
    authorizationPassword: setup.password,
    transportOptions: { server: setup.url },
    logBuiltinEnabled: false,
    delegate: {
      onInvite(invitation) {
        watch(invitation);
        tell("rung", { from: invitation.remoteIdentity.uri.user });
      },
    },
  });
  await agent.start();
  const registerer = new Registerer(agent);
  const again = (options) => new Promise((done, failed) => {
    session.invite({
      sessionDescriptionHandlerOptions: { ...media, ...options },
      requestDelegate: { onAccept: () => done(true), onReject: (it) => failed(new Error(it.message.statusCode)) },
    }).catch(failed);
  });
  return {
    connection,
    register: () => registerer.register({
      requestDelegate: { onAccept: () => tell("registered"), onReject: (it) => tell("refused", { status: it.message.statusCode }) },
    }),
    call(number) {
      watch(new Inviter(agent, UserAgent.makeURI(`sip:${number}@127.0.0.1`), { sessionDescriptionHandlerOptions: media }));
      session.invite({ requestDelegate: { onReject: (it) => tell("failed", { status: it.message.statusCode }) } });
    },
    answer: () => session.accept({ sessionDescriptionHandlerOptions: media }),
    hangup: () => session.bye(),
    press: (key) => session.sessionDescriptionHandler.sendDtmf(key, { duration: 120 }),
    hold: () => again({ hold: true }),
    resume: () => again({ hold: false }),
    restart: () => again({ offerOptions: { iceRestart: true } }),
  };
}
