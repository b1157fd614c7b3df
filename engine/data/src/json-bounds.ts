/** Most bytes of a tokenizer.json; the largest known one has 33 MB. */
export const FILE_BYTES_MAX = 64 << 20;
/** Lists and objects within each other. */
export const DEPTH_MAX = 64;
/** Lists and objects in all: a vocabulary with scores has one for each token, merges one for each pair. */
const CONTAINERS_MAX = 1 << 20;
/** Members of objects: a vocabulary has one for each token. */
const MEMBERS_MAX = 1 << 20;
/** Elements of lists and members of objects. */
const VALUES_MAX = 1 << 22;
/** Bytes of one string: a table of character maps has 320 kB. */
const STRING_BYTES_MAX = 4 << 20;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * What makes a JSON text cost far more memory than its length, found before anything is built from it; null: nothing.
 *
 * `JSON.parse` makes 50 bytes of each `[]` and 100 of each `"a":1`; deep nesting ends in "call stack size exceeded".
 */
export function jsonExcess(text: Uint8Array): string | null {
  if (text.length > FILE_BYTES_MAX) return `it has ${text.length} bytes, more than ${FILE_BYTES_MAX}`;
  let [depth, containers, members, values] = [0, 0, 0, 0];
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case QUOTE: {
        const start = at;
        for (at++; at < text.length && text[at] !== QUOTE; at++) if (text[at] === BACKSLASH) at++;
        if (at - start > STRING_BYTES_MAX)
          return `a string at byte ${start} is longer than ${STRING_BYTES_MAX} bytes`;
        break;
      }
      case LIST:
      case OBJECT:
        containers++;
        depth++;
        if (depth > DEPTH_MAX) return `lists and objects are nested deeper than ${DEPTH_MAX} at byte ${at}`;
        break;
      case LIST_END:
      case OBJECT_END:
        depth--;
        break;
      case COLON:
        members++;
        break;
      case COMMA:
        values++;
        break;
    }
  }
  if (containers > CONTAINERS_MAX)
    return `it has ${containers} lists and objects, more than ${CONTAINERS_MAX}`;
  if (members > MEMBERS_MAX) return `its objects have ${members} members, more than ${MEMBERS_MAX}`;
  return values > VALUES_MAX ? `it has ${values} values, more than ${VALUES_MAX}` : null;
}
