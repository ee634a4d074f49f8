// What the page says, in Chinese and English.

const WORDS = {
  "zh-CN": {
    title: "Jackfield 网页电话", subtitle: "网页电话", language: "English", user: "分机号", password: "密码", sign_in: "登录", sign_out: "退出",
    intro: "用浏览器打电话。登录后拨 1000 试听演示菜单。", number: "输入号码", call: "拨打", back: "删除",
    answer: "接听", decline: "拒接", hang_up: "挂断", hold: "保持", resume: "恢复", mute: "静音", unmute: "取消静音",
    transfer: "转接", transfer_now: "直接转接", ask_first: "先咨询", connect: "完成转接", cancel: "取消", transfer_to: "转接到",
    microphone: "麦克风", speaker: "扬声器", standard: "系统默认", me: "我的音量", far: "对方音量", devices: "设备", test: "测试麦克风", test_end: "结束测试",
    history: "最近通话", empty: "还没有通话", incoming: "来电", calling: "正在呼叫…", ringing: "振铃中…", up: "通话中", held: "已保持", parked: "对方已保持",
    mending: "正在恢复网络…", online: "已上线", connecting: "正在连接…", offline: "离线", refused: "登录被拒绝",
    unknown: "未知号码", pressed: "已按键", keypad: "拨号键盘", missed: "未接", transferred: "已转接",
    mic_denied: "浏览器没有麦克风权限:请点地址栏左侧的图标,允许使用麦克风,然后重试。", mic_none: "没有找到麦克风:请接上麦克风或耳机。",
    mic_busy: "麦克风打不开:可能被其他程序占用。", insecure: "浏览器只在 https:// 或 http://localhost 的页面上允许使用麦克风。请换用这样的地址。",
    wrong: "分机号或密码不正确。", expired: "登录凭证已过期,请重新登录。", unreachable: "连不上服务器,正在重试。", resumed: "已接回刷新前的通话",
    failed: "未接通", transfer_failed: "转接失败", gone: "通话已结束",
    s0: "出现错误", s200: "已在别处接听", s403: "不允许拨打", s404: "号码不存在", s408: "无人接听", s480: "对方暂时无法接通", s484: "号码不完整", s486: "对方忙", s487: "未接来电", s488: "音频无法协商", s503: "服务暂不可用", s600: "对方忙", s603: "对方拒接",
  },
  en: {
    title: "Jackfield phone", subtitle: "phone", language: "中文", user: "Extension", password: "Password", sign_in: "Sign in", sign_out: "Sign out",
    intro: "Calls from your browser. Sign in and dial 1000 for the demo menu.", number: "Number", call: "Call", back: "Delete",
    answer: "Answer", decline: "Decline", hang_up: "Hang up", hold: "Hold", resume: "Resume", mute: "Mute", unmute: "Unmute",
    transfer: "Transfer", transfer_now: "Transfer now", ask_first: "Ask first", connect: "Complete transfer", cancel: "Cancel", transfer_to: "Transfer to",
    microphone: "Microphone", speaker: "Speaker", standard: "System default", me: "My level", far: "Their level", devices: "Devices", test: "Test microphone", test_end: "End test",
    history: "Recent calls", empty: "No calls yet", incoming: "Incoming call", calling: "Calling…", ringing: "Ringing…", up: "In call", held: "On hold", parked: "They put you on hold",
    mending: "Reconnecting…", online: "Online", connecting: "Connecting…", offline: "Offline", refused: "Not signed in",
    unknown: "Unknown", pressed: "Pressed", keypad: "Keypad", missed: "Missed", transferred: "Transferred",
    mic_denied: "The browser may not use the microphone: click the icon left of the address, allow it, and try again.", mic_none: "No microphone found: plug one in, or a headset.",
    mic_busy: "The microphone does not open: another program may be using it.", insecure: "Browsers allow the microphone only on pages at https:// or http://localhost. Open this page at such an address.",
    wrong: "Extension or password is wrong.", expired: "These credentials have expired: sign in again.", unreachable: "The server cannot be reached; trying again.", resumed: "The call from before the reload goes on",
    failed: "Call failed", transfer_failed: "Transfer failed", gone: "The call has ended",
    s0: "something went wrong", s200: "answered elsewhere", s403: "not allowed", s404: "no such number", s408: "no answer", s480: "cannot be reached now", s484: "number is incomplete", s486: "busy", s487: "missed", s488: "no audio in common", s503: "service unavailable", s600: "busy", s603: "declined",
  },
};

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en");

export const current = () => language;

/** What is said for a key, in the language that is chosen. */
export function say(key) {
  return WORDS[language][key] ?? WORDS.en[key] ?? key;
}

/** Why a call came to nothing, by its status. */
export function reason({ status, reason: words }) {
  return WORDS[language][`s${status}`] ?? (status ? `${status} ${words}` : say("s0"));
}

/** Takes the other language, and says everything on the page again that is marked with its key. */
export function turn(to = language) {
  language = to === "zh-CN" ? "zh-CN" : "en";
  localStorage.setItem("language", language);
  document.documentElement.lang = language;
  document.title = say("title");
  for (const it of document.querySelectorAll("[data-say]")) it.textContent = say(it.dataset.say);
  for (const it of document.querySelectorAll("[data-hint]")) it.placeholder = say(it.dataset.hint);
  for (const it of document.querySelectorAll("[data-label]")) it.setAttribute("aria-label", say(it.dataset.label));
}
