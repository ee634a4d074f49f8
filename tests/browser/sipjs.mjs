// SIP.js: its user agent, with a session description handler of plain RTP in place of WebRTC.

import { Inviter, Registerer, SessionState, UserAgent } from "sip.js";

export async function start(setup, describe, tell) {
  let session;
  const watch = (it) => {
    session = it;
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) tell("up");
      if (state === SessionState.Terminated) tell("over");
    });
  };
  const handler = () => ({
    close() {},
    hasDescription: (type) => type === "application/sdp",
    getDescription: async () => ({ body: describe(), contentType: "application/sdp" }),
    setDescription: async (sdp) => tell("description", { sdp }),
    sendDtmf: () => false,
  });
  const agent = new UserAgent({
    uri: UserAgent.makeURI(`sip:${setup.user}@127.0.0.1`),
    authorizationUsername: setup.user,
    authorizationPassword: setup.password,
    transportOptions: { server: setup.url },
    sessionDescriptionHandlerFactory: handler,
    logBuiltinEnabled: false,
    delegate: {
      onInvite(invitation) {
        watch(invitation);
        tell("rung", { from: invitation.remoteIdentity.uri.user });
      },
      onDisconnect: () => tell("disconnected"),
    },
  });
  await agent.start();
  const registerer = new Registerer(agent);
  const asked = {
    onAccept: (answer) => tell("registered", { contacts: answer.message.getHeaders("contact").length }),
    onReject: (answer) => tell("refused", { status: answer.message.statusCode }),
  };
  return {
    register: () => registerer.register({ requestDelegate: asked }),
    unregister: () => registerer.unregister({ requestDelegate: asked }),
    call(number) {
      watch(new Inviter(agent, UserAgent.makeURI(`sip:${number}@127.0.0.1`)));
      return session.invite({
        requestDelegate: {
          onProgress: (answer) => tell("progress", { status: answer.message.statusCode }),
          onReject: (answer) => tell("failed", { status: answer.message.statusCode }),
        },
      });
    },
    ring: () => session.progress(),
    answer: () => session.accept(),
    refuse: () => session.reject({ statusCode: 486 }),
    hangup: () => session.bye(),
  };
}
