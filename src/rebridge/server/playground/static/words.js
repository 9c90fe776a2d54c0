// Where the query's words stand in a text. This is for the eye: the engine's own analysis may find more or fewer.

const COMMON = new Set(
  "a an and are as at be by can do does for from how i in is it its of on or that the this to was what when which who why with".split(" "),
);
// Scripts that do not put spaces between words.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}]/u;
const ENDING = 3; // letters: thread finds threads and threading

/** A pattern of the words of a query; null if there are none. */
export function pattern(query) {
  const all = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? [])];
  const rare = all.filter((word) => !COMMON.has(word));
  const words = (rare.length ? rare : all).slice(0, 32).sort((a, b) => b.length - a.length);
  if (!words.length) return null;
  const choices = words.map((word) => {
    if (UNSPACED.test(word)) return word;
    const end = word.length > 2 ? `[\\p{L}\\p{M}]{0,${ENDING}}` : "";
    return `(?<![\\p{L}\\p{N}\\p{M}])${word}${end}(?![\\p{L}\\p{N}\\p{M}])`;
  });
  return new RegExp(choices.join("|"), "giu");
}

/** The text as nodes: plain text, and marks around words. */
export function marked(text, wanted) {
  if (!wanted) return [document.createTextNode(text)];
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(wanted)) {
    const mark = document.createElement("mark");
    mark.textContent = found[0];
    nodes.push(document.createTextNode(text.slice(end, found.index)), mark);
    end = found.index + found[0].length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes;
}

/** The part of a text with most different words of the query, as one line. */
export function excerpt(text, wanted, length = 260) {
  const line = text.replace(/\s+/gu, " ").trim();
  const found = wanted ? [...line.matchAll(wanted)].slice(0, 200) : [];
  let start = 0;
  let most = different(found, 0, length);
  for (const { index } of found) {
    const count = different(found, index, index + length);
    if (count > most) [start, most] = [index, count];
  }
  if (start > 0) start = line.lastIndexOf(" ", Math.max(0, start - 30)) + 1;
  return (start > 0 ? "… " : "") + [...line.slice(start, start + 4 * length)].slice(0, 2 * length).join("");
}

function different(found, start, end) {
  const inside = found.filter(({ index }) => index >= start && index < end);
  return new Set(inside.map(([word]) => word.toLowerCase())).size;
}
