/**
 * CBOR (RFC 8949), as far as frames consist of it: maps with texts as names, lists, texts, whole and other numbers, truth values, null. An id
 * is a byte string of 16 bytes and a time an integer of milliseconds on the wire; here both are the texts that JSON has, so that nothing
 * else in the client knows which encoding a connection uses.
 */

/** Fields that take ids. A text of another field stays one, even when it looks like an id. */
const IDS = new Set(["room", "message_id", "request_id", "member", "members", "users", "mentions", "room_key", "after"]);
/** Fields that are times; a test compares them with `docs/reference/asyncapi.yaml`. */
export const TIMES: ReadonlySet<string> = new Set(["at", "created_at", "edited_at", "muted_until", "until"]);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const LIST = 4;
const MAP = 5;
const TAG = 6;
const OTHER = 7;
/** Of the longest head: a kind and eight bytes of a number. */
const HEAD_BYTES = 9;
const HYPHEN = 0x2d;
/** Texts up to this many bytes are read one by one, which is quicker than the way through the decoder. */
const SHORT = 64;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const toText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const toBytes = new TextEncoder();

/** A frame as bytes. Fields that are `undefined` are left out, as in JSON. */
export function encode(frame: Record<string, unknown>): Uint8Array {
  const writer = new Writer();
  writer.value(frame, "");
  return writer.done();
}

class Writer {
  #bytes = new Uint8Array(512);
  #length = 0;

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  value(value: unknown, field: string): void {
    if (typeof value === "string") this.#string(value, field);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "boolean") this.#head(OTHER, value ? 21 : 20);
    else if (value === null || value === undefined) this.#head(OTHER, 22);
    else if (Array.isArray(value)) {
      this.#head(LIST, value.length);
      for (const item of value) this.value(item, field);
    } else if (typeof value === "object") {
      const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
      this.#head(MAP, fields.length);
      for (const [name, inner] of fields) {
        this.#text(name);
        this.value(inner, name);
      }
    } else throw new TypeError(`${field} cannot be sent: a ${typeof value}`);
  }

