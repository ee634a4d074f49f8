// MD5 (RFC 1321), which digest challenges still ask for and browsers no longer have.

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0);

/** What is mixed in the four rounds (RFC 1321 §3.4), and which word of the block. */
const ROUNDS = [
  (b, c, d, i) => [(b & c) | (~b & d), i],
  (b, c, d, i) => [(b & d) | (c & ~d), (5 * i + 1) % 16],
  (b, c, d, i) => [b ^ c ^ d, (3 * i + 5) % 16],
  (b, c, d, i) => [c ^ (b | ~d), (7 * i) % 16],
];

/** The hash of a text in UTF-8, as 32 hexadecimal digits. */
export function md5(text) {
  const bytes = new TextEncoder().encode(text);
  const blocks = new DataView(new ArrayBuffer(((bytes.length + 72) >> 6) << 6));
  new Uint8Array(blocks.buffer).set(bytes);
  blocks.setUint8(bytes.length, 0x80);
  blocks.setUint32(blocks.byteLength - 8, bytes.length * 8, true);
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < blocks.byteLength; at += 64) {
    let [a, b, c, d] = state;
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      const [mixed, word] = ROUNDS[round](b, c, d, i);
      const sum = (a + mixed + SINES[i] + blocks.getInt32(at + 4 * word, true)) | 0;
      const shift = SHIFTS[round * 4 + (i % 4)];
      [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
    }
    state = [a, b, c, d].map((word, i) => (word + state[i]) | 0);
  }
  const out = new DataView(new ArrayBuffer(16));
  state.forEach((word, i) => out.setInt32(4 * i, word, true));
  return [...new Uint8Array(out.buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