  #string(text: string, field: string): void {
    if (IDS.has(field) && UUID.test(text)) this.#id(text);
    else if (TIMES.has(field) && Number.isFinite(Date.parse(text))) this.#number(Date.parse(text));
    else this.#text(text);
  }

  #id(text: string): void {
    this.#head(BYTES, 16);
    this.#reserve(16);
    for (let at = 0; at < text.length; at += 2) {
      if (text.charCodeAt(at) === HYPHEN) at += 1;
      this.#bytes[this.#length++] = (nibble(text.charCodeAt(at)) << 4) | nibble(text.charCodeAt(at + 1));
    }
  }

  #text(text: string): void {
    // No character has more than three bytes for each unit of a JavaScript string.
    const most = 3 * text.length;
    this.#reserve(HEAD_BYTES + most);
    if (text.length < 24 && this.#short(text)) return;
    const bytes = toBytes.encode(text);
    this.#head(TEXT, bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Names of fields and other words: characters of one byte each, without the way through the encoder. False for any others. */
  #short(text: string): boolean {
    const start = this.#length;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit > 127) return false;
      this.#bytes[start + 1 + at] = unit;
    }
    this.#bytes[start] = (TEXT << 5) | text.length;
    this.#length = start + 1 + text.length;
    return true;
  }

  #number(number: number): void {
    if (Number.isSafeInteger(number)) {
      if (number >= 0) this.#head(UNSIGNED, number);
      else this.#head(NEGATIVE, -1 - number);
      return;
    }
    this.#reserve(HEAD_BYTES);
    this.#bytes[this.#length] = (OTHER << 5) | 27;
    new DataView(this.#bytes.buffer).setFloat64(this.#length + 1, number);
    this.#length += HEAD_BYTES;
  }

  /** A kind and a number, in the fewest bytes. */
  #head(kind: number, number: number): void {
    this.#reserve(HEAD_BYTES);
    const high = kind << 5;
    if (number < 24) this.#bytes[this.#length++] = high | number;
    else if (number < 0x100) this.#big(high | 24, number, 1);
    else if (number < 0x1_0000) this.#big(high | 25, number, 2);
    else if (number < 0x1_0000_0000) this.#big(high | 26, number, 4);
    else this.#big(high | 27, number, 8);
  }

  #big(first: number, number: number, bytes: number): void {
    this.#bytes[this.#length] = first;
    let rest = number;
    for (let at = bytes; at > 0; at--) {
      this.#bytes[this.#length + at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#length += 1 + bytes;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** What a binary frame says; throws when it is not one CBOR item with nothing behind it. */
export function decode(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value("");
  if (!reader.ended) throw new SyntaxError("there is something behind the CBOR item");
  return value;
}

class Reader {
  readonly #view: DataView;
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get ended(): boolean {
    return this.#at === this.bytes.length;
  }

  value(field: string): unknown {
    const first = this.#view.getUint8(this.#skip(1));
    const kind = first >> 5;
    const short = first & 31;
    if (kind === OTHER) return this.#other(short);
    // Of a length that is not said beforehand the end is marked.
    const number = short === 31 ? Infinity : this.#number(short);
    switch (kind) {
      case UNSIGNED:
        return TIMES.has(field) ? new Date(number).toISOString() : number;
      case NEGATIVE:
        return -1 - number;
      case BYTES:
        return id(this.#take(number));
      case TEXT:
        return this.#text(number);
      case LIST:
        return this.#list(number, field);
      case MAP:
        return this.#map(number);
      case TAG:
        return this.value(field);
      default:
        throw new SyntaxError("no CBOR");
    }
  }

  #list(length: number, field: string): unknown[] {
    const list: unknown[] = [];
    while (list.length < length && !(length === Infinity && this.#atBreak())) list.push(this.value(field));
    return list;
  }

  #map(length: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let at = 0; at < length && !(length === Infinity && this.#atBreak()); at++) {
      const name = this.value("");
      if (typeof name !== "string") throw new SyntaxError("a field is named by a text");
      const value = this.value(name);
      // As JSON.parse does it: a plain field, whatever its name.
      if (name === "__proto__") Object.defineProperty(map, name, { value, writable: true, enumerable: true, configurable: true });
      else map[name] = value;
    }
    return map;
  }

  #text(length: number): string {
    const start = this.#skip(length);
    let text = "";
    for (let at = start; length <= SHORT && at < start + length; at++) {
      const byte = this.bytes[at]!;
      if (byte > 127) return toText.decode(this.bytes.subarray(start, start + length));
      text += String.fromCharCode(byte);
    }
    return length <= SHORT ? text : toText.decode(this.bytes.subarray(start, start + length));
  }

  #atBreak(): boolean {
    const found = this.#view.getUint8(this.#at) === 0xff;
    if (found) this.#at += 1;
    return found;
  }

  #other(short: number): unknown {
    if (short === 20 || short === 21) return short === 21;
    if (short === 22) return null;
    if (short === 23) return undefined;
    if (short === 26) return this.#view.getFloat32(this.#skip(4));
    if (short === 27) return this.#view.getFloat64(this.#skip(8));
    throw new SyntaxError("no CBOR that a frame has");
  }

  #number(short: number): number {
    if (short < 24) return short;
    if (short === 24) return this.#view.getUint8(this.#skip(1));
    if (short === 25) return this.#view.getUint16(this.#skip(2));
    if (short === 26) return this.#view.getUint32(this.#skip(4));
    if (short === 27) return Number(this.#view.getBigUint64(this.#skip(8)));
    throw new SyntaxError("no CBOR");
  }

  #take(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.bytes.subarray(start, start + length);
  }

  /** Where the next bytes begin, which count as read. */
  #skip(length: number): number {
    const start = this.#at;
    if (!(length <= this.bytes.length - start)) throw new SyntaxError("the frame ends too early");
    this.#at += length;
    return start;
  }
}

/** Of a digit in lower case. */
function nibble(unit: number): number {
  return unit < 0x3a ? unit - 0x30 : unit - 0x57;
}

function id(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new SyntaxError("an id has 16 bytes");
  let text = "";
  for (let at = 0; at < 16; at++) {
    if (at === 4 || at === 6 || at === 8 || at === 10) text += "-";
    text += HEX[bytes[at]!];
  }
  return text;
}
